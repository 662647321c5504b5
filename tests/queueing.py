"""Sessions that PostgreSQL lets queue for a lock before it asks for their privileges."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, NamedTuple

import asyncpg

_WAITS = "select exists (select from pg_locks where pid = $1 and not granted)"


class Queue(NamedTuple):
    """Two sessions: one that has used a relation, and one that waits for the first to end."""

    holder: asyncpg.Connection[Any]
    waiter: asyncpg.Connection[Any]

    @property
    def pid(self) -> int:
        """The process that others wait for."""
        return self.waiter.get_server_pid()


@asynccontextmanager
async def queueing(url: str, relation: str) -> AsyncIterator[Queue]:
    """Let nobody use a relation, with two sessions of a role that can but name it."""
    holder, waiter = await asyncpg.connect(url), await asyncpg.connect(url)
    queue = Queue(holder, waiter)
    await holder.execute(f"begin; prepare used as select from {relation}")
    rule = f"create rule theirs as on insert to {relation} do instead nothing"
    waiting = asyncio.create_task(waiter.execute(rule))
    try:
        async with asyncio.timeout(20):
            while not await holder.fetchval(_WAITS, queue.pid):
                assert not waiting.done(), waiting.exception()
        yield queue
    finally:
        await holder.close()
        await asyncio.wait({waiting})
        assert isinstance(waiting.exception(), asyncpg.InsufficientPrivilegeError)
        await waiter.close()
