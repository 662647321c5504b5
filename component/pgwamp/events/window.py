"""Publishing events in order, acknowledged, only so many on the way at a time."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from typing import Any, NamedTuple

from pgwamp import logs
from pgwamp.errors import PayloadTooLarge
from pgwamp.events.payload import Event
from pgwamp.metrics import Metrics
from pgwamp.session import Link, PublishRefused, acknowledged

log = logs.get(__name__)
#: Events sent but not acknowledged. Unbounded, they would block the loop for seconds.
WINDOW = 64
_ELIGIBLE = ("eligible", "eligible_authid", "eligible_authrole")

Mark = Callable[[], Awaitable[None]]


class _Sent(NamedTuple):
    event: Event
    reply: asyncio.Future[Any]
    at: float


class Window:
    """Sends events through the link; what becomes of each is counted.

    Every method raises :class:`pgwamp.session.Lost` when the session ends: then some of what was
    sent may not have been published.
    """

    def __init__(self, link: Link, metrics: Metrics, size: int = WINDOW):
        self._link = link
        self._metrics = metrics
        self._size = size
        self._now = asyncio.get_running_loop().time
        self._under_way: deque[_Sent | Mark] = deque()
        self._sent = 0

    async def send(self, event: Event) -> None:
        """Send an event; waits only while too many are on the way.

        One that the router refuses for good (a topic it does not allow) is reported and passed
        over: it must not hold up all others, and stays readable by ``changes``.
        """
        while self._sent >= self._size:
            await self._settle()
        # Crossbar takes an empty list for no list, and would send to everybody.
        if event.topic is not None and not any(event.options.get(n) == [] for n in _ELIGIBLE):
            self._send(event)

    def mark(self, mark: Mark) -> None:
        """Await ``mark`` when all that was sent so far is acknowledged."""
        self._under_way.append(mark)

    async def drain(self) -> None:
        """Return when all that was sent is acknowledged."""
        while self._under_way:
            await self._settle()

    def close(self) -> None:
        """Wait for nothing any more."""
        for item in self._under_way:
            if isinstance(item, _Sent):
                item.reply.cancel()
        self._under_way.clear()

    def _send(self, event: Event) -> None:
        assert event.topic is not None
        try:
            reply = self._link.publish(event.topic, event.args, event.kwargs, event.options)
        except PayloadTooLarge:
            smaller = event.smaller()
            if not smaller:
                self._refuse(event, "larger than limits.max_bytes")
            for part in smaller:
                self._send(part)
        except PublishRefused as error:
            self._refuse(event, str(error))
        else:
            self._under_way.append(_Sent(event, reply, self._now()))
            self._sent += 1
            if "truncated" in (event.kwargs or {}) and event.is_change:
                self._metrics.event_truncated()
                log.warning("event too large, published without values", id=event.id)

    async def _settle(self) -> None:
        item = self._under_way.popleft()
        if not isinstance(item, _Sent):
            await item()
            return
        self._sent -= 1
        try:
            await acknowledged(item.reply)
            self._metrics.event_published(self._now() - item.at)
        except PublishRefused as error:
            self._refuse(item.event, str(error))

    def _refuse(self, event: Event, reason: str) -> None:
        self._metrics.event_refused()
        log.error("event refused", id=event.id, topic=event.topic, reason=reason)
