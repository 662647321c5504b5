"""Fixtures of every test: servers once per run, a database and a URI prefix per test."""

from __future__ import annotations

import asyncio
import json
import os
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AsyncExitStack
from dataclasses import asdict, dataclass
from types import ModuleType, SimpleNamespace
from typing import Any

import asyncpg
import pytest

from pgwamp import logs
from pgwamp.component import Component
from pgwamp.dev.postgres import Postgres
from pgwamp.dev.router import Router
from pgwamp.session import Client
from pgwamp.settings import RouterSettings, Settings
from tests.servers import (
    CALLS,
    EVENTS,
    FAST,
    SUPERUSERS_TEMPLATE,
    TEMPLATE,
    Addresses,
    Servers,
    execute,
    postgres_bin,
    server_folder,
)

_KEY = "pgwamp_addresses"

# Before a test listens to the log; without it tracebacks take seconds, with all variables.
logs.begin()

# What the shell of whoever runs the tests has configured is no part of them.
for _name in [n for n in os.environ if n.startswith("PGWAMP_") or n == "DATABASE_URL"]:
    if not _name.startswith(("PGWAMP_TEST_", "PGWAMP_CROSSBAR")):
        del os.environ[_name]


def pytest_sessionstart(session: pytest.Session) -> None:
    """Start the servers in the one process that starts everything."""
    if hasattr(session.config, "workerinput") or session.config.option.collectonly:
        return
    servers = Servers()
    session.config.stash[_SERVERS] = servers
    session.config.stash[_ADDRESSES] = servers.start()


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Stop them again."""
    servers = session.config.stash.get(_SERVERS, None)
    if servers is not None:
        servers.stop()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Run first what may take longest, so that the end waits for no single test."""

    def longest(item: pytest.Item) -> float:
        marker = item.get_closest_marker("timeout")
        return 0 if marker is None else marker.args[0]

    items.sort(key=longest, reverse=True)


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: Any) -> None:
    """Tell an xdist worker where the servers are."""
    node.workerinput[_KEY] = json.dumps(asdict(node.config.stash[_ADDRESSES]))


_SERVERS = pytest.StashKey[Servers]()
_ADDRESSES = pytest.StashKey[Addresses]()


@pytest.fixture(scope="session")
def addresses(request: pytest.FixtureRequest) -> Addresses:
    """Where PostgreSQL and Crossbar of this run are."""
    worker = getattr(request.config, "workerinput", None)
    if worker is not None:
        return Addresses(**json.loads(worker[_KEY]))
    return request.config.stash[_ADDRESSES]


@dataclass(frozen=True)
class Database:
    """A database of one test, with the wamp schema."""

    url: str
    name: str

    def execute(self, *statements: str) -> None:
        """Run statements, each in its own transaction."""
        execute(self.url, *statements)

    async def connect(self) -> asyncpg.Connection[Any]:
        """A plain connection, as an application has it."""
        return await asyncpg.connect(self.url)


@pytest.fixture
def database(addresses: Addresses, request: pytest.FixtureRequest) -> Iterator[Database]:
    """A fresh database with the wamp schema, which belongs to the login of events.

    Marked ``one_login``, a test gets a schema that belongs to the superuser of ``database.url``.
    """
    one = request.node.get_closest_marker("one_login")
    template = TEMPLATE if one is None else SUPERUSERS_TEMPLATE
    name = f"t_{uuid.uuid4().hex[:12]}"
    admin = addresses.database("postgres")
    # Copies of files cost less processor time than pages in the WAL.
    copied = f"template {template} strategy file_copy"
    execute(admin, f"create database {name} owner {EVENTS} {copied}")
    url = addresses.database(name)
    yield Database(url, name)
    execute(admin, f"drop database {name} with (force)")


@pytest.fixture
def prefix() -> str:
    """A URI prefix of the test's own, below what the router's roles allow."""
    return f"com.example.t{uuid.uuid4().hex[:10]}"


MakeSettings = Callable[..., Settings]


@pytest.fixture
def make_settings(addresses: Addresses, database: Database, prefix: str) -> MakeSettings:
    """Settings for the test's database, router and prefix; sections can be overridden."""

    def make(**sections: dict[str, Any]) -> Settings:
        base: dict[str, dict[str, Any]] = {
            # Two logins, as docs/security.md has it.
            "database": {
                "url": addresses.database(database.name, CALLS),
                "events_url": addresses.database(database.name, EVENTS),
                "pool_min": 1,
                "pool_max": 5,
            },
            "router": {"url": addresses.component},
            "expose": {"prefix": prefix, "schemas": ["public"]},
        }
        for name, values in sections.items():
            base[name] = {**base.get(name, {}), **values}
        return Settings.load(None, **base)

    return make


Serve = Callable[..., Awaitable[Component]]


@pytest.fixture
async def serve(make_settings: MakeSettings) -> AsyncIterator[Serve]:
    """Start components in this process; they stop when the test ends."""
    async with AsyncExitStack() as stack:

        async def start(**sections: dict[str, Any]) -> Component:
            component = Component(make_settings(**sections), patience=5)
            return await stack.enter_async_context(component)

        yield start


Connect = Callable[..., Awaitable[Client]]
Observe = Callable[[str], Awaitable[None]]


@pytest.fixture
async def connect(addresses: Addresses) -> AsyncIterator[Connect]:
    """WAMP clients over the WebSocket, as users have them."""
    async with AsyncExitStack() as stack:

        async def start(
            serializer: str = "cbor", url: str = addresses.clients, realm: str = "realm1"
        ) -> Client:
            settings = RouterSettings(url=url, realm=realm, serializer=serializer)  # type: ignore[arg-type]
            return await stack.enter_async_context(Client(settings))

        yield start


Received = list[tuple[str, list[Any], dict[str, Any]]]


class Events:
    """Events that a subscription received (topic, args, kwargs), to be waited for."""

    def __init__(self) -> None:
        self.received: Received = []
        self._signal = asyncio.Event()

    def __call__(self, topic: str, args: list[Any], kwargs: dict[str, Any]) -> None:
        self.received.append((topic, args, kwargs))
        self._signal.set()

    async def until(
        self,
        enough: Callable[[list[tuple[str, list[Any], dict[str, Any]]]], bool],
        seconds: float = 10,
    ) -> list[tuple[str, list[Any], dict[str, Any]]]:
        """Wait until what was received is ``enough``; fail after ``seconds``."""
        async with asyncio.timeout(seconds):
            while not enough(self.received):
                self._signal.clear()
                await self._signal.wait()
        return self.received

    async def count(self, number: int, seconds: float = 10) -> list[dict[str, Any]]:
        """Wait for ``number`` events and return the kwargs of all."""
        await self.until(lambda received: len(received) >= number, seconds)
        return [kwargs for _, _, kwargs in self.received]


@pytest.fixture
def events() -> Events:
    """A handler for subscriptions."""
    return Events()


@pytest.fixture
async def observe(database: Database) -> AsyncIterator[Observe]:
    """Wait until the database says that a condition holds; the server does the waiting."""
    connection = await database.connect()

    async def until(condition: str) -> None:
        async with asyncio.timeout(10):
            await connection.execute(
                "do $do$ begin perform pg_stat_clear_snapshot(); "
                f"while not ({condition}) loop perform pg_sleep(0.01); "
                "perform pg_stat_clear_snapshot(); end loop; end $do$"
            )

    try:
        yield until
    finally:
        await connection.close()


@pytest.fixture
def own_postgres() -> Iterator[Postgres]:
    """A PostgreSQL of the test's own, to be killed and restarted."""
    # Durable: it is about to crash.
    options = {**FAST, "fsync": "on", "full_page_writes": "on"}
    with (
        server_folder() as folder,
        Postgres(folder / "data", bin=postgres_bin(), options=options, trust=True) as server,
    ):
        yield server


@pytest.fixture
def own_router() -> Iterator[Router]:
    """A Crossbar.io node of the test's own, to be killed and restarted."""
    with server_folder() as folder, Router(folder / "node", port=0) as router:
        yield router


PausesOf = Callable[[ModuleType], list[float]]


@pytest.fixture
def pauses_of(monkeypatch: pytest.MonkeyPatch) -> PausesOf:
    """Collect the sleeps of a module that takes nothing else of asyncio: its breaks."""

    def watch(module: ModuleType) -> list[float]:
        pauses: list[float] = []

        async def sleep(seconds: float) -> None:
            pauses.append(seconds)
            await asyncio.sleep(seconds)

        monkeypatch.setattr(module, "asyncio", SimpleNamespace(sleep=sleep))
        return pauses

    return watch
