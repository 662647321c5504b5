-- The types $1 and every type that they are made of.
with recursive wanted (oid) as (
    select unnest($1::oid[])
    union
    select part.oid
    from wanted as w
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
)
select
    t.oid::bigint as oid,
    -- With a modifier of -1, for bpchar: plain "character" in a cast is character(1).
    format_type(t.oid, -1) as name,
    t.typname::text as typname,
    t.typtype::text as kind,
    t.typcategory::text as category,
    n.nspname as schema,
    case when t.typtype = 'd' then t.typbasetype::bigint end as base,
    case
        when t.typcategory = 'A' then t.typelem::bigint
        else r.rngsubtype::bigint
    end as element,
    case when t.typtype = 'e' then array(
        select e.enumlabel::text from pg_enum as e where e.enumtypid = t.oid order by e.enumsortorder
    ) end as labels,
    case when t.typtype = 'c' then (
        select json_agg(json_build_array(a.attname, a.atttypid::bigint) order by a.attnum)
        from pg_attribute as a
        where a.attrelid = t.typrelid and a.attnum > 0 and not a.attisdropped
    ) end as fields,
    -- Schema and name of the relation whose rows it is the type of.
    case when t.typtype = 'c' then (
        select array[n.nspname::text, c.relname::text]
        from pg_class as c
        where c.oid = t.typrelid and c.relkind <> 'c'
    ) end as relation,
    t.typdelim::text as delimiter,
    -- The output function, with its schema.
    array[o.nspname::text, f.proname::text] as output,
    -- Functions of users that a cast of it runs; those of extensions are by superusers.
    exists (
        select from pg_cast as c
        where c.castsource = t.oid
            and c.castfunc >= 16384
            and not exists (
                select from pg_depend as d
                where d.classid = 'pg_proc'::regclass and d.objid = c.castfunc and d.deptype = 'e'
            )
    ) as casts,
    -- Whether PostgreSQL sorts its values; those that are made of others it sorts by these.
    t.typtype in ('e', 'r', 'm', 'c') or t.typcategory = 'A' or exists (
        select from pg_opclass as o
        join pg_am as m on m.oid = o.opcmethod
        where m.amname = 'btree'
            and o.opcdefault
            and (o.opcintype = t.oid or exists (
                select from pg_cast as c
                where c.castsource = t.oid
                    and c.casttarget = o.opcintype
                    and c.castmethod = 'b'
                    and c.castcontext = 'i'
            ))
    ) as ordered
from wanted as w
join pg_type as t on t.oid = w.oid
join pg_namespace as n on n.oid = t.typnamespace
left join pg_range as r on r.rngtypid = t.oid or r.rngmultitypid = t.oid
join pg_proc as f on f.oid = t.typoutput
join pg_namespace as o on o.oid = f.pronamespace
