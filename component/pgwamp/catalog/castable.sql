-- The types a value can be cast to: those of PostgreSQL itself and of schemas $1.
select t.oid::bigint as oid, t.typname::text as name
from pg_type as t
join pg_namespace as n on n.oid = t.typnamespace
where (n.nspname = any ($1::text[]) or n.nspname = 'pg_catalog')
    and t.typtype in ('b', 'd', 'e', 'r', 'm')
    and t.typisdefined
    -- Names of objects, internals, and arrays of rows.
    and t.typname !~ '^(reg|pg_|_pg_|_reg|xid|_xid|cid|_cid|tid|_tid|txid|_txid|refcursor|_refcursor|gtsvector|_gtsvector|aclitem|_aclitem|int2vector|oidvector|_int2vector|_oidvector|"?char"?$|_char$)'
    and (t.typcategory <> 'A' or exists (
        select from pg_type as e
        where e.oid = t.typelem and e.typtype in ('b', 'd', 'e', 'r', 'm') and e.typelem = 0
    ))
-- PostgreSQL's own names come first.
order by n.nspname <> 'pg_catalog', array_position($1::text[], n.nspname::text), t.typname
