"""Values as bytes: also those that a serializer's own library would refuse to write."""

from __future__ import annotations

import base64
import json
import struct
from dataclasses import dataclass
from typing import Any

import cbor2
import msgpack


@dataclass(frozen=True)
class Raw:
    """A value that is written already, in the serializer of its message."""

    data: bytes


def write(serializer: str, value: Any) -> bytes:
    """Write a value with whatever is raw in it; keys of dicts are any values."""
    if isinstance(value, Raw):
        return value.data
    if isinstance(value, list):
        return _array_head(serializer, len(value)) + _joined(
            serializer, _items(serializer, value), b"]"
        )
    if isinstance(value, dict):
        pairs = [
            write(serializer, key) + (b":" if serializer == "json" else b"") + write(serializer, v)
            for key, v in value.items()
        ]
        return _map_head(serializer, len(pairs)) + _joined(serializer, pairs, b"}")
    return _scalar(serializer, value)


def _items(serializer: str, value: list[Any]) -> list[bytes]:
    # Long lists hold one thing again and again.
    if len(value) > 1 and all(item is value[0] for item in value):
        return [write(serializer, value[0])] * len(value)
    return [write(serializer, item) for item in value]


def _scalar(serializer: str, value: Any) -> bytes:
    if serializer == "json":
        if isinstance(value, bytes):
            # As WAMP has them in JSON.
            value = "\0" + base64.b64encode(value).decode()
        return json.dumps(value).encode()
    if serializer == "cbor":
        return cbor2.dumps(value)
    if isinstance(value, int) and not -(2**63) <= value < 2**64:
        value = str(value)
    return bytes(msgpack.packb(value))


def _array_head(serializer: str, length: int) -> bytes:
    if serializer == "json":
        return b"["
    short = (0x90, 15, 0xDD) if serializer == "msgpack" else (0x80, 23, 0x9A)
    return _head(length, *short)


def _map_head(serializer: str, length: int) -> bytes:
    if serializer == "json":
        return b"{"
    short = (0x80, 15, 0xDF) if serializer == "msgpack" else (0xA0, 23, 0xBA)
    return _head(length, *short)


def _head(length: int, short: int, most: int, long: int) -> bytes:
    return bytes([short + length]) if length <= most else struct.pack("!BI", long, length)


def _joined(serializer: str, items: list[bytes], end: bytes) -> bytes:
    return b",".join(items) + end if serializer == "json" else b"".join(items)
