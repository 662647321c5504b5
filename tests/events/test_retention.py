"""What retention has removed: whoever missed it is told, and nobody else."""

from __future__ import annotations

import asyncio
from typing import Any

import asyncpg
import pytest

from pgwamp.errors import CursorExpired
from pgwamp.events.cursor import Position
from pgwamp.events.leader import leadership
from pgwamp.events.reader import read_page
from tests.conftest import Connect, Database, Events, Serve


async def empty_all(connection: asyncpg.Connection[Any]) -> None:
    """Empty the partitions of events, as if all had been written long ago."""
    for _ in range(6):
        await connection.execute("update wamp.retention set rotated_at = '2000-01-01'")
        assert await connection.fetchval("select wamp.rotate('1 hour')") is not None


async def test_a_transaction_older_than_all_events_is_published(
    database: Database, serve: Serve, connect: Connect, events: Events, prefix: str
) -> None:
    database.execute("create table item (id int primary key)", "select wamp.watch('item')")
    component = await serve()
    client = await connect()
    await client.subscribe(f"{prefix}.item.inserted", events)
    writer, old = await database.connect(), await database.connect()
    transaction = old.transaction()
    await transaction.start()
    await old.execute("select pg_current_xact_id()")
    await writer.execute("insert into item values (1)")
    await events.count(1)
    # Handing over stores the position.
    await component.stop()
    await empty_all(writer)

    await serve()
    await old.execute("insert into item values (2)")
    await transaction.commit()
    assert [event["key"]["id"] for event in await events.count(2)] == [1, 2]
    await writer.close()
    await old.close()


async def test_a_cursor_within_a_transaction_that_was_removed_has_expired(
    database: Database,
) -> None:
    database.execute("create table item (id int primary key)", "select wamp.watch('item')")
    writer, old = await database.connect(), await database.connect()
    transaction = old.transaction()
    await transaction.start()
    await old.execute("select pg_current_xact_id()")
    await writer.execute("insert into item values (1)")
    before = (await read_page(writer, Position("1:1:"), 10)).end
    await old.execute("insert into item values (2), (3)")
    await transaction.commit()
    within = (await read_page(writer, before, 1)).end
    assert len((await read_page(writer, within, 10)).records) == 1

    await writer.execute("update wamp.publisher set published = pg_current_snapshot()")
    await empty_all(writer)
    for position in (before, within):
        with pytest.raises(CursorExpired):
            await read_page(writer, position, 10)
    await writer.close()
    await old.close()


async def test_after_a_restore_what_was_not_published_is_published(
    database: Database, serve: Serve, connect: Connect, events: Events, prefix: str
) -> None:
    database.execute(
        "create table item (id int primary key)",
        "select wamp.watch('item')",
        "insert into item values (1)",
        "insert into item values (2)",
        # As it comes out of a dump of a database whose transactions count further.
        "update wamp.event set xid = '890000' where key ->> 'id' = '1'",
        "update wamp.event set xid = '910000' where key ->> 'id' = '2'",
        "update wamp.retention set pruned = '800000'",
        "update wamp.publisher set cluster = 'elsewhere', published = '900000:900000:', "
        "published_at = now()",
        # And what an application writes before the component starts.
        "insert into item values (3)",
    )
    client = await connect()
    await client.subscribe(f"{prefix}.item.inserted", events)
    await serve()
    database.execute("insert into item values (4)")
    assert [event["key"]["id"] for event in await events.count(3)] == [2, 3, 4]
    answer = await client.call(f"{prefix}.item.changes")
    assert [event["key"]["id"] for event in answer] == [2, 3, 4]


async def test_what_is_written_while_a_partition_is_emptied_stays(database: Database) -> None:
    database.execute(
        f'alter database "{database.name}" set default_transaction_isolation = "repeatable read"',
        f"alter database \"{database.name}\" set statement_timeout = '300ms'",
        "update wamp.retention set rotated_at = '2000-01-01'",
    )
    writer, observer = await database.connect(), await database.connect()
    waiting = "select exists (select from pg_locks where locktype = 'relation' and not granted)"
    async with leadership(database.url) as lead:
        transaction = writer.transaction()
        await transaction.start()
        # As a transaction does that began five turns ago.
        await writer.execute("insert into wamp.event (slot, topic) values (1, 'com.example.old')")
        emptying = asyncio.create_task(lead.fetchval("select wamp.rotate('1 hour')"))
        async with asyncio.timeout(5):
            while not await observer.fetchval(waiting):  # noqa: ASYNC110 (PostgreSQL tells nobody)
                await asyncio.sleep(0)
        await transaction.commit()

        assert await emptying is None
        assert await observer.fetchval("select count(*) from wamp.event") == 1
        # However long it takes.
        await lead.execute("select pg_sleep(0.4)")
    await writer.close()
    await observer.close()
