"""Sessions that alter tables and types, watch and refresh beside each other, in open transactions.

Whatever of it was not seen by the other, rows read as they are.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from typing import Any

import asyncpg
import pytest

from pgwamp.eventlog.body import read_body
from tests.eventlog.conftest import Log, require_virtual_columns
from tests.eventlog.test_layouts import WITHOUT_EVENT_TRIGGERS

#: Says what the table is, without changing it.
TELLS = {
    "watch": 'select wamp.watch(\'item\', \'{"columns": ["id", "m", "v"]}\')',
    "watch otherwise": "select wamp.watch('item', "
    '\'{"columns": ["id", "m", "v"], "topic": "com.example.{op}"}\')',
    "refresh": "select wamp.refresh('item')",
}


@pytest.fixture
async def sessions(log: Log) -> AsyncIterator[tuple[Any, Any]]:
    """Two sessions, in neither of which anything waits."""
    async with AsyncExitStack() as stack:
        found = []
        for _ in range(2):
            session = await asyncpg.connect(log.database.url)
            stack.push_async_callback(session.close)
            await session.execute("set lock_timeout = '5s'")
            found.append(session)
        yield found[0], found[1]


@pytest.fixture
async def item(log: Log) -> None:
    """A watched table with a composite."""
    await log.execute(
        "create type comp as (a text, b text)",
        "create table item (id int primary key, n text, m text, v comp)",
        TELLS["watch"],
        "insert into item values (0, 'n', 'm', ('a', 'b'))",
    )
    await log.take()


async def overlap(log: Log, first: Any, second: Any, opened: str, within: str) -> None:
    """Execute one statement in an open transaction, and another one before it ends."""
    await first.execute("begin")
    await first.execute(opened)
    await second.execute(within)
    # What is committed is taken before the rest.
    await log.take()
    await first.execute("commit")
    await log.take()


async def last(log: Log, statement: str) -> Any:
    """The event of a statement."""
    await log.execute(statement)
    await log.take()
    return read_body((await log.events())[-1].body or "")


@pytest.mark.usefixtures("item")
@pytest.mark.parametrize("is_altered_first", [True, False])
@pytest.mark.parametrize("tell", TELLS.values(), ids=TELLS)
async def test_columns_that_change_beside_a_watch(
    log: Log, sessions: tuple[Any, Any], tell: str, is_altered_first: bool
) -> None:
    alter = "alter table item drop column n, add column secret text"
    opened, within = (alter, tell) if is_altered_first else (tell, alter)
    await overlap(log, *sessions, opened, within)
    told = await last(log, "insert into item (id, m, v, secret) values (1, 'm', ('a', 'b'), 's')")
    assert told["key"] == {"id": 1}
    assert told["new"] == {"id": 1, "m": "m", "v": {"a": "a", "b": "b"}}


@pytest.mark.usefixtures("item")
@pytest.mark.parametrize("tell", TELLS.values(), ids=TELLS)
async def test_columns_that_change_beside_a_watch_that_is_taken_at_once_with_it(
    log: Log, sessions: tuple[Any, Any], tell: str
) -> None:
    """The watch is told behind the change, and has not seen it."""
    first, second = sessions
    await first.execute("begin; alter table item drop column n, add column secret text")
    await second.execute(tell)
    await first.execute("commit")
    await log.take()
    told = await last(log, "insert into item (id, m, v, secret) values (1, 'm', ('a', 'b'), 's')")
    assert told["key"] == {"id": 1}
    assert told["new"] == {"id": 1, "m": "m", "v": {"a": "a", "b": "b"}}


@pytest.mark.usefixtures("item")
@pytest.mark.parametrize("is_type_first", [True, False])
@pytest.mark.parametrize(
    "tell", [*TELLS.values(), "alter table item add column x int"], ids=[*TELLS, "alter"]
)
async def test_a_type_that_changes_beside_its_table(
    log: Log, sessions: tuple[Any, Any], tell: str, is_type_first: bool
) -> None:
    alter = "alter type comp drop attribute b, add attribute c text"
    opened, within = (alter, tell) if is_type_first else (tell, alter)
    await overlap(log, *sessions, opened, within)
    told = await last(log, "insert into item (id, v) values (1, ('a', 'c'))")
    assert told["new"]["v"] == {"a": "a", "c": "c"}


@pytest.mark.parametrize("is_attached_first", [True, False])
@pytest.mark.parametrize("tell", ["watch", "refresh"])
async def test_a_partition_that_comes_beside_a_watch(
    log: Log, sessions: tuple[Any, Any], tell: str, is_attached_first: bool
) -> None:
    await log.execute(
        "create table item (id int primary key) partition by range (id)",
        "create table item_1 partition of item for values from (0) to (10)",
        "create table item_2 (id int primary key)",
        "insert into item_2 values (11)",
        "select wamp.watch('item')",
    )
    await log.take()
    attach = "alter table item attach partition item_2 for values from (10) to (20)"
    tell = f"select wamp.{tell}('item')"
    opened, within = (attach, tell) if is_attached_first else (tell, attach)
    await overlap(log, *sessions, opened, within)
    # It came with rows, and has not gone.
    assert [event.op for event in await log.events()] == ["insert"]
    assert await last(log, "insert into item_2 values (12)") == {
        "key": {"id": 12},
        "new": {"id": 12},
    }


async def test_columns_that_change_beside_the_first_watch_of_a_table_with_triggers(
    log: Log, sessions: tuple[Any, Any]
) -> None:
    """A partition that was detached keeps them."""
    await log.execute(
        "create table item (id int primary key, n text, m text) partition by range (id)",
        "create table item_1 partition of item for values from (0) to (10)",
        "select wamp.watch('item')",
        "alter table item detach partition item_1",
    )
    first, second = sessions
    await first.execute("begin")
    await first.execute("select wamp.watch('item_1')")
    await second.execute("set lock_timeout = '100ms'")
    alter = "alter table item_1 drop column n, add column secret text"
    with pytest.raises(asyncpg.LockNotAvailableError):
        await second.execute(alter)
    await first.execute("commit")
    await second.execute(alter)
    await log.take()
    told = await last(log, "insert into item_1 (id, secret) values (1, 's')")
    assert told["new"] == {"id": 1, "m": None, "secret": "s"}


@pytest.mark.usefixtures("item")
async def test_two_alterations_that_have_not_seen_each_other(
    log: Log, sessions: tuple[Any, Any]
) -> None:
    first, second = sessions
    await first.execute("begin isolation level repeatable read; select 1")
    await second.execute("alter table item drop column n, add column secret text")
    await first.execute(
        "alter table item add column x int; insert into item values (1, 'm'); commit"
    )
    await log.take()
    # Nobody has told how this one reads. From then on, the table is told anew.
    assert read_body((await log.events())[-1].body or "") == {"truncated": True}
    told = await last(log, "insert into item (id, m, secret) values (2, 'm', 's')")
    assert told["new"] == {"id": 2, "m": "m", "v": None}


#: Makes a table of a type that no other table has, or that another one has.
BEGINS: dict[str, tuple[tuple[str, ...], str]] = {
    "a first watch": (
        ("create table item (id int primary key, v comp)",),
        "select wamp.watch('item')",
    ),
    "a table": ((), "create table item (id int primary key, v comp); select wamp.watch('item')"),
    "a column": (
        ("create table item (id int primary key)", "select wamp.watch('item')"),
        "alter table item add column v comp",
    ),
    "a column of a type that others have": (
        (
            "create table other (v comp)",
            "create table item (id int primary key)",
            "select wamp.watch('item')",
        ),
        "alter table item add column v comp",
    ),
}


# The other way round, all but the watch wait for who has altered the type.
@pytest.mark.parametrize(("before", "begin"), BEGINS.values(), ids=BEGINS)
async def test_a_type_that_changes_as_a_table_begins_to_have_it(
    log: Log, sessions: tuple[Any, Any], before: tuple[str, ...], begin: str
) -> None:
    await log.execute("create type comp as (a text, b text)", *before)
    await log.take()
    alter = "alter type comp drop attribute a, add attribute c text"
    await overlap(log, *sessions, begin, alter)
    told = await last(log, "insert into item values (1, ('b', 'c'))")
    assert told["new"]["v"] == {"b": "b", "c": "c"}


async def test_a_first_watch_as_a_type_changes(log: Log, sessions: tuple[Any, Any]) -> None:
    await log.execute(
        "create type comp as (a text, b text)", "create table item (id int primary key, v comp)"
    )
    alter = "alter type comp drop attribute a, add attribute c text"
    await overlap(log, *sessions, alter, "select wamp.watch('item')")
    told = await last(log, "insert into item values (1, ('b', 'c'))")
    assert told["new"]["v"] == {"b": "b", "c": "c"}


async def test_tables_that_are_refreshed_together_beside_one_that_is_altered(
    log: Log, sessions: tuple[Any, Any]
) -> None:
    """One has rows of the other as values."""
    await log.execute(
        "create table item (id int primary key, x text, y text)",
        "create table pair (id int primary key, v item)",
        "select wamp.watch('item'), wamp.watch('pair')",
    )
    await log.take()
    alter = "alter table item drop column x, add column z text"
    refresh = "select wamp.refresh('item'), wamp.refresh('pair')"
    await overlap(log, *sessions, alter, refresh)
    told = await last(log, "insert into pair values (1, row(1, 'y', 'z')::item)")
    assert told["new"]["v"] == {"id": 1, "y": "y", "z": "z"}


async def test_a_type_within_another_one_that_begins_to_have_it(
    log: Log, sessions: tuple[Any, Any]
) -> None:
    await log.execute(
        "create type inn as (a text, b text)",
        "create type comp as (x text)",
        "create table item (id int primary key, v comp)",
        "select wamp.watch('item')",
    )
    await log.take()
    inner = "alter type inn drop attribute a, add attribute c text"
    outer = "alter type comp add attribute i inn"
    await overlap(log, *sessions, outer, inner)
    told = await last(log, "insert into item values (1, ('x', ('b', 'c')))")
    assert told["new"]["v"] == {"x": "x", "i": {"b": "b", "c": "c"}}


PARTED = (
    "create table item (id int primary key, n text) partition by range (id)",
    "create table item_1 partition of item for values from (0) to (10) partition by range (id)",
    "create table item_2 partition of item for values from (10) to (20) partition by range (id)",
    "create table item_1a partition of item_1 for values from (0) to (5)",
    "create table item_2a partition of item_2 for values from (10) to (15)",
    "select wamp.watch('item')",
)


async def test_partitions_that_are_altered_beside_each_other(
    log: Log, sessions: tuple[Any, Any]
) -> None:
    """Nothing changes for those who read."""
    await log.execute(*PARTED)
    await log.take()
    first, second = sessions
    await first.execute("begin; alter table item_1a set (fillfactor = 50)")
    await second.execute("alter table item_2a set (fillfactor = 50)")
    await first.execute("insert into item values (1, 'x'); commit")
    await log.take()
    assert [read_body(e.body or "") for e in await log.events()] == [
        {"key": {"id": 1}, "new": {"id": 1, "n": "x"}}
    ]


async def test_partitions_that_come_beside_each_other(log: Log, sessions: tuple[Any, Any]) -> None:
    await log.execute(*PARTED)
    await log.take()
    await overlap(
        log,
        *sessions,
        "create table item_1b partition of item_1 for values from (5) to (10)",
        "create table item_2b partition of item_2 for values from (15) to (20)",
    )
    await log.execute("insert into item_1b values (6, 'x')", "insert into item_2b values (16, 'x')")
    await log.take()
    assert [(e.op, read_body(e.body or "").get("new")) for e in await log.events()] == [
        ("insert", {"id": 6, "n": "x"}),
        ("insert", {"id": 16, "n": "x"}),
    ]


async def test_a_watch_under_an_old_snapshot_is_refused(
    log: Log, sessions: tuple[Any, Any]
) -> None:
    await log.execute("create table item (id int primary key, n text, m text)")
    first, _ = sessions
    await first.execute("begin isolation level repeatable read")
    with pytest.raises(asyncpg.InvalidTransactionStateError, match="what others have committed"):
        await first.execute("select wamp.watch('item')")


MADE = (
    "create type comp as (a text, b text)",
    "create type comp2 as (x text)",
    "create table item (id int primary key, v comp, w comp2)",
)
ALTER = "alter type comp drop attribute a, add attribute c text"


async def test_a_type_that_was_altered_in_a_savepoint_beside_a_first_watch(
    log: Log, sessions: tuple[Any, Any]
) -> None:
    first, second = sessions
    await log.execute(*MADE, "create table other (id int)")
    await second.execute(f"begin; savepoint s; {ALTER}; release s")
    # Snapshots say nothing of subtransactions; this one is later than that of the savepoint.
    await log.execute("insert into other values (1)")
    await first.execute("begin; select wamp.watch('item')")
    await second.execute("commit")
    await first.execute("commit")
    await log.take()
    told = await last(log, "insert into item values (1, ('b', 'c'))")
    assert told["new"]["v"] == {"b": "b", "c": "c"}


@pytest.mark.parametrize("is_taken_at_once", [True, False])
async def test_a_type_that_was_altered_beside_a_first_watch_that_goes_on(
    log: Log, sessions: tuple[Any, Any], is_taken_at_once: bool
) -> None:
    """With a change, or with another type that is altered."""
    first, second = sessions
    await log.execute(*MADE)
    await first.execute("begin; select wamp.watch('item')")
    await second.execute(ALTER)
    if not is_taken_at_once:
        await log.take()
    await second.execute("alter type comp2 add attribute y text")
    await first.execute("insert into item values (1, ('b', 'c')); commit")
    await log.take()
    told = await last(log, "insert into item values (2, ('b', 'c'))")
    assert told["new"]["v"] == {"b": "b", "c": "c"}
    assert {"a": "b", "b": "c"} not in [
        read_body(event.body or "").get("new", {}).get("v") for event in await log.events()
    ]


async def test_ddl_in_a_savepoint_is_not_taken_for_that_of_another(log: Log) -> None:
    await log.execute(
        "create type comp as (a text, b text)",
        "create table item (id int primary key, v comp)",
        "select wamp.watch('item')",
        "begin; savepoint s; alter table item add column x int; release s; "
        "insert into item values (1, ('a', 'b')); savepoint s; "
        "alter type comp add attribute c text; alter table item add column y int; release s; "
        "insert into item values (2, ('a', 'b', 'c')); commit",
    )
    await log.take()
    assert [read_body(e.body or "")["new"]["v"] for e in await log.events()] == [
        {"a": "a", "b": "b"},
        {"a": "a", "b": "b", "c": "c"},
    ]


@pytest.mark.usefixtures("item")
async def test_a_row_of_a_watch_that_is_locked_stops_no_sequencer(
    log: Log, sessions: tuple[Any, Any]
) -> None:
    first, second = sessions
    await first.execute("begin")
    await first.execute(TELLS["watch"])
    await second.execute("drop table item")
    async with log.sequencing() as sequencing:
        await log.connection.execute("set statement_timeout = '5s'")
        await sequencing.look()
        await sequencing._maintain(busy=False)
    await first.execute("rollback")


@pytest.mark.usefixtures("item")
async def test_watching_again_beside_unwatching_does_not_deadlock(
    log: Log, sessions: tuple[Any, Any]
) -> None:
    first, second = sessions
    async with log.connection.transaction():
        await log.connection.execute("insert into item values (1)")
        unwatches = asyncio.create_task(first.execute("select wamp.unwatch('item')"))
        await until_waiting(log, first)
        watches = asyncio.create_task(
            second.execute("select wamp.watch('item', '{\"columns\": [\"id\"]}')")
        )
        await until_waiting(log, second)
    await asyncio.gather(unwatches, watches)
    assert await log.connection.fetchval("select count(*) from wamp.watch") == 1


async def until_waiting(log: Log, session: Any) -> None:
    """Wait until a session waits for a lock."""
    waits = "select cardinality(pg_blocking_pids($1)) > 0"
    async with asyncio.timeout(10):
        while not await log.connection.fetchval(waits, session.get_server_pid()):
            pass


async def test_a_table_without_columns_is_followed(log: Log) -> None:
    """Of anybody: its rows are values of another table, which nobody watches either."""
    await log.execute(
        "create table item (id int primary key)",
        "select wamp.watch('item')",
        "create table bare (a int)",
        "create table pair (v bare)",
        "alter table bare drop column a",
        "alter table item add column v bare",
    )
    await log.take()
    assert (await last(log, "insert into item values (1)"))["new"] == {"id": 1, "v": None}


@pytest.mark.parametrize("change", ["partition", "key"])
async def test_an_older_refresh_hides_no_newer_one(
    log: Log, sessions: tuple[Any, Any], change: str
) -> None:
    first, second = sessions
    await log.execute(
        *WITHOUT_EVENT_TRIGGERS,
        "create table item (id int, n int, primary key (id)) partition by range (id)",
        "create table item_1 partition of item for values from (0) to (10)",
        "create table pair (id int primary key, n int not null)",
        "select wamp.watch('item'), wamp.watch('pair')",
    )
    await log.take()
    table, statement = {
        "partition": ("item", "create table item_2 partition of item for values from (10) to (20)"),
        "key": ("pair", "alter table pair drop constraint pair_pkey, add primary key (n)"),
    }[change]
    refresh = f"select wamp.refresh('{table}')"
    await overlap(log, first, second, refresh, f"begin; {statement}; {refresh}; commit")
    assert [event.op for event in await log.events()] == []
    row = (
        "insert into item_2 values (11, 1)" if table == "item" else "insert into pair values (1, 2)"
    )
    assert (await last(log, row))["key"] == ({"id": 11} if table == "item" else {"n": 2})


async def test_who_has_altered_a_type_is_known_after_a_restart(
    log: Log, sessions: tuple[Any, Any]
) -> None:
    first, second = sessions
    await log.execute(*MADE, "select wamp.watch('item')")
    await first.execute("begin; select wamp.refresh('item')")
    await second.execute(ALTER)
    # Each take is one of another sequencer.
    await log.take()
    await first.execute("insert into item values (1, ('b', 'c')); commit")
    await log.take()
    told = await last(log, "insert into item values (2, ('b', 'c'))")
    assert [read_body(event.body or "")["new"]["v"] for event in await log.events()] == [
        {"b": "b", "c": "c"}
    ] * 2
    assert told["new"]["v"] == {"b": "b", "c": "c"}


async def test_a_column_that_nobody_can_write_out_stops_no_events_of_others(log: Log) -> None:
    await require_virtual_columns(log)
    await log.execute(
        "create table item (id int primary key)",
        "create table other (id int primary key)",
        "select wamp.watch('item'), wamp.watch('other')",
    )
    low, high = 1_000, 10_000
    while high - low > 50:
        depth = (low + high) // 2
        try:
            await log.connection.execute(_deep(depth))
            await log.connection.execute("alter table item drop column deep")
            low = depth
        except (asyncpg.StatementTooComplexError, asyncpg.PostgresSyntaxError):
            high = depth
    await log.execute(_deep(low))
    if await log.connection.fetchval("select wamp.layout('item') ->> 'types'") is not None:
        pytest.skip("here it can be written out")
    await log.take()
    assert (await last(log, "insert into other values (1)"))["new"] == {"id": 1}


def _deep(depth: int) -> str:
    deep = "abs(" * depth + "id" + ")" * depth
    return f"alter table item add column deep int generated always as ({deep}) virtual"


SWAP = (
    "alter table thing rename a to x; alter table thing rename b to a; "
    "alter table thing rename x to b"
)
TELLS_OF_THING = ("select wamp.refresh('thing')", "select wamp.watch('thing')")
PARTITIONED = (
    "create table thing (id int primary key, a text) partition by range (id)",
    "create table part1 partition of thing for values from (0) to (10)",
    "create table part2 (id int primary key, a text)",
    "insert into part2 values (10, 'old')",
    "select wamp.watch('thing')",
)
ATTACH = "alter table thing attach partition part2 for values from (10) to (20)"


@pytest.fixture
async def thing(log: Log) -> None:
    """A watched table with two columns whose names can be swapped."""
    await log.execute("create table thing (id int primary key, a text, b text)", TELLS_OF_THING[1])
    await log.take()


async def is_read_rightly(log: Log) -> None:
    await log.take()
    body = await last(log, "insert into thing (id, a, b) values (1, 'is a', 'is b')")
    assert body["new"] == {"id": 1, "a": "is a", "b": "is b"}


@pytest.mark.usefixtures("thing")
@pytest.mark.parametrize("tell", TELLS_OF_THING, ids=["refresh", "watch"])
async def test_who_tells_twice_has_not_seen_what_is_altered_all_the_while(
    log: Log, sessions: tuple[Any, Any], tell: str
) -> None:
    first, second = sessions
    await first.execute(f"begin; {SWAP}")
    await second.execute(tell)
    await second.execute(tell)
    await first.execute("commit")
    await is_read_rightly(log)


@pytest.mark.usefixtures("thing")
async def test_a_transaction_that_tells_twice_has_not_seen_what_was_altered_before(
    log: Log, sessions: tuple[Any, Any]
) -> None:
    first, second = sessions
    await second.execute("begin isolation level repeatable read; select 1")
    await first.execute(SWAP)
    await log.take()
    await second.execute("select wamp.refresh('thing')")
    await second.execute("select wamp.refresh('thing'); commit")
    await is_read_rightly(log)


@pytest.mark.usefixtures("thing")
async def test_a_refresh_that_has_not_seen_a_table_watched_anew(
    log: Log, sessions: tuple[Any, Any]
) -> None:
    first, second = sessions
    await second.execute("begin isolation level repeatable read; select 1")
    await first.execute(f"select wamp.unwatch('thing'); {SWAP}; select wamp.watch('thing')")
    await log.take()
    await second.execute("select wamp.refresh('thing'); commit")
    await is_read_rightly(log)


async def test_a_partition_that_is_attached_while_others_tell_twice_is_one_of_the_table(
    log: Log, sessions: tuple[Any, Any]
) -> None:
    first, second = sessions
    await log.execute(*PARTITIONED)
    await log.take()
    await first.execute(f"begin; {ATTACH}")
    for _ in range(2):
        await second.execute("select wamp.refresh('thing')")
    await first.execute("commit")
    await log.take()
    body = await last(log, "insert into thing values (11, 'a')")
    assert body["new"] == {"id": 11, "a": "a"}


async def test_a_partition_with_rows_is_told_where_the_table_is_told_anew(
    log: Log, sessions: tuple[Any, Any]
) -> None:
    """Without event triggers nobody tells of it before wamp.refresh."""
    first, second = sessions
    await log.execute(*WITHOUT_EVENT_TRIGGERS, *PARTITIONED)
    await log.take()
    await second.execute("begin isolation level repeatable read; select 1")
    await first.execute("alter table thing add column b text; select wamp.refresh('thing')")
    await log.take()
    await second.execute("select wamp.refresh('thing'); commit")
    await first.execute("alter table part2 add column b text")
    await first.execute(ATTACH)
    await log.take()
    await log.execute("select wamp.refresh('thing')")
    await log.take()
    bodies = [read_body(event.body or "{}") for event in await log.events()]
    assert {"partition": "public.part2", "truncated": True} in [
        {name: body.get(name) for name in ("partition", "truncated")} for body in bodies
    ]
