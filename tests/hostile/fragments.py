"""Values in bytes that no library would write: what a hostile caller puts in a message."""

from __future__ import annotations

EMPTY = {"json": b"[]", "msgpack": b"\x90", "cbor": b"\x80"}
BAD_KEYS = {
    "msgpack": (b"\x81\x01\x02", b"\x81\xc0\x02", b"\x81\xc4\x01a\x02", b"\x81\x90\x02"),
    "cbor": (b"\xa1\x01\x02", b"\xa1\xf6\x02", b"\xa1\x41a\x02", b"\xa1\x80\x02"),
    "json": (b'{"\\u0000a": 1}', b'{"\\ud800": 1}'),
}
BAD_TEXTS = {
    "msgpack": (b"\xa1\xff", b"\xa3\xed\xa0\x80", b"\xa2\0a"),
    "cbor": (b"\x61\xff", b"\x63\xed\xa0\x80", b"\x62\0a"),
    "json": (b'"\xff"', b'"\\ud800"', b'"\\u0000abc"'),
}
BAD_NUMBERS = {
    "msgpack": (b"\xcb\x7f\xf8" + bytes(6), b"\xcb\x7f\xf0" + bytes(6), b"\xcb\xff\xf0" + bytes(6)),
    "cbor": (
        b"\xf9\x7e\x00",
        b"\xf9\x7c\x00",
        b"\x3b" + b"\xff" * 8,
        b"\xc2\x49" + b"\xff" * 9,
        b"\xc3\x59\x01\x90" + b"\xff" * 400,
    ),
    "json": (
        b"NaN",
        b"-Infinity",
        b"1e400",
        b"18446744073709551616",
        b"-9223372036854775809",
        b"9" * 400,
        b"9" * 5000,
    ),
}
#: Tags, an extension, and what is no message at all.
OTHERS = {
    "msgpack": (b"\xd4\x05\x01", b"\xd6\xff\0\0\0\1", b"\xc1"),
    "cbor": (
        b"\xc0\x742013-03-21T20:04:00Z",
        b"\xc1\x01",
        b"\xc4\x82\x01\x02",
        b"\xd8\x25\x50" + b"1" * 16,
        b"\xd8\x23\x61a",
        b"\xd9\x01\x02\x81\x01",
        b"\xd9\x9c\x40\x01",
        b"\xf7",
        b"\xd8\x1c\x81\xd8\x1d\x00",
    ),
    "json": (b"[1,",),
}


def shared_references(levels: int = 6) -> bytes:
    """CBOR of 200 bytes whose shared references stand for ten to the power of ``levels + 1``."""
    items = b"\xd8\x1c\x8a" + b"\x01" * 10
    for index in range(levels):
        items += b"\xd8\x1c\x8a" + (b"\xd8\x1d" + bytes([index])) * 10
    return b"\x81" + bytes([0x81 + levels]) + items
