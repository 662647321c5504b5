"""Reading the log ahead of the publisher, as far as memory allows."""

from __future__ import annotations

import asyncio
from contextlib import suppress

from pgwamp.eventlog.log import Connection, Page, read_page
from pgwamp.eventlog.position import Position

#: Events of a page at most, and pages that are read before the first of them is published.
PAGE_EVENTS, AHEAD_PAGES = 500, 2
#: Seconds between polls when nobody says that there is something.
FALLBACK_POLL_SECONDS = 5.0


class Poller:
    """Reads what follows a position; bounded, however much there is.

    :param stopping: when it is set, reading ends with the page under way.
    :param woken: set whenever there may be something new.
    :param largest: bytes of an event's values at most; beyond, it comes without them.
    """

    def __init__(
        self,
        connection: Connection,
        position: Position,
        stopping: asyncio.Event,
        woken: asyncio.Event,
        largest: int,
    ):
        self._connection = connection
        self._position = position
        self._stopping = stopping
        self._woken = woken
        self._largest = largest
        self._pages: asyncio.Queue[Page | None] = asyncio.Queue()
        self._space = asyncio.Semaphore(AHEAD_PAGES)
        self._failure: BaseException | None = None

    async def next(self) -> Page | None:
        """The next page; waits for one. None when reading has ended gracefully.

        :raises CursorExpired: the position is not in the log any more.
        :raises OSError, asyncpg.PostgresError: reading failed.
        """
        page = await self._pages.get()
        if page is None and self._failure is not None:
            raise self._failure
        self._space.release()
        return page

    async def read(self) -> None:
        """Read until stopped. :meth:`next` raises what goes wrong."""
        try:
            while not self._stopping.is_set():
                self._woken.clear()
                more = True
                while more and not self._stopping.is_set():
                    more = await self._read_page()
                if not self._stopping.is_set():
                    with suppress(TimeoutError):
                        async with asyncio.timeout(FALLBACK_POLL_SECONDS):
                            await self._woken.wait()
        except Exception as error:
            self._failure = error
        finally:
            self._pages.put_nowait(None)

    async def _read_page(self) -> bool:
        """Whether there is more already."""
        await self._space.acquire()
        page = await read_page(self._connection, self._position, PAGE_EVENTS, largest=self._largest)
        self._position = page.end
        if page.events:
            self._pages.put_nowait(page)
        else:
            self._space.release()
        return page.more
