"""The topics of events, and which of them a component publishes.

A database can have several components, each with a prefix of its own. All of them publish the
changes of a table to the topic that its name makes below their prefix. The topic of
``wamp.publish`` or of a template is one and the same for all: so it is published by the component
that has it below its prefix or in its ``events.publish_topics``, and by all of them only where none
has.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from functools import cache

from pgwamp.eventlog.log import Connection, LoggedEvent
from pgwamp.naming import Naming
from pgwamp.replay.change import Shows, shown_columns

_OTHERS = "select topics from wamp.component where prefix <> $1"


class Topics:
    """Topics as one component publishes them.

    :param publish_topics: its ``events.publish_topics``.
    """

    def __init__(self, naming: Naming, publish_topics: Collection[str]):
        self._prefix = naming.prefix
        self._own = (f"{naming.prefix}.", *publish_topics)
        self._others: tuple[str, ...] = ()
        self._named = cache(naming.topic)
        self._excluded = cache(naming.is_excluded)
        self._shown = cache(lambda schema, table: shown_columns(naming, schema, table))

    async def learn(self, connection: Connection, events: Iterable[LoggedEvent]) -> None:
        """Read what other components publish, if that decides about an event."""
        if any(event.topic and not _covers(self._own, event.topic) for event in events):
            rows = await connection.fetch(_OTHERS, self._prefix)
            self._others = tuple(topic for row in rows for topic in row["topics"])

    def of(self, event: LoggedEvent) -> str | None:
        """The topic of an event; None if this component does not publish it."""
        if event.silent or not event.is_of_interest or self._hides(event):
            return None
        if event.topic is None:
            if event.schema is None or event.table is None:
                return None
            topic: str | None = self._named(event.schema, event.table, event.op)
            return topic
        if _covers(self._own, event.topic) or not _covers(self._others, event.topic):
            return event.topic
        return None

    def _hides(self, event: LoggedEvent) -> bool:
        """Whether ``expose.exclude`` hides the table of an event, whatever its topic."""
        if event.schema is None or event.table is None:
            return False
        return self._excluded(event.schema, event.table)

    def shows(self, event: LoggedEvent) -> Shows:
        """Which columns of an event are published."""
        shows: Shows = self._shown(event.schema, event.table)
        return shows


def _covers(topics: Iterable[str], topic: str) -> bool:
    """Whether a topic is one of these, or below one that ends with a dot."""
    return any(topic == one or (one.endswith(".") and topic.startswith(one)) for one in topics)
