"""Electing the one instance that publishes: a session lock on its own direct connection.

The lock, the listening, the reading and the storing of the cursor all happen on this one
connection. When it is lost so is the lead, and nothing that a former leader still does can move
the cursor.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any

import asyncpg

from pgwamp.database import connect_directly
from pgwamp.events.waker import CHANNEL, LEADER, LOCK_CLASS

#: Seconds between tries; a leader that stops in order says so, and is followed at once.
RETRY = 1.0
RELEASED = "released"


@asynccontextmanager
async def leadership(dsn: str) -> AsyncIterator[asyncpg.Connection[Any]]:
    """Wait until this instance leads; yields the connection that the lead hangs on."""
    connection = await connect_directly(
        dsn,
        application_name="pgwamp publisher",
        synchronous_commit="local",
        # The server notices a leader that vanished without closing within about ten seconds.
        tcp_keepalives_idle="5",
        tcp_keepalives_interval="2",
        tcp_keepalives_count="3",
    )
    try:
        await _wait_for_lead(connection)
        yield connection
        await connection.execute(
            "select pg_advisory_unlock_all(), pg_notify($1, $2)", CHANNEL, RELEASED
        )
        await connection.close(timeout=2)
    finally:
        connection.terminate()


async def _wait_for_lead(connection: asyncpg.Connection[Any]) -> None:
    released = asyncio.Event()

    def on_notify(_connection: Any, _pid: int, _channel: str, payload: object) -> None:
        if payload == RELEASED:
            released.set()

    await connection.add_listener(CHANNEL, on_notify)
    # Trying is cheap; waiting in pg_advisory_lock would hold a snapshot and stop vacuum.
    while not await connection.fetchval("select pg_try_advisory_lock($1, $2)", LOCK_CLASS, LEADER):
        with suppress(TimeoutError):
            await asyncio.wait_for(released.wait(), RETRY)
        released.clear()
    await connection.remove_listener(CHANNEL, on_notify)
