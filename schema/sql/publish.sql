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
-- It would tell the caller the channel of the events.
set trace_notify = off
as $$
declare
    event_id bigint;
    written_at timestamptz;
    deferring constant boolean := nullif(current_setting('synchronous_commit') = 'off', false);
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
        deferring)
    returning id, created_at into event_id, written_at;
    -- As the functions that capture changes do; wamp.wake tells why.
    if (case when pg_try_advisory_lock_shared(20599, 3) then pg_advisory_unlock_shared(20599, 3) end) is null
    then
        perform wamp.wake(
            case when deferring is null
                and coalesce(pg_column_size(args), 0) + coalesce(pg_column_size(kwargs), 0)
                    + coalesce(pg_column_size(options), 0) < 8000
            then format('%s' || repeat(e'\x1f%s', 14), event_id, pg_current_xact_id(),
                to_json(written_at at time zone 'UTC'), null, null, null, topic, options, null, args, kwargs,
                null, null, null, pg_current_snapshot()) end,
            secret);
    end if;
    return event_id;
end
$$;
