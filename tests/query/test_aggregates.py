"""Aggregates are those that PostgreSQL finds for a type, of every type that it has."""

from __future__ import annotations

import uuid
from typing import Any

import asyncpg
import pytest

from pgwamp.errors import InvalidArgument
from pgwamp.query.reads import Reads
from tests.query.conftest import Bench

NAMES = ("sum", "avg", "min", "max", "bool_and", "bool_or")
SCHEMA = """
create type mood as enum ('sad', 'ok');
create type home as (zip int, street text);
create type word_range as range (subtype = text, collation = "C");
create type odd as (at point, n int);
create domain price as numeric;
create domain net as cidr;
create domain feeling as mood;
create domain somewhere as home;
create domain numbers as int[]
"""
#: Types that a column can have, but for those of the rows of the catalog.
TYPES = """
select format_type(oid, -1) as name, format_type(coalesce(nullif(typbasetype, 0), oid), -1) as base
from pg_type
where (typtype <> 'p' or typname in ('_record', 'cstring'))
    and (typtype <> 'c' or typrelid = 'home'::regclass)
    and (typcategory <> 'A' or typelem not in (
        select reltype from pg_class where relnamespace = 'pg_catalog'::regnamespace
    ))
    and typnamespace in ('pg_catalog'::regnamespace, 'public'::regnamespace)
order by oid
"""
_RECORD = 2249


def _columns(bench: Bench) -> list[tuple[str, str]]:
    """A table with a column of each type; the types, and those below them."""
    types = []
    for name, base in bench.fetch(TYPES):
        try:
            bench.execute(f"create table probe (c {name}); drop table probe")
            types.append((name, base))
        except asyncpg.InvalidTableDefinitionError:
            pass  # a pseudo-type
    columns = ", ".join(f"c{index} {name}" for index, (name, _) in enumerate(types))
    bench.execute(f"create table every ({columns})")
    return types


@pytest.fixture(scope="module")
def types(bench: Bench) -> list[tuple[str, str]]:
    bench.execute(SCHEMA)
    return _columns(bench)


def test_every_type_has_the_aggregates_that_postgresql_finds(
    bench: Bench, types: list[tuple[str, str]]
) -> None:
    assert len(types) > 150
    scope = bench.scopes()["every"]
    reads = Reads(scope, max_rows=10)
    found = 0
    for index, (of, base) in enumerate(types):
        if not scope.columns[f"c{index}"].type.ordered:
            continue  # asked about in a test of their own
        for name in NAMES:
            column, called = f"c{index}", f"{name} of {of}"
            try:
                ((result,),) = bench.fetch(
                    f"select pg_typeof({name}({column}::{base}))::oid::bigint from every"
                )
            except (asyncpg.UndefinedFunctionError, asyncpg.AmbiguousFunctionError):
                with pytest.raises(InvalidArgument, match=rf"columns\[0\]: there is no {name} of"):
                    reads.select({"columns": [f"{column}.{name}()"]})
                continue
            ours = scope.aggregate(name, scope.columns[column].type)
            assert ours is not None, called
            if result == _RECORD:
                assert ours.result.form == "composite", called
            else:
                assert (ours.result.base or ours.result.oid) == result, called
            assert bench.rows(reads.select({"columns": [f"{column}.{name}()"]})) == [{name: None}]
            found += 1
    assert found > 200


@pytest.mark.usefixtures("types")
@pytest.mark.parametrize(
    ("literals", "least", "greatest"),
    [
        (("cidr '10.0.0.0/8'", "cidr '9.0.0.0/8'"), "9.0.0.0/8", "10.0.0.0/8"),
        (("inet '10.0.0.1'", "inet '::1'"), "10.0.0.1", "::1"),
        (("'10.0.0.0/8'::net", "'9.0.0.0/8'::net"), "9.0.0.0/8", "10.0.0.0/8"),
        (("bytea '\\x02'", "bytea '\\x01ff'"), b"\x01\xff", b"\x02"),
        (("\"char\" 'b'", "\"char\" 'a'"), "a", "b"),
        (("'ok'::feeling", "'sad'::feeling"), "sad", "ok"),
        (("array[2]", "array[1, 5]"), [1, 5], [2]),
        (
            ("row(2, 'a')::home", "row(1, 'b,\"')::home"),
            {"zip": 1, "street": 'b,"'},
            {"zip": 2, "street": "a"},
        ),
        (
            ("row(2, 'a')::somewhere", "row(10, null)::somewhere"),
            {"zip": 2, "street": "a"},
            {"zip": 10, "street": None},
        ),
    ],
)
def test_the_least_and_the_greatest_value_are_read_as_values_of_the_column(
    bench: Bench, literals: tuple[str, str], least: Any, greatest: Any
) -> None:
    bench.execute(f"create table two as select {literals[0]} as v union all select {literals[1]}")
    try:
        scope = bench.scopes()["two"]
        is_missing = scope.aggregate("min", scope.columns["v"].type) is None
        if is_missing and bench.connection.get_server_version().major < 18:
            pytest.skip("this server has no min of the type")
        reads = Reads(scope, max_rows=10)
        assert bench.rows(reads.select({"columns": ["v.min()", "v.max()"]})) == [
            {"min": least, "max": greatest}
        ]
    finally:
        bench.execute("drop table two")


def test_an_extension_has_aggregates_of_its_own(bench: Bench) -> None:
    try:
        bench.execute("create schema ext; create extension vector schema ext")
    except asyncpg.FeatureNotSupportedError:
        pytest.skip("this server has no vector")
    bench.execute(
        "create table place (v ext.vector(2)); insert into place values ('[1,2]'), ('[3,4]')"
    )
    reads = Reads(bench.scopes()["place"], max_rows=10)
    rows = bench.rows(reads.select({"columns": ["v.avg()", "v.sum()"]}))
    assert rows == [{"avg": "[2,3]", "sum": "[4,6]"}]


def _like_int(name: str) -> str:
    """A base type of its own, which is read and written as an integer."""
    return f"""
create type {name};
create function {name}_in(cstring) returns {name} language internal immutable strict as 'int4in';
create function {name}_out({name}) returns cstring language internal immutable strict as 'int4out';
create type {name} (input = {name}_in, output = {name}_out, like = int4);
"""


def test_an_aggregate_of_a_stranger_is_not_taken_for_one_of_another_type(bench: Bench) -> None:
    stranger = f"stranger_{uuid.uuid4().hex[:8]}"
    bench.execute(
        f"{_like_int('mile')} {_like_int('yard')} "
        "create cast (yard as mile) without function as implicit; "
        "create function mile_add(mile, mile) returns mile language internal immutable strict "
        "as 'int4pl'; "
        "create aggregate sum(mile) (sfunc = mile_add, stype = mile); "
        "create table road (a mile, b yard); insert into road values ('1', '10'), ('2', '20'); "
        f"create role {stranger}; grant create on schema public to {stranger}; "
        f"set role {stranger}; "
        "create function trap(yard, yard) returns yard language plpgsql as "
        "$$ begin raise exception 'caught'; end $$; "
        "create aggregate public.sum(yard) (sfunc = trap, stype = yard); reset role"
    )
    try:
        reads = Reads(bench.scopes()["road"], max_rows=10)
        assert bench.rows(reads.select({"columns": ["a.sum()"]})) == [{"sum": "3"}]
        with pytest.raises(InvalidArgument, match="columns"):
            reads.select({"columns": ["b.sum()"]})
    finally:
        bench.execute(
            f"drop owned by {stranger} cascade; drop role {stranger}; drop table road; "
            "drop type mile, yard cascade"
        )


@pytest.mark.usefixtures("types")
@pytest.mark.parametrize("of", ["odd", "odd[]", "json[]", "xml", "point[]"])
def test_what_is_made_of_values_without_an_order_has_none(bench: Bench, of: str) -> None:
    bench.execute(f"create table loose (id int primary key, v {of})")
    try:
        reads = Reads(bench.scopes()["loose"], max_rows=10)
        for name in ("min", "max"):
            with pytest.raises(InvalidArgument, match=rf"columns\[0\]: there is no {name} of type"):
                reads.select({"columns": [f"v.{name}()"]})
        with pytest.raises(InvalidArgument, match=r"order\[1\]: values of type .* have no order"):
            reads.select({"order": ["id", "v"]})
    finally:
        bench.execute("drop table loose")


@pytest.mark.usefixtures("types")
def test_exactly_what_postgresql_sorts_has_an_order(bench: Bench) -> None:
    reads = Reads(bench.scopes()["every"], max_rows=10)
    for column in bench.scopes()["every"].relation.columns:
        asked = {"columns": [column.name], "order": [column.name]}
        try:
            bench.fetch(f"select {column.name} from every order by 1")
        except asyncpg.UndefinedFunctionError:
            with pytest.raises(InvalidArgument, match="have no order"):
                reads.select(asked)
        else:
            assert bench.rows(reads.select(asked)) == []
