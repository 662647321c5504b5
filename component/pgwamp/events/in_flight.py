"""Publishing events in order, acknowledged, only so many on the way at a time."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, NamedTuple

from pgwamp import logs
from pgwamp.errors import PayloadTooLarge
from pgwamp.events.messages import Message
from pgwamp.metrics import Metrics
from pgwamp.session import Link, PublishRefused, acknowledged

log = logs.get(__name__)
#: Events sent but not acknowledged. Unbounded, they would block the loop for seconds.
MOST_IN_FLIGHT = 64
_ELIGIBLE = ("eligible", "eligible_authid", "eligible_authrole")

Mark = Callable[[], None]


class _Sent(NamedTuple):
    id: str
    topic: str
    reply: asyncio.Future[Any]
    at: float


class Window:
    """Sends events through the link; what becomes of each is counted.

    Every method raises :class:`pgwamp.session.Lost` when the session ends: then some of what was
    sent may not have been published.

    :param confirm: called right before an event is sent; raises what should keep it from that.
    """

    def __init__(
        self,
        link: Link,
        metrics: Metrics,
        confirm: Callable[[], None],
        size: int = MOST_IN_FLIGHT,
    ):
        self._link = link
        self._metrics = metrics
        self._confirm = confirm
        self._now = asyncio.get_running_loop().time
        self._space = asyncio.Semaphore(size)
        self._under_way: asyncio.Queue[_Sent | Mark] = asyncio.Queue()

    async def send(self, event: Message) -> None:
        """Send an event; waits only while too many are on the way.

        One that the router refuses for good (a topic it does not allow) is reported and passed
        over: it must not hold up all others, and stays readable by ``changes``.
        """
        waiting = [event]
        while waiting:
            await self._space.acquire()
            # And only so many bytes: the transport keeps what the router does not take.
            await self._link.session.room.wait()
            self._confirm()
            part = waiting.pop()
            try:
                self._send(part)
            except PayloadTooLarge:
                self._space.release()
                waiting += reversed(self._smaller(part))
            except PublishRefused as error:
                self._space.release()
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
                self._space.release()
            else:
                item()
            self._under_way.task_done()

    def close(self) -> None:
        """Wait for nothing any more."""
        while not self._under_way.empty():
            item = self._under_way.get_nowait()
            if isinstance(item, _Sent):
                item.reply.cancel()

    def _send(self, event: Message) -> None:
        if event.refused is not None:
            raise PublishRefused(event.refused)
        # Crossbar takes an empty list for no list, and would send to everybody.
        if any(event.options.get(name) == [] for name in _ELIGIBLE):
            self._space.release()
            return
        reply = self._link.publish(event.topic, event.args, event.kwargs, event.options)
        self._under_way.put_nowait(_Sent(event.id, event.topic, reply, self._now()))
        if event.is_change and "truncated" in (event.kwargs or {}):
            self._metrics.event_truncated()
            log.warning("event published without values", id=event.id, topic=event.topic)

    def _smaller(self, event: Message) -> list[Message]:
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

    def _refuse(self, event: Message | _Sent, reason: str) -> None:
        self._metrics.event_refused()
        log.error("event refused", id=event.id, topic=event.topic, reason=reason)
