"""Indexes serve what they serve when the same is written in plain SQL."""

from __future__ import annotations

import json
from typing import Any

import pytest

from pgwamp.query.reads import Page, Reads
from pgwamp.query.statement import Bound
from pgwamp.query.writes import Writes
from tests.query.conftest import Bench

SCHEMA = """
create table part (
    id int primary key, name text not null, made date not null, doc jsonb, span int4range,
    tags text[], words tsvector
);
insert into part select n, 'part ' || n, date '2020-01-01' + n % 1000,
    jsonb_build_object('n', n), int4range(n, n + 2), array['t' || n], to_tsvector('word' || n)
    from generate_series(1, 5000) as n;
create index by_name on part (name text_pattern_ops);
create index by_made on part (made, id);
create index by_doc on part using gin (doc);
create index by_span on part using gist (span);
create index by_tags on part using gin (tags);
create index by_words on part using gin (words);
create table lot (id int primary key, part int references part);
insert into lot select n, n from generate_series(1, 5000) as n;
create index by_part on lot (part);
analyze
"""


@pytest.fixture(scope="module")
def stock(bench: Bench) -> tuple[Reads, Writes]:
    bench.execute(SCHEMA)
    scope = bench.scopes()["part"]
    return Reads(scope, max_rows=100), Writes(scope)


def plan(bench: Bench, asked: Bound | Page) -> list[dict[str, Any]]:
    """The nodes of the plan that the server makes."""
    bound = asked.bound if isinstance(asked, Page) else asked
    bench.execute("set enable_seqscan = off")
    record = bench.fetch(f"explain (format json) {bound.statement.sql}", *bound.parameters)[0]
    bench.execute("reset enable_seqscan")
    found: list[dict[str, Any]] = []
    waiting = [json.loads(record[0])[0]["Plan"]]
    while waiting:
        node = waiting.pop()
        found.append(node)
        waiting += node.get("Plans", [])
    return found


def conditions(nodes: list[dict[str, Any]]) -> dict[str, str]:
    """The index of each scan, and the condition it is asked by."""
    return {
        node["Index Name"]: node["Index Cond"]
        for node in nodes
        if "Index Name" in node and "Index Cond" in node
    }


@pytest.mark.parametrize(
    ("where", "index", "part"),
    [
        ({"id": 5}, "part_pkey", "id = "),
        ({"id": [5, 6]}, "part_pkey", "id = ANY"),
        ({"id": {"between": [5, 6]}}, "part_pkey", "id <= "),
        ({"id": {"gt": 5, "lt": 8}}, "part_pkey", "id > "),
        ({"made": "2020-02-01"}, "by_made", "made = "),
        ({"name": {"like": "part 12%"}}, "by_name", "~>=~"),
        ({"doc": {"contains": {"n": 5}}}, "by_doc", "doc @> "),
        ({"doc": {"has_key": "n"}}, "by_doc", "doc ? "),
        ({"span": {"overlaps": "[3,5)"}}, "by_span", "span && "),
        ({"span": {"contains": 5}}, "by_span", "span @> "),
        ({"tags": {"contains": ["t5"]}}, "by_tags", "tags @> "),
        ({"words": {"plfts": "word5"}}, "by_words", "words @@ "),
    ],
)
def test_an_index_serves_a_condition(
    bench: Bench, stock: tuple[Reads, Writes], where: dict[str, Any], index: str, part: str
) -> None:
    assert part in conditions(plan(bench, stock[0].select({"where": where})))[index]


@pytest.mark.parametrize("order", [["made"], ["made.desc"]])
def test_an_index_serves_the_next_page(
    bench: Bench, stock: tuple[Reads, Writes], order: list[str]
) -> None:
    reads, _ = stock
    first = reads.select({"order": order, "limit": 3, "after": None})
    cursor = first.next(bench.fetch(first.bound.statement.sql, *first.bound.parameters))
    nodes = plan(bench, reads.select({"order": order, "limit": 3, "after": cursor}))
    assert "ROW(made, id)" in conditions(nodes)["by_made"]
    assert "Sort" not in {node["Node Type"] for node in nodes}


def test_an_index_serves_keys_joins_and_writes(bench: Bench, stock: tuple[Reads, Writes]) -> None:
    reads, writes = stock
    assert conditions(plan(bench, reads.get({"key": 5})))["part_pkey"]
    related = reads.select({"where": {"id": 5}, "include": {"lot": {}}})
    assert conditions(plan(bench, related)).keys() >= {"by_part", "part_pkey"}
    changed = writes.update({"values": {"name": "x"}, "where": {"id": 5}})
    assert conditions(plan(bench, changed))["part_pkey"]
    assert conditions(plan(bench, writes.delete({"where": {"id": [1, 2]}})))["part_pkey"]
    many = writes.update({"rows": [{"id": 1, "name": "a"}, {"id": 2, "name": "b"}]})
    assert conditions(plan(bench, many))["part_pkey"]
