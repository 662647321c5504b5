"""``describe``: the API as JSON, with JSON Schemas and the comments of the database."""

from __future__ import annotations

import json
from itertools import combinations
from typing import Any

from pgwamp.describe import privileges
from pgwamp.describe.parts import Beginnings
from tests.conftest import PausesOf
from tests.procedures.conftest import Start
from tests.servers import CALLS

_TYPES = {"integer", "number", "string", "boolean", "object", "array", "null"}


def check_schema(schema: Any) -> None:
    """What JSON Schema demands of the keywords in use."""
    assert isinstance(schema, dict)
    kinds = schema.get("type", [])
    assert set([kinds] if isinstance(kinds, str) else kinds) <= _TYPES
    if "enum" in schema:
        assert schema["enum"]
    for part in schema.get("oneOf", []):
        check_schema(part)
    for part in schema.get("properties", {}).values():
        check_schema(part)
    if "items" in schema:
        check_schema(schema["items"])


async def test_the_description_has_schemas_and_comments(api: Start) -> None:
    call = await api(
        "create type mood as enum ('sad', 'ok')",
        "create table item (id int primary key, mood mood, tags text[], price numeric)",
        "comment on table item is 'What we sell'",
        "comment on column item.price is 'Without tax'",
        "create function raise_price(id int, by numeric default 1) returns item language sql as "
        "$$ select * from item where item.id = raise_price.id $$",
        "comment on function raise_price is 'Make it dearer'",
        "select wamp.watch('item')",
    )
    api_description = await call("describe")
    json.dumps(api_description)
    by_uri = {p["uri"]: p for p in api_description["procedures"]}
    for procedure in by_uri.values():
        check_schema(procedure["result"])
        for argument in procedure.get("arguments", []):
            check_schema(argument["schema"])
        for overload in procedure.get("overloads", []):
            for argument in overload:
                check_schema(argument["schema"])
    select = by_uri[f"{call.prefix}.item.select"]
    assert select["description"] == "What we sell"
    properties = select["result"]["items"]["properties"]
    assert properties["price"]["description"] == "Without tax"
    # A nullable enum allows null.
    assert None in properties["mood"]["enum"]
    function = by_uri[f"{call.prefix}.raise_price"]
    assert function["description"] == "Make it dearer"
    own = [a for a in function["overloads"][0] if a.get("by") != "name"]
    assert [a["required"] for a in own] == [True, False]
    topics = {topic["topic"] for topic in api_description["topics"]}
    assert f"{call.prefix}.item.inserted" in topics
    json.dumps(api_description, allow_nan=False)


async def test_a_part_can_be_asked_for(api: Start) -> None:
    call = await api(
        "create table item (id int primary key)",
        "create table other (id int)",
        "create function item_of(id int) returns int language sql return 1",
        "select wamp.watch('item')",
        access={"roles": {"anonymous": CALLS}},
    )
    whole = await call("describe")
    for uri in (f"{call.prefix}.item.", f"{call.prefix}.item_of", f"{call.prefix}.batch"):
        part = await call("describe", uri=uri)
        assert part["prefix"] == call.prefix
        assert part["procedures"]
        for name, key in (("procedures", "uri"), ("topics", "topic")):
            assert part[name] == [e for e in whole[name] if e[key].startswith(uri)]
    assert (await call("describe", uri=f"{call.prefix}.none"))["procedures"] == []
    both = [f"{call.prefix}.batch", f"{call.prefix}.item."]
    part = await call("describe", uri=both)
    assert part["procedures"] == [
        e for e in whole["procedures"] if e["uri"].startswith(tuple(both))
    ]
    error = await call.fails("wamp.error.invalid_argument", "describe", uri=["x"] * 1001)
    assert error.details["argument"] == "uri"
    error = await call.fails("wamp.error.invalid_argument", "describe", uri=5)
    assert error.details["argument"] == "uri"


def test_parts_are_those_that_begin_with_one_of_the_texts() -> None:
    texts = ("", "a.", "a.b", "a.b.", "a.bc", "b", "~")
    for given in (*combinations(texts, 2), *combinations(texts[1:], 3)):
        beginnings = Beginnings(given)
        for uri in (*texts, "a.b.c", "a.c", "c"):
            assert beginnings.cover(uri) is uri.startswith(given), (given, uri)
        # In the place of a column stands any text.
        for before in ("a.", "a.b.x", "c"):
            may = any(before.startswith(t) or t.startswith(before) for t in given)
            assert beginnings.may_cover(f"{before}{{id}}") is may, (given, before)


async def test_a_description_that_no_message_holds_can_be_had_in_parts(api: Start) -> None:
    columns = ", ".join(f"column_number_{n} text" for n in range(300))
    call = await api(
        *(f"create table item_{n} ({columns}, id int primary key)" for n in range(4)),
        "select wamp.watch('item_1')",
        limits={"max_bytes": 500_000},
    )
    error = await call.fails("wamp.error.payload_size_exceeded", "describe")
    assert "uri" in error.message
    index = await call("describe", details=False)
    entry = {"uri": f"{call.prefix}.item_2.get", "kind": "relation", "verb": "get"}
    assert {**entry, "relation": "public.item_2"} in index["procedures"]
    topic = {"topic": f"{call.prefix}.item_1.deleted", "relation": "public.item_1", "op": "delete"}
    assert topic in index["topics"]
    found = []
    for name in (f"{call.prefix}.item_{n}." for n in range(4)):
        found += (await call("describe", uri=name))["procedures"]
    assert {e["uri"] for e in found} == {e["uri"] for e in index["procedures"] if "relation" in e}


async def test_a_description_is_made_for_a_role_in_parts(api: Start, pauses_of: PausesOf) -> None:
    call = await api(
        "create table item (id int primary key)",
        *(f"create table item_{n} (id int primary key)" for n in range(30)),
        access={"roles": {"anonymous": CALLS}},
    )
    pauses = pauses_of(privileges)
    number = len((await call("describe"))["procedures"])
    assert number > 200
    assert len(pauses) >= number // privileges.PART_ENTRIES


async def test_types_of_very_many_parts_are_described_without_them(api: Start) -> None:
    levels = (f"create type c{n} as (a c{n - 1}, b c{n - 1})" for n in range(1, 10))
    call = await api(
        "create type c0 as (a int, b int)",
        *levels,
        "create table item (id int primary key, small c3, large c9)",
        "create table wide (id int primary key, " + ", ".join(f"c{n} c7" for n in range(30)) + ")",
        "create function taking(" + ", ".join(f"c{n} c7" for n in range(30)) + ") returns int "
        "language sql as 'select 1'",
    )
    entries = {entry["uri"]: entry for entry in (await call("describe"))["procedures"]}
    row = entries[f"{call.prefix}.item.get"]["result"]["properties"]
    assert row["large"] == {"type": ["object", "null"]}
    assert row["small"]["properties"]["a"]["properties"]["b"]["properties"].keys() == {"a", "b"}
    # Each of these is small enough, and all together are not.
    wide = entries[f"{call.prefix}.wide.get"]["result"]["properties"]
    assert wide["c0"] == {"type": ["object", "null"]}
    (taken,) = entries[f"{call.prefix}.taking"]["overloads"]
    assert taken[0]["schema"] == {"type": "object"}


async def test_each_overload_says_what_it_takes_and_answers(api: Start) -> None:
    call = await api(
        "create table item (id int primary key, price numeric)",
        "create function pick(int, int) returns int language sql as 'select $1 - $2'",
        "create function pick(text) returns text language sql as 'select $1'",
        "create function odd(\"$2\" int, int) returns int language sql as 'select $2'",
        "create function list(variadic ids int[]) returns setof item language sql stable "
        "as 'select * from item where id = any (ids)'",
        "create function first() returns item language sql stable as 'select * from item'",
        "create function pair() returns record language sql as 'select 1, 2'",
        "create function pairs(\"limit\" int) returns setof record language sql as 'values (1, 2)'",
        "create procedure half(x int, out y int) language sql as 'select x / 2'",
    )
    entries = {
        e["uri"].removeprefix(f"{call.prefix}."): e for e in (await call("describe"))["procedures"]
    }
    pick = entries["pick"]
    unnamed, one = pick["overloads"]
    assert [(a["name"], a["by"]) for a in unnamed] == [("$1", "position"), ("$2", "position")]
    assert pick["results"] == [{"type": "integer"}, {"type": "string"}]
    assert pick["result"] == {"oneOf": pick["results"]}
    assert await call("pick", 3, "2") == 1
    assert await call("pick", "a") == "a"
    assert (one[0]["name"], one[0]["schema"]) == ("$1", {"type": "string"})
    assert [a["name"] for a in entries["odd"]["overloads"][0]] == ["$2", "$$2"]
    ((ids, *asked),) = entries["list"]["overloads"]
    assert ids["variadic"]
    assert {a["name"] for a in asked} >= {"where", "columns", "limit", "format"}
    assert {a["by"] for a in asked} == {"name"}
    assert (entries["list"]["rows"], entries["list"]["progressive"]) == (["public.item"], True)
    assert entries["first"]["result"]["type"] == ["object", "null"]
    assert entries["pair"]["result"] == {"type": ["object", "null"]}
    assert entries["pairs"]["result"] == {"type": "array", "items": {"type": "object"}}
    # It has an argument of that name itself.
    assert [a["name"] for a in entries["pairs"]["overloads"][0]] == ["limit", "offset"]
    assert entries["half"]["result"]["properties"] == {"y": {"type": ["integer", "null"]}}


async def test_values_are_described_as_they_may_be_given_and_as_they_are_answered(
    api: Start,
) -> None:
    call = await api(
        "create type part as (a bigint, b text)",
        "create table item (id bigint primary key, price numeric, n int, span int4range, "
        "ids bigint[], part part)",
        "create function one() returns bigint language sql as 'select 1::bigint'",
        "select wamp.watch('item')",
        expose={"bigint": "string"},
    )
    api_description = await call("describe")
    entries = {e["uri"].removeprefix(f"{call.prefix}."): e for e in api_description["procedures"]}
    answered = entries["item.get"]["result"]["properties"]
    assert answered["id"] == {"type": "string", "format": "bigint"}
    assert answered["ids"]["items"] == {"type": "string", "format": "bigint"}
    assert answered["part"]["properties"]["a"] == {"type": ["string", "null"], "format": "bigint"}
    assert entries["one"]["result"]["type"] == "string"
    assert api_description["topics"][0]["key"]["properties"] == {"id": answered["id"]}
    (values,) = (a for a in entries["item.update"]["arguments"] if a["name"] == "values")
    given = values["schema"]["properties"]
    assert given["id"]["type"] == ["integer", "string"]
    assert given["price"] == {"type": ["string", "number", "null"], "format": "numeric"}
    assert given["n"]["type"] == ["integer", "string", "null"]
    assert given["span"]["type"] == ["object", "string", "null"]
    (row,) = await call("item.insert", {"id": "1", "price": 2, "n": "3", "span": "[1,2)"})
    assert (row["id"], row["price"], row["n"]) == ("1", "2", 3)


SHOP = (
    "create table maker (id int primary key, name text)",
    "create table item (id int primary key, maker_id int references maker, secret_id int "
    "constraint secret_key references maker)",
    "create function shout(maker) returns text language sql stable as 'select upper($1.name)'",
)


async def test_a_select_says_what_its_rows_lead_to(api: Start) -> None:
    call = await api(*SHOP)
    entries = {e["uri"]: e for e in (await call("describe"))["procedures"]}
    related = entries[f"{call.prefix}.item.select"]["relationships"]
    one = {"relation": "public.maker", "many": False, "columns": {"maker_id": "id"}}
    assert related["maker_id"] == related["item_maker_id_fkey"] == one
    # Two keys lead there: its name alone does not say which is meant.
    assert "maker" not in related
    maker = entries[f"{call.prefix}.maker.select"]
    assert maker["computed"]["shout"]["schema"] == {"type": ["string", "null"]}
    assert maker["relationships"]["item_maker_id_fkey"]["many"]
    assert "relationships" not in entries[f"{call.prefix}.maker.get"]


async def test_topics_are_described_as_the_table_is_watched(api: Start) -> None:
    call = await api(
        "create table item (id int primary key)",
        "create table quiet (id int primary key)",
        "select wamp.watch('item', '{\"old\": \"key\"}')",
        "select wamp.watch('quiet', '{\"publish\": false}')",
    )
    topics = (await call("describe"))["topics"]
    assert {t["relation"] for t in topics} == {"public.item"}
    assert {t["op"]: t.get("old") for t in topics} == {
        "insert": None,
        "update": "key",
        "delete": "key",
        "truncate": None,
    }
