"""Views and foreign tables that may be written to.

PostgreSQL opens each to tell. One that cannot be opened must not stop all.
"""

from __future__ import annotations

import math
import time
from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Any, NamedTuple, Protocol

#: Bits of pg_relation_is_updatable.
_INSERT, _UPDATE, _DELETE = 8, 4, 16
#: SQLSTATEs of a lock that did not come in time, and of a statement that took too long.
_LOCK_NOT_AVAILABLE, _CANCELED = "55P03", "57014"
#: Seconds to ask about the views of one owner, and about all. Whoever sees the question in pg_locks
#: can lock one view after the other, each time they are asked about.
OWNER_SECONDS, ALL_SECONDS = 3.0, 15.0
#: How long to wait for a lock once one did not come in time: all others were waited for by then.
_SHORT_WAIT = "100ms"
_TIMEOUTS = "select current_setting('statement_timeout'), current_setting('lock_timeout')"
_SET_TIMEOUTS = (
    "select set_config('statement_timeout', $1, true), set_config('lock_timeout', $2, true)"
)


class Connection(Protocol):
    """The part of asyncpg's connection that asking needs."""

    async def fetch(self, query: str, *args: Any) -> Sequence[Mapping[str, Any]]: ...

    def transaction(self) -> AbstractAsyncContextManager[Any]: ...


class Updatable(NamedTuple):
    """The kinds of writes that a relation takes.

    :ivar events: bits, as pg_relation_is_updatable answers.
    :ivar simple: a view that shows the rows of one table, one for one.
    """

    events: int
    simple: bool = False

    @property
    def insertable(self) -> bool:
        """Whether INSERT may do something."""
        return bool(self.events & _INSERT)

    @property
    def updatable(self) -> bool:
        """Whether UPDATE may do something."""
        return bool(self.events & _UPDATE)

    @property
    def deletable(self) -> bool:
        """Whether DELETE may do something."""
        return bool(self.events & _DELETE)


TABLE = Updatable(_INSERT | _UPDATE | _DELETE)
#: Of a view of which nothing is known: it is locked, stands on too many others, or fails to open.
UNKNOWN = Updatable(0)


async def load_updatable(
    connection: Connection, sql: Mapping[str, str], views: Mapping[int, int]
) -> tuple[dict[int, Updatable], set[int]]:
    """Ask about ``views``, in a transaction with a ``lock_timeout``.

    :param sql: the statements ``locked`` and ``updatable``.
    :param views: oid -> oid of the owner.
    :returns: what is known by oid, and the oids of those that another session has locked, or that
        could not be asked about in time.
    """
    by_owner: dict[int, list[int]] = defaultdict(list)
    for view, owner in sorted(views.items()):
        by_owner[owner].append(view)
    ((statement_timeout, lock_timeout),) = await connection.fetch(_TIMEOUTS)
    asking = _Asking(connection, sql, views, lock_timeout)
    await asking.look()
    # The oldest roles come first: a role takes time away from newer ones at most.
    for _, own in sorted(by_owner.items()):
        await asking.ask(own)
    await connection.fetch(_SET_TIMEOUTS, statement_timeout, lock_timeout)
    return asking.known, asking.locked


class _Asking:
    """The views that were looked at, and those that cannot be opened."""

    def __init__(
        self,
        connection: Connection,
        sql: Mapping[str, str],
        views: Collection[int],
        lock_timeout: str,
    ):
        self.known: dict[int, Updatable] = {}
        self.locked: set[int] = set()
        self._connection = connection
        self._sql = sql
        self._views = list(views)
        self._lock_timeout = lock_timeout
        self._until = time.monotonic() + ALL_SECONDS

    async def look(self) -> None:
        """Read which views others lock now."""
        rows = await self._connection.fetch(self._sql["locked"], self._views)
        self.locked.update(row["oid"] for row in rows)

    async def ask(self, views: Sequence[int]) -> None:
        """Ask about the views of one owner: all at once, or else ever fewer."""
        until = min(time.monotonic() + OWNER_SECONDS, self._until)
        waiting = [views]
        while waiting:
            some = [view for view in waiting.pop() if view not in self.locked]
            obstacle = await self._obstacle(some, until - time.monotonic())
            if obstacle == _LOCK_NOT_AVAILABLE:
                self._lock_timeout = _SHORT_WAIT
                await self.look()
            if obstacle is None:
                continue
            if obstacle == _CANCELED:
                self.locked.update(some)
            elif len(some) > 1:
                middle = len(some) // 2
                waiting += [some[middle:], some[:middle]]
            elif obstacle == _LOCK_NOT_AVAILABLE:
                self.locked.update(some)
            else:
                self.known[some[0]] = UNKNOWN

    async def _obstacle(self, views: Sequence[int], seconds: float) -> str | None:
        """Ask about ``views``; the SQLSTATE of an error that says they cannot be opened."""
        if not views:
            return None
        if seconds <= 0:
            return _CANCELED
        try:
            # Timeouts that are set here end with it when it fails.
            async with self._connection.transaction():
                limit = f"{math.ceil(seconds * 1000)}ms"
                await self._connection.fetch(_SET_TIMEOUTS, limit, self._lock_timeout)
                rows = await self._connection.fetch(self._sql["updatable"], views)
        except Exception as error:
            state: str | None = getattr(error, "sqlstate", None)
            if state is None:
                # The connection is lost.
                raise
            # Also of too many views below one, and of a wrapper that has no handler.
            return state
        for row in rows:
            self.known[row["oid"]] = Updatable(row["events"], row["simple"])
        return None
