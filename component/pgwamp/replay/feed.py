"""The feed: one reader for everybody in this instance who follows events.

It runs only while somebody is subscribed. The sequencer's ``logged`` wakes it, so that it reads
once for a page, however many follow; a slow poll of its own finds what nobody has told of.

It reads on from its own position, which every page verifies. When that is lost, or reading fails,
all subscriptions lag: a follower then reads by pages from its own position, and a live query
evaluates anew. :class:`pgwamp.replay.handover.Handover` says how a subscription joins without a
gap.

It waits for a subscription that is full, so that a burst sends nobody back to pages, but makes all
others late meanwhile: so only as :class:`pgwamp.replay.patience.Patience` allows, and never for a
follower that waits for another of the same caller.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import AsyncIterator, Iterable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass

import asyncpg

from pgwamp import logs
from pgwamp.access import Caller
from pgwamp.database import Database
from pgwamp.database.connect import CONNECTION_ERRORS
from pgwamp.database.listener import LOGGED, Listener
from pgwamp.errors import CursorExpired, Unavailable
from pgwamp.eventlog.log import PAGE_BYTES, Page, last_position, read_page
from pgwamp.eventlog.outage import Outage
from pgwamp.eventlog.position import START, Position
from pgwamp.naming import Naming
from pgwamp.replay.change import Change, complete, outlines
from pgwamp.replay.patience import Patience
from pgwamp.replay.tables import TableNow, read_tables
from pgwamp.settings import LimitSettings
from pgwamp.shares import Person, Shares, person_of
from pgwamp.tasks import end, is_ending

log = logs.get(__name__)
#: Payload of the notification that follows DDL, of which GRANT and REVOKE are.
_DDL = "reload"
#: Events of a page at most.
PAGE_EVENTS = 200
#: Events, and bytes of memory, that may wait for one subscription. All share the same batches.
WAITING_EVENTS, WAITING_BYTES = 10 * PAGE_EVENTS, 8 * PAGE_BYTES
#: Pages of events that followers have read and not sent yet: each is as large as a message.
UNSENT_PAGES = 4
#: Seconds between polls when nobody says that there is something.
FALLBACK_POLL_SECONDS = 5.0
#: Seconds between tries while the database is away.
FIRST_DELAY_SECONDS, LONGEST_DELAY_SECONDS = 0.1, 2.0
_PASSING = (*CONNECTION_ERRORS, asyncpg.PostgresError, Unavailable)


class Lagged(Exception):
    """A subscription was not read fast enough, or the feed cannot go on from where it was.

    Nothing is lost: read by pages from the last position, and subscribe again.
    """


@dataclass(frozen=True, slots=True)
class Batch:
    """The changes of one page of the feed, in order, markers of the log among them.

    :ivar start: the position before the first.
    :ivar end: the position after the last.
    :ivar byte_count: of memory.
    """

    changes: Sequence[Change]
    start: Position
    end: Position
    byte_count: int


class Subscription:
    """What the feed has for one follower; bounded, and dropped as a whole when it is too much.

    :param taken: set when something was taken.
    :ivar caller: who follows; None for the component itself.
    :ivar awaits_place: whether what is next is only taken with a place to send it from.
    """

    def __init__(self, taken: asyncio.Event, caller: Caller | None = None) -> None:
        self._taken = taken
        self.caller = caller
        self.awaits_place = False
        self._batches: deque[Batch] = deque()
        self._waiting = 0
        self._octets = 0
        self._signal = asyncio.Event()
        self._lagged = False

    async def next(self) -> list[Change]:
        """The changes that are next; waits for a batch. Raises :class:`Lagged`."""
        return list((await self.batch()).changes)

    async def batch(self) -> Batch:
        """As :meth:`next`, with the positions. Raises :class:`Lagged`.

        A batch without changes says that the schema may have changed.
        """
        await self.peek()
        batch = self._batches.popleft()
        self._waiting -= len(batch.changes)
        self._octets -= batch.byte_count
        self._taken.set()
        return batch

    @contextmanager
    def awaiting_place(self) -> Iterator[None]:
        """Let the feed know that a place is awaited, until it has come."""
        self.awaits_place = True
        # If the feed waits for this one already, it looks again.
        self._taken.set()
        try:
            yield
        finally:
            self.awaits_place = False

    async def peek(self) -> Batch:
        """As :meth:`batch`, without taking it: it stays among those that all share."""
        while not self._batches:
            if self._lagged:
                raise Lagged
            self._signal.clear()
            await self._signal.wait()
        return self._batches[0]

    @property
    def is_full(self) -> bool:
        """Whether nothing more may be put before something is taken."""
        return self._waiting >= WAITING_EVENTS or self._octets >= WAITING_BYTES

    def put(self, batch: Batch) -> None:
        """Hand over what is next."""
        self._batches.append(batch)
        self._waiting += len(batch.changes)
        self._octets += batch.byte_count
        self._signal.set()

    def look(self, position: Position) -> None:
        """Have the follower look at its rights and its table, unless a batch does so anyway."""
        if not self._batches and not self._lagged:
            self.put(Batch((), position, position, 0))

    def lag(self) -> None:
        """Drop what waits, and say so to the follower."""
        self._batches.clear()
        self._lagged = True
        self._signal.set()


class Feed:
    """Reads new events while somebody is subscribed, and gives each page to all.

    :param listener: hears ``logged``, and when its connection was lost.
    :ivar schema: another number whenever the schema, and with it privileges, may have changed.
    :ivar unsent: places of followers that have read events and not sent them yet.
    """

    def __init__(
        self, database: Database, listener: Listener, naming: Naming, limits: LimitSettings
    ):
        self._database = database
        self._naming = naming
        self._max_bytes = limits.max_bytes
        self.unsent = Shares(UNSENT_PAGES, per_session=limits.per_session, reserve=limits.reserve)
        self._subscriptions: set[Subscription] = set()
        self._signal = asyncio.Event()
        self._taken = asyncio.Event()
        self._patience = Patience(time.monotonic())
        self._starting = asyncio.Lock()
        self._users = 0
        self._task: asyncio.Task[None] | None = None
        self._position = START
        self._outage = Outage(log, "the feed")
        self.schema = 0
        listener.add(self._hear)

    @asynccontextmanager
    async def subscribe(self, caller: Caller | None = None) -> AsyncIterator[Subscription]:
        """Take whatever is logged from now on, and perhaps some of what was just before.

        :param caller: who follows; None for the component itself.
        :raises Unavailable: the database is away.
        """
        subscription = Subscription(self._taken, caller)
        self._users += 1
        try:
            await self._start()
            self._subscriptions.add(subscription)
            yield subscription
        finally:
            self._subscriptions.discard(subscription)
            self._taken.set()
            self._users -= 1
            if not self._users:
                await self._stop()

    def wake(self) -> None:
        """Look for new events: the sequencer of this process has logged some."""
        self._signal.set()

    async def _start(self) -> None:
        async with self._starting:
            # One that could not be waited for has to be gone first: two would share a position.
            if self._task is not None and self._task.cancelling():
                await self._end()
            if self._task is None:
                try:
                    await self._begin()
                except CONNECTION_ERRORS as error:
                    # The call that subscribes is answered with it.
                    raise self._database.explained(error) from None
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
            self._position = await last_position(connection)

    def _hear(self, payload: str | None) -> None:
        if payload is None or payload == LOGGED:
            self._signal.set()
        if payload is None or payload == _DDL:
            self.schema += 1
            for subscription in self._subscriptions:
                subscription.look(self._position)

    async def _run(self) -> None:
        delay = FIRST_DELAY_SECONDS
        while not is_ending():
            try:
                await self._poll()
                self._outage.end()
                delay = FIRST_DELAY_SECONDS
                with suppress(TimeoutError):
                    async with asyncio.timeout(FALLBACK_POLL_SECONDS):
                        await self._signal.wait()
                continue
            except _PASSING as error:
                self._outage.tell(error)
            except CursorExpired as error:
                log.warning("the feed lost its position", error=error.message)
                await self._begin_again()
            except Exception:
                # Whoever reads by pages then gets the error, instead of silence.
                log.exception("the feed failed")
                await self._begin_again()
            await asyncio.sleep(delay)
            delay = min(delay * 2, LONGEST_DELAY_SECONDS)

    async def _begin_again(self) -> None:
        """Go on from now, when that is possible again; all read by pages what is in between."""
        # Nobody may subscribe meanwhile, and miss what comes before the new beginning.
        async with self._starting:
            for subscription in self._subscriptions:
                subscription.lag()
            self._subscriptions.clear()
            try:
                await self._begin()
            except _PASSING as error:
                self._outage.tell(error)

    async def _poll(self) -> None:
        """Read until there is nothing new."""
        more = True
        while more:
            await self._wait_for_full()
            self._signal.clear()
            # The connection goes back before anybody is told.
            async with self._database.own() as connection:
                page = await read_page(
                    connection, self._position, PAGE_EVENTS, largest=self._max_bytes
                )
                tables = await read_tables(connection, page.events, self._naming)
            if page.events:
                batch = await self._batch(page, tables)
                for subscription in self._subscriptions:
                    subscription.put(batch)
            more = page.more
            self._position = page.end
            await asyncio.sleep(0)

    async def _batch(self, page: Page, tables: Mapping[int, TableNow]) -> Batch:
        outlined = await outlines(page.events, self._naming, tables)
        changes = [change async for change in complete(outlined)]
        # An element of a list takes 2 bytes of its text, and many more of memory.
        byte_count = sum(change.memory for change in changes)
        return Batch(changes, self._position, changes[-1].event.position, byte_count)

    async def _wait_for_full(self) -> None:
        """Wait for those who are full, as long as that is worth it; the others of them lag.

        Reading is faster than sending: without a wait a burst would send everybody back to pages.
        """
        began = time.monotonic()
        seconds = self._patience.seconds(began)
        try:
            async with asyncio.timeout(seconds):
                while self._waited_for(began):
                    self._taken.clear()
                    await self._taken.wait()
        except TimeoutError:
            now = time.monotonic()
            full = [s for s in self._subscriptions if s.is_full]
            for subscription in full:
                self._patience.waited_in_vain(_key(subscription), seconds, now)
            self._lag(full)
        self._patience.spend(time.monotonic() - began)

    def _waited_for(self, now: float) -> bool:
        """Whether there is one that is full and worth a wait; all others that are full lag."""
        full = [s for s in self._subscriptions if s.is_full]
        vain = [s for s in full if self._awaits_own(s) or not self._patience.is_for(_key(s), now)]
        self._lag(vain)
        return len(vain) < len(full)

    def _awaits_own(self, subscription: Subscription) -> bool:
        """Whether its follower waits for another one of the same caller."""
        caller = subscription.caller
        return caller is not None and subscription.awaits_place and self.unsent.is_used_up(caller)

    def _lag(self, subscriptions: Iterable[Subscription]) -> None:
        for subscription in subscriptions:
            self._subscriptions.discard(subscription)
            subscription.lag()


def _key(subscription: Subscription) -> Person | None:
    """Whom a wait for a subscription counts to."""
    return None if subscription.caller is None else person_of(subscription.caller)
