"""Whether the server and the schema ``wamp`` are those that this version of pgwamp needs."""

from __future__ import annotations

from typing import Any

import asyncpg

from pgwamp import migrations
from pgwamp.checks.finding import Finding
from pgwamp.database.encoding import SERVER_ENCODING, encoding_problem
from pgwamp.dependents import dependents_of_strangers
from pgwamp.errors import StartError
from pgwamp.evaluate_function import EVALUATES_NOTHING
from pgwamp.ownership import NO_SCHEMA, schema_problem
from pgwamp.settings import Settings

OLDEST_VERSION = 140000


async def require_schema(connection: asyncpg.Connection[Any], *, is_serving: bool = False) -> None:
    """Raise :class:`StartError` unless the ``wamp`` schema is there, ours, and we may use it.

    :param connection: with a search path that others cannot write to.
    :param is_serving: as of :func:`~pgwamp.ownership.schema_problem`.
    """
    if problem := await _obstacle(connection, is_serving=is_serving):
        raise StartError(problem)


async def missing_schemas(settings: Settings, connection: asyncpg.Connection[Any]) -> list[str]:
    """Return a line for each exposed schema that is not there, or that we may not use."""
    rows = await connection.fetch(_SCHEMAS, list(settings.expose.schemas))
    return [f"expose.schemas: {row['problem']}" for row in rows]


async def check_server(settings: Settings, connection: asyncpg.Connection[Any]) -> list[Finding]:
    """Whether the server is of a version that is served, and can be written to."""
    version = int(await connection.fetchval("select current_setting('server_version_num')"))
    if version < OLDEST_VERSION:
        return [Finding("database", f"PostgreSQL {version // 10000} is too old: 14 is the oldest")]
    if await connection.fetchval("select pg_is_in_recovery()"):
        problem = (
            "the server is a standby, where no event can be written: name the primary in "
            f"{settings.database.url_setting} and database.events_url, and this one in "
            "database.replica_url"
        )
        return [Finding("database", problem)]
    return []


async def check_schema(_: Settings, connection: asyncpg.Connection[Any]) -> list[Finding]:
    """Whether the ``wamp`` schema is there, and nobody else's."""
    problem = await _obstacle(connection)
    return [Finding("schema", problem)] if problem else []


async def check_revision(_: Settings, connection: asyncpg.Connection[Any]) -> list[Finding]:
    """Whether the ``wamp`` schema is at the revision that this version reads and writes."""
    found = await connection.fetchval("select version_num from wamp.alembic_version")
    if found == migrations.head():
        return []
    known = {revision.revision for revision in migrations.history()}
    if found is None or found in known:
        problem = (
            f"the wamp schema is at revision {found}, this pgwamp needs {migrations.head()}: "
            "run 'pgwamp db upgrade'"
        )
    else:
        problem = migrations.unknown(found)
    return [Finding("schema", problem)]


async def check_exposed_schemas(
    settings: Settings, connection: asyncpg.Connection[Any]
) -> list[Finding]:
    """Whether the exposed schemas are there."""
    return [Finding("database", line) for line in await missing_schemas(settings, connection)]


async def check_privileged_parts(_: Settings, connection: asyncpg.Connection[Any]) -> list[Finding]:
    """Whether the parts of the schema are there that take more rights to make."""
    findings = []
    if advice := await connection.fetchval(_FOLLOWS_DDL):
        findings.append(Finding("schema", advice, level="advice"))
    for row in await connection.fetch(_EVALUATES):
        findings.append(Finding("schema", row["problem"], level=row["level"]))
    for problem in await dependents_of_strangers(connection):
        findings.append(Finding("schema", problem, level="advice"))
    return findings


async def _obstacle(connection: asyncpg.Connection[Any], *, is_serving: bool = False) -> str | None:
    if problem := encoding_problem(await connection.fetchval(SERVER_ENCODING)):
        return problem
    found = await connection.fetchval(_FOUND)
    if found is None:
        return NO_SCHEMA
    if found == "event":
        return (
            "the wamp schema is one of before its revisions began anew: run 'pgwamp db upgrade', "
            "which says what to do"
        )
    if problem := await schema_problem(connection, is_serving=is_serving):
        return problem
    lacking: str | None = await connection.fetchval(_MAY_NOT_PUBLISH)
    return lacking


# Only the old schema has a table of this name.
_FOUND = """
select min(c.relname::text)
from pg_class as c join pg_namespace as n on n.oid = c.relnamespace
where n.nspname = 'wamp' and c.relname in ('log', 'event')
"""
# Without USAGE a table cannot even be named.
_MAY_NOT_PUBLISH = """
select format(case when r.rolsuper then
        'the user %I may not read wamp.log, because the schema wamp belongs to the superuser %I: '
        'with the URL of a superuser in PGWAMP_DATABASE__EVENTS_URL run: pgwamp db owner %1$I'
    else
        'the user %I may not read wamp.log: name the owner of the schema wamp, %I, in '
        'database.events_url, or GRANT %2$I TO %1$I'
    end, current_user, r.rolname)
from pg_namespace as n
join pg_roles as r on r.oid = n.nspowner
where n.nspname = 'wamp' and case when has_schema_privilege(n.oid, 'usage') then
    not has_table_privilege('wamp.log', 'select')
    or not has_table_privilege('wamp.lease', 'update')
    or not has_table_privilege('wamp.alembic_version', 'select')
else true end
"""
_FOLLOWS_DDL = """
select case
    when count(*) filter (where e.evtenabled not in ('O', 'A')) > 0 then
        'the API and watched tables do not follow all DDL: as a superuser run: ' || string_agg(
            format('ALTER EVENT TRIGGER %I ENABLE', e.evtname), '; ' order by e.evtname)
            filter (where e.evtenabled not in ('O', 'A'))
    when count(*) <> 2 then
        'the API follows DDL only on NOTIFY pgwamp, ''reload'': end migrations with it, or '
        'run ''pgwamp db upgrade'' once as a superuser, who may create event triggers'
    when not bool_and(p.prosecdef) then
        'watched tables do not follow DDL by others than the owner of the wamp schema: '
        'run ''pgwamp db upgrade'' once more as a superuser'
end
from pg_event_trigger as e
join pg_proc as p on p.oid = e.evtfoid
where e.evtfoid = to_regprocedure('wamp.ddl_changed()')
"""
#: Of tables with a condition, or with columns that are computed when they are read.
_EVALUATES = f"""
select case when e.problem is not null then 'wrong' else 'advice' end as level,
    coalesce(e.problem,
        'conditions of watched tables run with the rights of the owner of the wamp schema, and so '
        'do functions of others that they call: run ''pgwamp db upgrade'' once as a superuser, or '
        'as a role with CREATEROLE') as problem
from wamp.watch as w
left join ({EVALUATES_NOTHING}) as e (problem) on true
where (w.options ? 'when' or exists (
        select from pg_attribute as a where a.attrelid = w.relation and a.attgenerated = 'v'))
    and (e.problem is not null or not exists (
        select from pg_proc as p
        where p.oid = to_regprocedure('wamp.evaluate(text, json)')
            and pg_get_userbyid(p.proowner) = 'pgwamp_evaluator'))
limit 1
"""
_SCHEMAS = """
select case
        when n.oid is null then format(
            'the database has no schema "%s"; create it, or correct the setting', s)
        else format(
            'the user lacks USAGE on schema "%s": GRANT USAGE ON SCHEMA %1$I TO %2$I', s,
            current_user)
    end as problem
from unnest($1::text[]) as s
left join pg_namespace as n on n.nspname = s
where n.oid is null or not has_schema_privilege(n.oid, 'usage')
"""
