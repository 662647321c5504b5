"""The feed: one reader for everybody in this instance who follows events.

It runs only while somebody is attached. The publisher's ``published`` wakes it, so that it reads
once for a page that was published, however many follow; a slow poll of its own is the belt.
Committed is enough: it does not ask what was published.

**Attaching is exact.** Whoever wants everything from some position on attaches first, and then
reads by pages, as ``changes`` does, until a snapshot P that is taken after attaching. Whatever the
feed brings was committed before P or not: what P sees was read by pages and is passed over, what P
does not see is new. Nothing else can be missing: what the feed had read before the attachment was
visible to it then, and so is to P. :class:`pgwamp.events.joint.Joint` does this.

**Cursors.** A page of the feed is a part of the difference of two of its snapshots, and the cursors
of its events say so. They hold for a follower too as soon as the first of the two covers P: by then
both have read exactly the same. Before that a cursor counts from P instead.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass

import asyncpg

from pgwamp import logs
from pgwamp.tasks import end, is_ending
from pgwamp.database import Database
from pgwamp.database.connect import CONNECTION_ERRORS
from pgwamp.database.listener import PUBLISHED, Listener
from pgwamp.errors import CursorExpired, Unavailable
from pgwamp.events.change import Change, complete, outline
from pgwamp.events.cursor import Position
from pgwamp.events.payload import Shapes
from pgwamp.events.reader import PAGE_BYTES, ByIndex, Page, current_position, read_page
from pgwamp.naming import Naming

log = logs.get(__name__)
#: Payload of the notification that follows DDL, of which GRANT and REVOKE are.
_DDL = "reload"
#: Events of a page at most.
PAGE = 200
#: What may wait for one attachment, in events and octets. All share the same batches.
WAITING, WAITING_OCTETS = 10 * PAGE, 8 * PAGE_BYTES
#: Seconds that reading waits for an attachment that is full.
PATIENCE = 2.0
#: Seconds between polls when nobody says that something was published.
BELT = 5.0
FIRST_DELAY, LONGEST_DELAY = 0.1, 2.0
_PASSING = (*CONNECTION_ERRORS, asyncpg.PostgresError, Unavailable)


class Overrun(Exception):
    """An attachment was not read fast enough, or the feed cannot go on from where it was.

    Nothing is lost: read by pages from the last position, and attach again.
    """


@dataclass(frozen=True, slots=True)
class Batch:
    """The changes of one page of the feed, in order.

    :ivar start: the position before the first.
    :ivar polling: the snapshot of the poll that they belong to.
    :ivar end: the position after the last.
    """

    changes: Sequence[Change]
    start: Position
    polling: str
    end: Position
    octets: int


class Attachment:
    """What the feed has for one follower; bounded, and dropped as a whole when it is too much."""

    def __init__(self, taken: asyncio.Event) -> None:
        self._taken = taken
        self._batches: deque[Batch] = deque()
        self._waiting = 0
        self._octets = 0
        self._signal = asyncio.Event()
        self._overrun = False

    async def next(self) -> list[Change]:
        """The changes that are next; waits for one. Raises :class:`Overrun`."""
        return list((await self.batch()).changes)

    async def batch(self) -> Batch:
        """As :meth:`next`, with the positions. Raises :class:`Overrun`."""
        while not self._batches:
            if self._overrun:
                raise Overrun
            self._signal.clear()
            await self._signal.wait()
        batch = self._batches.popleft()
        self._waiting -= len(batch.changes)
        self._octets -= batch.octets
        self._taken.set()
        return batch

    @property
    def is_full(self) -> bool:
        """Whether nothing more should be put before something is taken."""
        return self._waiting >= WAITING or self._octets >= WAITING_OCTETS

    def put(self, batch: Batch) -> None:
        """Hand over what is next."""
        self._batches.append(batch)
        self._waiting += len(batch.changes)
        self._octets += batch.octets
        self._signal.set()

    def overrun(self) -> None:
        """Drop what waits, and say so to whoever reads."""
        self._batches.clear()
        self._overrun = True
        self._signal.set()


class Feed:
    """Reads new events while somebody is attached, and gives each page to all.

    :param listener: hears ``published``, and when its connection was lost.
    :param max_bytes: of a message: a row that is larger comes without its values.
    :ivar schema: another number whenever the schema, and with it privileges, may have changed.
    """

    def __init__(
        self,
        database: Database,
        listener: Listener,
        shapes: Shapes,
        naming: Naming,
        *,
        max_bytes: int,
    ):
        self._database = database
        self._shapes = shapes
        self._naming = naming
        self._max_bytes = max_bytes
        self._attachments: set[Attachment] = set()
        self._signal = asyncio.Event()
        self._taken = asyncio.Event()
        self._starting = asyncio.Lock()
        self._users = 0
        self._task: asyncio.Task[None] | None = None
        self._position = Position("")
        self.cluster = ""
        self.schema = 0
        listener.add(self._hear)

    @asynccontextmanager
    async def attach(self) -> AsyncIterator[Attachment]:
        """Whatever is committed from now on, and perhaps some of what was just before.

        :raises Unavailable: the database is away.
        """
        attachment = Attachment(self._taken)
        self._users += 1
        try:
            await self._start()
            self._attachments.add(attachment)
            yield attachment
        finally:
            self._attachments.discard(attachment)
            self._taken.set()
            self._users -= 1
            if not self._users:
                await self._stop()

    async def _start(self) -> None:
        async with self._starting:
            # One that could not be waited for has to be gone first: two would share a position.
            if self._task is not None and self._task.cancelling():
                await self._end()
            if self._task is None:
                await self._begin()
                self._task = asyncio.create_task(self._run(), name="pgwamp feed")

    async def _stop(self) -> None:
        async with self._starting:
            if not self._users:
                await self._end()

    async def _end(self) -> None:
        if self._task is not None:
            await end(self._task)
            self._task = None

    async def _begin(self) -> None:
        async with self._database.own() as connection:
            self._position = await current_position(connection)
            self.cluster = await connection.fetchval("select wamp.cluster()")

    def _hear(self, payload: str | None) -> None:
        if payload is None or payload == PUBLISHED:
            self._signal.set()
        if payload is None or payload == _DDL:
            self.schema += 1

    async def _run(self) -> None:
        delay = FIRST_DELAY
        while not is_ending():
            try:
                await self._poll()
                delay = FIRST_DELAY
                await self._wait(BELT)
                continue
            except _PASSING as error:
                log.warning("the feed lost the database, trying again", error=str(error))
            except CursorExpired:
                await self._begin_again()
            except Exception:
                # Whoever replays then gets the error, instead of silence.
                log.exception("the feed failed")
                await self._begin_again()
            await asyncio.sleep(delay)
            delay = min(delay * 2, LONGEST_DELAY)

    async def _wait(self, seconds: float) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._signal.wait()

    async def _begin_again(self) -> None:
        """Go on from now, when that is possible again; all replay what is in between."""
        # Nobody may attach meanwhile, and miss what comes before the new beginning.
        async with self._starting:
            for attachment in self._attachments:
                attachment.overrun()
            self._attachments.clear()
            try:
                await self._begin()
            except _PASSING as error:
                log.warning("the feed lost the database, trying again", error=str(error))

    async def _poll(self) -> None:
        """Read until there is nothing new."""
        more = True
        while more:
            await self._make_room()
            self._signal.clear()
            # The connection goes back before anybody is told.
            async with self._database.own() as connection:
                page = await read_page(
                    ByIndex(connection), self._position, PAGE, largest=self._max_bytes
                )
            if page.records:
                self._give(await self._batch(page))
            # A rest of a poll says nothing about what was committed since.
            more = page.more or self._position.polling is not None
            # The next connection may be to a server that has crashed since.
            self._position = page.end.durable()
            await asyncio.sleep(0)

    async def _batch(self, page: Page) -> Batch:
        outlines = [outline(record, self._naming) for record in page.records]
        octets = sum(change.octets for change in outlines)
        changes = await complete(page, outlines, self._shapes, self.cluster)
        return Batch(changes, page.start, page.polling, page.end, octets)

    def _give(self, batch: Batch) -> None:
        for attachment in self._attachments:
            attachment.put(batch)

    async def _make_room(self) -> None:
        """Wait for those who are full, but not for long.

        Reading is faster than sending: without a wait a burst would send everybody back to pages.
        """
        deadline = asyncio.get_running_loop().time() + PATIENCE
        while full := [a for a in self._attachments if a.is_full]:
            self._taken.clear()
            try:
                async with asyncio.timeout_at(deadline):
                    await self._taken.wait()
            except TimeoutError:
                self._attachments.difference_update(full)
                for attachment in full:
                    attachment.overrun()
