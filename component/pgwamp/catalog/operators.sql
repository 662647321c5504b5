-- The operators of the types $1 that are not PostgreSQL's own: those of the type's extension, or, if
-- it belongs to none, of its owner. Others can be made by anybody who may create things there.
select
    t.oid::bigint as type,
    o.oprname as name,
    format_type(o.oprright, -1) as operand,
    n.nspname as schema
from pg_type as t
join pg_operator as o on o.oprleft = t.oid and o.oprkind = 'b'
join pg_namespace as n on n.oid = o.oprnamespace
left join pg_depend as te
    on te.classid = 'pg_type'::regclass and te.objid = t.oid and te.deptype = 'e'
left join pg_depend as oe
    on oe.classid = 'pg_operator'::regclass and oe.objid = o.oid and oe.deptype = 'e'
where t.oid = any ($1::oid[])
    and t.typtype = 'b'
    and t.typnamespace <> 'pg_catalog'::regnamespace
    and case
        when te.refobjid is null then oe.refobjid is null and o.oprowner = t.typowner
        else oe.refobjid = te.refobjid
    end
order by o.oprnamespace <> t.typnamespace, o.oid
