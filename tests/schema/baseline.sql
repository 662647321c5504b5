-- A database at revision 0101, with events and with raw rows that are none yet.
-- Made by: python -m tests.schema.baseline
-- The roles pgwamp_events, who owns it, and pgwamp_calls have to be there.
-- Cursors of its events, and those that were handed out after the dump:
-- cursor: 4-W8IrQNYZwFEE
-- cursor: 5-9mLWCDXYSwAK
-- cursor: 6-sG1GPxPkiVhz
-- cursor: 7-fXb5PNL5oHNr
-- cursor: 8-J1AivGIh9SoI
-- lost: 9-oIJ9JkhHeSSQ
-- lost: 10-E5ec4-kHBkiO
-- lost: 11-Ej1LyAc56FnN
-- lost: 12-NcLEyrC5DhJG
--
-- PostgreSQL database dump
--


-- Dumped from database version 18.4
-- Dumped by pg_dump version 18.4

SET statement_timeout = 0;
SET lock_timeout = 0;
SET idle_in_transaction_session_timeout = 0;
SET client_encoding = 'UTF8';
SET standard_conforming_strings = on;
SELECT pg_catalog.set_config('search_path', '', false);
SET check_function_bodies = false;
SET xmloption = content;
SET client_min_messages = warning;
SET row_security = off;

--
-- Name: wamp; Type: SCHEMA; Schema: -; Owner: -
--

CREATE SCHEMA wamp;


--
-- Name: allow_publish(text, text[], text[]); Type: FUNCTION; Schema: wamp; Owner: -
--

CREATE FUNCTION wamp.allow_publish(own_prefix text, own_topics text[], own_roles text[]) RETURNS void
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET debug_print_parse TO 'off'
    SET debug_print_rewritten TO 'off'
    SET debug_print_plan TO 'off'
    AS $$
declare
    publish constant regprocedure := 'wamp.publish(text, jsonb, jsonb, jsonb)';
    former text[];
    name text;
begin
    select r into name from unnest(own_roles) as r
    where r <> 'public' and not exists (select from pg_roles where rolname = r);
    if found then
        raise exception 'there is no role %', quote_ident(name)
            using errcode = 'undefined_object';
    end if;
    -- Components that start at once would both change the rights of one function. It does not wait for the locks of
    -- those who write: by nextval, any role can have one on any relation.
    lock table wamp.component in share update exclusive mode;
    select roles into former from wamp.component where prefix = own_prefix;
    insert into wamp.component as c (prefix, topics, roles)
    values (own_prefix, own_prefix || '.' || own_topics, own_roles)
    on conflict (prefix) do update set topics = excluded.topics, roles = excluded.roles
    where (c.topics, c.roles) is distinct from (excluded.topics, excluded.roles);
    for name in
        select r from unnest(former) as r
        where not exists (select from wamp.component where r = any (roles))
            and (r = 'public' or exists (select from pg_roles where rolname = r))
    loop
        execute format('revoke execute on function %s from %I', publish, name);
        -- Whoever was given another right by hand has to name what it is on.
        if not exists (
            select from (
                select proacl from pg_proc where pronamespace = 'wamp'::regnamespace
                union all
                select relacl from pg_class where relnamespace = 'wamp'::regnamespace
            ) as o (acl), aclexplode(o.acl) as a
            where a.grantee = coalesce((select oid from pg_roles where rolname = name), 0)
        ) then
            execute format('revoke usage on schema wamp from %I', name);
        end if;
    end loop;
    for name in
        select r from unnest(own_roles) as r
        left join pg_roles as known on known.rolname = r
        where not exists (
            select from pg_proc as p, aclexplode(p.proacl) as a
            where p.oid = publish and a.grantee = coalesce(known.oid, 0)
        )
    loop
        -- Each GRANT makes every component reload, so not at every start.
        execute format('grant execute on function %s to %I', publish, name);
    end loop;
    for name in
        select r from unnest(own_roles) as r
        left join pg_roles as known on known.rolname = r
        where not exists (
            select from pg_namespace as n, aclexplode(n.nspacl) as a
            where n.nspname = 'wamp' and a.privilege_type = 'USAGE'
                and a.grantee = coalesce(known.oid, 0)
        )
    loop
        execute format('grant usage on schema wamp to %I', name);
    end loop;
end
$$;


--
-- Name: FUNCTION allow_publish(own_prefix text, own_topics text[], own_roles text[]); Type: COMMENT; Schema: wamp; Owner: -
--

COMMENT ON FUNCTION wamp.allow_publish(own_prefix text, own_topics text[], own_roles text[]) IS 'Say what wamp.publish may do';


--
-- Name: backlog(); Type: FUNCTION; Schema: wamp; Owner: -
--

CREATE FUNCTION wamp.backlog(OUT events bigint, OUT oldest double precision, OUT leader boolean, OUT published_at timestamp with time zone, OUT kept_since timestamp with time zone, OUT bytes bigint) RETURNS record
    LANGUAGE sql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET debug_print_parse TO 'off'
    SET debug_print_rewritten TO 'off'
    SET debug_print_plan TO 'off'
    SET enable_seqscan TO 'off'
    SET jit TO 'off'
    AS $$
with state as materialized (
    select s.position, coalesce(s.taking, s.seen) as seen,
        case when s.taking is null then 0 else 1 end as taking
    from wamp.progress as s
),
raw as materialized (
    select count(*) as number, min(r.at) as at
    from (
        select w.at from wamp.raw as w
        where w.xid >= pg_snapshot_xmax((select seen from state)) and w.op not in ('w', 'l', 'x', 'f', '-')
        union all
        -- Joined, so that no estimate of the planner makes it read everything.
        select r.at
        from pg_snapshot_xip((select seen from state)) as running,
            lateral (select w.at, w.op from wamp.raw as w where w.xid = running offset 0) as r
        where r.op not in ('w', 'l', 'x', 'f', '-')
        limit 1000000
    ) as r
),
waiting as materialized (
    select e.at
    from wamp.log as e
    where e.position > (select min(p.position) from wamp.publication as p)
        and not e.silent and e.op <> 'era'
    limit 1000000
)
select
    (select number from raw) + (select count(*) from waiting) + (select taking from state),
    coalesce((
        select greatest(extract(epoch from clock_timestamp() - min(w.at)), 0)
        from (select at from waiting union all select at from raw) as w
    ), 0)::float8,
    exists (
        select from wamp.lease as l
        where l.name = 'sequencer' and l.held and l.renewed_at > clock_timestamp() - interval '5 seconds'
    ),
    (select max(p.published_at) from wamp.publication as p),
    (select e.at from wamp.log as e where e.op not in ('era', 'watched', 'forgotten') order by e.position limit 1),
    (
        select coalesce(sum(pg_total_relation_size(inhrelid)), 0)::bigint
        from pg_inherits
        where inhparent in ('wamp.log'::regclass, 'wamp.raw'::regclass)
    )
$$;


--
-- Name: FUNCTION backlog(OUT events bigint, OUT oldest double precision, OUT leader boolean, OUT published_at timestamp with time zone, OUT kept_since timestamp with time zone, OUT bytes bigint); Type: COMMENT; Schema: wamp; Owner: -
--

COMMENT ON FUNCTION wamp.backlog(OUT events bigint, OUT oldest double precision, OUT leader boolean, OUT published_at timestamp with time zone, OUT kept_since timestamp with time zone, OUT bytes bigint) IS 'How publishing stands';


--
-- Name: capture(); Type: FUNCTION; Schema: wamp; Owner: -
--

CREATE FUNCTION wamp.capture() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET "TimeZone" TO 'UTC'
    SET "DateStyle" TO 'ISO, MDY'
    SET "IntervalStyle" TO 'iso_8601'
    SET bytea_output TO 'hex'
    SET extra_float_digits TO '1'
    SET lc_monetary TO 'C'
    SET quote_all_identifiers TO 'off'
    SET debug_print_parse TO 'off'
    SET debug_print_rewritten TO 'off'
    SET debug_print_plan TO 'off'
    AS $$
#variable_conflict use_variable
declare
    signal constant bigint := pg_sequence_last_value('wamp.signal'::regclass);
    its_place constant pg_lsn := pg_current_wal_insert_lsn();
    -- Without event triggers a hash of the columns, see stamps.sql.
    its_stamp constant integer := null;
    -- See raw.sql.
    its_changed constant integer := (pg_stat_get_xact_tuples_inserted(tg_relid)
        + pg_stat_get_xact_tuples_updated(tg_relid) + pg_stat_get_xact_tuples_deleted(tg_relid)) % 2147483648;
    its_op "char" := lower(tg_op collate "C");
    old_text text;
    new_text text;
    is_single boolean := false;
begin
    if signal is null then
        return null;
    end if;
    begin
        if tg_op = 'INSERT' then
            select textin(record_out(r.*)) into new_text from new_rows as r
            where not exists (select from new_rows as s offset 1) limit 1;
        elsif tg_op = 'DELETE' then
            select textin(record_out(r.*)) into old_text from old_rows as r
            where not exists (select from old_rows as s offset 1) limit 1;
        elsif tg_op = 'UPDATE' then
            select textin(record_out(r.*)), textin(record_out(s.*)) into old_text, new_text
            from old_rows as r cross join new_rows as s
            where not exists (select from old_rows as t offset 1) limit 1;
        end if;
        is_single := found or tg_op = 'TRUNCATE';
    exception when others then
        is_single := true;
        its_op := upper(its_op::text collate "C");
    end;
    if is_single then
        insert into wamp.raw (turn, stamp, changed, xid, place, n, depth, relation, op, old, new)
        values (
            signal / 2 % 3, its_stamp, its_changed, pg_current_xact_id(), its_place, 1, pg_trigger_depth(), tg_relid,
            its_op, old_text, new_text);
    else
        begin
            if tg_op = 'INSERT' then
                insert into wamp.raw (turn, stamp, changed, xid, place, n, depth, relation, op, old, new)
                select signal / 2 % 3, its_stamp, its_changed, pg_current_xact_id(), its_place, row_number() over (),
                    pg_trigger_depth(), tg_relid, its_op, null, textin(record_out(r.*))
                from new_rows as r;
            elsif tg_op = 'DELETE' then
                insert into wamp.raw (turn, stamp, changed, xid, place, n, depth, relation, op, old, new)
                select signal / 2 % 3, its_stamp, its_changed, pg_current_xact_id(), its_place, row_number() over (),
                    pg_trigger_depth(), tg_relid, its_op, textin(record_out(r.*)), null
                from old_rows as r;
            elsif (select count(*) from old_rows as r) = (select count(*) from new_rows as s) then
                insert into wamp.raw (turn, stamp, changed, xid, place, n, depth, relation, op, old, new)
                select signal / 2 % 3, its_stamp, its_changed, pg_current_xact_id(), its_place, o.number,
                    pg_trigger_depth(), tg_relid, its_op, o.record, w.record
                from (
                    select row_number() over () as number, textin(record_out(r.*)) as record
                    from old_rows as r
                ) as o
                join (
                    select row_number() over () as number, textin(record_out(s.*)) as record
                    from new_rows as s
                ) as w on w.number = o.number;
            else
                insert into wamp.raw (turn, stamp, changed, xid, place, n, depth, relation, op, old, new)
                select signal / 2 % 3, its_stamp, its_changed, pg_current_xact_id(), its_place, row_number() over (),
                    pg_trigger_depth(), tg_relid, 'd', textin(record_out(r.*)), null
                from old_rows as r
                union all
                select signal / 2 % 3, its_stamp, its_changed, pg_current_xact_id(), its_place,
                    (select count(*) from old_rows as o) + row_number() over (), pg_trigger_depth(),
                    tg_relid, 'i', null, textin(record_out(s.*))
                from new_rows as s;
            end if;
            if not found then
                return null;
            end if;
        exception when others then
            insert into wamp.raw (turn, stamp, changed, xid, place, n, depth, relation, op)
            values (
                signal / 2 % 3, its_stamp, its_changed, pg_current_xact_id(), its_place, 1,
                pg_trigger_depth(), tg_relid, upper(its_op::text collate "C"));
        end;
    end if;
    -- Asked again, now that the rows are written: a sequencer that falls asleep in between waits for us.
    if pg_sequence_last_value('wamp.signal'::regclass) % 2 = 1 and pg_notification_queue_usage() <= 0.5 then
        perform pg_notify('wamp.raw', '');
    end if;
    return null;
end
$$;


--
-- Name: FUNCTION capture(); Type: COMMENT; Schema: wamp; Owner: -
--

COMMENT ON FUNCTION wamp.capture() IS 'Write what a statement has changed';


--
-- Name: capture_end(); Type: FUNCTION; Schema: wamp; Owner: -
--

CREATE FUNCTION wamp.capture_end() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET debug_print_parse TO 'off'
    SET debug_print_rewritten TO 'off'
    SET debug_print_plan TO 'off'
    AS $$
declare
    signal constant bigint := pg_sequence_last_value('wamp.signal'::regclass);
begin
    if signal is not null then
        insert into wamp.raw (turn, xid, place, n, depth, relation, op)
        values (signal / 2 % 3, pg_current_xact_id(), pg_current_wal_insert_lsn(), 0, 0, tg_relid, '-');
    end if;
    return null;
end
$$;


--
-- Name: FUNCTION capture_end(); Type: COMMENT; Schema: wamp; Owner: -
--

COMMENT ON FUNCTION wamp.capture_end() IS 'Write where a transaction ends whose keys are checked then';


--
-- Name: create_triggers(regclass); Type: FUNCTION; Schema: wamp; Owner: -
--

CREATE FUNCTION wamp.create_triggers(relation regclass) RETURNS void
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
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


--
-- Name: FUNCTION create_triggers(relation regclass); Type: COMMENT; Schema: wamp; Owner: -
--

COMMENT ON FUNCTION wamp.create_triggers(relation regclass) IS 'Make the triggers of a watched table';


--
-- Name: ddl_changed(); Type: FUNCTION; Schema: wamp; Owner: -
--

CREATE FUNCTION wamp.ddl_changed() RETURNS event_trigger
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET debug_print_parse TO 'off'
    SET debug_print_rewritten TO 'off'
    SET debug_print_plan TO 'off'
    SET lock_timeout TO '2s'
    AS $_$
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
    $_$;


--
-- Name: FUNCTION ddl_changed(); Type: COMMENT; Schema: wamp; Owner: -
--

COMMENT ON FUNCTION wamp.ddl_changed() IS 'Tell the components that the schema changed';


--
-- Name: evaluate(text, json); Type: FUNCTION; Schema: wamp; Owner: -
--

CREATE FUNCTION wamp.evaluate(statement text, records json) RETURNS json
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET debug_print_parse TO 'off'
    SET debug_print_rewritten TO 'off'
    SET debug_print_plan TO 'off'
    SET "TimeZone" TO 'UTC'
    SET "DateStyle" TO 'ISO, MDY'
    SET "IntervalStyle" TO 'iso_8601'
    SET bytea_output TO 'hex'
    SET extra_float_digits TO '1'
    SET lc_monetary TO 'C'
    SET standard_conforming_strings TO 'on'
    SET transform_null_equals TO 'off'
    SET array_nulls TO 'on'
    SET xmloption TO 'content'
    AS $$
declare
    -- Read before the search path is set.
    answer pg_catalog.json;
begin
    set local search_path = pg_catalog, pg_temp;
    begin
        set local role none;
        raise exception 'wamp.evaluate has been altered, and evaluates nothing'
            using errcode = 'object_not_in_prerequisite_state',
                hint = 'As a superuser run: pgwamp db upgrade';
    exception when insufficient_privilege then
        -- As it should be: PostgreSQL refuses that within SECURITY DEFINER alone.
        null;
    end;
    -- By the catalog, because this role may not name what is in the schema.
    if not exists (
        select from pg_proc as p join pg_namespace as n on n.oid = p.pronamespace
        where n.nspname = 'wamp' and p.proname = 'evaluate' and p.proargtypes = '25 114'
            and pg_get_userbyid(p.proowner) = current_user
    ) then
        -- It is called from within another one.
        raise exception 'wamp.evaluate has been altered, and evaluates nothing'
            using errcode = 'object_not_in_prerequisite_state',
                hint = 'As a superuser run: pgwamp db upgrade';
    end if;
    -- As in wamp.capture.
    set local debug_print_parse = off;
    set local debug_print_rewritten = off;
    set local debug_print_plan = off;
    set local timezone = 'UTC';
    set local datestyle = 'ISO, MDY';
    set local intervalstyle = 'iso_8601';
    set local bytea_output = 'hex';
    set local extra_float_digits = 1;
    set local lc_monetary = 'C';
    set local standard_conforming_strings = on;
    set local transform_null_equals = off;
    set local array_nulls = on;
    set local xmloption = content;
    execute statement into answer using records;
    if octet_length(answer::text) > 33554432 then
        raise exception 'computed columns are too long' using errcode = 'program_limit_exceeded';
    end if;
    return answer;
end
$$;


--
-- Name: FUNCTION evaluate(statement text, records json); Type: COMMENT; Schema: wamp; Owner: -
--

COMMENT ON FUNCTION wamp.evaluate(statement text, records json) IS 'Conditions and computed columns of rows as they were';


--
-- Name: evaluation(jsonb, text); Type: FUNCTION; Schema: wamp; Owner: -
--

CREATE FUNCTION wamp.evaluation(layout jsonb, condition text) RETURNS text
    LANGUAGE plpgsql STABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $_$
declare
    missing text;
    source text;
    computed text;
    texts text;
begin
    with recursive member as (
        select n, r ->> 0 as name, (r ->> 1)::oid as type, (r ->> 2)::oid as collated
        from jsonb_array_elements(nullif(layout -> 'reads', 'null')) with ordinality as m (r, n)
    ),
    base (n, type) as (
        select n, type from member
        union all
        select b.n, t.typbasetype from base as b join pg_type as t on t.oid = b.type and t.typtype = 'd'
    ),
    declared as (
        select m.n, quote_ident(m.name) as name, m.name as plain, format_type(t.oid, -1) as type,
            coalesce(' collate ' || c.oid::regcollation, '') as collated,
            m.n in (select n from base where type in ('json'::regtype, 'jsonb'::regtype)) as is_json,
            t.oid is null or m.collated is not null and c.oid is null as is_missing
        from member as m
        left join pg_type as t on t.oid = m.type
        left join pg_collation as c on c.oid = m.collated
    )
    select
        string_agg('"' || plain || '"', ', ' order by n) filter (where is_missing),
        case when count(*) = 0 then '(select)' else format(
            '(select %s from json_to_record(x.record) as r (%s))',
            string_agg(
                'r.' || name || case when is_json then '::' || type || ' as ' || name else '' end, ', ' order by n),
            string_agg(name || ' ' || case when is_json then 'text' else type || collated end, ', ' order by n))
        end
    into missing, source
    from declared;
    if missing is not null then
        raise exception 'columns or their types or collations are not there: %', missing
            using errcode = 'undefined_object';
    end if;
    select
        string_agg(
            format('(%s)::%s%s as %I', v ->> 4, format_type((v ->> 1)::oid, (v ->> 2)::integer),
                ' collate ' || (v ->> 3)::oid::regcollation, v ->> 0),
            ', ' order by n),
        format('textin(record_out(row(%s)))', string_agg('r.' || quote_ident(v ->> 0), ', ' order by n))
    into computed, texts
    from jsonb_array_elements(nullif(layout -> 'virtual', 'null')) with ordinality as m (v, n);
    if computed is null then
        texts := 'null';
    else
        source := format('(select r.*, %s from %s as r)', computed, source);
    end if;
    -- What follows a comment at the end of the condition is on a line of its own.
    return format(
        'select json_agg(json_build_array(q.visible, q.virtual) order by x.n) '
        'from json_array_elements($1) with ordinality as x (record, n) '
        'cross join lateral (select %s as visible, %s as virtual from %s as r) as q',
        coalesce('(' || condition || e'\n) is true', 'true'), texts, source);
end
$_$;


--
-- Name: FUNCTION evaluation(layout jsonb, condition text); Type: COMMENT; Schema: wamp; Owner: -
--

COMMENT ON FUNCTION wamp.evaluation(layout jsonb, condition text) IS 'SQL of conditions and computed columns, for wamp.evaluate';


--
-- Name: expressions(oid); Type: FUNCTION; Schema: wamp; Owner: -
--

CREATE FUNCTION wamp.expressions(relation oid) RETURNS jsonb
    LANGUAGE plpgsql STABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET lock_timeout TO '1ms'
    SET "TimeZone" TO 'UTC'
    SET "DateStyle" TO 'ISO, MDY'
    SET "IntervalStyle" TO 'iso_8601'
    SET bytea_output TO 'hex'
    SET extra_float_digits TO '1'
    SET lc_monetary TO 'C'
    SET quote_all_identifiers TO 'off'
    AS $$
begin
    return (
        select coalesce(jsonb_object_agg(d.adnum::text, pg_get_expr(d.adbin, d.adrelid)), '{}')
        from pg_attribute as a
        join pg_attrdef as d on d.adrelid = a.attrelid and d.adnum = a.attnum
        where a.attrelid = relation and a.attgenerated = 'v' and not a.attisdropped);
exception when others then
    return null;
end
$$;


--
-- Name: FUNCTION expressions(relation oid); Type: COMMENT; Schema: wamp; Owner: -
--

COMMENT ON FUNCTION wamp.expressions(relation oid) IS 'The expressions of virtual columns, without waiting';


--
-- Name: forget(regclass); Type: FUNCTION; Schema: wamp; Owner: -
--

CREATE FUNCTION wamp.forget(relation regclass) RETURNS void
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
declare
    members constant regclass[] := array(
        select forget.relation union select p.relid from pg_partition_tree(forget.relation) as p);
begin
    update wamp.raw as r set op = '-', old = null, new = null
    where r.relation = any (members) and r.op in ('i', 'u', 'd');
    update wamp.log as e set op = 'forgotten', topic = null, options = null, body = null, silent = true
    where e.relation = forget.relation and e.op <> 'forgotten';
    -- Again, in order: the sequencer may have read the raw rows before.
    perform wamp.note(relation, 'f', null);
end
$$;


--
-- Name: FUNCTION forget(relation regclass); Type: COMMENT; Schema: wamp; Owner: -
--

COMMENT ON FUNCTION wamp.forget(relation regclass) IS 'Erase what is kept of the changes of a table';


--
-- Name: is_outdated(oid); Type: FUNCTION; Schema: wamp; Owner: -
--

CREATE FUNCTION wamp.is_outdated(relation oid) RETURNS boolean
    LANGUAGE sql STABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
    with recursive member as (
        select relation as oid
        union all
        select i.inhrelid from member as m join pg_inherits as i on i.inhparent = m.oid
    )
    select not exists (select from member as m join pg_class as c on c.oid = m.oid and c.relkind = 'r')
        or exists (
            select from pg_attribute as a
            where a.attrelid = relation and a.attnum > 0 and not a.attisdropped
                and (pg_identify_object_as_address('pg_class'::regclass, relation, a.attnum)).object_names[3]
                    is distinct from a.attname)
        or exists (
            select from member as m
            join pg_class as c on c.oid = m.oid
            where nullif(c.relfilenode, 0) is distinct from pg_relation_filenode(c.oid))
$$;


--
-- Name: FUNCTION is_outdated(relation oid); Type: COMMENT; Schema: wamp; Owner: -
--

COMMENT ON FUNCTION wamp.is_outdated(relation oid) IS 'Whether this transaction sees a table as it was';


--
-- Name: key_columns(regclass); Type: FUNCTION; Schema: wamp; Owner: -
--

CREATE FUNCTION wamp.key_columns(relation regclass) RETURNS text[]
    LANGUAGE sql STABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
    select array_agg(a.attname::text order by k.position)
    from (
        select i.indrelid, i.indkey, i.indnkeyatts
        from pg_index as i
        where i.indrelid = relation and (i.indisprimary or i.indisreplident)
        order by i.indisprimary desc
        limit 1
    ) as i
    cross join lateral unnest(i.indkey::smallint[]) with ordinality as k (attnum, position)
    join pg_attribute as a on a.attrelid = i.indrelid and a.attnum = k.attnum
    where k.position <= i.indnkeyatts
$$;


--
-- Name: FUNCTION key_columns(relation regclass); Type: COMMENT; Schema: wamp; Owner: -
--

COMMENT ON FUNCTION wamp.key_columns(relation regclass) IS 'The columns that identify a row of a table';


--
-- Name: layout(regclass); Type: FUNCTION; Schema: wamp; Owner: -
--

CREATE FUNCTION wamp.layout(relation regclass) RETURNS jsonb
    LANGUAGE sql STABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET jit TO 'off'
    SET quote_all_identifiers TO 'off'
    AS $$
with recursive member as (
    select relation::oid as oid
    union all
    select c.oid
    from member as m
    join pg_inherits as i on i.inhparent = m.oid and not i.inhdetachpending
    join pg_class as c on c.oid = i.inhrelid and c.relispartition
),
attribute as (
    select a.attrelid, a.attnum, a.attname, a.atttypid, a.atttypmod, a.attcollation, a.attgenerated, d.oid as def,
        -- Its length is known without reading it.
        case when a.attgenerated = 'v' and a.attrelid = relation then octet_length(d.adbin::text) end as length
    from member as m
    join pg_attribute as a on a.attrelid = m.oid and a.attnum > 0 and not a.attisdropped
    left join pg_attrdef as d on d.adrelid = a.attrelid and d.adnum = a.attnum
),
reads (attname) as (
    select unnest(w.condition_columns) from wamp.watch as w where w.relation = layout.relation
    union
    select a.attname
    from attribute as v
    join pg_depend as d on d.classid = 'pg_attrdef'::regclass and d.objid = v.def
        and d.refclassid = 'pg_class'::regclass and d.refobjid = v.attrelid
    join attribute as a on a.attrelid = v.attrelid and a.attnum = d.refobjsubid
    where v.attrelid = relation and v.attgenerated = 'v'
),
columns as (
    select attrelid, jsonb_agg(jsonb_build_array(attname, atttypid::bigint) order by attnum) as list
    from attribute
    group by attrelid
),
told_columns as (
    select k.attrelid, k.list
    from columns as k
    where k.attrelid = relation or k.list <> (select o.list from columns as o where o.attrelid = relation)
),
needed (oid) as (
    select distinct atttypid from attribute
    union
    select part.oid
    from needed as w
    join pg_type as t on t.oid = w.oid
    left join pg_range as r on r.rngtypid = t.oid or r.rngmultitypid = t.oid
    cross join lateral (
        select t.typbasetype where t.typtype = 'd'
        union all
        select t.typelem where t.typcategory = 'A'
        union all
        select r.rngsubtype where r.rngtypid is not null
        union all
        select a.atttypid
        from pg_attribute as a
        where t.typtype = 'c' and a.attrelid = t.typrelid and a.attnum > 0 and not a.attisdropped
    ) as part (oid)
),
-- More would hold up whoever reads them. What takes time comes after this.
is_small as (
    select (select coalesce(sum(jsonb_array_length(k.list)), 0) from told_columns as k) <= 50000
        and (
            select coalesce(sum(c.relnatts), 0) + count(*)
            from needed as w
            join pg_type as t on t.oid = w.oid
            left join pg_class as c on c.oid = t.typrelid
        ) <= 20000
        and (select coalesce(sum(a.length), 0) from attribute as a) <= 4000000 as yes
),
expression as materialized (
    select case
        when not exists (select from attribute as a where a.length is not null) then '{}'
        when (select yes from is_small) then wamp.expressions(relation)
    end as list
),
virtual as (
    select a.attname, a.atttypid, a.atttypmod, a.attcollation, a.attnum, e.list ->> a.attnum::text as expression
    from attribute as a
    cross join expression as e
    where a.attgenerated = 'v' and a.attrelid = relation
),
is_readable as materialized (
    select (select yes from is_small) and not exists (select from virtual as v where v.expression is null) as yes
),
type as (
    select jsonb_agg(jsonb_strip_nulls(jsonb_build_object(
        'oid', t.oid::bigint,
        'name', case when n.nspname = 'pg_catalog' then format_type(t.oid, -1) end,
        'typname', case when n.nspname = 'pg_catalog' or t.typname = 'hstore' then t.typname end,
        'kind', t.typtype,
        'category', t.typcategory,
        'schema', case when n.nspname = 'pg_catalog' then n.nspname end,
        'base', case when t.typtype = 'd' then t.typbasetype::bigint end,
        'relid', nullif(t.typrelid, 0)::bigint,
        'element', case when t.typcategory = 'A' then t.typelem::bigint else r.rngsubtype::bigint end,
        'fields', case when t.typtype = 'c' then (
            select jsonb_agg(jsonb_build_array(a.attname, a.atttypid::bigint) order by a.attnum)
            from pg_attribute as a
            where a.attrelid = t.typrelid and a.attnum > 0 and not a.attisdropped
        ) end,
        'delimiter', t.typdelim
    )) order by t.oid) as list
    from needed as w
    join pg_type as t on t.oid = w.oid
    join pg_namespace as n on n.oid = t.typnamespace
    left join pg_range as r on r.rngtypid = t.oid or r.rngmultitypid = t.oid
)
select jsonb_build_object(
    'schema', n.nspname,
    'name', c.relname,
    'key', wamp.key_columns(relation),
    'deferrable', exists (
        select from pg_constraint as k
        where k.conrelid = relation and k.contype in ('p', 'u') and k.condeferrable),
    'columns', (
        select jsonb_object_agg(k.attrelid::text, k.list)
        from told_columns as k
        where (select yes from is_readable)),
    'filled', (
        select jsonb_agg(m.oid::bigint) from member as m
        where m.oid <> relation
            and case when m.oid in (select l.relation from pg_locks as l where l.pid = pg_backend_pid())
                then pg_relation_size(m.oid) > 0 end),
    'partitions', (
        select jsonb_object_agg(m.oid::text, format('%s.%s', s.nspname, k.relname))
        from member as m
        join pg_class as k on k.oid = m.oid
        join pg_namespace as s on s.oid = k.relnamespace
        where m.oid <> relation),
    'reads', (
        select jsonb_agg(
            jsonb_build_array(r.attname, a.atttypid::bigint, nullif(a.attcollation, t.typcollation)::bigint)
            order by a.attnum, r.attname)
        from reads as r
        left join attribute as a on a.attrelid = relation and a.attname = r.attname
        left join pg_type as t on t.oid = a.atttypid
        where a.attgenerated is distinct from 'v'),
    'stamps', (select jsonb_object_agg(oid::text, wamp.stamp(oid)) from member),
    'types', case when (select yes from is_readable) then coalesce((select list from type), '[]') end,
    'virtual', (
        select jsonb_agg(
            jsonb_build_array(
                v.attname, v.atttypid::bigint, v.atttypmod, nullif(v.attcollation, 0)::bigint, v.expression)
            order by v.attnum)
        from virtual as v))
from pg_class as c
join pg_namespace as n on n.oid = c.relnamespace
where c.oid = relation
$$;


--
-- Name: FUNCTION layout(relation regclass); Type: COMMENT; Schema: wamp; Owner: -
--

COMMENT ON FUNCTION wamp.layout(relation regclass) IS 'How the records of a table read';


--
-- Name: note(regclass, "char", jsonb); Type: FUNCTION; Schema: wamp; Owner: -
--

CREATE FUNCTION wamp.note(relation regclass, op "char", said jsonb) RETURNS void
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
declare
    signal constant bigint := pg_sequence_last_value('wamp.signal'::regclass);
begin
    -- Also in a copy of the schema without data: the sequencer reads it when it is there.
    insert into wamp.raw (turn, xid, place, n, depth, relation, op, new)
    values (
        coalesce(signal / 2 % 3, 0), pg_current_xact_id(), pg_current_wal_insert_lsn(), 0, 0,
        note.relation, note.op, said::text);
    if pg_sequence_last_value('wamp.signal'::regclass) % 2 = 1 and pg_notification_queue_usage() <= 0.5 then
        perform pg_notify('wamp.raw', '');
    end if;
end
$$;


--
-- Name: FUNCTION note(relation regclass, op "char", said jsonb); Type: COMMENT; Schema: wamp; Owner: -
--

COMMENT ON FUNCTION wamp.note(relation regclass, op "char", said jsonb) IS 'Tell the sequencer something of a table';


--
-- Name: note_layouts(regclass[], regclass[], regclass[]); Type: FUNCTION; Schema: wamp; Owner: -
--

CREATE FUNCTION wamp.note_layouts(changed regclass[], altered regclass[], lost regclass[]) RETURNS void
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET debug_print_parse TO 'off'
    SET debug_print_rewritten TO 'off'
    SET debug_print_plan TO 'off'
    AS $$
declare
    noted regclass;
    options jsonb;
    condition_columns text[];
    said jsonb;
begin
    for noted, options, condition_columns in
        select w.relation, w.options, w.condition_columns
        from wamp.watch as w
        join pg_class as c on c.oid = w.relation
        where w.relation = any (lost)
            or c.reloftype in (select t.reltype from pg_class as t where t.oid = any (lost) and t.relkind = 'c')
    loop
        begin
            perform wamp.require_columns(noted, options, condition_columns);
        exception when undefined_column then
            -- A statement of somebody else does not fail for it: events of that table are for nobody then.
            if pg_has_role(session_user, (select c.relowner from pg_class as c where c.oid = noted), 'member') then
                raise;
            end if;
            raise warning '%', sqlerrm;
        end;
    end loop;
    for noted in
        with other as (
            select c.oid, c.reltype from pg_class as c where c.oid = any (altered)
            union
            -- A typed table has the columns of its type.
            select c.oid, c.reltype
            from pg_class as t
            join pg_depend as d on d.refclassid = 'pg_type'::regclass and d.refobjid = t.reltype
                and d.classid = 'pg_class'::regclass
            join pg_class as c on c.oid = d.objid and c.reloftype = t.reltype
            where t.oid = any (altered) and t.relkind = 'c'
        )
        select w.relation from wamp.watch as w where w.relation = any (changed)
        union
        select o.oid from other as o
    loop
        begin
            said := wamp.layout(noted)
                || jsonb_build_object('snapshot', pg_current_snapshot()::text, 'altered', true);
        exception when others then
            said := null;
            raise warning 'changes of % come without values until wamp.refresh(%): %',
                noted, quote_literal(noted), sqlerrm;
        end;
        begin
            perform wamp.note(noted, 'l', said);
        exception when lock_not_available then
            raise exception 'pgwamp cannot be told what becomes of %: wamp.raw is locked', noted
                using errcode = 'lock_not_available', hint = 'Try again; pg_locks says which session locks it.';
        end;
    end loop;
end
$$;


--
-- Name: FUNCTION note_layouts(changed regclass[], altered regclass[], lost regclass[]); Type: COMMENT; Schema: wamp; Owner: -
--

COMMENT ON FUNCTION wamp.note_layouts(changed regclass[], altered regclass[], lost regclass[]) IS 'Tell the sequencer how records read now';


--
-- Name: publish(text, jsonb, jsonb, jsonb); Type: FUNCTION; Schema: wamp; Owner: -
--

CREATE FUNCTION wamp.publish(topic text, args jsonb DEFAULT NULL::jsonb, kwargs jsonb DEFAULT NULL::jsonb, options jsonb DEFAULT NULL::jsonb) RETURNS void
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET debug_print_parse TO 'off'
    SET debug_print_rewritten TO 'off'
    SET debug_print_plan TO 'off'
    AS $$
declare
    signal constant bigint := pg_sequence_last_value('wamp.signal'::regclass);
begin
    perform wamp.require_topic(topic);
    perform wamp.require_payload(args, kwargs);
    if options is not null then
        perform wamp.require_options(options);
    end if;
    -- As deep as a statement in its place, whose trigger is one deeper: it comes where it stands between these.
    insert into wamp.raw (turn, xid, place, n, depth, relation, op, old, new)
    values (
        coalesce(signal / 2 % 3, 0), pg_current_xact_id(), pg_current_wal_insert_lsn(), 0,
        pg_trigger_depth() + 1, 0, 'p', jsonb_build_object('topic', topic, 'options', options),
        case when args is null then '{}' else jsonb_build_object('args', args) end ||
            case when kwargs is null then '{}' else jsonb_build_object('kwargs', kwargs) end);
    if pg_sequence_last_value('wamp.signal'::regclass) % 2 = 1 and pg_notification_queue_usage() <= 0.5 then
        perform pg_notify('wamp.raw', '');
    end if;
end
$$;


--
-- Name: FUNCTION publish(topic text, args jsonb, kwargs jsonb, options jsonb); Type: COMMENT; Schema: wamp; Owner: -
--

COMMENT ON FUNCTION wamp.publish(topic text, args jsonb, kwargs jsonb, options jsonb) IS 'Publish an event when the transaction commits';


--
-- Name: refresh(regclass); Type: FUNCTION; Schema: wamp; Owner: -
--

CREATE FUNCTION wamp.refresh(relation regclass) RETURNS void
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET lock_timeout TO '10s'
    AS $$
begin
    if exists (select from wamp.watch as w where w.relation = refresh.relation) then
        perform wamp.create_triggers(relation);
        perform wamp.note(
            relation, 'l', wamp.layout(relation) || jsonb_build_object('snapshot', pg_current_snapshot()::text));
    end if;
end
$$;


--
-- Name: FUNCTION refresh(relation regclass); Type: COMMENT; Schema: wamp; Owner: -
--

COMMENT ON FUNCTION wamp.refresh(relation regclass) IS 'Adapt a watched table to what it is now';


--
-- Name: require_columns(regclass, jsonb, text[]); Type: FUNCTION; Schema: wamp; Owner: -
--

CREATE FUNCTION wamp.require_columns(relation regclass, options jsonb, condition_columns text[]) RETURNS void
    LANGUAGE plpgsql STABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET standard_conforming_strings TO 'on'
    AS $$
declare
    name text;
begin
    for name in
        select n from jsonb_array_elements_text(options -> 'columns') as n
        union all
        select value from jsonb_each_text(options) where key in ('eligible_authid', 'eligible_authrole')
        union all
        select m[1] from regexp_matches(options ->> 'topic', '\{([^{}]+)\}', 'g') as m where m[1] <> 'op'
        union all
        select unnest(condition_columns)
    loop
        if not exists (
            select from pg_attribute
            where attrelid = relation and attname = name and attnum > 0 and not attisdropped
        ) then
            raise exception '% has no column "%"', relation, name
                using errcode = 'undefined_column',
                    hint = format('Its columns are %s: watch it with options that name these.', (
                        select left(string_agg(attname::text, ', ' order by attnum), 1000)
                        from pg_attribute
                        where attrelid = relation and attnum > 0 and not attisdropped
                    ));
        end if;
    end loop;
end
$$;


--
-- Name: FUNCTION require_columns(relation regclass, options jsonb, condition_columns text[]); Type: COMMENT; Schema: wamp; Owner: -
--

COMMENT ON FUNCTION wamp.require_columns(relation regclass, options jsonb, condition_columns text[]) IS 'Check that a table has the columns of its options';


--
-- Name: require_condition(regclass, text); Type: FUNCTION; Schema: wamp; Owner: -
--

CREATE FUNCTION wamp.require_condition(relation regclass, given text, OUT condition text, OUT columns text[]) RETURNS record
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET "TimeZone" TO 'UTC'
    SET "DateStyle" TO 'ISO, MDY'
    SET "IntervalStyle" TO 'iso_8601'
    SET bytea_output TO 'hex'
    SET extra_float_digits TO '1'
    SET lc_monetary TO 'C'
    SET quote_all_identifiers TO 'off'
    SET standard_conforming_strings TO 'on'
    SET transform_null_equals TO 'off'
    SET xmloption TO 'content'
    AS $$
declare
    trial constant text := format('pg_temp.wamp_trial_%s', relation::oid);
    -- Types whose texts mean the same under every setting, beside enums.
    plain constant regtype[] :=
        '{boolean,bigint,integer,smallint,oid,numeric,real,double precision,text,varchar,bpchar,name,uuid,json,jsonb}';
begin
    begin
        execute format('create temporary table %s (like %s) on commit drop', trial, relation);
        execute format('create index on %s ((true)) where (%s)', trial, given);
        -- What is one condition between brackets and between these words has no bracket too many.
        execute format('select case when %s then true end from %s as r', given || e'\n', trial);
    exception when others then
        raise exception 'when: %', sqlerrm
            using errcode = sqlstate,
                hint = 'Write one SQL condition over the columns of the table that does not depend on time or '
                    'settings; functions and types of your own with their schema.';
    end;
    select
        case
            when exists (
                select from regexp_matches(i.indpred::text, ':consttype (\d+)', 'g') as m
                join pg_type as t on t.oid = m[1]::oid
                where t.oid <> all (plain) and t.typtype <> 'e'
            ) then pg_get_expr(i.indpred, i.indrelid)
            else given
        end,
        array(
            select a.attname
            from pg_depend as d
            join pg_attribute as a on a.attrelid = i.indrelid and a.attnum = d.refobjsubid and a.attnum > 0
            where d.classid = 'pg_class'::regclass and d.objid = i.indexrelid
                and d.refclassid = 'pg_class'::regclass and d.refobjid = i.indrelid
            order by a.attnum)
    into condition, columns
    from pg_index as i
    where i.indrelid = trial::regclass;
    execute format('drop table %s', trial);
end
$$;


--
-- Name: FUNCTION require_condition(relation regclass, given text, OUT condition text, OUT columns text[]); Type: COMMENT; Schema: wamp; Owner: -
--

COMMENT ON FUNCTION wamp.require_condition(relation regclass, given text, OUT condition text, OUT columns text[]) IS 'The columns of the condition of a watched table';


--
-- Name: require_evaluation(jsonb, text); Type: FUNCTION; Schema: wamp; Owner: -
--

CREATE FUNCTION wamp.require_evaluation(layout jsonb, condition text) RETURNS void
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
declare
    is_done boolean := condition is null and layout -> 'virtual' = 'null';
begin
    if is_done then
        return;
    end if;
    if to_regprocedure('wamp.evaluate(text, json)') is null then
        raise exception 'the function wamp.evaluate is missing, which evaluates %',
            case when condition is null then 'virtual columns' else '"when"' end
            using errcode = 'object_not_in_prerequisite_state',
                hint = 'As a superuser run: pgwamp db upgrade';
    end if;
    begin
        perform wamp.evaluate(wamp.evaluation(layout, condition), '[]');
        is_done := true;
        raise exception 'done';
    exception when others then
        if not is_done then
            raise exception '%: %', case when condition is null then 'virtual columns' else 'when' end, sqlerrm
                using errcode = sqlstate,
                    hint = coalesce((
                        select format('It is evaluated as the role %s, which needs USAGE on the schemas of its '
                            'types, collations and functions, and EXECUTE on the functions.', p.proowner::regrole)
                        from pg_proc as p where p.oid = to_regprocedure('wamp.evaluate(text, json)')),
                        'Try again.');
        end if;
    end;
end
$$;


--
-- Name: FUNCTION require_evaluation(layout jsonb, condition text); Type: COMMENT; Schema: wamp; Owner: -
--

COMMENT ON FUNCTION wamp.require_evaluation(layout jsonb, condition text) IS 'Check that wamp.evaluate may do what it has to';


--
-- Name: require_options(jsonb); Type: FUNCTION; Schema: wamp; Owner: -
--

CREATE FUNCTION wamp.require_options(options jsonb) RETURNS void
    LANGUAGE plpgsql IMMUTABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET standard_conforming_strings TO 'on'
    AS $_$
declare
    name text;
    given jsonb;
    problem text;
    cure text;
begin
    if jsonb_typeof(options) <> 'object' then
        raise exception 'options must be a JSON object' using errcode = 'invalid_parameter_value';
    end if;
    if octet_length(options::text) > 100000 then
        raise exception 'options have % bytes as JSON, more than the 100000 of an event',
            octet_length(options::text)
            using errcode = 'program_limit_exceeded',
                hint = 'Name roles instead of many sessions or users.';
    end if;
    for name, given in select key, value from jsonb_each(options) loop
        if jsonb_typeof(given) <> 'array' then
            given := jsonb_build_array(given);
        elsif name in ('acknowledge', 'exclude_me', 'retain') then
            given := '[null]';
        end if;
        problem := case
            when name in ('acknowledge', 'exclude_me', 'retain') then
                case when jsonb_typeof(given -> 0) <> 'boolean' then 'must be true or false' end
            when name in ('exclude', 'eligible') then
                case when exists (
                    select from jsonb_array_elements(given) as e where e::text !~ '^[1-9]\d{0,15}$'
                ) then 'must be the number of a session, or a list of such numbers' end
            when name in (
                'exclude_authid', 'exclude_authrole', 'eligible_authid', 'eligible_authrole'
            ) then
                case when exists (
                    select from jsonb_array_elements(given) as e where jsonb_typeof(e) <> 'string'
                ) then 'must be a string, or a list of strings' end
            else 'is unknown'
        end;
        cure := case problem when 'is unknown' then
            'Allowed are acknowledge, exclude_me, retain, exclude, exclude_authid, '
            'exclude_authrole, eligible, eligible_authid and eligible_authrole.' end;
        if problem is null and name ~ '^eligible' and given = '[]' then
            problem := 'is an empty list';
            cure := 'The router would deliver the event to everybody; publish only if somebody '
                'is eligible.';
        end if;
        if problem is null and name ~ '^(exclude|eligible)(_auth|$)'
            and options -> 'retain' = 'true' then
            problem := 'cannot be combined with retain';
            cure := 'Crossbar.io gives a retained event to later subscribers whatever the other '
                'options say; leave out retain, or publish to a topic that only they may '
                'subscribe to.';
        end if;
        if problem is not null then
            raise exception 'option % %', name, problem
                using errcode = 'invalid_parameter_value',
                    hint = coalesce(cure, 'Correct it, or leave it out.');
        end if;
    end loop;
end
$_$;


--
-- Name: FUNCTION require_options(options jsonb); Type: COMMENT; Schema: wamp; Owner: -
--

COMMENT ON FUNCTION wamp.require_options(options jsonb) IS 'Check the options of wamp.publish';


--
-- Name: require_payload(jsonb, jsonb); Type: FUNCTION; Schema: wamp; Owner: -
--

CREATE FUNCTION wamp.require_payload(args jsonb, kwargs jsonb) RETURNS void
    LANGUAGE plpgsql IMMUTABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $_$
declare
    -- The default of limits.max_bytes; the router ends the session of whoever sends more than 16 MiB.
    most constant integer := 15000000;
    -- The component reads no more at once: elements and members, and what takes as long as one, which are 20
    -- digits of a long number and 160 backslashes. Commas, brackets and digits in texts count too.
    most_parts constant integer := 60000;
    size bigint;
    whole text;
    parts bigint;
    -- Readers in some languages give up at a few hundred levels. The root is level 0.
    deep constant jsonpath := 'strict $.**{100} ? (@.type() == "array" || @.type() == "object")';
begin
    if jsonb_typeof(args) <> 'array' then
        raise exception 'args must be a JSON array' using errcode = 'invalid_parameter_value';
    end if;
    if jsonb_typeof(kwargs) <> 'object' then
        raise exception 'kwargs must be a JSON object' using errcode = 'invalid_parameter_value';
    end if;
    if kwargs ?& '{id,cursor,schema,table,op}' then
        raise exception 'kwargs cannot have all of id, cursor, schema, table and op'
            using errcode = 'invalid_parameter_value',
                hint = 'Only events of changes carry these; leave one of them out.';
    end if;
    if jsonb_path_exists(args, deep) or jsonb_path_exists(kwargs, deep) then
        raise exception '% is nested deeper than 100 levels',
            case when jsonb_path_exists(args, deep) then 'args' else 'kwargs' end
            using errcode = 'invalid_parameter_value',
                hint = 'Send the inner levels as text.';
    end if;
    size := coalesce(octet_length(args::text), 0) + coalesce(octet_length(kwargs::text), 0);
    if size > most then
        raise exception 'args and kwargs have % bytes as JSON, more than the % of an event',
            size, most
            using errcode = 'program_limit_exceeded',
                hint = 'Send less, or only where it is to be found.';
    end if;
    if size > most_parts then
        whole := args::text || kwargs::text;
        parts := length(whole) - length(translate(whole, ',[{', ''))
            + (length(whole) - length(replace(whole, e'\\', ''))) / 160
            + case when whole ~ '\d{20}' then regexp_count(whole, '\d{20}') else 0 end;
        if parts > most_parts then
            raise exception 'args and kwargs have more than % elements and members', most_parts
                using errcode = 'program_limit_exceeded',
                    hint = 'Send less, or the values as one text. Long numbers and many backslashes count as '
                        'several.';
        end if;
    end if;
end
$_$;


--
-- Name: FUNCTION require_payload(args jsonb, kwargs jsonb); Type: COMMENT; Schema: wamp; Owner: -
--

COMMENT ON FUNCTION wamp.require_payload(args jsonb, kwargs jsonb) IS 'Check the arguments of wamp.publish';


--
-- Name: require_topic(text); Type: FUNCTION; Schema: wamp; Owner: -
--

CREATE FUNCTION wamp.require_topic(topic text) RETURNS void
    LANGUAGE plpgsql STABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET standard_conforming_strings TO 'on'
    AS $_$
begin
    if octet_length(topic) > 1000 then
        raise exception 'topic has % bytes, more than the 1000 of a topic', octet_length(topic)
            using errcode = 'program_limit_exceeded',
                hint = 'Send what it says in args or kwargs.';
    end if;
    -- The router ends the whole session over white space of any kind, also where \s of this
    -- database's locale is ASCII only.
    if topic is null or topic !~ '^[^\s.#]+(\.[^\s.#]+)*$' or topic ~
        '[\u001c-\u001f\u0085\u00a0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000]' then
        raise exception 'topic % is not a WAMP URI', coalesce(quote_literal(topic), 'null')
            using errcode = 'invalid_parameter_value',
                hint = 'Write parts separated by dots, such as com.example.hello.';
    end if;
    if topic ~ '^wamp(\.|$)' then
        raise exception 'topic % belongs to the router', quote_literal(topic)
            using errcode = 'insufficient_privilege',
                hint = 'Topics that begin with wamp. are reserved; use your own prefix.';
    end if;
    if topic ~ '\.(inserted|updated|deleted|truncated)$' or exists (
        select from wamp.watched as w
        where w.options ? 'topic' and topic ~ ('^' || regexp_replace(
            replace(
                regexp_replace(w.options ->> 'topic', '([.+*?^$|()\[\]\\])', '\\\1', 'g'),
                '{op}', '(inserted|updated|deleted)'),
            '\{[^{}]+\}', '[^.]+', 'g') || '$')
    ) then
        raise exception 'topic % belongs to the changes of a table', quote_literal(topic)
            using errcode = 'insufficient_privilege',
                hint = 'Only committed changes are published there; use another topic, whose last part is '
                    'none of inserted, updated, deleted and truncated.';
    end if;
    if not (
        select coalesce(bool_or(
            topic = allowed or (right(allowed, 1) = '.' and starts_with(topic, allowed))
        ), true)
        from wamp.component as c, unnest(c.topics) as allowed
    ) then
        raise exception 'topic % is not one that this database publishes to', quote_literal(topic)
            using errcode = 'insufficient_privilege',
                hint = 'Publish below the prefix of the component, or add the topic to '
                    'events.publish_topics of pgwamp.toml and start the component again.';
    end if;
end
$_$;


--
-- Name: FUNCTION require_topic(topic text); Type: COMMENT; Schema: wamp; Owner: -
--

COMMENT ON FUNCTION wamp.require_topic(topic text) IS 'Check a topic of wamp.publish';


--
-- Name: stamp(oid); Type: FUNCTION; Schema: wamp; Owner: -
--

CREATE FUNCTION wamp.stamp(relation oid) RETURNS integer
    LANGUAGE sql STABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
select (
    select hashtext(string_agg(
        a.attnum || ' ' || a.atttypid || ' ' || a.attcollation || ' ' || a.attname, ',' order by a.attnum))
    from pg_attribute as a
    where a.attrelid = relation and a.attnum > 0 and not a.attisdropped
)

$$;


--
-- Name: FUNCTION stamp(relation oid); Type: COMMENT; Schema: wamp; Owner: -
--

COMMENT ON FUNCTION wamp.stamp(relation oid) IS 'A hash of the columns of a table';


--
-- Name: unwatch(regclass); Type: FUNCTION; Schema: wamp; Owner: -
--

CREATE FUNCTION wamp.unwatch(relation regclass) RETURNS void
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET lock_timeout TO '10s'
    AS $$
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


--
-- Name: FUNCTION unwatch(relation regclass); Type: COMMENT; Schema: wamp; Owner: -
--

COMMENT ON FUNCTION wamp.unwatch(relation regclass) IS 'Publish the changes of a table no longer';


--
-- Name: watch(regclass, jsonb); Type: FUNCTION; Schema: wamp; Owner: -
--

CREATE FUNCTION wamp.watch(relation regclass, options jsonb DEFAULT '{}'::jsonb) RETURNS void
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET lock_timeout TO '10s'
    AS $$
declare
    its constant pg_class := (select c from pg_class as c where c.oid = relation);
    -- All others say which rows and columns are for whom.
    say_how_only constant text[] := '{old,topic,batch,retain,publish}';
    understood text;
    named text[];
    layout jsonb;
    part regclass;
    its_id uuid;
begin
    if current_setting('transaction_isolation') not in ('read committed', 'read uncommitted') then
        raise exception 'a watch needs a transaction that sees what others have committed'
            using errcode = 'invalid_transaction_state',
                hint = 'What was altered since this one has begun would be missing: BEGIN ISOLATION LEVEL READ COMMITTED.';
    end if;
    if its.relkind not in ('r', 'p') then
        raise exception '% is not a table', relation
            using errcode = 'wrong_object_type',
                hint = 'Only tables can be watched; watch the tables below a view instead.';
    end if;
    if its.relnamespace = 'wamp'::regnamespace then
        raise exception '% belongs to pgwamp', relation
            using errcode = 'wrong_object_type',
                hint = 'Writing an event would write another, without end.';
    end if;
    if its.relpersistence = 't' then
        raise exception '% is temporary', relation
            using errcode = 'wrong_object_type',
                hint = 'Nobody else could read its rows again.';
    end if;
    select p.relid into part
    from (select relation as relid union select t.relid from pg_partition_tree(relation) as t) as p
    join pg_class as c on c.oid = p.relid and c.relpersistence = 'u'
    limit 1;
    if found then
        raise exception '% is unlogged', part
            using errcode = 'wrong_object_type',
                hint = format('A crash would empty it, and nobody would tell: ALTER TABLE %s SET LOGGED.', part);
    end if;
    if its.relispartition then
        raise exception '% is a partition of %', relation, pg_partition_root(relation)
            using errcode = 'wrong_object_type',
                hint = 'Watch the whole table: what is written through it is no change of a partition.';
    end if;
    if its.relkind = 'r' and exists (select from pg_inherits where relation in (inhrelid, inhparent)) then
        raise exception '% inherits, or is inherited from', relation
            using errcode = 'wrong_object_type',
                hint = 'A write to one table would change rows of the other unseen; use partitions.';
    end if;
    if wamp.key_columns(relation) is null and its.relreplident <> 'f' then
        raise exception '% has no primary key', relation
            using errcode = 'object_not_in_prerequisite_state',
                hint = format('Add a primary key, or name a unique index with ALTER TABLE ... REPLICA IDENTITY '
                    'USING INDEX, or let whole rows say which they were: ALTER TABLE %s REPLICA IDENTITY FULL, '
                    'and watch it with --old full: select wamp.watch(%L, ''{"old": "full"}'').', relation, relation);
    end if;
    if wamp.key_columns(relation) is null and options ->> 'old' is distinct from 'full' then
        raise exception 'old must be "full": % has no key', relation
            using errcode = 'invalid_parameter_value',
                hint = format('Only the whole old row says which row it was: watch it with --old full: '
                    'select wamp.watch(%L, ''{"old": "full"}'').', relation);
    end if;
    options := wamp.watch_options(relation, options);
    if options ? 'when' then
        select c.condition, c.columns into understood, named
        from wamp.require_condition(relation, options ->> 'when') as c;
    end if;
    -- The table before the row, as wamp.unwatch locks them. The second look is at a row that nobody else changes.
    for look in 1 .. 2 loop
        if not exists (
            select from wamp.watch as w
            where w.relation = watch.relation
                and w.options - say_how_only = watch.options - say_how_only)
        then
            -- Nobody writes by the old options whose rows are read by the new ones. And nobody alters the table
            -- unseen: where all triggers are there already, nothing else would wait.
            begin
                execute format('lock table %s in share row exclusive mode', relation);
            exception when insufficient_privilege then
                -- For who may do nothing but create triggers: it takes the same lock, but of no partition.
                for part in select relation union select p.relid from pg_partition_tree(relation) as p loop
                    execute format('create or replace trigger wamp_truncate after truncate on %s '
                        'for each statement execute function wamp.capture()', part);
                end loop;
            end;
        end if;
        perform from wamp.watch as w where w.relation = watch.relation for update;
    end loop;
    perform wamp.create_triggers(relation);
    -- A table that was watched before it became a partition belongs to the whole from now on.
    for part in
        delete from wamp.watch as w
        using pg_partition_tree(watch.relation) as p
        where w.relation = p.relid and p.relid <> watch.relation
        returning w.relation
    loop
        perform wamp.note(part, 'x', null);
    end loop;
    insert into wamp.watch as w (relation, options, condition, condition_columns)
    values (watch.relation, watch.options, understood, named)
    on conflict on constraint watch_pkey do update
    set options = excluded.options, condition = excluded.condition,
        condition_columns = excluded.condition_columns
    returning w.id into its_id;
    layout := wamp.layout(relation) || jsonb_build_object('snapshot', pg_current_snapshot()::text);
    perform wamp.require_evaluation(layout, understood);
    if understood is not null then
        options := jsonb_set(options, '{when}', to_jsonb(understood));
    end if;
    perform wamp.note(relation, 'w', layout || jsonb_build_object('options', options, 'watch', its_id));
end
$$;


--
-- Name: FUNCTION watch(relation regclass, options jsonb); Type: COMMENT; Schema: wamp; Owner: -
--

COMMENT ON FUNCTION wamp.watch(relation regclass, options jsonb) IS 'Publish the committed changes of a table';


--
-- Name: watch_options(regclass, jsonb); Type: FUNCTION; Schema: wamp; Owner: -
--

CREATE FUNCTION wamp.watch_options(relation regclass, options jsonb) RETURNS jsonb
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET standard_conforming_strings TO 'on'
    AS $_$
declare
    known constant text[] := array[
        'columns', 'old', 'when', 'topic', 'eligible_authid', 'eligible_authrole', 'batch', 'retain',
        'publish'];
    name text;
    value jsonb;
begin
    if jsonb_typeof(options) is distinct from 'object' then
        raise exception 'options must be a JSON object' using errcode = 'invalid_parameter_value';
    end if;
    options := jsonb_strip_nulls(options);
    for name, value in select * from jsonb_each(options) loop
        if name <> all (known) then
            raise exception 'unknown option "%"', name
                using errcode = 'invalid_parameter_value',
                    hint = 'Allowed are ' || array_to_string(known, ', ') || '.';
        elsif name = 'columns' then
            if jsonb_typeof(value) <> 'array' or value = '[]'
                or exists (select from jsonb_array_elements(value) as c where jsonb_typeof(c) <> 'string')
            then
                raise exception 'columns must be a list of column names'
                    using errcode = 'invalid_parameter_value',
                        hint = 'Leave it out for all columns.';
            end if;
        elsif name in ('batch', 'retain', 'publish') then
            if jsonb_typeof(value) <> 'boolean' then
                raise exception '% must be true or false', name
                    using errcode = 'invalid_parameter_value';
            end if;
        elsif jsonb_typeof(value) <> 'string' then
            raise exception '% must be a string', name using errcode = 'invalid_parameter_value';
        end if;
    end loop;
    if options ->> 'old' not in ('none', 'key', 'changed', 'full') then
        raise exception 'old cannot be "%"', options ->> 'old'
            using errcode = 'invalid_parameter_value',
                hint = 'Allowed are none, key, changed (the default) and full.';
    end if;
    if options ? 'topic' then
        -- Each {column} stands for one value; what remains must be a URI that is not the router's.
        if regexp_replace(options ->> 'topic', '\{[^{}]+\}', 'x', 'g') !~ '^[^\s.#{}]+(\.[^\s.#{}]+)*$'
            or options ->> 'topic' ~ '^(wamp(\.|$)|\{)'
        then
            raise exception 'topic "%" is not a template of a URI', options ->> 'topic'
                using errcode = 'invalid_parameter_value',
                    hint = 'Write parts separated by dots, with {op} and {column} for values, such as '
                        'com.example.orders.{op}.{customer_id}; wamp. belongs to the router.';
        end if;
    end if;
    perform wamp.require_columns(relation, options, '{}');
    -- Crossbar gives a retained event to later subscribers whatever their authid or role.
    if (options ->> 'retain')::boolean
        and (options ? 'eligible_authid' or options ? 'eligible_authrole')
    then
        raise exception 'retain and eligible_authid or eligible_authrole exclude each other'
            using errcode = 'invalid_parameter_value',
                hint = 'The router gives retained events to whoever subscribes later.';
    end if;
    return options;
end
$_$;


--
-- Name: FUNCTION watch_options(relation regclass, options jsonb); Type: COMMENT; Schema: wamp; Owner: -
--

COMMENT ON FUNCTION wamp.watch_options(relation regclass, options jsonb) IS 'Check the options of a watched table';


SET default_tablespace = '';

SET default_table_access_method = heap;

--
-- Name: item; Type: TABLE; Schema: public; Owner: -
--

CREATE TABLE public.item (
    id integer NOT NULL,
    name text,
    doc jsonb
);


--
-- Name: task; Type: TABLE; Schema: public; Owner: -
--

CREATE TABLE public.task (
    id integer NOT NULL,
    day date NOT NULL,
    state text
)
PARTITION BY RANGE (day);


--
-- Name: task_2026; Type: TABLE; Schema: public; Owner: -
--

CREATE TABLE public.task_2026 (
    id integer CONSTRAINT task_id_not_null NOT NULL,
    day date CONSTRAINT task_day_not_null NOT NULL,
    state text
);


--
-- Name: alembic_version; Type: TABLE; Schema: wamp; Owner: -
--

CREATE TABLE wamp.alembic_version (
    version_num character varying(32) NOT NULL
);


--
-- Name: component; Type: TABLE; Schema: wamp; Owner: -
--

CREATE TABLE wamp.component (
    prefix text NOT NULL,
    topics text[] NOT NULL,
    roles text[] NOT NULL
);


--
-- Name: TABLE component; Type: COMMENT; Schema: wamp; Owner: -
--

COMMENT ON TABLE wamp.component IS 'What each component, by its prefix, lets wamp.publish do';


--
-- Name: era; Type: TABLE; Schema: wamp; Owner: -
--

CREATE TABLE wamp.era (
    began bigint NOT NULL,
    name uuid DEFAULT gen_random_uuid() NOT NULL,
    system_identifier bigint NOT NULL,
    timeline integer NOT NULL,
    log_oid bigint NOT NULL,
    at timestamp with time zone DEFAULT now() NOT NULL
);


--
-- Name: TABLE era; Type: COMMENT; Schema: wamp; Owner: -
--

COMMENT ON TABLE wamp.era IS 'Histories of this database that the log was written by';


--
-- Name: layout; Type: TABLE; Schema: wamp; Owner: -
--

CREATE TABLE wamp.layout (
    relation regclass NOT NULL,
    layout text NOT NULL,
    options text NOT NULL,
    watch uuid,
    began bigint NOT NULL,
    relation_schema text NOT NULL,
    relation_name text NOT NULL,
    altered_by text
);


--
-- Name: TABLE layout; Type: COMMENT; Schema: wamp; Owner: -
--

COMMENT ON TABLE wamp.layout IS 'Layouts of rows at the position of the sequencer';


--
-- Name: lease; Type: TABLE; Schema: wamp; Owner: -
--

CREATE TABLE wamp.lease (
    name text NOT NULL,
    term bigint NOT NULL,
    held boolean DEFAULT false NOT NULL,
    renewed_at timestamp with time zone DEFAULT now() NOT NULL
);


--
-- Name: TABLE lease; Type: COMMENT; Schema: wamp; Owner: -
--

COMMENT ON TABLE wamp.lease IS 'Which process leads, and since when that is certain';


--
-- Name: log; Type: TABLE; Schema: wamp; Owner: -
--

CREATE TABLE wamp.log (
    slot smallint NOT NULL,
    "position" bigint NOT NULL,
    at timestamp with time zone NOT NULL,
    xid xid8 NOT NULL,
    relation regclass NOT NULL,
    relation_schema text,
    relation_name text,
    op text NOT NULL,
    topic text,
    options text,
    body text,
    mark bytea NOT NULL,
    silent boolean DEFAULT false NOT NULL,
    batched boolean DEFAULT false NOT NULL,
    seen pg_snapshot,
    taking pg_snapshot,
    taken_place pg_lsn,
    taken_xid xid8,
    taken_after pg_lsn,
    taken_number integer,
    taken_rows bigint
)
PARTITION BY LIST (slot);


--
-- Name: TABLE log; Type: COMMENT; Schema: wamp; Owner: -
--

COMMENT ON TABLE wamp.log IS 'Events in the order in which they have happened';


--
-- Name: log_0; Type: TABLE; Schema: wamp; Owner: -
--

CREATE TABLE wamp.log_0 (
    slot smallint CONSTRAINT log_slot_not_null NOT NULL,
    "position" bigint CONSTRAINT log_position_not_null NOT NULL,
    at timestamp with time zone CONSTRAINT log_at_not_null NOT NULL,
    xid xid8 CONSTRAINT log_xid_not_null NOT NULL,
    relation regclass CONSTRAINT log_relation_not_null NOT NULL,
    relation_schema text,
    relation_name text,
    op text CONSTRAINT log_op_not_null NOT NULL,
    topic text,
    options text,
    body text,
    mark bytea CONSTRAINT log_mark_not_null NOT NULL,
    silent boolean DEFAULT false CONSTRAINT log_silent_not_null NOT NULL,
    batched boolean DEFAULT false CONSTRAINT log_batched_not_null NOT NULL,
    seen pg_snapshot,
    taking pg_snapshot,
    taken_place pg_lsn,
    taken_xid xid8,
    taken_after pg_lsn,
    taken_number integer,
    taken_rows bigint
);


--
-- Name: log_1; Type: TABLE; Schema: wamp; Owner: -
--

CREATE TABLE wamp.log_1 (
    slot smallint CONSTRAINT log_slot_not_null NOT NULL,
    "position" bigint CONSTRAINT log_position_not_null NOT NULL,
    at timestamp with time zone CONSTRAINT log_at_not_null NOT NULL,
    xid xid8 CONSTRAINT log_xid_not_null NOT NULL,
    relation regclass CONSTRAINT log_relation_not_null NOT NULL,
    relation_schema text,
    relation_name text,
    op text CONSTRAINT log_op_not_null NOT NULL,
    topic text,
    options text,
    body text,
    mark bytea CONSTRAINT log_mark_not_null NOT NULL,
    silent boolean DEFAULT false CONSTRAINT log_silent_not_null NOT NULL,
    batched boolean DEFAULT false CONSTRAINT log_batched_not_null NOT NULL,
    seen pg_snapshot,
    taking pg_snapshot,
    taken_place pg_lsn,
    taken_xid xid8,
    taken_after pg_lsn,
    taken_number integer,
    taken_rows bigint
);


--
-- Name: log_2; Type: TABLE; Schema: wamp; Owner: -
--

CREATE TABLE wamp.log_2 (
    slot smallint CONSTRAINT log_slot_not_null NOT NULL,
    "position" bigint CONSTRAINT log_position_not_null NOT NULL,
    at timestamp with time zone CONSTRAINT log_at_not_null NOT NULL,
    xid xid8 CONSTRAINT log_xid_not_null NOT NULL,
    relation regclass CONSTRAINT log_relation_not_null NOT NULL,
    relation_schema text,
    relation_name text,
    op text CONSTRAINT log_op_not_null NOT NULL,
    topic text,
    options text,
    body text,
    mark bytea CONSTRAINT log_mark_not_null NOT NULL,
    silent boolean DEFAULT false CONSTRAINT log_silent_not_null NOT NULL,
    batched boolean DEFAULT false CONSTRAINT log_batched_not_null NOT NULL,
    seen pg_snapshot,
    taking pg_snapshot,
    taken_place pg_lsn,
    taken_xid xid8,
    taken_after pg_lsn,
    taken_number integer,
    taken_rows bigint
);


--
-- Name: log_3; Type: TABLE; Schema: wamp; Owner: -
--

CREATE TABLE wamp.log_3 (
    slot smallint CONSTRAINT log_slot_not_null NOT NULL,
    "position" bigint CONSTRAINT log_position_not_null NOT NULL,
    at timestamp with time zone CONSTRAINT log_at_not_null NOT NULL,
    xid xid8 CONSTRAINT log_xid_not_null NOT NULL,
    relation regclass CONSTRAINT log_relation_not_null NOT NULL,
    relation_schema text,
    relation_name text,
    op text CONSTRAINT log_op_not_null NOT NULL,
    topic text,
    options text,
    body text,
    mark bytea CONSTRAINT log_mark_not_null NOT NULL,
    silent boolean DEFAULT false CONSTRAINT log_silent_not_null NOT NULL,
    batched boolean DEFAULT false CONSTRAINT log_batched_not_null NOT NULL,
    seen pg_snapshot,
    taking pg_snapshot,
    taken_place pg_lsn,
    taken_xid xid8,
    taken_after pg_lsn,
    taken_number integer,
    taken_rows bigint
);


--
-- Name: log_4; Type: TABLE; Schema: wamp; Owner: -
--

CREATE TABLE wamp.log_4 (
    slot smallint CONSTRAINT log_slot_not_null NOT NULL,
    "position" bigint CONSTRAINT log_position_not_null NOT NULL,
    at timestamp with time zone CONSTRAINT log_at_not_null NOT NULL,
    xid xid8 CONSTRAINT log_xid_not_null NOT NULL,
    relation regclass CONSTRAINT log_relation_not_null NOT NULL,
    relation_schema text,
    relation_name text,
    op text CONSTRAINT log_op_not_null NOT NULL,
    topic text,
    options text,
    body text,
    mark bytea CONSTRAINT log_mark_not_null NOT NULL,
    silent boolean DEFAULT false CONSTRAINT log_silent_not_null NOT NULL,
    batched boolean DEFAULT false CONSTRAINT log_batched_not_null NOT NULL,
    seen pg_snapshot,
    taking pg_snapshot,
    taken_place pg_lsn,
    taken_xid xid8,
    taken_after pg_lsn,
    taken_number integer,
    taken_rows bigint
);


--
-- Name: log_5; Type: TABLE; Schema: wamp; Owner: -
--

CREATE TABLE wamp.log_5 (
    slot smallint CONSTRAINT log_slot_not_null NOT NULL,
    "position" bigint CONSTRAINT log_position_not_null NOT NULL,
    at timestamp with time zone CONSTRAINT log_at_not_null NOT NULL,
    xid xid8 CONSTRAINT log_xid_not_null NOT NULL,
    relation regclass CONSTRAINT log_relation_not_null NOT NULL,
    relation_schema text,
    relation_name text,
    op text CONSTRAINT log_op_not_null NOT NULL,
    topic text,
    options text,
    body text,
    mark bytea CONSTRAINT log_mark_not_null NOT NULL,
    silent boolean DEFAULT false CONSTRAINT log_silent_not_null NOT NULL,
    batched boolean DEFAULT false CONSTRAINT log_batched_not_null NOT NULL,
    seen pg_snapshot,
    taking pg_snapshot,
    taken_place pg_lsn,
    taken_xid xid8,
    taken_after pg_lsn,
    taken_number integer,
    taken_rows bigint
);


--
-- Name: sequencer; Type: TABLE; Schema: wamp; Owner: -
--

CREATE TABLE wamp.sequencer (
    single boolean DEFAULT true NOT NULL,
    seen pg_snapshot NOT NULL,
    taking pg_snapshot,
    taken_place pg_lsn,
    taken_xid xid8,
    taken_after pg_lsn,
    taken_number integer,
    taken_rows bigint,
    "position" bigint DEFAULT 0 NOT NULL,
    mark bytea DEFAULT '\x'::bytea NOT NULL,
    slot smallint DEFAULT 0 NOT NULL,
    rotated_at timestamp with time zone DEFAULT now() NOT NULL,
    removed_position bigint DEFAULT 0 NOT NULL,
    removed_mark bytea DEFAULT '\x'::bytea NOT NULL,
    CONSTRAINT sequencer_single_check CHECK (single)
);


--
-- Name: TABLE sequencer; Type: COMMENT; Schema: wamp; Owner: -
--

COMMENT ON TABLE wamp.sequencer IS 'One row: how far raw rows were made into events';


--
-- Name: progress; Type: VIEW; Schema: wamp; Owner: -
--

CREATE VIEW wamp.progress AS
 SELECT s.removed_position,
    s.removed_mark,
        CASE
            WHEN (e."position" > s."position") THEN e."position"
            ELSE s."position"
        END AS "position",
        CASE
            WHEN (e."position" > s."position") THEN e.mark
            ELSE s.mark
        END AS mark,
        CASE
            WHEN (e."position" > s."position") THEN e.seen
            ELSE s.seen
        END AS seen,
        CASE
            WHEN (e."position" > s."position") THEN e.taking
            ELSE s.taking
        END AS taking,
        CASE
            WHEN (e."position" > s."position") THEN e.taken_place
            ELSE s.taken_place
        END AS taken_place,
        CASE
            WHEN (e."position" > s."position") THEN e.taken_xid
            ELSE s.taken_xid
        END AS taken_xid,
        CASE
            WHEN (e."position" > s."position") THEN e.taken_after
            ELSE s.taken_after
        END AS taken_after,
        CASE
            WHEN (e."position" > s."position") THEN e.taken_number
            ELSE s.taken_number
        END AS taken_number,
        CASE
            WHEN (e."position" > s."position") THEN e.taken_rows
            ELSE s.taken_rows
        END AS taken_rows
   FROM (wamp.sequencer s
     LEFT JOIN LATERAL ( SELECT log."position",
            log.mark,
            log.seen,
            log.taking,
            log.taken_place,
            log.taken_xid,
            log.taken_after,
            log.taken_number,
            log.taken_rows
           FROM wamp.log
          ORDER BY log."position" DESC
         LIMIT 1) e ON (true));


--
-- Name: VIEW progress; Type: COMMENT; Schema: wamp; Owner: -
--

COMMENT ON VIEW wamp.progress IS 'How far raw rows were made into events';


--
-- Name: publication; Type: TABLE; Schema: wamp; Owner: -
--

CREATE TABLE wamp.publication (
    realm text NOT NULL,
    prefix text NOT NULL,
    "position" bigint NOT NULL,
    mark bytea NOT NULL,
    published_at timestamp with time zone DEFAULT now() NOT NULL,
    ran_at timestamp with time zone DEFAULT now() NOT NULL
);


--
-- Name: TABLE publication; Type: COMMENT; Schema: wamp; Owner: -
--

COMMENT ON TABLE wamp.publication IS 'How far each component has published the log';


--
-- Name: raw; Type: TABLE; Schema: wamp; Owner: -
--

CREATE TABLE wamp.raw (
    turn smallint NOT NULL,
    xid xid8 NOT NULL,
    at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    sent timestamp with time zone DEFAULT statement_timestamp() NOT NULL,
    place pg_lsn NOT NULL,
    n integer NOT NULL,
    depth integer NOT NULL,
    relation regclass NOT NULL,
    changed integer,
    stamp integer,
    op "char" NOT NULL,
    old text,
    new text
)
PARTITION BY LIST (turn);


--
-- Name: TABLE raw; Type: COMMENT; Schema: wamp; Owner: -
--

COMMENT ON TABLE wamp.raw IS 'What has changed, as triggers have written it; emptied by turns';


--
-- Name: raw_0; Type: TABLE; Schema: wamp; Owner: -
--

CREATE TABLE wamp.raw_0 (
    turn smallint CONSTRAINT raw_turn_not_null NOT NULL,
    xid xid8 CONSTRAINT raw_xid_not_null NOT NULL,
    at timestamp with time zone DEFAULT clock_timestamp() CONSTRAINT raw_at_not_null NOT NULL,
    sent timestamp with time zone DEFAULT statement_timestamp() CONSTRAINT raw_sent_not_null NOT NULL,
    place pg_lsn CONSTRAINT raw_place_not_null NOT NULL,
    n integer CONSTRAINT raw_n_not_null NOT NULL,
    depth integer CONSTRAINT raw_depth_not_null NOT NULL,
    relation regclass CONSTRAINT raw_relation_not_null NOT NULL,
    changed integer,
    stamp integer,
    op "char" CONSTRAINT raw_op_not_null NOT NULL,
    old text,
    new text
);


--
-- Name: raw_1; Type: TABLE; Schema: wamp; Owner: -
--

CREATE TABLE wamp.raw_1 (
    turn smallint CONSTRAINT raw_turn_not_null NOT NULL,
    xid xid8 CONSTRAINT raw_xid_not_null NOT NULL,
    at timestamp with time zone DEFAULT clock_timestamp() CONSTRAINT raw_at_not_null NOT NULL,
    sent timestamp with time zone DEFAULT statement_timestamp() CONSTRAINT raw_sent_not_null NOT NULL,
    place pg_lsn CONSTRAINT raw_place_not_null NOT NULL,
    n integer CONSTRAINT raw_n_not_null NOT NULL,
    depth integer CONSTRAINT raw_depth_not_null NOT NULL,
    relation regclass CONSTRAINT raw_relation_not_null NOT NULL,
    changed integer,
    stamp integer,
    op "char" CONSTRAINT raw_op_not_null NOT NULL,
    old text,
    new text
);


--
-- Name: raw_2; Type: TABLE; Schema: wamp; Owner: -
--

CREATE TABLE wamp.raw_2 (
    turn smallint CONSTRAINT raw_turn_not_null NOT NULL,
    xid xid8 CONSTRAINT raw_xid_not_null NOT NULL,
    at timestamp with time zone DEFAULT clock_timestamp() CONSTRAINT raw_at_not_null NOT NULL,
    sent timestamp with time zone DEFAULT statement_timestamp() CONSTRAINT raw_sent_not_null NOT NULL,
    place pg_lsn CONSTRAINT raw_place_not_null NOT NULL,
    n integer CONSTRAINT raw_n_not_null NOT NULL,
    depth integer CONSTRAINT raw_depth_not_null NOT NULL,
    relation regclass CONSTRAINT raw_relation_not_null NOT NULL,
    changed integer,
    stamp integer,
    op "char" CONSTRAINT raw_op_not_null NOT NULL,
    old text,
    new text
);


--
-- Name: secret; Type: TABLE; Schema: wamp; Owner: -
--

CREATE TABLE wamp.secret (
    single boolean DEFAULT true NOT NULL,
    key bytea NOT NULL,
    CONSTRAINT secret_single_check CHECK (single)
);


--
-- Name: TABLE secret; Type: COMMENT; Schema: wamp; Owner: -
--

COMMENT ON TABLE wamp.secret IS 'The key of the hashes in cursors';


--
-- Name: signal; Type: SEQUENCE; Schema: wamp; Owner: -
--

CREATE SEQUENCE wamp.signal
    START WITH 0
    INCREMENT BY 1
    MINVALUE 0
    NO MAXVALUE
    CACHE 1;


--
-- Name: watch; Type: TABLE; Schema: wamp; Owner: -
--

CREATE TABLE wamp.watch (
    relation regclass NOT NULL,
    id uuid DEFAULT gen_random_uuid() NOT NULL,
    options jsonb NOT NULL,
    condition text,
    condition_columns text[]
);


--
-- Name: TABLE watch; Type: COMMENT; Schema: wamp; Owner: -
--

COMMENT ON TABLE wamp.watch IS 'Watched tables and the options that they are watched with';


--
-- Name: watched; Type: VIEW; Schema: wamp; Owner: -
--

CREATE VIEW wamp.watched AS
 SELECT w.relation,
    (n.nspname)::text AS relation_schema,
    (c.relname)::text AS relation_name,
    wamp.key_columns(w.relation) AS key_columns,
    w.options
   FROM ((wamp.watch w
     JOIN pg_class c ON ((c.oid = (w.relation)::oid)))
     JOIN pg_namespace n ON ((n.oid = c.relnamespace)));


--
-- Name: VIEW watched; Type: COMMENT; Schema: wamp; Owner: -
--

COMMENT ON VIEW wamp.watched IS 'The tables whose changes are published';


--
-- Name: task_2026; Type: TABLE ATTACH; Schema: public; Owner: -
--

ALTER TABLE ONLY public.task ATTACH PARTITION public.task_2026 FOR VALUES FROM ('2026-01-01') TO ('2027-01-01');


--
-- Name: log_0; Type: TABLE ATTACH; Schema: wamp; Owner: -
--

ALTER TABLE ONLY wamp.log ATTACH PARTITION wamp.log_0 FOR VALUES IN ('0');


--
-- Name: log_1; Type: TABLE ATTACH; Schema: wamp; Owner: -
--

ALTER TABLE ONLY wamp.log ATTACH PARTITION wamp.log_1 FOR VALUES IN ('1');


--
-- Name: log_2; Type: TABLE ATTACH; Schema: wamp; Owner: -
--

ALTER TABLE ONLY wamp.log ATTACH PARTITION wamp.log_2 FOR VALUES IN ('2');


--
-- Name: log_3; Type: TABLE ATTACH; Schema: wamp; Owner: -
--

ALTER TABLE ONLY wamp.log ATTACH PARTITION wamp.log_3 FOR VALUES IN ('3');


--
-- Name: log_4; Type: TABLE ATTACH; Schema: wamp; Owner: -
--

ALTER TABLE ONLY wamp.log ATTACH PARTITION wamp.log_4 FOR VALUES IN ('4');


--
-- Name: log_5; Type: TABLE ATTACH; Schema: wamp; Owner: -
--

ALTER TABLE ONLY wamp.log ATTACH PARTITION wamp.log_5 FOR VALUES IN ('5');


--
-- Name: raw_0; Type: TABLE ATTACH; Schema: wamp; Owner: -
--

ALTER TABLE ONLY wamp.raw ATTACH PARTITION wamp.raw_0 FOR VALUES IN ('0');


--
-- Name: raw_1; Type: TABLE ATTACH; Schema: wamp; Owner: -
--

ALTER TABLE ONLY wamp.raw ATTACH PARTITION wamp.raw_1 FOR VALUES IN ('1');


--
-- Name: raw_2; Type: TABLE ATTACH; Schema: wamp; Owner: -
--

ALTER TABLE ONLY wamp.raw ATTACH PARTITION wamp.raw_2 FOR VALUES IN ('2');


--
-- Data for Name: item; Type: TABLE DATA; Schema: public; Owner: -
--

INSERT INTO public.item VALUES (2, 'b', '{"n": [1, null]}');
INSERT INTO public.item VALUES (1, 'c', NULL);
INSERT INTO public.item VALUES (3, 'd', '[]');


--
-- Data for Name: task_2026; Type: TABLE DATA; Schema: public; Owner: -
--

INSERT INTO public.task_2026 VALUES (1, '2026-01-02', 'open');
INSERT INTO public.task_2026 VALUES (2, '2026-01-02', 'open');


--
-- Data for Name: alembic_version; Type: TABLE DATA; Schema: wamp; Owner: -
--

INSERT INTO wamp.alembic_version VALUES ('0101');


--
-- Data for Name: component; Type: TABLE DATA; Schema: wamp; Owner: -
--

INSERT INTO wamp.component VALUES ('com.example.baseline', '{com.example.baseline.}', '{}');


--
-- Data for Name: era; Type: TABLE DATA; Schema: wamp; Owner: -
--

INSERT INTO wamp.era VALUES (0, 'f3097f8a-1f0d-4d46-ab37-d9a43c35e662', 7713739311497143593, 0, 16461, '2026-11-29 23:28:10.634858+00');
INSERT INTO wamp.era VALUES (1, '9b578fba-a8d1-4396-8933-49927ded460b', 7713739311497143593, 1, 16461, '2026-11-29 23:28:12.009522+00');


--
-- Data for Name: layout; Type: TABLE DATA; Schema: wamp; Owner: -
--

INSERT INTO wamp.layout VALUES ('public.item', '{"key": ["id"], "name": "item", "reads": null, "types": [{"oid": 23, "kind": "b", "name": "integer", "schema": "pg_catalog", "typname": "int4", "category": "N", "delimiter": ","}, {"oid": 25, "kind": "b", "name": "text", "schema": "pg_catalog", "typname": "text", "category": "S", "delimiter": ","}, {"oid": 3802, "kind": "b", "name": "jsonb", "schema": "pg_catalog", "typname": "jsonb", "category": "U", "delimiter": ","}], "watch": "e9e8bfda-0913-4265-9f2c-0ce8182cd527", "filled": null, "schema": "public", "stamps": {"16759": 216102910}, "columns": {"16759": [["id", 23], ["name", 25], ["doc", 3802]]}, "options": {}, "virtual": null, "deferrable": false, "partitions": null}', '{}', 'e9e8bfda-0913-4265-9f2c-0ce8182cd527', 2, 'public', 'item', '{"16759": [766]}');
INSERT INTO wamp.layout VALUES ('public.task', '{"key": ["id", "day"], "name": "task", "reads": [["state", 25, null]], "types": [{"oid": 23, "kind": "b", "name": "integer", "schema": "pg_catalog", "typname": "int4", "category": "N", "delimiter": ","}, {"oid": 25, "kind": "b", "name": "text", "schema": "pg_catalog", "typname": "text", "category": "S", "delimiter": ","}, {"oid": 1082, "kind": "b", "name": "date", "schema": "pg_catalog", "typname": "date", "category": "D", "delimiter": ","}], "watch": "94277513-f146-418c-8bc4-7620ac1b0d07", "filled": null, "schema": "public", "stamps": {"16767": -853128261, "16774": -853128261}, "columns": {"16767": [["id", 23], ["day", 1082], ["state", 25]]}, "options": {"old": "full", "when": "state <> ''draft''"}, "virtual": null, "deferrable": false, "partitions": {"16774": "public.task_2026"}}', '{"old": "full", "when": "state <> ''draft''"}', '94277513-f146-418c-8bc4-7620ac1b0d07', 3, 'public', 'task', '{"16767": [767]}');


--
-- Data for Name: lease; Type: TABLE DATA; Schema: wamp; Owner: -
--

INSERT INTO wamp.lease VALUES ('sequencer', 897815350, false, '2026-11-29 23:28:11.950501+00');


--
-- Data for Name: log_0; Type: TABLE DATA; Schema: wamp; Owner: -
--

INSERT INTO wamp.log_0 VALUES (0, 1, '2026-11-29 23:28:12.012084+00', '779', '-', NULL, NULL, 'era', NULL, NULL, NULL, '\x93ddc00deafd97a95c', true, false, '755:756:755', NULL, '0/0', '0', '0/0', -1, 0);
INSERT INTO wamp.log_0 VALUES (0, 2, '2026-11-29 23:28:11.781116+00', '766', 'public.item', 'public', 'item', 'watched', NULL, NULL, '{}', '\x96c0b3b13fe6987417', true, false, NULL, NULL, NULL, NULL, NULL, NULL, NULL);
INSERT INTO wamp.log_0 VALUES (0, 3, '2026-11-29 23:28:11.822704+00', '767', 'public.task', 'public', 'task', 'watched', NULL, NULL, '{}', '\x3d98ec8b5e78d9a860', true, false, NULL, NULL, NULL, NULL, NULL, NULL, NULL);
INSERT INTO wamp.log_0 VALUES (0, 4, '2026-11-29 23:28:11.836354+00', '770', 'public.item', 'public', 'item', 'insert', NULL, NULL, '{"key":{"id":1},"new":{"id":1,"name":"a","doc":null}}', '\x5bc22b40d619c05104', false, false, NULL, NULL, NULL, NULL, NULL, NULL, NULL);
INSERT INTO wamp.log_0 VALUES (0, 5, '2026-11-29 23:28:11.836376+00', '770', 'public.item', 'public', 'item', 'insert', NULL, NULL, '{"key":{"id":2},"new":{"id":2,"name":"b","doc":{"n":[1,null]}}}', '\xf662d60835d84b000a', false, false, NULL, NULL, NULL, NULL, NULL, NULL, NULL);
INSERT INTO wamp.log_0 VALUES (0, 6, '2026-11-29 23:28:11.838922+00', '772', 'public.item', 'public', 'item', 'update', NULL, NULL, '{"key":{"id":1},"new":{"id":1,"name":"c","doc":null},"old":{"name":"a"},"changed":["name"]}', '\xb06d463f13e4895873', false, false, NULL, NULL, NULL, NULL, NULL, NULL, NULL);
INSERT INTO wamp.log_0 VALUES (0, 7, '2026-11-29 23:28:11.840288+00', '773', 'public.task', 'public', 'task', 'insert', NULL, NULL, '{"key":{"id":1,"day":"2026-01-02"},"new":{"id":1,"day":"2026-01-02","state":"open"}}', '\x7d76f93cd2f9a0736b', false, false, NULL, NULL, NULL, NULL, NULL, NULL, NULL);
INSERT INTO wamp.log_0 VALUES (0, 8, '2026-11-29 23:28:11.842987+00', '775', '-', NULL, NULL, 'publish', 'com.example.baseline.hello', NULL, '{"args":[1]}', '\x275022bc6221f52a08', false, false, '780:780:', NULL, '0/0', '0', '0/0', -1, 0);


--
-- Data for Name: log_1; Type: TABLE DATA; Schema: wamp; Owner: -
--



--
-- Data for Name: log_2; Type: TABLE DATA; Schema: wamp; Owner: -
--



--
-- Data for Name: log_3; Type: TABLE DATA; Schema: wamp; Owner: -
--



--
-- Data for Name: log_4; Type: TABLE DATA; Schema: wamp; Owner: -
--



--
-- Data for Name: log_5; Type: TABLE DATA; Schema: wamp; Owner: -
--



--
-- Data for Name: publication; Type: TABLE DATA; Schema: wamp; Owner: -
--

INSERT INTO wamp.publication VALUES ('realm1', 'com.example.baseline', 8, '\x275022bc6221f52a08', '2026-11-29 23:28:12.193641+00', '2026-11-29 23:28:12.193641+00');


--
-- Data for Name: raw_0; Type: TABLE DATA; Schema: wamp; Owner: -
--

INSERT INTO wamp.raw_0 VALUES (0, '766', '2026-11-29 23:28:11.781116+00', '2026-11-29 23:28:11.724828+00', '0/1BAB3C8', 0, 0, 'public.item', NULL, NULL, 'w', NULL, '{"key": ["id"], "name": "item", "reads": null, "types": [{"oid": 23, "kind": "b", "name": "integer", "schema": "pg_catalog", "typname": "int4", "category": "N", "delimiter": ","}, {"oid": 25, "kind": "b", "name": "text", "schema": "pg_catalog", "typname": "text", "category": "S", "delimiter": ","}, {"oid": 3802, "kind": "b", "name": "jsonb", "schema": "pg_catalog", "typname": "jsonb", "category": "U", "delimiter": ","}], "watch": "e9e8bfda-0913-4265-9f2c-0ce8182cd527", "filled": null, "schema": "public", "stamps": {"16759": 216102910}, "columns": {"16759": [["id", 23], ["name", 25], ["doc", 3802]]}, "options": {}, "virtual": null, "snapshot": "766:766:", "deferrable": false, "partitions": null}');
INSERT INTO wamp.raw_0 VALUES (0, '767', '2026-11-29 23:28:11.822704+00', '2026-11-29 23:28:11.784122+00', '0/1BB1B10', 0, 0, 'public.task', NULL, NULL, 'w', NULL, '{"key": ["id", "day"], "name": "task", "reads": [["state", 25, null]], "types": [{"oid": 23, "kind": "b", "name": "integer", "schema": "pg_catalog", "typname": "int4", "category": "N", "delimiter": ","}, {"oid": 25, "kind": "b", "name": "text", "schema": "pg_catalog", "typname": "text", "category": "S", "delimiter": ","}, {"oid": 1082, "kind": "b", "name": "date", "schema": "pg_catalog", "typname": "date", "category": "D", "delimiter": ","}], "watch": "94277513-f146-418c-8bc4-7620ac1b0d07", "filled": null, "schema": "public", "stamps": {"16767": -853128261, "16774": -853128261}, "columns": {"16767": [["id", 23], ["day", 1082], ["state", 25]]}, "options": {"old": "full", "when": "state <> ''draft''"}, "virtual": null, "snapshot": "767:767:", "deferrable": false, "partitions": {"16774": "public.task_2026"}}');
INSERT INTO wamp.raw_0 VALUES (0, '770', '2026-11-29 23:28:11.836354+00', '2026-11-29 23:28:11.833882+00', '0/1BB2EC8', 1, 1, 'public.item', 2, NULL, 'i', NULL, '(1,a,)');
INSERT INTO wamp.raw_0 VALUES (0, '770', '2026-11-29 23:28:11.836376+00', '2026-11-29 23:28:11.833882+00', '0/1BB2EC8', 2, 1, 'public.item', 2, NULL, 'i', NULL, '(2,b,"{""n"": [1, null]}")');
INSERT INTO wamp.raw_0 VALUES (0, '772', '2026-11-29 23:28:11.838922+00', '2026-11-29 23:28:11.838078+00', '0/1BB30D8', 1, 1, 'public.item', 3, NULL, 'u', '(1,a,)', '(1,c,)');
INSERT INTO wamp.raw_0 VALUES (0, '773', '2026-11-29 23:28:11.840288+00', '2026-11-29 23:28:11.83913+00', '0/1BB3338', 1, 1, 'public.task', 0, NULL, 'i', NULL, '(1,2026-01-02,open)');
INSERT INTO wamp.raw_0 VALUES (0, '773', '2026-11-29 23:28:11.840306+00', '2026-11-29 23:28:11.83913+00', '0/1BB3338', 2, 1, 'public.task', 0, NULL, 'i', NULL, '(2,2026-01-02,draft)');
INSERT INTO wamp.raw_0 VALUES (0, '775', '2026-11-29 23:28:11.842987+00', '2026-11-29 23:28:11.840509+00', '0/1BB3508', 0, 1, '-', NULL, NULL, 'p', '{"topic": "com.example.baseline.hello", "options": null}', '{"args": [1]}');
INSERT INTO wamp.raw_0 VALUES (0, '783', '2026-11-29 23:28:12.215506+00', '2026-11-29 23:28:12.209382+00', '0/1BB5118', 1, 1, 'public.item', 1, NULL, 'i', NULL, '(3,d,[])');
INSERT INTO wamp.raw_0 VALUES (0, '784', '2026-11-29 23:28:12.220788+00', '2026-11-29 23:28:12.216127+00', '0/1BB5208', 0, 1, '-', NULL, NULL, 'p', '{"topic": "com.example.baseline.hello", "options": null}', '{"args": [2]}');
INSERT INTO wamp.raw_0 VALUES (0, '785', '2026-11-29 23:28:12.222685+00', '2026-11-29 23:28:12.221054+00', '0/1BB5380', 1, 1, 'public.task_2026', 1, NULL, 'u', '(2,2026-01-02,draft)', '(2,2026-01-02,open)');


--
-- Data for Name: raw_1; Type: TABLE DATA; Schema: wamp; Owner: -
--



--
-- Data for Name: raw_2; Type: TABLE DATA; Schema: wamp; Owner: -
--



--
-- Data for Name: secret; Type: TABLE DATA; Schema: wamp; Owner: -
--

INSERT INTO wamp.secret VALUES (true, '\x90817afa573a4cfe8bd1f1e00e8aee17b5e93fdbf0be48ff940a662ef3a145f0');


--
-- Data for Name: sequencer; Type: TABLE DATA; Schema: wamp; Owner: -
--

INSERT INTO wamp.sequencer VALUES (true, '755:756:755', NULL, NULL, NULL, NULL, NULL, NULL, 0, '\x', 0, '2026-11-29 23:28:10.634858+00', 0, '\x');


--
-- Data for Name: watch; Type: TABLE DATA; Schema: wamp; Owner: -
--

INSERT INTO wamp.watch VALUES ('public.item', 'e9e8bfda-0913-4265-9f2c-0ce8182cd527', '{}', NULL, NULL);
INSERT INTO wamp.watch VALUES ('public.task', '94277513-f146-418c-8bc4-7620ac1b0d07', '{"old": "full", "when": "state <> ''draft''"}', 'state <> ''draft''', '{state}');


--
-- Name: signal; Type: SEQUENCE SET; Schema: wamp; Owner: -
--

SELECT pg_catalog.setval('wamp.signal', 0, true);


--
-- Name: item item_pkey; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.item
    ADD CONSTRAINT item_pkey PRIMARY KEY (id);


--
-- Name: task task_pkey; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.task
    ADD CONSTRAINT task_pkey PRIMARY KEY (id, day);


--
-- Name: task_2026 task_2026_pkey; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.task_2026
    ADD CONSTRAINT task_2026_pkey PRIMARY KEY (id, day);


--
-- Name: alembic_version alembic_version_pkc; Type: CONSTRAINT; Schema: wamp; Owner: -
--

ALTER TABLE ONLY wamp.alembic_version
    ADD CONSTRAINT alembic_version_pkc PRIMARY KEY (version_num);


--
-- Name: component component_pkey; Type: CONSTRAINT; Schema: wamp; Owner: -
--

ALTER TABLE ONLY wamp.component
    ADD CONSTRAINT component_pkey PRIMARY KEY (prefix);


--
-- Name: era era_pkey; Type: CONSTRAINT; Schema: wamp; Owner: -
--

ALTER TABLE ONLY wamp.era
    ADD CONSTRAINT era_pkey PRIMARY KEY (began);


--
-- Name: layout layout_pkey; Type: CONSTRAINT; Schema: wamp; Owner: -
--

ALTER TABLE ONLY wamp.layout
    ADD CONSTRAINT layout_pkey PRIMARY KEY (relation);


--
-- Name: lease lease_name_term_key; Type: CONSTRAINT; Schema: wamp; Owner: -
--

ALTER TABLE ONLY wamp.lease
    ADD CONSTRAINT lease_name_term_key UNIQUE (name, term);


--
-- Name: lease lease_pkey; Type: CONSTRAINT; Schema: wamp; Owner: -
--

ALTER TABLE ONLY wamp.lease
    ADD CONSTRAINT lease_pkey PRIMARY KEY (name);


--
-- Name: log log_pkey; Type: CONSTRAINT; Schema: wamp; Owner: -
--

ALTER TABLE ONLY wamp.log
    ADD CONSTRAINT log_pkey PRIMARY KEY ("position", slot);


--
-- Name: log_0 log_0_pkey; Type: CONSTRAINT; Schema: wamp; Owner: -
--

ALTER TABLE ONLY wamp.log_0
    ADD CONSTRAINT log_0_pkey PRIMARY KEY ("position", slot);


--
-- Name: log_1 log_1_pkey; Type: CONSTRAINT; Schema: wamp; Owner: -
--

ALTER TABLE ONLY wamp.log_1
    ADD CONSTRAINT log_1_pkey PRIMARY KEY ("position", slot);


--
-- Name: log_2 log_2_pkey; Type: CONSTRAINT; Schema: wamp; Owner: -
--

ALTER TABLE ONLY wamp.log_2
    ADD CONSTRAINT log_2_pkey PRIMARY KEY ("position", slot);


--
-- Name: log_3 log_3_pkey; Type: CONSTRAINT; Schema: wamp; Owner: -
--

ALTER TABLE ONLY wamp.log_3
    ADD CONSTRAINT log_3_pkey PRIMARY KEY ("position", slot);


--
-- Name: log_4 log_4_pkey; Type: CONSTRAINT; Schema: wamp; Owner: -
--

ALTER TABLE ONLY wamp.log_4
    ADD CONSTRAINT log_4_pkey PRIMARY KEY ("position", slot);


--
-- Name: log_5 log_5_pkey; Type: CONSTRAINT; Schema: wamp; Owner: -
--

ALTER TABLE ONLY wamp.log_5
    ADD CONSTRAINT log_5_pkey PRIMARY KEY ("position", slot);


--
-- Name: publication publication_pkey; Type: CONSTRAINT; Schema: wamp; Owner: -
--

ALTER TABLE ONLY wamp.publication
    ADD CONSTRAINT publication_pkey PRIMARY KEY (realm, prefix);


--
-- Name: secret secret_pkey; Type: CONSTRAINT; Schema: wamp; Owner: -
--

ALTER TABLE ONLY wamp.secret
    ADD CONSTRAINT secret_pkey PRIMARY KEY (single);


--
-- Name: sequencer sequencer_pkey; Type: CONSTRAINT; Schema: wamp; Owner: -
--

ALTER TABLE ONLY wamp.sequencer
    ADD CONSTRAINT sequencer_pkey PRIMARY KEY (single);


--
-- Name: watch watch_pkey; Type: CONSTRAINT; Schema: wamp; Owner: -
--

ALTER TABLE ONLY wamp.watch
    ADD CONSTRAINT watch_pkey PRIMARY KEY (relation);


--
-- Name: log_relation_position_idx; Type: INDEX; Schema: wamp; Owner: -
--

CREATE INDEX log_relation_position_idx ON ONLY wamp.log USING btree (relation, "position");


--
-- Name: log_0_relation_position_idx; Type: INDEX; Schema: wamp; Owner: -
--

CREATE INDEX log_0_relation_position_idx ON wamp.log_0 USING btree (relation, "position");


--
-- Name: log_1_relation_position_idx; Type: INDEX; Schema: wamp; Owner: -
--

CREATE INDEX log_1_relation_position_idx ON wamp.log_1 USING btree (relation, "position");


--
-- Name: log_2_relation_position_idx; Type: INDEX; Schema: wamp; Owner: -
--

CREATE INDEX log_2_relation_position_idx ON wamp.log_2 USING btree (relation, "position");


--
-- Name: log_3_relation_position_idx; Type: INDEX; Schema: wamp; Owner: -
--

CREATE INDEX log_3_relation_position_idx ON wamp.log_3 USING btree (relation, "position");


--
-- Name: log_4_relation_position_idx; Type: INDEX; Schema: wamp; Owner: -
--

CREATE INDEX log_4_relation_position_idx ON wamp.log_4 USING btree (relation, "position");


--
-- Name: log_5_relation_position_idx; Type: INDEX; Schema: wamp; Owner: -
--

CREATE INDEX log_5_relation_position_idx ON wamp.log_5 USING btree (relation, "position");


--
-- Name: raw_xid_idx; Type: INDEX; Schema: wamp; Owner: -
--

CREATE INDEX raw_xid_idx ON ONLY wamp.raw USING btree (xid);


--
-- Name: raw_0_xid_idx; Type: INDEX; Schema: wamp; Owner: -
--

CREATE INDEX raw_0_xid_idx ON wamp.raw_0 USING btree (xid);


--
-- Name: raw_1_xid_idx; Type: INDEX; Schema: wamp; Owner: -
--

CREATE INDEX raw_1_xid_idx ON wamp.raw_1 USING btree (xid);


--
-- Name: raw_2_xid_idx; Type: INDEX; Schema: wamp; Owner: -
--

CREATE INDEX raw_2_xid_idx ON wamp.raw_2 USING btree (xid);


--
-- Name: task_2026_pkey; Type: INDEX ATTACH; Schema: public; Owner: -
--

ALTER INDEX public.task_pkey ATTACH PARTITION public.task_2026_pkey;


--
-- Name: log_0_pkey; Type: INDEX ATTACH; Schema: wamp; Owner: -
--

ALTER INDEX wamp.log_pkey ATTACH PARTITION wamp.log_0_pkey;


--
-- Name: log_0_relation_position_idx; Type: INDEX ATTACH; Schema: wamp; Owner: -
--

ALTER INDEX wamp.log_relation_position_idx ATTACH PARTITION wamp.log_0_relation_position_idx;


--
-- Name: log_1_pkey; Type: INDEX ATTACH; Schema: wamp; Owner: -
--

ALTER INDEX wamp.log_pkey ATTACH PARTITION wamp.log_1_pkey;


--
-- Name: log_1_relation_position_idx; Type: INDEX ATTACH; Schema: wamp; Owner: -
--

ALTER INDEX wamp.log_relation_position_idx ATTACH PARTITION wamp.log_1_relation_position_idx;


--
-- Name: log_2_pkey; Type: INDEX ATTACH; Schema: wamp; Owner: -
--

ALTER INDEX wamp.log_pkey ATTACH PARTITION wamp.log_2_pkey;


--
-- Name: log_2_relation_position_idx; Type: INDEX ATTACH; Schema: wamp; Owner: -
--

ALTER INDEX wamp.log_relation_position_idx ATTACH PARTITION wamp.log_2_relation_position_idx;


--
-- Name: log_3_pkey; Type: INDEX ATTACH; Schema: wamp; Owner: -
--

ALTER INDEX wamp.log_pkey ATTACH PARTITION wamp.log_3_pkey;


--
-- Name: log_3_relation_position_idx; Type: INDEX ATTACH; Schema: wamp; Owner: -
--

ALTER INDEX wamp.log_relation_position_idx ATTACH PARTITION wamp.log_3_relation_position_idx;


--
-- Name: log_4_pkey; Type: INDEX ATTACH; Schema: wamp; Owner: -
--

ALTER INDEX wamp.log_pkey ATTACH PARTITION wamp.log_4_pkey;


--
-- Name: log_4_relation_position_idx; Type: INDEX ATTACH; Schema: wamp; Owner: -
--

ALTER INDEX wamp.log_relation_position_idx ATTACH PARTITION wamp.log_4_relation_position_idx;


--
-- Name: log_5_pkey; Type: INDEX ATTACH; Schema: wamp; Owner: -
--

ALTER INDEX wamp.log_pkey ATTACH PARTITION wamp.log_5_pkey;


--
-- Name: log_5_relation_position_idx; Type: INDEX ATTACH; Schema: wamp; Owner: -
--

ALTER INDEX wamp.log_relation_position_idx ATTACH PARTITION wamp.log_5_relation_position_idx;


--
-- Name: raw_0_xid_idx; Type: INDEX ATTACH; Schema: wamp; Owner: -
--

ALTER INDEX wamp.raw_xid_idx ATTACH PARTITION wamp.raw_0_xid_idx;


--
-- Name: raw_1_xid_idx; Type: INDEX ATTACH; Schema: wamp; Owner: -
--

ALTER INDEX wamp.raw_xid_idx ATTACH PARTITION wamp.raw_1_xid_idx;


--
-- Name: raw_2_xid_idx; Type: INDEX ATTACH; Schema: wamp; Owner: -
--

ALTER INDEX wamp.raw_xid_idx ATTACH PARTITION wamp.raw_2_xid_idx;


--
-- Name: item wamp_delete; Type: TRIGGER; Schema: public; Owner: -
--

CREATE TRIGGER wamp_delete AFTER DELETE ON public.item REFERENCING OLD TABLE AS old_rows FOR EACH STATEMENT EXECUTE FUNCTION wamp.capture();


--
-- Name: task wamp_delete; Type: TRIGGER; Schema: public; Owner: -
--

CREATE TRIGGER wamp_delete AFTER DELETE ON public.task REFERENCING OLD TABLE AS old_rows FOR EACH STATEMENT EXECUTE FUNCTION wamp.capture();


--
-- Name: task_2026 wamp_delete; Type: TRIGGER; Schema: public; Owner: -
--

CREATE TRIGGER wamp_delete AFTER DELETE ON public.task_2026 REFERENCING OLD TABLE AS old_rows FOR EACH STATEMENT EXECUTE FUNCTION wamp.capture();


--
-- Name: item wamp_insert; Type: TRIGGER; Schema: public; Owner: -
--

CREATE TRIGGER wamp_insert AFTER INSERT ON public.item REFERENCING NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION wamp.capture();


--
-- Name: task wamp_insert; Type: TRIGGER; Schema: public; Owner: -
--

CREATE TRIGGER wamp_insert AFTER INSERT ON public.task REFERENCING NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION wamp.capture();


--
-- Name: task_2026 wamp_insert; Type: TRIGGER; Schema: public; Owner: -
--

CREATE TRIGGER wamp_insert AFTER INSERT ON public.task_2026 REFERENCING NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION wamp.capture();


--
-- Name: item wamp_truncate; Type: TRIGGER; Schema: public; Owner: -
--

CREATE TRIGGER wamp_truncate AFTER TRUNCATE ON public.item FOR EACH STATEMENT EXECUTE FUNCTION wamp.capture();


--
-- Name: task wamp_truncate; Type: TRIGGER; Schema: public; Owner: -
--

CREATE TRIGGER wamp_truncate AFTER TRUNCATE ON public.task FOR EACH STATEMENT EXECUTE FUNCTION wamp.capture();


--
-- Name: task_2026 wamp_truncate; Type: TRIGGER; Schema: public; Owner: -
--

CREATE TRIGGER wamp_truncate AFTER TRUNCATE ON public.task_2026 FOR EACH STATEMENT EXECUTE FUNCTION wamp.capture();


--
-- Name: item wamp_update; Type: TRIGGER; Schema: public; Owner: -
--

CREATE TRIGGER wamp_update AFTER UPDATE ON public.item REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION wamp.capture();


--
-- Name: task wamp_update; Type: TRIGGER; Schema: public; Owner: -
--

CREATE TRIGGER wamp_update AFTER UPDATE ON public.task REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION wamp.capture();


--
-- Name: task_2026 wamp_update; Type: TRIGGER; Schema: public; Owner: -
--

CREATE TRIGGER wamp_update AFTER UPDATE ON public.task_2026 REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION wamp.capture();


--
-- Name: FUNCTION allow_publish(own_prefix text, own_topics text[], own_roles text[]); Type: ACL; Schema: wamp; Owner: -
--

REVOKE ALL ON FUNCTION wamp.allow_publish(own_prefix text, own_topics text[], own_roles text[]) FROM PUBLIC;


--
-- Name: FUNCTION backlog(OUT events bigint, OUT oldest double precision, OUT leader boolean, OUT published_at timestamp with time zone, OUT kept_since timestamp with time zone, OUT bytes bigint); Type: ACL; Schema: wamp; Owner: -
--

REVOKE ALL ON FUNCTION wamp.backlog(OUT events bigint, OUT oldest double precision, OUT leader boolean, OUT published_at timestamp with time zone, OUT kept_since timestamp with time zone, OUT bytes bigint) FROM PUBLIC;


--
-- Name: FUNCTION capture(); Type: ACL; Schema: wamp; Owner: -
--

REVOKE ALL ON FUNCTION wamp.capture() FROM PUBLIC;


--
-- Name: FUNCTION capture_end(); Type: ACL; Schema: wamp; Owner: -
--

REVOKE ALL ON FUNCTION wamp.capture_end() FROM PUBLIC;


--
-- Name: FUNCTION create_triggers(relation regclass); Type: ACL; Schema: wamp; Owner: -
--

REVOKE ALL ON FUNCTION wamp.create_triggers(relation regclass) FROM PUBLIC;


--
-- Name: FUNCTION ddl_changed(); Type: ACL; Schema: wamp; Owner: -
--

REVOKE ALL ON FUNCTION wamp.ddl_changed() FROM PUBLIC;


--
-- Name: FUNCTION evaluate(statement text, records json); Type: ACL; Schema: wamp; Owner: -
--

REVOKE ALL ON FUNCTION wamp.evaluate(statement text, records json) FROM PUBLIC;
GRANT ALL ON FUNCTION wamp.evaluate(statement text, records json) TO pgwamp_events;


--
-- Name: FUNCTION evaluation(layout jsonb, condition text); Type: ACL; Schema: wamp; Owner: -
--

REVOKE ALL ON FUNCTION wamp.evaluation(layout jsonb, condition text) FROM PUBLIC;


--
-- Name: FUNCTION expressions(relation oid); Type: ACL; Schema: wamp; Owner: -
--

REVOKE ALL ON FUNCTION wamp.expressions(relation oid) FROM PUBLIC;


--
-- Name: FUNCTION forget(relation regclass); Type: ACL; Schema: wamp; Owner: -
--

REVOKE ALL ON FUNCTION wamp.forget(relation regclass) FROM PUBLIC;


--
-- Name: FUNCTION is_outdated(relation oid); Type: ACL; Schema: wamp; Owner: -
--

REVOKE ALL ON FUNCTION wamp.is_outdated(relation oid) FROM PUBLIC;


--
-- Name: FUNCTION key_columns(relation regclass); Type: ACL; Schema: wamp; Owner: -
--

REVOKE ALL ON FUNCTION wamp.key_columns(relation regclass) FROM PUBLIC;


--
-- Name: FUNCTION layout(relation regclass); Type: ACL; Schema: wamp; Owner: -
--

REVOKE ALL ON FUNCTION wamp.layout(relation regclass) FROM PUBLIC;


--
-- Name: FUNCTION note(relation regclass, op "char", said jsonb); Type: ACL; Schema: wamp; Owner: -
--

REVOKE ALL ON FUNCTION wamp.note(relation regclass, op "char", said jsonb) FROM PUBLIC;


--
-- Name: FUNCTION note_layouts(changed regclass[], altered regclass[], lost regclass[]); Type: ACL; Schema: wamp; Owner: -
--

REVOKE ALL ON FUNCTION wamp.note_layouts(changed regclass[], altered regclass[], lost regclass[]) FROM PUBLIC;


--
-- Name: FUNCTION publish(topic text, args jsonb, kwargs jsonb, options jsonb); Type: ACL; Schema: wamp; Owner: -
--

REVOKE ALL ON FUNCTION wamp.publish(topic text, args jsonb, kwargs jsonb, options jsonb) FROM PUBLIC;


--
-- Name: FUNCTION refresh(relation regclass); Type: ACL; Schema: wamp; Owner: -
--

REVOKE ALL ON FUNCTION wamp.refresh(relation regclass) FROM PUBLIC;


--
-- Name: FUNCTION require_columns(relation regclass, options jsonb, condition_columns text[]); Type: ACL; Schema: wamp; Owner: -
--

REVOKE ALL ON FUNCTION wamp.require_columns(relation regclass, options jsonb, condition_columns text[]) FROM PUBLIC;


--
-- Name: FUNCTION require_condition(relation regclass, given text, OUT condition text, OUT columns text[]); Type: ACL; Schema: wamp; Owner: -
--

REVOKE ALL ON FUNCTION wamp.require_condition(relation regclass, given text, OUT condition text, OUT columns text[]) FROM PUBLIC;


--
-- Name: FUNCTION require_evaluation(layout jsonb, condition text); Type: ACL; Schema: wamp; Owner: -
--

REVOKE ALL ON FUNCTION wamp.require_evaluation(layout jsonb, condition text) FROM PUBLIC;


--
-- Name: FUNCTION require_options(options jsonb); Type: ACL; Schema: wamp; Owner: -
--

REVOKE ALL ON FUNCTION wamp.require_options(options jsonb) FROM PUBLIC;


--
-- Name: FUNCTION require_payload(args jsonb, kwargs jsonb); Type: ACL; Schema: wamp; Owner: -
--

REVOKE ALL ON FUNCTION wamp.require_payload(args jsonb, kwargs jsonb) FROM PUBLIC;


--
-- Name: FUNCTION require_topic(topic text); Type: ACL; Schema: wamp; Owner: -
--

REVOKE ALL ON FUNCTION wamp.require_topic(topic text) FROM PUBLIC;


--
-- Name: FUNCTION stamp(relation oid); Type: ACL; Schema: wamp; Owner: -
--

REVOKE ALL ON FUNCTION wamp.stamp(relation oid) FROM PUBLIC;


--
-- Name: FUNCTION unwatch(relation regclass); Type: ACL; Schema: wamp; Owner: -
--

REVOKE ALL ON FUNCTION wamp.unwatch(relation regclass) FROM PUBLIC;


--
-- Name: FUNCTION watch(relation regclass, options jsonb); Type: ACL; Schema: wamp; Owner: -
--

REVOKE ALL ON FUNCTION wamp.watch(relation regclass, options jsonb) FROM PUBLIC;


--
-- Name: FUNCTION watch_options(relation regclass, options jsonb); Type: ACL; Schema: wamp; Owner: -
--

REVOKE ALL ON FUNCTION wamp.watch_options(relation regclass, options jsonb) FROM PUBLIC;


--
-- Name: TABLE item; Type: ACL; Schema: public; Owner: -
--

GRANT SELECT ON TABLE public.item TO pgwamp_calls;


--
-- Name: TABLE task; Type: ACL; Schema: public; Owner: -
--

GRANT SELECT ON TABLE public.task TO pgwamp_calls;


--
-- Name: wamp_ddl_command_end; Type: EVENT TRIGGER; Schema: -; Owner: -
--



--
-- Name: wamp_sql_drop; Type: EVENT TRIGGER; Schema: -; Owner: -
--



--
-- PostgreSQL database dump complete
--


