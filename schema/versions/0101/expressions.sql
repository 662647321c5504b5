-- The expressions of the virtual columns of a table, by their numbers. Null while another session keeps the table
-- locked, and where one is too deep to be written out: no owner of a table keeps anybody who asks for them waiting, or
-- stops them. It tries once, however many columns there are.
create or replace function wamp.expressions(relation oid) returns jsonb
language plpgsql
stable
set search_path = pg_catalog, pg_temp
set lock_timeout = '1ms'
-- As wamp.evaluate reads constants.
set timezone = 'UTC'
set datestyle = 'ISO, MDY'
set intervalstyle = 'iso_8601'
set bytea_output = 'hex'
set extra_float_digits = 1
set lc_monetary = 'C'
set quote_all_identifiers = off
as $$
begin
    return (
        select coalesce(jsonb_object_agg(d.adnum::text, pg_get_expr(d.adbin, d.adrelid)), '{}')
        from pg_attribute as a
        join pg_attrdef as d on d.adrelid = a.attrelid and d.adnum = a.attnum
        where a.attrelid = relation and a.attgenerated = 'v' and not a.attisdropped);
exception when others then
    return null;
end
$$;
