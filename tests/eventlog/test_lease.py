"""The lead is a lease: who may have lost it asks before it publishes, and the next one waits."""

from __future__ import annotations

import asyncio

import asyncpg
import pytest

from pgwamp.database.connect import CONNECTION_ERRORS
from pgwamp.events import leader
from pgwamp.events.leader import LEADER, LOCK_CLASS, Lead, leadership
from tests.conftest import Database

_HOLDER = (
    "select pid from pg_locks join pg_database as d on d.oid = database "
    f"where datname = current_database() and classid = {LOCK_CLASS} and objid = {LEADER} "
    "and granted"
)
# The last that whoever has the lock has asked for is whether somebody led.
_ASKED = (
    "select exists (select from pg_stat_activity where datname = current_database() "
    f"and query like 'select led %' and state = 'idle' and pid = ({_HOLDER}))"
)


async def test_who_leads_asks_once_in_a_lease(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(leader, "LEASE", 3600)
    connection = await database.connect()
    lead = Lead(connection)
    await lead.confirm()
    connection.terminate()
    await lead.confirm()
    with pytest.raises((*CONNECTION_ERRORS, asyncpg.InterfaceError)):
        await Lead(connection).confirm()


async def test_an_answer_that_comes_too_late_confirms_nothing(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(leader, "LEASE", 0.2)
    connection = await database.connect()
    asked: list[str] = []

    class Slow:
        async def execute(self, query: str) -> str:
            asked.append(query)
            return await connection.execute("select pg_sleep(0.4)" if len(asked) == 1 else query)

    await Lead(Slow()).confirm()  # type: ignore[arg-type]
    assert len(asked) == 2
    await connection.close()


async def lead(database: Database, left: asyncio.Event, error: Exception | None = None) -> None:
    """Lead until ``left`` is set, or until ``error`` is raised."""
    async with leadership(database.url) as lead:
        assert lead.connection.get_server_pid() == await lead.fetchval(_HOLDER)
        await left.wait()
        if error is not None:
            raise error


@pytest.mark.parametrize("error", [None, LookupError("the router is gone")])
async def test_who_leaves_is_followed_at_once(
    error: Exception | None, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(leader, "LEASE", 3600)
    for _ in range(2):
        left = asyncio.Event()
        left.set()
        async with asyncio.timeout(20):
            if error is None:
                await lead(database, left)
            else:
                with pytest.raises(LookupError):
                    await lead(database, left, error)


async def test_who_did_not_leave_is_waited_for(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    stranger = await database.connect()
    async with leadership(database.url) as former:
        former.connection.terminate()
        monkeypatch.setattr(leader, "LEASE", 3600)
        left = asyncio.Event()
        following = asyncio.create_task(lead(database, left))
        async with asyncio.timeout(20):
            while not await stranger.fetchval(_ASKED):
                pass
        # It has the lock; without the lease it would lead within a few round trips.
        for _ in range(100):
            await stranger.fetchval("select 1")
        assert await stranger.fetchval(_ASKED)
        following.cancel()
    await stranger.close()
