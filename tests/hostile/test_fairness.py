"""A caller who asks for all there is gets its share, and the others are served."""

from __future__ import annotations

import asyncio
from collections import Counter
from contextlib import AsyncExitStack

import pytest

from pgwamp.session import Client
from pgwamp.settings import RouterSettings
from tests.conftest import Database, Observe, Serve
from tests.hostile.node import HostileNode
from tests.hostile.served import QUIET, SCHEMA, UNTOUCHED
from tests.hostile.writing import write
from tests.raw import ERROR, RESULT, RawClient

#: Connections of each pool, of those one caller's share, and what one authrole may have.
POOL, SHARE, ROLE_SHARE = 5, 2, 3
FOLLOWERS, FOLLOWER_SHARE = 1000, 250
NAP = write("json", [600.0])
_NAPPING = (
    "(select count(*) from pg_stat_activity where datname = current_database() "
    "and wait_event = 'PgSleep' and pid <> pg_backend_pid())"
)


@pytest.fixture
async def victim(node: HostileNode, database: Database, serve: Serve) -> Client:
    """A caller of a component that is about to be attacked."""
    database.execute(*SCHEMA)
    await serve(
        router={"url": node.router.component_url},
        database={"pool_max": POOL, "acquire_timeout": 5},
        limits={"followers": FOLLOWERS},
    )
    async with Client(RouterSettings(url=node.router.url)) as client:
        yield client


async def _everything_sent(client: RawClient) -> None:
    """Wait until the router has handed on all calls: whoever calls now comes after them."""
    last = client.send_call("com.example.nobody.serves.this")
    async with asyncio.timeout(20):
        while True:
            message = await client.receive()
            if message[0] == ERROR and message[2] == last:
                return


async def _is_served(victim: Client, prefix: str) -> None:
    async with asyncio.timeout(20):
        assert await victim.call(f"{prefix}.{QUIET}") == UNTOUCHED
        assert await victim.call(f"{prefix}.nap", [0.0]) == 1


async def test_ten_slow_reads_of_one_session_leave_connections_to_others(
    node: HostileNode, victim: Client, prefix: str, observe: Observe
) -> None:
    async with RawClient(node.socket("anonymous"), "json") as attacker:
        for _ in range(10):
            attacker.send_call(f"{prefix}.slow.select", progress=True)
        await _everything_sent(attacker)
        await _is_served(victim, prefix)
        await observe(f"{_NAPPING} = {SHARE}")


async def test_64_slow_calls_of_one_session_leave_turns_to_others(
    node: HostileNode, victim: Client, prefix: str, observe: Observe
) -> None:
    async with RawClient(node.socket("anonymous"), "json") as attacker:
        for _ in range(64):
            attacker.send_call(f"{prefix}.nap", NAP)
        await _everything_sent(attacker)
        await _is_served(victim, prefix)
        await observe(f"{_NAPPING} = {SHARE}")


async def test_1000_follows_of_one_session_leave_followers_to_others(
    node: HostileNode, victim: Client, prefix: str
) -> None:
    async with RawClient(node.socket("anonymous"), "json") as attacker:
        for _ in range(FOLLOWERS):
            attacker.send_call(f"{prefix}.thing.follow", progress=True)
        begun: set[int] = set()
        errors: Counter[str] = Counter()
        async with asyncio.timeout(60):
            while len(begun) + errors.total() < FOLLOWERS:
                message = await attacker.receive()
                if message[0] == RESULT:
                    begun.add(message[1])
                else:
                    errors[message[4]] += 1
        assert len(begun) == FOLLOWER_SHARE
        assert errors == {"pgwamp.error.unavailable": FOLLOWERS - FOLLOWER_SHARE}
        started = asyncio.Event()
        follow = asyncio.ensure_future(
            victim.call(f"{prefix}.thing.follow", on_progress=lambda _: started.set())
        )
        async with asyncio.timeout(20):
            await started.wait()
        follow.cancel()
        await _is_served(victim, prefix)


async def test_100_sessions_of_one_role_leave_a_reserve_to_another(
    node: HostileNode, victim: Client, prefix: str, observe: Observe
) -> None:
    async with AsyncExitStack() as stack:
        for _ in range(100):
            attacker = RawClient(node.socket("attackers"), "json")
            await stack.enter_async_context(attacker)
            attacker.send_call(f"{prefix}.nap", NAP)
            await _everything_sent(attacker)
        await _is_served(victim, prefix)
        await observe(f"{_NAPPING} = {ROLE_SHARE}")


async def test_callers_whom_the_router_does_not_disclose_have_one_share(
    node: HostileNode, victim: Client, prefix: str, observe: Observe
) -> None:
    async with AsyncExitStack() as stack:
        for _ in range(30):
            stranger = RawClient(node.socket("strangers"), "json")
            await stack.enter_async_context(stranger)
            stranger.send_call(f"{prefix}.nap", NAP)
            await _everything_sent(stranger)
        await _is_served(victim, prefix)
        await observe(f"{_NAPPING} = {SHARE}")
