-- Statements that give the schema wamp and what its owner has in it to another role. For a search path of
-- pg_catalog, pg_temp.
with home as (
    select oid, nspowner as owner from pg_namespace where nspname = 'wamp'
)
select format('ALTER TABLE %s OWNER TO %I', c.oid::regclass, :role)
from pg_class as c join home on c.relnamespace = home.oid and c.relowner = home.owner
where c.relkind in ('r', 'p', 'v') or c.relkind = 'S' and not exists (
    -- The sequence of a column goes with its table.
    select from pg_depend as d
    where d.classid = 'pg_class'::regclass and d.objid = c.oid and d.deptype in ('a', 'i')
        and d.refclassid = 'pg_class'::regclass)
union all
select format('ALTER ROUTINE %s OWNER TO %I', p.oid::regprocedure, :role)
from pg_proc as p join home on p.pronamespace = home.oid and p.proowner = home.owner
where not exists (
    -- That of the event triggers stays with the superuser who made them.
    select from pg_event_trigger where evtfoid = p.oid and evtowner = p.proowner)
union all
-- That of the role of conditions stays with it; whoever may call it acts as that role.
select format('REVOKE EXECUTE ON FUNCTION wamp.evaluate(text, json) FROM %I', pg_get_userbyid(owner))
from home where to_regprocedure('wamp.evaluate(text, json)') is not null
union all
select format('GRANT EXECUTE ON FUNCTION wamp.evaluate(text, json) TO %I', :role)
where to_regprocedure('wamp.evaluate(text, json)') is not null
union all
select format('ALTER SCHEMA wamp OWNER TO %I', :role)
