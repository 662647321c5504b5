"""Racing and ending tasks of our own that otherwise run for ever, and mostly go on after an error.

A cancellation can be lost. A connection that breaks in the same moment raises its own error in its
place, and ``asyncio.wait_for`` up to Python 3.11 swallows it when what it waits for has just ended
(https://github.com/python/cpython/issues/86296). A task that then tries again lives on unseen.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

#: Seconds until a task that goes on is cancelled once more.
AGAIN = 1.0
#: The same, where there is no time left.
SOON_AGAIN = 0.1
#: Seconds that a call has to end once it is cancelled: so long it waits for what the database says.
LEAVING_SECONDS = 2.0


async def end(*tasks: asyncio.Future[Any], again: float | None = None) -> None:
    """Cancel tasks, and return when all of them have ended, however they did.

    :param again: seconds until one that goes on is cancelled once more; :data:`AGAIN` by default.
    """
    pending = {task for task in tasks if not task.done()}
    for task in pending:
        task.add_done_callback(_heed)
    while pending:
        for task in pending:
            task.cancel()
        _, pending = await asyncio.wait(pending, timeout=again or AGAIN)


class Deadline:
    """The time that a stop has; somebody may cut it short. It has no end until it begins."""

    def __init__(self) -> None:
        self._at = math.inf
        self._hurried = asyncio.Event()

    def begin(self, seconds: float) -> None:
        """Let it end in so many seconds."""
        self._at = min(self._at, asyncio.get_running_loop().time() + seconds)

    def hurry(self) -> None:
        """Let it end now."""
        self._hurried.set()

    def left(self) -> float:
        """Return the seconds until its end."""
        if self._hurried.is_set():
            return 0.0
        return max(0.0, self._at - asyncio.get_running_loop().time())

    async def over(self) -> None:
        """Wait until its end."""
        left = self.left()
        with suppress(TimeoutError):
            async with asyncio.timeout(None if left == math.inf else left):
                await self._hurried.wait()

    async def finish(
        self, task: asyncio.Future[Any], most: float = math.inf, *, least: float = 0.0
    ) -> None:
        """Let a task end by itself, for so many seconds and until the end, and end it then.

        :param least: seconds that it has in any case.
        """
        if least:
            await asyncio.wait({task}, timeout=least)
        if left := min(self.left(), most):
            await race(
                asyncio.wait({task}, timeout=None if left == math.inf else left),
                self._hurried.wait(),
            )
        await end(task, again=AGAIN if self.left() else SOON_AGAIN)


def _heed(task: asyncio.Future[Any]) -> None:
    """Look at an error, also where who waits for it is cancelled: asyncio would log it."""
    if not task.cancelled():
        task.exception()


async def outlast(seconds: float, *futures: asyncio.Future[Any]) -> bool:
    """Wait for all, also where this is cancelled; return whether all are done within the time.

    For what has an outcome that a cancel must not hide, such as a write that may be committed.
    """
    for future in futures:
        future.add_done_callback(_heed)
    loop = asyncio.get_running_loop()
    ending = loop.time() + seconds
    pending = {future for future in futures if not future.done()}
    while pending and (left := ending - loop.time()) > 0:
        with suppress(asyncio.CancelledError):
            _, pending = await asyncio.wait(pending, timeout=left)
    return not pending


def cancels() -> int:
    """Return how often this task was cancelled, also where a cancellation was lost on the way."""
    task = asyncio.current_task()
    return 0 if task is None else task.cancelling()


def is_ending() -> bool:
    """Whether this task was cancelled, also when the cancellation was lost on the way."""
    return cancels() > 0


def raise_if_cancelled(*, before: int = 0) -> None:
    """Raise a cancellation that was lost on the way, as before trying again.

    A deadline cancels only once: a call that goes on in spite of it has none any more.

    :param before: the cancellations that are known already, of :func:`cancels`.
    """
    if cancels() > before:
        raise asyncio.CancelledError


async def race(*parts: Awaitable[object]) -> None:
    """Run all until one ends, end the others, and raise the error of whichever had one."""
    tasks = [asyncio.ensure_future(part) for part in parts]
    for task in tasks:
        task.add_done_callback(_heed)
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        await end(*tasks)
    for task in tasks:
        if not task.cancelled() and (error := task.exception()) is not None:
            raise error


@contextmanager
def told_if_slow(seconds: float, tell: Callable[[], object]) -> Iterator[None]:
    """Call ``tell`` once if the block takes longer than so many seconds."""
    handle = asyncio.get_running_loop().call_later(seconds, tell)
    try:
        yield
    finally:
        handle.cancel()
