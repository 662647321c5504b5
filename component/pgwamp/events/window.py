"""Publishing events in order, acknowledged, only so many on the way at a time."""

from __future__ import annotations

import asyncio
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

Mark = Callable[[], None]


class _Sent(NamedTuple):
    id: int
    topic: str
    reply: asyncio.Future[Any]
    at: float


class Window:
    """Sends events through the link; what becomes of each is counted.

    Every method raises :class:`pgwamp.session.Lost` when the session ends: then some of what was
    sent may not have been published.

    :param confirm: awaited right before an event is sent; raises what should keep it from that.
    """

    def __init__(
        self,
        link: Link,
        metrics: Metrics,
        confirm: Callable[[], Awaitable[None]],
        size: int = WINDOW,
    ):
        self._link = link
        self._metrics = metrics
        self._confirm = confirm
        self._now = asyncio.get_running_loop().time
        self._room = asyncio.Semaphore(size)
        self._under_way: asyncio.Queue[_Sent | Mark] = asyncio.Queue()

    async def send(self, event: Event) -> None:
        """Send an event; waits only while too many are on the way.

        One that the router refuses for good (a topic it does not allow) is reported and passed
        over: it must not hold up all others, and stays readable by ``changes``.
        """
        waiting = [event]
        while waiting:
            await self._room.acquire()
            # And only so many octets: the transport keeps what the router does not take.
            await self._link.session.room.wait()
            await self._confirm()
            part = waiting.pop()
            try:
                self._send(part)
            except PayloadTooLarge:
                self._room.release()
                waiting += reversed(self._smaller(part))
            except PublishRefused as error:
                self._room.release()
                self._refuse(part, str(error))

    def mark(self, mark: Mark) -> None:
        """Call ``mark`` when all that was sent so far is acknowledged."""
        self._under_way.put_nowait(mark)

    async def drain(self) -> None:
        """Return when all that was sent is acknowledged."""
        await self._under_way.join()

    async def settle(self) -> None:
        """Take the acknowledgements as they come, until cancelled."""
        while True:
            item = await self._under_way.get()
            if isinstance(item, _Sent):
                await self._acknowledged(item)
                self._room.release()
            else:
                item()
            self._under_way.task_done()

    def close(self) -> None:
        """Wait for nothing any more."""
        while not self._under_way.empty():
            item = self._under_way.get_nowait()
            if isinstance(item, _Sent):
                item.reply.cancel()

    def _send(self, event: Event) -> None:
        if event.refused is not None:
            raise PublishRefused(event.refused)
        # Crossbar takes an empty list for no list, and would send to everybody.
        if event.topic is None or any(event.options.get(name) == [] for name in _ELIGIBLE):
            self._room.release()
            return
        reply = self._link.publish(event.topic, event.args, event.kwargs, event.options)
        self._under_way.put_nowait(_Sent(event.id, event.topic, reply, self._now()))
        if event.is_change and "truncated" in (event.kwargs or {}):
            self._metrics.event_truncated()
            log.warning("event too large, published without values", id=event.id, topic=event.topic)

    def _smaller(self, event: Event) -> list[Event]:
        parts = event.smaller()
        if not parts:
            self._refuse(event, "larger than limits.max_bytes")
        return parts

    async def _acknowledged(self, sent: _Sent) -> None:
        try:
            await acknowledged(sent.reply)
            self._metrics.event_published(self._now() - sent.at)
        except PublishRefused as error:
            self._refuse(sent, str(error))

    def _refuse(self, event: Event | _Sent, reason: str) -> None:
        self._metrics.event_refused()
        log.error("event refused", id=event.id, topic=event.topic, reason=reason)
