"""Databases with watched tables, and a sequencer that looks when it is told to."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import timedelta
from typing import Any

import asyncpg
import pytest

from pgwamp.database.connect import connect_directly
from pgwamp.dev.postgres import Postgres
from pgwamp.eventlog.body import read_body
from pgwamp.eventlog.evaluator import Evaluator
from pgwamp.eventlog.lease import Leases
from pgwamp.eventlog.log import LoggedEvent, read_page
from pgwamp.eventlog.position import START, Position
from pgwamp.eventlog.sequencer import BY_INDEX, NAME
from pgwamp.eventlog.sequencing import Sequencing
from pgwamp.eventlog.telling import Telling
from tests.conftest import Database
from tests.eventlog.site import Site
from tests.servers import server_folder

RETAIN = timedelta(hours=1)


class Log:
    """The log of one database, and what makes it.

    :ivar connection: of a superuser, who writes.
    """

    def __init__(self, database: Database, connection: asyncpg.Connection[Any]):
        self.database = database
        self.connection = connection

    async def execute(self, *statements: str) -> None:
        """Run statements, each in its own transaction."""
        for statement in statements:
            await self.connection.execute(statement)

    @asynccontextmanager
    async def sequencing(self) -> AsyncIterator[Sequencing]:
        """A sequencer that holds the lease, and only does what it is told."""
        async with Leases(self.database.url, NAME).held() as lease, AsyncExitStack() as stack:
            connections = []
            for _ in range(2):
                connection = await connect_directly(self.database.url, **BY_INDEX)
                stack.callback(connection.terminate)
                connections.append(connection)
            evaluator = Evaluator(self.database.url)
            stack.callback(evaluator.close)
            telling = Telling(self.database.url)
            stack.push_async_callback(telling.close)
            sequencing = Sequencing(
                *connections,
                lease,
                RETAIN,
                evaluator=evaluator,
                telling=telling,
                bigint_as_string=False,
                logged=lambda: None,
            )
            await sequencing.start()
            yield sequencing

    async def take(self) -> None:
        """Make events of all that is committed, and of what is told anew because of it."""
        async with self.sequencing() as sequencing:
            while await sequencing.look() or await sequencing.telling.ended():
                pass

    async def events(self, after: Position = START) -> list[LoggedEvent]:
        """The events after a position, without markers."""
        found: list[LoggedEvent] = []
        more = True
        while more:
            page = await read_page(self.connection, after, 1000, largest=100_000_000)
            found += page.events
            after, more = page.end, page.more
        return [event for event in found if event.is_of_interest]

    async def told(self, after: Position = START) -> list[tuple[str, dict[str, Any]]]:
        """Operation and values of the events after a position, made of what is committed."""
        await self.take()
        return [(event.op, read_body(event.body or "{}")) for event in await self.events(after)]


async def require_virtual_columns(log: Log) -> None:
    """Skip the test on a server without them."""
    if int(await log.connection.fetchval("show server_version_num")) < 180000:
        pytest.skip("no virtual columns before PostgreSQL 18")


class Copy:
    """A copy of tables that is kept by their events, as a subscriber does.

    A row of which only the key is told is looked up at the end.
    """

    def __init__(self) -> None:
        self.rows: dict[tuple[str | None, str], dict[str, Any]] = {}
        self.unclear: set[tuple[str | None, str]] = set()

    def apply(self, event: LoggedEvent) -> None:
        """Apply an event; it has to fit what was told before."""
        body = read_body(event.body or "{}")
        if event.op == "truncate":
            self.rows = {key: row for key, row in self.rows.items() if key[0] != event.table}
            return
        key = event.table, json.dumps(body["key"])
        if "truncated" in body:
            self.unclear.add(key)
            self.rows.pop(key, None)
            return
        before = {**body["key"], **body["old"]} if event.op == "update" else body["key"]
        former = event.table, json.dumps({name: before[name] for name in body["key"]})
        known = self.rows.pop(former, None)
        if not {key, former} & self.unclear:
            assert (known is None) == (event.op == "insert"), (event.op, former, known)
        if event.op != "delete":
            if key not in self.unclear:
                assert key not in self.rows, (event.op, key)
            self.rows[key] = body["new"]


@pytest.fixture
async def log(database: Database) -> AsyncIterator[Log]:
    """The log of the test's database."""
    connection = await database.connect()
    yield Log(database, connection)
    await connection.close()


@pytest.fixture(scope="session")
def pristine() -> Iterator[Postgres]:
    """A server with a watched table that is stopped, to be copied."""
    with server_folder() as folder, Site(folder) as site:
        if not site.has("pg_basebackup"):
            pytest.skip("this PostgreSQL came without pg_basebackup")
        server = site.new("pristine")
        server.stop()
        yield server


@pytest.fixture
def site(pristine: Postgres) -> Iterator[Site]:
    """A folder with the data of a primary."""
    with server_folder() as folder, Site(folder) as site:
        site.copy(pristine, "primary")
        yield site


@pytest.fixture
def primary(site: Site) -> Postgres:
    """A primary with a watched table."""
    server = site.server("primary")
    server.start()
    return server
