"""A lease: certain for its holder, waited for by the others, and fenced by its term."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import asyncpg
import pytest

from pgwamp.eventlog import lease as module
from pgwamp.eventlog.lease import FENCE, Lease, LeaseLost, Leases
from tests.conftest import Database

NAME = "something"
LONG_AGO = "update wamp.lease set renewed_at = now() - interval '2 hours'"


@pytest.fixture
def leases(database: Database, monkeypatch: pytest.MonkeyPatch) -> Leases:
    """Of one process; a lease lasts for an hour."""
    monkeypatch.setattr(module, "LEASE_SECONDS", 3600.0)
    return Leases(database.url, NAME)


async def hold(leases: Leases, held: asyncio.Event, left: asyncio.Event) -> None:
    """Hold the lease until ``left`` is set."""
    async with leases.held():
        held.set()
        await left.wait()


async def test_it_is_certain_from_the_moment_before_it_was_asked_for(
    leases: Leases, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = 1000.0
    monkeypatch.setattr(module, "_now", lambda: now)
    async with leases.held() as lease:
        now += 3599.0
        lease.confirm()
        now += 1.0
        with pytest.raises(LeaseLost):
            lease.confirm()
        monkeypatch.setattr(module, "RENEW_SECONDS", 0.01)
        keeping = asyncio.create_task(lease.keep())
        async with asyncio.timeout(10):
            while True:
                try:
                    lease.confirm()
                    break
                except LeaseLost:
                    await asyncio.sleep(0.01)
        keeping.cancel()


async def test_whoever_leaves_in_order_is_followed_at_once(
    leases: Leases, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "RETRY_SECONDS", 3600.0)
    held, left = asyncio.Event(), asyncio.Event()
    async with leases.held() as lease:
        next_one = asyncio.create_task(hold(Leases(database.url, NAME), held, left))
        async with connected(database) as stranger, asyncio.timeout(10):
            while not await stranger.fetchval(_HAS_TRIED):
                assert not held.is_set()
    async with asyncio.timeout(10):
        await held.wait()
    with pytest.raises(LeaseLost):
        lease.confirm()
    left.set()
    await next_one


async def test_whoever_did_not_leave_is_waited_for_and_changes_nothing_more(
    leases: Leases, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "RETRY_SECONDS", 0.001)
    monkeypatch.setattr(module, "RENEW_SECONDS", 0.001)
    tries = 0
    take = Lease.take

    async def counted(self: Lease, own_term: int) -> bool:
        nonlocal tries
        tries += 1
        return await take(self, own_term)

    held, left = asyncio.Event(), asyncio.Event()
    async with leases.held() as stopped, connected(database) as connection:
        monkeypatch.setattr(Lease, "take", counted)
        next_one = asyncio.create_task(hold(Leases(database.url, NAME), held, left))
        async with asyncio.timeout(10):
            while tries < 20:  # noqa: ASYNC110 (nothing tells of a try)
                await asyncio.sleep(0.001)
        assert not held.is_set()
        assert await connection.fetch(FENCE, NAME, stopped.term)
        await connection.execute(LONG_AGO)
        async with asyncio.timeout(10):
            await held.wait()
        assert not await connection.fetch(FENCE, NAME, stopped.term)
        with pytest.raises(LeaseLost):
            await stopped.keep()
    # Leaving what another one holds takes nothing from it.
    async with connected(database) as connection:
        assert await connection.fetchval("select held from wamp.lease where name = $1", NAME)
    left.set()
    await next_one


async def test_a_takeover_waits_for_a_transaction_of_the_holder(
    leases: Leases, database: Database
) -> None:
    held, left = asyncio.Event(), asyncio.Event()
    async with (
        leases.held() as stopped,
        connected(database) as writer,
        connected(database) as stranger,
    ):
        transaction = writer.transaction()
        await transaction.start()
        assert await writer.fetch(FENCE, NAME, stopped.term)
        # To renew it waits for nobody.
        await stranger.execute(LONG_AGO)
        next_one = asyncio.create_task(hold(Leases(database.url, NAME), held, left))
        async with asyncio.timeout(10):
            while not await stranger.fetchval(_WAITS):
                assert not held.is_set()
        await transaction.commit()
        async with asyncio.timeout(10):
            await held.wait()
    left.set()
    await next_one


async def test_a_process_takes_its_own_lease_again_at_once(
    leases: Leases, database: Database
) -> None:
    async with leases.held() as lost:
        lost._connection.terminate()
    async with asyncio.timeout(10), leases.held() as again:
        assert again.term > lost.term


async def test_a_term_that_the_database_has_lost_is_nobody_elses(
    leases: Leases, database: Database
) -> None:
    """A promoted standby does not know of the last takeover, and another process is first."""
    async with connected(database) as connection:
        async with leases.held() as lost:
            pass
        await connection.execute("update wamp.lease set term = 0")
        async with Leases(database.url, NAME).held() as other:
            assert other.term != lost.term
            assert not await Lease(NAME, connection).take(lost.term)
            assert await connection.fetch(FENCE, NAME, other.term)


_HAS_TRIED = (
    "select exists (select from pg_stat_activity where datname = current_database() "
    "and application_name like 'pgwamp lease%' and state = 'idle' and query like '%wamp.lease%')"
)
_WAITS = (
    "select exists (select from pg_stat_activity where datname = current_database() "
    "and application_name like 'pgwamp lease%' and wait_event_type = 'Lock')"
)


@asynccontextmanager
async def connected(database: Database) -> AsyncIterator[asyncpg.Connection[Any]]:
    """A connection that is closed in the end."""
    connection = await database.connect()
    yield connection
    await connection.close()
