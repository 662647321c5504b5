"""When the log has everything that rows of a moment have."""

from __future__ import annotations

from dataclasses import replace

import asyncpg
import pytest

from pgwamp.database.connect import CONNECTION_ERRORS
from pgwamp.errors import CursorExpired
from pgwamp.eventlog import sequencing as sequencing_module
from pgwamp.eventlog.log import last_position
from pgwamp.eventlog.moment import keep, position_beyond, seen_by
from pgwamp.eventlog.sequencing import Sequencing
from tests.eventlog.conftest import Log

WATCHED = ("create table item (id int primary key)", "select wamp.watch('item')")
BEGIN = "begin isolation level repeatable read, read only"


async def test_the_log_is_beyond_a_moment_when_all_from_before_it_was_made_into_events(
    log: Log, monkeypatch: pytest.MonkeyPatch
) -> None:
    await log.execute(*WATCHED)
    await log.take()
    reader, early = await log.database.connect(), await log.database.connect()
    await early.execute("begin; insert into item values (3)")
    await log.execute("insert into item select generate_series(11, 20)")
    await reader.execute(BEGIN)
    moment = await keep(reader, log.connection, await seen_by(reader))
    await log.execute("insert into item values (4)")
    await early.execute("commit")
    assert await position_beyond(log.connection, moment) is None

    # Some of it is not all.
    monkeypatch.setattr(sequencing_module, "MOST_ROWS", 1)
    monkeypatch.setattr(sequencing_module, "AT_ONCE", 4)
    store = Sequencing._store
    stored = 0

    async def stumble(self: Sequencing, *arguments: object) -> None:
        nonlocal stored
        if stored:
            raise ConnectionError
        stored += 1
        await store(self, *arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(Sequencing, "_store", stumble)
    with pytest.raises(ConnectionError):
        await log.take()
    assert len(await log.events()) == 4
    assert await position_beyond(log.connection, moment) is None
    monkeypatch.undo()

    await log.take()
    assert len(await log.events()) == 12
    end = await last_position(log.connection)
    assert await position_beyond(log.connection, moment) == end
    # What comes after it is nothing that it has.
    await log.execute("insert into item values (5)")
    assert await position_beyond(log.connection, moment) == end
    for connection in (reader, early):
        await connection.close()


async def test_a_moment_of_another_run_of_the_server_is_none_of_this_history(log: Log) -> None:
    await log.execute(*WATCHED)
    moment = await keep(log.connection, log.connection, await seen_by(log.connection))
    with pytest.raises(CursorExpired, match="the database was restarted"):
        await position_beyond(log.connection, replace(moment, server=moment.server - 1))


async def test_a_moment_that_a_crash_may_have_undone_is_not_kept(log: Log) -> None:
    reader = await log.database.connect()
    await reader.execute(BEGIN)
    seen = await seen_by(reader)
    await log.execute(f"select pg_terminate_backend({reader.get_server_pid()}, 10000)")
    with pytest.raises((*CONNECTION_ERRORS, asyncpg.PostgresError)):
        await keep(reader, log.connection, seen)
