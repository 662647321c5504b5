"""SQL functions through the router."""

from __future__ import annotations

from typing import Any

import pytest

from tests.procedures.conftest import Start

INVALID = "wamp.error.invalid_argument"


async def test_each_kind_of_result_arrives_in_its_shape(api: Start) -> None:
    call = await api(
        "create type pair as (a int, b numeric)",
        "create table item (id int primary key, name text)",
        "insert into item values (1, 'pen'), (2, 'ink')",
        "create function scalar(a int, b int) returns numeric language sql as "
        "$$ select a / b::numeric(5,2) $$",
        "create function nothing() returns void language plpgsql as $$ begin end $$",
        "create function numbers(n int) returns setof int language sql as "
        "$$ select generate_series(1, n) $$",
        "create function items() returns setof item language sql as "
        "$$ select * from item order by id $$",
        "create function totals() returns table (name text, total numeric) language sql as "
        "$$ select 'a', 1.50 $$",
        "create function one() returns pair language sql as $$ select row(1, 2.5)::pair $$",
        "create function outs(x int, out double int, out half numeric) language sql as "
        "$$ select x * 2, x / 2.0 $$",
        "create function single(x int, out y int) language sql as $$ select x + 1 $$",
        "create function no_item() returns item language sql as "
        "$$ select * from item where false $$",
    )
    assert (await call("scalar", 1, 4)).startswith("0.25")
    assert await call("nothing") is None
    assert await call("numbers", 3) == [1, 2, 3]
    assert await call("items") == [{"id": 1, "name": "pen"}, {"id": 2, "name": "ink"}]
    assert await call("totals") == [{"name": "a", "total": "1.50"}]
    assert await call("one") == {"a": 1, "b": "2.5"}
    assert (await call("outs", 4))["double"] == 8
    assert await call("single", x=1) == {"y": 2}
    assert await call("scalar", None, 4) is None


async def test_arguments_go_by_position_by_name_and_by_default(api: Start) -> None:
    call = await api(
        "create function greet(name text, greeting text default 'hi', mark text default '!') "
        "returns text language sql immutable as $$ select greeting || ' ' || name || mark $$",
    )
    assert await call("greet", "a") == "hi a!"
    assert await call("greet", "a", mark="?") == "hi a?"
    assert await call("greet", "a", "yo", "") == "yo a"
    assert await call("greet", name="a", greeting="yo") == "yo a!"
    assert await call("greet", {"name": "a", "mark": "."}) == "hi a."
    assert (await call.fails(INVALID, "greet")).details["argument"] == "name"
    assert (await call.fails(INVALID, "greet", 5)).details["argument"] == "name"
    assert (await call.fails(INVALID, "greet", "a", nme="b")).details["argument"] == "nme"
    await call.fails(INVALID, "greet", "a", "b", "c", "d")
    await call.fails(INVALID, "greet", "a", name="b")


async def test_an_overload_is_picked_by_its_arguments(api: Start) -> None:
    call = await api(
        "create function f(a int) returns text language sql as $$ select 'int' $$",
        "create function f(b text) returns text language sql as $$ select 'text' $$",
        "create function f(a int, b int) returns text language sql as $$ select 'two' $$",
    )
    assert await call("f", 1) == "int"
    assert await call("f", "x") == "text"
    assert await call("f", 1, 2) == "two"
    assert await call("f", b="1") == "text"
    error = await call.fails(INVALID, "f", c=1)
    assert "f(a integer, b integer)" in error.message


async def test_variadic_and_structured_arguments_work(api: Start) -> None:
    call = await api(
        "create type point3 as (x int, label text)",
        "create function total(variadic n int[]) returns bigint language sql as "
        "$$ select sum(v) from unnest(n) as v $$",
        "create function keys(doc jsonb) returns text[] language sql as "
        "$$ select array(select jsonb_object_keys(doc)) $$",
        "create function label_of(p point3) returns text language sql as $$ select p.label $$",
        "create function labels(p point3[]) returns text[] language sql as "
        "$$ select array(select label from unnest(p)) $$",
        "create function padded(c char(5)) returns text language sql as $$ select c::text $$",
    )
    assert await call("total", [1, 2, 3]) == 6
    assert await call("keys", {"a": 1}) == ["a"]
    assert await call("keys", doc={"doc": {}}) == ["doc"]
    assert await call("label_of", {"x": 1, "label": 'q"\\,()'}) == 'q"\\,()'
    assert await call("labels", [{"label": "a"}, {"x": 2, "label": None}]) == ["a", None]
    assert await call("padded", "abc") == "abc"
    error = await call.fails(INVALID, "label_of", {"y": 1})
    assert error.details["argument"] == "p.y"


async def test_a_stable_function_cannot_write(api: Start) -> None:
    call = await api(
        "create table item (id int)",
        "create function sly() returns void language plpgsql stable as "
        "$$ begin perform really(); end $$",
        "create function really() returns void language sql volatile as "
        "$$ insert into item values (1) $$",
    )
    error = await call.fails("pgwamp.error.read_only_sql_transaction", "sly")
    assert error.details["sqlstate"] == "25006"
    assert await call("really") is None
    assert await call("item.count") == 1


async def test_errors_keep_their_condition_and_facts(api: Start) -> None:
    call = await api(
        "create function divide(a int, b int) returns int language sql as $$ select a / b $$",
        "create function at(t timestamptz) returns text language sql as $$ select t::text $$",
        "create function refuse() returns void language plpgsql as "
        "$$ begin raise 'no luck' using hint = 'try', detail = 'why', errcode = 'P0001'; end $$",
        "create function deep() returns setof int language sql as "
        "$$ select generate_series(1, 50) $$",
        limits={"max_rows": 10},
    )
    error = await call.fails("pgwamp.error.division_by_zero", "divide", 1, 0)
    assert error.details["sqlstate"] == "22012"
    assert (await call.fails(INVALID, "at", "noon?")).details["argument"] == "t"
    assert (await call.fails(INVALID, "at", t="noon?")).details["argument"] == "t"
    error = await call.fails("pgwamp.error.raise_exception", "refuse")
    assert error.message == "no luck"
    assert (error.details["hint"], error.details["detail"]) == ("try", "why")
    assert "limits.max_rows" in (await call.fails("pgwamp.error.too_many_rows", "deep")).message


@pytest.mark.parametrize(
    ("args", "kwargs", "argument"),
    [
        (["soon", ["2024-01-01"]], {}, "day"),
        ([], {"day": "soon", "days": []}, "day"),
        ([{"day": "soon", "days": []}], {}, "day"),
        ([{"day": "2024-01-01", "days": ["2024-01-01", "soon"]}], {}, "days[1]"),
        (["2024-01-01", "2024-01-01", "soon"], {}, "days[1]"),
        (["2024-01-01", ["2024-01-01", "soon"]], {}, "days[1]"),
    ],
)
async def test_a_wrong_text_is_named_by_its_argument_however_it_was_given(
    api: Start, args: list[Any], kwargs: dict[str, Any], argument: str
) -> None:
    call = await api(
        "create function f(day date, variadic days date[]) returns int language plpgsql as "
        "'begin return 1; end'"
    )
    error = await call.fails("wamp.error.invalid_argument", "f", *args, **kwargs)
    assert error.details["argument"] == argument


@pytest.mark.parametrize("word", ["select", "Mixed Case", 'quo"te'])
async def test_an_argument_of_any_name_works(api: Start, word: str) -> None:
    quoted = '"' + word.replace('"', '""') + '"'
    call = await api(f"create function f({quoted} int) returns int language sql as $$ select $1 $$")
    assert await call("f", {word: 3}) == 3


THINGS = (
    "create table thing (id int primary key)",
    "create table part (no int primary key, thing_id int references thing)",
    "create function shown(thing) returns text language sql stable as $$ select 'a' $$",
)


@pytest.mark.parametrize(
    ("request_", "argument"),
    [
        ({"include": {"part": {}}}, "include.part"),
        ({"where": {"part": {}}}, "where.part"),
        ({"where": {"shown": "a"}}, "where.shown"),
        ({"columns": ["shown"]}, "columns[0]"),
        ({"order": ["shown"]}, "order[0]"),
    ],
)
async def test_the_rows_of_a_function_have_nothing_of_a_table_of_its_name(
    api: Start, request_: dict[str, Any], argument: str
) -> None:
    call = await api(
        *THINGS,
        "create function thing(q text) returns table (label text) language sql stable as "
        "$$ select q $$",
    )
    assert await call("thing", "a") == [{"label": "a"}]
    error = await call.fails(INVALID, "thing", "a", **request_)
    assert error.details["argument"] == argument
    # The table itself has them.
    assert await call("thing.select", **request_) == []
