"""What is committed, page by page: read ahead of the publisher, asleep while there is nothing."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Collection
from contextlib import suppress

from pgwamp.events.announced import Announcement, Unclear
from pgwamp.events.cursor import Position
from pgwamp.events.leader import Lead
from pgwamp.events.reader import Page, read_page
from pgwamp.eventlog.snapshot import Snapshot
from pgwamp.events.waker import LONG_PAUSE, LONGEST_SLEEP, MOST, SHORT_PAUSE, Waker

#: Events of a page at most, and pages that are read before the first of them is published.
PAGE, AHEAD = 500, 2
#: Writers are better not made to notify when so many polls found something within so many seconds,
#: a poll found so many events, or so many others write at the same time; until there is less for a
#: while.
OFTEN, OFTEN_WITHIN, MANY, CROWD = 8, 0.05, 16, 2
LINGER = 0.05
#: Between two polls when there is something each time, in seconds.
FIND_PAUSE = 0.001


class Pages:
    """Reads what follows a position; bounded, however much there is.

    :param stopping: when it is set, reading ends with the page under way.
    :param largest: octets of an event's values at most; beyond, it comes without them.
    :param chores: awaited before a sleep.
    """

    def __init__(
        self,
        lead: Lead,
        waker: Waker,
        position: Position,
        stopping: asyncio.Event,
        largest: int,
        chores: Callable[[], Awaitable[None]],
    ):
        self._lead = lead
        self._waker = waker
        self._position = position
        self._stopping = stopping
        self._largest = largest
        self._chores = chores
        self._pages: asyncio.Queue[Page | None] = asyncio.Queue()
        self._room = asyncio.Semaphore(AHEAD)
        self._failure: BaseException | None = None
        self._finds: deque[float] = deque(maxlen=OFTEN)
        #: The transactions that ran at the last poll.
        self._running: frozenset[int] = frozenset()

    async def next(self) -> Page | None:
        """The next page; waits for one. None when reading has ended in order.

        :raises OSError, asyncpg.PostgresError: reading failed.
        """
        page = await self._pages.get()
        if page is None and self._failure is not None:
            raise self._failure
        self._room.release()
        return page

    async def read(self) -> None:
        """Read until stopped. :meth:`next` raises what goes wrong.

        While little happens, writers hand over their events, and the database is asked only for
        what they do not. When they would stand in each other's way, it stays awake, and nobody
        notifies.
        """
        waker = self._waker
        try:
            # Whoever wrote before somebody led did not look for one to wake.
            silent = await self._stay_awake()
            pause = SHORT_PAUSE
            while not self._stopping.is_set():
                waker.clear()
                silent = await waker.writing(silent) if silent else []
                if await self._catch_up() or await (
                    self._wait(pause) if silent else self._listen()
                ):
                    silent = await self._stay_awake()
                    pause = SHORT_PAUSE
                else:
                    pause = min(pause * 1.5, LONG_PAUSE)
        except Exception as error:
            self._failure = error
        finally:
            self._pages.put_nowait(None)

    async def _catch_up(self) -> bool:
        """Read all there is; whether it is better not to be woken for it each time."""
        running, found, more = self._running, False, True
        while more:
            page, more = await self._poll()
            found = found or bool(page.records)
        if not found:
            return False
        now = asyncio.get_running_loop().time()
        self._finds.append(now)
        often = len(self._finds) == OFTEN and now - self._finds[0] < OFTEN_WITHIN
        return often or len(self._running - running) >= CROWD

    async def _wait(self, seconds: float) -> bool:
        """Wait until somebody notifies, or somebody who does not may have committed.

        What is announced has to be read: it may be by one who waited for one who does not notify.
        """
        await self._chores()
        await self._waker.sleep(seconds)
        return False

    async def _listen(self) -> bool:
        """Take what writers announce, until something has to be read, or for a while.

        Answers whether it is better not to be woken by them.
        """
        await self._chores()
        # One timer for all, and not one for each event. What it interrupts is read.
        with suppress(TimeoutError):
            async with asyncio.timeout(LONGEST_SLEEP):
                return await self._take_announced()
        return False

    async def _take_announced(self) -> bool:
        while not self._stopping.is_set():
            await self._waker.woken()
            payloads = self._waker.take()
            if len(payloads) >= MOST:
                return True
            for payload in payloads:
                try:
                    announced = Announcement.parse(payload)
                    page = announced.page(self._position)
                except Unclear:
                    return False
                if page is not None:
                    await self._room.acquire()
                    self._go_on(page)
                if announced.beside >= CROWD:
                    return True
        return False

    async def _stay_awake(self) -> list[str]:
        """Read without being woken, until there is little for a while.

        Answers the transactions that may have seen us awake: until they have ended, there is
        nobody to wake us. Whoever begins to write later will.
        """
        now = asyncio.get_running_loop().time
        await self._waker.awake()
        end = now() + LINGER
        while not self._stopping.is_set():
            running = self._running
            page, more = await self._poll()
            if more or self._is_worth_it(page, running):
                end = now() + LINGER
            elif now() >= end and await self._waker.may_sleep():
                break
            if not more:
                # Many small pages would take from the writers what they spare by not notifying.
                await asyncio.sleep(FIND_PAUSE if page.records else SHORT_PAUSE)
        self._finds.clear()
        return await self._waker.writing()

    def _is_worth_it(self, page: Page, running: Collection[int]) -> bool:
        """Whether to stay awake: asleep, we would be behind, or have to read all the same."""
        transactions = {record["xid"] for record in page.records}
        return len(page.records) > 0 and (
            len(page.records) >= MANY
            or len(transactions) < len(page.records)
            or len(self._running.difference(running)) >= CROWD
        )

    async def _poll(self) -> tuple[Page, bool]:
        """Read one page; that, and whether there is more already."""
        await self._room.acquire()
        page = await read_page(self._lead, self._position, PAGE, largest=self._largest)
        # After the rest of a poll comes what was committed since.
        more = page.more or self._position.polling is not None
        self._running = Snapshot.parse(page.polling).running
        if page.records:
            self._go_on(page)
        else:
            self._position = page.end
            self._room.release()
        return page, more

    def _go_on(self, page: Page) -> None:
        """After a page, for whose room there is."""
        self._position = page.end
        self._pages.put_nowait(page)
