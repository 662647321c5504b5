-- The triggers of a watched table, and of its partitions: a statement fires those of the table that
-- it names, so that of the whole table or of one partition, never both.
--
-- The options are the first argument of each, and their only record, so that nothing can disagree
-- with them. A second one marks a partition: TRUNCATE of it alone deletes rows of the table, and they
-- are published while they can still be read.
--
-- Making a trigger waits for all who write to the table, and all wait for it: one that is there
-- already stays, so that ATTACH PARTITION and VALIDATE CONSTRAINT still wait for nobody.
create or replace function wamp.lay_triggers(relation regclass, options jsonb, capture text)
returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
declare
    member regclass;
    arguments text;
    stored bytea;
    fired text;
begin
    for member in
        select relation
        union all
        select p.relid from pg_partition_tree(relation) as p where p.relid <> relation
            and (select relkind from pg_class where oid = p.relid) in ('r', 'p')
    loop
        arguments := quote_literal(options) || case when member = relation then '' else ', ''partition''' end;
        stored := convert_to(options::text, getdatabaseencoding()) || '\x00'
            || case when member = relation then '' else 'partition\000'::bytea end;
        for fired in
            select unnest(array[
                'wamp_insert after insert on %s referencing new table as new_rows',
                'wamp_update after update on %s referencing old table as old_rows new table as new_rows',
                'wamp_delete after delete on %s referencing old table as old_rows'])
            union all
            select 'wamp_truncate after truncate on %s' where member = relation
            union all
            select 'wamp_truncate_before before truncate on %s'
            -- TRUNCATE of a partition that has some itself is one of each of these.
            where (member = relation) = (select relkind = 'p' from pg_class where oid = member)
        loop
            continue when exists (
                select from pg_trigger
                where tgrelid = member and tgname = split_part(fired, ' ', 1) and tgargs = stored
                    and tgenabled <> 'D' and tgfoid = format('wamp.%I()', capture)::regprocedure);
            execute format(
                'create or replace trigger ' || fired || ' for each statement execute function wamp.%I(%s)',
                member, capture, arguments);
        end loop;
    end loop;
end
$$;
