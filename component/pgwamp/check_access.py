"""Whether the logins of calls, and the roles that calls run as, may do what they need and no more.

With roles, a hole in one function that callers may use gives whoever finds it the rights of the
login, and of every role that it may become.
"""

from __future__ import annotations

from typing import Any

import asyncpg

from pgwamp.database.prelude import function_call
from pgwamp.findings import Finding
from pgwamp.settings import Settings


async def check_access(
    settings: Settings, connection: asyncpg.Connection[Any], role: str | None
) -> list[Finding]:
    """Look at a login of calls, on a connection that it has made.

    :param role: the only one whose calls it is for, by ``database.logins``; None: the login of
        ``database.url``, whose calls run as all other roles.
    """
    mapped = set(settings.access.roles.values())
    if not mapped:
        return [
            Finding("access", f'database.logins names "{name}", but access.roles maps nobody to it')
            for name in settings.database.logins
            if role is None
        ]
    roles = sorted(mapped - set(settings.database.logins) if role is None else {role})
    setting = "database.url" if role is None else f"database.logins.{role}"
    findings = []
    if role is None:
        findings += [
            Finding("access", f'database.logins names "{name}", which is no role of access.roles')
            for name in settings.database.logins
            if name not in mapped
        ]
        findings += await _check_before(settings, connection, sorted(mapped))
    for statement, arguments in ((_MISSING, [roles]), (_LOGIN, [setting]), (_ROLES, [roles])):
        for row in await connection.fetch(statement, *arguments):
            findings.append(Finding("access", row["problem"], level=row["level"]))
    if settings.database.events_dsn() != settings.database.dsn():
        for row in await connection.fetch(_BEYOND, roles):
            findings.append(Finding("access", row["problem"]))
    return findings


async def _check_before(
    settings: Settings, connection: asyncpg.Connection[Any], roles: list[str]
) -> list[Finding]:
    """Whether every role may call the function of ``access.before``."""
    if not settings.access.before:
        return []
    schema, _, name = settings.access.before.rpartition(".")
    schemas = [schema] if schema else [*settings.expose.schemas, *settings.expose.search_path]
    called = function_call(settings.access.before)
    rows = await connection.fetch(_BEFORE, called, schemas, name, roles)
    return [Finding("access", f"access.before: {row['problem']}") for row in rows]


# The login of calls itself needs no USAGE on its schema, so that to_regprocedure would refuse it.
_BEFORE = """
with wanted as (
    select p.oid, n.oid as schema
    from pg_proc as p
    join pg_namespace as n on n.oid = p.pronamespace
    where n.nspname = any ($2::text[]) and p.proname = $3 and p.pronargs = p.pronargdefaults
    order by array_position($2::text[], n.nspname::text)
    limit 1
)
select format('there is no function %s: create it, or correct the setting', $1::text) as problem
where not exists (select from wanted)
union all
select format('the role %I may not call %s: GRANT EXECUTE on it, and USAGE on its schema',
    r.rolname, $1::text)
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
        'access.roles: may not SET ROLE "%s": GRANT %1$I to "%2$s", or to a login of its own',
        name, session_user)
    else format('access.roles: may not SET ROLE "%s": GRANT it to "%s"', name, session_user)
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
select format(
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
