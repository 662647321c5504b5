"""The sleep protocol: who may have seen the publisher awake is waited for."""

from __future__ import annotations

from pgwamp.events.leader import leadership
from pgwamp.events.waker import Waker
from tests.conftest import Database


async def test_the_newest_transaction_is_among_the_running(database: Database) -> None:
    writer = await database.connect()
    async with leadership(database.url) as lead:
        waker = Waker(lead)
        await waker.start()
        await waker.awake()
        transaction = writer.transaction()
        await transaction.start()
        # Nothing that began later has ended: no snapshot names it among those in progress.
        xid = await writer.fetchval("select pg_current_xact_id()::text")
        await writer.fetchval("select wamp.publish('com.example.late')")

        await waker.may_sleep()
        running = await waker.running()
        assert xid in running
        await transaction.commit()
        assert xid not in await waker.running(running)
    await writer.close()
