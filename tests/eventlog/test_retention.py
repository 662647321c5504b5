"""What retention has removed: whoever missed it is told, and nobody else."""

from __future__ import annotations

from datetime import timedelta

import pytest

from pgwamp.errors import CursorExpired
from pgwamp.eventlog.log import oldest_position, read_page
from pgwamp.eventlog.position import START
from pgwamp.eventlog.retention import PARTITIONS, Retention
from pgwamp.eventlog.sequencing import Sequencing
from tests.eventlog.conftest import Log

ITEM = ("create table item (id int primary key)", "select wamp.watch('item')")
RETAIN = timedelta(hours=1)


async def turn(sequencing: Sequencing, log: Log, times: int = 1) -> None:
    """Have so many turns passed."""
    connection = sequencing.state._connection
    retention = Retention(connection, sequencing.state, RETAIN)
    for _ in range(times):
        await log.execute("update wamp.sequencer set rotated_at = 'epoch'")
        await retention.look_after()


async def test_a_cursor_at_the_edge_is_good_and_one_before_has_expired(log: Log) -> None:
    await log.execute(*ITEM, "insert into item values (1)", "insert into item values (2)")
    async with log.sequencing() as sequencing:
        await sequencing.look()
        before, edge = [event.position for event in await log.events()]
        await turn(sequencing, log)
        await log.execute("insert into item values (3)")
        await sequencing.look()
        (_, _, third) = await log.events()
        await turn(sequencing, log, PARTITIONS - 1)
    page = await read_page(log.connection, edge, 10)
    assert [event.position for event in page.events] == [third.position]
    for expired in (START, before):
        with pytest.raises(CursorExpired):
            await read_page(log.connection, expired, 10)
    assert await oldest_position(log.connection) == edge


async def test_an_idle_database_expires_no_cursor(log: Log) -> None:
    await log.execute(*ITEM, "insert into item values (1)")
    async with log.sequencing() as sequencing:
        await sequencing.look()
        (event,) = await log.events()
        await turn(sequencing, log, 3 * PARTITIONS)
    page = await read_page(log.connection, event.position, 10)
    assert (page.events, page.end) == ([], event.position)


async def test_what_is_not_published_is_kept(log: Log) -> None:
    await log.execute(
        *ITEM,
        "insert into item values (1)",
        "insert into wamp.publication (realm, prefix, position, mark) values ('r', 'p', 0, '')",
    )
    async with log.sequencing() as sequencing:
        await sequencing.look()
        await turn(sequencing, log, 3 * PARTITIONS)
        assert len(await log.events()) == 1
        await log.execute("update wamp.publication set position = 100")
        await turn(sequencing, log, PARTITIONS)
        assert await log.connection.fetchval("select count(*) from wamp.log") == 0


async def test_who_publishes_no_longer_holds_up_nobody(log: Log) -> None:
    await log.execute(
        *ITEM,
        "insert into item values (1)",
        "insert into wamp.publication values ('r', 'p', 0, '', now(), now() - interval '2 hours')",
    )
    async with log.sequencing() as sequencing:
        await sequencing.look()
        await turn(sequencing, log, PARTITIONS)
    assert await log.connection.fetchval("select count(*) from wamp.log") == 0


async def test_a_partition_that_is_read_is_left_for_the_next_time(log: Log) -> None:
    await log.execute(*ITEM, "insert into item values (1)")
    async with log.sequencing() as sequencing:
        await sequencing.look()
        await turn(sequencing, log, PARTITIONS - 1)
        await sequencing.state._connection.execute("set lock_timeout = '50ms'")
        async with log.connection.transaction():
            await log.connection.fetch("select from wamp.log")
            other = await log.database.connect()
            await other.execute("update wamp.sequencer set rotated_at = 'epoch'")
            retention = Retention(sequencing.state._connection, sequencing.state, RETAIN)
            await retention.look_after()
            await other.close()
        (event,) = await log.events()
        await retention.look_after()
    assert await oldest_position(log.connection) == event.position
