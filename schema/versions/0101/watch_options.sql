-- The options of wamp.watch, checked against the table: an unknown or wrong one is an error that
-- names it and the cure; wamp.require_condition checks the condition. The sequencer evaluates them; see
-- pgwamp.eventlog.
create or replace function wamp.watch_options(relation regclass, options jsonb) returns jsonb
language plpgsql
set search_path = pg_catalog, pg_temp
set standard_conforming_strings = on
as $$
declare
    known constant text[] := array[
        'columns', 'old', 'when', 'topic', 'eligible_authid', 'eligible_authrole', 'batch', 'retain',
        'publish'];
    name text;
    value jsonb;
begin
    if jsonb_typeof(options) is distinct from 'object' then
        raise exception 'options must be a JSON object' using errcode = 'invalid_parameter_value';
    end if;
    options := jsonb_strip_nulls(options);
    for name, value in select * from jsonb_each(options) loop
        if name <> all (known) then
            raise exception 'unknown option "%"', name
                using errcode = 'invalid_parameter_value',
                    hint = 'Allowed are ' || array_to_string(known, ', ') || '.';
        elsif name = 'columns' then
            if jsonb_typeof(value) <> 'array' or value = '[]'
                or exists (select from jsonb_array_elements(value) as c where jsonb_typeof(c) <> 'string')
            then
                raise exception 'columns must be a list of column names'
                    using errcode = 'invalid_parameter_value',
                        hint = 'Leave it out for all columns.';
            end if;
        elsif name in ('batch', 'retain', 'publish') then
            if jsonb_typeof(value) <> 'boolean' then
                raise exception '% must be true or false', name
                    using errcode = 'invalid_parameter_value';
            end if;
        elsif jsonb_typeof(value) <> 'string' then
            raise exception '% must be a string', name using errcode = 'invalid_parameter_value';
        end if;
    end loop;
    if options ->> 'old' not in ('none', 'key', 'changed', 'full') then
        raise exception 'old cannot be "%"', options ->> 'old'
            using errcode = 'invalid_parameter_value',
                hint = 'Allowed are none, key, changed (the default) and full.';
    end if;
    if options ? 'topic' then
        -- Each {column} stands for one value; what remains must be a URI that is not the router's.
        if regexp_replace(options ->> 'topic', '\{[^{}]+\}', 'x', 'g') !~ '^[^\s.#{}]+(\.[^\s.#{}]+)*$'
            or options ->> 'topic' ~ '^(wamp(\.|$)|\{)'
        then
            raise exception 'topic "%" is not a template of a URI', options ->> 'topic'
                using errcode = 'invalid_parameter_value',
                    hint = 'Write parts separated by dots, with {op} and {column} for values, such as '
                        'com.example.orders.{op}.{customer_id}; wamp. belongs to the router.';
        end if;
    end if;
    perform wamp.require_columns(relation, options, '{}');
    -- Crossbar gives a retained event to later subscribers whatever their authid or role.
    if (options ->> 'retain')::boolean
        and (options ? 'eligible_authid' or options ? 'eligible_authrole')
    then
        raise exception 'retain and eligible_authid or eligible_authrole exclude each other'
            using errcode = 'invalid_parameter_value',
                hint = 'The router gives retained events to whoever subscribes later.';
    end if;
    return options;
end
$$;
