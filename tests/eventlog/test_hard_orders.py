"""Orders that are hard to find: a copy by key is right, or is told which rows to read again."""

from __future__ import annotations

import json
from typing import Any

import pytest

from pgwamp.eventlog import entries, transactions
from pgwamp.eventlog import sequencing as module
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
    copy = Copy()
    for event in await log.events():
        if event.table == table:
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
