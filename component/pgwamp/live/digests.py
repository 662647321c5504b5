"""Digests of rows and of arguments: two are equal if what they were made of is."""

from __future__ import annotations

import asyncio
import marshal
import secrets
from collections.abc import Iterable, Iterator, Sequence
from hashlib import blake2b
from typing import Any

from pgwamp.query.shape import PART_BYTES

DIGEST_BYTES = 16
#: Of this process, so that nobody can search for two texts with one digest.
_KEY = secrets.token_bytes(32)
#: The form of marshal in which equal values have equal bytes, with their types and lengths.
_FORM = 2
#: Before texts and bytes that are taken in parts; marshal begins with letters.
_LONG: dict[type, bytes] = {str: b"\1", bytes: b"\2"}
#: What a value takes besides its bytes, as time goes.
_VALUE = 50


async def digests(rows: Iterable[Sequence[Any]]) -> bytes:
    """Return the digest of each row, one after the other, with a break after each part.

    1, 1.0 and true differ, and so do text and bytes.
    """
    found = bytearray()
    left = PART_BYTES
    for values in rows:
        digest = blake2b(digest_size=DIGEST_BYTES, key=_KEY)
        for part in _parts(values):
            digest.update(part)
            left -= len(part) + _VALUE
            if left < 0:
                await asyncio.sleep(0)
                left = PART_BYTES
        found += digest.digest()
    return bytes(found)


def split(found: bytes) -> list[bytes]:
    """Return the digests that :func:`digests` has put one after the other."""
    return [found[at : at + DIGEST_BYTES] for at in range(0, len(found), DIGEST_BYTES)]


def _parts(values: Sequence[Any]) -> Iterator[bytes]:
    for value in values:
        kind: type = type(value)
        if kind not in _LONG or len(value) <= PART_BYTES:
            yield marshal.dumps(value, _FORM)
            continue
        yield _LONG[kind] + marshal.dumps(len(value), _FORM)
        for start in range(0, len(value), PART_BYTES):
            part = value[start : start + PART_BYTES]
            yield part.encode() if kind is str else part
