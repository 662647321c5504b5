"""When to sleep, and how not to miss the wake-up.

While the publisher is awake it holds an advisory lock, and writers do not notify. To sleep it
releases the lock, and goes on polling now and then while any transaction that ran at that moment
still does: such a one may have seen the lock held and will not notify. Every later one finds the
lock free and notifies.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import Any

import asyncpg

from pgwamp.database.listener import CHANNEL
from pgwamp.events.leader import LOCK_CLASS, Lead

#: The advisory lock of a publisher that is awake; ``schema/sql/wake.sql`` probes it.
AWAKE = 2
#: Longest sleep, in seconds: the belt beside the braces.
LONGEST_SLEEP = 5.0
#: Pauses between polls while awake with nothing to do, and while waiting for open transactions.
SHORT_PAUSE, LONG_PAUSE = 0.002, 0.05

_STILL_RUNNING = """
select array(
    select x::text
    from pg_snapshot_xip(pg_current_snapshot()) as x
    where $1::text[] is null or x::text = any ($1::text[])
)
"""


class Waker:
    """The sleep protocol on the publisher's own connection."""

    def __init__(self, lead: Lead):
        self._lead = lead
        self._signal = asyncio.Event()
        self._closed = asyncio.Event()

    async def start(self) -> None:
        """Listen; from here on no notification is missed."""
        connection = self._lead.connection
        connection.add_termination_listener(self._on_closed)
        await connection.add_listener(CHANNEL, self._on_notify)

    def _on_notify(self, _connection: Any, _pid: int, _channel: str, payload: object) -> None:
        if not payload:
            self._signal.set()

    def _on_closed(self, _connection: Any) -> None:
        self._closed.set()
        self._signal.set()

    def wake(self) -> None:
        """End a sleep from within."""
        self._signal.set()

    async def awake(self) -> None:
        """Tell writers not to notify. A probe may hold the lock for a moment: try again."""
        while not await self._lead.fetchval(  # noqa: ASYNC110 (another process holds it)
            "select pg_try_advisory_lock($1, $2)", LOCK_CLASS, AWAKE
        ):
            await asyncio.sleep(SHORT_PAUSE / 4)

    def clear(self) -> None:
        """Forget the wake-ups so far; then poll."""
        if not self._closed.is_set():
            self._signal.clear()

    async def may_sleep(self) -> None:
        """Tell writers to notify from now on; then ask what is :meth:`running`, and poll.

        It takes a transaction id: a snapshot names those in progress only up to the last one that
        has ended, and whoever saw the lock held has a smaller one.
        """
        await self._lead.execute(
            "select pg_advisory_unlock($1, $2), pg_current_xact_id()", LOCK_CLASS, AWAKE
        )

    async def running(self, among: list[str] | None = None) -> list[str]:
        """The transactions in progress now, or those of ``among`` that still are."""
        running: list[str] = await self._lead.fetchval(_STILL_RUNNING, among)
        return running

    @property
    def signalled(self) -> bool:
        """Whether a wake-up has come since :meth:`clear`."""
        return self._signal.is_set()

    async def sleep(self, seconds: float) -> None:
        """Until a wake-up comes, at most ``seconds``."""
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._signal.wait()
        if self._closed.is_set():
            await self.lost()

    async def lost(self) -> None:
        """Wait until the connection, and with it the lead, is lost.

        :raises asyncpg.ConnectionDoesNotExistError: always, then.
        """
        await self._closed.wait()
        raise asyncpg.ConnectionDoesNotExistError("the connection was lost")
