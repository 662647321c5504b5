"""What the catalog knows of tables, keys, types and functions."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

import pytest

from pgwamp.catalog import Catalog, load_catalog
from pgwamp.catalog import load as load_module
from tests.conftest import Database


async def load(database: Database, *statements: str) -> Catalog:
    database.execute(*statements)
    connection = await database.connect()
    try:
        return await load_catalog(connection, ["public"])
    finally:
        await connection.close()


async def test_keys_generated_columns_and_comments_are_known(database: Database) -> None:
    catalog = await load(
        database,
        "create table t (b int, a int, g int generated always as (a + 1) stored, "
        "i int generated always as identity, d int default 1, primary key (a, b), unique (d))",
        "create unique index on t (g) where a > 0",
        "comment on table t is 'x'",
    )
    (table,) = catalog.relations
    assert table.primary_key == ("a", "b")
    assert set(table.unique) == {("a", "b"), ("d",)}
    assert [c.name for c in table.columns if c.generated] == ["g", "i"]
    assert table.comment == "x"
    assert not table.by_name["a"].nullable


async def test_a_type_name_in_a_cast_keeps_the_whole_value(database: Database) -> None:
    catalog = await load(database, "create table t (c char(3), b bit(4), cs char(3)[], v varchar)")
    names = [column.type.name for column in catalog.relations[0].columns]
    assert names == ["bpchar", '"bit"', "bpchar[]", "character varying"]


async def test_domains_and_ranges_are_resolved(database: Database) -> None:
    catalog = await load(
        database,
        "create domain price as numeric(10,2) check (value > 0)",
        "create table node (id int, cost price, span int4range)",
    )
    columns = catalog.relations[0].by_name
    assert (columns["cost"].type.form, columns["cost"].type.domain) == (
        "numeric",
        "public.price",
    )
    assert columns["span"].type.element is not None


async def test_partitions_and_trigger_functions_are_not_exposed(database: Database) -> None:
    catalog = await load(
        database,
        "create table p (id int) partition by range (id)",
        "create table p1 partition of p for values from (0) to (9)",
        "create function tr() returns trigger language plpgsql as $$ begin return new; end $$",
        "create function ok(a int, b int default 2) returns int language sql as $$ select 1 $$",
    )
    assert [relation.name for relation in catalog.relations] == ["p"]
    (routine,) = catalog.routines
    assert [a.has_default for a in routine.inputs] == [False, True]


async def test_two_loads_of_an_unchanged_database_are_equal(database: Database) -> None:
    database.execute("create table t (id int primary key)")
    assert await load(database) == await load(database)


async def test_only_keys_between_tables_that_relations_show_are_read(database: Database) -> None:
    catalog = await load(
        database,
        "create schema hidden",
        "create table t (id int primary key)",
        "create table hidden.shown (id int primary key, t int references t)",
        "create view v as select id, t from hidden.shown",
        "create table hidden.other (id int primary key, itself int references hidden.other, "
        "t int references t, shown int references hidden.shown)",
        "alter table t add other int references hidden.other",
        "create table p (id int primary key, t int references t) partition by list (id)",
        "create table p1 partition of p for values in (1)",
    )
    assert [key.name for key in catalog.foreign_keys] == ["shown_t_fkey", "p_t_fkey"]
    connection = await database.connect()
    try:
        assert (await load_catalog(connection, [])).foreign_keys == ()
    finally:
        await connection.close()


async def test_others_have_their_turn_between_relations(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    turns, read = 0, load_module._columns
    turns_of_rows: list[int] = []

    def counted(row: Mapping[str, Any]) -> list[dict[str, Any]]:
        turns_of_rows.append(turns)
        return read(row)

    async def count() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    monkeypatch.setattr(load_module, "_columns", counted)
    counting = asyncio.create_task(count())
    try:
        await load(database, *(f"create table t{number} (id int)" for number in range(30)))
    finally:
        counting.cancel()
    # A relation may have 1,600 columns: no two are read in one turn.
    assert len(turns_of_rows) == len(set(turns_of_rows)) == 60
