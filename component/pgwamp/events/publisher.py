"""The publisher: while it leads, it publishes whatever is committed, and sleeps in between."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Coroutine
from typing import Any

import asyncpg

from pgwamp import logs
from pgwamp.database.connect import CONNECTION_ERRORS
from pgwamp.events.channels import Channels
from pgwamp.events.cursor import Position
from pgwamp.events.leader import leadership
from pgwamp.events.payload import Shapes
from pgwamp.events.reader import read_page
from pgwamp.events.state import load_position, rotate, store_position
from pgwamp.events.waker import LONG_PAUSE, LONGEST_SLEEP, SHORT_PAUSE, Waker
from pgwamp.events.window import Window
from pgwamp.session import Link, Lost
from pgwamp.settings import EventSettings

log = logs.get(__name__)
#: Events read, published and then stored as published together.
PAGE = 200
#: Empty polls before going to sleep.
IDLE_POLLS = 3
FIRST_DELAY, LONGEST_DELAY = 0.1, 2.0
#: Seconds between looks at retention.
ROTATE_EVERY = 60.0


class Publisher:
    """Competes for the lead and publishes while it has it.

    :param dsn: a direct connection: the lead is a session lock.
    :ivar leading: set while this instance publishes.
    """

    def __init__(self, dsn: str, link: Link, shapes: Shapes, settings: EventSettings):
        self._dsn = dsn
        self._link = link
        self._shapes = shapes
        self._settings = settings
        self._task: asyncio.Task[None] | None = None
        self._stopping = asyncio.Event()
        self._waker: Waker | None = None
        self._rotate_at = 0.0
        self.leading = asyncio.Event()

    async def start(self) -> None:
        """Begin competing for the lead."""
        self._task = asyncio.create_task(self._run(), name="pgwamp publisher")

    async def stop(self) -> None:
        """Hand over: finish the page under way, store the cursor, release the lead."""
        self._stopping.set()
        if self._waker is not None:
            self._waker.wake()
        if self._task is None:
            return
        if self.leading.is_set() and self._link.is_up:
            await asyncio.wait({self._task}, timeout=5)
        self._task.cancel()
        await asyncio.wait({self._task})

    async def _run(self) -> None:
        delay = FIRST_DELAY
        while not self._stopping.is_set():
            await self._link.up()
            try:
                # Without a router there is nothing to lead; another instance may have one.
                await _first(self._lead(), self._link.down())
                delay = FIRST_DELAY
            except Lost:
                pass
            except (*CONNECTION_ERRORS, asyncpg.PostgresError) as error:
                log.warning("publisher lost the database, trying again", error=str(error))
            except Exception:
                # Nobody awaits this task: dying of a surprise would end publishing in silence.
                log.exception("publisher failed, trying again")
            finally:
                self.leading.clear()
                self._waker = None
            if not self._stopping.is_set():
                await asyncio.sleep(delay)
                delay = min(delay * 2, LONGEST_DELAY)

    async def _lead(self) -> None:
        async with leadership(self._dsn) as connection:
            waker = self._waker = Waker(connection)
            await waker.start()
            window = Window(self._link)
            channels = Channels(self._settings.channels, window)
            await channels.start(connection)
            position, cluster = await load_position(connection)
            log.info("publishing", position=position.seen)
            self.leading.set()
            await _first(
                self._publish(connection, waker, window, position, cluster), channels.run()
            )

    async def _publish(
        self,
        connection: asyncpg.Connection[Any],
        waker: Waker,
        window: Window,
        position: Position,
        cluster: str,
    ) -> None:
        stored = position

        async def poll() -> bool:
            """Publish one page; False if there was nothing."""
            nonlocal position, stored
            page = await read_page(connection, position, PAGE)
            if page.records:
                await window.publish(await self._shapes.events(page, cluster))
                await store_position(connection, page.end)
                stored = page.end
                await self._rotate(connection)
            position = page.end
            return bool(page.records)

        while not self._stopping.is_set():
            await waker.awake()
            idle = 0
            while idle < IDLE_POLLS and not self._stopping.is_set():
                idle = 0 if await poll() else idle + 1
                if idle:
                    await asyncio.sleep(SHORT_PAUSE)
            await self._rest(connection, waker, poll)
        if stored != position:
            await store_position(connection, position)

    async def _rest(self, connection: asyncpg.Connection[Any], waker: Waker, poll: Any) -> None:
        """Go to sleep so that no wake-up is lost, and sleep."""
        await waker.may_sleep()
        # Asked before the poll: what ran at any moment before its snapshot may have seen the
        # lock held, and whoever starts later will not.
        running = await waker.running()
        pause = SHORT_PAUSE
        found = await poll()
        while running and not found and not waker.signalled and not self._stopping.is_set():
            await waker.sleep(pause)
            pause = min(pause * 1.5, LONG_PAUSE)
            running = await waker.running(running)
            found = await poll()
        if found or waker.signalled or self._stopping.is_set():
            return
        await self._rotate(connection)
        await waker.sleep(LONGEST_SLEEP)

    async def _rotate(self, connection: asyncpg.Connection[Any]) -> None:
        """Look after retention now and then, under load as when there is nothing to do."""
        now = asyncio.get_running_loop().time()
        if now >= self._rotate_at:
            self._rotate_at = now + ROTATE_EVERY
            await rotate(connection, self._settings.retain)


async def _first(main: Coroutine[Any, Any, object], other: Awaitable[object]) -> None:
    """Run both until one ends, end the other, and raise the error of whichever had one."""
    tasks = [asyncio.ensure_future(main), asyncio.ensure_future(other)]
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            if not task.done():
                task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    for task in tasks:
        if not task.cancelled() and (error := task.exception()):
            raise error
