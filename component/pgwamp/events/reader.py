"""Reading events by pages, from a position to the next."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files
from typing import Any, Protocol

import asyncpg

from pgwamp.errors import CursorExpired
from pgwamp.events.cursor import Position, cursors, newest_of


def _read(name: str) -> str:
    return (files("pgwamp.events") / "sql" / name).read_text(encoding="utf-8")


_EVENTS = _read("events.sql")
_POLL = _read("poll.sql").replace("{events}", _EVENTS)
_PAGE = _read("page.sql").replace("{events}", _EVENTS)
_WHOLE = _read("whole.sql")
_OLDEST = _read("oldest.sql")
#: Octets of values that a page has, unless its first event alone has more.
PAGE_BYTES = 2_000_000
#: Flushes the WAL up to here, also on a connection whose commits wait for nothing.
_FLUSH = (
    "begin; set local synchronous_commit = on; "
    "select pg_logical_emit_message(true, 'pgwamp', ''); commit"
)


class Connection(Protocol):
    """What reading needs of a connection: asyncpg's ``fetch`` and ``execute``."""

    async def fetch(self, query: str, *args: Any) -> Sequence[Any]: ...

    async def execute(self, query: str, *args: Any) -> str: ...


#: Of a snapshot the planner knows nothing: by itself it would read a third of the table, or all.
BY_INDEX = {
    "enable_seqscan": "off",
    "enable_bitmapscan": "off",
    "max_parallel_workers_per_gather": "0",
    "jit": "off",
}


class ByIndex:
    """A pooled connection on which events are read with :data:`BY_INDEX`."""

    _SETTINGS = "; ".join(f"set local {name} = {value}" for name, value in BY_INDEX.items())

    def __init__(self, connection: asyncpg.Connection[Any]):
        self._connection = connection

    async def fetch(self, query: str, *args: Any) -> Sequence[Any]:
        """As asyncpg's."""
        async with self._connection.transaction():
            await self._connection.execute(self._SETTINGS)
            return await self._connection.fetch(query, *args)

    async def execute(self, query: str, *args: Any) -> str:
        """As asyncpg's."""
        return await self._connection.execute(query, *args)


@dataclass(frozen=True, slots=True)
class Page:
    """Some events in order, and the position after each.

    :ivar start: the position before the first.
    :ivar end: the position after the last.
    :ivar more: whether further events are already there.
    """

    records: Sequence[Mapping[str, Any]]
    start: Position
    end: Position
    more: bool
    #: The snapshot of the poll that these events belong to.
    polling: str

    def cursors(self, cluster: str) -> Callable[[int], str]:
        """Makes the cursor after an event of this page of its id."""
        return cursors(Position(self.start.seen, self.polling, 0, self.end.newest), cluster)


async def read_page(
    connection: Connection,
    position: Position,
    limit: int,
    relation: tuple[str, str] | None = None,
    *,
    max_bytes: int = PAGE_BYTES,
    largest: int = PAGE_BYTES,
) -> Page:
    """The next page after ``position``, of one relation or of everything.

    When it returns, a cursor made of it stays exact even if PostgreSQL crashes at once.

    :param limit: events at most.
    :param max_bytes: octets of values at most, but for those of the first event.
    :param largest: octets of values of one event at most; beyond, it comes without them.
    :raises CursorExpired: events after the position were already removed by retention.
    """
    arguments = (position.seen, limit, *(relation or (None, None)), max_bytes, largest)
    polling = position.polling
    if polling is None:
        rows = await connection.fetch(_POLL, *arguments)
    else:
        rows = await connection.fetch(_PAGE, *arguments, polling, position.last_id)
    if rows[0]["expired"]:
        raise CursorExpired("events after this cursor are no longer kept")
    records = [row for row in rows if row["id"] is not None]
    more = bool(records) and (len(records) == limit or len(records) < records[0]["found"])
    newest = max(position.newest, int(rows[0]["known"]) - 1)
    whole: Sequence[Any] = records
    if polling is None:
        polling = str(rows[0]["snapshot"])
        # Of the whole poll and not of the page: the end of a snapshot must not part transactions
        # one of which waited for the other.
        whole = await connection.fetch(_WHOLE, position.seen, polling) if more else records
        name = "newest" if more else "xid"
        newest = max([newest, *(int(row[name]) for row in whole)])
    if any(row["deferred"] for row in whole):
        await flush(connection)
    end = (
        Position(position.seen, polling, records[-1]["id"], newest)
        if more
        else Position(polling, newest=newest)
    )
    return Page(records, position, end, more, polling)


async def current_position(connection: Connection) -> Position:
    """The position after everything that is committed now."""
    rows = await connection.fetch("select pg_current_snapshot()::text")
    # Whatever had ended by then, with or without events.
    await flush(connection)
    return Position(rows[0][0], newest=newest_of(rows[0][0]))


async def oldest_position(connection: Connection) -> Position:
    """The position before the oldest event that is kept."""
    rows = await connection.fetch(_OLDEST)
    return Position(rows[0][0], newest=newest_of(rows[0][0]))


async def flush(connection: Connection) -> None:
    """Return when everything that was committed so far is on disk.

    With ``synchronous_commit = off`` a commit is visible before that, and a crash may undo it.
    """
    await connection.execute(_FLUSH)
