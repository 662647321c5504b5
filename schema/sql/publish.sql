-- Publish an event when this transaction commits:
--     select wamp.publish('com.example.hello', '["world"]', '{"loud": true}');
-- The event's id is returned. Two equal publishes are two events. What could not be published is
-- refused here, while there is still somebody to tell.
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
    event_id bigint;
    current_slot smallint;
    secret text;
begin
    perform wamp.require_topic(topic);
    perform wamp.require_payload(args, kwargs);
    if options is not null then
        perform wamp.require_options(options);
    end if;
    select slot, channel into current_slot, secret from wamp.retention;
    insert into wamp.event (slot, topic, args, kwargs, options, size, deferred)
    values (
        current_slot, topic, args, kwargs, options,
        coalesce(pg_column_size(args), 0)::bigint + coalesce(pg_column_size(kwargs), 0),
        nullif(current_setting('synchronous_commit') = 'off', false))
    returning id into event_id;
    perform wamp.wake(event_id, current_slot, secret);
    return event_id;
end
$$;
