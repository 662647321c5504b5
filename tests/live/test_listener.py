"""A caller of a live query waits for results, also where its evaluation becomes another one."""

from __future__ import annotations

import asyncio
from unittest.mock import Mock

from pgwamp.access import Caller
from pgwamp.live.differences import Result
from pgwamp.live.evaluation import Listener


async def test_a_result_that_is_taken_back_before_it_was_seen_ends_nothing() -> None:
    listener = Listener(Mock(spec=Caller))
    waiting = asyncio.create_task(listener.next())
    await asyncio.sleep(0)
    listener.give(Result([1], b"1"))
    # Before the one who waits goes on.
    listener.begin(Mock())
    await asyncio.sleep(0)
    assert not waiting.done()
    listener.give(Result([2], b"2"))
    async with asyncio.timeout(5):
        assert (await waiting).digests == b"2"
