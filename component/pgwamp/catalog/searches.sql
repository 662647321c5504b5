-- The text search configurations of PostgreSQL itself and of schemas $1, and how SQL spells each.
select c.cfgname::text as name, n.nspname::text as schema, format('%I.%I', n.nspname, c.cfgname) as spelled,
    n.nspname = 'pg_catalog' as built_in
from pg_ts_config as c
join pg_namespace as n on n.oid = c.cfgnamespace
where n.nspname = any ($1::text[]) or n.nspname = 'pg_catalog'
order by n.nspname, c.cfgname
