"""One connection of an instance that listens, for everybody in it who wants to hear."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import asyncpg

from pgwamp import logs
from pgwamp.database.connect import CONNECTION_ERRORS, connect_directly
from pgwamp.formats import OWN_CHANNEL
from pgwamp.tasks import end, is_ending

log = logs.get(__name__)
CHANNEL = OWN_CHANNEL
#: Payload of the notification that follows events which were appended to the log.
LOGGED = "logged"
#: Seconds between connects.
FIRST_DELAY, LONGEST_DELAY = 0.1, 2.0
#: A connection that is dead without saying so is found by asking, in seconds.
PROBE_EVERY, PROBE_TIMEOUT = 30.0, 10.0

#: Called with the payload of each notification; with None whenever some may have been missed.
Hear = Callable[[str | None], None]


class Listener:
    """Listens to the channel ``pgwamp``, and again whenever the connection was lost.

    :param dsn: a direct connection: LISTEN needs a session.
    """

    def __init__(self, dsn: str):
        self._dsn = dsn
        self._hearing: list[Hear] = []
        self._task: asyncio.Task[None] | None = None
        self._tried = asyncio.Event()

    def add(self, hear: Hear) -> None:
        """Tell ``hear`` from now on. It must neither wait nor fail."""
        self._hearing.append(hear)

    def remove(self, hear: Hear) -> None:
        """Tell it no longer."""
        self._hearing.remove(hear)

    async def start(self) -> None:
        """Begin to listen; returns after the first try, which goes on in the background."""
        self._task = asyncio.create_task(self._run(), name="pgwamp listener")
        await self._tried.wait()

    async def stop(self) -> None:
        """Stop listening; also ends a reconnect in progress. Idempotent."""
        if self._task is not None:
            await end(self._task)

    async def _run(self) -> None:
        delay = FIRST_DELAY
        while not is_ending():
            try:
                connection = await connect_directly(self._dsn, application_name="pgwamp listener")
                try:
                    lost = await self._listen(connection)
                    delay = FIRST_DELAY
                    await _until_lost(connection, lost)
                finally:
                    connection.terminate()
            except (*CONNECTION_ERRORS, asyncpg.PostgresError) as error:
                log.warning("not listening, trying again", error=str(error) or type(error).__name__)
            except Exception:
                # Nobody awaits this task: dying of a surprise would end listening in silence.
                log.exception("listening failed, trying again")
            finally:
                self._tried.set()
            await asyncio.sleep(delay)
            delay = min(delay * 2, LONGEST_DELAY)

    async def _listen(self, connection: asyncpg.Connection[Any]) -> asyncio.Event:
        """Answers what is set when the connection is lost."""
        lost = asyncio.Event()
        connection.add_termination_listener(lambda _: lost.set())
        await connection.add_listener(CHANNEL, self._on_notify)
        # Whoever started us begins to look only now, and has missed nothing.
        if self._tried.is_set():
            self._tell(None)
        self._tried.set()
        return lost

    def _on_notify(self, _connection: Any, _pid: int, _channel: str, payload: object) -> None:
        self._tell(str(payload))

    def _tell(self, payload: str | None) -> None:
        for hear in tuple(self._hearing):
            hear(payload)


async def _until_lost(connection: asyncpg.Connection[Any], lost: asyncio.Event) -> None:
    while True:
        try:
            async with asyncio.timeout(PROBE_EVERY):
                await lost.wait()
        except TimeoutError:
            await connection.execute("select 1", timeout=PROBE_TIMEOUT)
        else:
            raise asyncpg.ConnectionDoesNotExistError("the connection was lost")
