-- What PostgREST calls data representations: casts between a domain and json or text that a
-- function makes. PostgreSQL itself ignores casts of domains, so the functions are called.
select
    case when s.typtype = 'd' then s.oid else t.oid end::bigint as domain,
    case when s.typtype = 'd' then 'to_json' else 'from_' || s.typname end as direction,
    n.nspname as schema,
    p.proname as name
from pg_cast as c
join pg_type as s on s.oid = c.castsource
join pg_type as t on t.oid = c.casttarget
join pg_proc as p on p.oid = c.castfunc
join pg_namespace as n on n.oid = p.pronamespace
where (s.typtype = 'd' and t.oid = 'json'::regtype)
    or (t.typtype = 'd' and s.oid in ('json'::regtype, 'text'::regtype))
