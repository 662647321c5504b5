-- Publish the committed changes of a table:
--     select wamp.watch('orders');
--     select wamp.watch('orders', '{"topic": "com.example.orders.{op}.{customer_id}"}');
--
-- Calling it again replaces the options; it is also how a partition made later is watched, and how
-- the key is read again after it has changed. See wamp.refresh.
--
-- For members of the owner of the schema wamp who may create triggers on the table: what the options
-- say runs with the rights of that owner.
create or replace function wamp.watch(relation regclass, options jsonb default '{}') returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
declare
    kind constant "char" := (select relkind from pg_class where oid = relation);
    home constant oid := (select relnamespace from pg_class where oid = relation);
    identity constant "char" := (select relreplident from pg_class where oid = relation);
begin
    if kind not in ('r', 'p') then
        raise exception '% is not a table', relation
            using errcode = 'wrong_object_type',
                hint = 'Only tables can be watched; watch the tables below a view instead.';
    end if;
    if home = 'wamp'::regnamespace then
        raise exception '% belongs to pgwamp', relation
            using errcode = 'wrong_object_type',
                hint = 'Writing an event would write another, without end.';
    end if;
    if (select relpersistence = 't' from pg_class where oid = relation) then
        raise exception '% is temporary', relation
            using errcode = 'wrong_object_type',
                hint = 'Nobody else could read its rows again.';
    end if;
    if (select relispartition from pg_class where oid = relation) then
        raise exception '% is a partition of %', relation, pg_partition_root(relation)
            using errcode = 'wrong_object_type',
                hint = 'Watch the whole table: what is written through it is no change of a partition.';
    end if;
    if wamp.key_columns(relation) is null and identity <> 'f' then
        raise exception '% has no primary key', relation
            using errcode = 'object_not_in_prerequisite_state',
                hint = 'Add a primary key, or name a unique index with ALTER TABLE ... REPLICA IDENTITY '
                    'USING INDEX, or let whole rows say which they were with REPLICA IDENTITY FULL.';
    end if;
    if wamp.key_columns(relation) is null and options ->> 'old' <> 'full' then
        raise exception 'old must be "full": % has no key', relation
            using errcode = 'invalid_parameter_value',
                hint = 'Only the whole former row says which row it was.';
    end if;
    options := wamp.watch_options(relation, options);
    perform wamp.lay_triggers(relation, options, wamp.define_capture(relation, options));
    perform wamp.drop_captures();
end
$$;
