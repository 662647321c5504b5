-- Everything that this revision has made. The triggers of watched tables go with their function.
do $$
declare
    command text;
begin
    execute 'drop function if exists wamp.ddl_changed() cascade';
    execute 'drop function wamp.capture() cascade';
    execute 'drop function wamp.capture_end() cascade';
    execute 'drop view wamp.watched';
    execute 'drop view wamp.progress';
    for command in
        select format('drop function %s', p.oid::regprocedure)
        from pg_proc as p
        where p.pronamespace = 'wamp'::regnamespace
    loop
        execute command;
    end loop;
    -- One by one: of several, PostgreSQL does not say which one something depends on.
    drop table wamp.log;
    drop table wamp.raw;
    drop table wamp.sequencer;
    drop table wamp.era;
    drop table wamp.secret;
    drop table wamp.watch;
    drop table wamp.layout;
    drop table wamp.publication;
    drop table wamp.lease;
    drop table wamp.component;
    drop sequence wamp.signal;
end
$$;
