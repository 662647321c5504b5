"""A lease elects one process for each name.

::

    waiting --- nobody holds it, or it has run out --> held --- renewed in time --> held
       ^                                                 |
       +------------- left, lost or run out <------------+

A lease is a row: its name, a term, and when it was renewed. Whoever takes it counts the term up, by
a random step: a term that a promotion or a restored backup has lost is not given out again. As
in Gray and Cheriton's "Leases" (1989), the holder stops LEASE_SECONDS after it has *sent* the last
renewal, by its own clock; another process takes over LEASE_SECONDS after the database has
*recorded* it, by the database's clock. Both only measure how long. A clock of the database that
jumps forward, as one may at a failover, lets another process take over early: then the fence still
keeps the first one from storing.

- The holder is killed: nobody renews, and another process takes over after LEASE_SECONDS.
- The holder shuts down cleanly: it says so, and another one takes over at once.
- The holder is paused and resumes after a takeover: its term no longer matches, so :data:`FENCE`
  returns no row, and a transaction that begins with it stores nothing; :meth:`Lease.confirm` keeps
  it from sending, but for what was past that check.
- A transaction of the holder is open: a takeover changes the term, which is part of a key, and
  waits for the lock of :data:`FENCE`. ``idle_in_transaction_session_timeout`` ends one that stands
  still.
- The connection is lost: the holder stops, at the next renewal at the latest, and may take its own
  lease again without waiting, with a new term.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any

import asyncpg

from pgwamp.database.connect import CONNECTION_ERRORS, connect_directly
from pgwamp.database.listener import CHANNEL

#: Seconds that a lease is certain after it was renewed.
LEASE_SECONDS = 3.0
#: Seconds between renewals, and between tries to take it.
RENEW_SECONDS, RETRY_SECONDS = 1.0, 0.5
#: Seconds that leaving may take.
LEAVE_SECONDS = 2.0
#: Payload of the notification that says a lease was left.
RELEASED = "released"
#: Locks the term $2 of the lease $1 until the end of the transaction. No row: it is another's.
FENCE = "select from wamp.lease where name = $1 and term = $2 for key share"

_MAKE = "insert into wamp.lease (name, term) values ($1, 0) on conflict do nothing"
_TAKE = """
update wamp.lease
set term = term + 1 + (random() * 1e9)::bigint, held = true, renewed_at = clock_timestamp()
where name = $1
    and (not held or term = $2 or renewed_at < clock_timestamp() - make_interval(secs => $3))
returning term
"""
_RENEW = """
update wamp.lease set renewed_at = clock_timestamp()
where name = $1 and term = $2 and held
returning true
"""
_LEAVE = """
with lease as (
    update wamp.lease set held = false where name = $1 and term = $2 returning true
)
select pg_notify($3, $4) from lease where pg_notification_queue_usage() <= 0.5
"""


class LeaseLost(Exception):
    """Another process holds the lease, or may hold it by now."""


def _now() -> float:
    """Seconds by a clock that goes on while the machine sleeps, where there is one."""
    clock = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)
    return time.clock_gettime(clock)


class Lease:
    """A lease that this process holds.

    :ivar name: of the lease.
    :ivar term: for :data:`FENCE`.
    """

    def __init__(self, name: str, connection: asyncpg.Connection[Any]):
        self.name = name
        self.term = 0
        self._connection = connection
        self._certain_until = 0.0

    def confirm(self) -> None:
        """Return while nobody else can hold it.

        :raises LeaseLost: somebody else may.
        """
        if _now() >= self._certain_until:
            raise LeaseLost(f"the lease {self.name} has run out")

    async def take(self, own_term: int) -> bool:
        """Whether it is ours now.

        :param own_term: of this process before; nobody has to wait for it.
        """
        asked = _now()
        term = await self._connection.fetchval(_TAKE, self.name, own_term, LEASE_SECONDS)
        if term is None:
            return False
        self.term = term
        self._certain_until = asked + LEASE_SECONDS
        return True

    async def keep(self) -> None:
        """Renew it until it is lost.

        :raises LeaseLost: another process has taken it.
        """
        while True:
            await asyncio.sleep(RENEW_SECONDS)
            asked = _now()
            if not await self._connection.fetchval(_RENEW, self.name, self.term):
                raise LeaseLost(f"another process has taken the lease {self.name}")
            self._certain_until = asked + LEASE_SECONDS

    async def leave(self) -> None:
        """Let another process take it at once."""
        self._certain_until = 0.0
        await self._connection.execute(_LEAVE, self.name, self.term, CHANNEL, RELEASED)


class Leases:
    """Takes one lease again and again; knows the last term that was its own."""

    def __init__(self, dsn: str, name: str):
        self._dsn = dsn
        self._name = name
        self._own_term = -1

    @asynccontextmanager
    async def held(self) -> AsyncIterator[Lease]:
        """Wait for the lease, and hold it. :meth:`Lease.keep` has to run meanwhile.

        :raises OSError, asyncpg.PostgresError: the connection is lost.
        """
        connection = await connect_directly(
            self._dsn,
            application_name=f"pgwamp lease {self._name}"[:63],
            synchronous_commit="local",
            # The server notices a holder that vanished without closing within about ten seconds.
            tcp_keepalives_idle="5",
            tcp_keepalives_interval="2",
            tcp_keepalives_count="3",
        )
        lease = Lease(self._name, connection)
        try:
            await connection.execute(_MAKE, self._name)
            await self._wait_for(lease, connection)
            self._own_term = lease.term
            try:
                yield lease
            finally:
                # However it ended, nothing more is done under it.
                with suppress(*CONNECTION_ERRORS, asyncpg.PostgresError, TimeoutError):
                    async with asyncio.timeout(LEAVE_SECONDS):
                        await lease.leave()
                        await connection.close()
        finally:
            connection.terminate()

    async def _wait_for(self, lease: Lease, connection: asyncpg.Connection[Any]) -> None:
        released = asyncio.Event()

        def on_notify(_connection: Any, _pid: int, _channel: str, payload: object) -> None:
            if payload == RELEASED:
                released.set()

        await connection.add_listener(CHANNEL, on_notify)
        while not await lease.take(self._own_term):
            with suppress(TimeoutError):
                async with asyncio.timeout(RETRY_SECONDS):
                    await released.wait()
            released.clear()
        await connection.remove_listener(CHANNEL, on_notify)


__all__ = ["FENCE", "LEASE_SECONDS", "Lease", "LeaseLost", "Leases"]
