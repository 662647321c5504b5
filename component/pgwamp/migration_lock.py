"""Locks of migrations: one at a time, and none waits for other sessions without an end."""

from __future__ import annotations

import time
from collections.abc import Callable

from psycopg2 import errorcodes
from sqlalchemy import Connection, func, select, text
from sqlalchemy.exc import DBAPIError

from pgwamp.errors import StartError

#: Keys of the advisory lock.
MIGRATION_LOCK = (20599, 14)
#: Seconds to wait for the lock, and between two lines that say so.
LONGEST_WAIT_SECONDS, REPORT_PAUSE_SECONDS = 60.0, 5.0
#: Seconds that a statement of a migration waits for a lock, and keeps all who come later waiting.
LONGEST_LOCK_SECONDS = 10.0
# The oldest transaction that has a table of ours in use, for which SELECT is enough.
_USER = text(
    "select a.pid, a.usename, c.relname from pg_locks as l "
    "join pg_class as c on c.oid = l.relation "
    "join pg_namespace as n on n.oid = c.relnamespace and n.nspname = 'wamp' "
    "join pg_stat_activity as a on a.pid = l.pid "
    "where l.granted and l.pid <> pg_backend_pid() "
    "and l.database = (select oid from pg_database where datname = current_database()) "
    "order by a.xact_start, a.pid limit 1"
)
# Everybody may take an advisory lock, so the holder is named.
_HOLDER = text(
    "select a.pid, a.usename from pg_locks as l join pg_stat_activity as a on a.pid = l.pid "
    "where l.locktype = 'advisory' and l.granted and l.classid = :class_ and l.objid = :key "
    "and l.objsubid = 2 "
    "and l.database = (select oid from pg_database where datname = current_database())"
)


def wait_for_turn(connection: Connection, report: Callable[[str], None] | None) -> None:
    """Take the lock until the end of the transaction; say who has it, and give up in the end.

    :raises StartError: somebody else still has the lock after :data:`LONGEST_WAIT_SECONDS`.
    """
    deadline = time.monotonic() + LONGEST_WAIT_SECONDS
    pause = f"{round(REPORT_PAUSE_SECONDS * 1000)}ms"
    while not _take(connection, pause):
        class_, key = MIGRATION_LOCK
        row = connection.execute(_HOLDER, {"class_": class_, "key": key}).first()
        over = time.monotonic() >= deadline
        if row is None and not over:
            continue
        if row is None:
            raise StartError(
                f"no process holds the lock of migrations ({class_}, {key}), and it is not free: "
                "look for a prepared transaction: select * from pg_prepared_xacts"
            )
        line = (
            f'process {row.pid} of role "{row.usename}" holds the lock of migrations '
            f"({class_}, {key})"
        )
        if over:
            raise StartError(
                f"{line}: wait until it ends, or end it: select pg_terminate_backend({row.pid})"
            )
        if report is not None:
            report(f"waiting: {line}")


def bound_waits(connection: Connection) -> None:
    """Let the rest of the transaction wait for no lock longer than :data:`LONGEST_LOCK_SECONDS`."""
    most = f"{round(LONGEST_LOCK_SECONDS * 1000)}ms"
    connection.execute(select(func.set_config("lock_timeout", most, True)))


def held_up(connection: Connection) -> StartError:
    """Who has most likely kept a migration waiting that was rolled back for it."""
    row = connection.execute(_USER).first()
    if row is None:
        return StartError(
            "the migration waited too long for a lock, and was undone: try again when the oldest "
            "transactions of pg_stat_activity have ended"
        )
    return StartError(
        f'the migration waited too long for process {row.pid} of role "{row.usename}", whose '
        f"transaction uses wamp.{row.relname}, and was undone: wait until it ends, or end it: "
        f"select pg_terminate_backend({row.pid})"
    )


def _take(connection: Connection, pause: str) -> bool:
    """Whether the lock is ours, after a pause at most."""
    try:
        with connection.begin_nested():
            connection.execute(select(func.set_config("lock_timeout", pause, True)))
            connection.execute(select(func.pg_advisory_xact_lock(*MIGRATION_LOCK)))
    except DBAPIError as error:
        if getattr(error.orig, "pgcode", None) == errorcodes.LOCK_NOT_AVAILABLE:
            return False
        raise
    return True
