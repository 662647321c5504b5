"""Live queries through the router, with the events of real changes."""

from __future__ import annotations

import asyncio
import gc
import tracemalloc
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from pgwamp.component import Component
from pgwamp.errors import CallError
from pgwamp.session import Client
from tests.conftest import Connect, Database, Serve
from tests.live.fold import fold
from tests.reload.conftest import eventually

ITEM = (
    "create table item (id int primary key, name text)",
    "insert into item values (1, 'pen'), (2, 'ink')",
)
QUERIES = "-- name: items(low)\nselect id, name from item where id >= :low order by id;\n"
PEN, INK, PAD = ({"id": n, "name": name} for n, name in enumerate(("pen", "ink", "pad"), 1))


class Heard:
    """What a call of a live query has brought so far."""

    def __init__(self) -> None:
        self.items: list[Any] = []
        self.rows: list[Any] | None = None
        self._news = asyncio.Event()

    def __call__(self, item: Any) -> None:
        self.items.append(item)
        self.rows = fold(self.rows or [], item)
        self._news.set()

    async def shows(self, rows: list[Any], seconds: float = 10) -> None:
        """Wait until the rows are these."""
        try:
            async with asyncio.timeout(seconds):
                while self.rows != rows:
                    self._news.clear()
                    await self._news.wait()
        except TimeoutError:
            pytest.fail(f"heard {self.items[-3:]}")


@asynccontextmanager
async def listening(client: Client, uri: str, *args: Any) -> AsyncIterator[tuple[Heard, Any]]:
    """What is heard, and the call, which is canceled at the end."""
    heard = Heard()
    calling = asyncio.create_task(client.call(uri, args, None, heard))
    try:
        yield heard, calling
    finally:
        calling.cancel()
        await asyncio.wait({calling})


async def until(true: Callable[[], bool]) -> None:
    """Wait for something that nobody tells of."""
    async with asyncio.timeout(10):
        while not true():  # noqa: ASYNC110
            await asyncio.sleep(0.01)


@pytest.fixture
def queries(tmp_path: Path) -> dict[str, Any]:
    (tmp_path / "live.sql").write_text(QUERIES)
    return {"queries": str(tmp_path)}


async def test_changes_come_as_they_are_committed_and_quiet_is_no_end(
    serve: Serve, connect: Connect, database: Database, prefix: str, queries: dict[str, Any]
) -> None:
    database.execute(*ITEM, "select wamp.watch('item')")
    component = await serve(expose=queries, limits={"call_timeout": 0.5, "concurrency": 1})
    client, other = await connect(), await connect("json")
    uri = f"{prefix}.items"
    async with (
        listening(client, f"{uri}.live", 1) as (heard, calling),
        listening(other, f"{uri}.live", 1) as (heard_too, _),
    ):
        await heard.shows([PEN, INK])
        await heard_too.shows([PEN, INK])
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(1):
                await asyncio.shield(calling)
        # Whoever listens holds no slot.
        assert await client.call(uri, [2]) == [INK]
        database.execute("insert into item values (3, 'pad')")
        await heard.shows([PEN, INK, PAD])
        await heard_too.shows([PEN, INK, PAD])
        assert heard.items[1:] == [{"removed": [], "inserted": [[2, PAD]]}]
        assert len(component.live.evaluations) == 1
    await until(lambda: component.live.evaluations == [])


async def test_without_progress_the_call_says_how(
    serve: Serve, connect: Connect, database: Database, prefix: str, queries: dict[str, Any]
) -> None:
    database.execute(*ITEM, "select wamp.watch('item')")
    await serve(expose=queries)
    with pytest.raises(CallError) as caught:
        await (await connect()).call(f"{prefix}.items.live", [1])
    assert caught.value.uri == "wamp.error.invalid_argument"
    assert "receive_progress" in caught.value.message


async def test_watching_a_table_makes_its_queries_live(
    serve: Serve, connect: Connect, database: Database, prefix: str, queries: dict[str, Any]
) -> None:
    database.execute(*ITEM)
    await serve(expose=queries)
    client = await connect()
    uri = f"{prefix}.items.live"
    with pytest.raises(CallError, match="no callee registered"):
        await client.call(uri, [1])
    database.execute("select wamp.watch('item')")

    async def refused() -> str:
        with pytest.raises(CallError) as caught:
            await client.call(uri, [1])
        if caught.value.uri == "wamp.error.no_such_procedure":
            raise caught.value
        return caught.value.message

    assert "receive_progress" in await eventually(refused, 10)
    async with listening(client, uri, 2) as (heard, _):
        await heard.shows([INK])
        database.execute("insert into item values (3, 'pad')")
        await heard.shows([INK, PAD])


async def test_a_query_that_is_another_now_ends_and_its_caller_calls_again(
    serve: Serve, connect: Connect, database: Database, prefix: str, queries: dict[str, Any]
) -> None:
    further = Path(queries["queries"]) / "further.sql"
    further.write_text("-- name: names\nselect name from item order by id")
    database.execute(*ITEM, "select wamp.watch('item')")
    await serve(expose=queries)
    client = await connect()
    async with (
        listening(client, f"{prefix}.names.live") as (names, calling),
        listening(client, f"{prefix}.items.live", 1) as (items, _),
    ):
        await names.shows([{"name": "pen"}, {"name": "ink"}])
        await items.shows([PEN, INK])
        further.write_text("-- name: names\nselect name from item order by id desc")
        database.execute("notify pgwamp, 'reload'")
        async with asyncio.timeout(10):
            with pytest.raises(CallError, match="the query has changed; call it again"):
                await calling
        database.execute("insert into item values (3, 'pad')")
        await items.shows([PEN, INK, PAD])
    async with listening(client, f"{prefix}.names.live") as (names, _):
        await names.shows([{"name": "pad"}, {"name": "ink"}, {"name": "pen"}])


async def test_too_many_bytes_end_it(
    serve: Serve, connect: Connect, database: Database, prefix: str, queries: dict[str, Any]
) -> None:
    database.execute(*ITEM, "select wamp.watch('item')")
    await serve(expose=queries, limits={"max_bytes": 2000})
    async with listening(await connect(), f"{prefix}.items.live", 1) as (heard, calling):
        await heard.shows([PEN, INK])
        database.execute("insert into item values (4, repeat('x', 3000))")
        async with asyncio.timeout(10):
            with pytest.raises(CallError) as caught:
                await calling
    assert caught.value.uri == "wamp.error.payload_size_exceeded"
    assert "limits.max_bytes (2000)" in caught.value.message
    assert "progressive" not in caught.value.message


async def test_rows_that_were_sent_take_no_memory(
    serve: Serve, connect: Connect, database: Database, prefix: str, queries: dict[str, Any]
) -> None:
    """It is the digests that tell what differs next time."""
    calls, byte_count = 10, 1_000_000
    database.execute(
        "create table item (id int primary key, name text)",
        f"insert into item select n, repeat('x', {byte_count // 50}) "
        "from generate_series(1, 50) as n",
        "select wamp.watch('item')",
    )
    component = await serve(expose=queries)
    client = await connect()
    sizes: list[int] = []

    async def listen(number: int) -> None:
        await client.call(
            f"{prefix}.items.live",
            [-number],
            on_progress=lambda item: sizes.append(len(str(item))),
        )

    tracemalloc.start()
    before, _ = tracemalloc.get_traced_memory()
    calling = [asyncio.create_task(listen(number)) for number in range(calls)]
    try:
        await until(lambda: len(sizes) == calls)
        assert len(component.live.evaluations) == calls
        gc.collect()
        kept = tracemalloc.get_traced_memory()[0] - before
        assert min(sizes) > byte_count
        assert kept < 2 * byte_count
        # A difference is still no more than what differs.
        sizes.clear()
        database.execute("insert into item values (51, 'new')")
        await until(lambda: len(sizes) == calls)
        assert max(sizes) < 100
    finally:
        tracemalloc.stop()
        for call in calling:
            call.cancel()
        await asyncio.wait(calling)


async def test_when_the_component_stops_callers_are_told_to_call_again(
    make_settings: Any, connect: Connect, database: Database, prefix: str, queries: dict[str, Any]
) -> None:
    database.execute(*ITEM, "select wamp.watch('item')")
    client = await connect()
    async with AsyncExitStack() as stack:
        component = await stack.enter_async_context(Component(make_settings(expose=queries)))
        heard, calling = await stack.enter_async_context(
            listening(client, f"{prefix}.items.live", 1)
        )
        await heard.shows([PEN, INK])
        await component.stop()
        with pytest.raises(CallError) as caught:
            await calling
    assert caught.value.uri == "pgwamp.error.unavailable"
    assert "call again" in caught.value.message


async def test_when_sql_begins_to_ask_who_calls_each_goes_on_with_their_own(
    serve: Serve, connect: Connect, database: Database, prefix: str, queries: dict[str, Any]
) -> None:
    database.execute(*ITEM, "select wamp.watch('item')")
    component = await serve(expose=queries)
    async with listening(await connect(), f"{prefix}.items.live", 1) as (heard, calling):
        await heard.shows([PEN, INK])
        (evaluation,) = component.live.evaluations
        assert evaluation.request.caller.authid is None
        database.execute(
            "create function who() returns text language sql stable "
            "return current_setting('wamp.authid')"
        )
        await until(
            lambda: [e.request.caller.authid is None for e in component.live.evaluations] == [False]
        )
        assert component.live.evaluations[0] is not evaluation
        database.execute("insert into item values (3, 'pad')")
        await heard.shows([PEN, INK, PAD])
        assert not calling.done()


#: What a stranger may besides CONNECT, and how SQL seems to ask for the session and no longer.
STRANGERS = {
    "temporary": (
        (),
        ("create temp table if not exists t (i int)",
         "create policy p on pg_temp.t using (current_setting('wamp.session') = '')"),
        "drop policy p on pg_temp.t",
        False,
    ),
    "not exposed": (
        ("create schema other", "grant usage, create on schema other to {stranger}"),
        ("create function other.f() returns int language sql as 'select 1 -- wamp.session'",),
        "drop function other.f()",
        True,
    ),
}  # fmt: skip


@pytest.mark.parametrize("how", STRANGERS)
async def test_strangers_end_no_call_and_make_none_go_to_and_fro(
    how: str,
    serve: Serve,
    connect: Connect,
    database: Database,
    prefix: str,
    role: str,
    queries: dict[str, Any],
) -> None:
    allowed, asking, asking_no_longer, narrows = STRANGERS[how]
    stranger = f"{role}_stranger"
    database.execute(
        *ITEM,
        "select wamp.watch('item')",
        f"grant usage on schema public to {role}",
        f"grant select on item to {role}",
        f"create role {stranger} login",
        *(statement.format(stranger=stranger) for statement in allowed),
    )
    component = await serve(expose=queries, access={"roles": {"anonymous": role}})
    renewed = rounds_of(component)
    theirs = await asyncpg.connect(database.url.replace("postgres@", f"{stranger}@"))
    try:
        async with (
            listening(await connect(), f"{prefix}.items.live", 1) as (heard, calling),
            listening(await connect(), f"{prefix}.items.live", 1) as (heard_too, calling_too),
        ):
            for call in (heard, heard_too):
                await call.shows([PEN, INK])
            seen = []
            for _ in range(2):
                for statements in (asking, (asking_no_longer,)):
                    for statement in statements:
                        await theirs.execute(statement)
                    await theirs.execute("notify pgwamp, 'reload'")
                    async with asyncio.timeout(20):
                        await renewed.get()
                    seen.append(component.live.evaluations)
            # With the sessions of their own, if at all, from the first time on.
            assert {frozenset(evaluations) for evaluations in seen} == {frozenset(seen[0])}
            assert not calling.done()
            assert not calling_too.done()
            for evaluation in seen[0]:
                assert (evaluation.request.caller.session is not None) == narrows
            database.execute("insert into item values (3, 'pad')")
            for call in (heard, heard_too):
                await call.shows([PEN, INK, PAD])
                assert len(call.items) == 2
    finally:
        await theirs.close()
        await component.stop()
        database.execute(f"drop owned by {stranger}", f"drop role {stranger}")


def rounds_of(component: Component) -> asyncio.Queue[None]:
    """One item for each reload from now on."""
    rounds: asyncio.Queue[None] = asyncio.Queue()
    renew = component.live.renew

    def renewed(*arguments: Any) -> None:
        renew(*arguments)
        rounds.put_nowait(None)

    component.live.renew = renewed  # type: ignore[method-assign]
    return rounds


async def test_every_instance_hears_of_changes_at_once(
    serve: Serve, connect: Connect, database: Database, prefix: str, queries: dict[str, Any]
) -> None:
    database.execute(*ITEM, "select wamp.watch('item')")
    both = [await serve(expose=queries) for _ in range(2)]
    client = await connect()
    async with AsyncExitStack() as stack:
        callers = [
            (await stack.enter_async_context(listening(client, f"{prefix}.items.live", 1)))[0]
            for _ in range(4)
        ]
        for heard in callers:
            await heard.shows([PEN, INK])
        # The router gave each of them some.
        assert [[e.callers for e in component.live.evaluations] for component in both] == [[2], [2]]
        database.execute("insert into item values (3, 'pad')")
        for heard in callers:
            # Sooner than the feed looks by itself.
            await heard.shows([PEN, INK, PAD], seconds=3)
