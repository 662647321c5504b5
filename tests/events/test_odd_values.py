"""Values that no serializer or router takes as they are: none of them holds up the others."""

from __future__ import annotations

import json

import pytest

from tests.conftest import Connect, Database, Events, Serve
from tests.replay.appending import append

DIGITS = "9" * 5000
BEYOND = "1" + "0" * 400
SENT = (
    f"[{2**63}, {-(2**63)}, {2**64 - 1}, {2**64}, {-(2**63) - 1}, {DIGITS}, {BEYOND}.5, -1e999, "
    "1.10, 1e-400, 0.1234567890123456789, 12345678901234567890123.5]"
)
RECEIVED = [
    2**63,
    -(2**63),
    2**64 - 1,
    str(2**64),
    str(-(2**63) - 1),
    DIGITS,
    f"{BEYOND}.5",
    "-1" + "0" * 999,
    1.1,
    0.0,
    0.12345678901234568,
    1.2345678901234567e22,
]


@pytest.mark.parametrize("serializer", ["cbor", "msgpack", "json"])
async def test_numbers_arrive_as_numbers_if_they_can_and_else_as_strings(
    serve: Serve,
    connect: Connect,
    database: Database,
    prefix: str,
    events: Events,
    serializer: str,
) -> None:
    await serve(router={"serializer": serializer})
    client = await connect("json")
    await client.subscribe(f"{prefix}.numbers", events)
    database.execute(f"select wamp.publish('{prefix}.numbers', '{SENT}', '{{\"all\": {SENT}}}')")
    await events.count(1)
    assert events.received == [(f"{prefix}.numbers", RECEIVED, {"all": RECEIVED})]


async def test_a_change_with_thousands_of_digits_is_published(
    serve: Serve, connect: Connect, database: Database, prefix: str, events: Events
) -> None:
    database.execute(
        "create table item (id int primary key, price numeric, facts jsonb, size float8)",
        "select wamp.watch('item')",
    )
    await serve()
    client = await connect()
    await client.subscribe(f"{prefix}.item.", events, "prefix")
    database.execute(
        f"insert into item values (1, {DIGITS}, '{SENT}', 1e300)",
        "insert into item values (2, 1.50, '[1.50]', 1)",
    )
    large, small = await events.count(2)
    assert large["new"] == {"id": 1, "price": DIGITS, "facts": RECEIVED, "size": 1e300}
    assert small["new"] == {"id": 2, "price": "1.50", "facts": [1.5], "size": 1.0}


async def test_a_row_of_more_parts_than_can_be_read_at_once_is_published_without_its_values(
    serve: Serve, connect: Connect, database: Database, prefix: str, events: Events
) -> None:
    database.execute(
        "create table item (id int primary key, facts json)", "select wamp.watch('item')"
    )
    await serve()
    client = await connect()
    await client.subscribe(f"{prefix}.item.", events, "prefix")
    database.execute(
        "insert into item select 1, json_agg(1) from generate_series(1, 200001)",
        "insert into item values (2, '[1]')",
    )
    large, small = await events.count(2)
    assert (large["key"], large["truncated"]) == ({"id": 1}, True)
    assert "new" not in large
    assert small["new"] == {"id": 2, "facts": [1]}


async def test_a_published_event_that_cannot_be_read_holds_up_no_other(
    serve: Serve, connect: Connect, database: Database, prefix: str, events: Events
) -> None:
    await serve()
    client = await connect()
    await client.subscribe(f"{prefix}.x", events)
    database.execute(
        append({"op": "publish", "topic": f"{prefix}.x", "body": {"truncated": True}}),
        f"select wamp.publish('{prefix}.x', '[2]')",
    )
    await events.count(1)
    assert events.received == [(f"{prefix}.x", [2], {})]
    changes = await client.call(f"{prefix}.changes")
    assert [change.get("truncated") for change in changes] == [True, None]


async def test_a_topic_that_would_end_the_session_is_refused(
    serve: Serve, connect: Connect, database: Database, prefix: str, events: Events
) -> None:
    component = await serve()
    client = await connect()
    await client.subscribe(f"{prefix}.x", events)
    session = component.link.session
    database.execute(
        append({"op": "publish", "topic": f"{prefix}.a\u00a0b", "body": {}}),
        f"select wamp.publish('{prefix}.x')",
    )
    await events.count(1)
    database.execute(f"select wamp.publish('{prefix}.x', '[2]')")
    await events.count(2)
    assert [args for _, args, _ in events.received] == [[], [2]], "none comes again"
    assert component.link.session is session


async def test_json_that_is_not_carried_costs_its_neighbours_nothing(
    serve: Serve, connect: Connect, database: Database, prefix: str, events: Events
) -> None:
    database.execute(
        "create table item (id int primary key, facts json, name text)",
        "select wamp.watch('item')",
    )
    await serve()
    client = await connect()
    await client.subscribe(f"{prefix}.item.", events, "prefix")
    facts = {"a": '{"a": 1}', "b": r'"\u0000"', "c": r'{"\ud800": 1}', "d": "[1]"}
    writer = await database.connect()
    said: list[object] = []
    writer.add_log_listener(lambda _, message: said.append(message))
    await writer.execute("set client_min_messages = 'debug1'")
    await writer.execute(
        "insert into item select n, facts::json, name from "
        "unnest($1::text[], $2::text[]) with ordinality as row (facts, name, n)",
        [*facts.values()],
        [*facts],
    )
    await writer.close()
    got = await events.count(4)
    assert [event["new"]["name"] for event in got] == list(facts)
    assert [event["new"]["facts"] for event in got] == [{"a": 1}, facts["b"], facts["c"], [1]]
    assert said == []


@pytest.mark.parametrize(
    ("value", "carried"),
    [
        (r'"\u0000"', False),
        (r'{"\u0000x": 1}', False),
        (r'["\ud800"]', False),
        (r'{"\udfff": [1]}', False),
        ("[" * 110 + "]" * 110, False),
        ("[" * 600 + "]" * 600, False),
        ("[" * 3000 + "]" * 3000, False),
        (r'["x\u0000", "\ud83d\ude00", "\u0001", "\\u0000"]', True),
        ("[" * 90 + "]" * 90, True),
        ("[[]" + ", []" * 200 + "]", True),
    ],
)
async def test_json_that_is_not_carried_is_the_text_that_it_is(
    serve: Serve,
    connect: Connect,
    database: Database,
    prefix: str,
    events: Events,
    value: str,
    carried: bool,
) -> None:
    database.execute(
        "create table item (id int primary key, facts json)", "select wamp.watch('item')"
    )
    await serve()
    client = await connect("json")
    await client.subscribe(f"{prefix}.item.", events, "prefix")
    session = client.link.session
    database.execute(
        f"insert into item values (1, '{value}')",
        "delete from item",
        "insert into item values (2, '[1]')",
    )
    odd, deleted, plain = await events.count(3)
    row = {"id": 1, "facts": json.loads(value) if carried else value}
    assert (odd["new"], deleted["old"]) == (row, row)
    assert plain["new"] == {"id": 2, "facts": [1]}
    assert await client.call(f"{prefix}.item.changes") == [odd, deleted, plain]
    assert client.link.session is session
