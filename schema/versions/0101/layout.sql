-- How the records of a table read: its columns with their types, its key, and its partitions.
--
-- columns     by the oid of the table, and of each partition whose columns are in another order
-- deferrable  whether two rows can share a key until the transaction ends
-- filled      partitions that have rows, or had some
-- partitions  their names, by oid
-- reads       name, type and collation of the columns that the condition of the watch and computed columns
--             read; the collation where it is not that of the type, and nulls if there is no such column
-- stamps      what raw rows carry where there are no event triggers, by oid
-- types       rows as pgwamp.catalog.types reads them, of all types that the columns are made of; without the
--             names of types of others, which may change
-- virtual     name, type, modifier, collation and expression of the columns that are computed when they are
--             read, and null in a trigger
create or replace function wamp.layout(relation regclass) returns jsonb
language sql
stable
set search_path = pg_catalog, pg_temp
as $$
with recursive member as (
    select relation::oid as oid
    union
    select p.relid::oid from pg_partition_tree(relation) as p
),
attribute as (
    select a.attrelid, a.attnum, a.attname, a.atttypid, a.atttypmod, a.attcollation, a.attgenerated, d.oid as def,
        d.adbin
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
type as (
    select jsonb_agg(jsonb_strip_nulls(jsonb_build_object(
        'oid', t.oid::bigint,
        'name', case when n.nspname = 'pg_catalog' then format_type(t.oid, -1) end,
        'typname', case when n.nspname = 'pg_catalog' or t.typname = 'hstore' then t.typname end,
        'kind', t.typtype,
        'category', t.typcategory,
        'schema', case when n.nspname = 'pg_catalog' then n.nspname end,
        'base', case when t.typtype = 'd' then t.typbasetype::bigint end,
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
        from columns as k
        where k.attrelid = relation or k.list <> (select o.list from columns as o where o.attrelid = relation)),
    'filled', (
        select jsonb_agg(p.relid::oid::bigint) from pg_partition_tree(relation) as p
        where p.isleaf and pg_relation_size(p.relid) > 0),
    'partitions', (
        select jsonb_object_agg(p.relid::oid::text, format('%s.%s', m.nspname, k.relname))
        from pg_partition_tree(relation) as p
        join pg_class as k on k.oid = p.relid
        join pg_namespace as m on m.oid = k.relnamespace
        where p.relid <> relation),
    'reads', (
        select jsonb_agg(
            jsonb_build_array(r.attname, a.atttypid::bigint, nullif(a.attcollation, t.typcollation)::bigint)
            order by a.attnum, r.attname)
        from reads as r
        left join attribute as a on a.attrelid = relation and a.attname = r.attname
        left join pg_type as t on t.oid = a.atttypid
        where a.attgenerated is distinct from 'v'),
    'stamps', (select jsonb_object_agg(oid::text, wamp.stamp(oid)) from member),
    'types', (select list from type),
    'virtual', (
        select jsonb_agg(
            jsonb_build_array(
                attname, atttypid::bigint, atttypmod, nullif(attcollation, 0)::bigint,
                pg_get_expr(adbin, attrelid))
            order by attnum)
        from attribute where attrelid = relation and attgenerated = 'v'))
from pg_class as c
join pg_namespace as n on n.oid = c.relnamespace
where c.oid = relation
$$;
