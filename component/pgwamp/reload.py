"""Hot reload: when the database's schema changes, the API follows.

``schema/versions/0101/ddl_changed.sql`` notifies of each DDL statement, and ``NOTIFY pgwamp,
'reload'`` asks by hand. Every instance listens. Whenever it listens again after the connection was
lost it reloads, because notifications were missed; PostgREST does so too.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable

import asyncpg

from pgwamp import logs
from pgwamp.database.connect import CONNECTION_ERRORS
from pgwamp.database.listener import Listener
from pgwamp.errors import Blocked, PgwampError, Unavailable
from pgwamp.session import Lost
from pgwamp.tasks import end, is_ending

log = logs.get(__name__)
RELOAD = "reload"
#: Many statements make one reload: after so many seconds without another, and at the latest after.
QUIET, LATEST = 0.15, 2.0
#: How many times the processor time of a reload the next one waits, and seconds at most: anybody
#: may ask for one by NOTIFY, and calls are slower meanwhile.
REST, LONGEST_REST = 5.0, 30.0
#: Seconds until a reload that failed for a passing reason is tried again.
RETRY = 1.0
_TRANSIENT = (*CONNECTION_ERRORS, asyncpg.PostgresError, Unavailable, Lost, Blocked)


class Reloader:
    """Calls ``reload`` when the database asks for it, one call at a time.

    An error of ``reload`` is logged with its reason. What may be otherwise next time (a lost
    connection, DDL under way) is tried again.
    """

    def __init__(self, listener: Listener, reload: Callable[[], Awaitable[None]]):
        self._listener = listener
        self._reload = reload
        self._task: asyncio.Task[None] | None = None
        self._asked = asyncio.Event()
        self._asked_at = 0.0
        self._later: asyncio.TimerHandle | None = None

    def start(self) -> None:
        """Begin to follow what the listener hears: before it starts, so that nothing is missed."""
        self._listener.add(self._hear)
        self._task = asyncio.create_task(self._run(), name="pgwamp reload")

    async def stop(self) -> None:
        """Follow no longer; also ends a reload in progress. Idempotent."""
        if self._later is not None:
            self._later.cancel()
        if self._task is not None:
            self._listener.remove(self._hear)
            task, self._task = self._task, None
            await end(task)

    def _hear(self, payload: str | None) -> None:
        if payload is None or payload == RELOAD:
            self._ask()

    def ask_in(self, seconds: float) -> None:
        """Reload once more after ``seconds``."""
        if self._later is not None:
            self._later.cancel()
        self._later = asyncio.get_running_loop().call_later(seconds, self._ask)

    def _ask(self) -> None:
        self._asked_at = asyncio.get_running_loop().time()
        self._asked.set()

    async def _run(self) -> None:
        while not is_ending():
            await self._asked.wait()
            await self._settle()
            self._asked.clear()
            began = time.process_time()
            await self._reload_once()
            await asyncio.sleep(min(REST * (time.process_time() - began), LONGEST_REST))

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
        except _TRANSIENT as error:
            log.warning("reload failed, trying again", error=_line(error))
            await asyncio.sleep(RETRY)
            self._ask()
        except PgwampError as error:
            log.error("reload failed, the API stays as it was", error=str(error))
        except Exception:
            log.exception("reload failed, the API stays as it was")


def _line(error: BaseException) -> str:
    return str(error) or type(error).__name__
