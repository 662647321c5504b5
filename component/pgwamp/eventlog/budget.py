"""Time that each watched table may take while all others wait."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import TypeVar

_Result = TypeVar("_Result")
#: Characters of a layout that is read on the event loop; a longer one is read in a thread.
MOST_ON_LOOP = 20_000
#: Seconds after which what was taken of a budget counts no more.
PERIOD_SECONDS = 60.0


class Budgets:
    """Counts for each table the seconds that it takes of a period.

    :param seconds: that a table may take.
    """

    def __init__(self, seconds: float):
        self._seconds = seconds
        #: When the period of a table began, and what was taken of its budget.
        self._taken: dict[int, tuple[float, float]] = {}

    def take(self, relation: int, seconds: float, now: float) -> None:
        """Count what a table has taken until now."""
        begun, taken = self._taken.get(relation, (now, 0.0))
        if now >= begun + PERIOD_SECONDS:
            begun, taken = now, 0.0
        self._taken[relation] = begun, taken + seconds

    def left(self, relation: int, now: float) -> float:
        """The seconds that a table may still take; none are left if it has taken more."""
        begun, taken = self._taken.get(relation, (now, 0.0))
        return self._seconds - taken * (now < begun + PERIOD_SECONDS)

    def is_spent(self, relation: int, now: float) -> bool:
        """Whether a table has taken all that it may."""
        return self.left(relation, now) < 0

    async def spend(
        self, relation: int, size: int, work: Callable[..., _Result], *arguments: object
    ) -> _Result:
        """Do some work on a layout, off the event loop if it is long; its table pays for it."""
        if size > MOST_ON_LOOP:
            result, seconds = await asyncio.to_thread(_timed, work, *arguments)
        else:
            result, seconds = _timed(work, *arguments)
        self.take(relation, seconds, asyncio.get_running_loop().time())
        return result


def _timed(work: Callable[..., _Result], *arguments: object) -> tuple[_Result, float]:
    """The result of some work, and the seconds of this thread that it took."""
    started = time.thread_time()
    result = work(*arguments)
    return result, time.thread_time() - started
