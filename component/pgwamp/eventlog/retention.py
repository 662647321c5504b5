"""Retention: the partitions of the log are written in turn, and the oldest one is emptied."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import asyncpg

from pgwamp import logs
from pgwamp.eventlog.state import State

log = logs.get(__name__)
PARTITIONS = 6
#: A turn lasts this part of the time to keep: an event stays for at least that time.
TURNS_OF_TIME = 4
_DUE = """
select (slot + 1) % $2::int as next from wamp.sequencer
where rotated_at < clock_timestamp() - $1::interval / $3::int
"""
# A component that was not there for as long as events are kept holds up nobody.
_UNPUBLISHED = """
select exists (
    select from wamp.publication as p
    where p.position < $1::bigint and p.ran_at > clock_timestamp() - $2::interval
)
"""
# Where the last event has it, it would go with that.
_KEEP_PROGRESS = """
update wamp.sequencer as s
set (position, mark, seen, taking, taken_place, taken_xid, taken_after, taken_number,
    taken_rows) = (
    select p.position, p.mark, p.seen, p.taking, p.taken_place, p.taken_xid, p.taken_after,
        p.taken_number, p.taken_rows
    from wamp.progress as p)
"""
_TURN = """
update wamp.sequencer
set slot = $1, rotated_at = clock_timestamp(),
    removed_position = coalesce($2::bigint, removed_position),
    removed_mark = coalesce($3::bytea, removed_mark)
"""


class Retention:
    """Empties what is older than ``retain``, and was published."""

    def __init__(self, connection: asyncpg.Connection[Any], state: State, retain: timedelta):
        self._connection = connection
        self._state = state
        self._retain = retain

    async def look_after(self) -> None:
        """Turn, if it is time. A partition that somebody reads is left for the next time."""
        following = await self._connection.fetchval(_DUE, self._retain, PARTITIONS, TURNS_OF_TIME)
        if following is None:
            return
        try:
            async with self._connection.transaction():
                await self._state.fence()
                await self._turn(following)
        except asyncpg.LockNotAvailableError:
            pass

    async def _turn(self, following: int) -> None:
        await self._connection.execute(f"lock table wamp.log_{following} in access exclusive mode")
        newest = await self._connection.fetchrow(
            f"select position, mark from wamp.log_{following} order by position desc limit 1"
        )
        if newest is not None:
            if await self._connection.fetchval(_UNPUBLISHED, newest["position"], self._retain):
                return
            await self._connection.execute(_KEEP_PROGRESS)
            await self._connection.execute(f"truncate wamp.log_{following}")
            log.info("retention emptied a partition", slot=following)
        values = (None, None) if newest is None else (newest["position"], newest["mark"])
        await self._connection.execute(_TURN, following, *values)
