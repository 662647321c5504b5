-- The rewrite rules of all views: they say which column of which table a view shows. One that is
-- stored in more than 100 kB, compressed, is not read: its view shows no table's columns.
select c.oid::bigint as oid, r.ev_action::text as rule
from pg_rewrite as r
join pg_class as c on c.oid = r.ev_class
join pg_namespace as n on n.oid = c.relnamespace
where n.nspname not in ('pg_catalog', 'information_schema')
    and c.relkind in ('v', 'm')
    and r.rulename = '_RETURN'
    and pg_column_size(r.ev_action) <= 100000
    -- A view of what an extension owns shows no table of an application.
    and not exists (
        select from pg_depend as d
        where d.classid = 'pg_class'::regclass and d.objid = c.oid and d.deptype = 'e'
    )
