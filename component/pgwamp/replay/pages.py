"""Reading events again, from a position on: what ``changes`` answers and ``follow`` begins with."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import asyncpg

from pgwamp.eventlog.log import read_page
from pgwamp.eventlog.position import Position
from pgwamp.naming import Naming
from pgwamp.replay.change import Change, complete, outlines
from pgwamp.replay.event_filter import EventFilter
from pgwamp.replay.tables import read_tables
from pgwamp.values.portable import most_bytes

#: Events read at a time.
PAGE_EVENTS = 200
#: Events looked at for one answer: a caller who may have few of them waits no longer than this.
MOST_LOOKED_AT = 20_000


@dataclass(frozen=True, slots=True)
class ReplayPage:
    """Some events in order, and where to go on.

    :ivar start: a position before the first, with nothing wanted in between.
    :ivar more: whether there may be further events already.
    """

    changes: list[Change]
    start: Position
    end: Position
    more: bool

    def until(self, last: Position) -> ReplayPage:
        """The part of it up to a position, which is in the log."""
        if self.end.number < last.number:
            return self
        changes = [c for c in self.changes if c.event.position.number <= last.number]
        return ReplayPage(changes, self.start, last, True)


class MessageBatch:
    """What goes into one message.

    :param limit: events at most.
    :param byte_count: of several events at most; a single one may have ``most``, and comes without
        its values if it has more.
    """

    def __init__(self, limit: int, byte_count: int, most: int):
        self._limit = limit
        self._left = byte_count
        self._most = most
        self.changes: list[Change] = []

    def add(self, change: Change) -> bool:
        """False if there is no space for it here."""
        byte_count = self._weigh(change)
        if byte_count > self._most:
            change = change.without_values()
            byte_count = self._weigh(change)
        if self.changes and (len(self.changes) >= self._limit or byte_count > self._left):
            return False
        self._left -= byte_count
        self.changes.append(change)
        return True

    def _weigh(self, change: Change) -> int:
        """The bytes that it takes at most, or more where there is space for more."""
        if change.weight is not None:
            return change.weight
        byte_count = change.estimate
        return byte_count if byte_count <= self._left else most_bytes(change.kwargs)


class PageReader:
    """Reads on from a position, as far as one answer goes.

    :param max_bytes: of a message; the rest of the answer takes an eighth of it.
    """

    def __init__(self, naming: Naming, *, max_bytes: int):
        self._naming = naming
        self._most = max_bytes - max_bytes // 8

    def batch(self, limit: int, byte_count: int | None = None) -> MessageBatch:
        """An empty one."""
        return MessageBatch(limit, min(byte_count or self._most, self._most), self._most)

    def batches(
        self, changes: Iterable[Change], limit: int, byte_count: int
    ) -> Iterator[list[Change]]:
        """Changes in as many messages as they need."""
        batch = self.batch(limit, byte_count)
        for change in changes:
            if not batch.add(change):
                yield batch.changes
                batch = self.batch(limit, byte_count)
                batch.add(change)
        if batch.changes:
            yield batch.changes

    async def read(
        self,
        connection: asyncpg.Connection[Any],
        position: Position,
        event_filter: EventFilter,
        batch: MessageBatch,
        most: int | None = None,
    ) -> ReplayPage:
        """What is wanted after a position, until the message is full or there is no more.

        :param most: events that are looked at; :data:`MOST_LOOKED_AT` when missing.
        :raises CursorExpired: the position is not in the log any more.
        """
        looked_at, most = 0, most or MOST_LOOKED_AT
        start = position
        while True:
            if not batch.changes:
                start = position
            page = await read_page(
                connection, position, PAGE_EVENTS, event_filter.relation, largest=self._most
            )
            tables = await read_tables(connection, page.events, self._naming)
            outlined = await outlines(page.events, self._naming, tables)
            chosen = [change for change in outlined if change in event_filter]
            async for change in complete(chosen):
                if not batch.add(change):
                    return ReplayPage(batch.changes, start, batch.changes[-1].event.position, True)
            position = page.end
            looked_at += len(page.events)
            if not page.more or looked_at >= most:
                return ReplayPage(batch.changes, start, position, page.more)


def as_sent(changes: Iterable[Change]) -> list[Mapping[str, Any]]:
    """The events as they are sent."""
    return [change.kwargs for change in changes]
