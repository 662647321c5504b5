-- The watched tables. Their triggers are the only record, so that nothing can disagree with it.
create or replace view wamp.watched as
select
    t.tgrelid::regclass as relation,
    n.nspname::text as relation_schema,
    c.relname::text as relation_name,
    wamp.key_columns(t.tgrelid) as key_columns,
    convert_from(
        substring(t.tgargs from 1 for length(t.tgargs) - 1), getdatabaseencoding())::jsonb as options
from pg_catalog.pg_trigger as t
join pg_catalog.pg_proc as p on p.oid = t.tgfoid and p.pronamespace = 'wamp'::regnamespace
join pg_catalog.pg_class as c on c.oid = t.tgrelid
join pg_catalog.pg_namespace as n on n.oid = c.relnamespace
where t.tgname = 'wamp_insert'
    and not t.tgisinternal
    and t.tgnargs = 1;
