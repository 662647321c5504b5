-- Lets the API and the events follow DDL: tells the components when a statement changed what they may
-- expose, and the sequencer how the rows of a watched table read from now on; gives a new partition its
-- triggers.
--
-- Event triggers are for superusers (some hosted servers have a role of their own for it). For
-- another role this does nothing, and the API follows `NOTIFY pgwamp, 'reload'` only. It can be
-- repeated as a superuser at any time; `pgwamp db upgrade` does so.
--
-- The function then belongs to that superuser and runs with its rights, whoever executes DDL: so nobody
-- needs a right in the schema wamp, and an ordinary owner of it cannot change the function. Only an event
-- trigger can call it. It takes no text from the owner of a table: the options of a watch stay as they
-- were given. Nothing that another role has written may run in it. Hence it asks the system catalogs
-- only, and the one function of the schema's owner that it calls has to run with that owner's rights: the
-- lock keeps the owner from changing that meanwhile. It comes last, because it could change the search path.
do $do$
begin
    create or replace function wamp.ddl_changed() returns event_trigger
    language plpgsql
    security definer
    set search_path = pg_catalog, pg_temp
    -- A partition that its owner keeps locked keeps nobody else's statement.
    set lock_timeout = '2s'
    as $$
    declare
        note constant oid := to_regprocedure('wamp.note_layouts(regclass[],regclass[])');
        changed regclass[] := '{}';
        altered regclass[] := '{}';
        part record;
    begin
        if tg_event = 'ddl_command_end' then
            -- From what the command has changed to the watched tables: to ask for the partitions of each
            -- would lock them all.
            changed := array(
                select t.tgrelid::regclass
                from pg_event_trigger_ddl_commands() as c
                cross join lateral (
                    select c.objid
                    union
                    select a.relid from pg_partition_ancestors(c.objid) as a
                    where c.classid = 'pg_class'::regclass
                    union
                    select k.oid from pg_class as k
                    where c.classid = 'pg_namespace'::regclass and k.relnamespace = c.objid
                ) as o (id)
                join pg_trigger as t on t.tgrelid = o.id and t.tgname = 'wamp_insert'
                    and t.tgfoid = 'wamp.capture()'::regprocedure
                where c.classid in ('pg_class'::regclass, 'pg_namespace'::regclass)
                    and not exists (
                        select from pg_partition_ancestors(t.tgrelid) as a
                        join pg_trigger as above on above.tgrelid = a.relid and above.tgfoid = t.tgfoid
                        where a.relid <> t.tgrelid));
            -- Other tables may have columns of their types.
            altered := array(
                select c.objid from pg_event_trigger_ddl_commands() as c
                where c.classid = 'pg_class'::regclass and c.command_tag in ('ALTER TYPE', 'ALTER TABLE')
                    and c.schema_name <> 'pg_temp'
                    and exists (
                        select from pg_type as t
                        join pg_depend as d on d.refclassid = 'pg_type'::regclass and d.deptype = 'n'
                            and d.refobjid in (t.oid, t.typarray)
                        where t.typrelid = c.objid));
        else
            changed := array(
                select t.tgrelid::regclass
                from pg_trigger as t
                join pg_class as c on c.oid = t.tgrelid and not c.relispartition
                where t.tgname = 'wamp_insert' and t.tgfoid = 'wamp.capture()'::regprocedure
                    and exists (
                        select from pg_event_trigger_dropped_objects() as d
                        where d.object_type = 'table column' and d.objid = t.tgrelid
                                -- The end of this command tells it.
                                and tg_tag <> 'ALTER TABLE'
                            -- Perhaps a partition: its rows are gone.
                            or c.relkind = 'p' and d.object_type = 'trigger'
                                and d.address_names[array_upper(d.address_names, 1)] = 'wamp_insert'));
        end if;
        begin
            -- What comes and goes without changing the API is passed over: temporary tables, our own.
            if tg_tag not in ('REFRESH MATERIALIZED VIEW', 'REINDEX')
                and (tg_event = 'sql_drop' and exists (
                    select from pg_event_trigger_dropped_objects()
                    where not is_temporary and schema_name is distinct from 'wamp'
                ) or tg_event = 'ddl_command_end' and exists (
                    select from pg_event_trigger_ddl_commands()
                    where schema_name is null or schema_name not in ('pg_temp', 'wamp')
                ))
            then
                if pg_notification_queue_usage() > 0.5 then
                    raise exception 'the queue of notifications is more than half full';
                end if;
                -- Of equal notifications a transaction sends one.
                perform pg_notify('pgwamp', 'reload');
            end if;
        exception when others then
            raise warning 'pgwamp was not told of a schema change: %', sqlerrm;
        end;
        if changed || altered = '{}' or note is null then
            return;
        end if;
        -- As wamp.create_triggers does: whoever makes a partition may have no right in the schema.
        for part in
            select format('create or replace trigger ' || fired
                    || ' for each statement execute function wamp.capture()', p.relid::regclass) as command
            from unnest(changed) as w (relation)
            cross join pg_partition_tree(w.relation) as p
            join pg_class as c on c.oid = p.relid and c.relkind in ('r', 'p')
            cross join unnest(array[
                'wamp_insert after insert on %s referencing new table as new_rows',
                'wamp_update after update on %s referencing old table as old_rows new table as new_rows',
                'wamp_delete after delete on %s referencing old table as old_rows',
                'wamp_truncate after truncate on %s']) as fired
            where not exists (
                select from pg_trigger as own
                where own.tgrelid = p.relid and own.tgname = split_part(fired, ' ', 1)
                    and own.tgfoid = 'wamp.capture()'::regprocedure and own.tgenabled in ('O', 'A'))
            union all
            select format('create constraint trigger wamp_end after insert or update on %s '
                'deferrable initially deferred for each row execute function wamp.capture_end()',
                w.relation) as command
            from unnest(changed) as w (relation)
            where exists (
                    select from pg_constraint as k
                    where k.conrelid = w.relation and k.contype in ('p', 'u') and k.condeferrable)
                and not exists (
                    select from pg_trigger where tgrelid = w.relation and tgname = 'wamp_end')
        loop
            execute part.command;
        end loop;
        if not exists (select from pg_namespace where nspname = 'wamp' and nspowner = current_user::regrole) then
            perform from pg_proc as p
            join pg_namespace as n on n.oid = p.pronamespace
            where p.oid = note and p.prosecdef and p.proowner = n.nspowner
            for share of p;
            if not found then
                raise exception 'wamp.note_layouts is not as pgwamp made it';
            end if;
        end if;
        perform wamp.note_layouts(changed, altered);
    exception
        -- A column that the options of its watch name cannot go: the message says so.
        when undefined_column then
            raise;
        when others then
            raise warning 'a watched table was not adapted to its change: %', sqlerrm;
    end
    $$;
    alter function wamp.ddl_changed() owner to current_user;
    comment on function wamp.ddl_changed() is 'Tell the components that the schema changed';
    revoke execute on function wamp.ddl_changed() from public;
    if not exists (select from pg_event_trigger where evtname = 'wamp_sql_drop') then
        create event trigger wamp_sql_drop on sql_drop execute function wamp.ddl_changed();
    end if;
    if not exists (select from pg_event_trigger where evtname = 'wamp_ddl_command_end') then
        create event trigger wamp_ddl_command_end on ddl_command_end
            execute function wamp.ddl_changed();
    end if;
exception when insufficient_privilege then
    null;
end
$do$;
