"""Connections are shared: one caller with slow calls leaves the others theirs."""

from __future__ import annotations

import asyncio

from tests.database.conftest import Expose

HOLD = "create function hold() returns void language sql stable as 'select pg_advisory_lock(7)'"


async def test_slow_calls_of_one_caller_leave_connections_to_others(expose: Expose) -> None:
    call = await expose(HOLD, "create table item (id int primary key)", database={"pool_max": 4})
    async with call.database.own() as holder:
        await holder.execute("select pg_advisory_lock(7)")
        slow = [asyncio.ensure_future(call("hold", by="anna")) for _ in range(10)]
        # One of them holds a connection, the others wait for that one.
        async with asyncio.timeout(10):
            while call.database.usage()["read"][0] == 0:
                assert await call("item.select", by="ben") == []
            for _ in range(5):
                assert await call("item.select", by="ben") == []
        assert call.database.usage()["read"][0] == 1
        await holder.execute("select pg_advisory_unlock(7)")
        async with asyncio.timeout(20):
            await asyncio.gather(*slow)


async def test_a_call_without_a_turn_is_refused_after_the_time_to_wait(expose: Expose) -> None:
    call = await expose(HOLD, database={"pool_max": 4, "acquire_timeout": 0.3})
    async with call.database.own() as holder:
        await holder.execute("select pg_advisory_lock(7)")
        first = asyncio.ensure_future(call("hold", by="anna"))
        await asyncio.sleep(0)
        error = await call.fails("pgwamp.error.unavailable", "hold", by="anna")
        assert "database.pool_max" in error.message
        await holder.execute("select pg_advisory_unlock(7)")
        async with asyncio.timeout(20):
            await first
