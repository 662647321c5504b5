"""Emptying the partitions of raw rows, one after the other."""

from __future__ import annotations

from typing import Any

import asyncpg

from pgwamp.capture.signal import Signal

PARTITIONS = 3
#: Bytes of a partition after which the next one is written.
FULL_BYTES = 64 * 1024 * 1024
# Of a table without rows, its TOAST table still has a size.
_SIZE = """
select case when pg_relation_size(r.name) = 0 then 0 else pg_table_size(r.name) end
from (values (format('wamp.raw_%s', $1::int)::regclass)) as r (name)
"""
_COVERED = (
    "select not exists (select from wamp.raw_{turn} as r "
    "where not pg_visible_in_snapshot(r.xid, $1::text::pg_snapshot))"
)


class Turns:
    """Has the next partition written when one has grown, and empties those that were read.

    :param connection: with a ``lock_timeout``: nobody waits for it, and it waits for nobody.
    """

    def __init__(self, connection: asyncpg.Connection[Any], signal: Signal):
        self._connection = connection
        self._signal = signal

    async def look_after(self, seen: str, full_bytes: int = FULL_BYTES) -> None:
        """Turn, if the partition that is written is full, and empty all others that can be.

        :param seen: everything that this snapshot shows is in the log.
        """
        for turn in range(PARTITIONS):
            if turn != self._signal.turn % PARTITIONS and await self._size(turn):
                await self._empty(turn, seen)
        if await self._size(self._signal.turn % PARTITIONS) <= full_bytes:
            return
        # A transaction that stays open keeps one of them from being emptied.
        for turn in range(self._signal.turn + 1, self._signal.turn + PARTITIONS):
            if not await self._size(turn % PARTITIONS):
                await self._signal.set_turn(turn)
                return

    async def _size(self, turn: int) -> int:
        size: int = await self._connection.fetchval(_SIZE, turn)
        return size

    async def _empty(self, turn: int, seen: str) -> None:
        """Unless somebody writes there, or has written what is not in the log."""
        try:
            async with self._connection.transaction():
                await self._connection.execute(
                    f"lock table wamp.raw_{turn} in access exclusive mode nowait"
                )
                if await self._connection.fetchval(_COVERED.format(turn=turn), seen):
                    await self._connection.execute(f"truncate wamp.raw_{turn}")
        except asyncpg.LockNotAvailableError:
            pass
