-- How the records of a table read: its columns with their types, its key, and its partitions. It waits for no lock,
-- which an owner could hold.
--
-- columns     by the oid of the table, and of each partition whose columns are in another order
-- deferrable  whether two rows can share a key until the transaction ends
-- filled      partitions that this transaction has locked, as it attaches them, and that have rows or had some
-- partitions  their names, by oid
-- reads       name, type and collation of the columns that the condition of the watch and computed columns
--             read; the collation where it is not that of the type, and nulls if there is no such column
-- stamps      what raw rows carry where there are no event triggers, by oid
-- types       rows as pgwamp.catalog.types reads them, of all types that the columns are made of, with the relation
--             of each composite, and without the names of types of others, which may change; null if they are too
--             many, or not known now: then records cannot be read
-- virtual     name, type, modifier, collation and expression of the columns that are computed when they are
--             read, and null in a trigger
create or replace function wamp.layout(relation regclass) returns jsonb
language sql
stable
set search_path = pg_catalog, pg_temp
-- Its cost is overestimated: compiling would take a hundred times as long as it takes.
set jit = off
set quote_all_identifiers = off
as $$
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
