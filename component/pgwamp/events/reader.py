"""Reading events by pages, from a position to the next."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files
from typing import Any, Protocol

from pgwamp.errors import CursorExpired
from pgwamp.events.cursor import Position

_SQL = files("pgwamp.events") / "sql"
_POLL = (_SQL / "poll.sql").read_text(encoding="utf-8")
_PAGE = (_SQL / "page.sql").read_text(encoding="utf-8")
_OLDEST = (_SQL / "oldest.sql").read_text(encoding="utf-8")
#: Flushes the WAL up to here, and writes next to nothing.
_FLUSH = "select pg_logical_emit_message(true, 'pgwamp', '')"


class Connection(Protocol):
    """What reading needs of a connection: asyncpg's ``fetch`` and ``execute``."""

    async def fetch(self, query: str, *args: Any) -> Sequence[Any]: ...

    async def execute(self, query: str, *args: Any) -> str: ...


@dataclass(frozen=True, slots=True)
class Page:
    """Some events in order, and the position after each.

    :ivar start: the position before the first.
    :ivar polling: the snapshot of the poll that these events belong to.
    :ivar end: the position after the last.
    :ivar more: whether further events are already there.
    """

    records: Sequence[Mapping[str, Any]]
    start: Position
    polling: str
    end: Position
    more: bool


async def read_page(
    connection: Connection,
    position: Position,
    limit: int,
    relation: tuple[str, str] | None = None,
) -> Page:
    """The next page after ``position``, of one relation or of everything.

    When it returns, a cursor made of it stays exact even if PostgreSQL crashes at once.

    :raises CursorExpired: events after the position were already removed by retention.
    """
    schema, name = relation or (None, None)
    if position.polling is None:
        rows = await connection.fetch(_POLL, position.seen, limit, schema, name)
        polling: str = rows[0]["snapshot"]
    else:
        polling = position.polling
        rows = await connection.fetch(
            _PAGE, position.seen, limit, schema, name, polling, position.last_id
        )
    if rows[0]["expired"]:
        raise CursorExpired(
            "events after this cursor are no longer kept; leave out since to start at the "
            "oldest event kept, or select the rows and go on from a new cursor"
        )
    # A snapshot that was handed out before is durable already.
    if position.polling is None and not rows[0]["durable"]:
        await flush(connection)
    records = [row for row in rows if row["id"] is not None]
    more = len(records) == limit
    end = Position(position.seen, polling, records[-1]["id"]) if more else Position(polling)
    return Page(records, position, polling, end, more)


async def oldest_position(connection: Connection) -> Position:
    """The position before the oldest event that is kept."""
    rows = await connection.fetch(_OLDEST)
    return Position(rows[0][0])


async def flush(connection: Connection) -> None:
    """Return when everything that was committed or rolled back so far is on disk."""
    await connection.execute(_FLUSH)
