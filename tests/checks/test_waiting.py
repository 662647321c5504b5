"""The start says what it waits for, and a replica that is missing does not stop it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from pgwamp import component as component_module
from pgwamp.component import TOLD_SECONDS, Component
from pgwamp.database import replica as replica_module
from pgwamp.settings import Settings
from tests.checks.conftest import Said, ask
from tests.conftest import Connect, Database, MakeSettings
from tests.servers import CALLS, Addresses
from tests.session.proxy import Proxy


@asynccontextmanager
async def silent() -> AsyncIterator[int]:
    """The port of a server that takes connections and says nothing."""
    writers = []
    server = await asyncio.start_server(lambda _, writer: writers.append(writer), "127.0.0.1", 0)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        for writer in writers:
            writer.close()


@asynccontextmanager
async def starting(settings: Settings, **options: Any) -> AsyncIterator[asyncio.Task[Any]]:
    """A component that is starting, and is stopped at the end."""
    component = Component(settings, **options)
    task = asyncio.create_task(component.__aenter__())
    try:
        yield task
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        await component.stop()


def test_it_is_said_within_two_seconds() -> None:
    assert TOLD_SECONDS < 2


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(component_module, "TOLD_SECONDS", 0.05)
    monkeypatch.setattr(replica_module, "LOOK_SECONDS", 0.1)


async def test_a_database_that_is_down_is_named_at_once_with_the_reason(
    make_settings: MakeSettings, said: Said
) -> None:
    settings = make_settings(database={"url": "postgresql://app@127.0.0.1:1/app"})
    async with starting(settings):
        entry = await said.until("waiting for the database")
    assert entry["problem"].startswith("no PostgreSQL answers at 127.0.0.1:1: start it, or correct")
    assert "DATABASE_URL" in entry["problem"]
    assert len(said.of("waiting for the database")) == 1


async def test_the_login_of_events_is_blamed_for_what_is_its_own(
    make_settings: MakeSettings, said: Said
) -> None:
    settings = make_settings(database={"events_url": "postgresql://app@127.0.0.1:1/app"})
    async with starting(settings):
        entry = await said.until("waiting for the database")
    assert "database.events_url" in entry["problem"]


async def test_a_database_that_says_nothing_is_named(
    make_settings: MakeSettings, said: Said
) -> None:
    async with silent() as port:
        settings = make_settings(database={"url": f"postgresql://app@127.0.0.1:{port}/app"})
        async with starting(settings):
            entry = await said.until("the start waits")
    assert entry["waits_for"] == "PostgreSQL"
    assert f"127.0.0.1:{port}" in entry["at"]


async def test_a_router_that_says_nothing_is_named(make_settings: MakeSettings, said: Said) -> None:
    async with silent() as port:
        url = f"ws://127.0.0.1:{port}/ws"
        async with starting(make_settings(router={"url": url})):
            entry = await said.until("the start waits", waits_for="the router")
    assert entry["at"] == url


async def test_a_router_that_is_down_is_named_with_the_reason(
    make_settings: MakeSettings, said: Said
) -> None:
    async with starting(make_settings(router={"url": "ws://127.0.0.1:1/ws"})):
        entry = await said.until("not joined, trying again")
    assert entry["problem"].startswith("no router answers at ws://127.0.0.1:1/ws: start it")


@pytest.fixture
async def replica(addresses: Addresses) -> AsyncIterator[Proxy]:
    """A way to the server that can be cut, in the place of a replica."""
    async with Proxy(addresses.postgres) as proxy:
        yield proxy


@pytest.fixture
def replicated(make_settings: MakeSettings, database: Database, replica: Proxy) -> Settings:
    """Reads go to the replica."""
    port = replica.url.rpartition(":")[2].rstrip("/")
    url = f"postgresql://{CALLS}@127.0.0.1:{port}/{database.name}"
    return make_settings(database={"replica_url": url})


async def test_a_replica_that_is_missing_does_not_stop_the_start(
    replicated: Settings, replica: Proxy, database: Database, connect: Connect, said: Said
) -> None:
    database.execute("create table item (id int primary key)", "insert into item values (1)")
    replica.refuse()
    count = f"{replicated.expose.prefix}.item.count"
    async with Component(replicated):
        entry = await said.until("reads go to the primary until the replica is back")
        assert "database.replica_url" in entry["problem"]
        client = await connect()
        assert await client.call(count) == 1
        assert replica.accepted == 0
        await replica.accept()
        await said.until("reads go to the replica again")
        seen = replica.accepted
        assert await client.call(count) == 1
        assert replica.accepted >= seen > 0


async def test_reads_go_on_when_the_replica_is_lost(
    replicated: Settings, replica: Proxy, database: Database, connect: Connect, said: Said
) -> None:
    database.execute("create table item (id int primary key)", "insert into item values (1)")
    count = f"{replicated.expose.prefix}.item.count"
    async with Component(replicated):
        client = await connect()
        assert await client.call(count) == 1
        assert replica.accepted > 0
        replica.refuse()
        replica.cut()
        assert await client.call(count) == 1
        await said.until("reads go to the primary until the replica is back")


async def test_check_says_that_the_replica_is_missing(replicated: Settings, replica: Proxy) -> None:
    replica.refuse()
    answers = await ask(replicated)
    assert answers.start is None
    answers.said("database.replica_url (")
    await replica.accept()
    assert (await ask(replicated)).check == []


async def test_a_replica_of_another_database_is_not_taken(
    replicated: Settings, replica: Proxy, said: Said, monkeypatch: pytest.MonkeyPatch
) -> None:
    replica.refuse()
    identities = iter([(1, 1), (2, 2)])

    async def identity_of(_: Any) -> tuple[int, int]:
        return next(identities, (2, 2))

    async with Component(replicated):
        await said.until("reads go to the primary until the replica is back")
        monkeypatch.setattr(replica_module, "identity_of", identity_of)
        await replica.accept()
        other = "database.replica_url is another database than DATABASE_URL: correct "
        problem = other + "database.replica_url"
        await said.until("the replica is not back", problem=problem)
