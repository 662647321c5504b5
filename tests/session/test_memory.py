"""A stream of any size passes through a component whose memory stays as it was."""

from __future__ import annotations

import asyncio
from pathlib import Path

import psutil
import pytest

from tests.conftest import Connect, Database
from tests.processes import Pgwamp
from tests.servers import Addresses
from tests.session.proxy import Proxy

pytestmark = pytest.mark.one_login

#: What the stream is in all, what of it is one item, and what the component may grow by, in MB.
STREAM, ITEM, GROWTH = 200, 0.1, 32
MODULE = f"""
import asyncpg
from autobahn import wamp

@wamp.register("flood")
async def flood(connection: asyncpg.Connection, megabytes: int):
    sql = "select repeat('x', {int(ITEM * 2**20)}) from generate_series(1, $1)"
    async for row in connection.cursor(sql, int(megabytes / {ITEM}), prefetch=10):
        yield row[0]
"""


class Memory:
    """The most memory that a process has had while it was looked at."""

    def __init__(self, pid: int):
        self._process = psutil.Process(pid)
        self.most = 0.0
        self.now()

    def now(self) -> float:
        """Resident memory in MB."""
        size = self._process.memory_info().rss / 2**20
        self.most = max(self.most, size)
        return size


@pytest.mark.slow
async def test_a_stream_to_a_slow_reader_leaves_memory_flat(
    addresses: Addresses, database: Database, connect: Connect, prefix: str, tmp_path: Path
) -> None:
    (tmp_path / "flooding.py").write_text(MODULE)
    client = await connect()
    async with Proxy(addresses.component) as proxy:
        component = Pgwamp(
            "run",
            environment={
                "DATABASE_URL": database.url,
                "PGWAMP_ROUTER__URL": proxy.url,
                "PGWAMP_EXPOSE__PROCEDURES": '["flooding"]',
                "PGWAMP_EXPOSE__PREFIX": prefix,
            },
            folder=tmp_path,
        )
        await component.start()
        memory = Memory(component.pid)
        received = 0

        def take(item: str) -> None:
            nonlocal received
            received += len(item)
            memory.now()

        try:
            # What a process needs once: buffers, code not yet loaded.
            await client.call(f"{prefix}.flood", [5], on_progress=take)
            before, received = memory.now(), 0
            call = asyncio.ensure_future(client.call(f"{prefix}.flood", [STREAM], on_progress=take))
            while not call.done():
                # Reads in bursts; a component that does not wait would run far ahead meanwhile.
                proxy.stall()
                await asyncio.sleep(0.5)
                memory.now()
                proxy.flow()
                await asyncio.wait({call}, timeout=0.2)
            await call
        finally:
            await component.stop()
    assert received == int(STREAM / ITEM) * int(ITEM * 2**20)
    assert memory.most - before < GROWTH, f"{before:.0f} MB grew to {memory.most:.0f} MB"
    print(f"{STREAM} MB streamed; memory from {before:.1f} to {memory.most:.1f} MB")
