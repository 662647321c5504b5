"""What answers an error has changed nothing; where that cannot be, the error says so."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import AsyncIterator, Awaitable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from asyncpg import connect_utils

from pgwamp.access import Caller
from pgwamp.database import committing, pooled
from pgwamp.database.pooled import PooledConnection
from pgwamp.errors import CallError, OutcomeUnknown
from pgwamp.query.writes import SMALL_ROW_BYTES
from pgwamp.session import Call
from pgwamp.values.portable import most_bytes
from tests.conftest import Database, Observe, Serve
from tests.procedures.conftest import Start
from tests.servers import CALLS

TOO_LARGE = "wamp.error.payload_size_exceeded"
UNKNOWN = "pgwamp.error.transaction_resolution_unknown"
MOST = 50_000
LIMITS = {"max_bytes": MOST, "max_rows": 10}
#: A text that JSON writes as six times as many bytes; the other serializers as it is.
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
    ("item.update", [{"n": 1}, "all"], {}),
    ("item.update", [{"n": 1}, "all"], {"max_affected": 3}),
    ("item.update", [], {"rows": [{"id": n, "n": 1} for n in (1, 2, 3)]}),
    ("item.update", [{"name": CONTROLS}, {"id": 1}], {}),
    ("item.insert", [{"id": 9, "name": "y" * MOST}], {}),
    ("item.insert", [{"id": 9, "name": CONTROLS}], {}),
    ("item.upsert", [{"id": 1, "name": "y" * MOST}], {}),
    ("item.delete", ["all"], {}),
    ("item.delete", ["all"], {"order": ["id"]}),
    ("batch", [[{"procedure": "item.delete", "args": ["all"]}]], {}),
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


GROWING = (
    "create table item (id int generated always as identity, n int)",
    "create function grow(n int) returns setof text language sql as "
    "$$ insert into item (n) values (n); select repeat('x', n) $$",
    "create function grown(n int) returns text language sql as "
    "$$ insert into item (n) values (n); select repeat('x', n) $$",
)
MADE_BY_PYTHON = """
import asyncpg
from autobahn import wamp

@wamp.register("made")
async def made(connection: asyncpg.Connection, n: int) -> str:
    for part in (n // 2, n - n // 2):
        await connection.execute("insert into item (n) values ($1)", part)
        yield "x" * part
"""


async def serve_growing(
    api: Start, folder: Path, prefix: str, monkeypatch: pytest.MonkeyPatch
) -> Any:
    """Serve what writes, and answers a text of any length."""
    module = "growing_" + prefix.rpartition(".")[2]
    (folder / f"{module}.py").write_text(MADE_BY_PYTHON)
    monkeypatch.syspath_prepend(str(folder))
    return await api(*GROWING, limits=LIMITS, expose={"procedures": [module]})


def growing(name: str, byte_count: int) -> tuple[list[Any], dict[str, Any]]:
    """The arguments of a call that answers about so much."""
    if name == "batch":
        return [[{"procedure": "grown", "args": [byte_count]}]], {}
    return [byte_count], {"format": "csv"} if name == "grow" else {}


@pytest.mark.parametrize("name", ["batch", "grow", "made"])
async def test_an_answer_that_is_refused_by_a_few_bytes_has_changed_nothing(
    api: Start,
    database: Database,
    tmp_path: Path,
    prefix: str,
    monkeypatch: pytest.MonkeyPatch,
    name: str,
) -> None:
    call = await serve_growing(api, tmp_path, prefix, monkeypatch)
    connection = await database.connect()
    refused = 0
    for byte_count in range(MOST - 120, MOST + 3):
        before = await connection.fetchval("select count(*) from item")
        args, kwargs = growing(name, byte_count)
        try:
            await call(name, *args, **kwargs)
        except CallError as caught:
            error = caught
        else:
            continue
        assert error.uri == TOO_LARGE
        assert await connection.fetchval("select count(*) from item") == before
        refused += 1
    assert 3 <= refused < 120
    await connection.close()


@pytest.mark.parametrize("name", ["batch", "grow"])
async def test_an_answer_fits_in_what_the_router_accepts_or_has_changed_nothing(
    serve: Serve, database: Database, prefix: str, name: str
) -> None:
    database.execute(*GROWING)
    served = await serve(limits=LIMITS)
    args, kwargs = growing(name, 2_000)
    uri = f"{prefix}.{name}"
    small = Call(args, kwargs, Caller("realm1", uri), max_bytes=1_000)
    answer = served.exposure.procedures[uri].handler(small)
    assert isinstance(answer, Awaitable)
    async with unchanged(database):
        with pytest.raises(CallError, match="or less if the router says so") as caught:
            await answer
    assert caught.value.uri == TOO_LARGE


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


async def test_a_procedure_that_commits_is_run_once_if_it_meets_a_change_of_the_schema(
    api: Start, database: Database
) -> None:
    call = await api(
        "create table ledger (amount int)",
        "create table changed (a int)",
        f"alter table changed owner to {CALLS}",
        f"grant all on schema public to {CALLS}",
        "create procedure pay(amount int) language plpgsql as $$ begin "
        "insert into ledger values (amount); commit; "
        "execute 'prepare p as select * from changed'; "
        "execute 'alter table changed add column c' || (select count(*) from ledger) || ' int'; "
        "commit; execute 'execute p'; end $$",
    )
    error = await call.fails("pgwamp.error.unavailable", "pay", 10)
    assert error.details["may_be_committed"] is True
    assert "may have committed" in error.message
    assert "try again" not in error.message
    assert await call("ledger.count") == 1


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


async def test_a_commit_that_does_not_end_after_a_cancel_leaves_the_outcome_unknown(
    serve: Serve, database: Database, prefix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    database.execute("create table item (id int primary key)")
    component = await serve()
    begun = asyncio.Event()

    async def wait(*_: Any, **__: Any) -> None:
        begun.set()
        await asyncio.Event().wait()

    monkeypatch.setattr(committing, "commit", wait)
    monkeypatch.setattr(pooled, "LEAVING_SECONDS", 0.05)
    uri = f"{prefix}.item.insert"
    answer: Any = component.exposure.procedures[uri].handler(
        Call([[{"id": 1}, {"id": 2}]], {}, Caller("realm1", uri))
    )
    writing = asyncio.ensure_future(answer)
    await begun.wait()
    writing.cancel()
    with pytest.raises(OutcomeUnknown):
        await writing


async def test_a_write_that_commits_by_itself_is_answered_if_it_is_cancelled_too_late(
    serve: Serve, database: Database, prefix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    database.execute("create table item (id int primary key)")
    component = await serve()
    committed, released = asyncio.Event(), asyncio.Event()
    fetch = PooledConnection.fetch

    async def fetch_and_wait(self: PooledConnection, query: str, *args: Any) -> Any:
        records = await fetch(self, query, *args)
        if query.startswith("INSERT"):
            committed.set()
            await released.wait()
        return records

    monkeypatch.setattr(PooledConnection, "fetch", fetch_and_wait)
    uri = f"{prefix}.item.insert"
    answer: Any = component.exposure.procedures[uri].handler(
        Call([{"id": 1}], {}, Caller("realm1", uri))
    )
    writing = asyncio.ensure_future(answer)
    await committed.wait()
    writing.cancel()
    released.set()
    assert await writing == [{"id": 1}]


async def test_a_cancel_that_comes_late_meets_no_other_statement(
    serve: Serve, database: Database, prefix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The connection is kept until the signal has gone to the server."""
    database.execute("create table item (id int primary key)")
    component = await serve()
    committed, sending, released = asyncio.Event(), asyncio.Event(), asyncio.Event()
    fetch, cancel = PooledConnection.fetch, connect_utils._cancel

    async def fetch_and_tell(self: PooledConnection, query: str, *args: Any) -> Any:
        records = await fetch(self, query, *args)
        if query.startswith("INSERT"):
            committed.set()
            await sending.wait()
        return records

    async def cancel_late(**kwargs: Any) -> None:
        sending.set()
        await released.wait()
        await cancel(**kwargs)

    monkeypatch.setattr(PooledConnection, "fetch", fetch_and_tell)
    monkeypatch.setattr(connect_utils, "_cancel", cancel_late)
    uri = f"{prefix}.item.insert"
    answer: Any = component.exposure.procedures[uri].handler(
        Call([{"id": 1}], {}, Caller("realm1", uri))
    )
    writing = asyncio.ensure_future(answer)
    await committed.wait()
    writing.cancel()
    await sending.wait()
    # Turns enough for everything that waits for nothing else.
    for _ in range(50):
        await asyncio.sleep(0)
    in_use, _ = component.database.usage()["write"]
    assert in_use == 1
    assert not writing.done()
    released.set()
    assert await writing == [{"id": 1}]
    in_use, _ = component.database.usage()["write"]
    assert in_use == 0


#: A table that is written to plainly, but for a trigger where a foreign key leads.
CHILDREN = (
    "create table item (id int primary key, name text)",
    "create table child (item int references item on delete cascade)",
    "insert into item values (1, 'né')",
    "insert into child values (1)",
)


async def test_a_write_that_is_cancelled_twice_is_not_told_to_have_changed_nothing(
    serve: Serve, database: Database, prefix: str, observe: Observe
) -> None:
    database.execute(
        *CHILDREN,
        "create function stubborn() returns trigger language plpgsql as $$ begin "
        "begin perform pg_sleep(60); "
        "exception when query_canceled then perform pg_sleep(0.5); end; return old; end $$",
        "create trigger stubborn before delete on child for each row execute function stubborn()",
    )
    component = await serve()
    uri = f"{prefix}.item.delete"
    answer: Any = component.exposure.procedures[uri].handler(
        Call([{"id": 1}], {}, Caller("realm1", uri))
    )
    writing = asyncio.ensure_future(answer)
    sleeps = (
        "exists (select from pg_stat_activity where datname = current_database() "
        "and wait_event = 'PgSleep')"
    )
    await observe(sleeps)
    writing.cancel()
    # The first cancel is on its way to the server.
    await asyncio.sleep(0)
    writing.cancel()
    assert await writing == [{"id": 1, "name": "né"}]


async def test_a_write_that_does_not_end_leaves_the_outcome_unknown(
    serve: Serve,
    database: Database,
    prefix: str,
    observe: Observe,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(pooled, "LEAVING_SECONDS", 0.2)
    database.execute(
        *CHILDREN,
        "create function stubborn() returns trigger language plpgsql as $$ begin loop "
        "begin perform pg_sleep(60); exception when query_canceled then null; end; "
        "end loop; end $$",
        "create trigger stubborn before delete on child for each row execute function stubborn()",
    )
    component = await serve()
    uri = f"{prefix}.item.delete"
    answer: Any = component.exposure.procedures[uri].handler(
        Call([{"id": 1}], {}, Caller("realm1", uri))
    )
    writing = asyncio.ensure_future(answer)
    await observe(
        "exists (select from pg_stat_activity where datname = current_database() "
        "and wait_event = 'PgSleep')"
    )
    writing.cancel()
    with pytest.raises(OutcomeUnknown):
        await writing
    database.execute(
        "select pg_terminate_backend(pid) from pg_stat_activity "
        "where datname = current_database() and wait_event = 'PgSleep'"
    )


#: Sets that texts come as no UTF-8.
ENCODES = (
    "create function encodes() returns trigger language plpgsql as $$ begin "
    "perform set_config('client_encoding', 'LATIN1', false); return coalesce(new, old); end $$"
)


async def test_a_trigger_that_keeps_a_row_from_being_read_keeps_it_from_being_written(
    api: Start,
) -> None:
    call = await api(
        "create table item (id int primary key, name text)",
        ENCODES,
        "create trigger encodes before insert on item for each row execute function encodes()",
    )
    error = await call.fails("pgwamp.error.internal", "item.insert", {"id": 1, "name": "né"})
    assert "may_be_committed" not in error.details
    assert await call("item.count") == 0


@pytest.mark.parametrize("setting", ["DateStyle", "IntervalStyle", "TimeZone", "bytea_output"])
async def test_a_trigger_that_sets_how_values_are_written_has_its_rows_refused(
    api: Start, setting: str
) -> None:
    value = {
        "DateStyle": "German, DMY",
        "IntervalStyle": "postgres_verbose",
        "TimeZone": "UTC+3",
        "bytea_output": "escape",
    }[setting]
    call = await api(
        "create table item (id int primary key, at timestamptz default now(), "
        "parts bytea[] default array['abcd'::bytea])",
        "create function sets() returns trigger language plpgsql as $$ begin "
        f"perform set_config('{setting}', '{value}', false); return new; end $$",
        "create trigger sets before insert on item for each row execute function sets()",
    )
    for rows in ({"id": 1}, [{"id": 1}, {"id": 2}]):
        error = await call.fails("pgwamp.error.internal", "item.insert", rows)
        assert setting in error.message
    assert await call("item.count") == 0
    # Their number has one form only.
    assert await call("item.insert", {"id": 1}, returning=False) == 1


async def test_a_committed_row_that_cannot_be_read_is_told_as_committed(api: Start) -> None:
    call = await api(
        *CHILDREN,
        ENCODES,
        "create trigger encodes before delete on child for each row execute function encodes()",
    )
    error = await call.fails("pgwamp.error.internal", "item.delete", {"id": 1})
    assert error.details["may_be_committed"] is True
    assert "may have committed" in error.message
    assert await call("item.count") == 0


async def test_a_cancel_that_cannot_be_sent_leaves_no_error_in_the_log(
    serve: Serve, database: Database, prefix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    database.execute("create table item (id int primary key)")
    component = await serve()
    committed, released = asyncio.Event(), asyncio.Event()
    fetch = PooledConnection.fetch

    async def fetch_and_wait(self: PooledConnection, query: str, *args: Any) -> Any:
        records = await fetch(self, query, *args)
        if query.startswith("INSERT"):
            committed.set()
            await released.wait()
        return records

    def fail(_: PooledConnection, sent: asyncio.Future[None]) -> None:
        sent.set_exception(OSError("refused"))
        released.set()

    logged: list[object] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: logged.append(context))
    monkeypatch.setattr(PooledConnection, "fetch", fetch_and_wait)
    monkeypatch.setattr(PooledConnection, "_cancel_current_command", fail)
    uri = f"{prefix}.item.insert"
    answer: Any = component.exposure.procedures[uri].handler(
        Call([{"id": 1}], {}, Caller("realm1", uri))
    )
    writing = asyncio.ensure_future(answer)
    await committed.wait()
    writing.cancel()
    assert await writing == [{"id": 1}]
    gc.collect()
    assert logged == []


async def test_a_write_that_waits_changes_nothing_if_it_is_cancelled(
    serve: Serve, database: Database, prefix: str, observe: Observe
) -> None:
    database.execute("create table item (id int primary key)")
    component = await serve()
    uri = f"{prefix}.item.insert"
    other, looking = await database.connect(), await database.connect()
    holding = other.transaction()
    await holding.start()
    await other.execute("insert into item values (1)")
    answer: Any = component.exposure.procedures[uri].handler(
        Call([{"id": 1}], {}, Caller("realm1", uri))
    )
    writing = asyncio.ensure_future(answer)
    await observe(
        "exists (select from pg_stat_activity where datname = current_database() "
        "and wait_event_type = 'Lock' and query like 'INSERT%')"
    )
    writing.cancel()
    with pytest.raises(asyncio.CancelledError):
        await writing
    await holding.rollback()
    assert await looking.fetchval("select count(*) from item") == 0
    await other.close()
    await looking.close()


async def test_a_row_made_large_by_the_database_is_measured_before_it_is_committed(
    api: Start, database: Database
) -> None:
    call = await api(
        "create table item (id int primary key, n int, name text default repeat('x', 20000))",
        "create table huge (id int primary key, name text default repeat('x', 500000))",
        "create table times (id serial)",
        "create function note() returns trigger language plpgsql as "
        "$$ begin insert into times default values; return null; end $$",
        "create trigger note after insert or update on item for each row execute function note()",
        limits=LIMITS | {"max_bytes": 400_000},
    )
    # The smaller statement has failed, and what it did is undone.
    assert (await call("item.insert", {"id": 1}))[0]["name"] == "x" * 20_000
    assert (await call("item.update", {"n": 5}, {"id": 1}))[0]["n"] == 5
    assert await call("item.count") == 1
    assert await call("times.count") == 2
    await call("item.update", {"name": "x"}, {"id": 1})
    assert await call("item.delete", {"id": 1}) == [{"id": 1, "n": 5, "name": "x"}]
    await call.fails(TOO_LARGE, "huge.insert", {"id": 1})
    assert await call("huge.count") == 0


async def test_a_row_of_a_table_with_children_is_not_the_only_one_with_its_key(
    api: Start, database: Database
) -> None:
    call = await api(
        "create table item (id int primary key, name text)",
        "create table child () inherits (item)",
        "insert into child select 1, 'x' from generate_series(1, 11)",
        limits=LIMITS,
    )
    async with unchanged(database):
        await call.fails("pgwamp.error.too_many_rows", "item.update", {"name": "y"}, {"id": 1})
        rows = [{"id": 1, "name": "y"}]
        await call.fails("pgwamp.error.too_many_rows", "item.update", rows=rows)


async def test_an_index_with_another_equality_makes_no_row_the_only_one(
    api: Start, database: Database
) -> None:
    call = await api(
        "create type pair as (n numeric)",
        "create table item (id int primary key, c pair not null, n int default 0)",
        "create unique index on item (c record_image_ops)",
        "insert into item values (1, row(1.0)), (2, row(1.00))",
        "create table word (id int, w text not null, primary key (id))",
        "create unique index on word (w text_pattern_ops)",
    )
    where = {"c": {"eq": {"n": "1"}}}
    async with unchanged(database):
        await call.fails(
            "pgwamp.error.too_many_affected", "item.update", {"n": 1}, where, max_affected=1
        )
    # The same equality in another order is one.
    await call("word.insert", {"id": 1, "w": "x"})
    assert await call("word.upsert", {"id": 2, "w": "x"}, conflict=["w"], update=["w"]) == [
        {"id": 1, "w": "x"}
    ]


async def test_a_default_reads_who_calls(api: Start) -> None:
    call = await api(
        "create table item (id int, who text default current_setting('wamp.authrole', true))",
    )
    assert await call("item.insert", {"id": 1}) == [{"id": 1, "who": "anonymous"}]


#: Values of many types whose texts take so many bytes, and whose answers take the most for them.
MOST_IN_A_MESSAGE = {
    "text": "repeat(chr(1), {bytes})",
    "bytea": r"convert_to(repeat('x', {bytes} / 2 - 1), 'UTF8')",
    "int[]": "array_fill(1, array[{bytes} / 2 - 1])",
    "bool[]": "array_fill(true, array[{bytes} / 2 - 1])",
    "text[]": "array_fill(chr(1), array[{bytes} / 2 - 1])",
    "jsonb": "to_jsonb(array_fill(1, array[{bytes} / 3 - 1]))",
    "json": "concat('[', repeat('1,', {bytes} / 2 - 2), '1]')::json",
    "int4multirange": "(select range_agg(int4range(2 * n, 2 * n + 1)) from "
    "generate_series(1, {bytes} / 12) as n)",
    "numeric": "repeat('1', {bytes})::numeric",
}


@pytest.mark.parametrize("kind", MOST_IN_A_MESSAGE)
async def test_the_answer_of_a_row_that_is_not_measured_is_never_too_large(
    api: Start, database: Database, kind: str
) -> None:
    value = MOST_IN_A_MESSAGE[kind].format(bytes=SMALL_ROW_BYTES)
    call = await api(
        f"create function made() returns {kind} language sql as $$ select {value} $$",
        f"create table item (id int, value {kind} default made())",
    )
    fits = most_bytes(await call("item.insert", {"id": 1}))
    assert fits <= 16 * SMALL_ROW_BYTES + 200
    connection = await database.connect()
    byte_count = await connection.fetchval("select octet_length(concat(value)) from item")
    await connection.close()
    assert SMALL_ROW_BYTES / 3 < byte_count <= SMALL_ROW_BYTES
