"""Hot reload: when the database's schema changes, the API follows.

``schema/sql/ddl_changed.sql`` notifies of each DDL statement, and ``NOTIFY pgwamp, 'reload'`` asks
by hand. Every instance listens, on a direct connection of its own. Whenever it listens again after
the connection was lost it reloads, because notifications were missed; PostgREST does so too.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import asyncpg

from pgwamp import logs
from pgwamp.database import connect_directly
from pgwamp.database.connect import CONNECTION_ERRORS
from pgwamp.errors import PgwampError, Unavailable
from pgwamp.events.leader import CHANNEL
from pgwamp.session import Lost

log = logs.get(__name__)
RELOAD = "reload"
#: Many statements make one reload: after so many seconds without another, and at the latest after.
QUIET, LATEST = 0.15, 2.0
#: Seconds between connects, and until a reload that failed for a passing reason is tried again.
FIRST_DELAY, LONGEST_DELAY = 0.1, 2.0
RETRY = 1.0
#: A connection that is dead without saying so is found by asking, in seconds.
PROBE_EVERY, PROBE_TIMEOUT = 30.0, 10.0
_TRANSIENT = (*CONNECTION_ERRORS, asyncpg.PostgresError, Unavailable, Lost)


class Reloader:
    """Calls ``reload`` when the database asks for it, one call at a time.

    An error of ``reload`` is logged with its reason. What may be otherwise next time (a lost
    connection, DDL under way) is tried again.

    :param dsn: a direct connection: LISTEN needs a session.
    """

    def __init__(self, dsn: str, reload: Callable[[], Awaitable[None]]):
        self._dsn = dsn
        self._reload = reload
        self._task: asyncio.Task[None] | None = None
        self._tried = asyncio.Event()
        self._asked = asyncio.Event()
        self._asked_at = 0.0

    async def start(self) -> None:
        """Begin to listen; returns after the first try, which goes on in the background."""
        self._task = asyncio.create_task(self._run(), name="pgwamp reload")
        await self._tried.wait()

    async def stop(self) -> None:
        """Stop listening; also ends a reload or a reconnect in progress. Idempotent."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait({self._task})

    async def _run(self) -> None:
        delay = FIRST_DELAY
        while True:
            try:
                connection = await connect_directly(self._dsn, application_name="pgwamp reload")
                try:
                    await self._listen(connection)
                    delay = FIRST_DELAY
                    await self._follow(connection)
                finally:
                    connection.terminate()
            except (*CONNECTION_ERRORS, asyncpg.PostgresError) as error:
                log.warning("not listening for DDL, trying again", error=_line(error))
            except Exception:
                # Nobody awaits this task: dying of a surprise would end reloading in silence.
                log.exception("listening for DDL failed, trying again")
            finally:
                self._tried.set()
            await asyncio.sleep(delay)
            delay = min(delay * 2, LONGEST_DELAY)

    async def _listen(self, connection: asyncpg.Connection[Any]) -> None:
        connection.add_termination_listener(self._ask)
        await connection.add_listener(CHANNEL, self._on_notify)
        if self._tried.is_set():
            self._ask()
        self._tried.set()

    def _on_notify(self, _connection: Any, _pid: int, _channel: str, payload: object) -> None:
        if payload == RELOAD:
            self._ask()

    def _ask(self, _connection: Any = None) -> None:
        self._asked_at = asyncio.get_running_loop().time()
        self._asked.set()

    async def _follow(self, connection: asyncpg.Connection[Any]) -> None:
        """Reload as often as asked, until the connection is lost."""
        while True:
            try:
                await asyncio.wait_for(self._asked.wait(), PROBE_EVERY)
            except TimeoutError:
                await connection.execute("select 1", timeout=PROBE_TIMEOUT)
                continue
            await self._settle()
            if connection.is_closed():
                raise asyncpg.ConnectionDoesNotExistError("the connection was lost")
            self._asked.clear()
            await self._reload_once()

    async def _settle(self) -> None:
        """Wait until nobody has asked for a while, though not for ever."""
        loop = asyncio.get_running_loop()
        latest = loop.time() + LATEST
        while (  # noqa: ASYNC110 (each request moves the end of the wait)
            pause := min(self._asked_at + QUIET, latest) - loop.time()
        ) > 0:
            await asyncio.sleep(pause)

    async def _reload_once(self) -> None:
        try:
            await self._reload()
        except PgwampError as error:
            log.error("reload failed, the API stays as it was", error=str(error))
        except _TRANSIENT as error:
            log.warning("reload failed, trying again", error=_line(error))
            await asyncio.sleep(RETRY)
            self._ask()
        except Exception:
            log.exception("reload failed, the API stays as it was")


def _line(error: BaseException) -> str:
    return str(error) or type(error).__name__
