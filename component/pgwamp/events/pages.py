"""What is committed, page by page: read ahead of the publisher, asleep while there is nothing."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from pgwamp.events.cursor import Position
from pgwamp.events.leader import Lead
from pgwamp.events.reader import Page, read_page
from pgwamp.events.waker import LONG_PAUSE, LONGEST_SLEEP, SHORT_PAUSE, Waker

#: Events of a page at most, and pages that are read before the first of them is published.
PAGE, AHEAD = 500, 2
#: Empty polls before going to sleep, and wake-ups in a row before staying awake.
IDLE_POLLS, BUSY = 3, 8


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
        #: Whether the last poll found anything.
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

        While little happens, each event wakes the sleeping publisher, and is read at once. When the
        next one always comes before it sleeps again, it stays awake, and nobody wakes it.
        """
        waker = self._waker
        try:
            # Whoever wrote before somebody led did not look for one to wake.
            unsure = await self._stay_awake()
            while not self._stopping.is_set():
                busy, pause = 0, SHORT_PAUSE
                while busy < BUSY and not self._stopping.is_set():
                    waker.clear()
                    while await self._poll():
                        pass
                    if waker.signalled:
                        busy += 1
                        continue
                    busy = 0
                    if unsure:
                        await waker.sleep(pause)
                        pause = min(pause * 1.5, LONG_PAUSE)
                        unsure = await waker.running(unsure)
                    else:
                        await self._chores()
                        await waker.sleep(LONGEST_SLEEP)
                unsure = await self._stay_awake()
        except Exception as error:
            self._failure = error
        finally:
            self._pages.put_nowait(None)

    async def _stay_awake(self) -> list[str]:
        """Read without being woken, until there is nothing for a while.

        Answers the transactions that may have seen us awake: until they have ended, there is
        nobody to wake us. Whoever begins later will.
        """
        await self._waker.awake()
        idle = 0
        while idle < IDLE_POLLS and not self._stopping.is_set():
            more = await self._poll()
            idle = 0 if more or self._found else idle + 1
            if idle:
                await asyncio.sleep(SHORT_PAUSE)
        await self._waker.may_sleep()
        return await self._waker.running()

    async def _poll(self) -> bool:
        """Read one page; whether there is more already."""
        await self._room.acquire()
        page = await read_page(self._lead, self._position, PAGE, largest=self._largest)
        # After the rest of a poll comes what was committed since.
        more = page.more or self._position.polling is not None
        self._position = page.end
        self._found = bool(page.records)
        if self._found:
            self._pages.put_nowait(page)
        else:
            self._room.release()
        return more
