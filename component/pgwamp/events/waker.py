"""When to sleep, and how not to miss the wake-up.

While the publisher sleeps it holds an advisory lock, and writers that find it held notify. To sleep
it takes the lock, and goes on polling now and then while any transaction that had written an event
at that moment is open: such a one may have found the lock free and will not notify. Every later one
finds the lock held, notifies, and hands over its event.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

import asyncpg

from pgwamp.database.listener import CHANNEL
from pgwamp.events.leader import LOCK_CLASS, Lead

#: The advisory lock of a publisher that sleeps; ``schema/sql/wake.sql`` probes it.
ASLEEP = 3
#: Announcements that are kept. So many are better read.
MOST = 256
#: Longest sleep, in seconds: the belt beside the braces.
LONGEST_SLEEP = 5.0
#: Pauses between polls while awake with nothing to do, and while waiting for open transactions.
SHORT_PAUSE, LONG_PAUSE = 0.002, 0.05

_SECRET = "select channel from wamp.retention"
# Whoever has written an event keeps this lock until his transaction ends.
_WRITING = """
select array(
    select l.virtualtransaction
    from pg_locks as l
    join pg_database as d on d.oid = l.database
    where l.locktype = 'relation'
        and l.relation = 'wamp.event'::regclass
        and l.mode = 'RowExclusiveLock'
        and d.datname = current_database()
        and ($1::text[] is null or l.virtualtransaction = any ($1::text[]))
)
"""


class Waker:
    """The sleep protocol on the publisher's own connection."""

    def __init__(self, lead: Lead):
        self._lead = lead
        #: Payloads in the order in which they came: an event, or nothing.
        self._announced: list[str] = []
        self._asleep = False
        self._signal = asyncio.Event()
        self._closed = asyncio.Event()

    async def start(self) -> None:
        """Listen; from here on no notification is missed."""
        connection = self._lead.connection
        connection.add_termination_listener(self._on_closed)
        await connection.add_listener(CHANNEL, self._on_notify)
        await connection.add_listener(await self._lead.fetchval(_SECRET), self._on_announcement)

    def _on_notify(self, connection: Any, pid: int, channel: str, payload: object) -> None:
        # Everybody can notify here: a payload is no event.
        if not payload:
            self._on_announcement(connection, pid, channel, payload)

    def _on_announcement(self, _connection: Any, _pid: int, _channel: str, payload: object) -> None:
        if len(self._announced) < MOST:
            self._announced.append(str(payload))
        self._signal.set()

    def _on_closed(self, _connection: Any) -> None:
        self._closed.set()
        self._signal.set()

    def wake(self) -> None:
        """End a sleep from within."""
        self._signal.set()

    async def awake(self) -> None:
        """Tell writers not to notify."""
        if self._asleep:
            self._asleep = False
            await self._lead.execute("select pg_advisory_unlock($1, $2)", LOCK_CLASS, ASLEEP)

    def clear(self) -> None:
        """Forget the wake-ups so far; then poll."""
        self.take()

    def take(self) -> list[str]:
        """What came since the last time: an event, as ``wamp.wake`` writes it, or nothing.

        In the order in which the transactions have committed. With :data:`MOST` there were more.
        """
        if not self._closed.is_set():
            self._signal.clear()
        announced, self._announced = self._announced, []
        return announced

    async def may_sleep(self) -> bool:
        """Tell writers to notify from now on; then ask who is :meth:`writing`, and poll.

        False while somebody else has the lock, as a writer who probes it has for a moment.
        """
        self._asleep = await self._lead.fetchval(
            "select pg_try_advisory_lock($1, $2)", LOCK_CLASS, ASLEEP
        )
        return self._asleep

    async def writing(self, among: Sequence[str] | None = None) -> list[str]:
        """The open transactions that have written events, or those of ``among`` that still are."""
        writing: list[str] = await self._lead.fetchval(_WRITING, among)
        return writing

    async def sleep(self, seconds: float) -> None:
        """Until a wake-up comes, at most ``seconds``."""
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self.woken()

    async def woken(self) -> None:
        """Until a wake-up comes."""
        await self._signal.wait()
        if self._closed.is_set():
            await self.lost()

    async def lost(self) -> None:
        """Wait until the connection, and with it the lead, is lost.

        :raises asyncpg.ConnectionDoesNotExistError: always, then.
        """
        await self._closed.wait()
        raise asyncpg.ConnectionDoesNotExistError("the connection was lost")
