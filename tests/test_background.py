"""Tasks end when they are told to."""

from __future__ import annotations

import asyncio

import pytest

from pgwamp import background
from pgwamp.background import end, is_ending


async def test_a_task_that_takes_its_cancellation_for_an_error_ends(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(background, "AGAIN", 0.01)
    noticed: list[bool] = []

    async def stubborn() -> None:
        for _ in range(2):
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                noticed.append(is_ending())
        await asyncio.Event().wait()

    task = asyncio.create_task(stubborn())
    other = asyncio.create_task(asyncio.sleep(0))
    await asyncio.sleep(0)
    assert not is_ending()
    async with asyncio.timeout(10):
        await end(task, other)
    assert task.cancelled()
    assert noticed == [True, True]


async def test_ending_what_has_ended_is_nothing() -> None:
    task = asyncio.create_task(asyncio.sleep(0))
    await task
    await end(task)
    assert not task.cancelled()
