"""How far a component has published the log: a row for its realm and prefix."""

from __future__ import annotations

import asyncio

from pgwamp import logs
from pgwamp.eventlog.lease import FENCE, Lease, LeaseLost
from pgwamp.eventlog.log import Connection, last_position, oldest_position
from pgwamp.eventlog.position import Position

log = logs.get(__name__)
#: Seconds between two times that a position is stored. Those of so many events come again after a
#: crash; and beside an old snapshot PostgreSQL keeps every version of the row.
STORE_SECONDS = 0.1
_STORED = "select position, mark from wamp.publication where realm = $1 and prefix = $2"
_IS_FIRST = "select not exists (select from wamp.publication)"
# The fence is looked at before the row: a takeover that goes on is waited for.
_STORE = f"""
with fence as materialized ({FENCE})
insert into wamp.publication as p (realm, prefix, position, mark, published_at)
select $3, $4, $5, $6, now() where exists (select from fence)
on conflict (realm, prefix) do update
set position = excluded.position, mark = excluded.mark, published_at = excluded.published_at
returning true
"""
_RAN = "update wamp.publication set ran_at = now() where realm = $1 and prefix = $2"


async def tell_that_it_runs(connection: Connection, realm: str, prefix: str) -> None:
    """Have retention keep what is not published yet, also while there is no router."""
    await connection.fetch(_RAN, realm, prefix)


class Checkpoint:
    """The stored position of one realm and prefix, written only under the lease."""

    def __init__(self, connection: Connection, lease: Lease, realm: str, prefix: str):
        self._connection = connection
        self._lease = lease
        self._name = realm, prefix
        self._position: Position | None = None
        self._wanted = asyncio.Event()
        self._storing = asyncio.Lock()

    async def load(self) -> Position:
        """Where publishing left off.

        The first component of a database begins with the oldest event, so that nothing is lost
        which was committed before it ever ran; a further one, with another prefix, begins now.
        """
        rows = await self._connection.fetch(_STORED, *self._name)
        if rows:
            return Position(rows[0]["position"], rows[0]["mark"])
        ((is_first,),) = await self._connection.fetch(_IS_FIRST)
        begin = oldest_position if is_first else last_position
        return await self._write(await begin(self._connection))

    async def begin_again(self) -> Position:
        """Go on with the oldest event that is kept: the log has lost the stored position."""
        log.error(
            "the stored position is not in the log any more, publishing what is kept of it",
            realm=self._name[0],
            prefix=self._name[1],
        )
        return await self._write(await oldest_position(self._connection))

    def keep(self, position: Position) -> None:
        """Everything up to ``position`` is published."""
        self._position = position
        self._wanted.set()

    async def run(self) -> None:
        """Store what is to be kept, until cancelled."""
        while True:
            await self._wanted.wait()
            await self.store()
            await asyncio.sleep(STORE_SECONDS)

    async def store(self) -> None:
        """Return when it is stored, also if that is under way.

        :raises LeaseLost: another process publishes.
        """
        async with self._storing:
            self._wanted.clear()
            if self._position is not None:
                position, self._position = self._position, None
                await self._write(position)

    async def _write(self, position: Position) -> Position:
        lease = self._lease
        stored = await self._connection.fetch(
            _STORE, lease.name, lease.term, *self._name, position.number, position.mark
        )
        if not stored:
            raise LeaseLost(f"another process has taken the lease {lease.name}")
        return position
