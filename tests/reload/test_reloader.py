"""The reloader by itself: when it reloads, and how it starts, fails, comes back and stops."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from urllib.parse import urlsplit

import pytest

from pgwamp import reload as reload_module
from pgwamp.database import listener as listener_module
from pgwamp.database.listener import Listener
from pgwamp.errors import Blocked, StartError, Unavailable
from pgwamp.reload import Reloader
from pgwamp.session import Lost
from tests.conftest import Database
from tests.reload.conftest import Reloads
from tests.session.proxy import Proxy

NOTIFY = "notify pgwamp, 'reload'"


@asynccontextmanager
async def listening(dsn: str, reload: Callable[[], Awaitable[None]]) -> AsyncIterator[Reloader]:
    listener = Listener(dsn)
    reloader = Reloader(listener, reload)
    async with asyncio.timeout(20):
        reloader.start()
        await listener.start()
        try:
            yield reloader
        finally:
            await reloader.stop()
            await listener.stop()


def through(proxy: Proxy, database: Database) -> str:
    """The database's URL by way of the proxy."""
    return urlsplit(database.url)._replace(netloc=f"postgres@{urlsplit(proxy.url).netloc}").geturl()


async def test_the_wait_for_quiet_has_an_end(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reload_module, "QUIET", 0.5)
    monkeypatch.setattr(reload_module, "LATEST", 1.0)
    reloads = Reloads()
    connection = await database.connect()
    async with listening(database.url, reloads.count):
        while not reloads.ended:
            # Never quiet for half a second.
            await connection.execute(NOTIFY)
            await asyncio.sleep(0.01)
    await connection.close()


async def test_what_is_asked_during_a_reload_makes_another(database: Database) -> None:
    begun, go, reloads = asyncio.Event(), asyncio.Event(), Reloads()

    async def slow() -> None:
        begun.set()
        await go.wait()
        await reloads.count()

    async with listening(database.url, slow):
        database.execute(NOTIFY)
        await begun.wait()
        database.execute(NOTIFY)
        go.set()
        await reloads.until(2)
    assert reloads.ended == 2


async def test_a_reload_that_costs_much_is_not_asked_for_at_once_again(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reload_module, "REST", 1_000_000.0)
    monkeypatch.setattr(reload_module, "LONGEST_REST", 0.7)
    reloads, ended = Reloads(), list[float]()

    async def dear() -> None:
        ended.append(asyncio.get_running_loop().time())
        await reloads.count()

    async with listening(database.url, dear):
        for number in (1, 2):
            database.execute(NOTIFY)
            await reloads.until(number)
    assert ended[1] - ended[0] >= 0.7


async def test_other_notifications_are_not_meant(database: Database) -> None:
    reloads = Reloads()
    async with listening(database.url, reloads.count):
        database.execute("notify pgwamp", "notify pgwamp, 'released'", "notify other, 'reload'")
        database.execute(NOTIFY)
        await reloads.until(1)
    assert reloads.ended == 1


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (Lost("wamp.close.transport_lost"), 2),
        (Unavailable("busy"), 2),
        (Blocked("locked"), 2),
        (StartError("wrong"), 1),
    ],
    ids=["link", "database", "locked", "wrong"],
)
async def test_what_passes_is_tried_again_and_what_is_wrong_is_not(
    database: Database, monkeypatch: pytest.MonkeyPatch, error: Exception, expected: int
) -> None:
    monkeypatch.setattr(reload_module, "RETRY", 0.0)
    reloads = Reloads()

    async def fail_once() -> None:
        await reloads.count()
        if reloads.ended == 1:
            raise error

    async with listening(database.url, fail_once):
        database.execute(NOTIFY)
        await reloads.until(expected)
        database.execute(NOTIFY)
        await reloads.until(expected + 1)
    assert reloads.ended == expected + 1


async def test_a_defect_does_not_end_it(database: Database) -> None:
    reloads = Reloads()

    async def fail() -> None:
        await reloads.count()
        raise ZeroDivisionError

    async with listening(database.url, fail):
        for number in (1, 2):
            database.execute(NOTIFY)
            await reloads.until(number)


async def test_a_connection_that_is_dead_without_a_word_is_found(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(listener_module, "PROBE_EVERY", 0.2)
    monkeypatch.setattr(listener_module, "PROBE_TIMEOUT", 0.2)
    reloads = Reloads()
    async with Proxy(database.url) as proxy, listening(through(proxy, database), reloads.count):
        assert reloads.ended == 0
        proxy.stall()
        await proxy.until_accepted(2)
        proxy.flow()
        await reloads.until(1)


async def test_a_start_without_an_answer_goes_on_in_the_background(database: Database) -> None:
    reloads = Reloads()
    async with Proxy(database.url) as proxy:
        proxy.refuse()
        async with listening(through(proxy, database), reloads.count):
            assert reloads.ended == 0
            await proxy.accept()
            await reloads.until(1)


async def test_stopping_ends_a_reload_and_a_reconnect_and_may_be_repeated(
    database: Database,
) -> None:
    begun, ended = asyncio.Event(), asyncio.Event()

    async def forever() -> None:
        begun.set()
        try:
            await asyncio.get_running_loop().create_future()
        finally:
            ended.set()

    async with listening(database.url, forever) as reloader:
        database.execute(NOTIFY)
        await begun.wait()
        await reloader.stop()
        assert ended.is_set()
    async with asyncio.timeout(5):
        unreachable = Listener("postgresql://nobody@127.0.0.1:1/nowhere")
        await unreachable.stop()
        await unreachable.start()
        await unreachable.stop()
        await unreachable.stop()
