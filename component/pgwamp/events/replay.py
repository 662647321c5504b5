"""Reading events again, from a cursor on: what ``changes`` answers and ``follow`` begins with."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import asyncpg

from pgwamp.events.change import Change, complete, outline
from pgwamp.events.cursor import Position
from pgwamp.events.payload import Shapes
from pgwamp.events.reader import ByIndex, read_page
from pgwamp.events.wanted import Wanted
from pgwamp.naming import Naming
from pgwamp.neutral import most_octets

#: Events read at a time.
PAGE = 200
#: Events looked at for one answer: a caller who may have few of them waits no longer than this.
MOST = 20_000
#: No serializer makes more of JSON's text: a float in an array has 9 octets instead of 4.
_GROWTH = 3


@dataclass(frozen=True, slots=True)
class Stretch:
    """Some events in order, and where to go on.

    :ivar more: whether there may be further events already.
    """

    changes: list[Change]
    end: Position
    more: bool


class Parcel:
    """What goes into one message.

    :param limit: events at most.
    :param room: octets that several events may have; a single one may have ``most``, and comes
        without its values if it has more.
    """

    def __init__(self, limit: int, room: int, most: int):
        self._limit = limit
        self._room = room
        self._most = most
        self._octets = 0
        self.changes: list[Change] = []

    async def add(self, change: Change) -> bool:
        """False if there is no room for it here."""
        octets = await self._weigh(change)
        if octets > self._most:
            change = change.without_values()
            octets = await self._weigh(change)
        full = len(self.changes) >= self._limit or self._octets + octets > self._room
        if self.changes and full:
            return False
        self._octets += octets
        self.changes.append(change)
        return True

    async def _weigh(self, change: Change) -> int:
        octets = _GROWTH * change.octets + len(change.kwargs["cursor"])
        if octets <= self._room:
            return octets
        # To weigh a large one takes time: other calls go on before the next.
        await asyncio.sleep(0)
        return most_octets(change.kwargs)


class Replay:
    """Reads on from a position, as far as one answer goes.

    :param max_bytes: of a message; the rest of the answer takes an eighth of it.
    """

    def __init__(self, shapes: Shapes, naming: Naming, cluster: str, *, max_bytes: int):
        self._shapes = shapes
        self._naming = naming
        self._most = max_bytes - max_bytes // 8
        self.cluster = cluster

    def parcel(self, limit: int, room: int | None = None) -> Parcel:
        """An empty one."""
        return Parcel(limit, self._most if room is None else min(room, self._most), self._most)

    async def parcels(
        self, changes: Iterable[Change], limit: int, room: int
    ) -> AsyncIterator[list[Change]]:
        """Changes in as many parcels as they need."""
        parcel = self.parcel(limit, room)
        for change in changes:
            if not await parcel.add(change):
                yield parcel.changes
                parcel = self.parcel(limit, room)
                await parcel.add(change)
        if parcel.changes:
            yield parcel.changes

    async def read(
        self,
        connection: asyncpg.Connection[Any],
        position: Position,
        wanted: Wanted,
        parcel: Parcel,
    ) -> Stretch:
        """What is wanted after ``position``, until the parcel is full or there is no more.

        :raises CursorExpired: events after the position were already removed by retention.
        """
        seen = 0
        while True:
            page = await read_page(
                ByIndex(connection), position, PAGE, wanted.relation, largest=self._most
            )
            outlines = [outline(record, self._naming) for record in page.records]
            chosen = [change for change in outlines if change in wanted]
            for change in await complete(page, chosen, self._shapes, self.cluster):
                if not await parcel.add(change):
                    here = Position(page.start.seen, page.polling, change.id - 1, page.end.newest)
                    return Stretch(parcel.changes, here, True)
            # After the rest of a poll comes what was committed since.
            more = page.more or position.polling is not None
            position = page.end
            seen += len(outlines)
            if not more or seen >= MOST:
                return Stretch(parcel.changes, position, more)


def as_sent(changes: Iterable[Change]) -> list[Mapping[str, Any]]:
    """The events as they are sent."""
    return [change.kwargs for change in changes]
