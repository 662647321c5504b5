-- Why the schema wamp is not to be trusted, as one line with the cure; null if it is. For a search path of
-- pg_catalog, pg_temp.
with recursive held (role) as (
    select oid from pg_roles where rolname = current_user
    union
    select m.roleid from held join pg_auth_members as m on m.member = held.role
),
home as (
    select n.oid, n.nspowner as owner, r.rolsuper, n.nspacl
    from pg_namespace as n join pg_roles as r on r.oid = n.nspowner
    where n.nspname = 'wamp'
),
-- The function of conditions, where it is not the owner's.
evaluate as (
    select p.oid, r.oid as role, {has_our_text} as has_our_text,
        not r.rolsuper and not r.rolcanlogin and not r.rolbypassrls
            -- Whoever may give others a role can give it this one, too: that takes nothing from anybody.
            and not exists (
                select from pg_roles as o
                where o.oid <> r.oid and pg_has_role(r.oid, o.oid, 'usage')
                    and (o.oid = (select owner from home) or o.rolsuper or o.rolname like 'pg\_%')) as is_powerless
    from pg_proc as p join pg_roles as r on r.oid = p.proowner and r.rolname = 'pgwamp_evaluator'
    where p.pronamespace = (select oid from home) and p.proname = 'evaluate' and p.proargtypes = '25 114'
),
-- Whoever can become that role, by which membership of it; and who of them may use the schema and is not to be trusted:
-- they can move the function elsewhere while it is called, and give it another text there.
acting (role, member, grantor, has_admin) as (
    select m.member, m.member, m.grantor, m.admin_option
    from pg_auth_members as m
    where m.roleid = (select role from evaluate)
    union
    select m.member, a.member, a.grantor, a.has_admin
    from acting as a
    join pg_auth_members as m on m.roleid = a.role
),
mover as (
    select r.rolname as name, pg_get_userbyid(a.member) as member,
        case when a.grantor <> 10 then format(' GRANTED BY "%s"', pg_get_userbyid(a.grantor)) else '' end
            || case when a.has_admin then ' CASCADE' else '' end as onward
    from home
    cross join evaluate as e
    cross join acting as a
    join pg_roles as r on r.oid = a.role
    where not r.rolsuper and not pg_has_role(r.oid, home.owner, 'member')
        and (home.rolsuper or r.oid <> (select datdba from pg_database where datname = current_database()))
        and (has_schema_privilege(r.oid, home.oid, 'usage') or has_schema_privilege(e.role, home.oid, 'usage'))
    order by 1, 2
    limit 1
),
content (class, id, owner) as (
    select 'pg_class'::regclass, oid, relowner from pg_class
    where relnamespace = (select oid from home) and relkind not in ('i', 'I')
    union all
    select 'pg_proc'::regclass, p.oid, p.proowner from pg_proc as p
    where p.pronamespace = (select oid from home) and not exists (
        -- Whoever may create event triggers is trusted with this one function.
        select from pg_event_trigger as e join pg_roles as r on r.oid = p.proowner
        where e.evtfoid = p.oid and (e.evtowner = p.proowner or r.rolsuper))
        and not exists (
            -- As is a role without rights with the one that it runs: its text, which takes CREATE to change.
            select from evaluate as e where e.oid = p.oid and e.is_powerless and e.has_our_text)
    union all
    select 'pg_type'::regclass, oid, typowner from pg_type
    where typnamespace = (select oid from home) and typrelid = 0 and typelem = 0
    union all
    select 'pg_operator'::regclass, oid, oprowner from pg_operator
    where oprnamespace = (select oid from home)
),
stranger as (
    select o.type, o.identity, pg_get_userbyid(c.owner) as owner,
        case c.class when 'pg_proc'::regclass then c.id end as id
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
    when not home.rolsuper and home.owner not in (select role from held)
        and home.owner <> (select datdba from pg_database where datname = current_database())
        then format('the schema wamp belongs to "%1$s", who owns neither the database nor is a role '
            'of the user "%2$s": if you trust that role, GRANT "%1$s" TO "%2$s"; if not, '
            'DROP SCHEMA wamp CASCADE', pg_get_userbyid(home.owner), current_user)
    when creator.name is not null
        then format('%1$s may create objects in the schema wamp: REVOKE CREATE ON SCHEMA wamp FROM %1$s%2$s',
            creator.name, creator.onward)
    when stranger.id = (select oid from evaluate where not is_powerless)
        then 'the role pgwamp_evaluator, which runs conditions, has more rights than it should: take LOGIN, SUPERUSER, '
            'BYPASSRLS and its memberships of such roles from it'
    when stranger.id = (select oid from evaluate)
        then 'the function wamp.evaluate, which runs conditions, is not the one of this pgwamp: '
            'run ''pgwamp db upgrade'' as a superuser'
    when mover.name is not null
        then format('"%1$s" may use the schema wamp, and can become the role pgwamp_evaluator, whose function runs '
            'conditions: REVOKE pgwamp_evaluator FROM "%2$s"%3$s', mover.name, mover.member, mover.onward)
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
left join mover on true
