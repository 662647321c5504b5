"""Raw rows, and the protocol of whoever reads them."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

#: Bytes of the texts of a row up to which they come with it (``sql/rows.sql``).
SHORT_TEXTS = 16_384
#: Operations that say something of a table, and change no row of it.
CONTROL = frozenset("wlxf")


@dataclass(frozen=True, slots=True)
class RawRow:
    """What one row of ``wamp.raw`` tells.

    :ivar xid: the transaction.
    :ivar at: when its statement wrote it.
    :ivar place: in the WAL, of the rows of its statement.
    :ivar number: within the statement.
    :ivar command: of the transaction that has written it; one more for each command that writes, of
        which a statement is one before its trigger is. So it is 0 only of what was published first,
        and of what was read from the WAL; -1 if somebody has changed the row, or has tried to.
    :ivar depth: of triggers: 1 for a statement that the client has sent.
    :ivar relation: oid of the table that the statement has named; 0 of ``wamp.publish``.
    :ivar op: ``i u d t``; ``I U D`` where the rows could not be written; ``p`` of ``wamp.publish``;
        one of :data:`CONTROL`; ``-`` of a row that was forgotten.
    :ivar old: text of the record before; None if there is none, or if it is long.
    :ivar new: text of the record after; likewise. Of other operations JSON.
    :ivar size: bytes of both.
    :ivar at_row: partition and row, to read long texts.
    :ivar stamp: a hash of the columns, where no event trigger tells that they have changed.
    :ivar sent: when the client has sent its statement.
    :ivar changed: how many rows of the relation the transaction had changed by the end of the
        query; None if nobody knows, and 0 or None of a table that has partitions.
    """

    xid: int
    at: datetime
    place: int
    number: int
    command: int
    depth: int
    relation: int
    op: str
    old: str | None
    new: str | None
    size: int
    at_row: tuple[int, str]
    stamp: int | None = None
    sent: datetime | None = None
    changed: int | None = None

    @property
    def is_long(self) -> bool:
        """Whether the texts are left out."""
        return self.size > SHORT_TEXTS and self.old is None and self.new is None


@dataclass(frozen=True, slots=True)
class Look:
    """What a look found.

    :ivar snapshot: everything that it shows was looked at.
    :ivar rows: in any order; incomplete if there are more than were asked for.
    """

    snapshot: str
    rows: Sequence[RawRow]


@dataclass(frozen=True, slots=True)
class Streamed:
    """Rows of one transaction, in the order in which they were written.

    :ivar ending: place of its last statement.
    """

    ending: int
    xid: int
    rows: Sequence[RawRow]


class Capture(Protocol):
    """Where raw rows come from."""

    async def look(self, seen: str, limit: int) -> Look:
        """What snapshot ``seen`` does not show: all of it, if it is less than ``limit`` rows."""
        ...

    def stream(self, seen: str, taking: str, ending: int, xid: int) -> AsyncGenerator[Streamed]:
        """What ``taking`` shows beyond ``seen``, transaction after transaction, from one on."""
        ...

    async def texts(self, row: RawRow) -> tuple[str | None, str | None]:
        """The texts of a row whose texts are long."""
        ...
