"""The publisher: while it holds the lease, it publishes whatever is logged."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from functools import partial
from typing import Any

import asyncpg

from pgwamp import logs
from pgwamp.database.connect import CONNECTION_ERRORS, connect_directly
from pgwamp.database.listener import LOGGED, Listener
from pgwamp.errors import CursorExpired, Unavailable
from pgwamp.eventlog.lease import Lease, LeaseLost, Leases
from pgwamp.eventlog.outage import Outage
from pgwamp.eventlog.position import Position
from pgwamp.events.channels import Channels
from pgwamp.events.checkpoint import Checkpoint, tell_that_it_runs
from pgwamp.events.in_flight import Window
from pgwamp.events.messages import messages
from pgwamp.events.poller import Poller
from pgwamp.events.topics import Topics
from pgwamp.metrics import Metrics
from pgwamp.naming import Naming
from pgwamp.session import Link, Lost
from pgwamp.settings import EventSettings
from pgwamp.tasks import Deadline, end, race

log = logs.get(__name__)
#: Seconds between tries to publish.
FIRST_DELAY_SECONDS, LONGEST_DELAY_SECONDS = 0.1, 2.0
#: Seconds that what was read gets to be published when the component stops.
STOP_SECONDS = 5.0
#: Seconds between two times that the database is told that a component of this name runs.
TELL_SECONDS = 60.0


class Publisher:
    """Waits for the lease of its realm and prefix, and publishes while it holds it.

    :param dsn: a direct connection: channels are listened to on it.
    :param listener: hears that there are new events; None if only :meth:`wake` says so.
    :param max_bytes: of a message; a row that is much larger is not even read.
    :ivar leading: set while this instance publishes.
    """

    def __init__(
        self,
        dsn: str,
        link: Link,
        listener: Listener | None,
        naming: Naming,
        settings: EventSettings,
        metrics: Metrics,
        *,
        realm: str,
        max_bytes: int,
    ):
        self._dsn = dsn
        self._link = link
        self._listener = listener
        self._name = realm, naming.prefix
        self._leases = Leases(dsn, f"publisher {realm} {naming.prefix}")
        self._outage = Outage(log, "the publisher")
        self._topics = Topics(naming, settings.publish_topics)
        self._metrics = metrics
        # JSON takes up to twice as many bytes as what is sent.
        self._largest = 2 * max_bytes
        self._channels = Channels(settings.channels, metrics)
        self._task: asyncio.Task[None] | None = None
        self._stopping = asyncio.Event()
        self._woken = asyncio.Event()
        self.leading = asyncio.Event()

    async def start(self) -> None:
        """Begin to wait for the lease."""
        if self._listener is not None:
            self._listener.add(self._hear)
        self._task = asyncio.create_task(self._run(), name="pgwamp publisher")

    async def stop(self, deadline: Deadline | None = None) -> None:
        """Hand over: publish what was read, while there is time, store the position, and leave the
        lease."""
        self._stopping.set()
        self.wake()
        if self._task is None:
            return
        if self._listener is not None:
            self._listener.remove(self._hear)
        seconds = STOP_SECONDS if self.leading.is_set() and self._link.is_up else 0.0
        await (deadline or Deadline()).finish(self._task, seconds)
        self._task = None

    def wake(self) -> None:
        """Look for new events: the sequencer of this process has logged some."""
        self._woken.set()

    def _hear(self, payload: str | None) -> None:
        if payload is None or payload == LOGGED:
            self.wake()

    async def _run(self) -> None:
        await race(self._compete(), self._tell_that_it_runs())

    async def _tell_that_it_runs(self) -> None:
        """Now and then, whether or not there is a router."""
        while True:
            await asyncio.sleep(TELL_SECONDS)
            with suppress(*CONNECTION_ERRORS, asyncpg.PostgresError):
                async with _connected(self._dsn) as connection:
                    await tell_that_it_runs(connection, *self._name)

    async def _compete(self) -> None:
        delay = FIRST_DELAY_SECONDS
        while not self._stopping.is_set():
            await self._link.up()
            try:
                # Without a router there is nothing to publish; another instance may have one.
                await race(self._lead(), self._link.down())
                delay = FIRST_DELAY_SECONDS
            except Lost:
                pass
            except LeaseLost as error:
                log.warning("publishing no longer", reason=str(error))
            except (*CONNECTION_ERRORS, asyncpg.PostgresError, Unavailable) as error:
                self._outage.tell(error)
            except Exception:
                # Nobody awaits this task: dying of a surprise would end publishing in silence.
                log.exception("publisher failed, trying again")
            finally:
                self.leading.clear()
            if not self._stopping.is_set():
                await asyncio.sleep(delay)
                delay = min(delay * 2, LONGEST_DELAY_SECONDS)

    async def _lead(self) -> None:
        async with self._leases.held() as lease, _connected(self._dsn) as connection:
            await self._channels.start(connection.raw)
            checkpoint = Checkpoint(connection, lease, *self._name)
            position = await checkpoint.load()
            log.info("publishing", position=position.number)
            self.leading.set()
            self._outage.end()
            await race(
                lease.keep(),
                connection.lost(),
                self._publish(position, connection, lease, checkpoint),
                self._channels.run(Window(self._link, self._metrics, lease.confirm)),
            )

    async def _publish(
        self, position: Position, connection: _Connection, lease: Lease, checkpoint: Checkpoint
    ) -> None:
        while True:
            try:
                await self._publish_from(position, connection, lease, checkpoint)
            except CursorExpired:
                position = await checkpoint.begin_again()
            else:
                return

    async def _publish_from(
        self, position: Position, connection: _Connection, lease: Lease, checkpoint: Checkpoint
    ) -> None:
        """Publish page after page, each while the next one is read."""
        poller = Poller(connection, position, self._stopping, self._woken, self._largest)
        window = Window(self._link, self._metrics, lease.confirm)

        async def send() -> None:
            while (page := await poller.next()) is not None:
                await self._topics.learn(connection, page.events)
                async for message in messages(page.events, self._topics):
                    await window.send(message)
                window.mark(partial(checkpoint.keep, page.end))
            await window.drain()
            await checkpoint.store()

        reading = asyncio.create_task(poller.read(), name="pgwamp reader")
        try:
            await race(send(), window.settle(), checkpoint.run())
        finally:
            window.close()
            await end(reading)


class _Connection:
    """A direct connection for several tasks: one statement at a time, in turn."""

    def __init__(self, raw: asyncpg.Connection[Any]):
        self.raw = raw
        self._turn = asyncio.Lock()
        self._closed = asyncio.Event()
        raw.add_termination_listener(lambda _: self._closed.set())

    async def fetch(self, query: str, *args: Any) -> Sequence[Any]:
        """As asyncpg's."""
        async with self._turn:
            return await self.raw.fetch(query, *args)

    async def lost(self) -> None:
        """Wait until it is lost.

        :raises asyncpg.ConnectionDoesNotExistError: always, then.
        """
        await self._closed.wait()
        raise asyncpg.ConnectionDoesNotExistError("the connection was lost")


@asynccontextmanager
async def _connected(dsn: str) -> AsyncIterator[_Connection]:
    raw = await connect_directly(
        dsn,
        application_name="pgwamp publisher",
        # A position that a crash undoes only means that some events are published again.
        synchronous_commit="off",
    )
    try:
        yield _Connection(raw)
    finally:
        raw.terminate()
