-- The rows without which nothing is captured, sequenced or published.
do $$
declare
    own constant bigint := pg_current_xact_id()::text::bigint;
    snapshot constant pg_snapshot := pg_current_snapshot();
begin
    -- Tables may be watched in this transaction. A snapshot leaves its own one out, and shows it if a later one has
    -- ended already: it is put in.
    insert into wamp.sequencer (seen)
    select format('%s:%s:%s', least(pg_snapshot_xmin(snapshot)::text::bigint, own),
        greatest(pg_snapshot_xmax(snapshot)::text::bigint, own + 1),
        string_agg(running::text, ',' order by running))::pg_snapshot
    from (select pg_snapshot_xip(snapshot) union select own::text::xid8) as r (running);
    -- The history that raw rows are written in before there is a log: a dump may have nothing else.
    insert into wamp.era (began, system_identifier, timeline, log_oid)
    select 0, system_identifier, 0, 'wamp.log'::regclass::oid::bigint from pg_control_system();
    insert into wamp.secret (key)
    values (uuid_send(gen_random_uuid()) || uuid_send(gen_random_uuid()));
    perform setval('wamp.signal', 0);
end
$$;
