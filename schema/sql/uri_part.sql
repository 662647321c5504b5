-- A value as one part of a URI: percent-encoded as in an address, the dot too. Null and the empty
-- string become a dash, and only the first 200 characters count.
create or replace function wamp.uri_part(value text) returns text
language sql
immutable
parallel safe
set search_path = pg_catalog, pg_temp
as $$
    select case
        when value is null or value = '' then '-'
        when length(value) <= 200 and value ~ '^[A-Za-z0-9_~!*''()-]+$' then value
        else (
            select string_agg(
                case when chr(b) ~ '[A-Za-z0-9_~!*''()-]' then chr(b)
                    else '%' || upper(lpad(to_hex(b), 2, '0')) end,
                '' order by i)
            from (
                select i, get_byte(octets, i) as b
                from (select convert_to(left(value, 200), 'UTF8') as octets) as v,
                    generate_series(0, length(octets) - 1) as i
            ) as bytes
        )
    end
$$;
