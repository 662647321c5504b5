-- The watched tables.
create or replace view wamp.watched as
select
    w.relation,
    n.nspname::text as relation_schema,
    c.relname::text as relation_name,
    wamp.key_columns(w.relation) as key_columns,
    w.options
from wamp.watch as w
join pg_catalog.pg_class as c on c.oid = w.relation
join pg_catalog.pg_namespace as n on n.oid = c.relnamespace;
