"""The sleep protocol: who may have seen the publisher awake is waited for."""

from __future__ import annotations

import asyncio

from pgwamp.events.announced import Announcement
from pgwamp.events.leader import LOCK_CLASS, leadership
from pgwamp.events.waker import ASLEEP, MOST, Waker
from tests.conftest import Database


async def test_who_has_written_an_event_is_waited_for_and_nobody_else(database: Database) -> None:
    database.execute("create table item (id int primary key)", "select wamp.watch('item')")
    writer, undecided, other = [await database.connect() for _ in range(3)]
    async with leadership(database.url) as lead:
        waker = Waker(lead)
        await waker.start()
        # Has nothing to do with events, and may stay open for long.
        await other.execute("begin; create table never (id int)")
        await undecided.execute("begin; savepoint s; insert into item values (1); rollback to s")
        await writer.execute("begin; insert into item values (2)")

        assert await waker.may_sleep()
        writing = await waker.writing()
        assert len(writing) == 1
        await undecided.execute("insert into item values (3)")
        assert await waker.writing(writing) == writing
        await writer.execute("commit")
        assert await waker.writing(writing) == []
        assert len(await waker.writing()) == 1
    for connection in (writer, undecided, other):
        await connection.close()


async def test_while_somebody_else_has_the_lock_the_publisher_stays_awake(
    database: Database,
) -> None:
    """It would be told nothing of those who find the lock shared."""
    stranger, writer = await database.connect(), await database.connect()
    share = f"select pg_advisory_lock_shared({LOCK_CLASS}, {ASLEEP})"
    await stranger.execute(share)
    async with leadership(database.url) as lead:
        waker = Waker(lead)
        await waker.start()
        assert not await waker.may_sleep()
        await stranger.execute("select pg_advisory_unlock_all()")
        assert await waker.may_sleep()
        # Whoever waits for the lock changes nothing.
        waiting = asyncio.create_task(stranger.execute(share))
        async with asyncio.timeout(10):
            while not await writer.fetchval(
                "select exists (select from pg_locks where pid = $1 and not granted)",
                stranger.get_server_pid(),
            ):
                assert not waiting.done()
        await writer.execute("select wamp.publish('com.example.told')")
        async with asyncio.timeout(10):
            await waker.sleep(10)
        told = [Announcement.parse(text).record["topic"] for text in waker.take()]
        assert told == ["com.example.told"]
        await waker.awake()
        await waiting
    await stranger.close()
    await writer.close()


async def test_of_what_is_announced_only_so_much_is_kept(database: Database) -> None:
    """The publisher may be waiting for the router while writers go on."""
    writer = await database.connect()
    async with leadership(database.url) as lead:
        waker = Waker(lead)
        await waker.start()
        for _ in range(MOST + 5):
            await writer.execute("notify pgwamp, ''")
        # What was notified before a statement comes with its answer.
        await lead.fetchval("select 1")
        assert waker.take() == [""] * MOST
        assert waker.take() == []
    await writer.close()
