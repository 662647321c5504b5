"""Several coroutines that belong together: none goes on without the others."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable

from pgwamp.background import end


async def first(*parts: Awaitable[object]) -> None:
    """Run all until one ends, end the others, and raise the error of whichever had one."""
    tasks = [asyncio.ensure_future(part) for part in parts]
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        await end(*tasks)
    for task in tasks:
        if not task.cancelled() and (error := task.exception()):
            raise error
