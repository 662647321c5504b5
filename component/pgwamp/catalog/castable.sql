-- The types a value can be cast to: those of PostgreSQL itself and of schemas $1.
select t.oid::bigint as oid, t.typname::text as name, n.nspname = 'pg_catalog' as built_in
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
order by n.nspname, t.typname
