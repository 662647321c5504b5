"""The stored position of the publisher."""

from __future__ import annotations

import asyncio

from pgwamp.events.cursor import Position
from pgwamp.events.leader import leadership
from pgwamp.events.state import Keeper, load_position
from tests.conftest import Database


async def test_storing_returns_when_it_is_stored(database: Database) -> None:
    async def nothing() -> None:
        pass

    async with leadership(database.url) as lead:
        keeper = Keeper(lead, nothing)
        running = asyncio.create_task(keeper.run())
        # It waits for something to keep, and begins to store it before we do.
        await asyncio.sleep(0)
        keeper.keep(Position("700:700:", newest=699))
        await asyncio.sleep(0)
        await keeper.store()
        running.cancel()
        await asyncio.wait({running})
        assert (await load_position(lead))[0].seen == "700:700:"
