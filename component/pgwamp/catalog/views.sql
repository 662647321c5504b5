-- The views that those of schemas $1 are made of: the views that each stands on, and its rewrite
-- rule, which says which column of which table it shows. Not read are rules that anybody could make
-- to fill memory: one of more than 1 MB, and the newest beyond 50 MB in all. Their views show no
-- table's columns.
with recursive view (oid) as (
    select c.oid
    from pg_class as c
    join pg_namespace as n on n.oid = c.relnamespace
    where n.nspname = any ($1::text[])
        and c.relkind in ('v', 'm')
        -- A view of what an extension owns shows no table of an application.
        and not exists (
            select from pg_depend as d
            where d.classid = 'pg_class'::regclass and d.objid = c.oid and d.deptype = 'e'
        )
    union
    select c.oid
    from view as v
    join pg_rewrite as r on r.ev_class = v.oid and r.rulename = '_RETURN'
    join pg_depend as d
        on d.classid = 'pg_rewrite'::regclass and d.objid = r.oid
        and d.refclassid = 'pg_class'::regclass
    join pg_class as c on c.oid = d.refobjid and c.relkind in ('v', 'm')
    join pg_namespace as n
        on n.oid = c.relnamespace and n.nspname not in ('pg_catalog', 'information_schema')
),
sized as (
    select
        r.ev_class as oid,
        r.ev_action,
        sum(octet_length(r.ev_action::text)) over (order by r.ev_class) as bytes
    from pg_rewrite as r
    join view as v on v.oid = r.ev_class
    where r.rulename = '_RETURN'
        and pg_column_size(r.ev_action) <= 100000
        and octet_length(r.ev_action::text) <= 1000000
),
standing as (
    select r.ev_class as oid, array_agg(distinct d.refobjid::bigint) as below
    from pg_rewrite as r
    join view as v on v.oid = r.ev_class
    join pg_depend as d
        on d.classid = 'pg_rewrite'::regclass and d.objid = r.oid
        and d.refclassid = 'pg_class'::regclass and d.refobjid <> r.ev_class
    join view as under on under.oid = d.refobjid
    where r.rulename = '_RETURN'
    group by r.ev_class
)
select v.oid::bigint as oid, s.ev_action::text as rule, coalesce(b.below, '{}') as below
from view as v
left join sized as s on s.oid = v.oid and s.bytes <= 50000000
left join standing as b on b.oid = v.oid
