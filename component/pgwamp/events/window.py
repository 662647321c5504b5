"""Publishing events in order, acknowledged, only so many on the way at a time."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Iterable
from typing import Any

from pgwamp import logs
from pgwamp.errors import PayloadTooLarge
from pgwamp.events.payload import Event
from pgwamp.session import Link, PublishRefused, acknowledged

log = logs.get(__name__)
#: Events sent but not acknowledged. Unbounded, they would block the loop for seconds.
WINDOW = 64


class Window:
    """Sends events through the link; counts those that nobody could ever receive."""

    def __init__(self, link: Link, size: int = WINDOW):
        self._link = link
        self._size = size
        self.published = 0
        self.refused = 0

    async def publish(self, events: Iterable[Event]) -> None:
        """Return when all are acknowledged.

        An event that the router refuses for good (a topic it does not allow) is reported and
        passed over: it must not hold up all others, and stays readable by ``changes``.

        :raises pgwamp.session.Lost: the session ended; some may not have been published.
        """
        under_way: deque[tuple[Event, asyncio.Future[Any]]] = deque()
        try:
            for event in events:
                if len(under_way) >= self._size:
                    await self._settle(*under_way.popleft())
                if event.topic is not None:
                    self._send(event, under_way)
            while under_way:
                await self._settle(*under_way.popleft())
        finally:
            for _, reply in under_way:
                reply.cancel()

    def _send(self, event: Event, under_way: deque[tuple[Event, asyncio.Future[Any]]]) -> None:
        try:
            under_way.append((event, self._reply(event)))
        except PayloadTooLarge:
            if not event.is_change or "truncated" in (event.kwargs or {}):
                self._refuse(event, "larger than limits.max_bytes")
                return
            log.warning("event too large, published without values", id=event.id, topic=event.topic)
            self._send(event.without_values(), under_way)
        except PublishRefused as error:
            self._refuse(event, str(error))

    def _reply(self, event: Event) -> asyncio.Future[Any]:
        assert event.topic is not None
        return self._link.publish(event.topic, event.args, event.kwargs, event.options)

    async def _settle(self, event: Event, reply: asyncio.Future[Any]) -> None:
        try:
            await acknowledged(reply)
            self.published += 1
        except PublishRefused as error:
            self._refuse(event, str(error))

    def _refuse(self, event: Event, reason: str) -> None:
        self.refused += 1
        log.error("event refused", id=event.id, topic=event.topic, reason=reason)
