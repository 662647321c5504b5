"""What is published: committed changes, wamp.publish, and plain channels."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from pgwamp.errors import CallError
from pgwamp.events.channels import parse_payload
from tests.conftest import Connect, Database, Events, Serve

ITEM = (
    "create table item (id int primary key, name text, price numeric(10,2))",
    "select wamp.watch('item')",
)


async def test_each_change_of_a_watched_table_is_an_event(
    serve: Serve, connect: Connect, database: Database, prefix: str, events: Events
) -> None:
    database.execute(*ITEM)
    await serve()
    client = await connect()
    await client.subscribe(f"{prefix}.item.", events, "prefix")
    database.execute(
        "insert into item values (1, 'pen', 1.50)",
        "update item set price = 2 where id = 1",
        "delete from item",
        "truncate item",
    )
    inserted, updated, deleted, truncated = await events.count(4)
    assert [topic for topic, _, _ in events.received] == [
        f"{prefix}.item.{suffix}" for suffix in ("inserted", "updated", "deleted", "truncated")
    ]
    assert inserted["new"] == {"id": 1, "name": "pen", "price": "1.50"}
    assert (updated["key"], updated["changed"], updated["old"]) == (
        {"id": 1},
        ["price"],
        {"price": "1.50"},
    )
    assert updated["new"]["price"] == "2.00"
    assert deleted["old"] == {"id": 1, "name": "pen", "price": "2.00"}
    assert truncated["op"] == "truncate"
    assert {"id", "cursor", "schema", "table", "op", "at", "xid"} <= inserted.keys()


@pytest.mark.parametrize("pattern", ["secret", "public.sec*", "hidden.*"])
async def test_a_table_that_is_excluded_is_on_no_topic(
    serve: Serve, connect: Connect, database: Database, prefix: str, events: Events, pattern: str
) -> None:
    table = "hidden.vault" if pattern.startswith("hidden") else "secret"
    database.execute(
        *ITEM,
        "create schema hidden",
        f"create table {table} (id int primary key)",
        f"select wamp.watch('{table}')",
    )
    await serve(expose={"exclude": [pattern]})
    client = await connect()
    await client.subscribe(f"{prefix}.", events, "prefix")
    database.execute(
        f"insert into {table} values (1)",
        # Nor on a topic of its own.
        f"select wamp.watch('{table}', '{{\"topic\": \"{prefix}.rows.{{id}}\"}}')",
        f"insert into {table} values (2)",
        f"truncate {table}",
        "insert into item values (1)",
    )
    await events.count(1)
    # Events come in order.
    assert [topic for topic, _, _ in events.received] == [f"{prefix}.item.inserted"]


async def test_a_watched_table_of_a_schema_that_is_not_exposed_is_on_its_topic(
    serve: Serve, connect: Connect, database: Database, prefix: str, events: Events
) -> None:
    database.execute(
        "create schema other",
        "create table other.thing (id int primary key)",
        "select wamp.watch('other.thing')",
    )
    await serve()
    client = await connect()
    await client.subscribe(f"{prefix}.other.thing.inserted", events)
    database.execute("insert into other.thing values (1)")
    (inserted,) = await events.count(1)
    assert inserted["new"] == {"id": 1}


async def test_what_is_rolled_back_is_never_published(
    serve: Serve, connect: Connect, database: Database, prefix: str, events: Events
) -> None:
    database.execute(*ITEM)
    await serve()
    client = await connect()
    await client.subscribe(f"{prefix}.item.", events, "prefix")
    writer = await database.connect()
    transaction = writer.transaction()
    await transaction.start()
    await writer.execute("insert into item values (1)")
    await writer.execute("savepoint s")
    await writer.execute("insert into item values (2)")
    await writer.execute("rollback to s")
    await transaction.commit()
    transaction = writer.transaction()
    await transaction.start()
    await writer.execute("insert into item values (3)")
    await transaction.rollback()
    await writer.execute("insert into item values (4)")
    await writer.close()
    await events.until(lambda received: any(k["key"] == {"id": 4} for _, _, k in received))
    assert [k["key"]["id"] for _, _, k in events.received] == [1, 4]


async def test_events_of_a_time_without_a_component_are_published_when_one_starts(
    serve: Serve, connect: Connect, database: Database, prefix: str, events: Events
) -> None:
    database.execute(*ITEM)
    client = await connect()
    await client.subscribe(f"{prefix}.item.", events, "prefix")
    database.execute("insert into item select n from generate_series(1, 500) as n")
    await serve()
    received = await events.count(500)
    assert [event["key"]["id"] for event in received] == list(range(1, 501))


async def test_a_partition_that_comes_with_its_rows_is_to_be_read_again(
    serve: Serve, connect: Connect, database: Database, prefix: str, events: Events
) -> None:
    database.execute(
        "create table stock (id int primary key) partition by range (id)",
        "create table stock_1 (id int primary key)",
        "insert into stock_1 values (1)",
        "select wamp.watch('stock')",
    )
    await serve()
    client = await connect()
    await client.subscribe(f"{prefix}.stock.", events, "prefix")
    database.execute("alter table stock attach partition stock_1 for values from (0) to (10)")
    (attached,) = await events.count(1)
    assert (attached["op"], attached["truncated"]) == ("insert", True)
    assert attached["partition"] == "public.stock_1"


async def test_a_prepared_transaction_is_published_when_it_is_committed(
    serve: Serve, connect: Connect, database: Database, prefix: str, events: Events
) -> None:
    database.execute(*ITEM)
    await serve()
    client = await connect()
    await client.subscribe(f"{prefix}.item.", events, "prefix")
    name = prefix.rpartition(".")[2]
    database.execute(
        f"begin; insert into item values (1); prepare transaction '{name}'",
        "insert into item values (2)",
    )
    await events.count(1)
    database.execute(f"commit prepared '{name}'")
    assert [event["key"]["id"] for event in await events.count(2)] == [2, 1]


async def test_wamp_publish_sends_args_kwargs_and_options(
    serve: Serve, connect: Connect, database: Database, prefix: str, events: Events
) -> None:
    await serve()
    client = await connect()
    await client.subscribe(f"{prefix}.hello", events)
    await client.subscribe(f"{prefix}.hidden", events)
    database.execute(
        f"select wamp.publish('{prefix}.hello', '[1, \"two\"]', "
        """'{"options": 3, "topic": null}')""",
        f"select wamp.publish('{prefix}.hidden', '[]', '{{}}', "
        """'{"eligible_authrole": ["x"]}')""",
        f"select wamp.publish('{prefix}.hello')",
        f"select wamp.publish('{prefix}.hello')",
    )
    await events.count(3)
    assert [(topic, args, kwargs) for topic, args, kwargs in events.received] == [
        (f"{prefix}.hello", [1, "two"], {"options": 3, "topic": None}),
        (f"{prefix}.hello", [], {}),
        (f"{prefix}.hello", [], {}),
    ]


async def test_an_event_the_router_refuses_holds_up_no_other(
    serve: Serve, connect: Connect, database: Database, prefix: str, events: Events
) -> None:
    await serve(events={"publish_topics": ["org.elsewhere."]})
    client = await connect()
    await client.subscribe(f"{prefix}.hello", events)
    database.execute(
        "select wamp.publish('org.elsewhere.topic')",
        f"select wamp.publish('{prefix}.hello', '[2]')",
    )
    await events.count(1)
    assert events.received[-1][1] == [2]


async def test_a_change_too_large_for_a_message_comes_without_values(
    serve: Serve, connect: Connect, database: Database, prefix: str, events: Events
) -> None:
    database.execute(*ITEM)
    await serve(limits={"max_bytes": 20_000})
    client = await connect()
    await client.subscribe(f"{prefix}.item.", events, "prefix")
    database.execute("insert into item values (1, repeat('x', 50000)), (2, 'small')")
    large, small = await events.count(2)
    assert large["truncated"] is True
    assert large["key"] == {"id": 1}
    assert "new" not in large
    assert small["new"]["name"] == "small"


async def test_plain_channels_are_bridged(
    serve: Serve, connect: Connect, database: Database, prefix: str, events: Events
) -> None:
    component = await serve(events={"channels": {"legacy": f"{prefix}.legacy"}})
    client = await connect()
    await client.subscribe(f"{prefix}.legacy", events)
    async with asyncio.timeout(5):
        await component.publisher.leading.wait()
    database.execute("select pg_notify('legacy', '{\"a\": 1}')", "notify legacy, 'plain'")
    await events.until(lambda received: len(received) == 2)
    assert [(args, kwargs) for _, args, kwargs in events.received] == [
        ([], {"a": 1}),
        (["plain"], {}),
    ]


async def test_channels_are_listened_to_again_after_the_connection_was_lost(
    serve: Serve, connect: Connect, database: Database, prefix: str, events: Events
) -> None:
    component = await serve(events={"channels": {"legacy": f"{prefix}.legacy"}})
    client = await connect()
    await client.subscribe(f"{prefix}.legacy", events)
    async with asyncio.timeout(5):
        await component.publisher.leading.wait()
    database.execute(
        "select pg_terminate_backend(pid) from pg_stat_activity "
        "where application_name = 'pgwamp publisher' and datname = current_database()"
    )
    async with asyncio.timeout(10):
        while not events.received:  # at most once: what falls into the gap is gone
            database.execute("notify legacy, 'again'")
            await asyncio.sleep(0.1)
    assert events.received[0][1] == ["again"]


@pytest.mark.parametrize(
    ("payload", "expected"),
    [
        ('{"a": 1}', (None, {"a": 1})),
        ("[1, 2]", ([1, 2], None)),
        ("text", (["text"], None)),
        ("", ([""], None)),
        ("5", (["5"], None)),
        ("{not json", (["{not json"], None)),
    ],
)
def test_a_payload_becomes_kwargs_args_or_text(payload: str, expected: Any) -> None:
    assert parse_payload(payload) == expected


async def test_of_two_instances_one_publishes_and_the_other_takes_over(
    serve: Serve, connect: Connect, database: Database, prefix: str, events: Events
) -> None:
    database.execute(*ITEM)
    first = await serve()
    async with asyncio.timeout(5):
        await first.publisher.leading.wait()
    second = await serve()
    client = await connect()
    await client.subscribe(f"{prefix}.item.", events, "prefix")
    database.execute("insert into item values (1)")
    await events.count(1)
    assert not second.publisher.leading.is_set()
    await first.stop()
    async with asyncio.timeout(5):
        await second.publisher.leading.wait()
    database.execute("insert into item values (2)")
    received = await events.count(2)
    assert [event["key"]["id"] for event in received] == [1, 2], "no event twice, none lost"


async def test_a_table_watched_while_the_component_runs_publishes_at_once(
    serve: Serve, connect: Connect, database: Database, prefix: str, events: Events
) -> None:
    await serve()
    client = await connect()
    await client.subscribe(f"{prefix}.late.", events, "prefix")
    database.execute(
        "create table late (id int primary key, at timestamptz)",
        "select wamp.watch('late')",
        "insert into late values (1, '2024-01-01 12:00+00')",
        "alter table late add column price numeric",
        "update late set price = 1.10",
    )
    inserted, updated = await events.count(2)
    assert inserted["new"]["at"] == "2024-01-01T12:00:00+00:00"
    assert updated["new"]["price"] == "1.10"


async def test_a_wrong_cursor_is_refused(
    serve: Serve, connect: Connect, database: Database, prefix: str
) -> None:
    database.execute(*ITEM)
    await serve()
    client = await connect()
    for wrong in ("nonsense", "", 5, "eJw="):
        with pytest.raises(CallError) as error:
            await client.call(f"{prefix}.item.changes", [wrong])
        assert error.value.uri == "wamp.error.invalid_argument"
