"""No committed change is lost while router, database and component are killed."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from pgwamp import migrations
from pgwamp.dev.postgres import Postgres
from pgwamp.dev.router import Router
from pgwamp.session import Client
from pgwamp.settings import RouterSettings
from tests.events.workload import SCHEMA, Subscriber, Workload, compare
from tests.processes import Pgwamp
from tests.servers import execute

PREFIX = "com.example"
ROWS = 20_000

Fault = Callable[[], Awaitable[None]]


@pytest.mark.slow
@pytest.mark.timeout(300)
async def test_every_committed_change_arrives_although_everything_is_killed(
    own_postgres: Postgres, own_router: Router, tmp_path: Path
) -> None:
    url = own_postgres.url()
    migrations.upgrade(url)
    execute(url, *SCHEMA)
    component = Pgwamp(
        "run",
        environment={
            "DATABASE_URL": url,
            "PGWAMP_ROUTER__URL": own_router.component_url,
            "PGWAMP_EXPOSE__SCHEMAS": '["public"]',
        },
        folder=tmp_path,
    )

    async def kill_router() -> None:
        await asyncio.to_thread(own_router.kill)
        await asyncio.to_thread(own_router.start)

    async def crash_database() -> None:
        await asyncio.to_thread(own_postgres.stop, "immediate")
        await asyncio.to_thread(own_postgres.start)

    async def kill_component() -> None:
        await component.kill()
        await component.start()

    await component.start()
    workload = Workload(url, ROWS)
    subscriber = Subscriber(PREFIX)
    async with Client(RouterSettings(url=own_router.url), subscriber.on_rejoin) as client:
        following = asyncio.create_task(subscriber.follow(client))
        writing = asyncio.create_task(workload.run())
        try:
            for share, fault in ((0.2, kill_router), (0.45, crash_database), (0.7, kill_component)):
                await _reached(workload, writing, share)
                await fault()
            await asyncio.wait_for(writing, 120)
            result = await compare(url, workload, subscriber, seconds=60)
        except AssertionError as error:
            raise AssertionError(f"{error}\n{component.output[-5000:]}") from error
        finally:
            for task in (following, writing):
                task.cancel()
                with contextlib.suppress(asyncio.CancelledError):
                    await task
            await component.stop()
    print("\nfaults:", result)
    assert result["committed"] >= ROWS
    assert result["caught_up"] > 0, "the subscriber was never cut off: the test shows too little"


async def _reached(workload: Workload, writing: asyncio.Task[None], share: float) -> None:
    """Wait until so much of the work is done."""
    async with asyncio.timeout(90):
        while workload.committed < share * workload.target:
            assert not writing.done(), "the writers ended early"
            await asyncio.sleep(0.01)  # the writers run in this loop: let them
