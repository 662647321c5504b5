"""How many times a call waits for the server, counted on the wire."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from tests.conftest import Database
from tests.database.conftest import Expose

TABLE = (
    "create table item (id int primary key, name text)",
    "insert into item values (1, 'pen')",
    "create function stable_one() returns int language sql stable as 'select 1'",
    "create function one() returns int language sql as 'select 1'",
    "create function allowed() returns void language sql as ''",
)
QUERIES = "-- name: names\nselect name from item order by id"
MODULE = """
import asyncpg
import sqlalchemy as sa
from autobahn import wamp
from sqlalchemy.ext.asyncio import AsyncSession

@wamp.register("count_items")
async def count_items(connection: asyncpg.Connection) -> int:
    return await connection.fetchval("select count(*) from item")

@wamp.register("session_count")
async def session_count(session: AsyncSession) -> int:
    return await session.scalar(sa.text("select count(*) from item"))
"""


class Wire:
    """A proxy of PostgreSQL's protocol that counts what ends a round trip.

    ReadyForQuery does, and ParameterDescription where a statement is prepared.
    """

    def __init__(self, url: str):
        self._target = urlsplit(url)
        self._tasks: set[asyncio.Task[None]] = set()
        self._clients: list[asyncio.StreamWriter] = []
        self.trips = 0

    async def __aenter__(self) -> Wire:
        self._server = await asyncio.start_server(self._connected, "127.0.0.1")
        port = self._server.sockets[0].getsockname()[1]
        parts = self._target
        self.url = f"postgresql://{parts.username}@127.0.0.1:{port}{parts.path}?sslmode=disable"
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        for task in self._tasks:
            task.cancel()
        for client in self._clients:
            client.close()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._clients.append(writer)
        upstream = await asyncio.open_connection(self._target.hostname, self._target.port)
        for forward in (self._requests(reader, upstream[1]), self._answers(upstream[0], writer)):
            task = asyncio.create_task(forward)
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _requests(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(65536):
            writer.write(data)
        writer.close()

    async def _answers(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(asyncio.IncompleteReadError):
            while True:
                head = await reader.readexactly(5)
                self.trips += head[:1] in (b"Z", b"t")
                writer.write(head + await reader.readexactly(int.from_bytes(head[1:]) - 4))
        writer.close()


@pytest.fixture
async def wire(database: Database) -> AsyncIterator[Wire]:
    async with Wire(database.url) as opened:
        yield opened


async def count(wire: Wire, call: object) -> int:
    before = wire.trips
    await call  # type: ignore[misc]
    return wire.trips - before


NAMES = ("item.select", "item.insert", "stable_one", "one", "names", "count_items", "session_count")


@pytest.mark.parametrize(
    ("access", "expected"),
    [
        # To read a plain table is one statement, and so is a write of one row. Other calls send
        # claims before theirs, and what else may write commits when its answer is known to fit.
        ("none", (1, 1, 2, 3, 3, 3, 8)),
        ("roles", (2, 2, 2, 3, 3, 3, 8)),
        ("before", (3, 3, 3, 3, 3, 3, 8)),
    ],
)
async def test_a_call_takes_at_most_so_many_round_trips(
    expose: Expose,
    roles: list[str],
    wire: Wire,
    tmp_path: Path,
    prefix: str,
    monkeypatch: pytest.MonkeyPatch,
    access: str,
    expected: tuple[int, ...],
) -> None:
    (tmp_path / "shop.sql").write_text(QUERIES)
    module = "trips_" + prefix.rpartition(".")[2]
    (tmp_path / f"{module}.py").write_text(MODULE)
    monkeypatch.syspath_prepend(str(tmp_path))
    sections = {
        "none": {},
        "roles": {"roles": {"anonymous": roles[0]}},
        "before": {"roles": {"anonymous": roles[0]}, "before": "allowed"},
    }
    call = await expose(
        *TABLE,
        f"grant all on item to {roles[0]}",
        database={"url": wire.url},
        access=sections[access],
        expose={"queries": str(tmp_path), "procedures": [module]},
    )

    async def trips(name: str, key: int) -> int:
        arguments = ({"id": key, "name": "ink"},) if name == "item.insert" else ()
        return await count(wire, call(name, *arguments))

    # The first time each statement is prepared.
    for index, name in enumerate(NAMES):
        await trips(name, 10 + index)
    # Each on a connection that the same kind of call has left.
    found = []
    for index, name in enumerate(NAMES):
        await trips(name, 20 + index)
        found.append(await trips(name, 30 + index))
    assert tuple(found) == expected


async def test_a_verb_after_a_function_first_puts_the_connection_back(
    expose: Expose, wire: Wire
) -> None:
    call = await expose(*TABLE, database={"url": wire.url})
    await call("item.select")
    await call("stable_one")
    assert await count(wire, call("item.select")) == 2
    assert await count(wire, call("item.select")) == 1
