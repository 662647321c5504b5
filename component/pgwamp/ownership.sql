-- Why the schema wamp, with what is in it, is not to be trusted, as one line with the cure; null if it is. For a search
-- path of pg_catalog, pg_temp.
with recursive held (role) as (
    select oid from pg_roles where rolname = current_user
    union
    select m.roleid
    from held join pg_auth_members as m on m.member = held.role join pg_roles as g on g.oid = m.grantor
    -- From PostgreSQL 16 on, a membership may allow nothing: whoever makes a role has one of it.
    where (coalesce((to_jsonb(m) ->> 'set_option')::boolean, true) or (to_jsonb(m) ->> 'inherit_option')::boolean)
        -- Nobody is asked who is made a member of a role: it counts if somebody has done it who can be this user anyway.
        and (g.rolsuper or g.rolname = current_user
            or g.oid = (select datdba from pg_database where datname = current_database())
            or g.rolcreaterole and current_setting('server_version_num')::int < 160000
            or exists (
                select from pg_auth_members as o
                where o.roleid = (select oid from pg_roles where rolname = current_user)
                    and o.member = g.oid and o.admin_option))
),
home as (
    select n.oid, n.nspowner as owner, r.rolsuper, n.nspacl
    from pg_namespace as n join pg_roles as r on r.oid = n.nspowner
    where n.nspname = 'wamp'
),
content (class, id, owner) as (
    select 'pg_class'::regclass, oid, relowner from pg_class
    where relnamespace = (select oid from home) and relkind not in ('i', 'I')
    union all
    select 'pg_proc'::regclass, p.oid, p.proowner from pg_proc as p
    where p.pronamespace = (select oid from home) and not exists (
        -- Whoever may create event triggers is trusted with this one function; a superuser where they are not there, too.
        select from pg_roles as r left join pg_event_trigger as e on e.evtfoid = p.oid
        where r.oid = p.proowner and (
            e.evtowner = p.proowner or r.rolsuper and p.proname = 'ddl_changed'
                and p.prorettype = 'event_trigger'::regtype))
        -- As is the role of conditions with the one that it runs: see evaluator_role.sql. Its text takes CREATE to change.
        and not ({is_evaluate} and {has_our_text})
    union all
    select 'pg_type'::regclass, oid, typowner from pg_type
    where typnamespace = (select oid from home) and typrelid = 0 and typelem = 0
    union all
    select 'pg_operator'::regclass, oid, oprowner from pg_operator
    where oprnamespace = (select oid from home)
),
stranger as (
    select o.type, o.identity, pg_get_userbyid(c.owner) as owner,
        c.class = 'pg_proc'::regclass and exists (
            select from pg_proc as p where p.oid = c.id and {is_evaluate}) as is_evaluate
    from content as c, pg_identify_object(c.class, c.id, 0) as o
    where c.owner <> (select owner from home)
    order by 2
    limit 1
),
creator as (
    -- What the owner has granted comes first: only that can the owner, and a superuser, take back; what has been
    -- granted on goes with it.
    select case a.grantee when 0 then 'PUBLIC' else format('"%s"', pg_get_userbyid(a.grantee)) end as name,
        case when a.is_grantable then ' CASCADE' else '' end as onward
    from home, aclexplode(home.nspacl) as a
    where a.privilege_type = 'CREATE' and a.grantee <> home.owner
    order by a.grantor <> home.owner, 1
    limit 1
)
select case
    when pg_get_userbyid(home.owner) = 'pg_database_owner'
        then format('the schema wamp belongs to "pg_database_owner", of which no role can be made a member: '
            'ALTER SCHEMA wamp OWNER TO "%s"',
            (select pg_get_userbyid(datdba) from pg_database where datname = current_database()))
    when not home.rolsuper and home.owner not in (select role from held)
        and home.owner <> (select datdba from pg_database where datname = current_database())
        then format('the schema wamp belongs to "%1$s", who owns neither the database nor is a role '
            'of the user "%2$s": as a superuser, if you trust that role, %3$sGRANT "%1$s" TO "%2$s"; if not, '
            'DROP SCHEMA wamp CASCADE', pg_get_userbyid(home.owner), current_user,
            -- Before PostgreSQL 16, a membership that is there keeps the grantor that it has.
            case when current_setting('server_version_num')::int < 160000
                then format('REVOKE "%s" FROM "%s"; ', pg_get_userbyid(home.owner), current_user) else '' end)
    when creator.name is not null
        then format('%1$s may create objects in the schema wamp: REVOKE CREATE ON SCHEMA wamp FROM %1$s%2$s',
            creator.name, creator.onward)
    when stranger.is_evaluate
        then 'the function wamp.evaluate, which runs conditions, is not the one of this pgwamp: '
            'run ''pgwamp db upgrade'' as a superuser'
    when stranger.owner is not null
        then format('the %1$s %2$s belongs to "%3$s", and not to the owner of the schema wamp: if you '
            'trust it, ALTER %4$s %2$s OWNER TO "%5$s"; if not, drop it',
            stranger.type, stranger.identity, stranger.owner, upper(stranger.type),
            pg_get_userbyid(home.owner))
    when exists (select from content) and not exists (
        -- By name it would take USAGE.
        select from pg_class where relnamespace = (select oid from home) and relname = 'alembic_version')
        then 'the schema wamp has objects, and none of pgwamp''s migrations: drop or rename it'
end
from home
left join creator on true
left join stranger on true
