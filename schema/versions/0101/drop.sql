-- Everything that this revision has made. The triggers of watched tables go with their function.
do $$
declare
    command text;
begin
    execute 'drop function if exists wamp.ddl_changed() cascade';
    execute 'drop function wamp.capture() cascade';
    execute 'drop function wamp.capture_end() cascade';
    execute 'drop view wamp.watched';
    for command in
        select format('drop function %s', p.oid::regprocedure)
        from pg_proc as p
        where p.pronamespace = 'wamp'::regnamespace
    loop
        execute command;
    end loop;
    drop table wamp.log, wamp.raw, wamp.sequencer, wamp.era, wamp.secret, wamp.watch, wamp.layout,
        wamp.publication, wamp.lease, wamp.component;
    drop sequence wamp.signal;
end
$$;
