"""The sequencer: each committed change is one event, in an order that keeps a copy right."""

from __future__ import annotations

import asyncio
import json
from contextlib import suppress
from random import Random
from typing import Any

import asyncpg
import pytest

from pgwamp.errors import CursorExpired
from pgwamp.eventlog import era, transactions
from pgwamp.eventlog import sequencing as module
from pgwamp.eventlog.body import read_body
from pgwamp.eventlog.lease import LeaseLost
from pgwamp.eventlog.log import read_page
from pgwamp.eventlog.position import Position
from pgwamp.schema_sql import source
from tests.eventlog.conftest import Copy, Log
from tests.transactions import SCHEMA, TABLES, transact

STAMPS = source("0101/stamps")
NEW_ITEM = {"key": {"id": 1}, "new": {"id": 1, "name": "a"}}
ITEM = ("create table item (id int primary key, name text)", "select wamp.watch('item')")


async def test_changes_are_told_with_their_values(log: Log) -> None:
    await log.execute(
        *ITEM,
        "insert into item values (1, 'a'), (2, null)",
        "update item set name = 'b' where id = 1",
        "update item set id = 3 where id = 2",
        "delete from item where id = 1",
        "truncate item",
    )
    assert await log.told() == [
        ("insert", {"key": {"id": 1}, "new": {"id": 1, "name": "a"}}),
        ("insert", {"key": {"id": 2}, "new": {"id": 2, "name": None}}),
        (
            "update",
            {
                "key": {"id": 1},
                "new": {"id": 1, "name": "b"},
                "old": {"name": "a"},
                "changed": ["name"],
            },
        ),
        (
            "update",
            {
                "key": {"id": 3},
                "new": {"id": 3, "name": None},
                "old": {"id": 2},
                "changed": ["id"],
            },
        ),
        ("delete", {"key": {"id": 1}, "old": {"id": 1, "name": "b"}}),
        ("truncate", {}),
    ]


@pytest.mark.parametrize("seed", range(4))
async def test_a_copy_is_like_the_tables_whatever_writers_and_sequencers_do(
    log: Log, monkeypatch: pytest.MonkeyPatch, seed: int
) -> None:
    random = Random(seed)
    await log.execute(*SCHEMA, *(f"select wamp.watch('{table}')" for table in TABLES))
    # Now and then there is more than one look takes, and more than is stored at once.
    monkeypatch.setattr(module, "MOST_ROWS", 40)
    monkeypatch.setattr(module, "AT_ONCE", 7)
    writers = [await log.database.connect() for _ in range(3)]
    for writer in writers:
        await writer.execute("set lock_timeout = '200ms'; set deadlock_timeout = '20ms'")

    async def write(writer: asyncpg.Connection[Any], random: Random) -> None:
        for _ in range(25):
            with suppress(
                asyncpg.LockNotAvailableError,
                asyncpg.DeadlockDetectedError,
                # A row that is waited for has moved to another partition.
                asyncpg.SerializationError,
            ):
                await transact(writer, random)

    writing = asyncio.gather(
        *(write(writer, Random(f"{seed}{number}")) for number, writer in enumerate(writers))
    )
    while not writing.done():
        async with log.sequencing() as sequencing:
            stopped = asyncio.create_task(_look(sequencing, random.randint(1, 5)))
            await asyncio.wait({stopped, writing}, timeout=random.random() / 5)
            # In the middle of whatever it does.
            stopped.cancel()
            with suppress(asyncio.CancelledError):
                await stopped
    await writing
    await log.take()
    events = await log.events()
    copy = Copy()
    for event in events:
        copy.apply(event)
    for table in TABLES:
        rows = await log.connection.fetch(f"select * from {table}")
        found = {json.dumps({"id": row["id"]}): dict(row) for row in rows}
        told = {key: row for (name, key), row in copy.rows.items() if name == table}
        unclear = {key for name, key in copy.unclear if name == table}
        for key in unclear:
            found.pop(key, None)
            told.pop(key, None)
        assert told == found, table
    marked = sum("truncated" in read_body(event.body or "{}") for event in events)
    assert marked < len(events) / 8
    numbers = [event.position.number for event in events]
    assert numbers == sorted(set(numbers))
    for writer in writers:
        await writer.close()


async def _look(sequencing: module.Sequencing, times: int) -> None:
    for _ in range(times):
        await sequencing.look()
        await asyncio.sleep(0)


async def test_a_large_transaction_is_taken_in_parts_and_gone_on_with(
    log: Log, monkeypatch: pytest.MonkeyPatch
) -> None:
    await log.execute(
        *ITEM, "create table other (id int primary key)", "select wamp.watch('other')"
    )
    await log.execute(
        "begin; insert into item select n, 'a' from generate_series(1, 6000) as n;"
        "insert into other values (1); update item set id = id + 6000, name = 'b';"
        "delete from item where id % 2 = 0; commit"
    )
    monkeypatch.setattr(module, "AT_ONCE", 700)
    stored = 0
    store = module.Sequencing._store

    async def stumbling(self: module.Sequencing, *arguments: Any) -> None:
        nonlocal stored
        stored += 1
        if stored % 5 == 0:
            raise ConnectionError
        await store(self, *arguments)

    monkeypatch.setattr(module.Sequencing, "_store", stumbling)
    done = False
    while not done:
        with suppress(ConnectionError):
            await log.take()
            done = True
    copy = Copy()
    events = await log.events()
    for event in events:
        copy.apply(event)
    assert stored > 20
    assert not copy.unclear
    rows = {key for name, key in copy.rows if name == "item"}
    assert rows == {json.dumps({"id": n}) for n in range(6001, 12001, 2)}
    assert len(events) == 6000 + 1 + 6000 + 3000


async def test_a_transaction_that_commits_late_comes_late(log: Log) -> None:
    await log.execute(*ITEM)
    slow = await log.database.connect()
    async with slow.transaction():
        await slow.execute("insert into item values (1)")
        await log.execute("insert into item values (2)")
        assert [body["key"]["id"] for _, body in await log.told()] == [2]
    assert [body["key"]["id"] for _, body in await log.told()] == [2, 1]
    await slow.close()


async def test_rows_are_read_by_the_columns_that_they_were_written_with(log: Log) -> None:
    await log.execute(
        *ITEM,
        "insert into item values (1, '1.50')",
        "begin; insert into item values (2, '2'); alter table item add column more int default 7;"
        "insert into item values (3, '3'); alter table item drop column more; commit",
        "alter table item alter column name type numeric using name::numeric",
        "insert into item values (4, 4.50)",
        "alter table item rename column name to price",
        "insert into item values (5, 5)",
        "alter table item rename to article",
        "insert into article values (6, 6)",
        "drop table article",
    )
    told = await log.told()
    assert [body["new"] for _, body in told] == [
        {"id": 1, "name": "1.50"},
        {"id": 2, "name": "2"},
        {"id": 3, "name": "3", "more": 7},
        {"id": 4, "name": "4.50"},
        {"id": 5, "price": "5"},
        {"id": 6, "price": "6"},
    ]
    assert [event.table for event in await log.events()] == ["item"] * 5 + ["article"]


async def test_text_that_is_no_number_stays_text_when_its_column_becomes_a_number(log: Log) -> None:
    await log.execute(
        *ITEM,
        "insert into item values (1, 'no number')",
        "alter table item alter name type float8 using 1.5",
        "insert into item values (2, 2.5)",
    )
    assert [body["new"]["name"] for _, body in await log.told()] == ["no number", 2.5]


async def test_members_of_a_composite_are_those_of_then(log: Log) -> None:
    await log.execute(
        "create type place as (x int, y int)",
        "create table pin (id int primary key, at place, all_at place[])",
        "select wamp.watch('pin')",
        "insert into pin values (1, '(1,2)', '{\"(3,4)\"}')",
        "alter type place add attribute name text",
        "insert into pin values (2, '(1,2,a)', '{\"(3,4,b)\"}')",
    )
    (_, first), (_, second) = await log.told()
    assert first["new"]["all_at"] == [{"x": 3, "y": 4}]
    assert second["new"]["at"] == {"x": 1, "y": 2, "name": "a"}


async def test_one_row_that_does_not_fit_stops_no_other(log: Log) -> None:
    await log.execute(
        *ITEM,
        "insert into item values (1, 'a'), (2, 'b'), (3, 'c')",
        "update wamp.raw set new = '(2)' where new = '(2,b)'",
    )
    first, second, third = await log.told()
    assert first[1]["new"]["name"] == "a"
    assert second == ("insert", {"truncated": True})
    assert third[1]["new"]["name"] == "c"


async def test_a_row_whose_record_could_not_be_written_is_told_without_values(log: Log) -> None:
    await log.execute(
        *ITEM,
        "insert into item values (1, 'a')",
        "update wamp.raw set op = 'I', new = null where op = 'i'",
    )
    assert await log.told() == [("insert", {"truncated": True})]


async def test_a_condition_that_fails_costs_its_own_rows_alone(log: Log) -> None:
    await log.execute(
        "create table item (id int primary key, n int)",
        """select wamp.watch('item', '{"when": "1 / n > 0"}')""",
        "create table other (id int primary key)",
        "select wamp.watch('other')",
        "insert into item values (1, 1), (2, 0), (3, 5), (4, 1)",
        "insert into other values (9)",
    )
    assert await log.told() == [
        ("insert", {"key": {"id": 1}, "new": {"id": 1, "n": 1}}),
        ("insert", {"key": {"id": 2}, "truncated": True}),
        ("insert", {"key": {"id": 4}, "new": {"id": 4, "n": 1}}),
        ("insert", {"key": {"id": 9}, "new": {"id": 9}}),
    ]


async def test_watching_begins_and_ends_where_it_was_committed(log: Log) -> None:
    await log.execute(
        "create table item (id int primary key)",
        "insert into item values (1)",
        "begin; insert into item values (2); select wamp.watch('item');"
        "insert into item values (3);"
        "select wamp.unwatch('item'); insert into item values (4);"
        "select wamp.watch('item'); insert into item values (5); commit",
    )
    assert [body["key"]["id"] for _, body in await log.told()] == [3, 5]


async def test_an_older_sequencer_stores_nothing_more(log: Log) -> None:
    await log.execute(*ITEM)
    async with log.sequencing() as older:
        await log.execute("update wamp.lease set renewed_at = 'epoch'")
        async with log.sequencing() as newer:
            await log.execute("insert into item values (1)")
            with pytest.raises(LeaseLost):
                await older.look()
            assert await newer.look()
            with pytest.raises(LeaseLost):
                async with older.state._connection.transaction():
                    await older.state.fence()
    assert len(await log.events()) == 1


async def test_a_takeover_waits_for_a_transaction_under_the_lease(log: Log) -> None:
    async with log.sequencing() as older:
        await log.execute("update wamp.lease set renewed_at = 'epoch'")
        async with older.state._connection.transaction():
            await older.state.fence()
            newer = asyncio.create_task(log.take())
            done, _ = await asyncio.wait({newer}, timeout=1)
            assert not done
        await asyncio.wait_for(newer, 10)


async def test_another_timeline_begins_another_era(log: Log) -> None:
    await log.execute(*ITEM, "insert into item values (1)")
    await log.told()
    (event,) = await log.events()
    lost = Position(event.position.number + 2, b"x" * 9)
    await log.execute("update wamp.era set timeline = timeline + 1", "insert into item values (2)")
    (_, body), *_ = await log.told(event.position)
    assert body["key"] == {"id": 2}, "what was there before is still good to go on from"
    with pytest.raises(CursorExpired):
        await read_page(log.connection, lost, 10)


async def test_raw_rows_of_another_server_are_all_taken(log: Log) -> None:
    await log.execute(*ITEM, "insert into item values (1)")
    await log.told()
    await log.execute("insert into item values (2)")
    # As in a dump that was restored elsewhere: the numbers of transactions mean nothing.
    await log.execute(
        "update wamp.raw set xid = '99999999999999'::xid8 where new = '(2,)'",
        "insert into item values (3)",
        "update wamp.era set system_identifier = 7",
        "update wamp.sequencer as s set seen = '900000:900000:', position = p.position, "
        "mark = p.mark from wamp.progress as p",
    )
    told = await log.told()
    assert [body["key"]["id"] for _, body in told] == [1, 2, 3]


async def test_what_is_moved_is_new_though_later_transactions_have_ended(
    log: Log, monkeypatch: pytest.MonkeyPatch
) -> None:
    await log.execute(*ITEM)
    await log.take()
    await log.execute("insert into item values (1)", "update wamp.era set system_identifier = 7")
    beside = await log.database.connect()
    move = era.move

    async def moved(connection: asyncpg.Connection[Any]) -> None:
        await connection.execute("select pg_current_xact_id()")
        await beside.execute("create table later ()")
        await move(connection)

    monkeypatch.setattr(era, "move", moved)
    assert [body["key"]["id"] for _, body in await log.told()] == [1]
    await beside.close()


async def test_what_is_forgotten_keeps_its_position(log: Log) -> None:
    await log.execute(
        *ITEM, "create table other (id int primary key)", "select wamp.watch('other')"
    )
    await log.execute("insert into item values (1, 'secret')", "insert into other values (1)")
    await log.take()
    first, second = await log.events()
    await log.execute("insert into item values (2, 'secret')", "select wamp.forget('item')")
    await log.take()
    assert [event.table for event in await log.events()] == ["other"]
    page = await read_page(log.connection, first.position, 10)
    assert page.events[0].position == second.position
    everything = await log.connection.fetchval(
        "select string_agg(l::text, '') || (select string_agg(r::text, '') from wamp.raw as r) "
        "from wamp.log as l"
    )
    assert "secret" not in everything
    await log.execute("insert into item values (3, 'new')")
    await log.take()
    assert [event.table for event in await log.events()] == ["other", "item"]


async def test_long_texts_are_read_one_by_one(log: Log) -> None:
    await log.execute(
        *ITEM,
        "insert into item values (1, repeat('x', 300000)), (2, 'short')",
        "begin; update item set name = repeat('y', 300000) where id = 1;"
        "update item set name = repeat('z', 300000) where id = 1; commit",
        "insert into item values (3, repeat('x', 17000000))",
    )
    told = await log.told()
    assert [len(body["new"]["name"]) for _, body in told[:4]] == [300000, 5, 300000, 300000]
    assert told[3][1]["old"]["name"][0] == "y"
    assert told[4] == ("insert", {"key": {"id": 3}, "truncated": True})


@pytest.mark.parametrize("most_rows", [1, 2000])
async def test_without_event_triggers_rows_say_which_columns_they_have(
    log: Log, monkeypatch: pytest.MonkeyPatch, most_rows: int
) -> None:
    monkeypatch.setattr(module, "MOST_ROWS", most_rows)
    await log.execute("drop event trigger wamp_ddl_command_end", "drop event trigger wamp_sql_drop")
    await log.execute(STAMPS)
    await log.execute(*ITEM, "insert into item values (1, 'a')")
    await log.take()
    await log.execute(
        "insert into item values (2, 'b')",
        "alter table item add column more text",
        "insert into item values (3, 'c', 'd')",
        "alter table item rename column more to less",
        "insert into item values (4, 'e', 'f')",
    )
    assert [body.get("new") for _, body in await log.told()] == [
        {"id": 1, "name": "a"},
        {"id": 2, "name": "b"},
        # Nobody has told of these columns while the table had them.
        None,
        {"id": 4, "name": "e", "less": "f"},
    ]


async def test_without_event_triggers_bytes_are_the_same_however_the_writer_reads_them(
    log: Log,
) -> None:
    await log.execute("drop event trigger wamp_ddl_command_end", "drop event trigger wamp_sql_drop")
    await log.execute(
        STAMPS,
        "create table item (id int primary key, raw bytea)",
        "select wamp.watch('item')",
        "set bytea_output = 'escape'",
        "insert into item values (1, '\\x00ff5c')",
        "update item set raw = '\\xdead'",
    )
    assert [body["new"]["raw"] for _, body in await log.told()] == [b"\x00\xff\\", b"\xde\xad"]


async def test_a_column_that_options_name_cannot_go(log: Log) -> None:
    await log.execute(
        "create table item (id int primary key, owner text)",
        """select wamp.watch('item', '{"topic": "com.example.{owner}.{op}"}')""",
    )
    with pytest.raises(asyncpg.UndefinedColumnError, match='item has no column "owner"'):
        await log.execute("alter table item drop column owner")


async def test_without_event_triggers_a_lost_column_makes_events_for_nobody(log: Log) -> None:
    await log.execute(
        "create table item (id int primary key, owner text)",
        """select wamp.watch('item', '{"topic": "com.example.{owner}.{op}",
            "eligible_authid": "owner"}')""",
        "drop event trigger wamp_ddl_command_end",
        "drop event trigger wamp_sql_drop",
        "alter table item drop column owner",
        "select wamp.refresh('item')",
        "insert into item values (1)",
    )
    assert await log.told() == [("insert", {"key": {"id": 1}, "truncated": True})]
    (event,) = await log.events()
    assert event.silent
    assert event.topic is None
    assert json.loads(event.options or "") == {"eligible_authid": []}


async def test_values_of_any_type_say_who_is_eligible_as_their_text(log: Log) -> None:
    await log.execute(
        "create type duty as enum ('clerk', 'chief')",
        "create table item (id int primary key, owner bigint, duties duty[])",
        """select wamp.watch('item',
            '{"eligible_authid": "owner", "eligible_authrole": "duties"}')""",
        "insert into item values (1, 7, '{clerk,chief}')",
    )
    await log.told()
    (event,) = await log.events()
    assert json.loads(event.options or "") == {
        "eligible_authid": ["7"],
        "eligible_authrole": ["clerk", "chief"],
    }


async def test_a_row_that_names_too_many_is_for_nobody(log: Log) -> None:
    name = "n" * 24_998
    await log.execute(
        "create table item (id int primary key, members text[])",
        """select wamp.watch('item', '{"columns": ["id"], "eligible_authid": "members"}')""",
        f"insert into item values (1, array['{name}', '{name}'])",
        f"insert into item values (2, array['{name}', '{name}xx'])",
        "update item set members = '{ann}' where id = 2",
    )
    assert [(op, body["key"]["id"]) for op, body in await log.told()] == [
        ("insert", 1),
        ("insert", 2),
        ("delete", 2),
        ("insert", 2),
    ]
    eligible = [json.loads(event.options or "")["eligible_authid"] for event in await log.events()]
    assert eligible == [[name, name], [], [], ["ann"]]


async def test_an_event_of_very_many_parts_comes_without_values(log: Log) -> None:
    await log.execute(
        "create table item (id int primary key, one int[], two int[], three int[])",
        "select wamp.watch('item')",
        *(
            f"insert into item select {key}, x, x, x from "
            f"(select array_agg(1) from generate_series(1, {length})) as a (x)"
            for key, length in ((1, 166_660), (2, 166_667))
        ),
    )
    (_, few), (_, many) = await log.told()
    assert [len(few["new"][name]) for name in ("one", "two", "three")] == [166_660] * 3
    assert many == {"key": {"id": 2}, "truncated": True}


async def test_partitions_come_and_go_with_their_rows(log: Log) -> None:
    await log.execute(
        "create table reading (id int primary key, n int) partition by range (id)",
        "create table low partition of reading for values from (0) to (10)",
        "select wamp.watch('reading')",
        # Its columns are in another order.
        "create table middle (n int, id int primary key)",
        "insert into middle values (7, 15)",
        "alter table reading attach partition middle for values from (10) to (20)",
        "insert into reading values (1, 1), (16, 2)",
        "insert into middle values (3, 17)",
        "create table high partition of reading for values from (20) to (30)",
        "insert into high values (25, 4)",
        "truncate low",
        "alter table reading detach partition middle",
        "insert into middle values (9, 18)",
        "drop table high",
        "truncate reading",
    )
    told = [
        (op, body.get("key", {}).get("id"), body.get("new", {}).get("n"), body.get("partition"))
        for op, body in await log.told()
    ]
    assert told == [
        ("insert", None, None, "public.middle"),
        ("insert", 1, 1, None),
        ("insert", 16, 2, None),
        ("insert", 17, 3, None),
        ("insert", 25, 4, None),
        ("truncate", None, None, "public.low"),
        ("truncate", None, None, "public.middle"),
        ("truncate", None, None, "public.high"),
        ("truncate", None, None, None),
    ]


async def test_a_truncate_spares_what_others_have_written_since_its_snapshot(log: Log) -> None:
    await log.execute(
        "create table reading (id int primary key) partition by range (id)",
        "create table low partition of reading for values from (0) to (10)",
        "create table high partition of reading for values from (10) to (20)",
        "select wamp.watch('reading')",
        "insert into reading values (1), (11)",
    )
    writer = await log.database.connect()
    async with writer.transaction(isolation="repeatable_read"):
        await writer.fetch("select from high")
        # The transaction does not see these rows; the first of them it removes all the same.
        await log.execute("insert into reading values (2), (12)")
        await writer.execute("truncate low")
    await writer.close()
    told = [(op, body.get("partition", body.get("key"))) for op, body in await log.told()]
    assert told == [
        *(("insert", {"id": number}) for number in (1, 11, 2, 12)),
        ("truncate", "public.low"),
    ]


async def test_a_watched_table_that_nobody_has_told_of_is_told_of(log: Log) -> None:
    """As after a restore of some tables of the schema."""
    await log.execute(*ITEM, "truncate wamp.raw")
    await log.take()
    await log.execute("insert into item values (1, 'a')")
    assert [op for op, _ in await log.told()] == ["insert"]


async def test_nothing_is_kept_of_a_table_that_is_gone(log: Log) -> None:
    await log.execute(*ITEM, "insert into item values (1, 'a')", "drop table item")
    async with log.sequencing() as sequencing:
        await sequencing.look()
        await sequencing._maintain(busy=False)
    kept = "select (select count(*) from wamp.watch) + (select count(*) from wamp.layout)"
    assert await log.connection.fetchval(kept) == 0
    assert [event.op for event in await log.events()] == ["insert"]


async def test_no_row_changes_with_each_event(log: Log) -> None:
    """Beside an old snapshot every version of it would be kept, and looked through each time."""
    await log.execute(*ITEM)
    async with log.sequencing() as sequencing:
        await sequencing.look()
        before = await log.connection.fetchval("select xmin::text from wamp.sequencer")
        for number in range(3):
            await log.execute(f"insert into item values ({number})")
            await sequencing.look()
        assert await log.connection.fetchval("select xmin::text from wamp.sequencer") == before
    assert len(await log.events()) == 3


async def test_a_large_transaction_with_ddl_is_gone_on_with(
    log: Log, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was ordered by the old columns is not ordered again by the new ones."""
    monkeypatch.setattr(module, "MOST_ROWS", 1)
    monkeypatch.setattr(module, "AT_ONCE", 3)
    monkeypatch.setattr(transactions, "MOST_ROWS", 4)
    await log.execute(*ITEM)
    await log.execute(
        "begin; insert into item select n, 'a' from generate_series(1, 10) as n;"
        "update item set id = id + 100; alter table item add column more int;"
        "insert into item values (1, 'b', 2); update item set id = id + 100;"
        "alter table item drop column name; delete from item where id > 205; commit"
    )
    store = module.Sequencing._store
    for allowed in range(40):
        left = allowed % 4

        async def stumbling(self: module.Sequencing, *arguments: Any) -> None:
            nonlocal left
            left -= 1
            if left < 0:
                raise ConnectionError
            await store(self, *arguments)

        monkeypatch.setattr(module.Sequencing, "_store", stumbling)
        with suppress(ConnectionError):
            await log.take()
    monkeypatch.setattr(module.Sequencing, "_store", store)
    await log.take()
    copy = Copy()
    for event in await log.events():
        copy.apply(event)
    assert not copy.unclear
    rows = await log.connection.fetch("select * from item")
    assert {key for _, key in copy.rows} == {json.dumps({"id": row["id"]}) for row in rows}
    operations = [event.op for event in await log.events()]
    assert operations.count("insert") == 10 + 1
    assert operations.count("update") == 10 + 11
    assert operations.count("delete") == 5


async def test_a_condition_has_its_session_before_it_is_needed(log: Log) -> None:
    await log.execute(ITEM[0], "select wamp.watch('item', '{\"when\": \"id > 0\"}')")
    elsewhere = await asyncpg.connect(log.database.url, database="postgres")
    allow = f'alter database "{log.database.name}" allow_connections '
    async with log.sequencing() as sequencing:
        await elsewhere.execute(allow + "false")
        await log.execute("insert into item values (1, 'a')")
        await sequencing.look()
        await elsewhere.execute(allow + "true")
    await elsewhere.close()
    assert await log.told() == [("insert", NEW_ITEM)]


async def test_a_condition_gets_another_session_when_its_own_was_ended(log: Log) -> None:
    await log.execute(ITEM[0], "select wamp.watch('item', '{\"when\": \"id > 0\"}')")
    async with log.sequencing() as sequencing:
        await log.execute(
            "select pg_terminate_backend(pid, 5000) from pg_stat_activity "
            "where application_name = 'pgwamp conditions' and datname = current_database()",
            "insert into item values (1, 'a')",
        )
        await sequencing.look()
    assert await log.told() == [("insert", NEW_ITEM)]


async def test_room_is_looked_after_although_there_is_always_something_new(
    log: Log, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MAINTENANCE_SECONDS", 0.05)
    looked_after = asyncio.Event()
    times = 0

    async def look_after(*_: object) -> None:
        nonlocal times
        times += 1
        if times == 2:
            looked_after.set()

    async def find_something(_: object) -> int:
        return 1

    monkeypatch.setattr(module.Turns, "look_after", look_after)
    monkeypatch.setattr(module.Sequencing, "look", find_something)
    async with log.sequencing() as sequencing, asyncio.timeout(10):
        running = asyncio.create_task(sequencing.run(asyncio.Event()))
        await looked_after.wait()
        running.cancel()


async def test_long_published_events_are_read_one_by_one(
    log: Log, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MOST_ROWS", 2)
    monkeypatch.setattr(module, "BYTES_AT_ONCE", 50_000)
    monkeypatch.setattr(transactions, "MOST_BYTES", 50_000)
    read = at_most = 0
    of, texts = module.Entries.of, module.TriggerCapture.texts

    async def counted(self: module.TriggerCapture, row: Any) -> Any:
        nonlocal read, at_most
        read += 1
        at_most = max(at_most, read)
        return await texts(self, row)

    async def made(self: module.Entries, changes: Any) -> Any:
        nonlocal read
        read = 0
        return await of(self, changes)

    monkeypatch.setattr(module.TriggerCapture, "texts", counted)
    monkeypatch.setattr(module.Entries, "of", made)
    text = "x" * 40_000
    await log.execute(
        "do $$ begin for n in 1..20 loop "
        f"perform wamp.publish('com.example.news', '[\"{text}\"]'); end loop; end $$"
    )
    assert len(await log.told()) == 20
    assert 0 < at_most <= 4
