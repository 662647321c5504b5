"""hstore, where the server has the extension: the embedded one has not."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import psycopg2.errors
import pytest

from tests.servers import Addresses, execute
from tests.spec.cases import Case, Refusal, named
from tests.spec.conftest import Desk, fresh_database

SCHEMA = (
    "create extension hstore",
    "create table pair (id int primary key, data hstore)",
    "insert into pair values (1, 'a=>1, b=>\"x y\"'), (2, 'a=>NULL'), (3, ''), (4, null)",
    "create table owner (pair int primary key references pair)",
    "insert into owner values (1), (2)",
)


@pytest.fixture(scope="module")
def desk(addresses: Addresses) -> Iterator[Desk]:
    with fresh_database(addresses) as url:
        try:
            execute(url, *SCHEMA)
        except psycopg2.errors.FeatureNotSupported:
            pytest.skip("this server has no hstore")
        opened = Desk(url)
        yield opened
        opened.close()


def found(where: Any, *ids: int) -> Case:
    kwargs = {"where": where, "columns": ["id"], "order": ["id"]}
    return Case("pair.select", kwargs, [{"id": number} for number in ids])


CASES = [
    Case("pair.select", {"columns": ["data"], "order": "id"},
         [{"data": {"a": "1", "b": "x y"}}, {"data": {"a": None}}, {"data": {}}, {"data": None}]),
    Case("pair.get", {"key": 1, "columns": ["data->b"]}, {"b": "x y"}),
    Case("owner.select", {"order": "pair", "columns": [],
        "include": {"p:pair": {"columns": ["data"]}}},
         [{"p": {"data": {"a": "1", "b": "x y"}}}, {"p": {"data": {"a": None}}}]),
    found({"data->a": "1"}, 1),
    found({"data->a": None}, 2, 3, 4),
    found({"data->>b::text": {"like": "x%"}}, 1),
    found({"data": {"has_key": "a"}}, 1, 2),
    found({"data": {"has_key": {"all": ["a", "b"]}}}, 1),
    found({"data": {"has_key": {"any": ["b", "c"]}}}, 1),
    found({"data": {"contains": {"a": "1"}}}, 1),
    found({"data": {"contained_by": {"a": "1", "b": "x y"}}}, 1, 3),
    found({"data": {"eq": {"a": None}}}, 2),
    found({"data": {"in": [{"a": None}, {}]}}, 2, 3),
]  # fmt: skip
NUL = "cannot hold the character NUL"
REFUSED = [
    *(
        Refusal("pair.insert", {"rows": {"id": 9, "data": {"x": value}}}, "rows.data.x", said)
        for value, said in [
            (True, "a dict of strings"),
            (1, "a dict of strings"),
            (["a"], "a dict of strings"),
            ("a\0", NUL),
        ]
    ),
    Refusal("pair.insert", {"rows": {"id": 9, "data": {"x\0": "a"}}}, "rows.data.x\0", NUL),
    Refusal("pair.select", {"where": {"data": {"overlaps": {}}}}, "where.data.overlaps", "needs a"),
    Refusal("pair.select", {"where": {"data->a->b": 1}}, "where.data->a->b", "has no parts"),
]
WRITES = [
    Case("pair.insert", {"rows": {"id": 9, "data": {"q\"": "\\", "n": None}}},
         [{"id": 9, "data": {"q\"": "\\", "n": None}}]),
    Case("pair.update", {"values": {"data": {}}, "where": {"id": 1}}, [{"id": 1, "data": {}}]),
]  # fmt: skip


@pytest.mark.parametrize("case", [*CASES, *REFUSED, *WRITES], ids=named)
def test_hstore(desk: Desk, case: Case | Refusal) -> None:
    desk.check(case, undo=case in WRITES)
