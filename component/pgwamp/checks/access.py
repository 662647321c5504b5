"""Whether the logins of calls, and the roles that calls run as, may do what they need and no more.

With roles, a hole in one function that callers may use gives whoever finds it the rights of the
login, and of every role that it may become.
"""

from __future__ import annotations

from typing import Any

import asyncpg

from pgwamp.checks.finding import Finding
from pgwamp.database.session_sql import function_call
from pgwamp.settings import Settings


async def check_membership(
    settings: Settings, connection: asyncpg.Connection[Any], role: str | None
) -> list[Finding]:
    """Whether a login of calls may become the roles that it is for.

    :param connection: that the login has made.
    :param role: the only one whose calls it is for, by ``database.logins``; None: the login of
        ``database.url``, whose calls run as all other roles.
    """
    return await _found(connection, _MISSING, _roles(settings, role))


async def check_before(
    settings: Settings, connection: asyncpg.Connection[Any], role: str | None
) -> list[Finding]:
    """Whether every role may call the function of ``access.before``."""
    before = settings.access.before
    if not before or role is not None:
        return []
    schema, _, name = before.rpartition(".")
    schemas = [schema] if schema else [*settings.expose.schemas, *settings.expose.search_path]
    roles = sorted(set(settings.access.roles.values()))
    called = function_call(before)
    rows = await connection.fetch(_BEFORE, called, schemas, name, roles)
    return [Finding("access", f"access.before: {row['problem']}") for row in rows]


async def check_rights(
    settings: Settings, connection: asyncpg.Connection[Any], role: str | None
) -> list[Finding]:
    """Whether a login of calls, and the roles that it is for, may do no more than they need."""
    roles = _roles(settings, role)
    findings = _useless_logins(settings) if role is None else []
    setting = "database.url" if role is None else f"database.logins.{role}"
    if not settings.access.roles:
        # One login for all may be that of a server of one's own, as `pgwamp dev` makes it.
        if settings.database.events_dsn() != settings.database.dsn():
            findings += await _found(connection, _SUPERUSER, setting)
        return findings
    findings += await _found(connection, _LOGIN, setting)
    findings += await _found(connection, _ROLES, roles)
    exposed = [*settings.expose.schemas, *settings.expose.search_path]
    findings += await _found(connection, _UNHIDDEN, roles, exposed)
    findings += await _found(connection, _CREATING, roles, exposed)
    owners = list(roles)
    if settings.database.events_dsn() != settings.database.dsn():
        findings += await _found(connection, _BEYOND, roles)
        owners.append(await connection.fetchval("select session_user::text"))
    findings += await _found(connection, _OWNING, owners)
    return findings


def _roles(settings: Settings, role: str | None) -> list[str]:
    """The roles that a login of calls is for."""
    if role is not None:
        return [role] if role in settings.access.roles.values() else []
    return sorted(set(settings.access.roles.values()) - set(settings.database.logins))


def _useless_logins(settings: Settings) -> list[Finding]:
    mapped = set(settings.access.roles.values())
    reason = "which is no role of access.roles" if mapped else "but access.roles maps nobody to it"
    return [
        Finding("access", f'database.logins names "{name}", {reason}')
        for name in settings.database.logins
        if name not in mapped
    ]


async def _found(
    connection: asyncpg.Connection[Any], question: str, *arguments: object
) -> list[Finding]:
    rows = await connection.fetch(question, *arguments)
    return [Finding("access", row["problem"], level=row["level"]) for row in rows]


# The login of calls itself needs no USAGE on its schema, so that to_regprocedure would refuse it.
_BEFORE = """
with wanted as (
    select p.oid, n.oid as schema, n.nspname
    from pg_proc as p
    join pg_namespace as n on n.oid = p.pronamespace
    where n.nspname = any ($2::text[]) and p.proname = $3 and p.pronargs = p.pronargdefaults
    order by array_position($2::text[], n.nspname::text)
    limit 1
)
select format('there is no function %s: create it, or correct the setting', $1::text) as problem
where not exists (select from wanted)
union all
select format('the role %I may not call %s: GRANT USAGE ON SCHEMA %I TO %1$I; '
    'GRANT EXECUTE ON FUNCTION %4$s TO %1$I', r.rolname, $1::text, wanted.nspname,
    wanted.oid::regprocedure)
from wanted
join pg_roles as r on r.rolname = any ($4::text[])
where not (
    has_function_privilege(r.oid, wanted.oid, 'execute')
    and has_schema_privilege(r.oid, wanted.schema, 'usage')
)
order by 1
"""
# What reaches beyond the rights that a role was granted: REPLICATION reads changes of all tables.
_ATTRIBUTES = """
select array_remove(array[
    case when rolsuper then 'SUPERUSER' end, case when rolbypassrls then 'BYPASSRLS' end,
    case when rolcreaterole then 'CREATEROLE' end, case when rolcreatedb then 'CREATEDB' end,
    case when rolreplication then 'REPLICATION' end], null) as held
"""
# A superuser is most often the one of the whole server, which must remain what it is.
_LOGIN = f"""
with login as (
    select r.*, (
        select n.nspowner from pg_namespace as n where n.nspname = 'wamp'
    ) as wamp_owner
    from pg_roles as r where r.rolname = session_user
)
select 'wrong' as level, format(
        'the login of calls, %I, has %s: whatever goes wrong in a function that callers may use '
        'goes wrong with these rights; ' || case when rolsuper
            then 'name a login of its own in %4$s (`pgwamp db create` makes one)'
            else 'ALTER ROLE %1$I NO%3$s, or name another one in %4$s' end,
        rolname, array_to_string(a.held, ', '), array_to_string(a.held, ' NO'), $1::text) as problem
from login, lateral ({_ATTRIBUTES}) as a where a.held <> '{{}}'
union all
select 'advice', format(
        'the login of calls, %I, has the rights of the owner of the schema wamp: name one that has '
        'none in %s, and this one in database.events_url', rolname, $1::text)
from login
where not (rolsuper or rolbypassrls) and pg_has_role(oid, wamp_owner, 'usage')
union all
select 'advice', format(
        'the login of calls, %I, has the rights of the roles that it is a member of, besides its '
        'own: ALTER ROLE %1$I NOINHERIT%s', login.rolname, string_agg(format(
            '; GRANT %I TO %I WITH INHERIT FALSE GRANTED BY %I', r.rolname, login.rolname,
            g.rolname), '' order by r.rolname, g.rolname) filter (where m.of_its_own is not null))
from login
cross join lateral (
    -- From PostgreSQL 16 each membership says so itself.
    select m.roleid, m.grantor, to_jsonb(m) ->> 'inherit_option' as of_its_own
    from pg_auth_members as m where m.member = login.oid
) as m
join pg_roles as r on r.oid = m.roleid
left join pg_roles as g on g.oid = m.grantor
where not (login.rolsuper or login.rolbypassrls)
    and coalesce(m.of_its_own::boolean, login.rolinherit)
group by login.rolname
union all
select 'fact', format(
        'the login of calls, %I, has settings of its own, which code in a call may change: %s',
        login.rolname, string_agg(setting, ', ' order by setting))
from login
join pg_db_role_setting as s on s.setrole = login.oid
    and s.setdatabase in (0, (select oid from pg_database where datname = current_database()))
cross join unnest(s.setconfig) as setting
group by login.rolname
"""
_SUPERUSER = """
select 'wrong' as level, format(
        'every caller has the rights of the login of calls, %I, which is a superuser: name a login '
        'of its own in %s (`pgwamp db create` makes one), and roles in access.roles',
        rolname, $1::text) as problem
from pg_roles where rolname = session_user and rolsuper
"""
_MISSING = """
select 'wrong' as level, case
    when r.oid is null then format('access.roles: there is no role "%s": CREATE ROLE %1$I', name)
    when exists (select from pg_roles where rolname = session_user and oid = any (array(
            select n.nspowner from pg_namespace as n where n.nspname = 'wamp'))) then format(
        'access.roles: may not SET ROLE "%s": GRANT %1$I TO %2$I%3$s, or to a login of its own',
        name, session_user, o.option)
    else format('access.roles: may not SET ROLE "%s": GRANT %1$I TO %2$I%3$s', name, session_user,
        o.option)
    end as problem
from unnest($1::text[]) as name
left join pg_roles as r on r.rolname = name
cross join lateral (
    -- A membership that is there keeps the options that a further GRANT does not name.
    select case when exists (
        select from pg_auth_members as m join pg_roles as l on l.oid = m.member
        where m.roleid = r.oid and l.rolname = session_user
    ) then ' WITH SET TRUE' else '' end as option
) as o
where r.oid is null or not pg_has_role(
    r.oid,
    case when current_setting('server_version_num')::int >= 160000 then 'set' else 'member' end
)
order by name
"""
# The memberships that were granted to a role itself: whatever comes through it goes with it. From
# PostgreSQL 16 on REVOKE takes back what one role has granted: that of a superuser, what the first
# superuser has. What a role has granted on goes with it.
_GRANTED = """
select m.member, g.oid, g.rolname, g.rolsuper, string_agg(format('REVOKE %I FROM %I%s', g.rolname,
    u.rolname, case when current_setting('server_version_num')::int >= 160000 and m.grantor <> 10
        then format(' GRANTED BY %I', b.rolname) else '' end
    || case when m.admin_option and exists (
            select from pg_auth_members as o where o.roleid = m.roleid and o.grantor = m.member)
        then ' CASCADE' else '' end), '; ' order by b.rolname) as cure
from pg_auth_members as m
join pg_roles as u on u.oid = m.member
join pg_roles as g on g.oid = m.roleid
left join pg_roles as b on b.oid = m.grantor
group by m.member, g.oid, g.rolname, g.rolsuper
"""
# pg_database_owner has the owner of the database for its member, whom no REVOKE takes out.
_ROLES = f"""
select 'wrong' as level, format(
    'the role %I of access.roles has %s: ' || case when rolsuper
        then 'map to a role without it' else 'ALTER ROLE %1$I NO%3$s' end, rolname,
    array_to_string(a.held, ', '), array_to_string(a.held, ' NO')) as problem
from pg_roles as r, lateral ({_ATTRIBUTES}) as a
where rolname = any ($1::text[]) and a.held <> '{{}}'
union all
select case when d.reason is null then 'advice' else 'wrong' end, format(
    'the role %I of access.roles has the rights of %I, %s%s: %s', r.rolname, d.rolname,
    coalesce(d.reason, 'which sees, steers or ends what other sessions do'),
    case when d.oid = g.oid then '' else format(', as a member of %I', g.rolname) end, g.cure)
from pg_roles as r
join ({_GRANTED}) as g on g.member = r.oid
cross join lateral (
    -- The worst of what it implies.
    select o.oid, o.rolname, w.reason
    from pg_roles as o
    left join pg_namespace as n on n.nspname = 'wamp'
    cross join lateral (
        select case
            when o.rolsuper then 'a superuser'
            when o.oid = n.nspowner then 'the owner of the schema wamp'
            when o.rolname in (
                'pg_execute_server_program', 'pg_read_server_files', 'pg_write_server_files',
                'pg_read_all_data', 'pg_write_all_data') then 'which reaches files or all data'
        end as reason
    ) as w
    where pg_has_role(g.oid, o.oid, 'member')
        and (w.reason is not null or o.rolname like 'pg\\_%' and o.rolname <> 'pg_database_owner')
    order by w.reason is null, o.oid <> g.oid, not o.rolsuper, o.rolname
    limit 1
) as d
where r.rolname = any ($1::text[]) and not r.rolsuper
order by problem
"""
# A role passes the policies of tables whose owner it has the rights of.
_UNHIDDEN = """
select 'wrong' as level, format(
    'the row level security of %I.%I does not hold for the role %I of access.roles, which has the '
    'rights of its owner: ALTER TABLE %1$I.%2$I FORCE ROW LEVEL SECURITY, or give it another owner',
    n.nspname, c.relname, r.rolname) as problem
from pg_class as c
join pg_namespace as n on n.oid = c.relnamespace and n.nspname = any ($2::text[])
join pg_roles as r on r.rolname = any ($1::text[])
where c.relrowsecurity and not c.relforcerowsecurity and not (r.rolsuper or r.rolbypassrls)
    and pg_has_role(r.oid, c.relowner, 'usage')
order by problem
"""
_CREATING = f"""
select 'advice' as level, format(
    'the role %I of access.roles may create objects in the schema %I, and so add to the API: %s',
    r.rolname, n.nspname, c.cures) as problem
from pg_namespace as n
join pg_roles as r on r.rolname = any ($1::text[])
cross join lateral (
    select n.nspowner = r.oid or n.nspowner = 'pg_database_owner'::regrole and exists (
        select from pg_database where datname = current_database() and datdba = r.oid) as yes
) as owns
cross join lateral (
    select string_agg(cure, '; ') as cures from (
        select format('ALTER SCHEMA %I OWNER TO another role', n.nspname) as cure where owns.yes
        union all
        -- What the owner has granted: only that can be taken back, and what was granted on with it.
        select format('REVOKE CREATE ON SCHEMA %I FROM %s%s', n.nspname, string_agg(
            case t.grantee when 0 then 'PUBLIC' else t.grantee::regrole::text end, ', '
            order by t.grantee), case when bool_or(t.is_grantable) then ' CASCADE' end)
        from (
            with recursive held (grantor, grantee, is_grantable) as (
                select grantor, grantee, is_grantable
                from aclexplode(n.nspacl) where privilege_type = 'CREATE'
            ), taken (grantor, grantee, is_grantable) as (
                select * from held where grantee = 0 or grantee = r.oid and not owns.yes
                union
                select h.*
                from taken as t join held as h on h.grantee = t.grantor and h.is_grantable
                where t.grantor <> n.nspowner
            )
            select grantee, bool_or(is_grantable) as is_grantable
            from taken where grantor = n.nspowner group by grantee
        ) as t
        having count(*) > 0
        union all
        select g.cure
        from ({_GRANTED}) as g
        where g.member = r.oid and pg_has_role(r.oid, g.oid, 'usage') and exists (
            select from (
                select grantee from aclexplode(n.nspacl) where privilege_type = 'CREATE'
                union select n.nspowner
            ) as by (role)
            where by.role <> 0 and case when g.rolsuper then by.role = g.oid
                else pg_has_role(g.oid, by.role, 'usage') end
        )
    ) as cures
) as c
where n.nspname = any ($2::text[]) and not r.rolsuper
    and has_schema_privilege(r.oid, n.oid, 'create')
order by problem
"""
# Temporary objects end with their session.
_OWNING = """
select 'advice' as level, format(
    'the role %I, which calls run as or log in as, owns %s in this database, such as the %s: '
    'code in a call may change or drop it; ALTER ... OWNER TO another role, or all at once: '
    'REASSIGN OWNED BY %1$I TO another role',
    r.rolname, count(*) || case when count(*) = 1 then ' object' else ' objects' end,
    min(o.type || ' ' || o.identity)) as problem
from pg_roles as r
join pg_shdepend as d on d.refclassid = 'pg_authid'::regclass and d.refobjid = r.oid
    and d.deptype = 'o' and d.dbid in (
        0, (select oid from pg_database where datname = current_database()))
    and (d.classid <> 'pg_database'::regclass
        or d.objid = (select oid from pg_database where datname = current_database()))
cross join lateral pg_identify_object(d.classid, d.objid, d.objsubid) as o
where r.rolname = any ($1::text[]) and not r.rolsuper
    and coalesce(o.schema, '') not like 'pg\\_temp%'
group by r.rolname
order by r.rolname
"""
# A role may be granted others on purpose: what its login reaches through it is no finding here.
_BEYOND = f"""
select 'wrong' as level, format(
    'the login %I may also become the role %I%s, which none of its calls runs as: %s', l.rolname,
    g.rolname, implied.names, g.cure) as problem
from pg_roles as l
join ({_GRANTED}) as g on g.member = l.oid
cross join lateral (
    select coalesce(', and so ' || string_agg(quote_ident(r.rolname), ', ' order by r.rolname), '')
        as names
    from pg_roles as r
    where r.oid <> g.oid and not g.rolsuper and pg_has_role(g.oid, r.oid, 'member')
        and r.rolname not like 'pg\\_%' and r.rolname <> all ($1::text[])
) as implied
where l.rolname = session_user and not l.rolsuper and g.rolname <> all ($1::text[])
    and not exists (
        select from pg_roles as own
        where own.rolname = any ($1::text[]) and pg_has_role(own.oid, g.oid, 'member')
    )
order by g.rolname
"""
