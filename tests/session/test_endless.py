"""Calls without an end: no time and no slot is counted, and each ends for a reason it is told."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from pgwamp.errors import CallError
from pgwamp.session import Call, Client, Link, Procedure
from tests.conftest import Connect
from tests.session.conftest import Callee, MakeClient


class Endless:
    """A procedure that says when it begins and ends, and then gives what the test puts."""

    def __init__(self, uri: str):
        self.items: asyncio.Queue[Any] = asyncio.Queue()
        self.ended: asyncio.Queue[None] = asyncio.Queue()
        self.procedure = Procedure(uri, self._handler, endless=True)

    async def _handler(self, _: Call) -> AsyncIterator[Any]:
        try:
            yield "begun"
            while True:
                yield await self.items.get()
        finally:
            self.ended.put_nowait(None)


class Following:
    """One call of it, and what came."""

    def __init__(self, client: Client, uri: str):
        self.items: asyncio.Queue[Any] = asyncio.Queue()
        self.reply = asyncio.ensure_future(client.call(uri, on_progress=self.items.put_nowait))

    async def next(self) -> Any:
        async with asyncio.timeout(5):
            return await self.items.get()

    async def error(self) -> CallError:
        with pytest.raises(CallError) as error:
            async with asyncio.timeout(5):
                await self.reply
        return error.value


async def echo(call: Call) -> Any:
    return call.args[0]


async def test_it_outlives_the_call_timeout_and_holds_no_slot(
    callee: Callee, connect: Connect, prefix: str
) -> None:
    endless = Endless(f"{prefix}.endless")
    nap = asyncio.Event()

    async def slow(_: Call) -> None:
        await nap.wait()

    await callee(
        endless.procedure,
        Procedure(f"{prefix}.echo", echo),
        Procedure(f"{prefix}.slow", slow),
        concurrency=1,
        call_timeout=0.5,
    )
    client = await connect()
    following = Following(client, f"{prefix}.endless")
    assert await following.next() == "begun"
    assert await client.call(f"{prefix}.echo", [1]) == 1
    # As long as it takes a call of the same age to end.
    with pytest.raises(CallError, match="call_timeout"):
        await client.call(f"{prefix}.slow")
    endless.items.put_nowait("still there")
    assert await following.next() == "still there"
    following.reply.cancel()
    async with asyncio.timeout(5):
        await endless.ended.get()


async def test_there_are_only_so_many_and_those_that_end_make_room(
    callee: Callee, connect: Connect, make_client: MakeClient, prefix: str
) -> None:
    endless = Endless(f"{prefix}.endless")
    await callee(endless.procedure, followers=2, per_session=1, reserve=0)
    client, leaving = await connect(), await make_client()
    following = [Following(c, endless.procedure.uri) for c in (client, leaving)]
    for one in following:
        assert await one.next() == "begun"
    error = await Following(client, endless.procedure.uri).error()
    assert error.uri == "pgwamp.error.unavailable"
    assert "limits.followers" in error.message
    await leaving.link.stop()
    async with asyncio.timeout(5):
        await endless.ended.get()
    assert await Following(client, endless.procedure.uri).next() == "begun"


async def test_it_is_ended_in_order_when_the_component_stops(
    callee: Callee, connect: Connect, prefix: str
) -> None:
    endless = Endless(f"{prefix}.endless")
    link: Link = await callee(endless.procedure)
    client = await connect()
    following = Following(client, endless.procedure.uri)
    assert await following.next() == "begun"
    assert link._serving is not None
    async with asyncio.timeout(5):
        await link._serving.drain(60)
    error = await following.error()
    assert error.uri == "pgwamp.error.unavailable"
    assert "stopping" in error.message
    assert "stopping" in (await Following(client, endless.procedure.uri).error()).message
