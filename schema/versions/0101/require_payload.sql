-- Raise unless every serializer of WAMP carries these, and a message of the router holds them.
create or replace function wamp.require_payload(args jsonb, kwargs jsonb) returns void
language plpgsql
immutable
set search_path = pg_catalog, pg_temp
as $$
declare
    -- The default of limits.max_bytes; the router ends the session of whoever sends more than 16 MiB.
    most constant integer := 15000000;
    -- The component reads no more at once: elements and members, and what takes as long as one, which are 20
    -- digits of a long number and 160 backslashes. Commas, brackets and digits in texts count too.
    most_parts constant integer := 60000;
    size bigint;
    whole text;
    parts bigint;
    -- Readers in some languages give up at a few hundred levels. The root is level 0.
    deep constant jsonpath := 'strict $.**{100} ? (@.type() == "array" || @.type() == "object")';
begin
    if jsonb_typeof(args) <> 'array' then
        raise exception 'args must be a JSON array' using errcode = 'invalid_parameter_value';
    end if;
    if jsonb_typeof(kwargs) <> 'object' then
        raise exception 'kwargs must be a JSON object' using errcode = 'invalid_parameter_value';
    end if;
    if kwargs ?& '{id,cursor,schema,table,op}' then
        raise exception 'kwargs cannot have all of id, cursor, schema, table and op'
            using errcode = 'invalid_parameter_value',
                hint = 'Only events of changes carry these; leave one of them out.';
    end if;
    if jsonb_path_exists(args, deep) or jsonb_path_exists(kwargs, deep) then
        raise exception '% is nested deeper than 100 levels',
            case when jsonb_path_exists(args, deep) then 'args' else 'kwargs' end
            using errcode = 'invalid_parameter_value',
                hint = 'Send the inner levels as text.';
    end if;
    size := coalesce(octet_length(args::text), 0) + coalesce(octet_length(kwargs::text), 0);
    if size > most then
        raise exception 'args and kwargs have % bytes as JSON, more than the % of an event',
            size, most
            using errcode = 'program_limit_exceeded',
                hint = 'Send less, or only where it is to be found.';
    end if;
    if size > most_parts then
        whole := args::text || kwargs::text;
        parts := length(whole) - length(translate(whole, ',[{', ''))
            + (length(whole) - length(replace(whole, e'\\', ''))) / 160
            + case when whole ~ '\d{20}' then regexp_count(whole, '\d{20}') else 0 end;
        if parts > most_parts then
            raise exception 'args and kwargs have more than % elements and members', most_parts
                using errcode = 'program_limit_exceeded',
                    hint = 'Send less, or the values as one text. Long numbers and many backslashes count as '
                        'several.';
        end if;
    end if;
end
$$;
