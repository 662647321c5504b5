"""An answer has at most limits.max_rows rows, and a write that would have more changes nothing."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import Database
from tests.procedures.conftest import Start

TOO_MANY, TOO_MANY_AFFECTED = "pgwamp.error.too_many_rows", "pgwamp.error.too_many_affected"
MOST = 10
ITEMS = (
    "create table item (id int primary key, name text default 'x', kind int, unique (name, kind))",
    f"insert into item select n, 'old ' || n, n from generate_series(1, {MOST + 2}) as n",
)
LIMITS = {"max_rows": MOST}
NEW = [{"id": 100 + n, "name": "new"} for n in range(MOST + 1)]
KNOWN = [{"id": n, "name": "new"} for n in range(1, MOST + 2)]
#: Writes whose answer would have one row too many.
LARGE: list[tuple[str, list[Any], dict[str, Any]]] = [
    ("item.delete", [{"id": {"lte": MOST + 1}}], {}),
    ("item.delete", [{"id": {"lte": MOST + 1}}], {"order": ["id"]}),
    ("item.delete", ["all"], {"returning": ["id"]}),
    ("item.delete", [{"or": [{"id": 1}, {"id": {"gt": 1}}]}], {}),
    ("item.delete", [{"name": {"like": "old%"}, "kind": {"lte": MOST + 1}}], {}),
    ("item.update", [{"name": "new"}, {"id": {"lte": MOST + 1}}], {}),
    ("item.update", [], {"rows": KNOWN}),
    ("item.insert", [NEW], {}),
    ("item.insert", [[*NEW[1:], {"id": 200}]], {"missing": "default"}),
    ("item.upsert", [KNOWN], {}),
]


@asynccontextmanager
async def unchanged(database: Database) -> AsyncIterator[None]:
    """Expect that the table has the same rows afterwards."""
    connection = await database.connect()
    try:
        rows = "select array_agg(item order by id)::text from item"
        before = await connection.fetchval(rows)
        yield
        assert await connection.fetchval(rows) == before
    finally:
        await connection.close()


@pytest.mark.parametrize(("name", "args", "kwargs"), LARGE)
async def test_a_write_that_would_answer_too_many_rows_changes_nothing(
    api: Start, database: Database, name: str, args: list[Any], kwargs: dict[str, Any]
) -> None:
    call = await api(*ITEMS, limits=LIMITS)
    async with unchanged(database):
        error = await call.fails(TOO_MANY, name, *args, **kwargs)
        assert f"more than {MOST} rows (limits.max_rows)" in error.message
        assert "returning=false" in error.message
        # In a batch it takes the others with it.
        steps = [
            {"procedure": "item.insert", "args": [{"id": 0}]},
            {"procedure": name, "args": args, "kwargs": kwargs},
        ]
        await call.fails(TOO_MANY, "batch", steps)


async def test_a_write_may_answer_as_many_rows_as_are_allowed(api: Start) -> None:
    call = await api(*ITEMS, limits=LIMITS)
    some = {"id": {"lte": MOST}}
    assert len(await call("item.update", {"name": "new"}, some)) == MOST
    assert len(await call("item.insert", NEW[1:])) == MOST
    assert len(await call("item.delete", some, order=["id"])) == MOST


async def test_a_write_of_any_number_of_rows_may_answer_their_number(api: Start) -> None:
    call = await api(*ITEMS, limits=LIMITS)
    assert await call("item.insert", NEW, returning=False) == len(NEW)
    assert await call("item.delete", "all", returning=False) == len(NEW) + MOST + 2


async def test_max_affected_is_told_first(api: Start, database: Database) -> None:
    call = await api(*ITEMS, limits=LIMITS)
    async with unchanged(database):
        await call.fails(TOO_MANY_AFFECTED, "item.delete", "all", max_affected=MOST)
        await call.fails(TOO_MANY, "item.delete", "all", max_affected=1000)
        counted = {"max_affected": MOST, "returning": False}
        await call.fails(TOO_MANY_AFFECTED, "item.delete", "all", **counted)


async def test_a_table_with_rules_has_the_same_bound(api: Start, database: Database) -> None:
    call = await api(
        *ITEMS,
        "create table log (id int)",
        "create rule logged as on delete to item do also insert into log values (old.id)",
        limits=LIMITS,
    )
    async with unchanged(database):
        await call.fails(TOO_MANY, "item.delete", "all")
        await call.fails(TOO_MANY_AFFECTED, "item.delete", "all", max_affected=MOST)
    assert await call("log.count") == 0
    assert len(await call("item.delete", {"id": {"lte": MOST}})) == MOST
    assert await call("log.count") == MOST


async def test_a_view_has_the_same_bound(api: Start, database: Database) -> None:
    call = await api(
        *ITEMS,
        "create view shown as select * from item",
        "create view ruled as select * from item",
        "create rule gone as on delete to ruled do instead "
        "delete from item where id = old.id returning *",
        limits=LIMITS,
    )
    async with unchanged(database):
        await call.fails(TOO_MANY, "shown.delete", "all")
        await call.fails(TOO_MANY, "ruled.delete", "all")
    assert len(await call("shown.delete", {"id": {"lte": MOST}})) == MOST


DRAWN = "create sequence drawn"
QUERIES = """
-- name: numbers(n)
select g as id, nextval('drawn') from generate_series(1, :n::int) as g;

-- name: removed(n)
delete from item where id <= :n::int returning id;

-- name: one(n)^
delete from item where id <= :n::int returning id;
"""


async def test_a_named_query_that_would_answer_too_many_rows_changes_nothing(
    api: Start, database: Database, tmp_path: Path
) -> None:
    (tmp_path / "queries.sql").write_text(QUERIES)
    call = await api(*ITEMS, DRAWN, limits=LIMITS, expose={"queries": str(tmp_path)})
    async with unchanged(database):
        for name in ("removed", "one"):
            error = await call.fails(TOO_MANY, name, MOST + 1)
            assert f"more than {MOST} rows (limits.max_rows)" in error.message
    assert len(await call("removed", MOST)) == MOST


async def test_the_server_makes_no_more_rows_of_a_named_query_than_it_takes_to_refuse_them(
    api: Start, database: Database, tmp_path: Path
) -> None:
    (tmp_path / "queries.sql").write_text(QUERIES)
    call = await api(*ITEMS, DRAWN, limits=LIMITS, expose={"queries": str(tmp_path)})
    await call.fails(TOO_MANY, "numbers", 100_000)
    connection = await database.connect()
    # A sequence keeps what was drawn from it when a statement fails.
    assert await connection.fetchval("select last_value from drawn") == MOST + 1
    await connection.close()
    assert len(await call("numbers", MOST)) == MOST
    parts: list[Any] = []
    await call.client.call(f"{call.prefix}.numbers", [MOST * 10], {}, parts.append)
    assert sum(map(len, parts)) == MOST * 10


KINDS = (
    "create table kind (id int primary key, name text default 'x')",
    f"insert into kind select n from generate_series(1, {MOST}) as n",
    "create table item (id int primary key, name text default 'x', kind int references kind)",
    f"insert into item select n, 'old', 1 from generate_series(1, {MOST + 1}) as n",
    "insert into item values (100, 'one', 2)",
)
ITEMS_OF_IT: dict[str, Any] = {"item": {"order": ["id"]}}
#: Writes whose answer would have a list of related rows that is one too long.
LONG: list[tuple[str, list[Any], dict[str, Any]]] = [
    ("kind.update", [{"name": "new"}, {"id": 1}], {"include": ITEMS_OF_IT}),
    ("kind.update", [{"name": "new"}, "all"], {"include": ITEMS_OF_IT}),
    ("kind.update", [{"name": "new"}, {"id": 1}], {"include": ITEMS_OF_IT, "max_affected": 1}),
    ("kind.update", [], {"rows": [{"id": 1, "name": "new"}], "include": ["item"]}),
    ("kind.update", [{"name": "new"}, {"id": 1}], {"include": {"item": {"limit": 5000}}}),
    ("kind.upsert", [{"id": 1, "name": "new"}], {"include": ["item"]}),
    (
        "item.insert",
        [{"id": 200, "kind": 1}],
        {"returning": [], "include": {"kind": {"include": ITEMS_OF_IT}}},
    ),
    (
        "item.delete",
        [{"id": 1}],
        {"include": {"of:kind": {"spread": True, "columns": [], "include": {"item": {}}}}},
    ),
    (
        "kind.update",
        [{"name": "new"}, {"id": 1}],
        {"include": {"item": {"limit": 1, "include": {"of:kind": {"include": ["item"]}}}}},
    ),
    (
        "kind.update",
        [{"name": "new"}, {"id": 1}],
        {"include": {"item": {"include": {"kind": {"include": {"item": {"limit": 1}}}}}}},
    ),
]


@pytest.mark.parametrize(("name", "args", "kwargs"), LONG)
async def test_a_write_that_would_answer_too_many_related_rows_changes_nothing(
    api: Start, database: Database, name: str, args: list[Any], kwargs: dict[str, Any]
) -> None:
    call = await api(*KINDS, limits=LIMITS)
    rows = "select (select array_agg(k order by id) from kind k)::text, "
    rows += "(select array_agg(i order by id) from item i)::text"
    connection = await database.connect()
    before = await connection.fetchrow(rows)
    error = await call.fails(TOO_MANY, name, *args, **kwargs)
    assert error.message == (
        f"include: a list of related rows would have more than {MOST} rows (limits.max_rows); "
        "nothing was changed: give it a limit"
    )
    assert await connection.fetchrow(rows) == before
    await connection.close()


async def test_a_write_may_answer_as_many_related_rows_as_are_allowed(api: Start) -> None:
    call = await api(*KINDS, limits=LIMITS)
    for limit in (1, 7, MOST):
        (kind,) = await call(
            "kind.update", {"name": "new"}, {"id": 1}, include={"item": {"limit": limit}}
        )
        assert len(kind["item"]) == limit
    await call("item.delete", {"id": 1}, returning=False)
    kinds = await call("kind.update", {"name": "new"}, "all", include=["item"], order=["id"])
    assert [len(kind["item"]) for kind in kinds] == [MOST, 1] + [0] * (MOST - 2)
