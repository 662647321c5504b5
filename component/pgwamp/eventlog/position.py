"""Positions in the log, and the cursors that name them.

A position is a number that only the sequencer gives out. After a promotion, a recovery to a point
in time or a restored backup the same number may be given out again, for another event. So a cursor
has the mark of its event too, a short keyed hash: the event is looked up, and is the same or not.
The mark before it is part of the hash, so that the events before it are the same as well. A mark
tells nothing of an event that the holder of the cursor may not see.
"""

from __future__ import annotations

import base64
import re
from dataclasses import dataclass

from pgwamp.errors import InvalidArgument

#: Bytes of a mark: nobody finds another event with the same one, and 12 characters hold it.
MARK_BYTES = 9
_CURSOR = re.compile(r"(0|[1-9]\d{0,18})-([A-Za-z0-9_-]{12})?", re.ASCII)
_MOST = 2**63 - 1


@dataclass(frozen=True, slots=True)
class Position:
    """A place in the log: after the event that has this number and this mark."""

    number: int
    mark: bytes

    @property
    def cursor(self) -> str:
        """The position as subscribers keep it."""
        return f"{self.number}-{base64.urlsafe_b64encode(self.mark).decode()}"


#: Before the first event.
START = Position(0, b"")


def parse_cursor(cursor: object) -> Position:
    """The position that a cursor names.

    :raises InvalidArgument: it is no cursor.
    """
    match = _CURSOR.fullmatch(cursor) if isinstance(cursor, str) else None
    if match is None or int(match[1]) > _MOST or bool(int(match[1])) != bool(match[2]):
        raise InvalidArgument("since", "expected a cursor, as an event or an answer carried it")
    return Position(int(match[1]), base64.urlsafe_b64decode(match[2] or ""))
