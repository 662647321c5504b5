"""Which events a caller asked for and may have."""

from __future__ import annotations

from collections.abc import Container, Mapping
from dataclasses import dataclass
from typing import Any

from pgwamp.access import Caller
from pgwamp.errors import CursorExpired
from pgwamp.eventlog.position import Position
from pgwamp.eventlog.snapshot import Snapshot
from pgwamp.replay.change import Change

#: Why a cursor is not good any more that was good for what had the name before.
OTHER_TABLE = (
    "another table has this name now, or it was not watched in between: begin again, with its rows"
)
#: WAMP's options that name sessions; no session of then is one of now.
_SESSIONS = "eligible"


@dataclass(frozen=True, slots=True)
class EventFilter:
    """The events of one table, or those of several and of ``wamp.publish`` whose topic fits.

    :ivar relation: oid of the table, where it is only one.
    :ivar watch: names its watch, if that is watched now: another one when it was not in between.
    :ivar began: where in the log that began to be watched under its name; None before the log says
        so: then later than everything that is in it.
    :ivar exposed: schemas and names of tables, where it is several.
    :ivar selectable: oids of those of them that the caller may read; None for all.
    :ivar topics: what the topic of an event of ``wamp.publish`` begins with; None for none.
    :ivar topic: what every topic begins with.
    :ivar contained: the snapshot of rows that have the changes which it sees.
    """

    caller: Caller
    relation: int | None = None
    watch: str | None = None
    began: int | None = None
    exposed: Container[tuple[str, str]] = ()
    selectable: Container[int] | None = None
    topics: str | None = None
    topic: str = ""
    contained: Snapshot | None = None

    def __contains__(self, change: Change) -> bool:
        event = change.event
        return (
            event.is_of_interest
            and self._is_asked_for(change)
            and is_eligible(self.caller, change.options)
            and not (self.contained is not None and self.contained.sees(event.xid))
        )

    def require(self, since: Position) -> None:
        """Refuse a cursor from before the table was watched under its name.

        :raises CursorExpired: events before it were of another table, or nobody has captured them.
        """
        if self.watch is not None and (self.began is None or since.number < self.began):
            raise CursorExpired(OTHER_TABLE)

    def is_as(self, before: EventFilter) -> bool:
        """Whether it is about the same table as an earlier answer, and that was watched since."""
        return (self.relation, self.watch) == (before.relation, before.watch)

    def _is_asked_for(self, change: Change) -> bool:
        relation = change.event.relation
        if self.relation is not None:
            return relation == self.relation
        if change.table is None or change.schema is None:
            topic = change.topic or ""
            return self.topics is not None and topic.startswith(self.topics) and self._fits(change)
        return (
            (change.schema, change.table) in self.exposed
            and (self.selectable is None or relation in self.selectable)
            and self._fits(change)
        )

    def _fits(self, change: Change) -> bool:
        """Whether the topic begins so; values of hidden columns in it decide nothing."""
        shown = change.shown_topic or ""
        return shown.startswith(self.topic) or (
            change.shown_topic != change.topic and self.topic.startswith(shown)
        )


def is_eligible(caller: Caller, options: Mapping[str, Any] | None) -> bool:
    """Whether the router would deliver an event to the caller, by its options.

    Of an event that was meant for certain sessions nobody can say later who they were: it is for
    nobody. A caller whom the router does not disclose may be among those excluded.
    """
    if options is None:
        return False
    if not options:
        return True
    if options.get(_SESSIONS) is not None:
        return False
    for name, value in (("authid", caller.authid), ("authrole", caller.authrole)):
        eligible = _listed(options.get(f"eligible_{name}"))
        if eligible is not None and value not in eligible:
            return False
        excluded = _listed(options.get(f"exclude_{name}"))
        if excluded and (value is None or value in excluded):
            return False
    return True


def _listed(value: Any) -> list[Any] | None:
    """WAMP takes one for a list of one."""
    return value if value is None or isinstance(value, list) else [value]
