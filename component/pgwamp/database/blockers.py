"""Waiting for locks of other sessions: with a bound, and an error that names who has the lock."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from typing import Any, NamedTuple

import asyncpg

from pgwamp.database.connect import CONNECTION_ERRORS, connect_directly
from pgwamp.errors import Blocked, printable
from pgwamp.tasks import end

#: Seconds that a statement waits for a lock, and keeps all who come later waiting.
LONGEST_LOCK_SECONDS = 10.0
#: Seconds between two looks for who keeps us waiting: several in the shortest wait, of two seconds.
LOOK_PAUSE_SECONDS = 0.5
#: Seconds until those who wait are told whom for.
TOLD_SECONDS = 2.0
#: Where prepared transactions are, which have no process.
_LOOK_FOR_PREPARED = "look for it: select * from pg_prepared_xacts; and end it: rollback prepared"
#: Names the one that has the lock, before others that wait for it; process 0 is a prepared
#: transaction. ``{pid}`` is the parameter, which each driver writes in its own way.
BLOCKER = (
    "select b.pid, a.usename::text, own.relation::regclass::text "
    # Both are looked at in turn: a wait that ends in between is passed over.
    "from pg_locks as own cross join unnest(pg_blocking_pids({pid})) as b (pid) "
    "left join pg_stat_activity as a on a.pid = b.pid "
    "where own.pid = {pid} and not own.granted "
    "order by exists (select from pg_locks as l where l.pid = b.pid and not l.granted), "
    "a.xact_start, b.pid limit 1"
)


class Blocker(NamedTuple):
    """A transaction that keeps us waiting.

    :ivar pid: its process; 0 or None if it is a prepared transaction.
    :ivar role: of its session.
    :ivar relation: that we want to lock; None if we wait for something else of it.
    """

    pid: int | None
    role: str | None
    relation: str | None = None

    def name(self) -> tuple[str, str]:
        """Return what it is called, and how to end it."""
        if not self.pid:
            return "a prepared transaction", _LOOK_FOR_PREPARED
        cure = f"end it: select pg_terminate_backend({self.pid})"
        return f'process {self.pid} of role "{self.role}"', cure

    def told(self) -> str:
        """Return a line for those who still wait for it."""
        uses = f" uses {self.relation}" if self.relation else " has what is needed"
        return printable(f"waiting: {self.name()[0]}{uses}")


def waited_too_long(subject: str, blocker: Blocker | None, outcome: str = "") -> Blocked:
    """Return the error of what was given up, because it had waited too long.

    :param subject: of the sentence, as in "the migration".
    :param outcome: what became of it, as in ", and was undone".
    """
    if blocker is None:
        return Blocked(
            f"{subject} waited too long for a lock{outcome}: try again when the oldest "
            "transactions of pg_stat_activity have ended"
        )
    holder, cure = blocker.name()
    uses = f", which uses {blocker.relation}" if blocker.relation else ""
    return Blocked(
        printable(
            f"{subject} waited too long for {holder}{uses}{outcome}: wait until it ends, or {cure}"
        ),
        relation=blocker.relation,
    )


@asynccontextmanager
async def bounded_waits(
    connection: asyncpg.Connection[Any],
    dsn: str,
    subject: str,
    seconds: float | None = None,
    report: Callable[[str], object] | None = None,
) -> AsyncIterator[None]:
    """Let the rest of a transaction wait for no lock too long.

    :param dsn: for another connection, that looks who has the lock.
    :param subject: as of :func:`waited_too_long`.
    :param seconds: at most, for each lock; :data:`LONGEST_LOCK_SECONDS` by default.
    :param report: as of :func:`looking`.
    :raises Blocked: it waited that long.
    """
    most = round((seconds or LONGEST_LOCK_SECONDS) * 1000)
    await connection.execute(f"set local lock_timeout = '{most}ms'")
    async with looking(connection, dsn, report) as found:
        try:
            yield
        except asyncpg.LockNotAvailableError:
            raise waited_too_long(subject, found[-1] if found else None) from None


@asynccontextmanager
async def looking(
    connection: asyncpg.Connection[Any], dsn: str, report: Callable[[str], object] | None = None
) -> AsyncIterator[list[Blocker]]:
    """Note who keeps a connection waiting; nobody can tell after it has given up.

    :param dsn: for another connection, that looks.
    :param report: told whom it waits for, after :data:`TOLD_SECONDS`.
    :returns: the one that was noted last, if any was.
    """
    found: list[Blocker] = []
    task = asyncio.create_task(_look(dsn, connection.get_server_pid(), found, report))
    try:
        yield found
    finally:
        await end(task)


async def _look(
    dsn: str, pid: int, found: list[Blocker], report: Callable[[str], object] | None
) -> None:
    now = asyncio.get_running_loop().time
    told_from = now() + TOLD_SECONDS
    told: Blocker | None = None
    # Most is over before the first look.
    await asyncio.sleep(LOOK_PAUSE_SECONDS)
    # Without another connection the error names nobody.
    with suppress(*CONNECTION_ERRORS, asyncpg.PostgresError):
        connection = await connect_directly(dsn)
        try:
            while True:
                if row := await connection.fetchrow(BLOCKER.format(pid="$1::int"), pid):
                    found[:] = [Blocker(*row)]
                    if report is not None and found != [told] and now() >= told_from:
                        told = found[0]
                        report(told.told())
                await asyncio.sleep(LOOK_PAUSE_SECONDS)
        finally:
            connection.terminate()
