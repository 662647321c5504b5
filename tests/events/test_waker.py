"""The sleep protocol: who may have seen the publisher awake is waited for."""

from __future__ import annotations

from pgwamp.events.leader import leadership
from pgwamp.events.waker import Waker
from tests.conftest import Database


async def test_who_has_written_an_event_is_waited_for_and_nobody_else(database: Database) -> None:
    database.execute("create table item (id int primary key)", "select wamp.watch('item')")
    writer, undecided, other = [await database.connect() for _ in range(3)]
    async with leadership(database.url) as lead:
        waker = Waker(lead)
        await waker.start()
        await waker.awake()
        # Has nothing to do with events, and may stay open for long.
        await other.execute("begin; create table never (id int)")
        await undecided.execute("begin; savepoint s; insert into item values (1); rollback to s")
        await writer.execute("begin; insert into item values (2)")

        await waker.may_sleep()
        writing = await waker.writing()
        assert len(writing) == 1
        await undecided.execute("insert into item values (3)")
        assert await waker.writing(writing) == writing
        await writer.execute("commit")
        assert await waker.writing(writing) == []
        assert len(await waker.writing()) == 1
    for connection in (writer, undecided, other):
        await connection.close()
