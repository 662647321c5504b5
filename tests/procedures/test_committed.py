"""What answers an error has changed nothing; where that cannot be, the error says so."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from pgwamp.access import Caller
from pgwamp.database.pools import Pools
from pgwamp.errors import OutcomeUnknown
from pgwamp.session import Call
from tests.conftest import Database, Serve
from tests.procedures.conftest import Start

TOO_LARGE = "wamp.error.payload_size_exceeded"
UNKNOWN = "pgwamp.error.transaction_resolution_unknown"
MOST = 50_000
LIMITS = {"max_bytes": MOST, "max_rows": 10}
#: A text that JSON writes as six times as many octets; the other serializers as it is.
CONTROLS = "\x01" * (MOST // 5)
TABLES = (
    "create table item (id int primary key, name text, n int default 0)",
    f"insert into item select n, repeat('x', {MOST // 2}) from generate_series(1, 3) as n",
    "create function large() returns setof text language sql as "
    "$$ update item set n = n + 1 returning name $$",
    "create function many() returns setof int language sql as "
    "$$ update item set n = n + 1; select generate_series(1, 11) $$",
    "create function one() returns item language sql as "
    "$$ update item set n = n + 1, name = repeat(name, 3) where id = 1 returning item $$",
    "create procedure plain(out t text) language plpgsql as $$ begin "
    f"update item set n = n + 1; t := repeat('x', {MOST}); end $$",
    "create procedure commits(out t text, fails bool default false) language plpgsql as $$ begin "
    "update item set n = n + 1; commit; update item set n = n + 10; "
    f"if fails then raise 'failed'; end if; t := repeat('x', {MOST}); end $$",
)
QUERIES = """
-- name: written()
update item set n = n + 1 returning name;

-- name: first()^
update item set n = n + 1, name = name || name || name where id = 1 returning name;

-- name: value()$
update item set n = n + 1, name = name || name || name where id = 1 returning name;
"""
MODULE = f"""
import asyncpg
from autobahn import wamp
from pgwamp.session import Result

@wamp.register("python")
async def python(connection: asyncpg.Connection) -> str:
    await connection.execute("update item set n = n + 1")
    return "x" * {MOST}

@wamp.register("keywords")
async def keywords(connection: asyncpg.Connection) -> Result:
    await connection.execute("update item set n = n + 1")
    return Result(1, {{"text": "x" * {MOST}}})

@wamp.register("generated")
async def generated(connection: asyncpg.Connection) -> str:
    for _ in range(3):
        await connection.execute("update item set n = n + 1")
        yield "\\x01" * {MOST // 5}

@wamp.register("foreign")
async def foreign(connection: asyncpg.Connection) -> int:
    await connection.execute("update item set n = n + 1")
    return 2**70
"""
LARGE: list[tuple[str, list[Any], dict[str, Any]]] = [
    ("item.update", [{"n": 1}, {}], {}),
    ("item.update", [{"n": 1}, {}], {"max_affected": 3}),
    ("item.update", [], {"rows": [{"id": n, "n": 1} for n in (1, 2, 3)]}),
    ("item.update", [{"name": CONTROLS}, {"id": 1}], {}),
    ("item.insert", [{"id": 9, "name": "y" * MOST}], {}),
    ("item.insert", [{"id": 9, "name": CONTROLS}], {}),
    ("item.upsert", [{"id": 1, "name": "y" * MOST}], {}),
    ("item.delete", [{}], {}),
    ("item.delete", [{}], {"order": ["id"]}),
    ("batch", [[{"procedure": "item.delete", "args": [{}]}]], {}),
    ("batch", [[{"procedure": "item.update", "args": [{"name": CONTROLS}, {"id": 1}]}]], {}),
    ("large", [], {}),
    ("large", [], {"format": "csv"}),
    ("one", [], {}),
    ("plain", [], {}),
    ("written", [], {}),
    ("first", [], {}),
    ("value", [], {}),
    ("python", [], {}),
    ("keywords", [], {}),
    ("generated", [], {}),
]


async def start(api: Start, folder: Path, prefix: str, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Serve everything that may write."""
    (folder / "queries.sql").write_text(QUERIES)
    module = "committed_" + prefix.rpartition(".")[2]
    (folder / f"{module}.py").write_text(MODULE)
    monkeypatch.syspath_prepend(str(folder))
    return await api(
        *TABLES, limits=LIMITS, expose={"queries": str(folder), "procedures": [module]}
    )


@asynccontextmanager
async def unchanged(database: Database) -> AsyncIterator[None]:
    """Expect that the table has the same rows afterwards."""
    connection = await database.connect()
    rows = "select md5(array_agg(item order by id)::text) from item"
    before = await connection.fetchval(rows)
    yield
    assert await connection.fetchval(rows) == before
    await connection.close()


async def test_an_answer_that_may_be_too_large_has_changed_nothing(
    api: Start, database: Database, tmp_path: Path, prefix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    call = await start(api, tmp_path, prefix, monkeypatch)
    for name, args, kwargs in LARGE:
        async with unchanged(database):
            await call.fails(TOO_LARGE, name, *args, **kwargs)


async def test_too_many_rows_of_a_function_have_changed_nothing(
    api: Start, database: Database, tmp_path: Path, prefix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    call = await start(api, tmp_path, prefix, monkeypatch)
    async with unchanged(database):
        error = await call.fails("pgwamp.error.too_many_rows", "many")
        assert "nothing was changed" in error.message
        await call.fails("pgwamp.error.internal", "foreign")


async def test_the_error_of_a_procedure_that_commits_by_itself_says_so(
    api: Start, database: Database, tmp_path: Path, prefix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    call = await start(api, tmp_path, prefix, monkeypatch)
    connection = await database.connect()
    for fails, uri, written in (
        (True, "pgwamp.error.raise_exception", 1),
        (False, TOO_LARGE, 12),
    ):
        error = await call.fails(uri, "commits", fails=fails)
        assert "may have committed" in error.message
        assert error.details["may_be_committed"] is True
        assert await connection.fetchval("select max(n) from item") == written
    await connection.close()
    plain = await call.fails(TOO_LARGE, "plain")
    assert "may_be_committed" not in plain.details


#: Ends the session of who commits, in a trigger that runs at the COMMIT.
ENDING = (
    "create table item (id int primary key)",
    "create function ending() returns trigger language plpgsql as "
    "$$ begin perform pg_terminate_backend(pg_backend_pid()); return null; end $$",
    "create constraint trigger ending after insert on item deferrable initially deferred "
    "for each row execute function ending()",
    "create function adds() returns void language sql as 'insert into item values (2)'",
)


@pytest.mark.parametrize(
    ("name", "args"),
    [
        ("item.insert", [{"id": 1}]),
        ("adds", []),
        ("batch", [[{"procedure": "adds"}]]),
    ],
)
async def test_a_connection_that_is_lost_while_it_commits_leaves_the_outcome_unknown(
    api: Start, name: str, args: list[Any]
) -> None:
    call = await api(*ENDING)
    error = await call.fails(UNKNOWN, name, *args)
    assert error.message == OutcomeUnknown().message
    assert error.details["sqlstate"] == "08007"
    assert await call("item.count") == 0


async def test_a_write_whose_call_is_cancelled_while_it_commits_is_answered(
    serve: Serve, database: Database, prefix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    database.execute("create table item (id int primary key)")
    component = await serve()
    begun, released = asyncio.Event(), asyncio.Event()
    commit = Pools._commit

    async def wait_and_commit(self: Pools, *args: Any, **kwargs: Any) -> None:
        begun.set()
        await released.wait()
        await commit(self, *args, **kwargs)

    monkeypatch.setattr(Pools, "_commit", wait_and_commit)
    uri = f"{prefix}.item.insert"
    answer: Any = component.exposure.procedures[uri].handler(
        Call([{"id": 1}], {}, Caller("realm1", uri))
    )
    writing = asyncio.ensure_future(answer)
    await begun.wait()
    writing.cancel()
    released.set()
    assert await writing == [{"id": 1}]
