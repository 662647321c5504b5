"""Whether the logins of calls, and the roles that calls run as, may do what they need and no more.

With roles, a hole in one function that callers may use gives whoever finds it the rights of the
login, and of every role that it may become.
"""

from __future__ import annotations

from typing import Any

import asyncpg

from pgwamp.checks.finding import Finding
from pgwamp.database.prelude import function_call
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
    if not settings.access.roles:
        return findings
    setting = "database.url" if role is None else f"database.logins.{role}"
    findings += await _found(connection, _LOGIN, setting)
    findings += await _found(connection, _ROLES, roles)
    if settings.database.events_dsn() != settings.database.dsn():
        findings += await _found(connection, _BEYOND, roles)
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
    connection: asyncpg.Connection[Any], question: str, argument: object
) -> list[Finding]:
    rows = await connection.fetch(question, argument)
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
_LOGIN = """
with login as (
    select r.*, (
        select n.nspowner from pg_namespace as n where n.nspname = 'wamp'
    ) as wamp_owner
    from pg_roles as r where r.rolname = session_user
)
select 'wrong' as level, format(
        'the login of calls, %I, is a superuser, passes row level security or creates roles: '
        'whatever goes wrong in a function that callers may use goes wrong with these rights; '
        'ALTER ROLE %1$I NOSUPERUSER NOBYPASSRLS NOCREATEROLE, or name another one in %2$s',
        rolname, $1::text) as problem
from login where rolsuper or rolbypassrls or rolcreaterole
union all
select 'advice', format(
        'the login of calls, %I, has the rights of the owner of the schema wamp: name one that has '
        'none in %s, and this one in database.events_url', rolname, $1::text)
from login
where not (rolsuper or rolbypassrls) and pg_has_role(oid, wamp_owner, 'usage')
union all
select 'advice', format(
        'the login of calls, %I, has the rights of the roles that it is a member of, besides its '
        'own: ALTER ROLE %1$I NOINHERIT', rolname)
from login where not (rolsuper or rolbypassrls) and rolinherit
    and exists (select from pg_auth_members where member = login.oid)
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
_MISSING = """
select 'wrong' as level, case
    when r.oid is null then format('access.roles: there is no role "%s": CREATE ROLE %1$I', name)
    when exists (select from pg_roles where rolname = session_user and oid = any (array(
            select n.nspowner from pg_namespace as n where n.nspname = 'wamp'))) then format(
        'access.roles: may not SET ROLE "%s": GRANT %1$I TO %2$I, or to a login of its own',
        name, session_user)
    else format('access.roles: may not SET ROLE "%s": GRANT %1$I TO %2$I', name, session_user)
    end as problem
from unnest($1::text[]) as name
left join pg_roles as r on r.rolname = name
where r.oid is null or not pg_has_role(
    r.oid,
    case when current_setting('server_version_num')::int >= 160000 then 'set' else 'member' end
)
order by name
"""
_ROLES = """
select 'wrong' as level, format(
    'the role %I of access.roles is a superuser, passes row level security or creates roles: '
    'ALTER ROLE %1$I NOSUPERUSER NOBYPASSRLS NOCREATEROLE', r.rolname) as problem
from pg_roles as r
where r.rolname = any ($1::text[]) and (r.rolsuper or r.rolbypassrls or r.rolcreaterole)
union all
select 'wrong', format(
    'the role %I of access.roles has the rights of %I, %s: REVOKE %2$I FROM %1$I', r.rolname,
    o.rolname, case when o.rolsuper then 'a superuser' when o.oid = n.nspowner then
        'the owner of the schema wamp' else 'which reaches files or all data' end)
from pg_roles as r
cross join pg_roles as o
left join pg_namespace as n on n.nspname = 'wamp'
where r.rolname = any ($1::text[]) and o.oid <> r.oid and not r.rolsuper
    and pg_has_role(r.oid, o.oid, 'member')
    and (o.rolsuper or o.oid = n.nspowner or o.rolname in (
        'pg_execute_server_program', 'pg_read_server_files', 'pg_write_server_files',
        'pg_read_all_data', 'pg_write_all_data'))
order by problem
"""
# A role may be granted others on purpose: what its login reaches through it is no finding here.
_BEYOND = """
select 'wrong' as level, format(
    'the login %I may also become the role %I, which none of its calls runs as: '
    'REVOKE %2$I FROM %1$I', l.rolname, r.rolname) as problem
from pg_roles as l
join pg_roles as r on r.oid <> l.oid and pg_has_role(l.oid, r.oid, 'member')
where l.rolname = session_user and not l.rolsuper and r.rolname <> all ($1::text[])
    and not exists (
        select from pg_roles as own
        where own.rolname = any ($1::text[]) and pg_has_role(own.oid, r.oid, 'member')
    )
order by r.rolname
"""
