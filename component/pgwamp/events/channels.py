"""Plain LISTEN channels bridged to topics: at most once, as NOTIFY is."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

import asyncpg

from pgwamp import logs
from pgwamp.events.payload import Event
from pgwamp.events.window import Window
from pgwamp.pgtypes import loads

log = logs.get(__name__)
#: Notifications waiting to be published; further ones are dropped, and that is logged.
BACKLOG = 10_000


class Channels:
    """Publishes the notifications of some channels while this instance leads."""

    def __init__(self, channels: Mapping[str, str], window: Window):
        self._channels = channels
        self._window = window
        self._queue: asyncio.Queue[Event] = asyncio.Queue(BACKLOG)

    async def start(self, connection: asyncpg.Connection[Any]) -> None:
        """Listen to all of them on the leader's connection."""
        for channel in self._channels:
            await connection.add_listener(channel, self._on_notify)

    def _on_notify(self, _connection: Any, _pid: int, channel: str, payload: object) -> None:
        args, kwargs = parse_payload(str(payload))
        event = Event(0, self._channels[channel], args, kwargs, {})
        try:
            self._queue.put_nowait(event)
        except asyncio.QueueFull:
            log.error("notification dropped, too many are waiting", channel=channel)

    async def run(self) -> None:
        """Publish what comes, until cancelled."""
        while True:
            events = [await self._queue.get()]
            while not self._queue.empty():
                events.append(self._queue.get_nowait())
            for event in events:
                await self._window.send(event)
            await self._window.drain()


def parse_payload(payload: str) -> tuple[list[Any] | None, dict[str, Any] | None]:
    """A JSON object becomes kwargs, a JSON array args, any other text args[0]."""
    if payload[:1] in ("{", "["):
        try:
            value = loads(payload)
        except ValueError:
            pass
        else:
            return (None, value) if isinstance(value, dict) else (value, None)
    return [payload], None
