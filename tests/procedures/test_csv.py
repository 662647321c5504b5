"""CSV in and out, through COPY."""

from __future__ import annotations

import asyncio
import csv
import io
from typing import Any

import pytest

from pgwamp.procedures.copying import write_lines
from pgwamp.query.shape import PART_BYTES, PART_VALUES
from tests.procedures.conftest import Api, Start

INVALID = "wamp.error.invalid_argument"
ITEM = (
    "create table item (id int primary key, name text, price numeric(10,2), at timestamptz, "
    "raw bytea, tags text[], twice numeric generated always as (price * 2) stored)",
    "insert into item values (1, 'pen, \"blue\"', 1.5, '2024-01-01 10:00+02', '\\x00ff', '{a,b}'), "
    "(2, 'žluť 🎵', null, null, null, null), (3, '', 3, null, null, '{}')",
)


def read(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text)))


async def pieces(api: Api, name: str, *args: Any, **kwargs: Any) -> list[Any]:
    found: list[Any] = []
    assert await api.client.call(f"{api.prefix}.{name}", args, kwargs, found.append) is None
    return found


async def test_select_answers_csv_as_copy_writes_it(api: Start) -> None:
    call = await api(*ITEM)
    text = await call("item.select", {"id": {"lt": 3}}, order=["id"], format="csv")
    assert text.splitlines()[0] == "id,name,price,at,raw,tags,twice"
    assert read(text) == [
        {"id": "1", "name": 'pen, "blue"', "price": "1.50", "at": "2024-01-01 08:00:00+00",
         "raw": "\\x00ff", "tags": "{a,b}", "twice": "3.00"},
        {"id": "2", "name": "žluť 🎵", "price": "", "at": "", "raw": "", "tags": "", "twice": ""},
    ]  # fmt: skip
    assert await call("item.select", {"id": 9}, columns=["id"], format="csv") == "id\n"
    renamed = await call("item.select", {}, columns=["n:count()"], format="csv")
    assert renamed == "n\n3\n"
    await call.fails(INVALID, "item.select", format="xml")


async def test_values_in_csv_conditions_are_only_values(api: Start) -> None:
    call = await api(*ITEM)
    hostile = "'; drop table item; --"
    assert await call("item.select", {"name": hostile}, columns=["id"], format="csv") == "id\n"
    assert await call("item.count") == 3


async def test_csv_comes_in_pieces_of_whole_lines(api: Start) -> None:
    call = await api(
        "create table big as select n as id, repeat('ž', 1000) as text "
        "from generate_series(1, 500) as n"
    )
    found = await pieces(call, "big.select", format="csv", order=["id"])
    assert len(found) > 2
    assert all(piece.endswith("\n") for piece in found)
    rows = read("".join(found))
    assert [int(row["id"]) for row in rows] == list(range(1, 501))


async def test_csv_larger_than_a_message_is_refused_with_advice(api: Start) -> None:
    call = await api(
        "create table big as select repeat('x', 1000) as t from generate_series(1, 100)",
        limits={"max_bytes": 50_000},
    )
    error = await call.fails("wamp.error.payload_size_exceeded", "big.select", format="csv")
    assert "progressive" in error.message


async def test_a_function_answers_csv(api: Start) -> None:
    call = await api(
        *ITEM,
        "create function above(low numeric) returns setof item language sql stable as "
        "'select * from item where price > low'",
        "create function one() returns int language sql as 'select 1'",
    )
    text = await call("above", 1, columns=["id"], order=["id.desc"], format="csv")
    assert text == "id\n3\n1\n"
    assert await pieces(call, "above", 2, columns=["id"], format="csv") == ["id\n3\n"]
    await call.fails(INVALID, "one", format="csv")


async def test_insert_takes_csv(api: Start) -> None:
    call = await api(*ITEM)
    text = 'name,id,price\n"a\nb",10,2.5\n,11,\n"",12,0\n'
    assert await call("item.insert", csv=text) == 3
    rows = await call("item.select", {"id": {"gte": 10}}, columns=["id", "name", "price"],
                      order=["id"])  # fmt: skip
    assert rows == [
        {"id": 10, "name": "a\nb", "price": "2.50"},
        {"id": 11, "name": None, "price": None},
        {"id": 12, "name": "", "price": "0.00"},
    ]
    assert await call("item.insert", csv=b"id\n20\n") == 1
    assert await call("item.insert", csv="id,name\n") == 0


async def test_upsert_takes_csv(api: Start) -> None:
    call = await api(*ITEM)
    assert await call("item.upsert", csv="id,name\n1,pencil\n4,new\n") == 2
    assert await call("item.upsert", csv="id,name\n1,x\n5,y\n", resolution="ignore") == 1
    rows = await call("item.select", columns=["id", "name"], order=["id"])
    assert [(r["id"], r["name"]) for r in rows] == [
        (1, "pencil"), (2, "žluť 🎵"), (3, ""), (4, "new"), (5, "y"),
    ]  # fmt: skip
    await call.fails(INVALID, "item.upsert", csv="name\nx\n")


async def test_a_bad_line_is_named_and_nothing_stays(api: Start) -> None:
    call = await api(*ITEM)
    for verb in ("insert", "upsert"):
        error = await call.fails(INVALID, f"item.{verb}", csv="id,price\n10,1\n11,abc\n12,3\n")
        assert (error.details["line"], error.details["column"]) == (3, "price")
        assert error.details["argument"] == "csv"
        assert "line 3, column price" in error.message
        error = await call.fails(INVALID, f"item.{verb}", csv="id,price\n10,1\n11\n")
        assert error.details["line"] == 3
        assert await call("item.count") == 3
    error = await call.fails("pgwamp.error.unique_violation", "item.insert", csv="id\n10\n1\n")
    assert error.details["line"] == 3
    assert error.message.startswith("line 3: ")
    assert await call("item.count") == 3


@pytest.mark.parametrize("verb", ["insert", "upsert"])
async def test_a_quote_that_the_first_line_leaves_open_takes_no_lines(
    api: Start, verb: str
) -> None:
    call = await api("create table item (name text primary key)")
    for header in ('"name', 'name"', '"na""me'):
        error = await call.fails(INVALID, f"item.{verb}", csv=f'{header}\nlost\n"\nkept\n')
        assert error.message == "csv: line 1: a quote is not closed on the line"
    assert await call(f"item.{verb}", csv='"name"\nkept\n') == 1


@pytest.mark.parametrize("verb", ["insert", "upsert"])
async def test_a_line_that_some_servers_take_for_the_end_loses_no_lines(
    api: Start, verb: str
) -> None:
    call = await api("create table item (name text primary key)")
    for text in ("name\na\n\\.\nlost\n", "name\r\n\\.\r\nlost\r\n", 'name\n"a\n\\.\n"\n\\.\nb\n'):
        error = await call.fails(INVALID, f"item.{verb}", csv=text)
        assert "\\. alone ends the data" in error.message
        assert error.details["line"] == text[: text.rindex("\\.")].count("\n") + 1
    values = ["\\.", "a\n\\.\nb", "a\\.", "\\.b"]
    lines = ['"\\."', '"a\n\\.\nb"', "a\\.", "\\.b", ""]
    assert await call(f"item.{verb}", csv="name\n" + "\n".join(lines)) == 4
    assert {row["name"] for row in await call("item.select")} == set(values)


async def test_wrong_csv_arguments_are_named(api: Start) -> None:
    call = await api(*ITEM)
    for text, argument in [
        ("", "csv"), ("\n", "csv"), ("id,id\n1,1\n", "csv"), ("id,nmae\n1,x\n", "csv.line 1.nmae"),
        ("twice\n1\n", "csv.line 1.twice"), (5, "csv"),
    ]:  # fmt: skip
        error = await call.fails(INVALID, "item.insert", csv=text)
        assert error.details["argument"] == argument, text
    await call.fails(INVALID, "item.insert", csv="id\n9\n", rows=[{"id": 9}])
    await call.fails(INVALID, "item.insert", csv="id\n9\n", returning=["id"])


async def test_csv_goes_through_views_and_row_security(api: Start) -> None:
    call = await api(
        *ITEM,
        "create view named as select id, name from item",
        "create table own (id int primary key, name text)",
        "alter table own enable row level security",
        "create policy everything on own using (true)",
    )
    assert await call("named.insert", csv="id,name\n7,seven\n") == 1
    assert await call("named.upsert", csv="id,name\n7,Seven\n") == 1
    assert (await call("item.get", 7))["name"] == "Seven"
    assert await call("own.insert", csv="id,name\n1,a\n2,b\n") == 2


async def test_csv_follows_the_rules_of_a_table_as_rows_do(api: Start) -> None:
    call = await api(
        "create table noted (id int)",
        "create table copied (id int primary key, name text)",
        "create rule note as on insert to copied do also insert into noted values (new.id)",
        "create table parted (id int primary key) partition by range (id)",
        "create table part partition of parted for values from (0) to (100)",
        "create rule note as on insert to parted do also insert into noted values (new.id)",
        "create table turned (id int primary key, name text)",
        "create rule note as on insert to turned do instead "
        "insert into noted values (new.id) returning id, ''::text",
        "create table partly (id int primary key, name text)",
        "create rule hold as on insert to partly where new.id > 1 do instead nothing",
        "create table closed (id int primary key)",
        "create rule hold as on insert to closed do instead nothing",
    )
    for name, written, stays, noted in [
        ("copied", 2, 2, 2), ("parted", 2, 2, 2), ("turned", 2, 0, 2), ("partly", 1, 1, 0),
        ("closed", 0, 0, 0),
    ]:  # fmt: skip
        assert await call(f"{name}.insert", csv="id\n1\n2\n") == written, name
        assert await call(f"{name}.count") == stays, name
        assert len(await call("noted.delete", "all")) == noted, name
    for name in ("copied", "parted", "turned"):
        await call(f"{name}.insert", [{"id": 3}, {"id": 4}])
        assert len(await call("noted.delete", "all")) == 2, name
    # ON CONFLICT goes with no rules.
    for rows in ({"csv": "id\n1\n"}, {"rows": {"id": 1}}):
        await call.fails("pgwamp.error.feature_not_supported", "copied.upsert", **rows)


LONG = PART_BYTES * 4
LONG_TEXTS = {
    "plain": "x" * LONG,
    "quotes": '"' * LONG,
    "a comma at the end": "x" * LONG + ",",
    "a line's end at the beginning": "\n" + "x" * LONG,
    "a quote in the middle": "x" * LONG + '"' + "ž" * LONG,
}


async def test_a_text_of_any_length_is_written_as_copy_writes_it(api: Start) -> None:
    call = await api("create table long (id int primary key, a text, b text)")
    rows = [{"id": 1, "a": "\\.", "b": "x\r"}]
    rows += [{"id": 2 + n, "a": a, "b": "x"} for n, a in enumerate(LONG_TEXTS.values())]
    rows += [{"id": 20, "a": "x" * LONG, "b": '"' * LONG}]
    await call("long.insert", rows, returning=False)
    text = await call("long.select", format="csv", order=["id"])
    csv.field_size_limit(2 * LONG + 1)
    assert list(csv.reader(io.StringIO(text, newline=""))) == [
        ["id", "a", "b"],
        *([str(row["id"]), row["a"], row["b"]] for row in rows),
    ]
    lines = text.split("\n")
    assert lines[1] == '1,"\\.","x\r"'
    assert lines[2] == f"2,{LONG_TEXTS['plain']},x"
    # It can be written as it was read.
    await call("long.delete", "all", returning=False)
    assert await call("long.insert", csv=text) == len(rows)


@pytest.mark.parametrize(
    ("record", "number", "breaks"),
    [
        *(([text], 1, len(text) // PART_BYTES) for text in LONG_TEXTS.values()),
        (["x" * PART_BYTES], 20, 19),
        (["1"] * 200, 500, 200 * 500 // PART_VALUES - 1),
    ],
    ids=[*LONG_TEXTS, "many long ones", "many short ones"],
)
async def test_lines_are_written_in_parts(record: list[str], number: int, breaks: int) -> None:
    turns = 0

    async def other() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    task = asyncio.create_task(other())
    pieces = await write_lines([record] * number)
    task.cancel()
    assert turns >= breaks
    assert "".join(pieces).count("\n") >= number
