"""Reading the log: pages of events after a position."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from importlib.resources import files
from typing import Any, Protocol

from pgwamp.errors import CursorExpired
from pgwamp.eventlog.position import Position

_PAGE = (files("pgwamp.eventlog") / "sql" / "page.sql").read_text(encoding="utf-8")
_OF_ALL = _PAGE.replace("{whose}", "")
_OF_ONE = _PAGE.replace("{whose}", "and relation = $6::bigint::oid::regclass")
_OLDEST = """
select coalesce(e.position, s.removed_position) as position,
    coalesce(e.mark, s.removed_mark) as mark
from wamp.sequencer as s
left join wamp.log as e on e.position = $1::bigint
"""
#: Bytes of values, options and topics that a page has, unless its first event alone has more.
PAGE_BYTES = 2_000_000


class Connection(Protocol):
    """A connection as reading needs it: asyncpg's ``fetch``."""

    async def fetch(self, query: str, *args: Any) -> Sequence[Any]: ...


@dataclass(frozen=True, slots=True)
class LoggedEvent:
    """An event of the log.

    :ivar position: of the event; its cursor is the event's id, too.
    :ivar xid: of the transaction that has made the change or published the event.
    :ivar at: when it was written, in UTC, as RFC 3339 has it.
    :ivar relation: oid of the watched table; 0 of an event of ``wamp.publish``.
    :ivar schema: and ``table``: its names when it was changed; None of ``wamp.publish``.
    :ivar op: ``insert update delete truncate publish``; ``era``, ``watched`` and ``forgotten`` are
        for nobody.
    :ivar topic: of ``wamp.publish``, or made by a template; else None.
    :ivar options: JSON of the options of a publish; None if there are none.
    :ivar body: JSON of the values, as they travel; None if they are larger than asked for.
    :ivar head: the first characters of a body that is larger than asked for; it begins with a key.
    :ivar size: bytes of the body, the options and the topic.
    :ivar silent: whether it is for those who read the log, and for no topic.
    :ivar batched: whether several may travel in one message.
    """

    position: Position
    xid: int
    at: str
    relation: int
    schema: str | None
    table: str | None
    op: str
    topic: str | None
    options: str | None
    body: str | None
    head: str | None
    size: int
    silent: bool
    batched: bool

    @property
    def is_of_interest(self) -> bool:
        """Whether it is an event, and not a marker or what is left of one."""
        return self.op not in ("era", "watched", "forgotten")


@dataclass(frozen=True, slots=True)
class Page:
    """Some events in order.

    :ivar end: the position after them: of the whole log, if there are no more.
    :ivar more: whether further events are there already.
    """

    events: Sequence[LoggedEvent]
    end: Position
    more: bool


async def read_page(
    connection: Connection,
    after: Position,
    limit: int,
    relation: int | None = None,
    *,
    max_bytes: int = PAGE_BYTES,
    largest: int = PAGE_BYTES,
) -> Page:
    """The next page after a position, of one table or of everything. Needs the primary.

    :param limit: events at most.
    :param relation: oid of a watched table.
    :param max_bytes: bytes of events at most, but for those of the first one.
    :param largest: bytes of one event at most; beyond, only the head of its values is read.
    :raises CursorExpired: the event at the position was removed, or is another one.
    """
    arguments: tuple[Any, ...] = (after.number, after.mark, limit, max_bytes, largest)
    if relation is None:
        rows = await connection.fetch(_OF_ALL, *arguments)
    else:
        rows = await connection.fetch(_OF_ONE, *arguments, relation)
    first = rows[0]
    if not first["good"]:
        raise CursorExpired(
            "the events after this cursor are no longer kept, or the database has lost them"
        )
    events = [_event(row) for row in rows if row["position"] is not None]
    more = bool(events) and (len(events) == limit or len(events) < first["found"])
    end = events[-1].position if more else Position(first["last"], first["last_mark"])
    return Page(events, end, more)


async def require_position(connection: Connection, position: Position) -> None:
    """Refuse a position that is not in the log any more.

    :raises CursorExpired: the event at the position was removed, or is another one.
    """
    await read_page(connection, position, 1, largest=0)


async def last_position(connection: Connection) -> Position:
    """The position after everything that is in the log now."""
    (row,) = await connection.fetch("select position, mark from wamp.progress")
    return Position(row["position"], row["mark"])


async def oldest_position(connection: Connection, began: int | None = None) -> Position:
    """The position before the oldest event that is kept.

    :param began: of an event that it is not before, if that is kept.
    """
    (row,) = await connection.fetch(_OLDEST, began)
    return Position(row["position"], row["mark"])


def _event(row: Any) -> LoggedEvent:
    return LoggedEvent(
        Position(row["position"], row["mark"]),
        int(row["xid"]),
        row["at"],
        row["relation"],
        row["relation_schema"],
        row["relation_name"],
        row["op"],
        row["topic"],
        row["options"],
        row["body"],
        row["head"],
        row["size"],
        row["silent"],
        row["batched"],
    )
