"""``follow``: from a cursor, from now on or from the rows of a table, and then live."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from pgwamp.component import Component
from pgwamp.errors import CallError
from pgwamp.query import shape as shape_module
from pgwamp.replay import feed as feed_module
from pgwamp.replay import follow as follow_module
from pgwamp.replay import rights as rights_module
from pgwamp.replay import subjects
from tests.conftest import Connect, Database, PausesOf, Serve
from tests.replay.appending import until_logged
from tests.replay.following import Follower

ITEM = (
    "create table item (id int primary key, name text)",
    "select wamp.watch('item')",
)


async def test_it_begins_now_or_after_a_cursor_and_goes_on_live(
    serve: Serve, connect: Connect, database: Database, prefix: str
) -> None:
    database.execute(*ITEM, "insert into item values (1)")
    await serve()
    await until_logged(database)
    client = await connect()
    uri = f"{prefix}.item.follow"
    now = await Follower(client, uri).begun()
    assert now.items[0]["events"] == []
    database.execute("insert into item values (2)", "insert into item values (3)")
    assert await now.keys(2) == [2, 3]
    assert now.events[0]["new"] == {"id": 2, "name": None}
    after = Follower(client, uri, since=now.events[0]["cursor"])
    assert await after.keys(1) == [3]
    database.execute("insert into item values (4)")
    assert await after.keys(2) == [3, 4]
    assert await now.keys(3) == [2, 3, 4]


async def test_every_cursor_goes_on_exactly_there(
    serve: Serve, connect: Connect, database: Database, prefix: str
) -> None:
    database.execute(*ITEM)
    await serve()
    client = await connect()
    follower = await Follower(client, f"{prefix}.item.follow").begun()
    cursors: list[tuple[str, int]] = [(follower.items[0]["cursor"], 0)]
    slow = await database.connect()
    transaction = slow.transaction()
    await transaction.start()
    await slow.execute("insert into item values (100), (101)")
    database.execute("insert into item values (1), (2)", "insert into item values (3)")
    await follower.keys(3)
    await transaction.commit()
    await slow.close()
    ids = [event["id"] for event in (await follower.until(lambda f: len(f.events) == 5)).events]
    cursors += [(event["cursor"], n + 1) for n, event in enumerate(follower.events)]
    seen = 0
    for item in follower.items:
        seen += len(item["events"])
        cursors.append((item["cursor"], seen))
    for cursor, number in cursors:
        rest = await client.call(f"{prefix}.item.changes", [cursor])
        assert sorted(event["id"] for event in rest) == sorted(ids[number:])


async def test_a_snapshot_goes_on_without_a_gap(
    serve: Serve, connect: Connect, database: Database, prefix: str
) -> None:
    database.execute(*ITEM, "insert into item select n, 'x' from generate_series(1, 3000) as n")
    await serve()
    client = await connect()
    stop = asyncio.Event()

    async def write() -> None:
        """Changes in every way, as fast as one writer can."""
        connection = await database.connect()
        number = 3000
        while not stop.is_set():
            number += 1
            await connection.execute(f"insert into item values ({number}, 'new')")
            await connection.execute(
                f"update item set name = 'y{number}' where id = {number - 2000}"
            )
            await connection.execute(f"delete from item where id = {number - 2500}")
        await connection.close()

    writing = asyncio.create_task(write())
    followers = [Follower(client, f"{prefix}.item.follow", snapshot=True) for _ in range(3)]
    for follower in followers:
        await follower.until(lambda f: len(f.events) > 50, 30)
    stop.set()
    await writing
    database.execute("insert into item values (-1)")
    expected = {row["id"]: row for row in await _select_all(client, prefix)}
    for follower in followers:
        await follower.until(lambda f: f.events[-1]["key"] == {"id": -1}, 30)
        assert len(follower.rows) >= 2900
        assert fold(follower) == expected


async def _select_all(client: Any, prefix: str) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = []
    await client.call(f"{prefix}.item.select", [], {}, rows.extend)
    return rows


def fold(follower: Follower) -> dict[int, dict[str, Any]]:
    """The table that a follower knows."""
    rows = {row["id"]: row for row in follower.rows}
    for event in follower.events:
        key = event["key"]["id"]
        # Each once and in order: an insert is new, the others are about what is there.
        assert (event["op"] == "insert") == (key not in rows)
        if event["op"] == "delete":
            del rows[key]
        else:
            rows[key] = event["new"]
    return rows


async def test_a_snapshot_reads_as_select_does(
    serve: Serve, connect: Connect, database: Database, prefix: str
) -> None:
    database.execute(
        "create table odd (id bigint primary key, amount numeric, at timestamptz, raw bytea, "
        "data jsonb, span int4range, twice bigint generated always as (id * 2) stored)",
        "insert into odd values (1, 1.50, '2024-01-01', '\\x00ff', '{\"a\": [1]}', '[1,5)')",
        "insert into odd (id) values (2)",
        "create table empty (id int primary key)",
        "select wamp.watch('odd'), wamp.watch('empty')",
    )
    await serve()
    client = await connect()
    odd = await Follower(client, f"{prefix}.odd.follow", snapshot=True).begun()
    assert odd.rows == await client.call(f"{prefix}.odd.select")
    empty = await Follower(client, f"{prefix}.empty.follow", snapshot=True).begun()
    assert [set(item) for item in empty.items] == [{"rows"}, {"events", "cursor"}]
    assert empty.rows == []


WATCHED_WITH = [
    {"columns": ["name"]},
    {"when": "amount > 50"},
    {"columns": ["name", "amount"], "when": "name like '%5%' and amount <> 77"},
    {"old": "none", "topic": "{prefix}.part.{op}.{id}"},
    {"when": "name ~ '^.[135]' and not amount % 7 = 0", "old": "full"},
]


async def test_the_rows_of_a_snapshot_are_made_in_parts(
    serve: Serve,
    connect: Connect,
    database: Database,
    prefix: str,
    pauses_of: PausesOf,
) -> None:
    database.execute(
        "create table doc (id int primary key, body jsonb)",
        "select wamp.watch('doc')",
        "insert into doc select n, to_jsonb(repeat('x', 300000)) from generate_series(1, 20) as n",
    )
    pauses = pauses_of(shape_module)
    await serve()
    follower = await Follower(await connect(), f"{prefix}.doc.follow", snapshot=True).begun()
    assert len(follower.rows) == 20
    assert len(pauses) >= 19


@pytest.mark.parametrize("options", WATCHED_WITH, ids=json.dumps)
async def test_a_snapshot_has_what_its_events_would_have_made(
    serve: Serve,
    connect: Connect,
    database: Database,
    prefix: str,
    options: dict[str, Any],
) -> None:
    watch = json.dumps(options).replace("{prefix}", prefix).replace("'", "''")
    database.execute(
        "create table part (id int primary key, name text, amount int)",
        f"select wamp.watch('part', '{watch}')",
    )
    await serve()
    client = await connect()
    early = await Follower(client, f"{prefix}.part.follow", snapshot=True).begun()
    assert early.rows == []
    database.execute(
        "insert into part select n, 'p' || n, n from generate_series(1, 100) as n",
        "update part set amount = 200 - amount, name = 'q' || id where id % 3 = 0",
        "delete from part where id % 10 = 4",
    )
    late = await Follower(client, f"{prefix}.part.follow", snapshot=True).begun()
    assert 0 < len(late.rows) <= 90
    database.execute(
        "update part set id = -id, amount = amount + 1 where id % 5 = 0",
        "insert into part values (1000, 'p5', 60)",
    )
    for follower in (early, late):
        await follower.until(lambda f: any(e["key"] == {"id": 1000} for e in f.events))
    assert table(early) == table(late)


def table(follower: Follower) -> dict[int, dict[str, Any]]:
    """What a follower knows of each key, without the key where it is not among the columns."""
    rows = {row["id"]: row for row in follower.rows}
    for event in follower.events:
        key = event["key"]["id"]
        if event["op"] == "delete":
            del rows[key]
            continue
        if event["op"] == "update":
            del rows[event["old"].get("id", key) if "old" in event else key]
        rows[key] = {"id": key, **event["new"]}
    return rows


async def test_rows_that_are_not_for_everybody_are_refused(
    serve: Serve, connect: Connect, database: Database, prefix: str
) -> None:
    database.execute(
        "create table own (id int primary key, owner text)",
        """select wamp.watch('own', '{"eligible_authid": "owner"}')""",
    )
    await serve()
    client = await connect()
    error = await Follower(client, f"{prefix}.own.follow", snapshot=True).error()
    assert error.uri == "wamp.error.invalid_argument"
    assert "snapshot: own is watched with eligible_authid" in error.message
    await Follower(client, f"{prefix}.own.follow").begun()


async def test_a_follower_outlives_the_call_timeout_and_the_database(
    serve: Serve, connect: Connect, database: Database, prefix: str
) -> None:
    nap = "create function nap() returns int language sql as 'select 1 from pg_sleep(9)'"
    database.execute(*ITEM, nap)
    await serve(limits={"call_timeout": 0.5, "concurrency": 1})
    client = await connect()
    follower = await Follower(client, f"{prefix}.item.follow").begun()
    with pytest.raises(CallError, match="call_timeout"):
        await client.call(f"{prefix}.nap")  # which has the only slot, and began later
    for number in range(3):
        database.execute(
            "select pg_terminate_backend(pid) from pg_stat_activity "
            "where datname = current_database() and pid <> pg_backend_pid()",
            f"insert into item values ({number})",
        )
        assert await follower.keys(number + 1, 20) == list(range(number + 1))


async def test_who_does_not_keep_up_misses_nothing(
    serve: Serve,
    connect: Connect,
    database: Database,
    prefix: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(feed_module, "WAITING_EVENTS", 50)
    database.execute(*ITEM)
    component = await serve()
    client = await connect()
    lags = 0
    gate = asyncio.Event()
    live, send_batch = follow_module._Follow._live, follow_module._Follow._send_batch

    async def counted(*arguments: Any) -> None:
        nonlocal lags
        try:
            await live(*arguments)
        except feed_module.Lagged:
            lags += 1
            raise

    async def held(self: Any, *arguments: Any) -> None:
        """Sends one batch, and no further one until the gate opens: as if there was no room."""
        sent = self._sent
        await send_batch(self, *arguments)
        if self._sent != sent:
            await gate.wait()

    monkeypatch.setattr(follow_module._Follow, "_live", counted)
    monkeypatch.setattr(follow_module._Follow, "_send_batch", held)
    slow = await Follower(client, f"{prefix}.item.follow").begun()
    await until_subscribed(component, 1)
    database.execute("insert into item values (-1)")
    assert await slow.keys(1) == [-1]
    async with component.feed.subscribe() as subscription:
        for start in range(0, 400, 40):
            database.execute(
                f"insert into item select n from generate_series({start}, {start + 39}) as n"
            )
            async with asyncio.timeout(10):
                seen = 0
                while seen < 40:
                    seen += len(await subscription.next())
    gate.set()
    assert await slow.keys(401) == [-1, *range(400)]
    assert lags == 1


async def until_live(database: Database, *followers: Follower) -> None:
    """Have followers of ``item`` receive live what comes next.

    The first row may be read before they subscribe, and the second before they are live.
    """
    for number in (-2, -1):
        database.execute(f"insert into item values ({number})")
        for follower in followers:
            await follower.keys(number + 3)


async def until_subscribed(component: Component, number: int) -> None:
    """Wait until so many follow live, or nearly so."""
    async with asyncio.timeout(10):
        while len(component.feed._subscriptions) != number:  # noqa: ASYNC110 (nothing tells of it)
            await asyncio.sleep(0.01)


async def test_a_quiet_follower_gets_a_new_cursor_now_and_then(
    serve: Serve,
    connect: Connect,
    database: Database,
    prefix: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(follow_module, "QUIET_SECONDS", 0.2)
    database.execute(*ITEM, "create table other (id int primary key)", "select wamp.watch('other')")
    await serve()
    client = await connect()
    follower = await Follower(client, f"{prefix}.item.follow").begun()
    await until_live(database, follower)
    first = follower.cursor
    database.execute("insert into other values (1)")
    await follower.until(lambda f: f.cursor != first)
    assert len(follower.events) == 2


async def test_a_caller_who_leaves_or_cancels_frees_the_feed(
    serve: Serve, connect: Connect, database: Database, prefix: str
) -> None:
    database.execute(*ITEM)
    component = await serve()
    staying, leaving = await connect(), await connect()
    one = await Follower(staying, f"{prefix}.item.follow").begun()
    two = await Follower(leaving, f"{prefix}.item.follow").begun()
    database.execute("insert into item values (1)")
    assert await one.keys(1) == await two.keys(1) == [1]
    await leaving.link.stop()
    one.reply.cancel()
    await until_subscribed(component, 0)
    feeds = [task for task in asyncio.all_tasks() if task.get_name() == "pgwamp feed"]
    if feeds:
        _, pending = await asyncio.wait(feeds, timeout=5)
        assert not pending


async def test_a_component_that_stops_says_so(
    serve: Serve, connect: Connect, database: Database, prefix: str
) -> None:
    database.execute(*ITEM)
    component = await serve()
    client = await connect()
    follower = await Follower(client, f"{prefix}.item.follow").begun()
    async with asyncio.timeout(10):
        await component.stop()
    error = await follower.error()
    assert error.uri == "pgwamp.error.unavailable"
    await serve()
    database.execute("insert into item values (1)")
    again = Follower(client, f"{prefix}.item.follow", since=follower.cursor)
    assert await again.keys(1) == [1]


@pytest.mark.parametrize(
    ("arguments", "uri", "text"),
    [
        ({"since": "x"}, "wamp.error.invalid_argument", "since: expected a cursor"),
        ({"since": "x", "snapshot": True}, "wamp.error.invalid_argument", "give one of the two"),
        ({"snapshot": 1}, "wamp.error.invalid_argument", "snapshot: expected true or false"),
        ({"topic": "x"}, "wamp.error.invalid_argument", "topic: unknown argument"),
    ],
)
async def test_a_wrong_argument_is_named(
    serve: Serve,
    connect: Connect,
    database: Database,
    prefix: str,
    arguments: dict[str, Any],
    uri: str,
    text: str,
) -> None:
    database.execute(*ITEM)
    await serve()
    error = await Follower(await connect(), f"{prefix}.item.follow", **arguments).error()
    assert error.uri == uri
    assert text in error.message


async def test_a_call_that_could_never_answer_says_how_to_call(
    serve: Serve, connect: Connect, database: Database, prefix: str
) -> None:
    database.execute(*ITEM, "create table plain (id int primary key)")
    await serve()
    client = await connect()
    with pytest.raises(CallError, match="receive_progress") as caught:
        await client.call(f"{prefix}.item.follow")
    assert caught.value.uri == "wamp.error.invalid_argument"
    error = await Follower(client, f"{prefix}.plain.follow").error()
    assert error.uri == "pgwamp.error.not_watched"
    assert "wamp.watch('public.plain')" in error.message


async def test_the_cure_for_a_table_that_is_not_watched_works_wherever_the_table_is(
    serve: Serve, connect: Connect, database: Database, prefix: str
) -> None:
    database.execute("create schema app", 'create table app."John\'s post" (id int primary key)')
    await serve(expose={"schemas": ["app"], "alias": {"John's post": "post"}})
    client = await connect()
    error = await Follower(client, f"{prefix}.post.follow").error()
    assert error.uri == "pgwamp.error.not_watched"
    database.execute(error.message.partition("watch it with ")[2])
    await Follower(client, f"{prefix}.post.follow").begun()


async def test_an_expired_cursor_says_how_to_start_over(
    serve: Serve, connect: Connect, database: Database, prefix: str
) -> None:
    database.execute(*ITEM)
    await serve()
    client = await connect()
    follower = await Follower(client, f"{prefix}.item.follow").begun()
    database.execute("insert into item values (1)")
    await follower.keys(1)
    follower.reply.cancel()
    database.execute("insert into item values (2)")
    await until_logged(database)
    database.execute(REMOVE_ALL)
    error = await Follower(client, f"{prefix}.item.follow", since=follower.cursor).error()
    assert error.uri == "pgwamp.error.cursor_expired"
    assert "snapshot=true" in error.message


#: As retention does it.
REMOVE_ALL = """
with removed as (delete from wamp.log)
update wamp.sequencer
set (position, mark, removed_position, removed_mark, seen, taking) = (
    select p.position, p.mark, p.position, p.mark, p.seen, p.taking from wamp.progress as p)
"""


async def test_a_follow_ends_when_the_database_has_lost_what_it_was_told(
    serve: Serve, connect: Connect, database: Database, prefix: str
) -> None:
    database.execute(*ITEM)
    await serve()
    follower = await Follower(await connect(), f"{prefix}.item.follow").begun()
    await until_live(database, follower)
    # As in a backup from before that is put back, and has gone on.
    database.execute(
        "update wamp.log set mark = '\\x00' where relation = 'item'::regclass",
        "insert into item values (2)",
    )
    error = await follower.error()
    assert error.uri == "pgwamp.error.cursor_expired"
    assert [event["key"]["id"] for event in follower.events] == [-2, -1]


GONE = {
    "dropped": (["drop table item"], "pgwamp.error.not_watched"),
    "renamed": (["alter table item rename to former"], "pgwamp.error.not_watched"),
    "moved": (["create schema s", "alter table item set schema s"], "pgwamp.error.not_watched"),
    "unwatched": (["select wamp.unwatch('item')"], "pgwamp.error.not_watched"),
    "swapped": (
        [
            "create table other (id int primary key, name text); select wamp.watch('other')",
            "alter table item rename to former; alter table other rename to item",
        ],
        "pgwamp.error.cursor_expired",
    ),
}


@pytest.mark.parametrize("what", GONE)
async def test_a_follow_ends_with_its_table_though_nothing_is_written(
    serve: Serve, connect: Connect, database: Database, prefix: str, what: str
) -> None:
    statements, uri = GONE[what]
    database.execute(*ITEM)
    await serve()
    client = await connect()
    follower = await Follower(client, f"{prefix}.item.follow").begun()
    everything = await Follower(client, f"{prefix}.follow").begun()
    await until_live(database, follower, everything)
    database.execute(*statements)
    assert (await follower.error()).uri == uri
    assert not everything.reply.done()


async def test_a_follow_ends_with_its_table_where_no_event_trigger_tells_of_it(
    serve: Serve,
    connect: Connect,
    database: Database,
    prefix: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(follow_module, "QUIET_SECONDS", 0.1)
    monkeypatch.setattr(rights_module, "RIGHTS_SECONDS", 0.0)
    database.execute(
        *ITEM,
        "alter event trigger wamp_ddl_command_end disable",
        "alter event trigger wamp_sql_drop disable",
    )
    await serve()
    follower = await Follower(await connect(), f"{prefix}.item.follow").begun()
    await until_live(database, follower)
    database.execute("drop table item")
    assert (await follower.error()).uri == "pgwamp.error.not_watched"


async def test_a_renamed_table_has_its_events_from_then_on_under_its_new_name(
    serve: Serve, connect: Connect, database: Database, prefix: str
) -> None:
    database.execute(*ITEM, "insert into item values (1)")
    component = await serve()
    client = await connect()
    database.execute(
        "alter table item rename to thing",
        "insert into thing values (2)",
        *ITEM,
        "insert into item values (3)",
    )
    await until_logged(database)
    await component.reload()
    for name, keys in (("thing", [2]), ("item", [3])):
        events = await client.call(f"{prefix}.{name}.changes")
        assert [event["key"]["id"] for event in events] == keys
    everything = await client.call(f"{prefix}.changes")
    assert [event["key"]["id"] for event in everything] == [1, 2, 3]


SWAPS = {
    "another table": [
        "alter table item rename to item_old",
        "create table item (id int primary key, name text)",
        "select wamp.watch('item')",
        "drop table item_old",
    ],
    "the name of another watched table": [
        "begin; alter table item rename to swap; alter table other rename to item; "
        "alter table swap rename to other; commit",
    ],
    "the schema of another watched table": [
        "begin; alter table item set schema aside; alter table later.item set schema public; commit"
    ],
    "not watched in between": [
        "select wamp.unwatch('item')",
        "insert into item values (7)",
        "select wamp.watch('item')",
    ],
}


@pytest.mark.parametrize("call", ["follow", "changes"])
@pytest.mark.parametrize("what", SWAPS)
async def test_a_cursor_from_before_a_swap_has_expired(
    serve: Serve, connect: Connect, database: Database, prefix: str, what: str, call: str
) -> None:
    database.execute(
        *ITEM,
        "create table other (id int primary key, name text)",
        "create schema later",
        "create schema aside",
        "create table later.item (id int primary key, name text)",
        "select wamp.watch('other'), wamp.watch('later.item')",
    )
    await serve()
    client = await connect()
    follower = await Follower(client, f"{prefix}.item.follow").begun()
    database.execute("insert into item values (1)", "insert into other values (1)")
    await follower.keys(1)
    follower.reply.cancel()
    database.execute(*SWAPS[what], "insert into item values (2)")
    await until_logged(database)
    error = await Follower(client, f"{prefix}.item.{call}", since=follower.cursor).error()
    assert error.uri == "pgwamp.error.cursor_expired"
    assert "another table has this name now, or it was not watched in between" in error.message
    # Without a cursor there is no end to paging from the beginning.
    events, answer = await client.call_full(f"{prefix}.item.changes", [], {"limit": 1})
    assert [event["key"]["id"] for event in events] == [2]
    events = await client.call(f"{prefix}.item.changes", [answer["next"]])
    assert events == []
    again = await Follower(client, f"{prefix}.item.follow", snapshot=True).begun()
    again.reply.cancel()
    database.execute("insert into item values (3)")
    after = Follower(client, f"{prefix}.item.follow", since=again.cursor)
    assert await after.keys(1) == [3]


@pytest.mark.parametrize("call", ["follow", "changes"])
async def test_a_cursor_has_expired_before_the_log_knows_that_the_table_was_not_watched(
    serve: Serve, connect: Connect, database: Database, prefix: str, call: str
) -> None:
    database.execute(*ITEM)
    await serve()
    client = await connect()
    follower = await Follower(client, f"{prefix}.item.follow").begun()
    follower.reply.cancel()
    locking = await database.connect()
    try:
        # The sequencer stores there where a table begins to be watched.
        await locking.execute("begin; lock table wamp.layout in exclusive mode")
        database.execute(*SWAPS["not watched in between"])
        error = await Follower(client, f"{prefix}.item.{call}", since=follower.cursor).error()
    finally:
        await locking.close()
    assert error.uri == "pgwamp.error.cursor_expired"


async def test_a_cursor_goes_on_over_changes_of_the_same_table(
    serve: Serve, connect: Connect, database: Database, prefix: str
) -> None:
    database.execute(*ITEM)
    await serve()
    client = await connect()
    follower = await Follower(client, f"{prefix}.item.follow").begun()
    follower.reply.cancel()
    database.execute(
        "insert into item values (1)",
        "alter table item add column more int",
        "select wamp.refresh('item')",
        """select wamp.watch('item', '{"old": "full"}')""",
        "insert into item values (2)",
        "truncate item",
        "insert into item values (3)",
    )
    after = Follower(client, f"{prefix}.item.follow", since=follower.cursor)
    await after.until(lambda f: len(f.events) == 4)
    assert [event["op"] for event in after.events] == ["insert", "insert", "truncate", "insert"]


async def test_a_running_follow_ends_when_its_table_was_not_watched_in_between(
    serve: Serve, connect: Connect, database: Database, prefix: str
) -> None:
    database.execute(*ITEM)
    await serve()
    follower = await Follower(await connect(), f"{prefix}.item.follow").begun()
    await until_live(database, follower)
    database.execute(
        "begin; select wamp.unwatch('item'); insert into item values (1); "
        "select wamp.watch('item'); commit",
        "insert into item values (2)",
    )
    error = await follower.error()
    assert error.uri == "pgwamp.error.cursor_expired"


@pytest.mark.parametrize("snapshot", [False, True])
async def test_a_follow_that_began_before_the_log_knew_the_watch_ends_then_too(
    serve: Serve,
    connect: Connect,
    database: Database,
    prefix: str,
    monkeypatch: pytest.MonkeyPatch,
    snapshot: bool,
) -> None:
    monkeypatch.setattr(subjects, "BEGINNING_SECONDS", 0.0)
    database.execute("create table item (id int primary key, name text)")
    await serve()
    client = await connect()
    locking, waiting = await database.connect(), await database.connect()
    try:
        # The sequencer stores there where a table begins to be watched.
        await locking.execute("begin; lock table wamp.layout in exclusive mode")
        database.execute("insert into item values (0)", "select wamp.watch('item')")
        follower = Follower(client, f"{prefix}.item.follow", snapshot=snapshot)
        await follower.until(lambda f: f.rows if snapshot else f.cursor)
        async with asyncio.timeout(10):
            # The transaction that has read the rows locks the table, and ends on this loop.
            await waiting.execute("begin; lock table item; commit")
        database.execute(
            "select wamp.unwatch('item')",
            "insert into item values (1)",
            "select wamp.watch('item')",
        )
    finally:
        await locking.close()
        await waiting.close()
    database.execute("insert into item values (2)")
    error = await follower.error()
    assert error.uri == "pgwamp.error.cursor_expired"
