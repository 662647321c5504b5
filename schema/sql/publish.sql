-- Publish an event when this transaction commits:
--     select wamp.publish('com.example.hello', '["world"]', '{"loud": true}');
-- The event's id is returned. Two equal publishes are two events.
create or replace function wamp.publish(
    topic text,
    args jsonb default null,
    kwargs jsonb default null,
    options jsonb default null
) returns bigint
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    unknown text;
    event_id bigint;
begin
    if topic is null or topic !~ '^[^\s.#]+(\.[^\s.#]+)*$' then
        raise exception 'topic % is not a WAMP URI', coalesce(quote_literal(topic), 'null')
            using errcode = 'invalid_parameter_value',
                hint = 'Write parts separated by dots, such as com.example.hello.';
    end if;
    if topic ~ '^wamp(\.|$)' then
        raise exception 'topic % belongs to the router', quote_literal(topic)
            using errcode = 'insufficient_privilege',
                hint = 'Topics that begin with wamp. are reserved; use your own prefix.';
    end if;
    if jsonb_typeof(args) <> 'array' then
        raise exception 'args must be a JSON array' using errcode = 'invalid_parameter_value';
    end if;
    if jsonb_typeof(kwargs) <> 'object' then
        raise exception 'kwargs must be a JSON object' using errcode = 'invalid_parameter_value';
    end if;
    if jsonb_typeof(options) <> 'object' then
        raise exception 'options must be a JSON object' using errcode = 'invalid_parameter_value';
    end if;
    select string_agg(key, ', ') into unknown
    from jsonb_object_keys(options) as key
    where key not in (
        'acknowledge', 'exclude_me', 'retain',
        'exclude', 'exclude_authid', 'exclude_authrole',
        'eligible', 'eligible_authid', 'eligible_authrole');
    if unknown is not null then
        raise exception 'unknown options: %', unknown
            using errcode = 'invalid_parameter_value',
                hint = 'Allowed are acknowledge, exclude_me, retain, exclude, exclude_authid, '
                    'exclude_authrole, eligible, eligible_authid and eligible_authrole.';
    end if;
    insert into wamp.event (slot, topic, args, kwargs, options)
    values ((select slot from wamp.retention), topic, args, kwargs, options)
    returning id into event_id;
    perform wamp.wake();
    return event_id;
end
$$;
