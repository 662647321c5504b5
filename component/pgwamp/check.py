"""``pgwamp check``: everything that would keep a component from working, each with its cure."""

from __future__ import annotations

from typing import Any, NamedTuple

import asyncpg

from pgwamp import migrations
from pgwamp.component import require_schema
from pgwamp.database import connect_directly
from pgwamp.database.connect import CONNECTION_ERRORS, explain_failure, unreachable
from pgwamp.errors import PgwampError, StartError
from pgwamp.session import Link
from pgwamp.settings import Settings

OLDEST_VERSION = 140000


class Finding(NamedTuple):
    """Something wrong: in which part, and one line that says what and names the cure.

    With ``advice`` nothing is wrong, but something could be better.
    """

    part: str
    problem: str
    advice: bool = False


async def check_all(settings: Settings) -> list[Finding]:
    """Look at everything; a component would start and work if there is nothing but advice."""
    findings: list[Finding] = []
    for require in (settings.require_database, settings.require_exposure):
        try:
            require()
        except PgwampError as error:
            findings.append(Finding("settings", str(error)))
    if settings.database.url.get_secret_value():
        findings += await _check_database(settings)
    findings += await _check_router(settings)
    return findings


async def _check_database(settings: Settings) -> list[Finding]:
    findings = []
    addresses = {
        "database": settings.database.dsn(),
        "database (direct)": settings.database.direct_dsn(),
        "database (replica)": settings.database.read_dsn(),
    }
    checked: set[str] = set()
    for part, dsn in addresses.items():
        if dsn in checked:
            continue
        checked.add(dsn)
        try:
            connection = await connect_directly(dsn)
        except (*CONNECTION_ERRORS, asyncpg.PostgresError) as error:
            findings.append(
                Finding(part, str(explain_failure(error, dsn) or unreachable(error, dsn)))
            )
            continue
        try:
            if dsn == settings.database.direct_dsn():
                findings += await _check_contents(settings, connection)
        finally:
            await connection.close()
    return findings


async def _check_contents(settings: Settings, connection: asyncpg.Connection[Any]) -> list[Finding]:
    version = int(await connection.fetchval("select current_setting('server_version_num')"))
    if version < OLDEST_VERSION:
        return [Finding("database", f"PostgreSQL {version // 10000} is too old: 14 is the oldest")]
    try:
        await require_schema(connection)
    except StartError as error:
        return [Finding("schema", str(error))]
    found = await connection.fetchval("select version_num from wamp.alembic_version")
    if found != migrations.head():
        return [
            Finding(
                "schema",
                f"the wamp schema is at revision {found}, this pgwamp needs "
                f"{migrations.head()}: run 'pgwamp db upgrade'",
            )
        ]
    findings = [
        Finding("database", f"expose.schemas: {row['problem']}")
        for row in await connection.fetch(_SCHEMAS, list(settings.expose.schemas))
    ]
    findings += [
        Finding("access", f'access.roles: may not SET ROLE "{row[0]}": GRANT it to the user')
        for row in await connection.fetch(_ROLES, sorted(set(settings.access.roles.values())))
    ]
    if not await connection.fetchval(_FOLLOWS_DDL):
        findings.append(
            Finding(
                "schema",
                "the API follows DDL only on NOTIFY pgwamp, 'reload': end migrations with it, or "
                "run 'pgwamp db upgrade' once as a superuser, who may create event triggers",
                advice=True,
            )
        )
    return findings


_FOLLOWS_DDL = """
select count(*) = 2 from pg_event_trigger
where evtfoid = to_regprocedure('wamp.ddl_changed()') and evtenabled <> 'D'
"""
_SCHEMAS = """
select case
        when n.oid is null then format(
            'the database has no schema "%s"; create it, or correct the setting', s)
        else format('the user lacks USAGE on schema "%s": GRANT it', s)
    end as problem
from unnest($1::text[]) as s
left join pg_namespace as n on n.nspname = s
where n.oid is null or not has_schema_privilege(n.oid, 'usage')
"""
_ROLES = """
select r from unnest($1::text[]) as r
where not exists (select from pg_roles where rolname = r)
    or not pg_has_role(current_user, (select oid from pg_roles where rolname = r), 'member')
"""


async def _check_router(settings: Settings) -> list[Finding]:
    link = Link(settings.router, max_bytes=settings.limits.max_bytes, patience=2.0)
    try:
        await link.start()
    except StartError as error:
        return [Finding("router", str(error))]
    finally:
        await link.stop()
    return []
