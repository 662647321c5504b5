"""Locks of migrations: one at a time, and none waits for other sessions without an end."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from psycopg2 import errorcodes
from sqlalchemy import Connection, Row, func, select, text
from sqlalchemy.exc import DBAPIError

from pgwamp.errors import StartError, printable

#: Keys of the advisory lock.
MIGRATION_LOCK = (20599, 14)
#: Seconds to wait for the lock, and between two lines that say so.
LONGEST_WAIT_SECONDS, REPORT_PAUSE_SECONDS = 60.0, 5.0
#: Seconds that a statement of a migration waits for a lock, and keeps all who come later waiting.
LONGEST_LOCK_SECONDS = 10.0
#: Seconds between two looks for who keeps a migration waiting: several in that time.
LOOK_PAUSE_SECONDS = 1.0
#: Where prepared transactions are, which have no process.
_LOOK_FOR_PREPARED = "look for it: select * from pg_prepared_xacts; and end it: rollback prepared"
# The one that has the lock, before others that wait for it. A prepared transaction is process 0.
_BLOCKER = text(
    "select b.pid, a.usename, (select l.relation::regclass::text from pg_locks as l "
    "where l.pid = :pid and not l.granted) as relation "
    "from unnest(pg_blocking_pids(:pid)) as b (pid) "
    "left join pg_stat_activity as a on a.pid = b.pid "
    "order by exists (select from pg_locks as l where l.pid = b.pid and not l.granted), "
    "a.xact_start, b.pid limit 1"
)
# Everybody may take an advisory lock, so the holder is named; unless it is a prepared transaction.
_HOLDER = text(
    "select l.pid, a.usename from pg_locks as l left join pg_stat_activity as a on a.pid = l.pid "
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
        if row is None:
            if over:
                raise StartError(f"the lock of migrations ({class_}, {key}) is not free: try again")
            continue
        holder, cure = _name(row)
        line = f"{holder} holds the lock of migrations ({class_}, {key})"
        if over:
            raise StartError(f"{line}: wait until it ends, or {cure}")
        if report is not None:
            report(f"waiting: {line}")


def bound_waits(connection: Connection) -> None:
    """Let the rest of the transaction wait for no lock longer than :data:`LONGEST_LOCK_SECONDS`."""
    most = f"{round(LONGEST_LOCK_SECONDS * 1000)}ms"
    connection.execute(select(func.set_config("lock_timeout", most, True)))


class Blockers:
    """Notes in a thread who keeps a migration waiting; nobody can tell after it was undone."""

    def __init__(self, connection: Connection):
        self._engine = connection.engine
        driver: Any = connection.connection.driver_connection
        self._pid = driver.info.backend_pid
        self._last: Row[Any] | None = None
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._look, name="pgwamp blockers", daemon=True)

    def __enter__(self) -> None:
        self._thread.start()

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()

    def _look(self) -> None:
        # Most migrations are over before the first look.
        if self._ended.wait(LOOK_PAUSE_SECONDS):
            return
        # Without another connection the migration goes on, and its error names nobody.
        with suppress(DBAPIError), self._engine.connect() as connection:
            looking = connection.execution_options(isolation_level="AUTOCOMMIT")
            while not self._ended.is_set():
                self._last = looking.execute(_BLOCKER, {"pid": self._pid}).first() or self._last
                self._ended.wait(LOOK_PAUSE_SECONDS)

    def error(self) -> StartError:
        """For a migration that was undone, because it had waited too long."""
        if self._last is None:
            return StartError(
                "the migration waited too long for a lock, and was undone: try again when the "
                "oldest transactions of pg_stat_activity have ended"
            )
        holder, cure = _name(self._last)
        uses = f", which uses {self._last.relation}" if self._last.relation else ""
        return StartError(
            printable(
                f"the migration waited too long for {holder}{uses}, and was undone: "
                f"wait until it ends, or {cure}"
            )
        )


def _name(row: Row[Any]) -> tuple[str, str]:
    """The holder of a lock, and how to end it."""
    if not row.pid:
        return "a prepared transaction", _LOOK_FOR_PREPARED
    cure = f"end it: select pg_terminate_backend({row.pid})"
    return f'process {row.pid} of role "{row.usename}"', cure


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
