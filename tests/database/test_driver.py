"""Repairs of asyncpg, and its limits."""

from __future__ import annotations

import asyncio
import gc
from typing import Any

import asyncpg
import pytest
from asyncpg import connect_utils

from pgwamp.database import connect_directly
from tests.conftest import Database
from tests.database.conftest import Expose


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


async def test_more_values_than_a_statement_takes_are_named(expose: Expose) -> None:
    # A statement takes 32,767. A router would ask the loop for a ping meanwhile.
    limits = {"max_values": 200_000, "max_conditions": 50_000}
    call = await expose("create table t (id int primary key)", limits=limits)
    error = await call.fails(
        "wamp.error.invalid_argument", "t.count", {"or": [{"id": n} for n in range(33_000)]}
    )
    assert "33000 values" in error.message
    assert await call("t.count", {"id": list(range(33_000))}) == 0
