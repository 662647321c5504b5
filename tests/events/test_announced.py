"""Events that writers hand to the sleeping publisher."""

from __future__ import annotations

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pgwamp.events.announced import BETWEEN, FAR, MEMBERS, Announcement, Unclear
from pgwamp.events.cursor import Position
from pgwamp.events.leader import LOCK_CLASS
from pgwamp.eventlog.snapshot import Snapshot
from pgwamp.events.waker import ASLEEP
from tests.conftest import Connect, Database, Serve

XIDS = range(1, 40)
_WAITING = "select exists (select from pg_locks where pid = $1 and not granted)"
_AWAKE = (
    "select not exists (select from pg_locks join pg_database as d on d.oid = database "
    f"where datname = current_database() and classid = {LOCK_CLASS} and objid = {ASLEEP})"
)


@st.composite
def snapshots(draw: st.DrawFn) -> Snapshot:
    xmax = draw(st.sampled_from(XIDS))
    running = draw(st.frozensets(st.sampled_from(XIDS)).map(lambda x: {y for y in x if y < xmax}))
    return Snapshot(min(running, default=xmax), xmax, frozenset(running))


@given(one=snapshots(), other=snapshots(), xid=st.sampled_from(XIDS))
def test_what_is_seen_after_an_event(one: Snapshot, other: Snapshot, xid: int) -> None:
    both = one.with_all_of(other, xid)

    for x in (*XIDS, 100):
        assert both.sees(x) == (one.sees(x) or other.sees(x) or x == xid)
    assert Snapshot.parse(str(both)) == both
    # As PostgreSQL wants a snapshot to be written.
    assert both.xmin <= both.xmax
    assert all(both.xmin <= x < both.xmax for x in both.running)


def told(**members: str) -> str:
    """What a writer tells of an event."""
    return BETWEEN.join(
        {"created_at": '"2026-01-01T00:00:00.5"', **members}.get(name, "") for name in MEMBERS
    )


def announcement(xid: int, snapshot: str, number: int = 1) -> Announcement:
    return Announcement.parse(told(id=str(number), xid=str(xid), snapshot=snapshot))


def test_the_next_page_begins_where_the_last_one_ends() -> None:
    first = announcement(20, "18:21:18", 7).page(Position("10:10:", newest=9))
    assert first is not None
    assert first.end == Position("10:10:", "18:21:18", 7, 20)
    assert first.records[0]["created_at"] == "2026-01-01 00:00:00.5+00"

    second = announcement(18, "18:22:18,21", 6).page(first.end)
    assert second is not None
    assert second.end == Position("18:21:18", "21:22:21", 6, 20)


def test_what_was_read_is_passed_over() -> None:
    assert announcement(20, "20:20:").page(Position("30:30:")) is None
    handed = Position("10:10:", "21:21:", 7)
    assert announcement(20, "20:20:", 7).page(handed) is None


@pytest.mark.parametrize(
    ("announced", "position"),
    [
        (announcement(20 + FAR, "10:10:"), Position("10:10:")),
        (announcement(10**18, f"{10**18}:{10**18}:"), Position("10:10:")),
        # A second event of the same transaction.
        (announcement(20, "20:20:", 8), Position("10:10:", "21:21:", 7)),
    ],
    ids=["far away", "far away for itself as well", "the first was handed over"],
)
def test_what_is_not_clear_is_to_be_read(announced: Announcement, position: Position) -> None:
    with pytest.raises(Unclear):
        announced.page(position)


def test_who_runs_meanwhile_changes_nothing() -> None:
    page = announcement(20, "15:21:15").page(Position("10:10:"))
    assert page is not None
    assert page.end.polling == "15:21:15"


@pytest.mark.parametrize(
    "payload",
    [
        "",
        told(id="1", xid="20", snapshot="20:20:", topic=f"a.{BETWEEN}"),
        told(id="x", xid="20", snapshot="20:20:"),
        told(id="1", xid="", snapshot="20:20:"),
        told(id="1", xid="20", snapshot="20"),
        told(id="1", xid="20", snapshot=""),
        told(id="1", xid="20", snapshot="20:20:", changed="["),
        told(id="1", xid="20", snapshot="20:20:", created_at=""),
    ],
)
def test_what_is_not_handed_over_whole_is_to_be_read(payload: str) -> None:
    with pytest.raises(Unclear):
        Announcement.parse(payload)


async def test_each_event_comes_once_and_in_order_however_it_was_told(
    serve: Serve, connect: Connect, database: Database, prefix: str
) -> None:
    """Transactions of one event, of several, reset settings, an old one that ends meanwhile."""
    database.execute("create table item (id int primary key, n int)", "select wamp.watch('item')")
    old = await database.connect()
    await old.execute("begin")
    await old.execute("insert into item values (0, 0)")
    await serve()
    client = await connect()
    received: list[tuple[int, int]] = []
    news = asyncio.Event()

    def on_event(_topic: str, _args: list[object], event: dict[str, dict[str, int]]) -> None:
        received.append((event["new"]["id"], event["new"]["n"]))
        news.set()

    for operation in ("inserted", "updated"):
        await client.subscribe(f"{prefix}.item.{operation}", on_event)
    writer = await database.connect()
    expected: list[tuple[int, int]] = []

    async def all_received() -> None:
        async with asyncio.timeout(10):
            while len(received) < len(expected):
                news.clear()
                await news.wait()

    for n in range(1, 31):
        await writer.execute("begin")
        await writer.execute(f"insert into item values ({n}, {n})")
        expected.append((n, n))
        for more in range(n % 3):
            # Whatever the transaction has noted is gone.
            await writer.execute("reset all")
            await writer.execute(f"update item set n = {-more - 1} where id = {n}")
            expected.append((n, -more - 1))
        await writer.execute("commit")
        await all_received()
        if n == 15:
            await old.execute("update item set n = 5 where id = 0")
            await old.execute("commit")
            expected += [(0, 0), (0, 5)]
            await all_received()
    assert received == expected
    await writer.close()
    await old.close()


async def test_an_event_comes_after_those_that_its_transaction_waited_for(
    serve: Serve, connect: Connect, database: Database, prefix: str
) -> None:
    """A transaction hands over its first event, then waits for one that wakes nobody."""
    rows = range(1, 9)
    database.execute(
        "create table item (id int primary key, n int)",
        "insert into item select * from generate_series(1, 8)",
        "select wamp.watch('item')",
    )
    silent = {row: await database.connect() for row in rows}
    for row, connection in silent.items():
        await connection.execute(f"begin; update item set n = 1 where id = {row}")
    writer = await database.connect()
    await serve()
    client = await connect()
    received: dict[int, list[int]] = {}
    news = asyncio.Event()

    def on_event(_topic: str, _args: list[object], event: dict[str, dict[str, int]]) -> None:
        received.setdefault(event["new"]["id"], []).append(event["new"]["n"])
        news.set()

    await client.subscribe(f"{prefix}.item.", on_event, match="prefix")
    for row, connection in silent.items():
        async with asyncio.timeout(10):
            while await connection.fetchval(_AWAKE):
                pass
        await writer.execute(f"begin; insert into item values ({-row}, 0)")
        waiting = asyncio.create_task(
            writer.execute(f"update item set n = 2 where id = {row}; commit")
        )
        async with asyncio.timeout(10):
            while not await connection.fetchval(_WAITING, writer.get_server_pid()):
                assert not waiting.done()
        await connection.execute("commit")
        await waiting
        async with asyncio.timeout(10):
            while len(received.get(row, [])) < 2:
                news.clear()
                await news.wait()
        await connection.close()
    assert received == {row: [1, 2] for row in rows} | {-row: [0] for row in rows}
    await writer.close()


async def test_nobody_can_forge_an_event(
    serve: Serve, connect: Connect, database: Database, prefix: str
) -> None:
    database.execute("create table item (id int primary key)", "select wamp.watch('item')")
    await serve()
    client = await connect()
    received: list[str] = []
    ended = asyncio.Event()

    def on_event(topic: str, _args: list[object], _event: dict[str, object]) -> None:
        received.append(topic)
        if topic == f"{prefix}.last":
            ended.set()

    await client.subscribe(f"{prefix}.", on_event, match="prefix")
    forged = told(
        id=str(10**9), xid=str(10**9), snapshot=f"{10**9}:{10**9}:", topic=f"{prefix}.forged"
    )
    writer = await database.connect()
    # The channel that everybody knows.
    await writer.execute("select pg_notify('pgwamp', $1)", forged)
    await writer.execute("select wamp.publish($1)", f"{prefix}.last")
    async with asyncio.timeout(10):
        await ended.wait()
    assert received == [f"{prefix}.last"]
    await writer.close()
