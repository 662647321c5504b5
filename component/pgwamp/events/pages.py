"""What is committed, page by page: read ahead of the publisher, asleep while there is nothing."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable

from pgwamp.events.cursor import Position
from pgwamp.events.leader import Lead
from pgwamp.events.reader import Page, read_page
from pgwamp.events.waker import LONG_PAUSE, LONGEST_SLEEP, SHORT_PAUSE, Waker

#: Events of a page at most, and pages that are read before the first of them is published.
PAGE, AHEAD = 500, 2
#: So many polls that found something within so many seconds, or so many writers beside that of the
#: event: from then on nobody has to wake us, until there was less for a while.
BUSY, BUSY_WITHIN, CROWD = 8, 0.05, 2
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
        self._finds: deque[float] = deque(maxlen=BUSY)
        #: The transactions that ran at the last poll, and whether it found anything.
        self._running: frozenset[str] = frozenset()
        self._found = False

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

        While little happens, each event wakes the sleeping publisher, and is read at once. When
        they come closely, it stays awake, and nobody wakes it.
        """
        waker = self._waker
        try:
            # Whoever wrote before somebody led did not look for one to wake.
            unsure = await self._stay_awake()
            pause = SHORT_PAUSE
            while not self._stopping.is_set():
                waker.clear()
                running = self._running
                while await self._poll():
                    pass
                if self._is_busy(running):
                    unsure = await self._stay_awake()
                    pause = SHORT_PAUSE
                elif unsure and not waker.signalled:
                    await waker.sleep(pause)
                    pause = min(pause * 1.5, LONG_PAUSE)
                    unsure = await waker.running(unsure)
                elif not waker.signalled:
                    await self._chores()
                    await waker.sleep(LONGEST_SLEEP)
        except Exception as error:
            self._failure = error
        finally:
            self._pages.put_nowait(None)

    def _is_busy(self, running: frozenset[str]) -> bool:
        """Whether writers would stand in each other's way if each of them notified.

        They are serialised when they commit, each for as long as the disk takes: so either polls
        that find something follow each other closely, or several have begun to write meanwhile.
        """
        if not self._found:
            return False
        now = asyncio.get_running_loop().time()
        self._finds.append(now)
        often = len(self._finds) == BUSY and now - self._finds[0] < BUSY_WITHIN
        return often or len(self._running - running) >= CROWD

    async def _stay_awake(self) -> list[str]:
        """Read without being woken, until there is little for a while.

        Answers the transactions that may have seen us awake: until they have ended, there is
        nobody to wake us. Whoever begins later will.
        """
        now = asyncio.get_running_loop().time
        await self._waker.awake()
        end = now() + LINGER
        while now() < end and not self._stopping.is_set():
            running = self._running
            more = await self._poll()
            if more or self._is_busy(running):
                end = now() + LINGER
            if not more:
                # Many small pages would take from the writers what they spare by not notifying.
                await asyncio.sleep(FIND_PAUSE if self._found else SHORT_PAUSE)
        self._finds.clear()
        await self._waker.may_sleep()
        return await self._waker.running()

    async def _poll(self) -> bool:
        """Read one page; whether there is more already."""
        await self._room.acquire()
        page = await read_page(self._lead, self._position, PAGE, largest=self._largest)
        # After the rest of a poll comes what was committed since.
        more = page.more or self._position.polling is not None
        self._position = page.end
        self._running = frozenset(page.polling.rpartition(":")[2].split(",")) - {""}
        self._found = bool(page.records)
        if self._found:
            self._pages.put_nowait(page)
        else:
            self._room.release()
        return more
