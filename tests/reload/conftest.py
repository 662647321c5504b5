"""Components whose reloads can be waited for, and calls that are tried until they are right."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from pgwamp.component import Component
from pgwamp.errors import CallError


class Reloads:
    """How often the component of the test has read its database again."""

    def __init__(self) -> None:
        self.ended = 0
        self._news = asyncio.Condition()

    async def count(self) -> None:
        async with self._news:
            self.ended += 1
            self._news.notify_all()

    async def until(self, number: int) -> None:
        """Wait until so many reloads have ended, well or not."""
        async with asyncio.timeout(10), self._news:
            await self._news.wait_for(lambda: self.ended >= number)


@pytest.fixture
def reloads(monkeypatch: pytest.MonkeyPatch) -> Reloads:
    """Counts the reloads of components that are served after it."""
    reloads, reload = Reloads(), Component.reload

    async def counted(self: Component) -> None:
        try:
            await reload(self)
        finally:
            await reloads.count()

    monkeypatch.setattr(Component, "reload", counted)
    return reloads


async def eventually(call: Callable[[], Any], seconds: float = 5) -> Any:
    """The first answer of a call that is repeated until it is no error."""
    async with asyncio.timeout(seconds):
        while True:
            try:
                return await call()
            except CallError:
                continue


async def eventually_fails(call: Callable[[], Any], seconds: float = 5) -> CallError:
    """The first error of a call that is repeated until it fails."""
    async with asyncio.timeout(seconds):
        while True:
            try:
                await call()
            except CallError as error:
                return error
