"""From the COMMIT to the answer: nothing that happens there hides what is committed."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Awaitable, Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import asyncpg
import pytest
from autobahn.wamp.exception import ApplicationError
from autobahn.wamp.types import CallResult

from pgwamp.access import Caller
from pgwamp.component import Component
from pgwamp.database import committing, transactions
from pgwamp.database.lending import Lender
from pgwamp.database.pooled import PooledConnection
from pgwamp.errors import Unavailable
from pgwamp.session import Serving
from pgwamp.settings import LimitSettings
from tests.conftest import Database, Serve

TABLES = (
    "create table item (id int primary key, document json)",
    "create function add(i int) returns int language plpgsql as "
    "$$ begin insert into item values (i); return i; end $$",
    "create function adds(i int) returns setof int language plpgsql as "
    "$$ begin insert into item values (i); return next i; end $$",
    "create procedure plain(i int, inout o int default 7) language plpgsql as "
    "$$ begin insert into item values (i); end $$",
    "create procedure commits(i int, inout o int default 7) language plpgsql as "
    "$$ begin insert into item values (i); commit; end $$",
)
QUERIES = "-- name: added(i)^\ninsert into item (id) values (:i) returning id;\n"
MODULE = """
import asyncpg
import sqlalchemy as sa
from pgwamp import Result, register
from sqlalchemy.ext.asyncio import AsyncSession

@register("python")
async def python(connection: asyncpg.Connection, i: int) -> int:
    await connection.execute("insert into item values ($1)", i)
    return i

@register("session")
async def session(session: AsyncSession, i: int) -> int:
    await session.execute(sa.text("insert into item values (:i)"), {"i": i})
    return i

@register("generator")
async def generator(connection: asyncpg.Connection, i: int):
    await connection.execute("insert into item values ($1)", i)
    yield i

@register("ending")
async def ending(connection: asyncpg.Connection, i: int):
    yield i
    await connection.execute("insert into item values ($1)", i)
    yield Result("done", {"n": i})

@register("going_on")
async def going_on(connection: asyncpg.Connection, i: int):
    await connection.execute("insert into item values ($1)", i)
    yield Result("done")
    yield i

@register("failing")
async def failing(connection: asyncpg.Connection, i: int):
    yield Result("done")
    await connection.execute("insert into item values ($1)", i)
    raise ValueError("failed")

@register("large")
async def large(connection: asyncpg.Connection, i: int):
    await connection.execute("insert into item values ($1)", i)
    yield Result("x" * 1_000_001)
"""
#: JSON that is read in two parts, with a turn for others between them, and is no long text.
IN_PARTS = json.dumps([[]] * 2_600, separators=(",", ":"))
#: Arguments and keyword arguments of a call that writes the row with this key.
Arguments = Callable[[int], tuple[list[Any], dict[str, Any]]]
#: Ways to write a row, by a name: the procedure, its arguments, and whether the call asks for
#: progressive results.
WAYS: dict[str, tuple[str, Arguments, bool]] = {
    "one row": ("item.insert", lambda i: ([{"id": i}], {}), False),
    "one row, read in parts": (
        "item.insert", lambda i: ([{"id": i, "document": json.loads(IN_PARTS)}], {}), False),
    "a number of rows": ("item.insert", lambda i: ([{"id": i}], {"returning": False}), False),
    "two rows": ("item.insert", lambda i: ([[{"id": i}, {"id": -i}]], {}), False),
    "upsert": ("item.upsert", lambda i: ([{"id": i}], {}), False),
    "CSV": ("item.insert", lambda i: ([], {"csv": f"id\n{i}\n"}), False),
    "batch": ("batch", lambda i: ([[{"procedure": "add", "args": [i]}]], {}), False),
    "function": ("add", lambda i: ([i], {}), False),
    "function, progressive": ("add", lambda i: ([i], {}), True),
    "set": ("adds", lambda i: ([i], {}), False),
    "set, progressive": ("adds", lambda i: ([i], {}), True),
    "set as CSV": ("adds", lambda i: ([i], {"format": "csv"}), False),
    "SQL procedure": ("plain", lambda i: ([i], {}), False),
    "SQL procedure that commits": ("commits", lambda i: ([i], {}), False),
    "query": ("added", lambda i: ([i], {}), False),
    "python": ("python", lambda i: ([i], {}), False),
    "session": ("session", lambda i: ([i], {}), False),
    "generator": ("generator", lambda i: ([i], {}), False),
    "generator, progressive": ("generator", lambda i: ([i], {}), True),
    "generator with a result": ("ending", lambda i: ([i], {}), False),
    "generator with a result, progressive": ("ending", lambda i: ([i], {}), True),
}  # fmt: skip
#: Generators that write and end in an error, and whether they are called for progressive results.
FAILING = {
    "goes on after its result": ("going_on", False),
    "goes on after its result, progressive": ("going_on", True),
    "fails after its result": ("failing", False),
    "fails after its result, progressive": ("failing", True),
    "has too large a result, progressive": ("large", True),
}
#: Turns of the event loop in which a call is cancelled after its commit, at most.
MOST_TURNS = 40

Write = Callable[[int], Awaitable[Any]]
After = Callable[[PooledConnection], Awaitable[None]]


@pytest.fixture
async def component(
    serve: Serve, database: Database, tmp_path: Path, prefix: str, monkeypatch: pytest.MonkeyPatch
) -> Component:
    """Serve everything that may write."""
    database.execute(*TABLES)
    (tmp_path / "queries.sql").write_text(QUERIES)
    module = "after_commit_" + prefix.rpartition(".")[2]
    (tmp_path / f"{module}.py").write_text(MODULE)
    monkeypatch.syspath_prepend(str(tmp_path))
    return await serve(expose={"queries": str(tmp_path), "procedures": [module]})


def writer(component: Component, prefix: str, way: tuple[str, Arguments, bool]) -> Write:
    """Return a call as the router makes it; its answer is what is handed to the transport."""
    name, arguments, progressive = way
    uri = f"{prefix}.{name}"
    serving = Serving(LimitSettings(), "realm1", component.exposure.procedures)
    endpoint = serving.endpoint(uri, _room, 1_000_000)
    details: Any = SimpleNamespace(
        caller=1,
        caller_authid="anna",
        caller_authrole="anonymous",
        progress=(lambda _: None) if progressive else None,
    )

    async def write(key: int) -> Any:
        args, kwargs = arguments(key)
        return await endpoint(args, kwargs, details)

    return write


async def _room() -> None:
    """There is room in the transport."""


def after_commit(monkeypatch: pytest.MonkeyPatch, then: After) -> None:
    """Do something after each commit, before the call goes on."""
    commit, fetch = committing.commit, PooledConnection.fetch
    fetch_texts = transactions.fetch_texts

    async def commit_and_then(connection: PooledConnection, *, pooled: bool) -> None:
        await commit(connection, pooled=pooled)
        await then(connection)

    async def fetch_and_then(self: PooledConnection, query: str, *args: Any) -> Any:
        records = await fetch(self, query, *args)
        if query.startswith(("INSERT", "WITH")) and not self.is_in_transaction():
            await then(self)
        return records

    async def fetch_texts_and_then(connection: Any, *args: Any) -> Any:
        rows = await fetch_texts(connection, *args)
        await then(connection)
        return rows

    monkeypatch.setattr(committing, "commit", commit_and_then)
    monkeypatch.setattr(PooledConnection, "fetch", fetch_and_then)
    monkeypatch.setattr(transactions, "fetch_texts", fetch_texts_and_then)


@pytest.mark.parametrize("way", WAYS)
async def test_a_cancel_in_any_turn_after_the_commit_is_too_late(
    component: Component,
    database: Database,
    prefix: str,
    monkeypatch: pytest.MonkeyPatch,
    way: str,
) -> None:
    write = writer(component, prefix, WAYS[way])
    committed = asyncio.Event()

    async def tell(_: PooledConnection) -> None:
        committed.set()

    after_commit(monkeypatch, tell)
    expected = shape(await write(1_000))
    looking = await database.connect()
    cancelled = 0
    for turn in range(MOST_TURNS):
        committed.clear()
        writing = asyncio.ensure_future(write(turn + 1))
        async with asyncio.timeout(10):
            await committed.wait()
        for _ in range(turn):
            await asyncio.sleep(0)
        cancelled += writing.cancel()
        assert shape(await writing) == expected
        assert await looking.fetchval("select count(*) from item where id = $1", turn + 1) == 1
    # The last of these came when the call had been answered.
    assert 0 < cancelled < MOST_TURNS
    await looking.close()


@pytest.mark.parametrize("way", WAYS)
async def test_a_connection_that_ends_after_the_commit_changes_no_answer(
    component: Component,
    database: Database,
    prefix: str,
    monkeypatch: pytest.MonkeyPatch,
    way: str,
) -> None:
    write = writer(component, prefix, WAYS[way])
    looking = await database.connect()

    async def end(connection: PooledConnection) -> None:
        ended = asyncio.Event()
        connection.add_termination_listener(lambda _: ended.set())
        await looking.execute("select pg_terminate_backend($1)", connection.get_server_pid())
        async with asyncio.timeout(10):
            await ended.wait()

    expected = shape(await write(1_000))
    after_commit(monkeypatch, end)
    assert shape(await write(1)) == expected
    assert await looking.fetchval("select count(*) from item where id = 1") == 1
    await looking.close()


@pytest.mark.parametrize("way", FAILING)
async def test_a_generator_that_ends_in_an_error_has_changed_nothing(
    component: Component, database: Database, prefix: str, way: str
) -> None:
    name, progressive = FAILING[way]
    write = writer(component, prefix, (name, lambda i: ([i], {}), progressive))
    with pytest.raises(ApplicationError):
        await write(1)
    looking = await database.connect()
    assert await looking.fetchval("select count(*) from item") == 0
    await looking.close()


async def test_a_result_says_how_a_generator_ended(component: Component, prefix: str) -> None:
    for key, progressive, expected in ((1, False, [1]), (2, True, "done")):
        write = writer(component, prefix, ("ending", lambda i: ([i], {}), progressive))
        answer = await write(key)
        assert (answer.results, answer.kwresults) == ((expected,), {"n": key})


@pytest.mark.parametrize(
    "error",
    [
        asyncpg.ConnectionDoesNotExistError("lost"),
        asyncpg.InternalClientError("PoolConnectionHolder.release() called on a free holder"),
        AttributeError("a defect of the driver"),
    ],
    ids=repr,
)
async def test_a_connection_that_cannot_be_given_back_changes_no_answer(
    component: Component, prefix: str, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    async def fail(self: PooledConnection, *, timeout: float | None = None) -> None:
        raise error

    monkeypatch.setattr(PooledConnection, "reset", fail)
    for key, way in enumerate(("one row", "two rows", "batch")):
        await writer(component, prefix, WAYS[way])(key + 1)
    assert component.database.usage()["write"][0] == 0


async def test_a_connection_that_is_lost_as_it_is_taken_is_replaced(
    component: Component, database: Database, prefix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    acquired = Lender._acquired
    lost: list[Any] = []

    async def acquire_and_lose(self: Lender) -> Any:
        proxy = await acquired(self)
        if not lost:
            lost.append(proxy)
            proxy.terminate()
        return proxy

    monkeypatch.setattr(Lender, "_acquired", acquire_and_lose)
    for key, way in enumerate(("one row", "two rows", "function")):
        lost.clear()
        await writer(component, prefix, WAYS[way])(key + 1)
        assert lost


async def test_a_connection_that_is_lost_before_a_statement_is_no_defect(
    component: Component,
) -> None:
    database = component.database

    async def measure() -> None:
        async with database.transaction(Caller("realm1", "a.b"), read_only=False) as connection:
            connection.terminate()
            with database.measured(connection):
                await connection.fetch("select 1")

    with pytest.raises(Unavailable, match="try again"):
        await measure()


async def test_a_connection_that_is_lost_before_the_commit_has_changed_nothing(
    component: Component,
) -> None:
    writing = component.database.transaction(Caller("realm1", "a.b"), read_only=False)
    with pytest.raises(Unavailable, match="try again"):
        async with writing as connection:
            connection.terminate()


def shape(answer: Any) -> Any:
    """Return an answer without the key of the row."""
    if isinstance(answer, CallResult):
        return shape(list(answer.results)), shape(answer.kwresults)
    if isinstance(answer, list):
        return [shape(item) for item in answer]
    if isinstance(answer, dict):
        return {name: shape(value) for name, value in answer.items()}
    if isinstance(answer, str):
        return re.sub("[0-9]+", "0", answer)
    return 0 if type(answer) is int else answer
