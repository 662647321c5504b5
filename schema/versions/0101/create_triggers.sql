-- The triggers of a watched table, and of its partitions: a statement fires those of the table that it
-- names, so that of the whole table or of one partition, never both.
--
-- Making a trigger waits for all who write to the table, and all wait for it: one that is there already
-- stays, so that ATTACH PARTITION and VALIDATE CONSTRAINT still wait for nobody.
create or replace function wamp.create_triggers(relation regclass) returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
declare
    command text;
begin
    for command in
        select format(
            'create or replace trigger ' || fired || ' for each statement execute function wamp.capture()',
            m.relid)
        from (
            select relation as relid, 0 as level
            union
            select p.relid, p.level from pg_partition_tree(relation) as p
        ) as m
        join pg_class as c on c.oid = m.relid and c.relkind in ('r', 'p')
        cross join unnest(array[
            'wamp_insert after insert on %s referencing new table as new_rows',
            'wamp_update after update on %s referencing old table as old_rows new table as new_rows',
            'wamp_delete after delete on %s referencing old table as old_rows',
            'wamp_truncate after truncate on %s']) as fired
        where not exists (
            select from pg_trigger as t
            where t.tgrelid = m.relid and t.tgname = split_part(fired, ' ', 1) and t.tgenabled in ('O', 'A')
                and t.tgfoid = 'wamp.capture()'::regprocedure)
        order by m.level
    loop
        execute command;
    end loop;
    -- Where keys are checked at the end of the transaction. It is made for the partitions, too, and cannot be
    -- replaced.
    if exists (
        select from pg_constraint as k
        where k.conrelid = relation and k.contype in ('p', 'u') and k.condeferrable)
    then
        if not exists (select from pg_trigger where tgrelid = relation and tgname = 'wamp_end') then
            execute format(
                'create constraint trigger wamp_end after insert or update on %s deferrable initially deferred '
                'for each row execute function wamp.capture_end()', relation);
        elsif exists (
            select from pg_trigger
            where tgrelid = relation and tgname = 'wamp_end' and tgenabled not in ('O', 'A'))
        then
            execute format('alter table %s enable trigger wamp_end', relation);
        end if;
    end if;
end
$$;
