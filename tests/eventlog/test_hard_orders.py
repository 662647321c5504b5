"""Orders that are hard to find: a copy by key is right, or is told which rows to read again."""

from __future__ import annotations

import json
import tracemalloc
from typing import Any

import pytest

from pgwamp.eventlog import entries, transactions
from pgwamp.eventlog import sequencing as module
from pgwamp.eventlog.body import read_body
from tests.eventlog.conftest import Copy, Log

ITEM = ("create table item (id int primary key, name text)", "select wamp.watch('item')")


@pytest.fixture(params=["whole", "streamed"])
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """How a transaction is taken."""
    if request.param == "streamed":
        monkeypatch.setattr(module, "MOST_ROWS", 1)
        monkeypatch.setattr(transactions, "MOST_ROWS", 4)
    return str(request.param)


async def require_right_copy(log: Log, table: str = "item") -> Copy:
    """Fold all events, and compare with the table, but for rows that are to be read again."""
    await log.take()
    events = [event for event in await log.events() if event.table == table]
    bodies = [read_body(event.body or "{}") for event in events]
    copy = Copy()
    # What was told of them before fits nothing.
    copy.unclear = {(table, json.dumps(b["key"])) for b in bodies if "truncated" in b}
    for event in events:
        copy.apply(event)
    rows = {
        (table, json.dumps({"id": row["id"]})): dict(row)
        for row in await log.connection.fetch(f"select * from {table}")
    }
    certain = {key: row for key, row in copy.rows.items() if key not in copy.unclear}
    assert certain == {key: row for key, row in rows.items() if key not in copy.unclear}
    return copy


@pytest.mark.usefixtures("way")
async def test_long_rows_change_their_keys_in_order(log: Log) -> None:
    await log.execute(
        *ITEM,
        "insert into item select n, repeat('a', 20000) || n from generate_series(1, 8) as n "
        "order by n desc",
        "update item set id = id + 1",
    )
    copy = await require_right_copy(log)
    assert len(copy.rows) == 8


@pytest.mark.usefixtures("way")
async def test_keys_are_swapped_after_ddl_of_the_same_transaction(log: Log) -> None:
    await log.execute(
        "create table item (id int primary key deferrable, name text)",
        "select wamp.watch('item')",
        "begin; insert into item values (1, 'a'), (2, 'b'), (3, 'c'), (4, 'd'), (5, 'e');"
        "set constraints all immediate; alter table item alter name type varchar;"
        "update item set id = 3 - id where id < 3; commit",
    )
    await require_right_copy(log)


@pytest.mark.usefixtures("way")
async def test_a_key_cascades_to_its_own_table(log: Log) -> None:
    await log.execute(
        "create table item (id int primary key, parent int references item on update cascade)",
        "select wamp.watch('item')",
        "insert into item select n, nullif(n - 1, 0) from generate_series(1, 9) as n",
        "update item set id = id + 100",
    )
    await require_right_copy(log)


@pytest.mark.usefixtures("way")
@pytest.mark.parametrize("fires", ["before", "after"])
async def test_triggers_of_truncate_write_to_the_table(log: Log, fires: str) -> None:
    await log.execute(
        *ITEM,
        "create function seed() returns trigger language plpgsql as $$ begin "
        "insert into item values (1, 'seed'), (7, 'other'); return null; end $$",
        f"create trigger a_seed {fires} truncate on item execute function seed()",
        "insert into item values (2, 'a')",
        "truncate item",
    )
    copy = await require_right_copy(log)
    assert {key for _, key in copy.unclear} == {'{"id": 1}', '{"id": 7}'}


async def test_a_change_that_cannot_be_told_names_both_keys(
    log: Log, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(entries, "LARGEST", 100)
    await log.execute(*ITEM, f"insert into item values (1, '{'x' * 90}')", "update item set id = 2")
    told: list[dict[str, Any]] = [body for _, body in await log.told()]
    assert told[1:] == [
        {"key": {"id": 1}, "truncated": True},
        {"key": {"id": 2}, "truncated": True},
    ]


async def test_a_small_text_that_becomes_much_is_told_without_values(log: Log) -> None:
    fields = ", ".join(f'"{"x" * 58}{number:03}" int' for number in range(200))
    nothing = ", ".join(["null"] * 200)
    await log.execute(
        f"create type wide as ({fields})",
        "create table item (id int primary key, v wide[])",
        "create table other (id int primary key)",
        "select wamp.watch('item'), wamp.watch('other')",
        f"insert into item select 1, array_agg(row({nothing})::wide) "
        "from generate_series(1, 3000) as n",
        "insert into other values (1)",
    )
    first, second = await log.told()
    assert first == ("insert", {"key": {"id": 1}, "truncated": True})
    assert second[1]["key"] == {"id": 1}


@pytest.mark.usefixtures("way")
async def test_a_text_is_the_same_in_a_short_and_in_a_long_change(log: Log) -> None:
    """An update has it twice with the other one, an insert and a delete have it alone."""
    await log.execute(
        *ITEM,
        "insert into item values (1, repeat('a', 12000)), (2, repeat('b', 12000))",
        "begin; insert into item values (3, repeat('c', 12000));"
        "update item set name = 'x' || name; update item set name = name;"
        "delete from item where id < 3; commit",
    )
    copy = await require_right_copy(log)
    assert {key for _, key in copy.rows} == {'{"id": 3}'}
    assert not copy.unclear


#: A row trigger changes the row once more, and a statement trigger writes to another table.
TOUCHED = (
    "create table item (id int primary key, name text)",
    "create table audit (t text)",
    "create function touch() returns trigger language plpgsql as $$ begin "
    "update item set name = 'touched' where id = new.id; return null; end $$",
    "create trigger touch after insert on item for each row execute function touch()",
    "create function note() returns trigger language plpgsql as $$ begin "
    "insert into audit values (tg_op); return null; end $$",
    "create trigger note after insert or update on item for each statement "
    "when (pg_trigger_depth() = 0) execute function note()",
    "select wamp.watch('item')",
    "insert into item values (1, 'a')",
)
UPSERT = (
    "insert into item values (1, 'b'), (2, 'c') on conflict (id) do update set name = excluded.name"
)


@pytest.mark.usefixtures("way")
async def test_a_row_that_an_upsert_has_inserted_and_a_trigger_changed_is_deleted(log: Log) -> None:
    await log.execute(*TOUCHED, f"begin; {UPSERT}; delete from item where id = 2; commit")
    copy = await require_right_copy(log)
    assert not copy.unclear
    told = [(op, body["key"]["id"]) for op, body in await log.told() if body["key"] == {"id": 2}]
    assert told == [("insert", 2), ("update", 2), ("delete", 2)]


@pytest.mark.usefixtures("way")
@pytest.mark.parametrize("most", [1, 5000])
async def test_a_row_that_an_upsert_has_inserted_and_a_trigger_changed_is_as_it_is(
    log: Log, monkeypatch: pytest.MonkeyPatch, most: int
) -> None:
    monkeypatch.setattr(transactions, "MOST_ROWS", most)
    await log.execute(*TOUCHED, UPSERT)
    copy = await require_right_copy(log)
    assert not copy.unclear or most == 1


@pytest.mark.usefixtures("way")
@pytest.mark.parametrize("length", [1, 5_000, 20_000])
async def test_a_partition_has_its_columns_in_another_order(log: Log, length: int) -> None:
    await log.execute(
        "create table item (id int primary key, a text, b text) partition by range (id)",
        "create table item_1 (b text, a text, id int not null)",
        "alter table item attach partition item_1 for values from (0) to (100)",
        "select wamp.watch('item')",
        f"insert into item values (1, repeat('a', {length}) || ',\"(', '10')",
        "begin; update item set a = a || '1' where id = 1;"
        "update item_1 set b = '11' where id = 1; commit",
        "begin; update item set b = '12' where id = 1; delete from item_1 where id = 1;"
        "insert into item_1 values ('13', 'x', 2); update item set id = 3 where id = 2; commit",
    )
    copy = await require_right_copy(log)
    assert not copy.unclear
    told = await log.told()
    assert [(op, body.get("changed")) for op, body in told] == [
        ("insert", None),
        ("update", ["a"]),
        ("update", ["b"]),
        ("update", ["b"]),
        ("delete", None),
        ("insert", None),
        ("update", ["id"]),
    ]


@pytest.mark.usefixtures("way")
async def test_a_trigger_changes_the_rows_of_a_partition_by_its_own_name(log: Log) -> None:
    await log.execute(
        "create table item (id int primary key, v int) partition by range (id)",
        "create table item_1 partition of item for values from (0) to (1000)",
        "create function raise() returns trigger language plpgsql as $$ begin "
        "update item_1 set v = v + 100; return null; end $$",
        "create trigger a_raise after insert on item for each statement execute function raise()",
        "select wamp.watch('item')",
        "insert into item select n, n from generate_series(1, 8) as n",
    )
    await require_right_copy(log)


@pytest.mark.usefixtures("way")
async def test_a_trigger_of_one_of_several_truncated_tables_writes_to_another(
    log: Log, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(transactions, "MOST_ROWS", 6)
    await log.execute(
        "create table item (id int primary key)",
        "create table other (id int primary key references item)",
        "create table third (id int primary key references other)",
        "create function seed() returns trigger language plpgsql as $$ begin "
        "insert into item values (7); insert into other values (7); insert into third values (7);"
        "return null; end $$",
        "create trigger z_seed after truncate on item execute function seed()",
        "select wamp.watch('item'), wamp.watch('other'), wamp.watch('third')",
        "insert into item values (1); insert into other values (1); insert into third values (1)",
        "truncate item cascade",
    )
    for table in ("item", "other", "third"):
        copy = await require_right_copy(log, table)
        assert [key for _, key in [*copy.rows, *copy.unclear]] == ['{"id": 7}']


async def test_a_table_is_to_be_read_again_if_triggers_of_truncate_write_too_much(
    log: Log, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MOST_ROWS", 1)
    monkeypatch.setattr(transactions, "MOST_ROWS", 4)
    await log.execute(
        *ITEM,
        "create function seed() returns trigger language plpgsql as $$ begin "
        "insert into item select generate_series(1, 10); return null; end $$",
        "create trigger a_seed after truncate on item execute function seed()",
        "truncate item",
    )
    told = await log.told()
    assert told[-2:] == [("truncate", {}), ("insert", {"truncated": True})]


@pytest.mark.usefixtures("way")
async def test_a_trigger_of_a_truncated_table_writes_to_its_partition(log: Log) -> None:
    await log.execute(
        *PARTITIONED,
        "create trigger z_seed after truncate on item execute function seed()",
        "truncate item",
    )
    told = await log.told()
    assert [(op, body) for op, body in told[2:]] == [
        ("truncate", {}),
        ("insert", {"key": {"id": 2}, "new": {"id": 2}}),
    ]


@pytest.mark.usefixtures("way")
async def test_only_the_key_is_told_of_what_a_truncated_partition_has_had(log: Log) -> None:
    await log.execute(
        *PARTITIONED,
        "create trigger seed before truncate on item_1 execute function seed()",
        "truncate item_1",
    )
    told = await log.told()
    assert told[2:] == [
        ("truncate", {"partition": "public.item_1"}),
        ("update", {"key": {"id": 2}, "truncated": True}),
    ]


PARTITIONED = (
    "create table item (id int primary key) partition by range (id)",
    "create table item_1 partition of item for values from (0) to (10)",
    "create table item_2 partition of item for values from (10) to (20)",
    "create function seed() returns trigger language plpgsql as $$ begin "
    "insert into item values (2); return null; end $$",
    "select wamp.watch('item')",
    "insert into item values (1), (11)",
)


@pytest.mark.usefixtures("way")
async def test_many_rows_that_are_changed_once_come_with_their_values(log: Log) -> None:
    await log.execute(
        "create table item (id int primary key, v int)",
        "create table plain (id int primary key)",
        "create table audit (id int primary key)",
        "create function note() returns trigger language plpgsql as $$ begin "
        "insert into audit values (new.id); return null; end $$",
        "create trigger note after insert on plain for each row execute function note()",
        "select wamp.watch('item'), wamp.watch('audit')",
        "insert into item select n, 1 from generate_series(1, 10) as n",
        "insert into item select n, 1 from generate_series(1, 20) as n "
        "on conflict (id) do update set v = 2",
        "insert into plain select n from generate_series(1, 20) as n",
    )
    assert not (await require_right_copy(log)).unclear
    assert not (await require_right_copy(log, "audit")).unclear


async def test_the_texts_of_a_large_transaction_are_not_kept(
    log: Log, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MOST_ROWS", 1)
    monkeypatch.setattr(transactions, "MOST_BYTES", 1_000_000)
    await log.execute(
        *ITEM,
        "insert into item select n, repeat('x', 8000) || n from generate_series(1, 6000) as n",
    )
    tracemalloc.start()
    try:
        await log.take()
        _, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    # The texts are 48 MB; the filter of what was told is 8 MiB.
    assert most < 28_000_000
    assert len(await log.events()) == 6000


@pytest.mark.usefixtures("way")
async def test_a_trigger_writes_to_a_table_that_shows_no_row(log: Log) -> None:
    await log.execute(
        "create table item (id int primary key, n int)",
        "alter table item enable row level security, force row level security",
        "create policy nobody on item using (false)",
        "create function add() returns trigger language plpgsql as $$ begin "
        "update item set n = n + 1 where id = new.id; return null; end $$",
        "create trigger add after insert on item for each row execute function add()",
        "select wamp.watch('item')",
        "insert into item values (1, 1), (2, 2)",
    )
    copy = await require_right_copy(log)
    assert not copy.unclear
    assert [row["n"] for row in copy.rows.values()] == [2, 3]


@pytest.mark.usefixtures("way")
async def test_two_deletes_and_an_insert_of_one_table_stand_in_one_with(log: Log) -> None:
    await log.execute(
        *ITEM,
        "insert into item values (1, 'a'), (2, 'b'), (3, 'c')",
        "with one as (delete from item where id = 1 returning *), "
        "two as (delete from item where id = 2 returning *), "
        "more as (insert into item values (4, 'd'), (1, 'e') returning *) "
        "select from one, two, more",
    )
    copy = await require_right_copy(log)
    assert not copy.unclear
    assert {row["id"]: row["name"] for row in copy.rows.values()} == {1: "e", 3: "c", 4: "d"}


async def test_a_rolled_back_erasure_does_not_change_the_order(log: Log) -> None:
    await log.execute(
        *ITEM,
        "insert into item values (1, 'a')",
        "begin; with gone as (delete from item where id = 1 returning *) "
        "insert into item select id, 'b' from gone; update item set name = 'c'; commit",
        "begin; select wamp.forget('item'); rollback",
    )
    copy = await require_right_copy(log)
    assert not copy.unclear
    assert len(copy.rows) == 1


async def test_merge_that_moves_rows_is_told_where_it_names_all_that_it_does(log: Log) -> None:
    if await log.connection.fetchval("show server_version_num") < "150000":
        pytest.skip("MERGE exists from PostgreSQL 15 on")
    await log.execute(
        "create table part (id int, g int, primary key (id, g)) partition by list (g)",
        "create table part_1 partition of part for values in (1)",
        "create table part_2 partition of part for values in (2)",
        "select wamp.watch('part')",
        "insert into part values (1, 1), (2, 1)",
        "merge into part as t using (values (1)) as s (id) on t.id = s.id "
        "when matched and t.g = 1 then update set g = 2 "
        "when matched and false then delete "
        "when not matched and false then insert default values",
    )
    copy = Copy()
    await log.take()
    for event in await log.events():
        copy.apply(event)
    assert sorted((row["id"], row["g"]) for row in copy.rows.values()) == [(1, 2), (2, 1)]
