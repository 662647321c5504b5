"""Paths into arrays of every number of dimensions, against SQL."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import asyncpg
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.servers import Addresses
from tests.spec.cases import Case, Refusal, named
from tests.spec.conftest import Desk, desk_with

SCHEMA = """
create type spot as (x int, marks int[]);
create domain pair as int[];
create table grid (id int primary key, n int[][], t text[], d jsonb[], s spot[], p pair[]);
insert into grid values
    (1, '{{1,2},{3,4}}', '{{a,b},{c,d}}', array['[[5, 6]]', '[7]']::jsonb[],
     array[row(1, '{{8,9}}')]::spot[], array['{10,11}'::pair]),
    (2, '{{5,6},{7,0}}', '{a,b}', null, null, null),
    (3, '{{{1,2},{3,4}},{{5,6},{7,8}}}', '{}', null, null, null),
    (4, null, null, null, null, null),
    (5, '[0:1][2:3]={{1,2},{3,4}}', '[0:1]={x,y}', null, null, null);
"""


@pytest.fixture(scope="module")
def desk(addresses: Addresses) -> Iterator[Desk]:
    with desk_with(addresses, SCHEMA) as opened:
        yield opened


@pytest.fixture(scope="module")
def connection(desk: Desk) -> Iterator[asyncpg.Connection[Any]]:
    opened = desk.run(asyncpg.connect(desk.url))
    yield opened
    desk.run(opened.close())


def first(path: str, value: Any) -> Case:
    return Case("grid.get", {"key": 1, "columns": [f"v:{path}"]}, {"v": value})


CASES = [
    first("n->1->0", 3), first("n->0->>1", "2"), first("t->1->1", "d"), first("n->0->1::text", "2"),
    first("n->9->0", None), first("n->0->1->0", None),
    # An element that has parts is gone into.
    first("d->0->0->1", 6), first("d->1->0", 7), first("p->0->1", 11),
    first("s->0->marks->0->1", 9),
    Case("grid.select", {"columns": ["id"], "where": {"n->1->0": {"gt": 3}}}, [{"id": 2}]),
    Case("grid.select", {"columns": ["id"], "where": {"id": {"lt": 3}}, "order": ["n->1->1"]},
         [{"id": 2}, {"id": 1}]),
    Case("grid.select", {"columns": ["n->0->0", "count()"], "where": {"id": [1, 2]},
                         "order": ["n->0->0.desc"]}, [{"n": 5, "count": 1}, {"n": 1, "count": 1}]),
]  # fmt: skip
REFUSED = [
    Refusal("grid.select", {"columns": ["n->0->-1"]}, "columns[0]", "elements 0, 1, 2"),
    Refusal("grid.select", {"columns": ["n->0->x"]}, "columns[0]", "has no parts"),
    Refusal("grid.select", {"columns": ["n" + "->0" * 7]}, "columns[0]", "at most 6 dimensions"),
    Refusal("grid.select", {"columns": ["n->>0->0"]}, "columns[0]", "ends a path"),
]  # fmt: skip


@pytest.mark.parametrize("case", [*CASES, *REFUSED], ids=named)
def test_a_path_into_an_array(desk: Desk, case: Case | Refusal) -> None:
    desk.check(case)


@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_positions_are_the_indexes_of_sql_less_one(
    desk: Desk, connection: asyncpg.Connection[Any], data: st.DataObject
) -> None:
    column = data.draw(st.sampled_from(["n", "t"]))
    positions = data.draw(st.lists(st.integers(0, 2), min_size=1, max_size=4))
    path = "->".join([column, *map(str, positions)])
    sql = column + "".join(f"[{position + 1}]" for position in positions)
    rows = desk.run(connection.fetch(f"select id, {sql} as v from grid order by {sql}, id"))
    kwargs = {"columns": ["id", f"v:{path}"], "order": [path, "id"]}
    assert desk.call("grid.select", **kwargs) == [dict(row) for row in rows]
