"""``describe``: the API as JSON, with JSON Schemas and the comments of the database."""

from __future__ import annotations

import json
from typing import Any

from pgwamp.procedures import privileges
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
    assert [a["required"] for a in function["overloads"][0]] == [True, False]
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
    error = await call.fails("wamp.error.invalid_argument", "describe", uri=5)
    assert error.details["argument"] == "uri"


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
