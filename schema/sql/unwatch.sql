-- Stop publishing the changes of a table: wamp.unwatch('orders'). Harmless if it was not watched.
create or replace function wamp.unwatch(relation regclass) returns void
language plpgsql
as $$
declare
    trigger_name text;
    member regclass;
    capture text;
begin
    for trigger_name, member, capture in
        select t.tgname, t.tgrelid::regclass, p.proname
        from pg_catalog.pg_trigger as t
        join pg_catalog.pg_proc as p on p.oid = t.tgfoid
        where t.tgname like 'wamp\_%' and p.pronamespace = 'wamp'::regnamespace
            and t.tgrelid in (
                select relation union all select relid from pg_catalog.pg_partition_tree(relation))
    loop
        execute format('drop trigger %I on %s', trigger_name, member);
    end loop;
    perform wamp.drop_captures();
end
$$;
