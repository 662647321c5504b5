"""A router that says what a test tells it to: WAMP in JSON over RawSocket, nothing more."""

from __future__ import annotations

import asyncio
import contextlib
import json
import struct
from collections.abc import Callable, Iterator
from types import TracebackType
from typing import Any, Self

HELLO, WELCOME, ABORT, CHALLENGE, AUTHENTICATE, GOODBYE, ERROR = 1, 2, 3, 4, 5, 6, 8
PUBLISH, CALL, REGISTER, REGISTERED, UNREGISTER, UNREGISTERED = 16, 48, 64, 65, 66, 67
SUBSCRIBE, SUBSCRIBED, EVENT, RESULT = 32, 33, 36, 50
INVOCATION, INTERRUPT, YIELD = 68, 69, 70
Message = list[Any]


class FakeRouter:
    """Lets everybody join and register; everything else is kept for the test to see.

    :ivar hello: answers a HELLO, instead of WELCOME.
    :ivar replies: answers by message type, instead of what is usual.
    :ivar frames: what came in frames of other types than messages, as type and content.
    :param accepts: bytes of a message, of which it takes the next power of two.
    """

    def __init__(self, accepts: int = 2**24) -> None:
        self.frames: list[tuple[int, bytes]] = []
        self._handshake = bytes([0x7F, (accepts.bit_length() - 10) << 4 | 1, 0, 0])
        self.received: list[Message] = []
        self.replies: dict[int, Callable[[Message], Message | None]] = {
            HELLO: lambda _: [WELCOME, 1, {"roles": {"broker": {}, "dealer": {}}}],
            REGISTER: lambda message: [REGISTERED, message[1], message[1]],
            UNREGISTER: lambda message: [UNREGISTERED, message[1]],
            GOODBYE: lambda _: [GOODBYE, {}, "wamp.close.goodbye_and_out"],
        }
        self._writers: list[asyncio.StreamWriter] = []
        self._news = asyncio.Condition()
        self._server: asyncio.Server | None = None

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._connected, "127.0.0.1", 0)
        self.url = f"rs://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        assert self._server is not None
        self._server.close()
        self.cut()

    def cut(self) -> None:
        """Reset every connection."""
        for writer in self._writers:
            writer.transport.abort()
        self._writers.clear()

    def send(self, *messages: Message) -> None:
        """Send to the latest connection, all in one piece."""
        self.send_bytes(*(json.dumps(message).encode() for message in messages))

    def send_bytes(self, *frames: bytes) -> None:
        """As :meth:`send`, with messages that are written already, or are none."""
        self._writers[-1].write(b"".join(struct.pack("!I", len(f)) + f for f in frames))

    async def until(self, kind: int, number: int = 1) -> Message:
        """Wait for the ``number``-th message of a type and return it."""
        async with asyncio.timeout(10), self._news:
            await self._news.wait_for(lambda: len(self.of(kind)) >= number)
        return self.of(kind)[number - 1]

    async def until_framed(self) -> tuple[int, bytes]:
        """Wait for a frame that is no message."""
        async with asyncio.timeout(10), self._news:
            await self._news.wait_for(lambda: self.frames)
        return self.frames[0]

    def ping(self, data: bytes) -> None:
        """Ask as RawSocket does whether the peer lives."""
        self._writers[-1].write(struct.pack("!I", 1 << 24 | len(data)) + data)

    def of(self, kind: int) -> list[Message]:
        """Every message of a type so far."""
        return [message for message in self.received if message[0] == kind]

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            await reader.readexactly(4)
            writer.write(self._handshake)
            self._writers.append(writer)
            while True:
                (header,) = struct.unpack("!I", await reader.readexactly(4))
                payload = await reader.readexactly(header & 0xFFFFFF)
                if kind := header >> 24:
                    async with self._news:
                        self.frames.append((kind, payload))
                        self._news.notify_all()
                    continue
                message: Message = json.loads(payload)
                answer = self.replies.get(message[0], lambda _: None)(message)
                if answer is not None and writer in self._writers:
                    data = json.dumps(answer).encode()
                    writer.write(struct.pack("!I", len(data)) + data)
                async with self._news:
                    self.received.append(message)
                    self._news.notify_all()
        writer.close()


@contextlib.contextmanager
def loop_errors() -> Iterator[list[dict[str, Any]]]:
    """What nobody caught and the event loop would only log."""
    loop = asyncio.get_running_loop()
    errors: list[dict[str, Any]] = []
    before = loop.get_exception_handler()
    loop.set_exception_handler(lambda _, context: errors.append(context))
    try:
        yield errors
    finally:
        loop.set_exception_handler(before)
