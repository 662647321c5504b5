-- Publish the committed changes of a table:
--     select wamp.watch('orders');
--     select wamp.watch('orders', '{"topic": "com.example.orders.{op}.{customer_id}"}');
--
-- Calling it again replaces the options. The table is live from the commit of this transaction: it waits
-- for whoever writes to the table, for ten seconds at most. Calling it again waits only for other options of
-- which rows and columns are for whom.
--
-- For members of the owner of the schema wamp who may create triggers on the table.
create or replace function wamp.watch(relation regclass, options jsonb default '{}') returns void
language plpgsql
set search_path = pg_catalog, pg_temp
set lock_timeout = '10s'
as $$
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
