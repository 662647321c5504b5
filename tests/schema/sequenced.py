"""The events that the sequencer makes of what a test has written."""

from __future__ import annotations

import asyncio
from datetime import timedelta

from pgwamp.database.connect import connect_directly
from pgwamp.eventlog.evaluator import Evaluator
from pgwamp.eventlog.lease import Leases
from pgwamp.eventlog.sequencer import BY_INDEX, NAME
from pgwamp.eventlog.sequencing import Sequencing
from pgwamp.eventlog.telling import Telling


def sequence(url: str) -> None:
    """Make events of all that is committed."""
    asyncio.run(_sequence(url))


async def _sequence(url: str) -> None:
    async with Leases(url, NAME).held() as lease:
        connections = [await connect_directly(url, **BY_INDEX) for _ in range(2)]
        evaluator, telling = Evaluator(url), Telling(url)
        sequencing = Sequencing(
            *connections,
            lease,
            timedelta(hours=1),
            evaluator=evaluator,
            telling=telling,
            bigint_as_string=False,
            logged=lambda: None,
        )
        try:
            await sequencing.start()
            while await sequencing.look() or await telling.ended():
                pass
        finally:
            await telling.close()
            evaluator.close()
            for connection in connections:
                connection.terminate()
