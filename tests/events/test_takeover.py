"""Two processes: when the one that publishes dies or stops, the other goes on in its place."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from pgwamp.eventlog import lease as leases
from tests.conftest import Connect, Database, Serve
from tests.processes import Pgwamp
from tests.servers import EVENTS, Addresses

#: Seconds between two writes: so exact is the time that is measured.
EVERY = 0.005


@dataclass
class Stream:
    """Rows written one after the other, and when each was committed and received."""

    written: dict[int, float] = field(default_factory=dict)
    received: dict[int, float] = field(default_factory=dict)
    duplicates: int = 0
    news: asyncio.Event = field(default_factory=asyncio.Event)

    def on_event(self, _topic: str, _args: list[Any], event: dict[str, Any]) -> None:
        """Note when a row's event came first."""
        number = event["key"]["id"]
        if number in self.received:
            self.duplicates += 1
        else:
            self.received[number] = time.monotonic()
        self.news.set()

    async def write(self, connection: asyncpg.Connection[Any]) -> None:
        """Write until cancelled."""
        while True:
            number = len(self.written) + 1
            await connection.execute("insert into item values ($1)", number)
            self.written[number] = time.monotonic()
            await asyncio.sleep(EVERY)

    async def first_after(self, moment: float, seconds: float) -> float:
        """When the first row that was written after ``moment`` was received."""
        async with asyncio.timeout(seconds):
            while True:
                for number, written in self.written.items():
                    if written > moment and number in self.received:
                        return self.received[number]
                self.news.clear()
                await self.news.wait()

    async def all(self, seconds: float) -> set[int]:
        """Wait until everything written was received; what was not is lost."""
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                while not self.written.keys() <= self.received.keys():
                    self.news.clear()
                    await self.news.wait()
        return self.written.keys() - self.received.keys()

    def longest_gap(self, since: float) -> float:
        """The longest time without an event since a moment."""
        times = [since, *(t for t in self.received.values() if t > since)]
        return max(b - a for a, b in pairwise(times))


@pytest.fixture
async def instances(
    addresses: Addresses, database: Database, prefix: str, tmp_path: Path
) -> AsyncIterator[list[Pgwamp]]:
    """The publishing instance and a second one."""
    database.execute("create table item (id int primary key)", "select wamp.watch('item')")
    environment = {
        "DATABASE_URL": database.url,
        "PGWAMP_DATABASE__EVENTS_URL": addresses.database(database.name, EVENTS),
        "PGWAMP_ROUTER__URL": addresses.component,
        "PGWAMP_EXPOSE__PREFIX": prefix,
        "PGWAMP_EXPOSE__SCHEMAS": '["public"]',
    }
    processes = [Pgwamp("run", environment=environment, folder=tmp_path) for _ in range(2)]
    try:
        await processes[0].start('"event": "publishing"')
        await processes[1].start()
        yield processes
    finally:
        for process in processes:
            await process.kill()


@pytest.mark.slow
@pytest.mark.parametrize("how", ["kill -9", "SIGTERM"])
async def test_the_other_instance_goes_on_within_seconds_and_loses_nothing(
    how: str, instances: list[Pgwamp], connect: Connect, database: Database, prefix: str
) -> None:
    leader, other = instances
    client = await connect()
    stream = Stream()
    await client.subscribe(f"{prefix}.item.", stream.on_event, "prefix")
    connection = await database.connect()
    writing = asyncio.create_task(stream.write(connection))
    try:
        await stream.first_after(time.monotonic() + 0.5, 10)
        began = time.monotonic()
        await (leader.kill() if how == "kill -9" else leader.stop())
        # Nobody else can have published what was written since.
        ended = time.monotonic()
        took = await stream.first_after(ended, 10) - began
        await stream.first_after(ended + 0.5, 10)
    finally:
        writing.cancel()
        with suppress(asyncio.CancelledError):
            await writing
    lost = await stream.all(10)
    await connection.close()
    gap = stream.longest_gap(began)
    print(
        f"\ntakeover after {how}: first event of the other after {took * 1000:.0f} ms, "
        f"longest time without one {gap * 1000:.0f} ms, "
        f"{len(stream.written)} written, {stream.duplicates} duplicates, {len(lost)} lost"
    )
    assert "publishing" in other.output
    assert not lost
    assert took < 5
    if how == "SIGTERM":
        assert gap < 1
        assert stream.duplicates == 0, "an orderly hand-over repeats nothing"


async def test_an_instance_that_stops_says_so_to_the_next(
    serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(leases, "RETRY_SECONDS", 3600)
    first = await serve()
    async with asyncio.timeout(10):
        await first.publisher.leading.wait()
    second = await serve()
    await first.stop()
    async with asyncio.timeout(10):
        await second.publisher.leading.wait()


async def test_who_loses_the_lead_publishes_nothing_after_the_next(
    serve: Serve,
    connect: Connect,
    database: Database,
    prefix: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(leases, "RETRY_SECONDS", 0.01)
    database.execute("create table item (id int primary key)", "select wamp.watch('item')")
    await serve()
    await serve()
    client = await connect()
    received: list[int] = []
    begun, all_came = asyncio.Event(), asyncio.Event()

    def on_event(_topic: str, _args: list[Any], event: dict[str, Any]) -> None:
        received.append(event["key"]["id"])
        begun.set()
        if received[-1] == 3000:
            all_came.set()

    await client.subscribe(f"{prefix}.item.", on_event, "prefix")
    connection = await database.connect()
    await connection.execute("insert into item select generate_series(1, 3000)")
    await begun.wait()
    await connection.execute(
        "select pg_terminate_backend(pid) from pg_stat_activity where datname = current_database() "
        "and application_name like 'pgwamp lease publisher%'"
    )
    await asyncio.wait_for(all_came.wait(), 20)
    await connection.close()
    # What the next one begins with came before; from there on everything is in order.
    turns = [number for number, (a, b) in enumerate(pairwise(received), 1) if b <= a]
    assert len(turns) <= 1
    assert set(received) == set(range(1, 3001))
