"""The feed: one reader for all who follow, and how it is joined to what was read by pages."""

from __future__ import annotations

import asyncio
import tracemalloc
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pgwamp.component import Component
from pgwamp.events import feed as feed_module
from pgwamp.events.change import Change, outline
from pgwamp.events.cursor import Position, decode_cursor, newest_of
from pgwamp.events.feed import Attachment, Batch, Overrun
from pgwamp.events.joint import Joint
from pgwamp.events.reader import current_position, read_page
from pgwamp.eventlog.snapshot import Snapshot
from tests.conftest import Database, MakeSettings, Serve

ITEM = ("create table item (id int primary key)", "select wamp.watch('item')")
CLUSTER = "1-1"
PUBLISHED = "notify pgwamp, 'published'"


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


async def ids(attachment: Attachment, number: int) -> list[int]:
    """The keys of so many changes."""
    found: list[int] = []
    async with asyncio.timeout(10):
        while len(found) < number:
            found += [change.kwargs["key"]["id"] for change in await attachment.next()]
    return found


async def test_two_attachments_share_one_reader(
    component: Component, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    polls = 0

    async def counted(*args: Any, **kwargs: Any) -> Any:
        nonlocal polls
        polls += 1
        return await read_page(*args, **kwargs)

    monkeypatch.setattr(feed_module, "read_page", counted)
    async with component.feed.attach() as one:
        database.execute("insert into item values (1)", PUBLISHED)
        assert await ids(one, 1) == [1]
        before = polls
        async with component.feed.attach() as two:
            database.execute("insert into item values (2)", PUBLISHED)
            assert await ids(one, 1) == [2]
            assert await ids(two, 1) == [2]
            assert polls == before + 1
        database.execute("insert into item values (3)", PUBLISHED)
        assert await ids(one, 1) == [3]


async def test_the_feed_runs_only_while_somebody_is_attached(
    component: Component, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(feed_module, "BELT", 0.01)
    async with component.feed.attach() as attachment:
        database.execute("insert into item values (1)")
        assert await ids(attachment, 1) == [1]
    assert not [task for task in asyncio.all_tasks() if task.get_name() == "pgwamp feed"]
    database.execute("insert into item values (2)")
    async with component.feed.attach() as attachment:
        database.execute("insert into item values (3)")
        assert await ids(attachment, 1) == [3]


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
        async with asyncio.timeout(10), component.feed.attach():
            await reading.wait()
    assert "pgwamp feed" not in {task.get_name() for task in asyncio.all_tasks()}
    async with component.feed.attach() as attachment:
        database.execute("insert into item values (1)", PUBLISHED)
        assert await ids(attachment, 1) == [1]


async def test_what_nobody_told_of_is_found_after_a_while(
    component: Component, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(feed_module, "BELT", 0.2)
    async with component.feed.attach() as attachment:
        database.execute("insert into item values (1)")
        assert await ids(attachment, 1) == [1]


async def test_lost_connections_lose_no_event(component: Component, database: Database) -> None:
    async with component.feed.attach() as attachment:
        for number in range(1, 6):
            database.execute(
                "select pg_terminate_backend(pid) from pg_stat_activity "
                "where datname = current_database() and pid <> pg_backend_pid()",
                f"insert into item values ({number})",
            )
            # Nobody hears this unless he listens again; else the reconnect is the signal.
            database.execute(PUBLISHED)
        assert await ids(attachment, 5) == [1, 2, 3, 4, 5]


async def test_the_feed_counts_no_transaction_as_seen_that_a_crash_could_undo(
    component: Component, database: Database
) -> None:
    writer = await database.connect()
    async with component.feed.attach() as attachment:
        transaction = writer.transaction()
        await transaction.start()
        await writer.execute("insert into item values (1)")
        # Its id is given out again when the server crashes before anything else is on disk.
        await (other := await database.connect()).execute(
            "begin; select pg_current_xact_id(); rollback"
        )
        await transaction.commit()
        database.execute(PUBLISHED)
        async with asyncio.timeout(10):
            (change,) = await attachment.next()
        assert Snapshot.parse(component.feed._position.seen).xmax == change.xid + 1
    for connection in (writer, other):
        await connection.close()


async def test_who_does_not_read_is_detached_and_holds_nothing(
    component: Component, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(feed_module, "WAITING", 50)
    monkeypatch.setattr(feed_module, "PATIENCE", 0.2)
    async with component.feed.attach() as idle, component.feed.attach() as reading:
        for start in range(0, 200, 20):
            database.execute(
                f"insert into item select n from generate_series({start}, {start + 19}) as n",
                PUBLISHED,
            )
            assert await ids(reading, 20) == list(range(start, start + 20))
        assert not idle._batches
        with pytest.raises(Overrun):
            await idle.next()


async def test_memory_is_flat_while_some_do_not_read(
    component: Component, database: Database
) -> None:
    database.execute(
        "create table large (id int primary key, body text)",
        "select wamp.watch('large')",
        # Not a text that PostgreSQL stores in less.
        "create function noise(n int) returns text language sql as "
        "$$ select string_agg(md5(random()::text), '') from generate_series(1, n) $$",
    )
    tracemalloc.start()
    try:
        async with AsyncExitStack() as stack:
            for _ in range(20):
                await stack.enter_async_context(component.feed.attach())
            reading = await stack.enter_async_context(component.feed.attach())
            for start in range(0, 120, 10):
                database.execute(
                    f"insert into large select n, noise(16000) "
                    f"from generate_series({start}, {start + 9}) as n",
                    PUBLISHED,
                )
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

    def fail_once(*args: Any) -> Change:
        nonlocal failing
        if failing:
            failing = False
            raise ZeroDivisionError
        return outline(*args)

    monkeypatch.setattr(feed_module, "outline", fail_once)
    async with component.feed.attach() as attachment:
        database.execute("insert into item values (1)", PUBLISHED)
        async with asyncio.timeout(5):
            with pytest.raises(Overrun):
                await attachment.next()
        async with component.feed.attach() as again:
            database.execute("insert into item values (2)", PUBLISHED)
            assert await ids(again, 1) == [2]


async def test_removed_events_detach_who_has_not_read_them(
    component: Component, database: Database
) -> None:
    async with component.feed.attach() as attachment:
        component.feed._position = Position("1:1:")
        database.execute("update wamp.retention set pruned = '3'", PUBLISHED)
        async with asyncio.timeout(5):
            with pytest.raises(Overrun):
                await attachment.next()
        async with component.feed.attach() as again:
            database.execute("insert into item values (1)", PUBLISHED)
            assert await ids(again, 1) == [1]


async def test_the_publisher_tells_every_instance(
    serve: Serve, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(feed_module, "BELT", 60.0)
    database.execute(*ITEM)
    leading, other = await serve(), await serve()
    async with leading.feed.attach() as one, other.feed.attach() as two:
        database.execute("insert into item values (1)")
        assert await ids(one, 1) == await ids(two, 1) == [1]


async def test_events_of_publish_are_fed_too(component: Component, database: Database) -> None:
    async with component.feed.attach() as attachment:
        database.execute(
            """select wamp.publish('com.example.x', '[1]', '{"a": 2}',
                '{"eligible_authid": ["alice"]}')""",
            PUBLISHED,
        )
        async with asyncio.timeout(10):
            (change,) = await attachment.next()
    assert (change.schema, change.table, change.op) == (None, None, "publish")
    assert change.topic == "com.example.x"
    assert change.options == {"eligible_authid": ["alice"]}
    assert (change.kwargs["args"], change.kwargs["kwargs"]) == ([1], {"a": 2})


# --- the joint ----------------------------------------------------------------------------------


async def test_what_python_sees_in_a_snapshot_is_what_postgresql_sees(database: Database) -> None:
    holder, connection = await database.connect(), await database.connect()
    transaction = holder.transaction()
    await transaction.start()
    await holder.execute("select pg_current_xact_id()")
    for _ in range(3):
        await connection.execute("select pg_current_xact_id()")
    text, first = await connection.fetchrow(
        "select pg_current_snapshot()::text, pg_snapshot_xmin(pg_current_snapshot())::text"
    )
    snapshot = Snapshot.parse(text)
    assert snapshot.running
    xids = range(int(first) - 2, int(first) + 10)
    rows = await connection.fetch(
        "select pg_visible_in_snapshot(x::xid8, $1::text::pg_snapshot) as seen "
        "from unnest($2::text[]) with ordinality as t (x, n) order by n",
        text,
        [str(xid) for xid in xids],
    )
    assert [snapshot.sees(xid) for xid in xids] == [row["seen"] for row in rows]
    await transaction.rollback()
    await holder.close()
    await connection.close()


async def test_a_later_snapshot_covers_an_earlier_one_and_not_the_other_way(
    database: Database,
) -> None:
    holder, connection = await database.connect(), await database.connect()
    now = "select pg_current_snapshot()::text"
    found = []
    transaction = holder.transaction()
    await transaction.start()
    await holder.execute("select pg_current_xact_id()")
    found.append(Snapshot.parse(await connection.fetchval(now)))
    await connection.execute("select pg_current_xact_id()")
    found.append(Snapshot.parse(await connection.fetchval(now)))
    await transaction.commit()
    found.append(Snapshot.parse(await connection.fetchval(now)))
    await holder.close()
    await connection.close()
    for earlier in range(3):
        for later in range(3):
            assert found[later].covers(found[earlier]) == (later >= earlier)


@st.composite
def histories(draw: st.DrawFn) -> tuple[list[tuple[int, int, int]], int, int, list[int]]:
    """Events as (id, when it is written, when it commits), and moments.

    The moments are when the follower attaches, when he has read by pages, and when the feed polls.
    """
    events = []
    for number in range(1, draw(st.integers(0, 12)) + 1):
        committed = number + draw(st.integers(0, 12))
        events.append((number, number, committed))
    attached = draw(st.integers(0, 12))
    replayed = attached + draw(st.integers(0, 8))
    polls = sorted(draw(st.sets(st.integers(attached, 30), max_size=6)) | {30})
    return events, attached, replayed, polls


@given(histories(), st.integers(1, 4), st.booleans())
def test_the_joint_misses_nothing_and_repeats_nothing_from_any_cursor(
    history: tuple[list[tuple[int, int, int]], int, int, list[int]], size: int, from_now: bool
) -> None:
    events, attached, replayed, polls = history

    def snapshot(moment: int) -> str:
        """Each event is written by the transaction of its number."""
        running = [n for n, begun, ended in events if begun <= moment < ended]
        xmax = max((n for n, _, ended in events if ended <= moment), default=0) + 1
        return f"{min([*running, xmax])}:{xmax}:{','.join(str(n) for n in running if n < xmax)}"

    def new(seen: str, polling: str, last_id: int = 0) -> list[int]:
        earlier, later = Snapshot.parse(seen), Snapshot.parse(polling)
        return [n for n, *_ in events if later.sees(n) and not earlier.sees(n) and n > last_id]

    def kept(position: Position) -> Position:
        """As a subscriber keeps it."""
        return decode_cursor(position.encode(CLUSTER), CLUSTER)

    end, replay, seen = snapshot(30), snapshot(replayed), snapshot(attached)
    received = new("1:1:", replay)
    read = newest_of(replay) if from_now else max(received, default=0)
    joint = Joint(Position(replay, newest=read), CLUSTER)
    positions = [(kept(joint.position), list(received))]
    newest = newest_of(seen)
    for polling in map(snapshot, polls):
        numbers = new(seen, polling)
        newest = max([newest, *numbers])
        start = Position(seen, newest=newest)
        for first in range(0, len(numbers), size):
            part = numbers[first : first + size]
            ended = Position(polling, newest=newest)
            further = Position(seen, polling, part[-1], newest)
            page_end = further if len(part) == size else ended
            changes = [_change(n, Position(seen, polling, n, newest)) for n in part]
            for change in joint.take(Batch(changes, start, polling, page_end, 0)):
                received.append(change.id)
                cursor = decode_cursor(change.kwargs["cursor"], CLUSTER)
                positions.append((cursor, list(received)))
            positions.append((kept(joint.position), list(received)))
            start = page_end
        seen = polling
    assert sorted(received) == [n for n, *_ in events]
    for position, so_far in positions:
        rest = new(position.polling or position.seen, end)
        if position.polling is not None:
            rest += new(position.seen, position.polling, position.last_id)
        assert sorted(so_far + rest) == [n for n, *_ in events]


def _change(number: int, after: Position) -> Change:
    """The event of a transaction with the same number, with the feed's cursor."""
    kwargs = {"cursor": after.encode(CLUSTER)}
    return Change(number, number, "public", "item", "insert", None, {}, 0, kwargs)


async def test_a_transaction_open_across_the_attachment_is_neither_lost_nor_repeated(
    component: Component, database: Database
) -> None:
    slow, connection = await database.connect(), await database.connect()
    transaction = slow.transaction()
    await transaction.start()
    await slow.execute("insert into item values (1)")
    database.execute("insert into item values (2)")
    async with component.feed.attach() as attachment:
        database.execute("insert into item values (3)")
        replayed = await current_position(connection)  # 2 and 3 were read by pages
        await transaction.commit()
        database.execute("insert into item values (4)", PUBLISHED)
        joint = Joint(replayed, component.feed.cluster)
        found: list[int] = []
        async with asyncio.timeout(10):
            while 4 not in found:
                found += [c.kwargs["key"]["id"] for c in joint.take(await attachment.batch())]
    assert sorted(found) == [1, 4]
    await slow.close()
    await connection.close()
