"""Counting the values of a message, and reading its first numbers, without reading the rest.

A reader makes a Python object of every value before anything can be refused: 16 MiB of tiny ones
hold the event loop for seconds. Counting stops at a bound, and skips a text of any length at once.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

#: How a value goes on, by its first byte: its bytes, with those of its length; the values within
#: it; the bytes of its length, which follow the first; and the values that each of that length
#: stands for, or 0 where it counts bytes. None is no first byte.
_Entry = tuple[int, int, int, int] | None
_Table = Sequence[_Entry]


class TooManyValues(ValueError):
    """A message holds more values than the bound."""


def _msgpack_table() -> _Table:
    plain: _Entry = (1, 0, 0, 0)
    table: list[_Entry] = [plain] * 256
    for length in range(16):
        table[0x80 + length] = (1, 2 * length, 0, 0)
        table[0x90 + length] = (1, length, 0, 0)
    for length in range(32):
        table[0xA0 + length] = (1 + length, 0, 0, 0)
    table[0xC1] = None
    for step, width in enumerate((1, 2, 4)):
        table[0xC4 + step] = table[0xD9 + step] = (1 + width, 0, width, 0)
        # An extension has a byte for its type.
        table[0xC7 + step] = (2 + width, 0, width, 0)
    for first, width in zip(range(0xCA, 0xD4), (4, 8, 1, 2, 4, 8, 1, 2, 4, 8), strict=True):
        table[first] = (1 + width, 0, 0, 0)
    for step in range(5):
        table[0xD4 + step] = (2 + 2**step, 0, 0, 0)
    for step, width in enumerate((2, 4)):
        table[0xDC + step] = (1 + width, 0, width, 1)
        table[0xDE + step] = (1 + width, 0, width, 2)
    return table


def _cbor_table() -> _Table:
    table: list[_Entry] = []
    for first in range(256):
        major, info = first >> 5, first & 31
        values = {4: 1, 5: 2}.get(major, 0)
        if info < 24:
            size = 1 + (info if major in (2, 3) else 0)
            table.append((size, 1 if major == 6 else values * info, 0, 0))
        elif info < 28:
            width = 1 << (info - 24)
            if major in (2, 3, 4, 5):
                table.append((1 + width, 0, width, values))
            else:
                table.append((1 + width, 1 if major == 6 else 0, 0, 0))
        else:
            # Reserved, or of indefinite length, which no router sends.
            table.append(None)
    return table


MSGPACK, CBOR = _msgpack_table(), _cbor_table()


def count_values(payload: bytes, table: _Table, most: int) -> None:
    """Count values and keys; takes as long as ``most`` values take, about 0.2 us each.

    :raises TooManyValues: there are more than ``most``.
    :raises ValueError: it is not of this format.
    """
    position, count, pending = 0, 0, 1
    while pending:
        entry = table[payload[position]] if position < len(payload) else None
        if entry is None:
            raise ValueError(f"no value begins at byte {position}")
        size, values, width, scale = entry
        after = position + size
        if width:
            length = int.from_bytes(payload[position + 1 : position + 1 + width])
            if scale:
                values = length * scale
            else:
                after += length
        position = after
        count += 1
        pending += values - 1
        if count + pending > most:
            raise TooManyValues


_JSON_STRING = re.compile(rb'"[^"\\]*(?:\\.[^"\\]*)*"', re.DOTALL)


def count_json_values(payload: bytes, most: int) -> None:
    """Count strings, and what separates and holds values; takes about 20 ns for each byte.

    :raises TooManyValues: there are more than ``most`` of either.
    """
    # Nearly every message has fewer commas and brackets, those within its strings counted.
    if _separators(payload, 0, len(payload)) <= most:
        return
    position = separators = 0
    for count, match in enumerate(_JSON_STRING.finditer(payload)):
        separators += _separators(payload, position, match.start())
        if max(count, separators) > most:
            raise TooManyValues
        position = match.end()
    if separators + _separators(payload, position, len(payload)) > most:
        raise TooManyValues


def _separators(payload: bytes, start: int, end: int) -> int:
    return sum(payload.count(separator, start, end) for separator in (b",", b"[", b"{"))


_JSON_NUMBERS = re.compile(rb"\s*\[\s*(\d{1,16})(?:\s*,\s*(\d{1,16}))?(?:\s*,\s*(\d{1,16}))?")


def first_json_numbers(payload: bytes) -> tuple[int, ...]:
    """Read the integers that a JSON array begins with, three at most."""
    match = _JSON_NUMBERS.match(payload)
    return tuple(int(number) for number in match.groups() if number) if match else ()
