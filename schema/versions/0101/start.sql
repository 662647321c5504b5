-- The rows without which nothing is captured, sequenced or published.
do $$
begin
    insert into wamp.sequencer (seen) values (pg_current_snapshot());
    -- The history that raw rows are written in before there is a log: a dump may have nothing else.
    insert into wamp.era (began, system_identifier, timeline, log_oid)
    select 0, system_identifier, 0, 'wamp.log'::regclass::oid::bigint from pg_control_system();
    insert into wamp.secret (key)
    values (uuid_send(gen_random_uuid()) || uuid_send(gen_random_uuid()));
    perform setval('wamp.signal', 0);
end
$$;
