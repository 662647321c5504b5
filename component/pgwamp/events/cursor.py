"""Cursors: how far somebody has read the events.

Ids are given out when a row is inserted but rows become visible when their transaction commits,
so an id says nothing about what was seen. A snapshot does: new is what is visible now and was not
visible in it. Reading takes place in polls, each the difference of two snapshots, ordered by id;
a poll may take several pages.
"""

from __future__ import annotations

import base64
import re
import zlib
from collections.abc import Callable
from dataclasses import dataclass

from pgwamp.errors import CursorExpired, InvalidArgument

_SNAPSHOT = r"[1-9]\d*:[1-9]\d*:(?:\d+(?:,\d+)*)?"
_TEXT = re.compile(rf"([0-9a-f]+-[0-9a-f]+)/({_SNAPSHOT})/({_SNAPSHOT})?", re.ASCII)
_ID = re.compile(r"\d{1,19}", re.ASCII)
#: Octets of a cursor's text: two snapshots with 2,500 transactions under way each.
_LONGEST = 100_000
_MOST_ID, _MOST_TRANSACTION = 2**63 - 1, 2**64 - 1


@dataclass(frozen=True, slots=True)
class Position:
    """How far the events were read.

    :ivar seen: everything visible in this snapshot was read.
    :ivar polling: of what is visible in this one but not in ``seen``, ids up to ``last_id`` were
        read; None between polls.
    :ivar newest: the newest transaction that is known to have left an event, or to be older than
        one that did: its commit is on disk.
    """

    seen: str
    polling: str | None = None
    last_id: int = 0
    newest: int = 0

    def durable(self) -> Position:
        """The same position in words that stay true when PostgreSQL crashes.

        A transaction that wrote nothing lasting may have its id given out again after a crash. A
        snapshot would take the second one for seen, so it ends with the newest transaction whose
        events were read; what was visible beyond had no events.
        """
        return Position(
            _up_to(self.seen, self.newest),
            None if self.polling is None else _up_to(self.polling, self.newest),
            self.last_id,
            self.newest,
        )

    def encode(self, cluster: str) -> str:
        """The cursor that a subscriber keeps: opaque, and good only for this database."""
        if self.polling is None:
            return _pack(f"{cluster}/{_up_to(self.seen, self.newest)}/")
        return cursors(self, cluster)(self.last_id)


def cursors(position: Position, cluster: str) -> Callable[[int], str]:
    """Makes the cursors of a page: each is its id after what all of them have in common.

    :param position: within the poll that the page belongs to.
    """
    position = position.durable()
    head = _pack(f"{cluster}/{position.seen}/{position.polling}")
    return lambda last_id: f"{head}.{last_id}"


def newest_of(snapshot: str) -> int:
    """The last transaction that can be visible in a snapshot."""
    return int(snapshot.split(":")[1]) - 1


def decode_cursor(cursor: object, cluster: str) -> Position:
    """The position that ``cursor`` stands for.

    :raises InvalidArgument: it is not a cursor.
    :raises CursorExpired: it comes from another database, or from before a restore.
    """
    if not isinstance(cursor, str):
        raise InvalidArgument("since", "expected a cursor, as an event or an answer carried it")
    head, dot, last_id = cursor.partition(".")
    match = _TEXT.fullmatch(_unpack(head)) if len(head) <= 2 * _LONGEST else None
    fits = match is not None and all(_is_possible(s) for s in (match[2], match[3]) if s)
    if not fits or match is None or bool(dot) != bool(match[3]) or not _is_id(last_id, dot):
        raise InvalidArgument("since", "not a cursor; pass one on as an event carried it")
    if match[1] != cluster:
        raise CursorExpired("the cursor comes from another database")
    newest = max(newest_of(snapshot) for snapshot in (match[2], match[3]) if snapshot)
    return Position(match[2], match[3], int(last_id or 0), newest)


def _is_id(text: str, dot: str) -> bool:
    """Whether what follows the dot of a cursor is an id; without one nothing follows."""
    return not dot or (_ID.fullmatch(text) is not None and int(text) <= _MOST_ID)


def _is_possible(snapshot: str) -> bool:
    """Whether PostgreSQL reads it: in order, with what was under way between the two ends."""
    first, end, running = snapshot.split(":")
    numbers = [first, *(running.split(",") if running else ()), end]
    if any(len(number) > 20 for number in numbers):
        return False
    low, *between, high = (int(number) for number in numbers)
    in_order = between == sorted(between) and low <= high <= _MOST_TRANSACTION
    return in_order and (not between or (low <= between[0] and between[-1] < high))


def _up_to(snapshot: str, newest: int) -> str:
    """A snapshot in which no transaction after ``newest`` is visible."""
    xmin, xmax, running = snapshot.split(":")
    if int(xmax) <= newest + 1:
        return snapshot
    end = newest + 1
    kept = ",".join(x for x in running.split(",") if x and int(x) < end)
    return f"{min(int(xmin), end)}:{end}:{kept}"


def _pack(text: str) -> str:
    raw = text.encode()
    packed = zlib.compress(raw, 1) if len(raw) > 100 else raw
    return base64.urlsafe_b64encode(packed).rstrip(b"=").decode()


def _unpack(head: str) -> str:
    """The text of a cursor's head; nothing if it is none."""
    try:
        raw = base64.urlsafe_b64decode(head + "=" * (-len(head) % 4))
        return (_inflate(raw) if raw[:1] == b"\x78" else raw).decode()
    except (ValueError, zlib.error):
        return ""


def _inflate(raw: bytes) -> bytes:
    """A cursor is short; whatever inflates to more is none."""
    inflater = zlib.decompressobj()
    text = inflater.decompress(raw, _LONGEST)
    if inflater.unconsumed_tail:
        raise ValueError("too long")
    return text
