"""The feed: one reader for all who follow, and how it is joined to what was read by pages."""

from __future__ import annotations

import asyncio
import tracemalloc
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from typing import Any

import asyncpg
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pgwamp.component import Component
from pgwamp.errors import Unavailable
from pgwamp.eventlog.log import LoggedEvent, last_position, read_page
from pgwamp.eventlog.position import START, Position
from pgwamp.replay import feed as feed_module
from pgwamp.replay.change import Change, outlines
from pgwamp.replay.feed import Batch, Lagged, Subscription
from pgwamp.replay.handover import Handover
from tests.conftest import Database, MakeSettings, Serve
from tests.replay.appending import LOGGED, append, inserted

ITEM = ("create table item (id int primary key)", "select wamp.watch('item')")


@pytest.fixture
async def component(database: Database, make_settings: MakeSettings) -> AsyncIterator[Component]:
    """A component that reads the database but serves nobody, so that nothing else reads there."""
    database.execute(*ITEM)
    component = Component(make_settings())
    await component.database.start()
    await component.listener.start()
    try:
        yield component
    finally:
        await component.listener.stop()
        await component.database.stop()


async def ids(subscription: Subscription, number: int) -> list[int]:
    """The keys of so many changes."""
    found: list[int] = []
    async with asyncio.timeout(10):
        while len(found) < number:
            found += [change.kwargs["key"]["id"] for change in await subscription.next()]
    return found


async def test_two_subscriptions_share_one_reader(
    component: Component, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    polls = 0

    async def counted(*args: Any, **kwargs: Any) -> Any:
        nonlocal polls
        polls += 1
        return await read_page(*args, **kwargs)

    monkeypatch.setattr(feed_module, "read_page", counted)
    async with component.feed.subscribe() as one:
        database.execute(inserted(1), LOGGED)
        assert await ids(one, 1) == [1]
        before = polls
        async with component.feed.subscribe() as two:
            database.execute(inserted(2), LOGGED)
            assert await ids(one, 1) == [2]
            assert await ids(two, 1) == [2]
            assert polls == before + 1
        database.execute(inserted(3), LOGGED)
        assert await ids(one, 1) == [3]


async def test_who_subscribes_while_the_database_goes_away_is_told(
    component: Component, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def lost(_: Any) -> Any:
        # As asyncpg raises it of a connection that has just died.
        raise asyncpg.InternalClientError("cannot switch to state 11; another operation (2)")

    monkeypatch.setattr(feed_module, "last_position", lost)
    with pytest.raises(Unavailable):
        async with component.feed.subscribe():
            pass


async def test_the_feed_runs_only_while_somebody_is_subscribed(
    component: Component, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(feed_module, "FALLBACK_POLL_SECONDS", 0.01)
    async with component.feed.subscribe() as subscription:
        database.execute(inserted(1))
        assert await ids(subscription, 1) == [1]
    assert not [task for task in asyncio.all_tasks() if task.get_name() == "pgwamp feed"]
    database.execute(inserted(2))
    async with component.feed.subscribe() as subscription:
        database.execute(inserted(3))
        assert await ids(subscription, 1) == [3]


async def test_a_feed_that_is_to_end_ends_whatever_happens_at_that_moment(
    component: Component, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A second one beside it would read the same events from another position."""
    reading = asyncio.Event()

    async def lost(*_args: Any, **_options: Any) -> Any:
        reading.set()
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            raise ConnectionResetError("lost at the same moment") from None

    with monkeypatch.context() as patch:
        patch.setattr(feed_module, "read_page", lost)
        async with asyncio.timeout(10), component.feed.subscribe():
            await reading.wait()
    assert "pgwamp feed" not in {task.get_name() for task in asyncio.all_tasks()}
    async with component.feed.subscribe() as subscription:
        database.execute(inserted(1), LOGGED)
        assert await ids(subscription, 1) == [1]


async def test_what_nobody_told_of_is_found_after_a_while(
    component: Component, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(feed_module, "FALLBACK_POLL_SECONDS", 0.2)
    async with component.feed.subscribe() as subscription:
        database.execute(inserted(1))
        assert await ids(subscription, 1) == [1]


async def test_lost_connections_lose_no_event(component: Component, database: Database) -> None:
    async with component.feed.subscribe() as subscription:
        for number in range(1, 6):
            database.execute(
                "select pg_terminate_backend(pid) from pg_stat_activity "
                "where datname = current_database() and pid <> pg_backend_pid()",
                inserted(number),
            )
            # Nobody hears this unless he listens again; else the reconnect is the signal.
            database.execute(LOGGED)
        assert await ids(subscription, 5) == [1, 2, 3, 4, 5]


async def test_who_does_not_read_lags_and_holds_nothing(
    component: Component, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(feed_module, "WAITING_EVENTS", 50)
    async with component.feed.subscribe() as idle, component.feed.subscribe() as reading:
        for start in range(0, 200, 20):
            database.execute(
                inserted(*range(start, start + 20)),
                LOGGED,
            )
            assert await ids(reading, 20) == list(range(start, start + 20))
        assert not idle._batches
        with pytest.raises(Lagged):
            await idle.next()


async def test_memory_is_flat_while_some_do_not_read(
    component: Component, database: Database
) -> None:
    large = "x" * 500_000
    tracemalloc.start()
    try:
        async with AsyncExitStack() as stack:
            for _ in range(20):
                await stack.enter_async_context(component.feed.subscribe())
            reading = await stack.enter_async_context(component.feed.subscribe())
            for start in range(0, 120, 10):
                for number in range(start, start + 10):
                    body = {"key": {"id": number}, "new": {"id": number, "text": large}}
                    database.execute(inserted(number, body=body))
                database.execute(LOGGED)
                assert await ids(reading, 10) == list(range(start, start + 10))
            _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    # 60 MB have passed; what waits is bounded, and one page is in the making.
    assert 16_000_000 < peak < 30_000_000


async def test_a_failure_of_the_feed_is_told_and_does_not_end_it(
    component: Component, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    failing = True

    async def fail_once(*args: Any) -> list[Change]:
        nonlocal failing
        if failing:
            failing = False
            raise ZeroDivisionError
        return await outlines(*args)

    monkeypatch.setattr(feed_module, "outlines", fail_once)
    async with component.feed.subscribe() as subscription:
        database.execute(inserted(1), LOGGED)
        async with asyncio.timeout(5):
            with pytest.raises(Lagged):
                await subscription.next()
        async with component.feed.subscribe() as again:
            database.execute(inserted(2), LOGGED)
            assert await ids(again, 1) == [2]


async def test_a_position_that_is_lost_is_told_and_the_feed_goes_on_from_now(
    component: Component, database: Database
) -> None:
    database.execute(inserted(1))
    async with component.feed.subscribe() as subscription:
        # As in a database that was put back, and has gone on.
        database.execute("delete from wamp.log", inserted(2), LOGGED)
        async with asyncio.timeout(5):
            with pytest.raises(Lagged):
                await subscription.next()
        async with component.feed.subscribe() as again:
            database.execute(inserted(3), LOGGED)
            assert await ids(again, 1) == [3]


async def test_every_instance_is_told(
    serve: Serve, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(feed_module, "FALLBACK_POLL_SECONDS", 60.0)
    database.execute(*ITEM)
    one, other = await serve(), await serve()
    async with one.feed.subscribe() as here, other.feed.subscribe() as there:
        database.execute("insert into item values (1)")
        assert await ids(here, 1) == await ids(there, 1) == [1]


async def test_a_change_of_the_schema_is_told_without_changes(
    component: Component, database: Database
) -> None:
    async with component.feed.subscribe() as subscription:
        before = component.feed.schema
        database.execute("create table other (id int)")
        async with asyncio.timeout(10):
            assert await subscription.next() == []
        assert component.feed.schema > before


async def test_events_of_publish_are_fed_too(component: Component, database: Database) -> None:
    event = {
        "op": "publish",
        "topic": "com.example.x",
        "body": {"args": [1], "kwargs": {"a": 2}},
        "options": {"eligible_authid": ["alice"]},
    }
    async with component.feed.subscribe() as subscription:
        database.execute(append(event), LOGGED)
        async with asyncio.timeout(10):
            (change,) = await subscription.next()
    assert (change.schema, change.table, change.event.op) == (None, None, "publish")
    assert change.topic == "com.example.x"
    assert change.options == {"eligible_authid": ["alice"]}
    assert (change.kwargs["args"], change.kwargs["kwargs"]) == ([1], {"a": 2})


# --- the handover -------------------------------------------------------------------------------


@given(st.integers(1, 30), st.integers(0, 10), st.integers(0, 10), st.data())
def test_the_handover_misses_nothing_and_repeats_nothing(
    length: int, read: int, ahead: int, data: st.DataObject
) -> None:
    """Of a log of so many events the pages end within it, and the feed begins no later."""
    pages_end = min(read + ahead, length)
    start = min(read, pages_end)
    handover = Handover(position(pages_end))
    received = list(range(1, pages_end + 1))
    while start < length:
        end = data.draw(st.integers(start + 1, length))
        received += [change.event.position.number for change in handover.take(batch(start, end))]
        start = end
    assert received == list(range(1, length + 1))
    assert handover.position == position(length)


def test_a_follower_who_is_further_than_a_database_that_was_put_back_lags() -> None:
    for start in (3, 5):
        with pytest.raises(Lagged):
            Handover(position(5)).take(batch(start, 8, mark=b"other"))
    with pytest.raises(Lagged):
        Handover(position(5)).take(batch(6, 8))


def test_a_follower_does_not_wait_for_a_shorter_history_to_be_as_long_as_the_lost_one() -> None:
    with pytest.raises(Lagged):
        Handover(position(50)).take(batch(3, 8, mark=b"other", op="era"))


def position(number: int, mark: bytes = b"mark") -> Position:
    return Position(number, mark) if number else START


def batch(start: int, end: int, mark: bytes = b"mark", op: str = "insert") -> Batch:
    """The events after a position, up to another one."""
    positions = [position(number, mark) for number in range(start + 1, end + 1)]
    return Batch([change(p, op) for p in positions], position(start, mark), positions[-1], 0)


def change(at: Position, op: str) -> Change:
    event = LoggedEvent(at, 1, "", 1, "public", "item", op, None, None, "{}", None, 2, False, False)
    return Change(event, "public", "item", None, {}, lambda _: True, 0)


async def test_a_transaction_open_across_the_subscription_is_neither_lost_nor_repeated(
    component: Component, database: Database
) -> None:
    slow, connection = await database.connect(), await database.connect()
    transaction = slow.transaction()
    await transaction.start()
    await slow.execute(inserted(1))
    async with component.feed.subscribe() as subscription:
        handover = Handover(await last_position(connection))
        await transaction.commit()
        database.execute(inserted(2), LOGGED)
        found: list[int] = []
        async with asyncio.timeout(10):
            while 2 not in found:
                changes = handover.take(await subscription.batch())
                found += [change.kwargs["key"]["id"] for change in changes]
    assert found == [1, 2]
    await slow.close()
    await connection.close()
