"""The stored position of each realm and prefix."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import asyncpg
import pytest

from pgwamp.eventlog.lease import Lease, LeaseLost, Leases
from pgwamp.eventlog.log import last_position, oldest_position
from pgwamp.events import publisher
from pgwamp.events.checkpoint import Checkpoint, tell_that_it_runs
from pgwamp.metrics import Metrics
from pgwamp.naming import Naming
from pgwamp.session import Link
from tests.conftest import Connect, Database, Events, MakeSettings, Serve
from tests.replay.appending import append, inserted
from tests.servers import OTHER_REALM

ITEM = ("create table item (id int primary key)", "select wamp.watch('item')")


@pytest.fixture
async def connection(database: Database) -> AsyncIterator[asyncpg.Connection[Any]]:
    connection = await database.connect()
    yield connection
    await connection.close()


@pytest.fixture
async def lease(database: Database) -> AsyncIterator[Lease]:
    async with Leases(database.url, "publisher").held() as lease:
        yield lease


async def test_storing_returns_when_it_is_stored(
    database: Database, connection: Any, lease: Lease
) -> None:
    database.execute(*ITEM, inserted(1, 2))
    checkpoint = Checkpoint(connection, lease, "realm1", "com.example")
    assert await checkpoint.load() == await oldest_position(connection)
    running = asyncio.create_task(checkpoint.run())
    # It waits for something to keep, and begins to store it before we do.
    await asyncio.sleep(0)
    checkpoint.keep(await last_position(connection))
    await asyncio.sleep(0)
    await checkpoint.store()
    running.cancel()
    await asyncio.wait({running})
    again = Checkpoint(connection, lease, "realm1", "com.example")
    assert await again.load() == await last_position(connection)


async def test_the_first_begins_with_the_oldest_event_and_further_ones_begin_now(
    database: Database, connection: Any, lease: Lease
) -> None:
    database.execute(*ITEM, inserted(1))
    first = Checkpoint(connection, lease, "realm1", "com.example")
    assert await first.load() == await oldest_position(connection)
    for realm, prefix in (("realm1", "com.other"), ("realm2", "com.example")):
        further = Checkpoint(connection, lease, realm, prefix)
        assert await further.load() == await last_position(connection)
    assert await first.load() == await oldest_position(connection)


async def test_whoever_has_lost_the_lease_stores_nothing(
    database: Database, connection: Any, lease: Lease
) -> None:
    database.execute(*ITEM)
    checkpoint = Checkpoint(connection, lease, "realm1", "com.example")
    before = await checkpoint.load()
    database.execute(inserted(1), "update wamp.lease set term = term + 1")
    checkpoint.keep(await last_position(connection))
    with pytest.raises(LeaseLost):
        await checkpoint.store()
    assert await checkpoint.load() == before


async def test_a_component_whose_position_the_log_has_lost_publishes_what_is_kept(
    serve: Serve, connect: Connect, database: Database, prefix: str, events: Events
) -> None:
    database.execute(
        *ITEM,
        inserted(1, 2),
        "insert into wamp.publication (realm, prefix, position, mark) "
        f"values ('realm1', '{prefix}', 700, 'another')",
    )
    await (await connect()).subscribe(f"{prefix}.item.", events, "prefix")
    await serve()
    database.execute("insert into item values (3)")
    assert [event["key"]["id"] for event in await events.count(3)] == [1, 2, 3]


# --- several components -------------------------------------------------------------------------


async def test_each_prefix_has_all_changes_and_its_own_explicit_topics_once(
    serve: Serve, connect: Connect, database: Database, prefix: str
) -> None:
    topic = f"{prefix}.one.of.{{op}}"
    database.execute(
        *ITEM,
        "create table other (id int primary key)",
        f"""select wamp.watch('other', '{{"topic": "{topic}"}}')""",
    )
    names = (f"{prefix}.one", f"{prefix}.two")
    for name in names:
        component = await serve(expose={"prefix": name})
        async with asyncio.timeout(10):
            await component.publisher.leading.wait()
    heard = Events()
    await (await connect()).subscribe(f"{prefix}.", heard, "prefix")
    database.execute(
        "insert into item values (1)",
        "insert into other values (1)",
        *(f"select wamp.publish('{name}.hello')" for name in names),
        "insert into item values (2)",
    )
    last = {f"{name}.item.inserted" for name in names}
    await heard.until(lambda got: {t for t, _, k in got if k.get("key") == {"id": 2}} == last)
    assert sorted(topic for topic, *_ in heard.received) == sorted(
        [
            *(f"{name}.item.inserted" for name in names),
            *(f"{name}.item.inserted" for name in names),
            *(f"{name}.hello" for name in names),
            f"{prefix}.one.of.inserted",
        ]
    )


async def test_each_realm_has_all_changes_once(
    serve: Serve, connect: Connect, database: Database, prefix: str
) -> None:
    database.execute(*ITEM)
    heard = {realm: Events() for realm in ("realm1", OTHER_REALM)}
    for realm, events in heard.items():
        component = await serve(router={"realm": realm})
        async with asyncio.timeout(10):
            await component.publisher.leading.wait()
        client = await connect(realm=realm)
        await client.subscribe(f"{prefix}.item.", events, "prefix")
    database.execute(*(f"insert into item values ({number})" for number in (1, 2, 3)))
    for events in heard.values():
        assert [event["key"]["id"] for event in await events.count(3)] == [1, 2, 3]


async def test_a_prefix_that_did_not_run_goes_on_where_it_left_off(
    serve: Serve, connect: Connect, database: Database, prefix: str, events: Events
) -> None:
    database.execute(*ITEM)
    await (await connect()).subscribe(f"{prefix}.two.", events, "prefix")
    second = await serve(expose={"prefix": f"{prefix}.two"})
    database.execute("insert into item values (1)")
    await events.count(1)
    await second.stop()
    await serve(expose={"prefix": f"{prefix}.one"})
    database.execute("insert into item values (2)")
    await serve(expose={"prefix": f"{prefix}.two"})
    assert [event["key"]["id"] for event in await events.count(2)] == [1, 2]


async def test_what_is_silent_is_read_and_not_published(
    serve: Serve, connect: Connect, database: Database, prefix: str, events: Events
) -> None:
    database.execute(
        "create table quiet (id int primary key)",
        """select wamp.watch('quiet', '{"publish": false}')""",
        *ITEM,
    )
    await serve()
    client = await connect()
    await client.subscribe(f"{prefix}.", events, "prefix")
    database.execute(
        "insert into quiet values (1)",
        append({"op": "forgotten", "relation": "quiet", "silent": True}),
        "insert into item values (1)",
    )
    await events.count(1)
    assert [topic for topic, *_ in events.received] == [f"{prefix}.item.inserted"]
    assert [e["key"] for e in await client.call(f"{prefix}.quiet.changes")] == [{"id": 1}]


async def test_a_component_without_a_router_keeps_what_it_has_not_published(
    database: Database,
    make_settings: MakeSettings,
    monkeypatch: pytest.MonkeyPatch,
    connection: Any,
    prefix: str,
) -> None:
    told = asyncio.Event()

    async def tell(*arguments: Any) -> None:
        await tell_that_it_runs(*arguments)
        told.set()

    monkeypatch.setattr(publisher, "TELL_SECONDS", 0.01)
    monkeypatch.setattr(publisher, "tell_that_it_runs", tell)
    await connection.execute(
        "insert into wamp.publication values ('realm1', $1, 0, '', 'epoch', 'epoch')", prefix
    )
    settings = make_settings()
    link = Link(settings.router, max_bytes=1000)
    alone = publisher.Publisher(
        settings.database.events_dsn(),
        link,
        None,
        Naming(settings.expose),
        settings.events,
        Metrics(),
        realm="realm1",
        max_bytes=1000,
    )
    await alone.start()
    await asyncio.wait_for(told.wait(), 10)
    await alone.stop()
    ran = "select ran_at > now() - interval '1 hour' from wamp.publication"
    assert await connection.fetchval(ran)
