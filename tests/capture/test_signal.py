"""Writers wake a reader that sleeps, and only that; none is missed, whatever its isolation."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import asyncpg
import pytest

from pgwamp.capture import Signal, TriggerCapture
from pgwamp.capture.signal import CHANNEL
from pgwamp.capture.turns import Turns
from tests.conftest import Database

ITEM = ("create table item (id int primary key)", "select wamp.watch('item')")
LEVELS = ("read committed", "repeatable read", "serializable")


class Reader:
    """A reader and what it has heard."""

    def __init__(self, connection: asyncpg.Connection[Any]):
        self.connection = connection
        self.signal = Signal(connection)
        self.capture = TriggerCapture(connection, connection)
        self.seen = ""

    async def look(self) -> int:
        """How many raw rows are new."""
        look = await self.capture.look(self.seen, 1000)
        self.seen = look.snapshot
        return len(look.rows)


@pytest.fixture
async def reader(database: Database) -> AsyncIterator[Reader]:
    """A reader that has seen all there is."""
    database.execute(*ITEM)
    connection = await database.connect()
    found = Reader(connection)
    await found.signal.start()
    found.seen = await connection.fetchval("select pg_current_snapshot()::text")
    yield found
    await connection.close()


@pytest.fixture
async def writer(database: Database) -> AsyncIterator[asyncpg.Connection[Any]]:
    """Another connection."""
    connection = await database.connect()
    yield connection
    await connection.close()


async def heard(reader: Reader) -> bool:
    """Whether a notification has come; one that was sent before comes with the answer."""
    await reader.connection.fetchval("select 1")
    return await reader.signal.sleep(0)


@pytest.mark.parametrize("level", LEVELS)
async def test_a_writer_wakes_a_sleeper_and_nobody_else(
    reader: Reader, writer: asyncpg.Connection[Any], level: str
) -> None:
    isolation = f"set session characteristics as transaction isolation level {level}"
    await writer.execute(isolation)
    await writer.execute("insert into item values (1)")
    assert not await heard(reader)
    await reader.signal.fall_asleep()
    await writer.execute("insert into item values (2)")
    assert await heard(reader)
    assert await reader.look() == 2
    reader.signal.clear()
    await reader.signal.stay_awake()
    await writer.execute("insert into item values (3)")
    assert not await heard(reader)


@pytest.mark.parametrize("level", LEVELS)
async def test_whoever_wrote_before_the_sleep_is_waited_for(
    reader: Reader, writer: asyncpg.Connection[Any], level: str
) -> None:
    await writer.execute(f"begin isolation level {level}; insert into item values (1)")
    await reader.signal.fall_asleep()
    writing = await reader.signal.writing()
    assert len(writing) == 1
    await writer.execute("insert into item values (2); commit")
    # It may have notified for its second statement; the first would be enough.
    assert await reader.signal.writing(writing) == []
    assert await reader.look() == 2


@pytest.mark.parametrize("level", LEVELS)
async def test_a_writer_with_an_old_snapshot_sees_the_sleeper(
    reader: Reader, writer: asyncpg.Connection[Any], level: str
) -> None:
    await writer.execute(f"begin isolation level {level}; select count(*) from item")
    await reader.signal.fall_asleep()
    assert await reader.signal.writing() == []
    await writer.execute("insert into item values (1); commit")
    assert await heard(reader)


async def test_publishing_wakes_a_sleeper(reader: Reader, writer: asyncpg.Connection[Any]) -> None:
    await reader.signal.fall_asleep()
    await writer.execute("select wamp.publish('com.example.told')")
    assert await heard(reader)
    assert await reader.look() == 1


async def test_nobody_else_can_set_the_signal(database: Database) -> None:
    connection = await database.connect()
    await connection.execute("create role signal_stranger; set role signal_stranger")
    try:
        for statement in (
            "select setval('wamp.signal', 1)",
            "select nextval('wamp.signal')",
            "select last_value from wamp.signal",
        ):
            with pytest.raises(asyncpg.InsufficientPrivilegeError):
                await connection.execute(statement)
    finally:
        await connection.execute("reset role; drop role signal_stranger")
        await connection.close()


async def test_a_notification_of_a_stranger_costs_a_look(
    reader: Reader, writer: asyncpg.Connection[Any]
) -> None:
    await reader.signal.fall_asleep()
    await writer.execute(f"notify \"{CHANNEL}\", 'anything'")
    assert await heard(reader)
    assert await reader.look() == 0


async def test_partitions_are_emptied_when_all_of_them_is_in_the_log(
    reader: Reader, writer: asyncpg.Connection[Any]
) -> None:
    turns = Turns(reader.connection, reader.signal)
    before = reader.seen
    sizes = (
        "select array[pg_relation_size('wamp.raw_0'), pg_relation_size('wamp.raw_1'), "
        "pg_relation_size('wamp.raw_2')]"
    )
    await writer.execute("insert into item select n from generate_series(1, 100) as n")
    await turns.look_after(before, full_bytes=0)
    assert reader.signal.turn == 1
    await writer.execute("insert into item values (200)")
    await turns.look_after(before, full_bytes=0)
    # Nothing is stored yet.
    assert all((await reader.connection.fetchval(sizes))[:2])
    await reader.look()
    await turns.look_after(reader.seen, full_bytes=0)
    first, second, _ = await reader.connection.fetchval(sizes)
    assert (first, reader.signal.turn % 3) == (0, 2)
    assert second == 0
    await writer.execute("insert into item values (300)")
    rows = await reader.connection.fetch("select turn from wamp.raw")
    assert [row["turn"] for row in rows] == [2]


async def test_a_partition_that_somebody_writes_to_is_left(
    reader: Reader, writer: asyncpg.Connection[Any]
) -> None:
    turns = Turns(reader.connection, reader.signal)
    await writer.execute("begin; insert into item values (1)")
    await reader.signal.set_turn(1)
    seen = await reader.connection.fetchval("select pg_current_snapshot()::text")
    async with asyncio.timeout(5):
        await turns.look_after(seen)
    await writer.execute("commit")
    assert await reader.look() == 1


async def test_a_transaction_that_stays_open_keeps_its_partition_and_no_other(
    reader: Reader, writer: asyncpg.Connection[Any]
) -> None:
    turns = Turns(reader.connection, reader.signal)
    await writer.execute("begin; insert into item values (0)")
    sizes = "select pg_relation_size('wamp.raw_1') + pg_relation_size('wamp.raw_2')"
    turned = []
    for number in range(1, 6):
        await reader.connection.execute(f"insert into item values ({number})")
        await reader.look()
        await turns.look_after(reader.seen, full_bytes=0)
        turned.append(reader.signal.turn % 3)
        # Emptied, but for what was written since.
        assert await reader.connection.fetchval(sizes) <= 8192
    assert turned == [1, 2, 1, 2, 1]
    await writer.execute("commit")
