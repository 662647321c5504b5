"""WAMP messages as bytes: msgpack, CBOR and JSON, where no message ends a session.

Autobahn closes the transport over a message that its serializers cannot read, and any caller can
have the router send one. Here such a message is handed on as :class:`Unreadable`, so that it is
answered. Reading is bounded in time: a message of more than :data:`AT_ONCE_BYTES` is counted first
(:mod:`pgwamp.session.scanning`), and an INVOCATION of too many values is not read at all. Processor
time for one hostile INVOCATION, measured with 50,000 values allowed:

- msgpack, the default: at most 30 ms, whatever its size, the check of its values included.
- CBOR: likewise. Shared references are refused, so that they do not multiply, and no key is
  anything but text, so that no keys collide.
- JSON: 20 ns for each byte beside that, 0.4 s for 16 MiB, where it holds many commas in texts.

A full run of Python's garbage collector, which any 700 new lists can bring about, comes on top.
"""

from __future__ import annotations

import base64
import io
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import cbor2
import msgpack
import orjson
import ormsgpack
from autobahn.wamp import message
from autobahn.wamp.serializer import Serializer

from pgwamp.session import scanning
from pgwamp.session.extensions import MOST_EXTENSIONS, Extensions
from pgwamp.session.scanning import TooManyValues
from pgwamp.values.portable import MAX_DEPTH, may_hold_large

#: A message of this size is read at once: so many empty lists take 15 ms.
AT_ONCE_BYTES = 98_304
#: Bytes that hold the type of a message and the first two ids, each nine at most.
_HEAD_BYTES = 32
#: Values of an INVOCATION that are none of its arguments: ids, details and their keys.
_ENVELOPE_VALUES = 64
CURE = (
    f"nest at most {MAX_DEPTH} levels, have text as the keys of a dict, and write dates and the "
    f"like as strings beyond {MOST_EXTENSIONS}"
)


@dataclass(frozen=True, slots=True)
class Unreadable:
    """Stands for a message that cannot be read.

    :ivar head: the integers that it begins with, as far as they could be read: its type, and the
        ids that follow.
    :ivar problem: for the one who sent it, with the cure.
    """

    head: tuple[int, ...]
    problem: str


class Codec:
    """One format, as Autobahn's messages and transports use it."""

    NAME: ClassVar[str]
    BINARY: ClassVar[bool] = True
    RAWSOCKET_ID: ClassVar[int]

    def serialize(self, value: Any) -> bytes:
        """Write a message; raises for what the format cannot hold."""
        raise NotImplementedError

    def read(self, payload: bytes) -> Any:
        """Read a message; raises for what is none."""
        raise NotImplementedError

    def count(self, payload: bytes, most: int) -> None:
        """Raise :class:`TooManyValues` if there are more than ``most``, keys counted."""
        raise NotImplementedError

    def head(self, payload: bytes) -> tuple[int, ...]:
        """Read the integers that a message begins with, three at most."""
        raise NotImplementedError


class Msgpack(Codec):
    """MessagePack, written and read by ormsgpack."""

    NAME, RAWSOCKET_ID = "msgpack", 2
    # ormsgpack would write these as text, and hide a value that is not portable.
    _OPTIONS = (
        ormsgpack.OPT_PASSTHROUGH_DATACLASS
        | ormsgpack.OPT_PASSTHROUGH_DATETIME
        | ormsgpack.OPT_PASSTHROUGH_UUID
    )

    def __init__(self) -> None:
        self._extensions = Extensions()

    def serialize(self, value: Any) -> bytes:
        return ormsgpack.packb(value, option=self._OPTIONS)

    def read(self, payload: bytes) -> Any:
        self._extensions.left = MOST_EXTENSIONS
        return ormsgpack.unpackb(payload, ext_hook=self._extensions.read)

    def count(self, payload: bytes, most: int) -> None:
        scanning.count_values(payload, scanning.MSGPACK, most)

    def head(self, payload: bytes) -> tuple[int, ...]:
        unpacker = msgpack.Unpacker()
        unpacker.feed(payload[:_HEAD_BYTES])
        length = unpacker.read_array_header()
        return _integers(unpacker.unpack, length)


class Cbor(Codec):
    """CBOR, written and read by cbor2."""

    NAME, RAWSOCKET_ID = "cbor", 3

    def __init__(self) -> None:
        self._extensions = Extensions()

    def serialize(self, value: Any) -> bytes:
        return cbor2.dumps(value)

    def read(self, payload: bytes) -> Any:
        self._extensions.left = MOST_EXTENSIONS
        return cbor2.loads(payload, semantic_decoders=self._extensions, strict_hashable_types=True)

    def count(self, payload: bytes, most: int) -> None:
        scanning.count_values(payload, scanning.CBOR, most)

    def head(self, payload: bytes) -> tuple[int, ...]:
        # An array of less than 24 values, as every message is one, has its length in this byte.
        length = payload[0] - 0x80
        decoder = cbor2.CBORDecoder(io.BytesIO(payload[1:_HEAD_BYTES]))
        return _integers(decoder.decode, length)


class Json(Codec):
    """JSON, written by orjson, and read by it where it is exact."""

    NAME, RAWSOCKET_ID = "json", 1
    BINARY = False
    _OPTIONS = orjson.OPT_PASSTHROUGH_DATACLASS | orjson.OPT_PASSTHROUGH_DATETIME

    def serialize(self, value: Any) -> bytes:
        return orjson.dumps(value, default=_bytes_as_text, option=self._OPTIONS)

    def read(self, payload: bytes) -> Any:
        value = self._parse(payload)
        # Bytes are text that begins with NUL, which is always escaped.
        return _text_as_bytes(value) if b"\\u0000" in payload else value

    def _parse(self, payload: bytes) -> Any:
        if not may_hold_large(payload):
            try:
                return orjson.loads(payload)
            except orjson.JSONDecodeError:
                # NaN, or half a character; serving names its place.
                pass
        return json.loads(payload, parse_int=_bounded_int)

    def count(self, payload: bytes, most: int) -> None:
        scanning.count_json_values(payload, most)

    def head(self, payload: bytes) -> tuple[int, ...]:
        return scanning.first_json_numbers(payload)


CODECS: Mapping[str, type[Codec]] = {codec.NAME: codec for codec in (Msgpack, Cbor, Json)}


class MessageSerializer(Serializer):
    """The serializer that Autobahn's transports write and read messages with.

    :param max_values: values in the arguments of an INVOCATION; None has no bound.
    """

    def __init__(self, name: str, max_values: int | None):
        codec = CODECS[name]()
        super().__init__(codec)  # type: ignore[no-untyped-call]
        self._codec = codec
        self._most = None if max_values is None else 2 * max_values + _ENVELOPE_VALUES
        self.SERIALIZER_ID = codec.NAME
        self.RAWSOCKET_SERIALIZER_ID = codec.RAWSOCKET_ID

    def serialize(self, msg: Any) -> tuple[bytes, bool]:
        """Write a message; raises for one that the format cannot hold."""
        return msg.serialize(self._codec), self._codec.BINARY

    def unserialize(self, payload: bytes, isBinary: bool | None = None) -> list[Any]:
        """Read a message, or make it :class:`Unreadable`; never raises."""
        try:
            if len(payload) > AT_ONCE_BYTES:
                self._count(payload)
            raw = self._codec.read(payload)
            kind: Any = self.MESSAGE_TYPE_MAP[raw[0]]
            return [kind.parse(raw)]
        except TooManyValues:
            problem = "too many values (limits.max_values); send them in several calls, or as csv"
        # Every reader has errors of its own, and may meet one of Python's: RecursionError.
        except Exception as error:
            reason = str(error.__cause__ or error)
            problem = f"cannot be read as {self._codec.NAME} ({reason[:100]}); {CURE}"
        return [Unreadable(self._head(payload), problem)]

    def _count(self, payload: bytes) -> None:
        if self._most is not None and self._head(payload)[:1] == (message.Invocation.MESSAGE_TYPE,):
            self._codec.count(payload, self._most)

    def _head(self, payload: bytes) -> tuple[int, ...]:
        try:
            return self._codec.head(payload)
        except Exception:
            return ()


def _integers(read: Callable[[], Any], length: int) -> tuple[int, ...]:
    """Read values until one is no integer, three at most."""
    numbers: list[int] = []
    for _ in range(min(length, 3)):
        value = read()
        if type(value) is not int:
            break
        numbers.append(value)
    return tuple(numbers)


def _bytes_as_text(value: Any) -> str:
    """Write bytes as WAMP has them in JSON."""
    if type(value) is not bytes:
        raise TypeError(f"{type(value).__name__} cannot be written as JSON")
    return "\0" + base64.b64encode(value).decode()


def _text_as_bytes(value: Any) -> Any:
    if type(value) is str and value[:1] == "\0":
        return base64.b64decode(value[1:])
    if type(value) is list:
        return [_text_as_bytes(item) for item in value]
    if type(value) is dict:
        return {key: _text_as_bytes(item) for key, item in value.items()}
    return value


def _bounded_int(text: str) -> int:
    """Read an integer; one of any length beyond 64 bits is only known to be beyond them."""
    return int(text) if len(text) <= 20 else 2**64
