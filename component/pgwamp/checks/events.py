"""Whether changes are captured, and events published."""

from __future__ import annotations

from typing import Any

import asyncpg

from pgwamp.backlog import MOST_COUNTED, Backlog, read_backlog
from pgwamp.checks.captures import stale_captures
from pgwamp.checks.finding import Finding
from pgwamp.checks.strangers import locks_of_strangers
from pgwamp.eventlog.evaluator import Evaluator
from pgwamp.events import publish_obstacle
from pgwamp.naming import Naming
from pgwamp.settings import Settings

#: Seconds that an event may wait before it is a finding.
LONGEST_WAIT = 30.0
#: Share of the queue of notifications beyond which pgwamp notifies no more; see capture.sql.
FULLEST_QUEUE = 0.5


async def check_publish_rules(
    settings: Settings, connection: asyncpg.Connection[Any]
) -> list[Finding]:
    """Whether the component may say what ``wamp.publish`` may do."""
    obstacle = await publish_obstacle(connection, settings)
    return [Finding("events", obstacle)] if obstacle else []


async def check_locks(_: Settings, connection: asyncpg.Connection[Any]) -> list[Finding]:
    """Whether strangers lock what is ours."""
    return await locks_of_strangers(connection)


async def check_captures(settings: Settings, connection: asyncpg.Connection[Any]) -> list[Finding]:
    """Whether the changes of watched tables are captured as they should be."""
    evaluator = Evaluator(settings.database.events_dsn())
    try:
        found = await stale_captures(connection, evaluator.failure)
    finally:
        evaluator.close()
    return [Finding("events", problem) for problem in found]


async def check_published(settings: Settings, connection: asyncpg.Connection[Any]) -> list[Finding]:
    """Whether the changes of each watched table are published, as far as the settings decide."""
    naming = Naming(settings.expose)
    rows = await connection.fetch(_PUBLISHED)
    found = (_published(naming, row["schema"], row["name"], row["template"]) for row in rows)
    return [finding for finding in found if finding]


def _published(naming: Naming, schema: str, name: str, template: str | None) -> Finding | None:
    table = f"{schema}.{name}"
    if naming.is_excluded(schema, name):
        problem = (
            f"{table} is watched, but its changes are not published, because expose.exclude hides "
            "it: take it out of expose.exclude, or end the watch with 'pgwamp watch remove'"
        )
        return Finding("events", problem, level="advice")
    path = naming.path(schema, name)
    if path is None and template is None:
        problem = (
            f"{table} is watched, but its changes are not published, because its name cannot be "
            f'part of a URI: give it one in pgwamp.toml: [expose.alias] "{table}" = "..."'
        )
        return Finding("events", problem, level="advice")
    if naming.is_exposed(schema, name):
        return None
    place = f"to {template}" if template else f"below {path}"
    problem = f"{table} is watched, and not exposed: its changes are published {place}"
    return Finding("events", problem, level="fact")


async def check_row_security(_: Settings, connection: asyncpg.Connection[Any]) -> list[Finding]:
    """Whether the events of a watched table show rows that the table hides."""
    rows = await connection.fetch(_ROW_SECURITY)
    return [Finding("events", row["problem"], level="advice") for row in rows]


async def check_backlog(_: Settings, connection: asyncpg.Connection[Any]) -> list[Finding]:
    """Whether publishing keeps up."""
    try:
        return [_judge(await read_backlog(connection))]
    except asyncpg.InsufficientPrivilegeError:
        problem = (
            "the user may not see how publishing stands: "
            "GRANT USAGE ON SCHEMA wamp and GRANT EXECUTE ON FUNCTION wamp.backlog() to it"
        )
        return [Finding("events", problem, level="advice")]


async def check_queue(_: Settings, connection: asyncpg.Connection[Any]) -> list[Finding]:
    """Whether a session of any role fills the queue of notifications: NOTIFY needs no right."""
    usage = await connection.fetchval("select pg_notification_queue_usage()")
    if usage <= FULLEST_QUEUE:
        return []
    oldest = await connection.fetchval(_OLDEST_TRANSACTION)
    cure = (
        f"end {oldest}, which has the oldest one"
        if oldest
        else "look for the oldest 'idle in transaction' in pg_stat_activity and end it"
    )
    problem = (
        f"the queue of notifications is {usage:.0%} full, so that writers do not wake the "
        "sequencer any more: a session that listens, of any database of the server, does not end "
        f"its transaction; {cure}"
    )
    return [Finding("events", problem)]


def _judge(backlog: Backlog) -> Finding:
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


#: PostgreSQL does not tell who listens; it tells states of others to members of pg_monitor.
_OLDEST_TRANSACTION = """
select format('the session %s (of %s, in the database %s)', pid, quote_ident(usename),
    quote_ident(datname))
from pg_stat_activity
where state like 'idle in transaction%' and pid <> pg_backend_pid()
order by xact_start
limit 1
"""
_PUBLISHED = """
select n.nspname as schema, c.relname as name, w.options ->> 'topic' as template
from wamp.watch as w
join pg_class as c on c.oid = w.relation
join pg_namespace as n on n.oid = c.relnamespace
where w.options -> 'publish' is distinct from 'false'
order by 1, 2
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
