"""Plain LISTEN channels bridged to topics: at most once, as NOTIFY is."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

import asyncpg

from pgwamp import logs
from pgwamp.events.in_flight import Window
from pgwamp.events.messages import Message
from pgwamp.metrics import Metrics
from pgwamp.tasks import race
from pgwamp.values import loads

log = logs.get(__name__)
#: Notifications waiting to be published; further ones are dropped.
MOST_WAITING = 10_000


class Channels:
    """Publishes the notifications of some channels while this instance publishes.

    PostgreSQL keeps no notification, so there is nothing to catch up with: what comes while too
    many wait, or waits when the lease ends, is dropped, and the log says so once for all of it.
    """

    def __init__(self, channels: Mapping[str, str], metrics: Metrics):
        self._channels = channels
        self._metrics = metrics
        self._queue: asyncio.Queue[Message] = asyncio.Queue(MOST_WAITING)
        self._under_way = 0
        self._dropped = 0
        self._deaf_since: float | None = None

    async def start(self, connection: asyncpg.Connection[Any]) -> None:
        """Listen to all of them on the publisher's connection."""
        for channel in self._channels:
            await connection.add_listener(channel, self._on_notify)
        if self._channels and self._deaf_since is not None:
            log.error(
                "channels were not heard, what was sent to them is lost",
                channels=list(self._channels),
                seconds=round(asyncio.get_running_loop().time() - self._deaf_since, 3),
            )

    def _on_notify(self, _connection: Any, _pid: int, channel: str, payload: object) -> None:
        args, kwargs = parse_payload(str(payload))
        event = Message("", self._channels[channel], args, kwargs, {})
        try:
            self._queue.put_nowait(event)
        except asyncio.QueueFull:
            if not self._dropped:
                log.error("notifications dropped, too many are waiting", channel=channel)
            self._dropped += 1
            self._metrics.notifications_dropped()

    async def run(self, window: Window) -> None:
        """Publish what comes, until cancelled."""
        try:
            await race(self._publish(window), window.settle())
        finally:
            window.close()
            self._end()

    async def _publish(self, window: Window) -> None:
        while True:
            events = [await self._queue.get()]
            while not self._queue.empty():
                events.append(self._queue.get_nowait())
            self._under_way = len(events)
            self._report()
            for event in events:
                await window.send(event)
            await window.drain()
            self._under_way = 0

    def _report(self) -> None:
        """There is room again: how many a burst has cost."""
        if self._dropped:
            log.error("notifications were dropped, too many were waiting", number=self._dropped)
            self._dropped = 0

    def _end(self) -> None:
        # Of those under way some may have arrived; sent again, they would come twice.
        lost = self._queue.qsize() + self._under_way
        self._queue, self._under_way = asyncio.Queue(MOST_WAITING), 0
        self._deaf_since = asyncio.get_running_loop().time()
        self._report()
        if lost:
            log.error("notifications dropped, this instance publishes no longer", number=lost)
            self._metrics.notifications_dropped(lost)


def parse_payload(payload: str) -> tuple[list[Any] | None, dict[str, Any] | None]:
    """A JSON object becomes kwargs, a JSON array args, any other text args[0].

    Numbers read as in calls. JSON that WAMP cannot carry (nested deeper than 100 levels, half a
    character) stays the text that it is. Of keys that are there twice the last one counts.
    """
    if payload.lstrip(" \t\r\n")[:1] in ("{", "["):
        value = loads(payload)
        if not isinstance(value, str):
            return (None, value) if isinstance(value, dict) else (value, None)
    return [payload], None
