"""Rows of one update that have the same key: none is lost, and to find them holds nobody up."""

from __future__ import annotations

import re
from typing import Any

import psycopg2
import pytest

from pgwamp.catalog import Relation
from pgwamp.catalog.graph import Graph
from pgwamp.catalog.model import Catalog, Column
from pgwamp.query import rows
from pgwamp.query.scope import Scopes
from pgwamp.query.writes import Writes
from pgwamp.settings import LimitSettings
from pgwamp.values import Type, writer
from tests.conftest import Database
from tests.procedures.conftest import Start

BIGINT = Type(20, "bigint", "integer")
INVALID = "wamp.error.invalid_argument"
UUID = "aaaaaaaa-0000-0000-0000-00000000000a"
#: A type of a key, and two ways to write one value of it.
WAYS: dict[str, tuple[Any, Any]] = {
    "bigint": (1, "1"),
    "uuid": (UUID, UUID.upper()),
    "date": ("2026-01-02", "20260102"),
    "numeric": ("1", "1.0"),
    "float8": (0.0, -0.0),
    "character(3)": ("a", "a  "),
    "text collate any_case": ("key", "KEY"),
    "any_case": ("key", "KEY"),
    "jsonb": ({"a": 1, "b": 2}, {"b": 2, "a": 1.0}),
    "int4range": ("[1,3)", "[1,2]"),
    "numeric[]": (["1"], ["1.0"]),
    "place": ({"street": "Key", "zip": "1"}, {"street": "Key", "zip": "1.0"}),
}
COLLATED = (
    "create collation any_case (provider = icu, locale = 'und-u-ks-level2', deterministic = false)",
    "create domain any_case as text collate any_case",
)


@pytest.mark.parametrize("kind", WAYS)
@pytest.mark.parametrize("relation", ["item", "shown"])
async def test_an_update_that_gives_one_key_twice_is_refused_and_changes_nothing(
    api: Start, database: Database, kind: str, relation: str
) -> None:
    one, same = WAYS[kind]
    if "any_case" in kind:
        try:
            database.execute(*COLLATED)
        except psycopg2.errors.FeatureNotSupported:
            pytest.skip("this server is built without ICU")
    call = await api(
        "create type place as (street text, zip numeric)",
        f"create table item (part int, key {kind}, n int default 0, primary key (part, key))",
        "create view shown as select key, part, n from item",
    )
    await call("item.insert", [{"part": 1, "key": one}, {"part": 2, "key": one}])
    for returning in (True, False):
        error = await call.fails(
            INVALID,
            f"{relation}.update",
            rows=[{"part": 1, "key": one, "n": 1}, {"part": 1, "key": same, "n": 2}],
            returning=returning,
        )
        assert error.details["argument"] == "rows"
        assert error.message == "rows: two rows have the same key"
    assert await call("item.count", {"n": 0}) == 2
    found = await call(
        f"{relation}.update",
        rows=[{"part": 1, "key": one, "n": 1}, {"part": 2, "key": same, "n": 2}],
        returning=["n"],
        order=["part"],
    )
    assert found == [{"n": 1}, {"n": 2}]


async def test_a_step_of_a_batch_that_gives_one_key_twice_is_refused(api: Start) -> None:
    call = await api(
        "create table item (id uuid primary key, n int)", f"insert into item values ('{UUID}', 0)"
    )
    twice = [{"id": UUID, "n": 1}, {"id": UUID.upper(), "n": 2}]
    step = {"procedure": "item.update", "kwargs": {"rows": twice}}
    error = await call.fails(INVALID, "batch", [step])
    assert error.message == "batch[0]: rows: two rows have the same key"
    assert await call("item.select") == [{"id": UUID, "n": 0}]


def writes(*columns: Column) -> Writes:
    """The writes of a table whose key is all of its columns but ``n``."""
    key = tuple(column.name for column in columns)
    every = (*columns, Column("n", BIGINT))
    catalog = Catalog(0, relations=(Relation("public", "item", "table", every, primary_key=key),))
    scopes = Scopes(catalog, Graph(catalog, catalog.relations), LimitSettings())
    return Writes(scopes.of(catalog.relations[0]))


def test_keys_are_compared_by_the_collation_of_their_column() -> None:
    text = Type(25, "text", "text")
    collated = writes(Column("a", text, collation='public."any case"'), Column("b", text))
    bound = collated.update({"rows": [{"a": "x", "b": "y", "n": 1}] * 2})
    assert bound is not None
    (alike,) = re.findall(r"PARTITION BY (.*)\) AS", bound.statement.sql)
    assert alike == 'v."a" COLLATE public."any case", v."b"'


class Alike(int):
    """A number with the hash of all others, which counts how often it is compared."""

    compared = 0

    def __hash__(self) -> int:
        return 1

    def __eq__(self, other: object) -> bool:
        Alike.compared += 1
        return super().__eq__(other)


def test_keys_of_one_hash_are_not_compared_with_each_other(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def alike(of: Type) -> Any:
        write = writer(of)
        return lambda *arguments: Alike(write(*arguments))

    monkeypatch.setattr(rows, "writer", alike)
    monkeypatch.setattr(Alike, "compared", 0)
    given = [{"a": index, "b": index, "n": 1} for index in range(500)]
    pairs = writes(Column("a", BIGINT), Column("b", BIGINT))
    assert pairs.update({"rows": given}) is not None
    # With a few for each; with each other it would be 125,000 and more.
    assert Alike.compared <= 10 * len(given)


@pytest.mark.parametrize("present", [True, False])
async def test_an_upsert_that_gives_one_key_twice_is_refused_whatever_columns_it_gives(
    api: Start, present: bool
) -> None:
    call = await api("create table item (id numeric primary key, a int, b int)")
    if present:
        await call("item.insert", {"id": "1"})
    rows = [{"id": "1", "a": 1}, {"id": "1.0", "b": 2}]
    await call.fails(
        "pgwamp.error.cardinality_violation", "item.upsert", rows=rows, missing="default"
    )
    assert await call("item.count", {"a": None, "b": None}) == int(present)
