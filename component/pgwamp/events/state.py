"""The publisher's stored cursor: one row, written only by the leader."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import timedelta
from importlib.resources import files

from pgwamp import logs
from pgwamp.database.listener import CHANNEL, PUBLISHED
from pgwamp.events.cursor import Position, newest_of
from pgwamp.events.leader import Lead

log = logs.get(__name__)
#: Seconds between two times that a position is stored.
STORE_PAUSE = 0.02
_POSITION = (
    "select published::text, polled::text, last_id, cluster, wamp.cluster() as here "
    "from wamp.publisher"
)
_RESTORED = (files("pgwamp.events") / "sql" / "restored.sql").read_text(encoding="utf-8")


async def load_position(lead: Lead) -> tuple[Position, str]:
    """Where publishing left off, and the name of this database.

    After a restore into another database, what was not published is published here.
    """
    row = await lead.fetchrow(_POSITION)
    if row["cluster"] != row["here"]:
        log.warning("the stored position is of another database", here=row["here"])
        await lead.execute(_RESTORED)
        row = await lead.fetchrow(_POSITION)
    newest = max(newest_of(s) for s in (row["published"], row["polled"]) if s)
    return Position(row["published"], row["polled"], row["last_id"] or 0, newest), row["here"]


class Keeper:
    """Stores how far publishing has come, and tells all instances; soon, but not for each page.

    :param chores: awaited after each time.
    """

    def __init__(self, lead: Lead, chores: Callable[[], Awaitable[None]]):
        self._lead = lead
        self._chores = chores
        self._position: Position | None = None
        self._wanted = asyncio.Event()
        self._storing = asyncio.Lock()

    def keep(self, position: Position) -> None:
        """Everything up to ``position`` is published."""
        self._position = position
        self._wanted.set()

    async def run(self) -> None:
        """Store what is to be kept, until cancelled."""
        while True:
            await self._wanted.wait()
            await self.store()
            await self._chores()
            await asyncio.sleep(STORE_PAUSE)

    async def store(self) -> None:
        """Return when it is stored, also if that is under way."""
        async with self._storing:
            self._wanted.clear()
            if self._position is None:
                return
            position, self._position = self._position.durable(), None
            await self._lead.execute(
                "update wamp.publisher set published = $1::text::pg_snapshot, "
                "polled = $2::text::pg_snapshot, last_id = $3, published_at = now() "
                # A full queue would fail it; the others look for themselves every few seconds.
                "returning case when pg_notification_queue_usage() <= 0.5 "
                "then pg_notify($4, $5) end",
                position.seen,
                position.polling,
                position.last_id or None,
                CHANNEL,
                PUBLISHED,
            )


async def rotate(lead: Lead, retain: timedelta) -> None:
    """Empty the oldest partition of events when its time has come."""
    slot = await lead.fetchval("select wamp.rotate($1)", retain)
    if slot is not None:
        log.info("retention emptied a partition", slot=slot)
