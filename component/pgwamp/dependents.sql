-- Objects outside the schema wamp that keep one in it from being dropped or changed, as one line each with
-- the cure. Any role that may create a temporary view can make them: PostgreSQL asks for few privileges
-- when an object comes to depend on another. For a search path of pg_catalog, pg_temp.
with home as (
    select oid, nspowner as owner from pg_namespace where nspname = 'wamp'
),
-- A row type, and an array of it, is shown as its table.
own (class, id, shown_class, shown_id) as (
    select 'pg_class'::regclass, oid, 'pg_class'::regclass, oid
    from pg_class where relnamespace = (select oid from home)
    union all
    select 'pg_proc'::regclass, oid, 'pg_proc'::regclass, oid
    from pg_proc where pronamespace = (select oid from home)
    union all
    select 'pg_type'::regclass, t.oid,
        case when base.typrelid <> 0 then 'pg_class'::regclass else 'pg_type'::regclass end,
        coalesce(nullif(base.typrelid, 0), t.oid)
    from pg_type as t
    join pg_type as base on base.oid = coalesce(nullif(t.typelem, 0), t.oid)
    where t.typnamespace = (select oid from home)
),
-- Rules of views, defaults and the like are named by what they are part of.
dependent (class, id, needed_class, needed_id) as (
    select distinct on (part.class, part.id) part.class, part.id, own.shown_class, own.shown_id
    from own
    join pg_depend as d on d.refclassid = own.class and d.refobjid = own.id and d.deptype = 'n'
    left join pg_rewrite as r on d.classid = 'pg_rewrite'::regclass and r.oid = d.objid
    left join pg_attrdef as a on d.classid = 'pg_attrdef'::regclass and a.oid = d.objid
    left join pg_constraint as c on d.classid = 'pg_constraint'::regclass and c.oid = d.objid
    left join pg_policy as p on d.classid = 'pg_policy'::regclass and p.oid = d.objid
    cross join lateral (
        select 'pg_class'::regclass, table_id
        from (values (r.ev_class), (a.adrelid), (nullif(c.conrelid, 0)), (p.polrelid)) as t (table_id)
        where table_id is not null
        union all
        select 'pg_type'::regclass, c.contypid where c.contypid <> 0
        union all
        select d.classid::regclass, d.objid where num_nulls(r.oid, a.oid, c.oid, p.oid) = 4
    ) as part (class, id)
    where (part.class, part.id) not in (select class, id from own)
        -- Triggers of watched tables, and our event triggers: who makes them may use the function.
        and part.class not in ('pg_trigger'::regclass, 'pg_event_trigger'::regclass)
    order by part.class, part.id, own.shown_class, own.shown_id
),
owned as (
    select d.*, coalesce(
        (select relowner from pg_class where d.class = 'pg_class'::regclass and oid = d.id),
        (select proowner from pg_proc where d.class = 'pg_proc'::regclass and oid = d.id),
        (select typowner from pg_type where d.class = 'pg_type'::regclass and oid = d.id),
        (select oprowner from pg_operator where d.class = 'pg_operator'::regclass and oid = d.id)
    ) as owner
    from dependent as d
)
select
    format(
        'the %s %s%s depends on the %s, so that no migration can drop or change that: %s',
        o.type, o.identity, format(' of role "%s"', pg_get_userbyid(d.owner)), n.needed,
        case when o.schema like 'pg\_temp%'
            then 'it goes when the session that made it ends, or drop it as a superuser'
            else 'drop it, or let its owner do so'
        end) as problem,
    n.needed,
    -- Members of the owner use what they like; others publish, if they may.
    pg_has_role(d.owner, (select owner from home), 'member')
        or d.needed_id = to_regprocedure('wamp.publish(text, jsonb, jsonb, jsonb)')
            and has_function_privilege(d.owner, d.needed_id, 'execute') as entitled
from owned as d
cross join lateral pg_identify_object(d.class, d.id, 0) as o
cross join lateral (select pg_describe_object(d.needed_class, d.needed_id, 0)) as n (needed)
order by entitled, o.type, o.identity
