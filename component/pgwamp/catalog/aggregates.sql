-- The aggregates that columns can name, by the type that they take: PostgreSQL's own, and for a base
-- type those of its extension, or, if it belongs to none, of its owner. Others can be made by anybody
-- who may create things there. A type without one has that of a type that PostgreSQL casts it to.
with aggregate as (
    select
        p.proname::text as name,
        n.nspname::text as schema,
        t.oid as argument,
        t.typispreferred as preferred,
        t.typcategory::text as category,
        p.prorettype as result
    from pg_proc as p
    join pg_namespace as n on n.oid = p.pronamespace
    join pg_type as t on t.oid = p.proargtypes[0]
    left join pg_depend as te
        on te.classid = 'pg_type'::regclass and te.objid = t.oid and te.deptype = 'e'
    left join pg_depend as pe
        on pe.classid = 'pg_proc'::regclass and pe.objid = p.oid and pe.deptype = 'e'
    where p.prokind = 'a'
        and p.pronargs = 1
        and p.proname in ('sum', 'avg', 'min', 'max', 'bool_and', 'bool_or')
        and case
            when p.pronamespace = 'pg_catalog'::regnamespace then true
            when t.typtype <> 'b' or t.typnamespace = 'pg_catalog'::regnamespace then false
            when te.refobjid is null then pe.refobjid is null and p.proowner = t.typowner
            else pe.refobjid = te.refobjid
        end
)
select distinct on (name, argument) name, schema, argument::bigint, result::bigint
from (
    select name, schema, argument, result, 1 as place, preferred, 1 as categories
    from aggregate
    union all
    select
        a.name, a.schema, c.castsource, a.result, 2, a.preferred,
        -- Between types of several categories PostgreSQL does not choose.
        case when min(a.category) over same = max(a.category) over same then 1 else 2 end
    from aggregate as a
    join pg_cast as c on c.casttarget = a.argument
    -- An aggregate of the type itself would be the better match in its schema: in that of PostgreSQL's own,
    -- nobody else can make one.
    where c.castcontext = 'i' and c.castfunc < 16384 and a.schema = 'pg_catalog'
    window same as (partition by a.name, c.castsource)
) as found
where categories = 1
order by name, argument, place, preferred desc, schema
