-- Publish an event when this transaction commits:
--     select wamp.publish('com.example.hello', '["world"]', '{"loud": true}');
-- Two equal publishes are two events. What could not be published is refused here, while there is still
-- somebody to tell.
create or replace function wamp.publish(
    topic text,
    args jsonb default null,
    kwargs jsonb default null,
    options jsonb default null
) returns void
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
-- They would show the caller what others may publish.
set debug_print_parse = off
set debug_print_rewritten = off
set debug_print_plan = off
as $$
declare
    signal constant bigint := pg_sequence_last_value('wamp.signal'::regclass);
begin
    perform wamp.require_topic(topic);
    perform wamp.require_payload(args, kwargs);
    if options is not null then
        perform wamp.require_options(options);
    end if;
    -- As deep as a statement in its place, whose trigger is one deeper: it comes where it stands between these.
    insert into wamp.raw (turn, xid, place, n, depth, relation, op, old, new)
    values (
        coalesce(signal / 2 % 3, 0), pg_current_xact_id(), pg_current_wal_insert_lsn(), 0,
        pg_trigger_depth() + 1, 0, 'p', jsonb_build_object('topic', topic, 'options', options),
        case when args is null then '{}' else jsonb_build_object('args', args) end ||
            case when kwargs is null then '{}' else jsonb_build_object('kwargs', kwargs) end);
    if pg_sequence_last_value('wamp.signal'::regclass) % 2 = 1 and pg_notification_queue_usage() <= 0.5 then
        perform pg_notify('wamp.raw', '');
    end if;
end
$$;
