"""Requests that were answered wrongly, or refused without a reason."""

from __future__ import annotations

from typing import Any

import pytest

from tests.conftest import Database
from tests.procedures.conftest import Start

INVALID = "wamp.error.invalid_argument"
EMPTY = (
    "create table made (id int generated always as identity, n int generated always as (1) stored)",
    "create table item (id int generated always as identity primary key, name text default 'x')",
    "create view shown as select id, name, name || '!' as loud from item",
    "insert into item (name) values ('a'), ('b')",
)


@pytest.mark.parametrize(
    ("name", "kwargs"),
    [
        ("made.insert", {"rows": []}),
        ("item.insert", {"rows": []}),
        ("item.upsert", {"rows": []}),
        ("item.update", {"rows": []}),
        ("item.update", {"rows": [{"id": 1}]}),
        ("item.update", {"values": {}, "where": "all"}),
        ("shown.insert", {"rows": []}),
        ("shown.upsert", {"rows": [], "missing": "default"}),
    ],
)
async def test_a_write_of_nothing_writes_nothing(
    api: Start, name: str, kwargs: dict[str, Any]
) -> None:
    call = await api(*EMPTY)
    assert await call(name, **kwargs) == []
    assert await call(name, **kwargs, returning=False) == 0
    assert await call("made.count") == 0
    assert [row["name"] for row in await call("item.select")] == ["a", "b"]
    await call.fails(INVALID, name, **kwargs, returning=["nmae"])


async def test_rows_of_defaults_are_inserted_together(api: Start) -> None:
    call = await api(*EMPTY)
    assert await call("item.insert", [{}, {}]) == [{"id": 3, "name": "x"}, {"id": 4, "name": "x"}]
    assert await call("made.insert", [{}] * 3, returning=False) == 3
    added = await call("item.insert", [{}, {"name": "n"}, {}], missing="default", order=["id"])
    assert sorted(row["name"] for row in added) == ["n", "x", "x"]


async def test_an_upsert_with_defaults_inserts_the_rows_without_a_key(api: Start) -> None:
    call = await api(
        "create table item (id serial primary key, name text)",
        "insert into item (name) values ('a')",
    )
    rows = [{"id": 1, "name": "new"}, {"name": "b"}]
    answer = await call("item.upsert", rows, missing="default", order=["id"])
    assert answer == [{"id": 1, "name": "new"}, {"id": 2, "name": "b"}]
    await call.fails(INVALID, "item.upsert", {"name": "c"})


async def test_a_cursor_is_good_for_its_relation_only(api: Start) -> None:
    call = await api(
        "create table one (id int primary key)",
        "create table two (id int primary key)",
        "insert into one values (1), (2)",
        "insert into two values (1), (2)",
    )
    _, page = await call.client.call_full(
        f"{call.prefix}.one.select", [], {"after": None, "limit": 1}
    )
    assert await call("one.select", after=page["next"]) == [{"id": 2}]
    error = await call.fails(INVALID, "two.select", after=page["next"])
    assert error.details["argument"] == "after"


RECORDS = (
    "create type pair as (a int, b numeric)",
    "create function one(n int) returns record language sql stable as $$ select n as id, "
    "'Windows 7'::text as name, 1.50::numeric as price, timestamptz '2026-11-27 23:02:13.5+00' as "
    "at, row(1, 2.50)::pair as pair, '[1.5]'::jsonb as doc, null::int as none $$",
    "create function several() returns setof record language sql as "
    "$$ select n, 'x' || n as word from generate_series(1, 3) as n $$",
    "create function nothing() returns record language sql as 'select null::record'",
    "create function single(x int, out y int) language sql as 'select x + 1'",
    "create function singles(out y numeric) returns setof numeric language sql as "
    "$$ values (1.50), (2) $$",
    "create function unnamed(out int, out text) language sql as $$ select 1, 'x' $$",
    "create function doubled(inout x int) language sql as 'select x'",
    "create function row_of(out p pair) language sql as 'select row(1, 2.5)::pair'",
    "create procedure sets(inout p pair) language plpgsql as $$ begin p.b := 2.50; end $$",
)


async def test_records_and_out_arguments_are_answered_by_name(api: Start) -> None:
    call = await api(*RECORDS)
    assert await call("one", 7) == {
        "id": 7, "name": "Windows 7", "price": "1.50", "at": "2026-11-27T23:02:13.5+00:00",
        "pair": {"a": 1, "b": "2.50"}, "doc": [1.5], "none": None,
    }  # fmt: skip
    assert await call("several") == [{"n": n, "word": f"x{n}"} for n in (1, 2, 3)]
    assert await call("several", limit=1, offset=1) == [{"n": 2, "word": "x2"}]
    parts: list[Any] = []
    await call.client.call(f"{call.prefix}.several", [], {}, parts.append)
    assert [row["n"] for part in parts for row in part] == [1, 2, 3]
    for name in ("where", "columns", "format"):
        await call.fails(INVALID, "several", **{name: {} if name == "where" else "csv"})
    assert await call("nothing") is None
    assert await call("single", 1) == {"y": 2}
    assert await call("singles", order=["y.desc"]) == [{"y": "2"}, {"y": "1.50"}]
    assert await call("unnamed") == {"column1": 1, "column2": "x"}
    assert await call("doubled", 3) == {"x": 3}
    assert await call("row_of") == {"a": 1, "b": "2.5"}
    assert await call("sets", {"a": 1}) == {"p": {"a": 1, "b": "2.50"}}


async def test_large_rows_come_as_progressive_results(api: Start) -> None:
    call = await api(
        "create table item (id int primary key, text text)",
        "insert into item select n, repeat('x', 40000) from generate_series(1, 6) as n",
        "insert into item select n, repeat('\"', 10000) from generate_series(7, 9) as n",
        limits={"max_bytes": 65_536},
    )
    for kwargs in ({}, {"format": "csv"}):
        parts: list[Any] = []
        await call.client.call(f"{call.prefix}.item.select", [], kwargs, parts.append)
        if kwargs:
            assert "".join(parts).count("\n") == 10
        else:
            assert [row["id"] for part in parts for row in part] == list(range(1, 10))


@pytest.mark.parametrize(
    ("sqlstate", "condition"),
    [
        ("01000", "warning"),
        ("02000", "no_data"),
        ("57P01", "admin_shutdown"),
        ("08006", "connection_failure"),
        ("08P01", "protocol_violation"),
        ("53300", "too_many_connections"),
    ],
)
async def test_an_error_of_a_function_is_its_own_whatever_its_sqlstate(
    api: Start, sqlstate: str, condition: str
) -> None:
    call = await api(
        "create table item (id int)",
        "create function fails() returns int language plpgsql as $$ begin "
        f"insert into item values (1); raise exception 'mine' using errcode = '{sqlstate}'; end $$",
        "create function reads() returns int language plpgsql stable as $$ begin "
        f"raise exception 'mine' using errcode = '{sqlstate}'; end $$",
        "create function warns() returns int language plpgsql stable as $$ begin "
        f"raise warning 'mine' using errcode = '{sqlstate}'; return 1; end $$",
    )
    for name in ("fails", "reads"):
        error = await call.fails(f"pgwamp.error.{condition}", name)
        assert (error.message, error.details["sqlstate"]) == ("mine", sqlstate)
    assert await call("warns") == 1
    assert await call("item.count") == 0


async def test_a_write_just_after_a_change_of_the_schema_is_done_once_more(
    api: Start, database: Database
) -> None:
    call = await api(
        "create table item (id int primary key, n int)",
        "create function adds(i int) returns item language sql as "
        "'insert into item values (i, 1) returning item'",
    )
    for key in (1, 2):
        await call("item.insert", {"id": key, "n": 1})
    database.execute("alter table item alter n type bigint")
    assert await call("item.insert", {"id": 3, "n": 1}) == [{"id": 3, "n": 1}]
    await call("batch", [{"procedure": "item.insert", "args": [{"id": 4, "n": 1}]}])
    database.execute("alter table item alter n type int")
    steps = [{"procedure": "item.insert", "args": [{"id": 5, "n": 1}]}]
    assert await call("batch", steps) == [[{"id": 5, "n": 1}]]


async def test_rows_are_ordered_by_the_path_that_they_are_grouped_by(api: Start) -> None:
    call = await api(
        "create table item (id int primary key, data jsonb)",
        """insert into item values (1, '{"k": {"z": "b"}}'), (2, '{"k": {"z": "a"}}'),
        (3, '{"k": {"z": "b"}}')""",
    )
    columns = ["data->k->>z", "count()"]
    found = await call("item.select", columns=columns, order=["data->k->>z.desc"])
    assert found == [{"z": "b", "count": 2}, {"z": "a", "count": 1}]
    error = await call.fails(INVALID, "item.select", columns=columns, order=["data->k->>y"])
    assert error.details["argument"] == "order[0]"


async def test_a_star_stands_for_the_columns_of_the_relation(api: Start) -> None:
    call = await api(
        "create table item (id int primary key, name text)",
        "create table part (id int primary key, item int references item)",
        "create function loud(item) returns text language sql stable as "
        "$$ select $1.name || '!' $$",
        "insert into item values (1, 'a')",
        "insert into part values (1, 1)",
        'create table odd ("*" int primary key, n int)',
        "insert into odd values (1, 2)",
    )
    whole = {"id": 1, "name": "a"}
    assert await call("item.select", columns=["*"]) == [whole]
    assert await call("item.select", columns=["*", "loud"]) == [{**whole, "loud": "a!"}]
    assert await call("item.select", columns=["name", "*"]) == [{"name": "a", "id": 1}]
    assert await call("part.get", 1, columns=[], include={"item": {"columns": "*"}}) == {
        "item": whole
    }
    assert await call("item.update", {"name": "b"}, "all", returning=["*", "loud"]) == [
        {"id": 1, "name": "b", "loud": "b!"}
    ]
    assert await call("odd.select", columns=["*"]) == [{"*": 1}]


async def test_a_byte_order_mark_is_no_part_of_a_csv_header(api: Start) -> None:
    call = await api("create table item (id int primary key, name text)")
    assert await call("item.insert", csv="\ufeffid,name\n1,a\n") == 1
    assert await call("item.upsert", csv="\ufeffid,name\n1,\ufeffb\n") == 1
    assert await call("item.select") == [{"id": 1, "name": "\ufeffb"}]


async def test_what_takes_no_arguments_says_so(api: Start) -> None:
    call = await api("create table item (id int primary key)")
    error = await call.fails(INVALID, "batch", [], "read committed", 1)
    assert "at most 2 allowed: steps, isolation" in error.message
    error = await call.fails(INVALID, "describe", *range(9))
    assert "allowed: " not in error.message or not error.message.endswith("allowed: ")
