"""Hostile strings are refused or bound as values; hostile names work."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from pgwamp.errors import InvalidArgument
from pgwamp.query.reads import Reads
from pgwamp.query.request import bind
from pgwamp.query.scope import Scope
from pgwamp.query.writes import Writes
from tests.query.conftest import Bench

HOSTILE = [
    "'; drop table victim; --", '"; drop table victim; --', 'id" = 1 or 1=1 --', "1) or (1=1",
    "$1", "$$", ":p0", "%s", "%(p0)s", "\\'", "E'\\''", "/*", "--", "id; select 1", "id,name",
    "count(*)", "id::text", "public.victim", "*", "", " ", "\n", "ID", "пример", "id.desc; --",
]  # fmt: skip
hostile = st.sampled_from(HOSTILE) | st.text(st.characters(exclude_categories=["Cs"]), max_size=10)
NAMES = [
    "select", "order", "rows", "limit", "offset", "p0", "v", "w", "u", "q", "value", "and", "or",
    "not", "Mixed Case", 'quo"te', "it's", "100%", "%s", "a:b", ":p0", "$1", "?",
    "back\\slash", "ünï", "dotted.desc", "new\nline", "count", "user", "[0]", "%(x)s", "%(p0)s",
]  # fmt: skip


@pytest.fixture(scope="module")
def victim(bench: Bench) -> Iterator[Scope]:
    bench.execute(
        "create table victim (id int primary key, name text); "
        "insert into victim values (1, 'one'), (2, 'two')"
    )
    yield bench.scopes()["victim"]
    assert bench.fetch("select count(*) as n from victim")[0]["n"] == 2


POSITIONS: list[Any] = [
    lambda reads, writes, text: reads.select({"where": {text: 1}}),
    lambda reads, writes, text: reads.select({"where": {"id": {text: 1}}}),
    lambda reads, writes, text: reads.select({"where": {"id": text}}),
    lambda reads, writes, text: reads.select({"where": text}),
    lambda reads, writes, text: reads.select({"where": {"id": {"is": text}}}),
    lambda reads, writes, text: reads.select({"columns": [text]}),
    lambda reads, writes, text: reads.select({"order": [text]}),
    lambda reads, writes, text: reads.select({"order": [f"id.{text}"]}),
    lambda reads, writes, text: reads.select({"limit": text}),
    lambda reads, writes, text: reads.select({"offset": text or "x"}),
    lambda reads, writes, text: reads.get({"key": text}),
    lambda reads, writes, text: reads.get({"key": {text: 1}}),
    lambda reads, writes, text: writes.insert({"rows": {text: 1}}),
    lambda reads, writes, text: writes.insert({"rows": text}),
    lambda reads, writes, text: writes.insert({"rows": {"id": 3}, "returning": [text]}),
    lambda reads, writes, text: writes.update({"values": {text: 1}, "where": "all"}),
    lambda reads, writes, text: writes.update({"values": {"id": 1}, "where": {text: 1}}),
    lambda reads, writes, text: writes.upsert({"rows": {"id": 1}, "conflict": [text]}),
    lambda reads, writes, text: writes.upsert({"rows": {"id": 1}, "update": [text]}),
    lambda reads, writes, text: writes.upsert({"rows": {"id": 1}, "resolution": text}),
    lambda reads, writes, text: writes.delete({"where": {text: 1}}),
    lambda reads, writes, text: bind(("where",), (), {text: 1}),
]
MEANT = {"id", "id::text", "*", "name", "and", "or", "not", "where", "null", "unknown", "asc",
         "desc", "merge", "ignore", "nullsfirst", "nullslast"}  # fmt: skip


@settings(max_examples=200, deadline=None)
@given(text=hostile, position=st.integers(0, len(POSITIONS) - 1))
def test_a_hostile_string_where_a_name_belongs_is_an_invalid_argument(
    victim: Scope, text: str, position: int
) -> None:
    assume(text not in MEANT and not text.lstrip("+-").isdigit())
    with pytest.raises(InvalidArgument):
        POSITIONS[position](Reads(victim, max_rows=10), Writes(victim), text)


@settings(max_examples=80, deadline=None)
@given(text=hostile)
def test_a_hostile_string_as_a_value_is_only_a_value(
    bench: Bench, victim: Scope, text: str
) -> None:
    reads, writes = Reads(victim, max_rows=10), Writes(victim)
    if "\x00" in text:
        with pytest.raises(InvalidArgument, match="NUL"):
            reads.select({"where": {"name": text}})
        return
    for where in ({"name": text}, {"name": [text]}, {"name": {"between": [text, text]}}):
        assert bench.rows(reads.select({"where": where})) == []
    bench.execute("begin")
    try:
        row = {"id": 3, "name": text}
        assert bench.rows(writes.insert({"rows": row})) == [row]
        assert bench.rows(reads.select({"where": {"name": text}})) == [row]
        assert bench.rows(writes.update({"values": {"name": text}, "where": {"id": 1}})) == [
            {"id": 1, "name": text}
        ]
    finally:
        bench.execute("rollback")


@pytest.mark.parametrize("name", NAMES)
def test_a_table_and_column_of_any_name_work(bench: Bench, name: str) -> None:
    quoted = '"' + name.replace('"', '""') + '"'
    bench.execute(
        f"create table {quoted} (id int primary key, {quoted} text); "
        f"create function more({quoted}) returns int language sql as 'select $1.id + 10'"
    )
    try:
        relation = bench.scopes()[name]
        reads, writes = Reads(relation, max_rows=10), Writes(relation)
        one, two = {"id": 1, name: "a"}, {"id": 2, name: "b"}
        assert bench.rows(writes.insert({"rows": [one, two]})) == [one, two]
        where = {name: "b"}
        assert bench.rows(reads.select({"where": where, "columns": [name]})) == [{name: "b"}]
        assert bench.rows(reads.select({"order": [f"{name}.desc"], "limit": 1})) == [two]
        assert bench.rows(reads.select({"where": {"more": 12}, "columns": ["more"]})) == [
            {"more": 12}
        ]
        changed = {"id": 2, name: "c"}
        given = {"values": {name: "b"}, "where": {"more": 12}, "returning": ["more", name]}
        assert bench.rows(writes.update(given)) == [{"more": 12, name: "b"}]
        assert bench.rows(writes.update({"values": {name: "c"}, "where": where})) == [changed]
        assert bench.rows(writes.upsert({"rows": two, "update": [name]})) == [two]
        assert bench.rows(writes.delete({"where": where, "returning": [name]})) == [{name: "b"}]
    finally:
        bench.execute(f"drop table {quoted} cascade")
