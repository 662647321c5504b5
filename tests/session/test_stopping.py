"""The stop of a component that waits for somebody who does not answer has an end."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from pgwamp.errors import CallError
from tests.conftest import Addresses, Connect, Database, MakeSettings, Observe, Serve
from tests.processes import Pgwamp
from tests.servers import CALLS, EVENTS
from tests.session.proxy import Proxy

NAP = """
create function nap(seconds float8) returns int language sql as 'select 1 from pg_sleep(seconds)'
"""
NAPPING = "exists (select from pg_stat_activity where wait_event = 'PgSleep' and query ~ 'nap')"
#: Seconds that a stop without time takes at most, and one of the tests' own time limits.
SOON, LONG = 4.0, 60


@pytest.fixture
async def server(addresses: Addresses) -> AsyncIterator[Proxy]:
    """A way to PostgreSQL that can be stalled: as a host that hangs."""
    async with Proxy(addresses.postgres) as proxy:
        yield proxy


@pytest.fixture
def hanging(server: Proxy, database: Database) -> dict[str, str]:
    """The addresses of a database that will hang."""
    place = f"127.0.0.1:{server.url.rpartition(':')[2].rstrip('/')}/{database.name}"
    return {
        "url": f"postgresql://{CALLS}@{place}",
        "events_url": f"postgresql://{EVENTS}@{place}",
    }


@pytest.mark.parametrize("drain_timeout", [0, 2])
async def test_a_database_that_hangs_makes_no_stop_longer_than_it_may_last(
    hanging: dict[str, str],
    server: Proxy,
    serve: Serve,
    connect: Connect,
    database: Database,
    observe: Observe,
    prefix: str,
    drain_timeout: int,
) -> None:
    database.execute(NAP)
    component = await serve(database=hanging, limits={"drain_timeout": drain_timeout})
    client = await connect()
    async with asyncio.timeout(LONG):
        await component.publisher.leading.wait()
        await component.sequencer.leading.wait()
        calling = asyncio.ensure_future(client.call(f"{prefix}.nap", [600.0]))
        await observe(NAPPING)
        server.stall()
        began = time.monotonic()
        await component.stop()
        assert time.monotonic() - began < drain_timeout + SOON
        with pytest.raises(CallError) as caught:
            await calling
    assert caught.value.uri == "pgwamp.error.unavailable"


async def test_whoever_is_in_a_hurry_waits_for_no_database(
    hanging: dict[str, str],
    server: Proxy,
    serve: Serve,
    connect: Connect,
    database: Database,
    observe: Observe,
    prefix: str,
) -> None:
    database.execute(NAP)
    component = await serve(database=hanging)
    client = await connect()
    async with asyncio.timeout(LONG):
        await component.publisher.leading.wait()
        await component.sequencer.leading.wait()
        calling = asyncio.ensure_future(client.call(f"{prefix}.nap", [600.0]))
        await observe(NAPPING)
        server.stall()
        stopping = asyncio.ensure_future(component.stop())
        await asyncio.wait({stopping}, timeout=0.5)
        assert not stopping.done()
        began = time.monotonic()
        component.hurry()
        await stopping
        assert time.monotonic() - began < SOON
        with pytest.raises(CallError) as caught:
            await calling
    assert caught.value.uri == "pgwamp.error.unavailable"


async def test_a_router_that_hangs_makes_no_stop_longer_than_it_may_last(
    addresses: Addresses, serve: Serve
) -> None:
    async with Proxy(addresses.component) as router:
        component = await serve(router={"url": router.url}, limits={"drain_timeout": 0})
        router.stall()
        began = time.monotonic()
        async with asyncio.timeout(LONG):
            await component.stop()
        assert time.monotonic() - began < SOON


async def test_a_second_signal_ends_a_process_whose_database_hangs(
    hanging: dict[str, str],
    server: Proxy,
    make_settings: MakeSettings,
    tmp_path: Path,
) -> None:
    settings = make_settings()
    environment = {
        "DATABASE_URL": hanging["url"],
        "PGWAMP_DATABASE__EVENTS_URL": hanging["events_url"],
        "PGWAMP_ROUTER__URL": settings.router.url,
        "PGWAMP_EXPOSE__SCHEMAS": "public",
        "PGWAMP_EXPOSE__PREFIX": settings.expose.prefix,
    }
    process = Pgwamp("run", environment=environment, folder=tmp_path)
    await process.start(until="publishing")
    try:
        server.stall()
        os.kill(process.pid, signal.SIGTERM)
        ended = asyncio.ensure_future(process.ended(LONG))
        await asyncio.wait({ended}, timeout=1)
        assert not ended.done()
        began = time.monotonic()
        os.kill(process.pid, signal.SIGTERM)
        assert await ended == 0
        assert time.monotonic() - began < SOON
    finally:
        if process.running:
            await process.kill()
