"""Whether a WAMP router lets a client join: the least of WAMP that tells, over a plain socket.

A port that accepts says nothing: Crossbar.io listens before its realms and roles are there. This
is written without a WAMP library, which would bring its loop along.
"""

from __future__ import annotations

import base64
import json
import os
import socket
import ssl
import struct
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

_HELLO, _WELCOME, _ABORT, _CHALLENGE, _GOODBYE = 1, 2, 3, 4, 6


class NotYet(Exception):
    """Nothing joins there now, and the text says how far it came; it may work a little later."""


class Refused(Exception):
    """The router answered with ABORT. The text is what it says, ``reason`` the URI."""

    def __init__(self, reason: str, message: str = "") -> None:
        super().__init__(f"{reason} {message}".strip())
        self.reason = reason


@dataclass(frozen=True)
class Listener:
    """Where a router listens: TCP ``port`` or Unix ``socket``, WebSocket ``path`` or rawsocket."""

    port: int | None = None
    socket: str | None = None
    path: str | None = None
    tls: bool = False

    @property
    def url(self) -> str:
        """The address a WAMP client uses."""
        scheme = "rs" if self.path is None else "ws"
        if self.socket is not None:
            return f"{scheme}+unix://{self.socket}"
        return f"{scheme}{'s' * self.tls}://127.0.0.1:{self.port}{self.path or ''}"


def join(listener: Listener, realm: str, timeout: float = 5) -> None:
    """Join ``realm`` and leave again.

    :raises NotYet: nobody answers as a WAMP router would.
    :raises Refused: the router does not let anonymous clients join this realm.
    """
    try:
        with _connect(listener, timeout) as connection:
            send, receive = (
                _rawsocket(connection)
                if listener.path is None
                else _websocket(connection, listener.path)
            )
            send([_HELLO, realm, {"roles": {"caller": {}}, "authmethods": ["anonymous"]}])
            answer = receive()
            if answer[0] == _WELCOME:
                send([_GOODBYE, {}, "wamp.close.close_realm"])
                receive()
            elif answer[0] != _CHALLENGE:
                raise Refused(answer[2], answer[1].get("message", ""))
    except (OSError, ValueError, LookupError) as error:
        raise NotYet(f"{type(error).__name__}: {error}") from error


def _connect(listener: Listener, timeout: float) -> socket.socket:
    if listener.socket is None:
        plain = socket.create_connection(("127.0.0.1", listener.port or 0), timeout)
        if not listener.tls:
            return plain
        # The question is whether it answers, not who it is.
        trusting = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        trusting.check_hostname = False
        trusting.verify_mode = ssl.CERT_NONE
        return trusting.wrap_socket(plain)
    connection = socket.socket(socket.AF_UNIX)
    connection.settimeout(timeout)
    try:
        connection.connect(listener.socket)
    except OSError:
        connection.close()
        raise
    return connection


_Messages = tuple[Callable[[list[Any]], None], Callable[[], list[Any]]]


def _rawsocket(connection: socket.socket) -> _Messages:
    # Length limit 2^24, serializer 1 (JSON): the answer repeats the serializer, or holds an error.
    connection.sendall(b"\x7f\xf1\x00\x00")
    answer = _exactly(connection, 4)
    if answer[0] != 0x7F or answer[1] & 0x0F != 1:
        raise ValueError(f"no rawsocket handshake: {answer!r}")

    def send(message: list[Any]) -> None:
        payload = json.dumps(message).encode()
        connection.sendall(struct.pack("!I", len(payload)) + payload)

    def receive() -> list[Any]:
        (head,) = struct.unpack("!I", _exactly(connection, 4))
        return _message(_exactly(connection, head & 0xFFFFFF))

    return send, receive


def _websocket(connection: socket.socket, path: str) -> _Messages:
    key = base64.b64encode(os.urandom(16)).decode()
    connection.sendall(
        (
            f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\n"
            f"Connection: Upgrade\r\nSec-WebSocket-Key: {key}\r\nSec-WebSocket-Version: 13\r\n"
            "Sec-WebSocket-Protocol: wamp.2.json\r\n\r\n"
        ).encode()
    )
    head = b""
    while not head.endswith(b"\r\n\r\n"):
        head += _exactly(connection, 1)
    status = head.split(b"\r\n", 1)[0].decode(errors="replace")
    if " 101 " not in status + " ":
        raise ValueError(f"no WebSocket handshake: {status}")

    def send(message: list[Any]) -> None:
        payload = json.dumps(message).encode()
        # A client must mask what it sends; a mask of zeros leaves it as it is.
        length = len(payload)
        size = struct.pack("!B", length) if length < 126 else struct.pack("!BH", 126, length)
        masked = bytes([0x81, size[0] | 0x80]) + size[1:]
        connection.sendall(masked + bytes(4) + payload)

    def receive() -> list[Any]:
        while True:
            kind, length = _exactly(connection, 2)
            if length == 126:
                (length,) = struct.unpack("!H", _exactly(connection, 2))
            payload = _exactly(connection, length)
            if kind == 0x81:
                return _message(payload)
            if kind == 0x88:
                raise ValueError(f"WebSocket closed: {payload[2:].decode(errors='replace')}")

    return send, receive


def _message(payload: bytes) -> list[Any]:
    message = json.loads(payload)
    if not isinstance(message, list):
        raise ValueError("not a WAMP message")
    return message


def _exactly(connection: socket.socket, size: int) -> bytes:
    data = b""
    while len(data) < size:
        more = connection.recv(size - len(data))
        if not more:
            raise ConnectionError("connection closed")
        data += more
    return data
