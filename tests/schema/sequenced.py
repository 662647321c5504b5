"""The events that the sequencer makes of what a test has written."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from functools import partial

from pgwamp.database.connect import connect_directly
from pgwamp.eventlog.lease import Leases
from pgwamp.eventlog.sequencer import BY_INDEX, NAME, connect_for_conditions
from pgwamp.eventlog.sequencing import Sequencing


def sequence(url: str) -> None:
    """Make events of all that is committed."""
    asyncio.run(_sequence(url))


async def _sequence(url: str) -> None:
    async with Leases(url, NAME).held() as lease:
        connections = [await connect_directly(url, **BY_INDEX) for _ in range(2)]
        sequencing = Sequencing(
            *connections,
            lease,
            timedelta(hours=1),
            connect=partial(connect_for_conditions, url),
            bigint_as_string=False,
            logged=lambda: None,
        )
        try:
            await sequencing.start()
            while await sequencing.look():
                pass
        finally:
            sequencing.conditions.close()
            for connection in connections:
                connection.terminate()
