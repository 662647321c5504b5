"""Locks of migrations: one at a time, and none waits for other sessions without a bound."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

from psycopg2 import errorcodes
from sqlalchemy import Connection, func, select, text
from sqlalchemy.exc import DBAPIError

from pgwamp.database.blockers import (
    BLOCKER,
    LONGEST_LOCK_SECONDS,
    LOOK_PAUSE_SECONDS,
    TOLD_SECONDS,
    Blocker,
    waited_too_long,
)
from pgwamp.errors import StartError

#: Keys of the advisory lock.
MIGRATION_LOCK = (20599, 14)
#: Seconds to wait for the lock, and between two lines that say so.
LONGEST_WAIT_SECONDS, REPORT_PAUSE_SECONDS = 60.0, 5.0
_BLOCKER = text(BLOCKER.format(pid=":pid"))
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
        holder, cure = Blocker(row.pid, row.usename).name()
        line = f"{holder} holds the lock of migrations ({class_}, {key})"
        if over:
            raise StartError(f"{line}: wait until it ends, or {cure}")
        if report is not None:
            report(f"waiting: {line}")


@contextmanager
def bounded_waits(
    connection: Connection,
    subject: str,
    outcome: str = "",
    report: Callable[[str], object] | None = None,
) -> Iterator[None]:
    """Let the rest of a transaction wait for no lock longer than :data:`LONGEST_LOCK_SECONDS`.

    Where each statement is a transaction, the session has that bound from now on.

    :param subject: and ``outcome`` of the error, as of ``waited_too_long``.
    :param report: told whom it waits for, in a thread, after :data:`TOLD_SECONDS`.
    :raises Blocked: it waited that long.
    """
    most = f"{round(LONGEST_LOCK_SECONDS * 1000)}ms"
    driver: Any = connection.connection.driver_connection
    is_local = not driver.autocommit
    connection.execute(select(func.set_config("lock_timeout", most, is_local)))
    looking = _Looking(connection, report)
    try:
        with looking:
            yield
    except DBAPIError as error:
        if getattr(error.orig, "pgcode", None) != errorcodes.LOCK_NOT_AVAILABLE:
            raise
        raise waited_too_long(subject, looking.last, outcome) from None


class _Looking:
    """Notes in a thread who keeps a connection waiting; nobody can tell after it has given up.

    :ivar last: the one that was noted last.
    """

    def __init__(self, connection: Connection, report: Callable[[str], object] | None):
        self._engine = connection.engine
        self._report = report
        driver: Any = connection.connection.driver_connection
        self._pid = driver.info.backend_pid
        self.last: Blocker | None = None
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._look, name="pgwamp blockers", daemon=True)

    def __enter__(self) -> None:
        self._thread.start()

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()

    def _look(self) -> None:
        told: Blocker | None = None
        told_from = time.monotonic() + TOLD_SECONDS
        # Most is over before the first look.
        if self._ended.wait(LOOK_PAUSE_SECONDS):
            return
        # Without another connection the error names nobody.
        # So does whoever cannot be told, whose output nobody reads any more.
        with suppress(DBAPIError, OSError), self._engine.connect() as connection:
            looking = connection.execution_options(isolation_level="AUTOCOMMIT")
            while not self._ended.is_set():
                if row := looking.execute(_BLOCKER, {"pid": self._pid}).first():
                    self.last = Blocker(*row)
                    if self._report and self.last != told and time.monotonic() >= told_from:
                        told = self.last
                        self._report(told.told())
                self._ended.wait(LOOK_PAUSE_SECONDS)


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
