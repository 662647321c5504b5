"""What is committed, page by page: read ahead of the publisher, asleep while there is nothing."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from pgwamp.events.cursor import Position
from pgwamp.events.leader import Lead
from pgwamp.events.reader import Page, read_page
from pgwamp.events.state import store_position
from pgwamp.events.waker import LONG_PAUSE, LONGEST_SLEEP, SHORT_PAUSE, Waker

#: Events of a page at most, and pages that are read before the first of them is published.
PAGE, AHEAD = 500, 2
#: Empty polls before going to sleep.
IDLE_POLLS = 3


class Pages:
    """Reads what follows a position; bounded, however much there is.

    :param stopping: when it is set, reading ends with the page under way.
    :param largest: octets of an event's values at most; beyond, it comes without them.
    :param chores: awaited now and then, under load as when there is nothing to do.
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

    @property
    def waiting(self) -> int:
        """Pages that were read and not yet taken."""
        return self._pages.qsize()

    async def next(self) -> Page | None:
        """The next page; waits for one. None when reading has ended in order.

        :raises OSError, asyncpg.PostgresError: reading failed.
        """
        page = await self._pages.get()
        if page is None and self._failure is not None:
            raise self._failure
        self._room.release()
        return page

    async def store(self, position: Position) -> None:
        """Remember that everything up to ``position`` is published."""
        await store_position(self._lead, position)
        await self._chores()

    async def read(self) -> None:
        """Read until stopped. :meth:`next` raises what goes wrong."""
        try:
            while not self._stopping.is_set():
                # Before anything else, so that a wake-up is answered at once.
                await self._poll()
                await self._waker.awake()
                idle = 0
                while idle < IDLE_POLLS and not self._stopping.is_set():
                    idle = 0 if await self._poll() else idle + 1
                    if idle:
                        await asyncio.sleep(SHORT_PAUSE)
                await self._rest()
        except Exception as error:
            self._failure = error
        finally:
            self._pages.put_nowait(None)

    async def _poll(self) -> bool:
        """Read one page; False if there was nothing."""
        await self._room.acquire()
        page = await read_page(self._lead, self._position, PAGE, largest=self._largest)
        self._position = page.end
        if page.records:
            self._pages.put_nowait(page)
        else:
            self._room.release()
        return bool(page.records)

    async def _rest(self) -> None:
        """Go to sleep so that no wake-up is lost, and sleep."""
        waker = self._waker
        await waker.may_sleep()
        # Asked before the poll: what ran at any moment before its snapshot may have seen the
        # lock held, and whoever starts later will not.
        running = await waker.running()
        pause = SHORT_PAUSE
        found = await self._poll()
        while running and not found and not waker.signalled and not self._stopping.is_set():
            await waker.sleep(pause)
            pause = min(pause * 1.5, LONG_PAUSE)
            running = await waker.running(running)
            found = await self._poll()
        if found or waker.signalled or self._stopping.is_set():
            return
        await self._chores()
        await waker.sleep(LONGEST_SLEEP)
