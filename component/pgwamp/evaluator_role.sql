-- Why the role of conditions, pgwamp_evaluator, is not to be trusted in this database, as one line with the cure; null if
-- it is, or if nothing runs as it. For a search path of pg_catalog, pg_temp.
--
-- A role that can act as this one and may use the schema wamp can move wamp.evaluate elsewhere while it is called, and
-- give it another text there, which would have the rights of its caller.
with recursive home as (
    select n.oid, n.nspowner as owner, r.rolsuper
    from pg_namespace as n join pg_roles as r on r.oid = n.nspowner
    where n.nspname = 'wamp'
),
here as (
    select oid, datdba from pg_database where datname = current_database()
),
evaluate as (
    select p.* from pg_proc as p
    where p.pronamespace = (select oid from home) and p.proname = 'evaluate' and p.proargtypes = '25 114'
),
evaluator as (
    select * from pg_roles
    where rolname = 'pgwamp_evaluator' and not exists (
        -- Where the owner evaluates, nothing runs as this role. One that is missing may be moved at this moment.
        select from evaluate join home on home.owner = evaluate.proowner)
),
powerful as (
    select from evaluator as r
    where r.rolsuper or r.rolcanlogin or r.rolbypassrls or exists (
        -- A role that may give others a role can give it this one, too: that takes nothing from anybody.
        select from pg_roles as o
        where o.oid <> r.oid and pg_has_role(r.oid, o.oid, 'usage')
            and (o.oid = (select owner from home) or o.rolsuper or o.rolname like 'pg\_%'))
),
-- Which role can become which other one. From PostgreSQL 16 on, a membership may allow nothing.
step (member, role, grantor, has_admin) as (
    select m.member, m.roleid, m.grantor, m.admin_option
    from pg_auth_members as m
    where m.admin_option or coalesce((to_jsonb(m) ->> 'set_option')::boolean, true)
        or (to_jsonb(m) ->> 'inherit_option')::boolean
),
-- The roles that can become the role of conditions, and by which membership of it.
acting (role, member, grantor, has_admin) as (
    select s.member, s.member, s.grantor, s.has_admin
    from step as s join evaluator as e on e.oid = s.role
    union
    select s.member, a.member, a.grantor, a.has_admin
    from acting as a join step as s on s.role = a.role
),
-- All that these can become, and the role itself.
reach (role, other) as (
    select role, role from acting
    union
    select oid, oid from evaluator
    union
    select r.role, s.role from reach as r join step as s on s.member = r.other
),
-- The same without what only ADMIN OPTION leads to: nobody but a superuser makes anybody a member of a superuser.
allowed (role, other) as (
    select role, role from acting
    union
    select a.role, m.roleid
    from allowed as a join pg_auth_members as m on m.member = a.other
    where coalesce((to_jsonb(m) ->> 'set_option')::boolean, true) or (to_jsonb(m) ->> 'inherit_option')::boolean
),
-- The roles of these that may use the schema, by themselves or as another one.
using_it (role) as (
    select distinct r.role from reach as r, home where has_schema_privilege(r.other, home.oid, 'usage')
),
-- Roles that can have all that the schema's owner has anyway: one with CREATEROLE could give itself any before
-- PostgreSQL 16.
trusted (role) as (
    select distinct r.role
    from home, here, reach as r join pg_roles as o on o.oid = r.other
    where not o.rolsuper and (o.oid = home.owner or (o.oid = here.datdba and not home.rolsuper)
        or (o.rolcreaterole and current_setting('server_version_num')::int < 160000))
    union
    select r.role from allowed as r join pg_roles as o on o.oid = r.other where o.rolsuper
),
mover as (
    select r.rolname as name, pg_get_userbyid(a.member) as member,
        case when a.grantor <> 10 then format(' GRANTED BY "%s"', pg_get_userbyid(a.grantor)) else '' end
            || case when a.has_admin then ' CASCADE' else '' end as onward
    from here, acting as a join pg_roles as r on r.oid = a.role
    where r.oid in (select role from using_it) and r.oid not in (select role from trusted)
        -- In this database, too: functions of a role run as it without a login.
        and (r.oid = here.datdba or r.rolcanlogin and has_database_privilege(r.oid, here.oid, 'connect')
            or exists (
                select from pg_shdepend as d
                where d.refclassid = 'pg_authid'::regclass and d.refobjid = r.oid and d.deptype = 'o'
                    and d.dbid = here.oid))
    order by 1, 2
    limit 1
),
-- Other objects that it owns here run as it for the role that has made them: as a function with SECURITY DEFINER, or a
-- table's index.
owned as (
    select replace(replace(o.type, 'composite ', ''), ' object', '') as type, o.identity
    from here, evaluator as e
    join pg_shdepend as d on d.refclassid = 'pg_authid'::regclass and d.refobjid = e.oid and d.deptype = 'o',
    pg_identify_object(d.classid, d.objid, 0) as o
    where e.oid in (select role from using_it)
        and (d.dbid = here.oid or d.classid = 'pg_subscription'::regclass)
        and d.classid not in ('pg_default_acl'::regclass, 'pg_largeobject'::regclass)
        and (d.classid <> 'pg_proc'::regclass or d.objid not in (select oid from evaluate))
    order by 2
    limit 1
)
select case
    when exists (select from powerful)
        then 'the role pgwamp_evaluator, which runs conditions, has more rights than it should: take LOGIN, SUPERUSER, '
            'BYPASSRLS and its memberships of such roles from it'
    when exists (select from evaluate as p join evaluator as e on e.oid = p.proowner where {others_may_call})
        then 'others than the owner of the schema wamp may call the function wamp.evaluate, which runs conditions: '
            'run ''pgwamp db upgrade'' as a superuser'
    when mover.name is not null
        then format('"%1$s" may use the schema wamp, and can become the role pgwamp_evaluator, whose function runs '
            'conditions: REVOKE pgwamp_evaluator FROM "%2$s"%3$s', mover.name, mover.member, mover.onward)
    when owned.type is not null
        then format('the %1$s %2$s belongs to the role pgwamp_evaluator, which runs conditions and may use the schema '
            'wamp, and can let others act as it: DROP %3$s %2$s', owned.type, owned.identity, upper(owned.type))
end
from home
left join mover on true
left join owned on true
