"""Bounds of the component's memory, as PostgREST tests its own: large bodies, in and out."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from pgwamp.session import Client
from tests.conftest import Addresses, Connect, Database
from tests.processes import Pgwamp

MB = 1_000_000
#: Size of the body -> megabytes that the peak may lie above what the component had before.
BOUNDS = [(1, 12), (10, 64), (15, 96)]

pytestmark = pytest.mark.slow


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


@pytest.fixture
async def component(
    addresses: Addresses, database: Database, prefix: str, connect: Connect, tmp_path: Path
) -> AsyncIterator[Component]:
    database.execute("create table doc (id int primary key, body text, raw bytea, data jsonb)")
    process = Pgwamp(
        "run",
        environment={
            "DATABASE_URL": database.url,
            "PGWAMP_ROUTER__URL": addresses.component,
            "PGWAMP_EXPOSE__SCHEMAS": '["public"]',
            "PGWAMP_EXPOSE__PREFIX": prefix,
            "PGWAMP_LIMITS__MAX_BYTES": "16000000",
        },
        folder=tmp_path,
    )
    await process.start()
    client = await connect(url=addresses.component)
    component = Component(process, client, prefix)
    # What is loaded only once is no part of a body's cost.
    await component.growth("doc.insert", {"id": 0, "body": "x"})
    await component.growth("doc.select", {"id": 0}, include={})
    yield component
    assert await process.stop() == 0


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
