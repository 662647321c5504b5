"""Electing the one instance that publishes: a session lock on its own direct connection.

The lock, the listening, the reading and the storing of the cursor all happen on this one
connection. When it is lost so is the lead, and nothing that a former leader still does can move
the cursor.

A leader may hear late that it has lost the lead: the server gives the lock away first, and closes
the connection then. What it published meanwhile would come between newer events of the next. So the
lead is a lease, as in Gray and Cheriton's "Leases" (1989): an answer on the connection confirms it
for so long from the moment of the question, nothing is sent beyond that, and the next leader waits
as long, unless the former one has left in order.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any

import asyncpg

from pgwamp.database import connect_directly
from pgwamp.database.connect import CONNECTION_ERRORS
from pgwamp.database.listener import CHANNEL
from pgwamp.events.reader import BY_INDEX

#: Keys of the advisory locks; that of the second one is in waker.
LOCK_CLASS, LEADER = 20599, 1
#: Seconds between tries; a leader that stops in order says so, and is followed at once.
RETRY = 1.0
#: Seconds that the lead is certain after it was, and that leaving it may take.
LEASE, LEAVING = 1.0, 2.0
RELEASED = "released"
# A crash must not undo it.
_LEAD = "begin; set local synchronous_commit = on; update wamp.publisher set led = true; commit"
_IS_LED = """
select exists (
    select from pg_locks
    where locktype = 'advisory' and classid::bigint = $1::int and objid::bigint = $2::int
        and objsubid = 2 and mode = 'ExclusiveLock' and granted
        and database = (select oid from pg_database where datname = current_database())
)
"""


class Lead:
    """The connection that the lead hangs on: for one statement at a time, in turn."""

    def __init__(self, connection: asyncpg.Connection[Any]):
        self.connection = connection
        self._turn = asyncio.Lock()
        self._now = asyncio.get_running_loop().time
        self._certain_until = 0.0

    async def confirm(self) -> None:
        """Return while nobody else can lead.

        :raises asyncpg.InterfaceError, OSError: the lead is lost.
        """
        # An answer may come after the end of what it confirms.
        while self._now() >= self._certain_until:
            await self.execute("select 1")

    async def fetch(self, query: str, *args: Any) -> list[Any]:
        """As asyncpg's."""
        async with self._asking():
            return await self.connection.fetch(query, *args)

    async def fetchval(self, query: str, *args: Any) -> Any:
        """As asyncpg's."""
        async with self._asking():
            return await self.connection.fetchval(query, *args)

    async def fetchrow(self, query: str, *args: Any) -> Any:
        """As asyncpg's."""
        async with self._asking():
            return await self.connection.fetchrow(query, *args)

    async def execute(self, query: str, *args: Any) -> str:
        """As asyncpg's."""
        async with self._asking():
            return await self.connection.execute(query, *args)

    @asynccontextmanager
    async def _asking(self) -> AsyncIterator[None]:
        async with self._turn:
            asked = self._now()
            yield
            self._certain_until = asked + LEASE


@asynccontextmanager
async def leadership(dsn: str) -> AsyncIterator[Lead]:
    """Wait until this instance leads."""
    connection = await connect_directly(
        dsn,
        application_name="pgwamp publisher",
        # A position that a crash undoes only means that some events are published again.
        synchronous_commit="off",
        plan_cache_mode="force_generic_plan",
        **BY_INDEX,
        # The server notices a leader that vanished without closing within about ten seconds.
        tcp_keepalives_idle="5",
        tcp_keepalives_interval="2",
        tcp_keepalives_count="3",
    )
    try:
        await _wait_for_lead(connection)
        if await connection.fetchval("select led from wamp.publisher"):
            await asyncio.sleep(LEASE)
        await connection.execute(_LEAD)
        try:
            yield Lead(connection)
        finally:
            # However it ended, nothing more is sent; with its own connection lost there is no word.
            with suppress(*CONNECTION_ERRORS, asyncpg.PostgresError, TimeoutError):
                async with asyncio.timeout(LEAVING):
                    await _leave(connection)
    finally:
        connection.terminate()


async def _leave(connection: asyncpg.Connection[Any]) -> None:
    """Let the next one lead at once."""
    # Seen by whoever gets the lock.
    await connection.execute("update wamp.publisher set led = false")
    await connection.execute(
        "select pg_advisory_unlock_all(), pg_notify($1, $2)", CHANNEL, RELEASED
    )
    await connection.close()


async def _wait_for_lead(connection: asyncpg.Connection[Any]) -> None:
    released = asyncio.Event()

    def on_notify(_connection: Any, _pid: int, _channel: str, payload: object) -> None:
        if payload == RELEASED:
            released.set()

    await connection.add_listener(CHANNEL, on_notify)
    # Trying is cheap; waiting in pg_advisory_lock would hold a snapshot and stop vacuum.
    while not await connection.fetchval("select pg_try_advisory_lock($1, $2)", LOCK_CLASS, LEADER):
        # Without a leader it was only a writer, who looks whether there is one.
        led = await connection.fetchval(_IS_LED, LOCK_CLASS, LEADER)
        with suppress(TimeoutError):
            async with asyncio.timeout(RETRY if led else 0.001):
                await released.wait()
        released.clear()
    await connection.remove_listener(CHANNEL, on_notify)
