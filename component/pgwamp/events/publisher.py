"""The publisher: while it leads, it publishes whatever is committed, and sleeps in between."""

from __future__ import annotations

import asyncio
from functools import partial

import asyncpg

from pgwamp import logs
from pgwamp.tasks import end
from pgwamp.database.connect import CONNECTION_ERRORS
from pgwamp.errors import Unavailable
from pgwamp.events.channels import Channels
from pgwamp.events.cursor import Position
from pgwamp.events.leader import Lead, leadership
from pgwamp.events.pages import Pages
from pgwamp.events.payload import Shapes
from pgwamp.events.state import Keeper, load_position, rotate
from pgwamp.tasks import race
from pgwamp.events.waker import Waker
from pgwamp.events.window import Window
from pgwamp.metrics import Metrics
from pgwamp.session import Link, Lost
from pgwamp.settings import EventSettings

log = logs.get(__name__)
FIRST_DELAY, LONGEST_DELAY = 0.1, 2.0
#: Seconds between looks at retention.
ROTATE_EVERY = 60.0


class Publisher:
    """Competes for the lead and publishes while it has it.

    :param dsn: a direct connection: the lead is a session lock.
    :param max_bytes: of a message; a row that is larger is not even read.
    :ivar leading: set while this instance publishes.
    """

    def __init__(
        self,
        dsn: str,
        link: Link,
        shapes: Shapes,
        settings: EventSettings,
        metrics: Metrics,
        *,
        max_bytes: int,
    ):
        self._dsn = dsn
        self._link = link
        self._shapes = shapes
        self._settings = settings
        self._metrics = metrics
        self._max_bytes = max_bytes
        self._channels = Channels(settings.channels, metrics)
        self._task: asyncio.Task[None] | None = None
        self._stopping = asyncio.Event()
        self._waker: Waker | None = None
        self._rotate_at = 0.0
        self.leading = asyncio.Event()

    async def start(self) -> None:
        """Begin competing for the lead."""
        self._task = asyncio.create_task(self._run(), name="pgwamp publisher")

    async def stop(self) -> None:
        """Hand over: publish what was read, store the cursor, release the lead."""
        self._stopping.set()
        if self._waker is not None:
            self._waker.wake()
        if self._task is None:
            return
        if self.leading.is_set() and self._link.is_up:
            await asyncio.wait({self._task}, timeout=5)
        await end(self._task)

    async def _run(self) -> None:
        delay = FIRST_DELAY
        while not self._stopping.is_set():
            await self._link.up()
            try:
                # Without a router there is nothing to lead; another instance may have one.
                await race(self._lead(), self._link.down())
                delay = FIRST_DELAY
            except Lost:
                pass
            except (*CONNECTION_ERRORS, asyncpg.PostgresError, Unavailable) as error:
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
        async with leadership(self._dsn) as lead:
            waker = self._waker = Waker(lead)
            await waker.start()
            await self._channels.start(lead.connection)
            position, cluster = await load_position(lead)
            log.info("publishing", position=position.seen)
            self.leading.set()
            await race(
                self._publish(lead, waker, position, cluster),
                self._channels.run(Window(self._link, self._metrics, lead.confirm)),
            )

    async def _publish(self, lead: Lead, waker: Waker, position: Position, cluster: str) -> None:
        """Publish page after page, each while the next one is read."""
        chores = partial(self._look_after, lead)
        pages = Pages(lead, waker, position, self._stopping, self._max_bytes, chores)
        window = Window(self._link, self._metrics, lead.confirm)
        keeper = Keeper(lead, chores)

        async def send() -> None:
            while (page := await pages.next()) is not None:
                async for event in self._shapes.batches(page, cluster):
                    await window.send(event)
                window.mark(partial(keeper.keep, page.end))
            await window.drain()
            await keeper.store()

        reading = asyncio.create_task(pages.read(), name="pgwamp reader")
        try:
            # Another instance leads as soon as the connection is gone: what was read stays unsent.
            await race(send(), window.settle(), keeper.run(), waker.lost())
        finally:
            window.close()
            await end(reading)

    async def _look_after(self, lead: Lead) -> None:
        """Look after retention now and then, under load as when there is nothing to do."""
        now = asyncio.get_running_loop().time()
        if now >= self._rotate_at:
            self._rotate_at = now + ROTATE_EVERY
            await rotate(lead, self._settings.retain)
