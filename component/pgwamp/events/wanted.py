"""Which events a caller asked for and may have."""

from __future__ import annotations

from collections.abc import Container
from dataclasses import dataclass
from typing import Any

from pgwamp.access import Caller
from pgwamp.events.change import Change

#: WAMP's options that name sessions; no session of then is one of now.
_SESSIONS = "eligible"


@dataclass(frozen=True, slots=True)
class Wanted:
    """The events of one table, or those of several and of ``wamp.publish`` whose topic fits.

    :ivar relation: schema and name, where it is only one.
    :ivar relations: where it is several.
    :ivar topics: what the topic of an event of ``wamp.publish`` begins with; None for none.
    :ivar topic: what every topic begins with.
    """

    caller: Caller
    relation: tuple[str, str] | None = None
    relations: Container[tuple[str, str]] = ()
    topics: str | None = None
    topic: str = ""

    def __contains__(self, change: Change) -> bool:
        return self._is_asked_for(change) and is_eligible(self.caller, change)

    def _is_asked_for(self, change: Change) -> bool:
        if change.table is None or change.schema is None:
            topic = change.topic or ""
            return self.topics is not None and topic.startswith(self.topics) and self._fits(topic)
        key = change.schema, change.table
        if self.relation is not None:
            return key == self.relation
        return key in self.relations and self._fits(change.topic)

    def _fits(self, topic: str | None) -> bool:
        return not self.topic or (topic or "").startswith(self.topic)


def is_eligible(caller: Caller, change: Change) -> bool:
    """Whether the router would deliver the event to the caller, by its options.

    Of an event that was meant for certain sessions nobody can say later who they were: it is for
    nobody. A caller whom the router does not disclose may be among those excluded.
    """
    options = change.options
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
