"""``pgwamp check``: everything that would keep a component from working, each with its cure."""

from __future__ import annotations

from collections.abc import Coroutine
from functools import partial
from typing import Any

import asyncpg

from pgwamp import migrations
from pgwamp.backlog import MOST_COUNTED, Backlog, read_backlog
from pgwamp.captures import stale_captures
from pgwamp.check_access import check_access
from pgwamp.component import require_schema
from pgwamp.database import connect_directly
from pgwamp.database.connect import (
    CONNECTION_ERRORS,
    connect_through_pooler,
    explain_failure,
    unreachable,
)
from pgwamp.dependents import dependents_of_strangers
from pgwamp.errors import PgwampError, StartError, printable
from pgwamp.eventlog.conditions import Conditions
from pgwamp.eventlog.sequencer import connect_for_conditions
from pgwamp.events import publish_obstacle
from pgwamp.findings import Finding
from pgwamp.session import Link
from pgwamp.settings import DatabaseSettings, Settings
from pgwamp.strangers import locks_of_strangers

OLDEST_VERSION = 140000
#: Seconds that an event may wait before it is a finding.
LONGEST_WAIT = 30.0
#: The longest wait for a lock that somebody holds on what is checked.
LONGEST_LOCK = "2s"
#: Share of the queue of notifications beyond which pgwamp notifies no more; see capture.sql.
FULLEST_QUEUE = 0.5


async def check_all(settings: Settings) -> list[Finding]:
    """Look at everything; a component would start and work if nothing of it is wrong."""
    findings: list[Finding] = []
    for require in (settings.require_database, settings.require_exposure):
        try:
            require()
        except PgwampError as error:
            findings.append(Finding("settings", str(error)))
    if settings.database.url.get_secret_value():
        findings += await _check_database(settings)
    findings += await _check_router(settings)
    return [finding._replace(problem=printable(finding.problem)) for finding in findings]


async def _check_database(settings: Settings) -> list[Finding]:
    findings = []
    database = settings.database
    addresses = [
        ("database", database.dsn(), "DATABASE_URL"),
        ("database (events)", database.events_dsn(), database.events_setting),
        ("database (replica)", database.read_dsn(), "database.replica_url"),
    ]
    logins = {database.login_dsn(role): role for role in database.logins}
    for dsn, role in logins.items():
        addresses.append((f"database (login of {role})", dsn, f"database.logins.{role}"))
    checked: set[str] = set()
    for part, dsn, setting in addresses:
        if dsn in checked:
            continue
        checked.add(dsn)
        try:
            connection = await _connect(database, dsn)
        except (*CONNECTION_ERRORS, asyncpg.PostgresError) as error:
            problem = explain_failure(error, dsn, setting) or unreachable(error, dsn, setting)
            findings.append(Finding(part, str(problem)))
            continue
        try:
            if dsn == settings.database.dsn() or dsn in logins:
                checking = check_access(settings, connection, logins.get(dsn))
                findings += await _in_part("access", checking)
            if dsn == settings.database.events_dsn():
                # A direct connection, whose settings are our own.
                await connection.execute(f"set lock_timeout = '{LONGEST_LOCK}'")
                findings += await _in_part("schema", locks_of_strangers(connection))
                findings += await _in_part("schema", _check_contents(settings, connection))
        except CONNECTION_ERRORS as error:
            findings.append(Finding(part, str(unreachable(error, dsn, setting))))
        finally:
            await connection.close()
    return findings


async def _connect(database: DatabaseSettings, dsn: str) -> asyncpg.Connection[Any]:
    if database.pooled and dsn != database.events_dsn():
        return await connect_through_pooler(dsn)
    return await connect_directly(dsn)


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
    return [
        *await _in_part("database", _check_schemas(settings, connection)),
        *await _in_part("schema", _check_schema(connection)),
        *await _in_part("events", _check_rules(settings, connection)),
        *await _in_part("events", _check_captures(settings, connection)),
        *await _in_part("events", _check_queue(connection)),
        *await _in_part("events", _check_row_security(connection)),
        *await _in_part("events", _check_backlog(connection)),
    ]


async def _in_part(part: str, checking: Coroutine[Any, Any, list[Finding]]) -> list[Finding]:
    """Take an error of one part for a finding of that part, and not for the end of all."""
    try:
        return await checking
    except CONNECTION_ERRORS:
        raise
    except asyncpg.LockNotAvailableError:
        problem = "another session keeps locked what is to be checked: try again when it has ended"
    except asyncpg.PostgresError as error:
        problem = f"it cannot be checked: {error}"
    return [Finding(part, problem)]


async def _check_schemas(settings: Settings, connection: asyncpg.Connection[Any]) -> list[Finding]:
    rows = await connection.fetch(_SCHEMAS, list(settings.expose.schemas))
    return [Finding("database", f"expose.schemas: {row['problem']}") for row in rows]


async def _check_schema(connection: asyncpg.Connection[Any]) -> list[Finding]:
    findings = []
    if advice := await connection.fetchval(_FOLLOWS_DDL):
        findings.append(Finding("schema", advice, level="advice"))
    if advice := await connection.fetchval(_EVALUATES):
        findings.append(Finding("schema", advice, level="advice"))
    for problem in await dependents_of_strangers(connection):
        findings.append(Finding("schema", problem, level="advice"))
    return findings


async def _check_rules(settings: Settings, connection: asyncpg.Connection[Any]) -> list[Finding]:
    obstacle = await publish_obstacle(connection, settings)
    return [Finding("events", obstacle)] if obstacle else []


async def _check_captures(settings: Settings, connection: asyncpg.Connection[Any]) -> list[Finding]:
    events = settings.database.events_dsn()
    conditions = Conditions(connection, partial(connect_for_conditions, events))
    try:
        found = await stale_captures(connection, conditions.failure)
    finally:
        conditions.close()
    return [Finding("events", problem) for problem in found]


async def _check_row_security(connection: asyncpg.Connection[Any]) -> list[Finding]:
    rows = await connection.fetch(_ROW_SECURITY)
    return [Finding("events", row["problem"], level="advice") for row in rows]


async def _check_backlog(connection: asyncpg.Connection[Any]) -> list[Finding]:
    try:
        return [_judge(await read_backlog(connection))]
    except asyncpg.InsufficientPrivilegeError:
        problem = (
            "the user may not see how publishing stands: "
            "GRANT USAGE ON SCHEMA wamp and GRANT EXECUTE ON FUNCTION wamp.backlog() to it"
        )
        return [Finding("events", problem, level="advice")]


def _judge(backlog: Backlog) -> Finding:
    """Whether publishing keeps up."""
    more = " or more" if backlog.events == MOST_COUNTED else ""
    kept = (
        f"kept since {backlog.kept_since[:19]} UTC, {backlog.bytes / 2**20:,.0f} MiB"
        if backlog.kept_since
        else "none kept"
    )
    state = f"{backlog.events:,}{more} waiting to be published, {kept}"
    if backlog.oldest <= LONGEST_WAIT:
        leader = "an instance publishes" if backlog.leader else "no instance runs"
        return Finding("events", f"{leader}; {state}", level="fact")
    cure = (
        "look for errors in the log of the instance that publishes"
        if backlog.leader
        else "nobody publishes: start 'pgwamp run', or look why its log does not say 'publishing'"
    )
    return Finding("events", f"the oldest has waited for {backlog.oldest:,.0f} s; {state}; {cure}")


async def _check_queue(connection: asyncpg.Connection[Any]) -> list[Finding]:
    """Whether a session of any role fills the queue of notifications: NOTIFY needs no right."""
    usage = await connection.fetchval("select pg_notification_queue_usage()")
    if usage <= FULLEST_QUEUE:
        return []
    problem = (
        f"the queue of notifications is {usage:.0%} full, so that writers do not wake the "
        "sequencer any more: a session that listens, of any database of the server, does not end "
        "its transaction; look for the oldest 'idle in transaction' in pg_stat_activity and end it"
    )
    return [Finding("events", problem)]


_FOLLOWS_DDL = """
select case
    when count(*) <> 2 then
        'the API follows DDL only on NOTIFY pgwamp, ''reload'': end migrations with it, or '
        'run ''pgwamp db upgrade'' once as a superuser, who may create event triggers'
    when not bool_and(p.prosecdef) then
        'watched tables do not follow DDL by others than the owner of the wamp schema: '
        'run ''pgwamp db upgrade'' once more as a superuser'
end
from pg_event_trigger as e
join pg_proc as p on p.oid = e.evtfoid
where e.evtfoid = to_regprocedure('wamp.ddl_changed()') and e.evtenabled <> 'D'
"""
_EVALUATES = """
select 'conditions of watched tables run with the rights of the owner of the wamp schema, and so '
    'do functions of others that they call: run ''pgwamp db upgrade'' once as a superuser, or as '
    'a role with CREATEROLE'
from wamp.watch as w
join pg_proc as p on p.oid = 'wamp.evaluate(text, json)'::regprocedure
join pg_roles as r on r.oid = p.proowner and r.rolname <> 'pgwamp_evaluator'
where w.options ? 'when'
limit 1
"""
_ROW_SECURITY = """
select format(
    '%I.%I has row level security, which does not hold for topics: let the router''s configuration '
    'say who may subscribe to its changes, or watch it with eligible_authid or eligible_authrole',
    w.relation_schema, w.relation_name) as problem
from wamp.watched as w
join pg_class as c on c.oid = w.relation
where c.relrowsecurity and not w.options ?| '{eligible_authid,eligible_authrole}'
order by 1
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


async def _check_router(settings: Settings) -> list[Finding]:
    link = Link(settings.router, max_bytes=settings.limits.max_bytes, patience=2.0)
    try:
        await link.start()
    except StartError as error:
        return [Finding("router", str(error))]
    finally:
        await link.stop()
    return []
