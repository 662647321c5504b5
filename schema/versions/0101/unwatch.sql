-- Stop publishing the changes of a table: wamp.unwatch('orders'). Harmless if it was not watched. What was
-- written before is still published. For members of the owner of the schema wamp who own the table.
create or replace function wamp.unwatch(relation regclass) returns void
language plpgsql
set search_path = pg_catalog, pg_temp
set lock_timeout = '10s'
as $$
declare
    command text;
begin
    if exists (
        select from pg_partition_ancestors(relation) as a
        join wamp.watch as w on w.relation = a.relid
        where a.relid <> unwatch.relation
    ) then
        raise exception '% is a partition of a watched table', relation
            using errcode = 'wrong_object_type',
                hint = 'Only the whole table can be watched, or not.';
    end if;
    for command in
        select format('drop trigger %I on %s', t.tgname, t.tgrelid::regclass)
        from pg_trigger as t
        join (
            select unwatch.relation as relid, 0 as level
            union
            select p.relid, p.level from pg_partition_tree(unwatch.relation) as p
        ) as m on m.relid = t.tgrelid
        where t.tgfoid in ('wamp.capture()'::regprocedure, 'wamp.capture_end()'::regprocedure) and t.tgparentid = 0
            -- A watched table that has become a partition is captured as long as it is watched itself.
            and not exists (
                select from pg_partition_ancestors(m.relid) as a
                join wamp.watch as w on w.relation = a.relid
                where w.relation <> unwatch.relation)
        -- By this one wamp.ddl_changed knows the tables that it gives missing triggers, and their partitions.
        order by t.tgname <> 'wamp_insert', m.level
    loop
        begin
            execute command;
        exception when insufficient_privilege then
            -- Of a partition that belongs to somebody else: nobody reads what it writes.
            raise warning '%: %', command, sqlerrm;
        end;
    end loop;
    delete from wamp.watch as w where w.relation = unwatch.relation;
    if found then
        perform wamp.note(relation, 'x', null);
    end if;
end
$$;
