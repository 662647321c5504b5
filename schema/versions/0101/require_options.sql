-- Raise unless these are options of wamp.publish, each with a value that the router takes.
create or replace function wamp.require_options(options jsonb) returns void
language plpgsql
immutable
set search_path = pg_catalog, pg_temp
set standard_conforming_strings = on
as $$
declare
    name text;
    given jsonb;
    problem text;
    cure text;
begin
    if jsonb_typeof(options) <> 'object' then
        raise exception 'options must be a JSON object' using errcode = 'invalid_parameter_value';
    end if;
    if octet_length(options::text) > 100000 then
        raise exception 'options have % bytes as JSON, more than the 100000 of an event',
            octet_length(options::text)
            using errcode = 'program_limit_exceeded',
                hint = 'Name roles instead of many sessions or users.';
    end if;
    for name, given in select key, value from jsonb_each(options) loop
        if jsonb_typeof(given) <> 'array' then
            given := jsonb_build_array(given);
        elsif name in ('acknowledge', 'exclude_me', 'retain') then
            given := '[null]';
        end if;
        problem := case
            when name in ('acknowledge', 'exclude_me', 'retain') then
                case when jsonb_typeof(given -> 0) <> 'boolean' then 'must be true or false' end
            when name in ('exclude', 'eligible') then
                case when exists (
                    select from jsonb_array_elements(given) as e where e::text !~ '^[1-9]\d{0,15}$'
                ) then 'must be the number of a session, or a list of such numbers' end
            when name in (
                'exclude_authid', 'exclude_authrole', 'eligible_authid', 'eligible_authrole'
            ) then
                case when exists (
                    select from jsonb_array_elements(given) as e where jsonb_typeof(e) <> 'string'
                ) then 'must be a string, or a list of strings' end
            else 'is unknown'
        end;
        cure := case problem when 'is unknown' then
            'Allowed are acknowledge, exclude_me, retain, exclude, exclude_authid, '
            'exclude_authrole, eligible, eligible_authid and eligible_authrole.' end;
        if problem is null and name ~ '^eligible' and given = '[]' then
            problem := 'is an empty list';
            cure := 'The router would deliver the event to everybody; publish only if somebody '
                'is eligible.';
        end if;
        if problem is null and name ~ '^(exclude|eligible)(_auth|$)'
            and options -> 'retain' = 'true' then
            problem := 'cannot be combined with retain';
            cure := 'Crossbar.io gives a retained event to later subscribers whatever the other '
                'options say; leave out retain, or publish to a topic that only they may '
                'subscribe to.';
        end if;
        if problem is not null then
            raise exception 'option % %', name, problem
                using errcode = 'invalid_parameter_value',
                    hint = coalesce(cure, 'Correct it, or leave it out.');
        end if;
    end loop;
end
$$;
