"""A caller of ``follow``, and what it got."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from typing import Any

import pytest

from pgwamp.errors import CallError
from pgwamp.session import Client


class Follower:
    """Calls ``follow`` and keeps the items; ``cursor`` is the newest it was given."""

    def __init__(self, client: Client, uri: str, **kwargs: Any):
        self.items: list[Mapping[str, Any]] = []
        self.events: list[dict[str, Any]] = []
        self.rows: list[dict[str, Any]] = []
        self.cursor: str | None = None
        self._news = asyncio.Event()
        self.reply = asyncio.ensure_future(client.call(uri, [], kwargs, self._take))
        self.reply.add_done_callback(self._end)

    def _take(self, item: Mapping[str, Any]) -> None:
        self.items.append(item)
        self.events += item.get("events", ())
        self.rows += item.get("rows", ())
        self.cursor = item.get("cursor", self.cursor)
        self._news.set()

    def _end(self, reply: asyncio.Future[Any]) -> None:
        if not reply.cancelled():
            reply.exception()  # whoever waits raises it; nobody has to
        self._news.set()

    async def until(self, enough: Callable[[Follower], object], seconds: float = 10) -> Follower:
        """Wait until what came is enough; fail when the call ends before."""
        async with asyncio.timeout(seconds):
            while not enough(self):
                if self.reply.done():
                    self.reply.result()
                self._news.clear()
                await self._news.wait()
        return self

    async def begun(self) -> Follower:
        """Wait for the first cursor."""
        return await self.until(lambda f: f.cursor)

    async def keys(self, number: int, seconds: float = 10) -> list[Any]:
        """The keys of so many events, and of no more."""
        await self.until(lambda f: len(f.events) >= number, seconds)
        return [event["key"]["id"] for event in self.events]

    async def error(self, seconds: float = 10) -> CallError:
        """What the call ends with."""
        with pytest.raises(CallError) as caught:
            async with asyncio.timeout(seconds):
                await self.reply
        return caught.value
