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
        # All are looked at: asyncio logs an error that nobody has asked for.
        errors = [task.exception() for task in tasks if not task.cancelled()]
    for error in errors:
        if error is not None:
            raise error
