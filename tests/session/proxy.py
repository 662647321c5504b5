"""A TCP proxy in front of a router, to do to its connections what networks do."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from types import TracebackType
from typing import Self
from urllib.parse import urlsplit


class Proxy:
    """Forwards to ``target`` (``ws://...`` or ``rs+unix:///...``); clients connect to ``url``.

    :param tls: of the side of the clients.
    """

    def __init__(self, target: str, tls: ssl.SSLContext | None = None):
        self._target = urlsplit(target)
        self._tls = tls
        self._server: asyncio.Server | None = None
        self._writers: set[asyncio.StreamWriter] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._flowing = asyncio.Event()
        self._flowing.set()
        self._news = asyncio.Condition()
        self._port = 0
        #: Connections accepted so far.
        self.accepted = 0
        #: How many of the next connections are closed as soon as they are accepted.
        self.slam = 0

    async def __aenter__(self) -> Self:
        await self.accept()
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.refuse()
        self.cut()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    @property
    def url(self) -> str:
        """Where clients connect instead."""
        unix = self._target.scheme == "rs+unix"
        scheme, path = ("rs", "") if unix else (self._target.scheme, self._target.path)
        return f"{scheme}{'s' if self._tls else ''}://127.0.0.1:{self._port}{path}"

    async def accept(self) -> None:
        """Listen, at first and again after :meth:`refuse`."""
        self._server = await asyncio.start_server(
            self._connected, "127.0.0.1", self._port, ssl=self._tls
        )
        self._port = self._server.sockets[0].getsockname()[1]

    def refuse(self) -> None:
        """Refuse new connections; those that are open stay."""
        if self._server is not None:
            self._server.close()
            self._server = None

    def cut(self) -> None:
        """Reset every connection, as a crash of the other side does."""
        for writer in list(self._writers):
            writer.transport.abort()

    def stall(self) -> None:
        """Forward nothing any more, without closing: a half-open connection."""
        self._flowing.clear()

    def flow(self) -> None:
        """Forward again, also what was held back."""
        self._flowing.set()

    async def until_accepted(self, number: int) -> None:
        """Wait until so many connections were accepted."""
        async with self._news:
            await self._news.wait_for(lambda: self.accepted >= number)

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        async with self._news:
            self.accepted += 1
            self._news.notify_all()
        if self.slam > 0:
            self.slam -= 1
            writer.transport.abort()
            return
        target = self._target
        if target.scheme == "rs+unix":
            other_reader, other_writer = await asyncio.open_unix_connection(target.path)
        else:
            other_reader, other_writer = await asyncio.open_connection(target.hostname, target.port)
        pair = {writer, other_writer}
        self._writers |= pair
        for source, sink in ((reader, other_writer), (other_reader, writer)):
            task = asyncio.create_task(self._forward(source, sink, pair))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _forward(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        pair: set[asyncio.StreamWriter],
    ) -> None:
        with contextlib.suppress(ConnectionError):
            while data := await reader.read(65536):
                await self._flowing.wait()
                writer.write(data)
                await writer.drain()
        for end in pair:
            end.close()
        self._writers -= pair
