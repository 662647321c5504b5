"""A component whose schema wamp is removed says so once, and goes on when it is back."""

from __future__ import annotations

import asyncio

import pytest

from pgwamp import migrations, provisioning
from tests.conftest import Database, Serve
from tests.servers import EVENTS, Addresses

LINE = "the sequencer waits: the database has no wamp schema: run 'pgwamp db upgrade'"


async def test_a_schema_that_is_gone_is_told_once(
    database: Database, addresses: Addresses, serve: Serve, caplog: pytest.LogCaptureFixture
) -> None:
    served = await serve()
    tries = asyncio.Event()
    lead = served.sequencer._lead
    count = 0

    async def counted() -> None:
        nonlocal count
        count += 1
        if count == 4:
            tries.set()
        await lead()

    served.sequencer._lead = counted  # type: ignore[method-assign]
    await asyncio.to_thread(migrations.downgrade, addresses.database(database.name, EVENTS), "base")
    async with asyncio.timeout(30):
        await tries.wait()
    assert caplog.text.count(LINE) == 1
    await asyncio.to_thread(migrations.upgrade, database.url)
    await asyncio.to_thread(provisioning.give_schema, database.url, EVENTS)
    async with asyncio.timeout(30):
        await served.sequencer.leading.wait()
    assert caplog.text.count(LINE) == 1
