-- The trigger of a watched table: one INSERT ... SELECT for all rows of a statement.
--
-- Arguments of the trigger are the key columns. Old and new rows of an UPDATE are paired by
-- position: PostgreSQL appends both to their transition tables at the same moment, so that also
-- an update of the key itself has its old row beside the new one. Only when a row moves to another
-- partition, and a trigger there refuses it, is there an old row without a new one: then rows are
-- paired by key, and what has no partner is a delete or an insert. The full join keeps the planner,
-- which may have planned for a statement of one row, from joining in a nested loop.
--
-- Whole rows are written n.* and o.*: a plain n would be the column of that name, if there is one.
--
-- The settings make values read the same whatever the writing session has set: the JSON of a
-- timestamptz, interval, bytea, float or range depends on them.
create or replace function wamp.capture() returns trigger
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
set timezone = 'UTC'
set datestyle = 'ISO'
set intervalstyle = 'iso_8601'
set bytea_output = 'hex'
set extra_float_digits = 1
as $$
declare
    key_columns constant text[] := tg_argv;
    current_slot constant smallint := (select slot from wamp.retention);
    by_position boolean;
begin
    if tg_op = 'INSERT' then
        insert into wamp.event (slot, relation_schema, relation, op, kwargs)
        select current_slot, tg_table_schema, tg_table_name, 'insert',
            jsonb_build_object(
                'key', wamp.project(r.new, key_columns),
                'new', r.new)
        from (select to_jsonb(n.*) as new from new_rows as n) as r;
    elsif tg_op = 'UPDATE' then
        by_position := (select count(*) from old_rows) = (select count(*) from new_rows);
        insert into wamp.event (slot, relation_schema, relation, op, kwargs)
        select current_slot, tg_table_schema, tg_table_name,
            case when n.new is null then 'delete' when o.old is null then 'insert' else 'update' end,
            case when n.new is null then
                jsonb_build_object(
                    'key', wamp.project(o.old, key_columns),
                    'old', o.old)
            when o.old is null then
                jsonb_build_object(
                    'key', wamp.project(n.new, key_columns),
                    'new', n.new)
            else
                jsonb_build_object(
                    'key', wamp.project(n.new, key_columns),
                    'new', n.new,
                    'old', d.old,
                    'changed', d.changed)
            end
        from (
            select r.position, r.new,
                case when by_position then r.position::text
                    else wamp.project(r.new, key_columns)::text end as pair
            from (select row_number() over () as position, to_jsonb(n.*) as new from new_rows as n)
                as r
        ) as n
        full join (
            select r.position, r.old,
                case when by_position then r.position::text
                    else wamp.project(r.old, key_columns)::text end as pair
            from (select row_number() over () as position, to_jsonb(o.*) as old from old_rows as o)
                as r
        ) as o on n.pair = o.pair
        cross join lateral (
            select
                coalesce(jsonb_object_agg(c.key, c.value), '{}') as old,
                coalesce(jsonb_agg(c.key), '[]') as changed
            from jsonb_each(o.old) as c
            where n.new -> c.key is distinct from c.value
        ) as d
        order by coalesce(n.position, o.position);
    elsif tg_op = 'DELETE' then
        insert into wamp.event (slot, relation_schema, relation, op, kwargs)
        select current_slot, tg_table_schema, tg_table_name, 'delete',
            jsonb_build_object(
                'key', wamp.project(r.old, key_columns),
                'old', r.old)
        from (select to_jsonb(o.*) as old from old_rows as o) as r;
    else
        insert into wamp.event (slot, relation_schema, relation, op, kwargs)
        values (current_slot, tg_table_schema, tg_table_name, 'truncate', '{}');
    end if;
    if found then
        perform wamp.wake();
    end if;
    return null;
end
$$;
