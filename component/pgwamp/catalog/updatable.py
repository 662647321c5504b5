"""Views that may be written to.

PostgreSQL opens each to tell. One that cannot be opened must not stop all.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Any, NamedTuple, Protocol

#: Bits of pg_relation_is_updatable.
_INSERT, _UPDATE, _DELETE = 8, 4, 16
#: SQLSTATE of a lock that did not come in time.
_LOCK_NOT_AVAILABLE = "55P03"
#: SQLSTATEs of too small a stack, or too little memory for locks: thousands of views may stand on
#: each other, and PostgreSQL opens all at once.
_TOO_MUCH = ("54001", "53200")
#: Times that all are asked about at once: each time, somebody may lock one in between.
_ATTEMPTS = 3


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
#: Of a view of which nothing is known: it is locked, or stands on too many others.
UNKNOWN = Updatable(0)


async def load_updatable(
    connection: Connection, sql: Mapping[str, str], views: Collection[int]
) -> tuple[dict[int, Updatable], set[int]]:
    """Ask about ``views`` (oids), in a transaction with a ``lock_timeout``.

    :param sql: the statements ``locked`` and ``updatable``.
    :returns: what is known by oid, and the oids of those that another session has locked.
    :raises Exception: the driver's, as that one was locked again and again while asking.
    """
    for attempt in range(1, _ATTEMPTS + 1):
        locked = {row["oid"] for row in await connection.fetch(sql["locked"], list(views))}
        try:
            free = sorted({*views} - locked)
            return await _ask(connection, sql["updatable"], free), locked
        except Exception as error:
            late = getattr(error, "sqlstate", None) == _LOCK_NOT_AVAILABLE
            if not late or attempt == _ATTEMPTS:
                raise
    raise AssertionError("unreachable")


async def _ask(connection: Connection, sql: str, views: Sequence[int]) -> dict[int, Updatable]:
    """Ask about ``views``; of those that are too much for the server, nothing is known."""
    try:
        async with connection.transaction():
            rows = await connection.fetch(sql, views)
    except Exception as error:
        if getattr(error, "sqlstate", None) not in _TOO_MUCH:
            raise
    else:
        return {row["oid"]: Updatable(row["events"], row["simple"]) for row in rows}
    if len(views) == 1:
        return {views[0]: UNKNOWN}
    middle = len(views) // 2
    return {
        **await _ask(connection, sql, views[:middle]),
        **await _ask(connection, sql, views[middle:]),
    }
