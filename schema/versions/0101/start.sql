-- The rows without which nothing is captured, sequenced or published.
do $$
begin
    insert into wamp.sequencer (seen) values (pg_current_snapshot());
    insert into wamp.secret (key)
    values (uuid_send(gen_random_uuid()) || uuid_send(gen_random_uuid()));
    perform setval('wamp.signal', 0);
end
$$;
