-- Lets the API follow DDL: tells the components when a statement changed what they may expose.
--
-- Event triggers are for superusers (some hosted servers have a role of their own for it). For
-- another role this does nothing, and the API follows `NOTIFY pgwamp, 'reload'` only. It can be
-- repeated as a superuser at any time; `pgwamp db upgrade` does so. The function then belongs to
-- that superuser: it runs with the rights of whoever executes DDL, so that an owner with fewer
-- rights could change it into a way to more.
do $do$
begin
    create or replace function wamp.ddl_changed() returns event_trigger
    language plpgsql
    set search_path = pg_catalog, pg_temp
    as $$
    declare
        changed regclass;
    begin
        begin
            -- A watched table follows at once, with its new columns, key and partitions.
            if tg_event = 'ddl_command_end' and to_regprocedure('wamp.refresh(regclass)') is not null then
                for changed in
                    select distinct w.relation
                    from pg_event_trigger_ddl_commands() as c
                    join wamp.watched as w
                        on w.relation = c.objid or w.relation = pg_partition_root(c.objid::regclass)
                    where c.classid = 'pg_class'::regclass
                loop
                    perform wamp.refresh(changed);
                end loop;
            end if;
        exception
            -- A column that the options of its watch name cannot go: the message says so.
            when undefined_column then
                raise;
            when others then
                raise warning 'a watched table was not adapted to its change: %', sqlerrm;
        end;
        -- What comes and goes without changing the API is passed over: temporary tables, our own.
        if tg_tag in ('REFRESH MATERIALIZED VIEW', 'REINDEX') then
            return;
        elsif tg_event = 'sql_drop' and exists (
            select from pg_event_trigger_dropped_objects()
            where not is_temporary and schema_name is distinct from 'wamp'
        ) or tg_event = 'ddl_command_end' and exists (
            select from pg_event_trigger_ddl_commands()
            where schema_name is null or schema_name not in ('pg_temp', 'wamp')
        ) then
            -- Of equal notifications a transaction sends one.
            perform pg_notify('pgwamp', 'reload');
        end if;
    exception
        when undefined_column then
            raise;
        when others then
            raise warning 'pgwamp was not told of a schema change: %', sqlerrm;
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
