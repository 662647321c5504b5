"""Bounds of the component's memory, as PostgREST tests its own: large bodies, in and out."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import psutil
import pytest

from pgwamp.errors import CallError
from pgwamp.session import Client
from tests.conftest import Addresses, Connect, Database
from tests.processes import Pgwamp
from tests.session.proxy import Proxy

MB = 1_000_000
#: Size of the body -> megabytes that the peak may lie above what the component had before.
BOUNDS = [(1, 12), (10, 64), (15, 96)]

pytestmark = [pytest.mark.slow, pytest.mark.one_login]


class Component:
    """A component as a process, and how much memory a call makes it take."""

    def __init__(self, process: Pgwamp, client: Client, prefix: str):
        self._status = Path(f"/proc/{process.pid}")
        self._client = client
        self._prefix = prefix

    async def growth(self, name: str, *args: Any, **kwargs: Any) -> tuple[Any, float]:
        """Call, and say by how many megabytes the peak grew."""
        (self._status / "clear_refs").write_text("5")
        before = self._peak()
        answer = await self._client.call(f"{self._prefix}.{name}", args, kwargs)
        return answer, self._peak() - before

    def _peak(self) -> float:
        lines = (self._status / "status").read_text().splitlines()
        (line,) = (line for line in lines if line.startswith("VmHWM:"))
        return int(line.split()[1]) * 1024 / MB


@asynccontextmanager
async def running(
    database: Database, prefix: str, router: str, folder: Path
) -> AsyncIterator[Pgwamp]:
    process = Pgwamp(
        "run",
        environment={
            "DATABASE_URL": database.url,
            "PGWAMP_ROUTER__URL": router,
            "PGWAMP_EXPOSE__SCHEMAS": '["public"]',
            "PGWAMP_EXPOSE__PREFIX": prefix,
            "PGWAMP_LIMITS__MAX_BYTES": "16000000",
        },
        folder=folder,
    )
    await process.start()
    try:
        yield process
    finally:
        assert await process.stop() == 0, process.output


@pytest.fixture
async def component(
    addresses: Addresses, database: Database, prefix: str, connect: Connect, tmp_path: Path
) -> AsyncIterator[Component]:
    database.execute("create table doc (id int primary key, body text, raw bytea, data jsonb)")
    async with running(database, prefix, addresses.component, tmp_path) as process:
        client = await connect(url=addresses.component)
        component = Component(process, client, prefix)
        # What is loaded only once is no part of a body's cost.
        await component.growth("doc.insert", {"id": 0, "body": "x"})
        await component.growth("doc.select", {"id": 0}, include={})
        yield component


@pytest.mark.parametrize(("size", "bound"), BOUNDS)
async def test_a_large_body_stays_within_bounds(
    component: Component, size: int, bound: int
) -> None:
    body = "x" * (size * MB)
    _, inwards = await component.growth("doc.insert", {"id": 1, "body": body}, returning=["id"])
    row, outwards = await component.growth("doc.get", 1, columns=["body"])
    assert len(row["body"]) == size * MB
    print(f"\n{size} MB of text: {inwards:.0f} MB in, {outwards:.0f} MB out (at most {bound})")
    assert max(inwards, outwards) <= bound


@pytest.mark.parametrize(("size", "bound"), BOUNDS)
async def test_many_rows_stay_within_bounds(component: Component, size: int, bound: int) -> None:
    rows = [{"id": n, "body": "y" * 10_000} for n in range(1, size * 100 - 5)]
    _, inwards = await component.growth("doc.insert", rows, returning=False)
    found, outwards = await component.growth(
        "doc.select", {"id": {"gt": 0}}, ["id", "body"], limit=1000
    )
    whole, as_csv = await component.growth(
        "doc.select", {"id": {"gt": 0}}, ["id", "body"], limit=1000, format="csv"
    )
    assert len(found) == min(1000, len(rows))
    assert len(whole) > 9_000 * len(found)
    print(f"\n{size} MB of rows: {inwards:.0f} MB in, {outwards:.0f} MB out, {as_csv:.0f} MB as "
          f"CSV (at most {bound})")  # fmt: skip
    assert max(inwards, outwards, as_csv) <= bound


async def test_a_million_rows_to_a_slow_client_leave_memory_flat(
    addresses: Addresses, database: Database, prefix: str, connect: Connect, tmp_path: Path
) -> None:
    database.execute(
        "create view million as select n as id, 'row ' || n as name, n * 2 as twice "
        "from generate_series(1, 1000000) as n"
    )
    client = await connect(url=addresses.component)
    async with (
        Proxy(addresses.component) as proxy,
        running(database, prefix, proxy.url, tmp_path) as process,
    ):
        received = 0

        def take(rows: list[dict[str, Any]]) -> None:
            nonlocal received
            received += len(rows)

        def stream(**asked: Any) -> asyncio.Future[Any]:
            call = client.call(f"{prefix}.million.select", [], asked, take)
            return asyncio.ensure_future(call)

        await stream(limit=5000)
        memory = psutil.Process(process.pid).memory_info
        before = most = memory().rss / MB
        received = 0
        call = stream()
        while not call.done():
            # What reads slowly is read from slowly: the proxy stands still now and then.
            proxy.stall()
            await asyncio.sleep(0.2)
            proxy.flow()
            await asyncio.wait({call}, timeout=0.5)
            most = max(most, memory().rss / MB)
        await call
        assert received == 1_000_000
        print(f"\na million rows: memory from {before:.0f} to {most:.0f} MB")
        assert most - before <= 32

        # A client that vanishes frees the cursor.
        gone = await connect(url=addresses.component)
        began = asyncio.Event()
        vanishing = asyncio.ensure_future(
            gone.call(f"{prefix}.million.select", [], {}, lambda _: began.set())
        )
        async with asyncio.timeout(10):
            await began.wait()
        watcher = await database.connect()
        busy = (
            "select count(*) from pg_stat_activity where datname = current_database() "
            "and application_name = 'pgwamp' and state <> 'idle'"
        )
        assert await watcher.fetchval(busy) == 1
        await gone.__aexit__(None, None, None)
        async with asyncio.timeout(1):
            while await watcher.fetchval(busy):
                pass
        await watcher.close()
        with contextlib.suppress(CallError):
            await vanishing
