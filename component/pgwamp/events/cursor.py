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
from dataclasses import dataclass

from pgwamp.errors import CursorExpired, InvalidArgument

_SNAPSHOT = r"[1-9]\d*:[1-9]\d*:(?:\d+(?:,\d+)*)?"
_TEXT = re.compile(rf"([0-9a-f]+-[0-9a-f]+)/({_SNAPSHOT})/(?:({_SNAPSHOT})/(\d+))?")


@dataclass(frozen=True, slots=True)
class Position:
    """How far the events were read.

    :ivar seen: everything visible in this snapshot was read.
    :ivar polling: of what is visible in this one but not in ``seen``, ids up to ``last_id`` were
        read; None between polls.
    """

    seen: str
    polling: str | None = None
    last_id: int = 0

    def encode(self, cluster: str) -> str:
        """The cursor that a subscriber keeps: opaque, and good only for this database."""
        return encode_cursor(f"{cluster}/{self.seen}/", self.polling, self.last_id)


def encode_cursor(head: str, polling: str | None, last_id: int) -> str:
    """As :meth:`Position.encode`; ``head`` is the same for all events of a page."""
    tail = "" if polling is None else f"{polling}/{last_id}"
    raw = (head + tail).encode()
    packed = zlib.compress(raw, 1) if len(raw) > 200 else raw
    return base64.urlsafe_b64encode(packed).rstrip(b"=").decode()


def decode_cursor(cursor: object, cluster: str) -> Position:
    """The position that ``cursor`` stands for.

    :raises InvalidArgument: it is not a cursor.
    :raises CursorExpired: it comes from another database, or from before a restore.
    """
    if not isinstance(cursor, str):
        raise InvalidArgument("since", "expected a cursor, as an event or an answer carried it")
    try:
        raw = base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4))
        text = (_inflate(raw) if raw[:1] == b"\x78" else raw).decode()
    except (ValueError, zlib.error):
        text = ""
    match = _TEXT.fullmatch(text)
    if match is None:
        raise InvalidArgument("since", "not a cursor; pass one on as an event carried it")
    if match[1] != cluster:
        raise CursorExpired(
            "the cursor comes from another database; leave out since to start at the oldest "
            "event kept, or select the rows and go on from a new cursor"
        )
    return Position(match[2], match[3], int(match[4] or 0))


def _inflate(raw: bytes) -> bytes:
    """A cursor is short; whatever inflates to more is none."""
    inflater = zlib.decompressobj()
    text = inflater.decompress(raw, 1_000_000)
    if inflater.unconsumed_tail:
        raise ValueError("too long")
    return text
