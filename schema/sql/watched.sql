-- The watched tables. Their triggers are the only record, so that nothing can disagree with it.
create or replace view wamp.watched as
select
    t.tgrelid::regclass as relation,
    n.nspname::text as relation_schema,
    c.relname::text as relation_name,
    wamp.key_columns(t.tgrelid) as key_columns
from pg_catalog.pg_trigger as t
join pg_catalog.pg_class as c on c.oid = t.tgrelid
join pg_catalog.pg_namespace as n on n.oid = c.relnamespace
where t.tgname = 'wamp_insert'
    and not t.tgisinternal
    and t.tgparentid = 0
    and t.tgfoid = 'wamp.capture()'::regprocedure;
