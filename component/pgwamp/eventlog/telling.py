"""Telling of watched tables as they are now: rows are read by this from its place on.

How a table reads takes as long as its owner wants, and nobody waits for it: this has a session of
its own beside the sequencer, which is open only while there is something to tell. A table that
cannot be told of, or is not known again although it was, waits longer each time.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Iterable
from importlib.resources import files
from typing import Any

import asyncpg

from pgwamp import logs
from pgwamp.database.connect import CONNECTION_ERRORS, connect_directly
from pgwamp.tasks import end

log = logs.get(__name__)
_TELL = (files("pgwamp.eventlog") / "sql" / "tell.sql").read_text(encoding="utf-8")
# A session that watches the table, or watches it no longer, tells of it behind this, or has told
# already.
_LOCK = "select true from wamp.watch where relation = $1::bigint::oid for share skip locked"
#: Seconds that it may take to say how one table reads.
SECONDS = 5.0
#: Seconds until a table is told of once more, which double each time, and the most of them.
FIRST_DELAY, LONGEST_DELAY = 10.0, 600.0


class Telling:
    """Tells of tables of which the sequencer does not know how they read.

    :param dsn: a direct connection, of a login that may do what the owner of ``wamp`` may.
    """

    def __init__(self, dsn: str):
        self._dsn = dsn
        self._task: asyncio.Task[None] | None = None
        #: Tables that are to be told of.
        self._waiting: set[int] = set()
        #: When a table may be told of again, and the seconds to wait after that.
        self._again: dict[int, tuple[float, float]] = {}

    def ask(self, tables: Iterable[int]) -> None:
        """Tell of tables, if it was not tried of late; of none that cannot be read."""
        now = _now()
        self._waiting.update(t for t in tables if now >= self._again.get(t, (now, 0.0))[0])
        if self._waiting and (self._task is None or self._task.done()):
            self._task = asyncio.create_task(self._run(), name="pgwamp telling")

    def forget(self, unknown: Collection[int]) -> None:
        """Forget how often tables were told of that have been known for as long as they waited."""
        now = _now()
        for table in [t for t, (at, _) in self._again.items() if now >= at and t not in unknown]:
            del self._again[table]

    async def ended(self, seconds: float | None = None) -> bool:
        """Wait until it has told of all, so many seconds at most; whether there was anything."""
        if self._task is None:
            return False
        await asyncio.wait({self._task}, timeout=seconds)
        if self._task.done():
            self._task = None
        return True

    async def close(self) -> None:
        """Tell nothing more."""
        if self._task is not None:
            await end(self._task)

    async def _run(self) -> None:
        connection: asyncpg.Connection[Any] | None = None
        try:
            connection = await connect_directly(
                self._dsn,
                application_name="pgwamp sequencer",
                statement_timeout=f"{SECONDS:g}s",
                lock_timeout="2s",
                tcp_keepalives_idle="5",
                tcp_keepalives_interval="2",
                tcp_keepalives_count="3",
            )
            while self._waiting:
                # Tables that were asked for before may take long again.
                table = min(self._waiting, key=lambda t: self._again.get(t, (0.0, 0.0))[1])
                await self._tell(connection, table)
                self._is_told(table)
        except (*CONNECTION_ERRORS, asyncpg.PostgresError) as error:
            log.warning("tables cannot be told of now", reason=str(error) or type(error).__name__)
        except Exception:
            # Nobody awaits this task.
            log.exception("tables cannot be told of now")
        finally:
            for table in [*self._waiting]:
                self._is_told(table)
            if connection is not None:
                connection.terminate()

    async def _tell(self, connection: asyncpg.Connection[Any], table: int) -> None:
        try:
            async with connection.transaction():
                if await connection.fetchval(_LOCK, table):
                    await connection.execute(_TELL, table)
        except asyncpg.PostgresError as error:
            if connection.is_closed():
                raise
            log.warning("a watched table cannot be told of", relation=table, reason=str(error))

    def _is_told(self, table: int) -> None:
        self._waiting.discard(table)
        now = _now()
        delay = self._again.get(table, (now, FIRST_DELAY))[1]
        self._again[table] = now + delay, min(delay * 2, LONGEST_DELAY)


def _now() -> float:
    return asyncio.get_running_loop().time()
