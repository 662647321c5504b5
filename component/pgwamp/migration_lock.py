"""One migration at a time: two components may start ``pgwamp db upgrade`` at once."""

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


def _take(connection: Connection, pause: str) -> bool:
    """Whether the lock is ours, after a pause at most."""
    try:
        with connection.begin_nested():
            connection.execute(select(func.set_config("lock_timeout", pause, True)))
            connection.execute(select(func.pg_advisory_xact_lock(*MIGRATION_LOCK)))
            connection.execute(text("set local lock_timeout to default"))
    except DBAPIError as error:
        if getattr(error.orig, "pgcode", None) == errorcodes.LOCK_NOT_AVAILABLE:
            return False
        raise
    return True
