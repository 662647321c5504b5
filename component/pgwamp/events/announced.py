"""Events that writers hand to the sleeping publisher themselves.

While it sleeps, and whoever has found it awake has ended and was read, every transaction notifies,
and PostgreSQL delivers notifications in the order in which their transactions have committed. So
what one carries can be published at once, without asking the database: all that was committed
before was told before.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pgwamp.events.cursor import Position
from pgwamp.events.reader import Page
from pgwamp.eventlog.snapshot import Snapshot

#: Transactions since what was read, at most; of so many others, one is at something else.
FAR, LONG_AGO = 1_000, 64
#: What is told, in this order, and what is between: members of a page's record, and the last.
MEMBERS = (
    *("id", "xid", "created_at", "relation_schema", "relation", "op", "topic", "options"),
    *("changed", "args", "kwargs", "key", "new", "old", "snapshot"),
)
BETWEEN = "\x1f"


class Unclear(Exception):
    """An event has to be read: it was not handed over, or is far from what was read."""


@dataclass(frozen=True, slots=True)
class Announcement:
    """The first event of a transaction, as ``wamp.wake`` tells it.

    :ivar record: as a page has it.
    :ivar snapshot: what its transaction saw when the event was written.
    """

    record: Mapping[str, Any]
    xid: int
    snapshot: Snapshot

    @classmethod
    def parse(cls, payload: str) -> Announcement:
        """Read the payload of a notification.

        :raises Unclear: it has no event.
        """
        texts = payload.split(BETWEEN)
        # A name may have in it what is between.
        if len(texts) != len(MEMBERS):
            raise Unclear
        record: dict[str, Any] = {
            name: text or None for name, text in zip(MEMBERS, texts, strict=True)
        }
        try:
            record["id"] = int(record["id"])
            # JSON has its own form of a time, whatever the writing session has set.
            record["created_at"] = record["created_at"][1:-1].replace("T", " ") + "+00"
            if record["changed"] is not None:
                record["changed"] = json.loads(record["changed"])
            record["truncated"] = False
            return cls(record, int(record["xid"]), Snapshot.parse(record["snapshot"]))
        except (TypeError, ValueError, AttributeError):
            # Nothing that stands here may end publishing.
            raise Unclear from None

    @property
    def beside(self) -> int:
        """How many other transactions were writing; not those that began long before."""
        return sum(x > self.xid - LONG_AGO for x in self.snapshot.running)

    def page(self, position: Position) -> Page | None:
        """The page after ``position`` that has this event alone; None if it comes before that.

        :raises Unclear: it has to be read.
        """
        # What a transaction leaves beside its first event is told before the next transaction:
        # if this is the next, nothing is missing of that at which the position is.
        seen = Snapshot.parse(position.polling or position.seen)
        if seen.sees(self.xid):
            if self.record["id"] > position.last_id and position.polling is not None:
                raise Unclear
            return None
        if max(self.xid, self.snapshot.xmax) - seen.xmax > FAR:
            raise Unclear
        polling = str(seen.with_all_of(self.snapshot, self.xid))
        start = Position(position.polling or position.seen, newest=position.newest)
        newest = max(position.newest, self.xid)
        end = Position(start.seen, polling, self.record["id"], newest)
        return Page([self.record], start, end, False, polling)
