"""The handlers of ``changes`` and ``follow``, called as anybody, without a router."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from pgwamp.access import Caller
from pgwamp.component import Component
from pgwamp.session import Call

Progress = Callable[[Mapping[str, Any]], Awaitable[None]]
#: Name of the tasks that follow.
FOLLOWING = "test follow"


class Somebody:
    """A caller of a component's handlers."""

    def __init__(self, component: Component, authid: str | None, authrole: str | None = None):
        self._component = component
        self._caller = Caller("realm1", "x", 7, authid, authrole)

    def _call(self, name: str, args: Any, kwargs: Any, progress: Progress | None = None) -> Any:
        prefix = self._component.naming._settings.prefix
        call = Call(args, kwargs, self._caller, progress)
        return self._component.exposure.procedures[f"{prefix}.{name}"].handler(call)

    async def changes(self, name: str, *args: Any, **kwargs: Any) -> list[dict[str, Any]]:
        """The events of a call of changes."""
        value: list[dict[str, Any]] = (await self._call(f"{name}changes", args, kwargs)).value
        return value

    def follow(self, name: str, **kwargs: Any) -> Following:
        """A call of follow."""
        return Following(lambda progress: self._call(f"{name}follow", (), kwargs, progress))

    def start_following(
        self, name: str, progress: Progress, arguments: Mapping[str, Any]
    ) -> asyncio.Task[None]:
        """Follow until the component stops."""
        call = self._call(f"{name}follow", (), arguments, progress)
        return asyncio.create_task(call, name=FOLLOWING)


class Following:
    """The events of a call of follow, as they are asked for."""

    def __init__(self, call: Callable[[Progress], Awaitable[None]]):
        self._call = call
        self._task: asyncio.Task[None] | None = None
        self._items: asyncio.Queue[Mapping[str, Any] | Exception] = asyncio.Queue()
        self._asked = asyncio.Semaphore(0)
        self.rows: list[Mapping[str, Any]] = []

    async def _run(self) -> None:
        try:
            await self._call(self._progress)
        except Exception as error:
            self._items.put_nowait(error)

    async def _progress(self, item: Mapping[str, Any]) -> None:
        self._items.put_nowait(item)
        await self._asked.acquire()

    async def next(self) -> Mapping[str, Any]:
        """The next item, or the error of the call."""
        if self._task is None:
            self._task = asyncio.create_task(self._run(), name=FOLLOWING)
        else:
            self._asked.release()
        item = await self._items.get()
        if isinstance(item, Exception):
            raise item
        return item

    async def events(self, number: int) -> list[Mapping[str, Any]]:
        """The next events, so many and what comes with them; of none, until it has begun."""
        events: list[Mapping[str, Any]] = []
        async with asyncio.timeout(10):
            while True:
                item = await self.next()
                self.rows += item.get("rows", ())
                events += item.get("events", ())
                if len(events) >= number:
                    return events
