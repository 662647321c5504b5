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
-- were given. Nothing that another role has written may run with its rights. Hence it asks the system catalogs
-- only, and the one function of the schema's owner that it calls has to run with that owner's rights: the
-- lock keeps the owner from changing that meanwhile. It comes last, because it could change the search path,
-- of the session, too: whoever changes such columns trusts that owner, as docs/security.md says.
--
-- Nothing that an owner of another table does may fail or delay a statement: so it looks at what the
-- statement has changed, and waits for no lock that the statement does not have.
do $do$
declare
    command text;
begin
    create or replace function wamp.ddl_changed() returns event_trigger
    language plpgsql
    security definer
    set search_path = pg_catalog, pg_temp
    -- As in wamp.note_layouts.
    set debug_print_parse = off
    set debug_print_rewritten = off
    set debug_print_plan = off
    -- Whoever keeps wamp.raw locked holds up no statement for long.
    set lock_timeout = '2s'
    as $$
    declare
        note constant oid := to_regprocedure('wamp.note_layouts(regclass[],regclass[],regclass[])');
        captures constant oid[] := array[to_regprocedure('wamp.capture()'), to_regprocedure('wamp.capture_end()')];
        is_news boolean;
        -- Relations that the statement has changed, and those of them that lack the name of a column now.
        touched regclass[];
        lost regclass[];
        -- Of these, those that are captured, with what they are partitions of; and those whose rows other columns
        -- or tables can be made of.
        changed regclass[];
        altered regclass[];
        part record;
    begin
        -- What comes and goes without changing the API is passed over: temporary tables, our own.
        if tg_event = 'ddl_command_end' then
            select bool_or(schema_name is null or schema_name not in ('pg_temp', 'wamp')),
                array_agg(objid) filter (where classid = 'pg_class'::regclass and schema_name <> 'pg_temp'),
                array_agg(objid) filter (
                    where classid = 'pg_class'::regclass and objsubid <> 0 and schema_name <> 'pg_temp')
            into is_news, touched, lost
            from pg_event_trigger_ddl_commands();
            touched := touched || array(
                select c.oid::regclass
                from pg_event_trigger_ddl_commands() as s
                join pg_class as c on s.classid = 'pg_namespace'::regclass and c.relnamespace = s.objid);
        else
            select bool_or(not is_temporary and schema_name is distinct from 'wamp'),
                array_agg(objid) filter (where classid = 'pg_class'::regclass and objsubid <> 0 and not is_temporary)
            into is_news, lost
            from pg_event_trigger_dropped_objects();
            -- Nothing says what a partition or an index belonged to, but that is locked.
            touched := lost || array(
                select c.oid::regclass
                from (select distinct object_type as kind from pg_event_trigger_dropped_objects()) as d
                join pg_locks as l on l.pid = pg_backend_pid()
                    and d.kind in ('index', 'trigger') and l.mode in ('AccessExclusiveLock', 'ShareUpdateExclusiveLock')
                join pg_class as c on c.oid = l.relation
                where d.kind = 'trigger' and c.relkind = 'p'
                    or d.kind = 'index' and c.relreplident = 'i' and not exists (
                        select from pg_index as i where i.indrelid = c.oid and i.indisreplident));
        end if;
        if is_news and tg_tag not in ('REFRESH MATERIALIZED VIEW', 'REINDEX') then
            if pg_notification_queue_usage() <= 0.5 then
                -- Of equal notifications a transaction sends one.
                perform pg_notify('pgwamp', 'reload');
            else
                raise warning 'pgwamp was not told of a change: the queue of notifications is more than half full';
            end if;
        end if;
        changed := array(
            select distinct t.tgrelid::regclass
            from unnest(touched) as o (id)
            cross join lateral (select o.id union select relid from pg_partition_ancestors(o.id)) as m (id)
            join pg_trigger as t on t.tgrelid = m.id and t.tgname = 'wamp_insert' and t.tgfoid = any (captures));
        altered := array(
            select c.oid::regclass
            from pg_class as c
            where c.oid = any (touched) and exists (
                select from pg_depend as d
                where d.refclassid = 'pg_type'::regclass
                    and d.refobjid in (c.reltype, (select t.typarray from pg_type as t where t.oid = c.reltype))
                    and d.classid in ('pg_class'::regclass, 'pg_type'::regclass) and d.deptype = 'n'));
        if changed || altered = '{}' or note is null or tg_tag in ('COMMENT', 'SECURITY LABEL') then
            return;
        end if;
        -- As wamp.create_triggers does: whoever makes a partition may have no right in the schema. The statement
        -- has locked what it made.
        for part in
            select c.oid::regclass as relation, f.command
            from pg_locks as l
            join pg_class as c on c.oid = l.relation and c.relkind in ('r', 'p')
            cross join (values
                ('insert', ' referencing new table as new_rows'),
                ('update', ' referencing old table as old_rows new table as new_rows'),
                ('delete', ' referencing old table as old_rows'),
                ('truncate', '')) as s (op, tables)
            cross join lateral (
                select 'wamp_' || op, format('create or replace trigger wamp_%s after %1$s on %s%s for each statement '
                    'execute function wamp.capture()', op, c.oid::regclass, tables)
                union all
                select 'wamp_end', format('create constraint trigger wamp_end after insert or update on %s deferrable '
                    'initially deferred for each row execute function wamp.capture_end()', c.oid::regclass)
                where op = 'insert' and not c.relispartition and exists (
                    select from pg_constraint as k
                    where k.conrelid = c.oid and k.contype in ('p', 'u') and k.condeferrable)
            ) as f (name, command)
            where l.pid = pg_backend_pid() and l.mode = 'AccessExclusiveLock'
                and array(select c.oid union select relid from pg_partition_ancestors(c.oid)) && changed::oid[]
                and not exists (
                    select from pg_trigger as t
                    where t.tgrelid = c.oid and t.tgname = f.name and t.tgfoid = any (captures)
                        and t.tgenabled in ('O', 'A'))
        loop
            begin
                execute part.command;
            exception when others then
                raise warning '% is not captured: %', part.relation, sqlerrm;
            end;
        end loop;
        -- Asked of the rows that are locked: what has been renamed or replaced since is not called.
        perform from pg_proc as p
        join pg_namespace as n on n.oid = p.pronamespace
        where p.oid = note and p.proname = 'note_layouts' and n.nspname = 'wamp' and p.prosecdef
            and p.proowner = n.nspowner
        for share of p, n;
        if not found then
            raise warning 'changes are not read as they should be: wamp.note_layouts is not as pgwamp made it';
            return;
        end if;
        if tg_event = 'sql_drop' and tg_tag like 'ALTER%' then
            -- Its end tells how rows read.
            changed := '{}'; altered := '{}';
        end if;
        perform wamp.note_layouts(changed, altered, lost);
    end
    $$;
    -- That of a superuser stays as it is: the event triggers belong to the same one.
    if not exists (
        select from pg_proc as p join pg_roles as r on r.oid = p.proowner
        where p.oid = 'wamp.ddl_changed()'::regprocedure and r.rolsuper)
    then
        alter function wamp.ddl_changed() owner to current_user;
    end if;
    comment on function wamp.ddl_changed() is 'Tell the components that the schema changed';
    revoke execute on function wamp.ddl_changed() from public;
    -- One that is turned off stays so: whoever has done that may have reasons. One of another schema, which was
    -- called wamp before, gives way.
    for command in
        select format('drop event trigger %I', evtname)
        from pg_event_trigger
        where evtname in ('wamp_sql_drop', 'wamp_ddl_command_end') and evtfoid <> 'wamp.ddl_changed()'::regprocedure
    loop
        execute command;
    end loop;
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
