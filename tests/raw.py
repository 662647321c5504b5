"""A WAMP client that sends any bytes: frames made by hand, which no library would send."""

from __future__ import annotations

import asyncio
import json
import struct
from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import Any, Self
from urllib.parse import urlsplit

import cbor2
import msgpack

HELLO, WELCOME, ERROR, CALL, CANCEL, RESULT = 1, 2, 8, 48, 49, 50
_SERIALIZER_IDS = {"json": 1, "msgpack": 2, "cbor": 3}
_FEATURES = {"progressive_call_results": True, "call_canceling": True}
_HELLO = [HELLO, "realm1", {"roles": {"caller": {"features": _FEATURES}}}]


def encode(serializer: str, value: Any) -> bytes:
    """Write a value as the serializer's library does."""
    if serializer == "json":
        return json.dumps(value).encode()
    return bytes(msgpack.packb(value) if serializer == "msgpack" else cbor2.dumps(value))


def _decode(serializer: str, data: bytes) -> Any:
    if serializer == "json":
        return json.loads(data)
    if serializer == "msgpack":
        return msgpack.unpackb(data, strict_map_key=False)
    return cbor2.loads(data)


def array(serializer: str, items: Sequence[bytes]) -> bytes:
    """A short array of values that are written already."""
    if serializer == "json":
        return b"[" + b",".join(items) + b"]"
    return bytes([(0x90 if serializer == "msgpack" else 0x80) + len(items)]) + b"".join(items)


def nested(serializer: str, depth: int) -> bytes:
    """Lists within lists; the innermost is empty."""
    if serializer == "json":
        return b"[" * depth + b"]" * depth
    one, empty = (b"\x91", b"\x90") if serializer == "msgpack" else (b"\x81", b"\x80")
    return one * (depth - 1) + empty


class RawClient:
    """A session over a Unix socket of the router, which takes any serializer."""

    def __init__(self, url: str, serializer: str):
        self._path = urlsplit(url).path
        self._serializer = serializer
        self._request = 0

    async def __aenter__(self) -> Self:
        self._reader, self._writer = await asyncio.open_unix_connection(self._path)
        # Messages up to 16 MiB.
        self._writer.write(bytes([0x7F, 0xF0 | _SERIALIZER_IDS[self._serializer], 0, 0]))
        await self._reader.readexactly(4)
        self._send(encode(self._serializer, _HELLO))
        assert (await self.receive())[0] == WELCOME
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._writer.close()

    def send_call(
        self,
        uri: str,
        arguments: bytes | None = None,
        keywords: bytes | None = None,
        *,
        progress: bool = False,
        options: Mapping[str, Any] | None = None,
    ) -> int:
        """Send a CALL with arguments that are written already; returns its request id.

        :param options: of the message, whatever they say.
        """
        self._request += 1
        options = {**({"receive_progress": True} if progress else {}), **(options or {})}
        head = [encode(self._serializer, part) for part in (CALL, self._request, options, uri)]
        tail = [part for part in (arguments, keywords) if part is not None]
        self._send(array(self._serializer, [*head, *tail]))
        return self._request

    def cancel(self, request: int) -> None:
        """Send a CANCEL that has the callee interrupted."""
        self._send(encode(self._serializer, [CANCEL, request, {"mode": "kill"}]))

    async def receive(self) -> Any:
        """Wait for the next message.

        :raises ConnectionError: the router closed the connection.
        """
        try:
            (length,) = struct.unpack("!I", await self._reader.readexactly(4))
            return _decode(self._serializer, await self._reader.readexactly(length))
        except asyncio.IncompleteReadError:
            raise ConnectionError("the router closed the connection") from None

    async def call(
        self, uri: str, arguments: bytes, keywords: bytes | None = None, after: str | None = None
    ) -> Any:
        """CALL with arguments that are written already, and wait for the answer.

        :param after: a procedure without arguments that is called next; its answer shows that the
            router has none for the first call.
        :returns: the value; the URI and message of the error; or how the router itself failed:
            ``"unanswered"`` or ``"closed"``.
        """
        request = self.send_call(uri, arguments, keywords)
        if after is not None:
            self.send_call(after)
        try:
            async with asyncio.timeout(20):
                while True:
                    message = await self.receive()
                    if message[0] == RESULT and message[1] == request:
                        return message[3][0]
                    if message[0] == ERROR and message[2] == request:
                        return message[4], (message[5] if len(message) > 5 else [""])[0]
                    if message[0] == RESULT:
                        return "unanswered"
        except ConnectionError:
            return "closed"

    async def drain(self) -> None:
        """Wait until what was sent is on its way."""
        await self._writer.drain()

    def _send(self, data: bytes) -> None:
        self._writer.write(struct.pack("!I", len(data)) + data)
