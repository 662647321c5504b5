"""Ending tasks of our own that otherwise run for ever, and mostly go on after an error.

A cancellation can be lost. A connection that breaks in the same moment raises its own error in its
place, and ``asyncio.wait_for`` up to Python 3.11 swallows it when what it waits for has just ended
(https://github.com/python/cpython/issues/86296). A task that then tries again lives on unseen.
"""

from __future__ import annotations

import asyncio
from typing import Any

#: Seconds until a task that goes on is cancelled once more.
AGAIN = 1.0


async def end(*tasks: asyncio.Future[Any]) -> None:
    """Cancel tasks, and return when all of them have ended, however they did."""
    cancelled = pending = {task for task in tasks if not task.done()}
    while pending:
        for task in pending:
            task.cancel()
        _, pending = await asyncio.wait(pending, timeout=AGAIN)
    for task in cancelled:
        if not task.cancelled():
            # An error of its end is nobody's; asyncio would log it.
            task.exception()


def is_ending() -> bool:
    """Whether this task was cancelled, also when the cancellation was lost on the way."""
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0
