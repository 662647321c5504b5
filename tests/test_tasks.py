"""Tasks end when they are told to."""

from __future__ import annotations

import asyncio
import gc
from contextlib import suppress

import pytest

from pgwamp import tasks
from pgwamp.tasks import end, is_ending, outlast, race, raise_if_cancelled


async def test_a_task_that_takes_its_cancellation_for_an_error_ends(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(tasks, "AGAIN", 0.01)
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


@pytest.mark.parametrize("how", ["both at once", "cancelled", "cancelled twice", "as it ends"])
async def test_no_error_of_a_part_is_left_for_asyncio_to_log(how: str) -> None:
    logged: list[object] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: logged.append(context))
    begun = asyncio.Event()
    racing: list[asyncio.Task[None]] = []

    async def part() -> None:
        begun.set()
        try:
            if how != "both at once":
                await asyncio.Event().wait()
        finally:
            if how == "cancelled twice":
                # Who races is cancelled again while it waits for this end.
                racing[0].cancel()
                await asyncio.sleep(0)
            raise ConnectionError

    if how == "as it ends":
        task = asyncio.create_task(part())
        await begun.wait()
        await end(task)
    else:
        task = asyncio.create_task(race(part(), part()))
        racing.append(task)
        await begun.wait()
        if how.startswith("cancelled"):
            task.cancel()
        await asyncio.wait({task})
        assert task.cancelled() or isinstance(task.exception(), ConnectionError)
    racing.clear()
    del task
    gc.collect()
    assert logged == []


async def test_what_is_outlasted_goes_on_however_often_its_task_is_cancelled() -> None:
    begun, released = asyncio.Event(), asyncio.Event()
    raised: list[bool] = []

    async def outlasting() -> bool:
        waiting = asyncio.ensure_future(released.wait())
        begun.set()
        done = await outlast(10, waiting)
        for before in (2, 1):
            with suppress(asyncio.CancelledError):
                raise_if_cancelled(before=before)
                raised.append(False)
        return done

    task = asyncio.create_task(outlasting())
    await begun.wait()
    for _ in range(2):
        task.cancel()
        await asyncio.sleep(0)
    released.set()
    assert await task
    assert raised == [False]


async def test_an_error_of_what_is_outlasted_is_not_logged() -> None:
    logged: list[object] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: logged.append(context))
    failed = asyncio.get_running_loop().create_future()
    failed.set_exception(OSError("failed"))
    assert await outlast(10, failed)
    # Its callbacks have their turn.
    await asyncio.sleep(0)
    del failed
    gc.collect()
    assert logged == []
