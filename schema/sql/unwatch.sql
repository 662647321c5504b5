-- Stop publishing the changes of a table: wamp.unwatch('orders'). Harmless if it was not watched.
-- For members of the owner of the schema wamp who own the table.
create or replace function wamp.unwatch(relation regclass) returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
declare
    trigger_name text;
    member regclass;
    capture text;
begin
    if exists (
        select from pg_partition_ancestors(relation) as a
        where a.relid <> relation and a.relid in (select w.relation from wamp.watched as w)
    ) then
        raise exception '% is a partition of a watched table', relation
            using errcode = 'wrong_object_type',
                hint = 'Only the whole table can be watched, or not.';
    end if;
    for trigger_name, member, capture in
        select t.tgname, t.tgrelid::regclass, p.proname
        from pg_trigger as t
        join pg_proc as p on p.oid = t.tgfoid
        where t.tgname like 'wamp\_%' and p.pronamespace = 'wamp'::regnamespace
            and t.tgrelid in (
                select relation union all select relid from pg_partition_tree(relation))
    loop
        execute format('drop trigger %I on %s', trigger_name, member);
    end loop;
    perform wamp.drop_captures();
end
$$;
