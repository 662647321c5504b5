"""Repairs of asyncpg."""

from __future__ import annotations

import asyncio
import gc
from typing import Any

import asyncpg
import pytest
from asyncpg import connect_utils

from pgwamp.database import connect_directly
from tests.conftest import Database


async def test_a_connection_that_is_given_up_as_it_opens_leaves_no_error_in_the_log(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    logged: list[object] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: logged.append(context))
    lost = asyncio.Event()
    protocol: Any = connect_utils.TLSUpgradeProto
    original = protocol.connection_lost

    def connection_lost(self: Any, error: Exception | None) -> None:
        original(self, error)
        lost.set()

    connecting: list[asyncio.Task[asyncpg.Connection[Any]]] = []
    monkeypatch.setattr(protocol, "connection_made", lambda *_: connecting[0].cancel())
    monkeypatch.setattr(protocol, "connection_lost", connection_lost)
    connecting.append(asyncio.create_task(connect_directly(database.url)))
    async with asyncio.timeout(10):
        await asyncio.wait(connecting)
        assert connecting[0].cancelled()
        await lost.wait()
    connecting.clear()
    gc.collect()
    assert logged == []
