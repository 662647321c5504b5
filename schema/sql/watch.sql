-- Publish the committed changes of a table: wamp.watch('orders').
--
-- Calling it again is harmless, and refreshes the key columns after the key has changed.
create or replace function wamp.watch(relation regclass) returns void
language plpgsql
as $$
declare
    kind constant "char" := (select relkind from pg_catalog.pg_class where oid = relation);
    home constant oid := (select relnamespace from pg_catalog.pg_class where oid = relation);
    key_columns constant text[] := wamp.key_columns(relation);
    arguments text;
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
    if not pg_catalog.has_function_privilege('wamp.capture()', 'execute') then
        raise exception 'role % may not watch tables', current_user
            using errcode = 'insufficient_privilege',
                hint = format(
                    'Let the owner of the schema wamp run: '
                    'GRANT EXECUTE ON FUNCTION wamp.capture() TO %I', current_user);
    end if;
    if key_columns is null then
        raise exception '% has no primary key', relation
            using errcode = 'object_not_in_prerequisite_state',
                hint = 'Add a primary key, or name a unique index with '
                    'ALTER TABLE ... REPLICA IDENTITY USING INDEX.';
    end if;
    arguments := (
        select string_agg(quote_literal(c), ', ' order by position)
        from unnest(key_columns) with ordinality as k (c, position)
    );
    execute format(
        'create or replace trigger wamp_insert after insert on %s '
        'referencing new table as new_rows '
        'for each statement execute function wamp.capture(%s)', relation, arguments);
    execute format(
        'create or replace trigger wamp_update after update on %s '
        'referencing old table as old_rows new table as new_rows '
        'for each statement execute function wamp.capture(%s)', relation, arguments);
    execute format(
        'create or replace trigger wamp_delete after delete on %s '
        'referencing old table as old_rows '
        'for each statement execute function wamp.capture(%s)', relation, arguments);
    execute format(
        'create or replace trigger wamp_truncate after truncate on %s '
        'for each statement execute function wamp.capture(%s)', relation, arguments);
end
$$;
