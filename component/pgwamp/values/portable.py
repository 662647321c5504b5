"""Portable values: those that every WAMP serializer carries, in both directions.

A value that one serializer cannot carry is worse than an error: the router drops the RESULT and
the call hangs, or stops delivering an event at the first subscriber that cannot take it. So what
Python code hands over, and what a caller sends, is checked here; what comes from PostgreSQL is
portable by construction.

Integers end at -2^63 and 2^64-1, which are msgpack's, the narrowest of the three serializers.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from sys import getsizeof
from typing import Any

from pgwamp.errors import InvalidArgument, at, below

#: Levels of lists and dicts; the pure Python JSON reader of some peers gives up at about 300.
MAX_DEPTH = 100
#: Levels of the result of a Python procedure, which may hold arguments of its caller.
MAX_RESULT_DEPTH = 150
INT_MIN, INT_MAX = -(2**63), 2**64 - 1
#: Letters of a caller's key that an error repeats.
_KEY_LETTERS = 100

#: How PostgreSQL writes what no serializer carries safely.
_NONFINITE = {"nan": "NaN", "inf": "Infinity", "-inf": "-Infinity"}
_SCALARS = frozenset({type(None), bool, int, float})
_CONTAINERS, _TEXTS = (list, dict, tuple), (str, bytes)
#: Bytes of a value in memory, about, beside those of its text and key.
_MEMORY_BYTES = 64
#: Characters of a text whose memory is worth asking for.
_LONG = 1_000
#: Fewer characters take less time than a call: such texts are joined. To join longer ones would
#: take much memory, if one has wide characters.
_SHORT = 100
#: Values, and characters of long texts, that are measured in one part: some milliseconds.
PART_VALUES, PART_CHARACTERS = 20_000, 1_000_000
#: What JSON writes as six bytes, and all that it writes as more than it is.
_CONTROLS = bytes(set(range(32)) - set(b"\b\t\n\f\r"))
_ESCAPED = bytes(range(32)) + b'"\\'


class _TooManyValues(Exception):
    pass


@dataclass(frozen=True, slots=True)
class NotPortable:
    """Stands for a value that was read from one format, and that the others cannot hold.

    :ivar kind: of value, as in ``a set``.
    """

    kind: str
    cure: str

    def __str__(self) -> str:
        return self.kind


def find_unportable(value: Any, depth: int = MAX_DEPTH) -> str | None:
    """Say where ``value`` holds something that is not portable, or None if it is portable.

    Portable are None, bool, int within 64 bits, finite float, str (valid Unicode, not beginning
    with NUL), bytes, and lists and dicts (with such str as keys) of these.
    """
    if portable_bytes([[value]], depth=depth) is not None:
        return None
    found = _find(value, "result", depth)
    if found and not found[0]:
        return f"result is nested deeper than {depth} levels; write it as JSON text"
    return f"{found[0]} is {found[1]}" if found else None


def check_arguments(args: Sequence[Any], kwargs: Mapping[str, Any], max_values: int) -> int:
    """Refuse arguments of a call that are not portable, or too many; say how much memory they take.

    :returns: bytes, about.
    :raises InvalidArgument: it names the place, as in ``where.total[3]``, and the cure.
    """
    try:
        byte_count = portable_bytes([args, kwargs], max_values)
        if byte_count is not None:
            return byte_count
    except _TooManyValues:
        raise InvalidArgument(
            "arguments",
            f"more than {max_values} values (limits.max_values); send them in several calls, "
            "or as csv",
        ) from None
    named: Mapping[str, Any] = kwargs
    if len(args) == 1 and type(args[0]) is dict:
        # Arguments by name may come in one positional dict.
        named = {**args[0], **kwargs}
    else:
        _refuse((f"args[{index}]", value) for index, value in enumerate(args))
    for key in named:
        if problem := _key_problem(key):
            raise InvalidArgument("arguments", problem)
    _refuse((_shown(key), value) for key, value in named.items())
    # Subclasses of portable types, which no message is read as.
    return 0


def _refuse(arguments: Iterable[tuple[str, Any]]) -> None:
    for place, value in arguments:
        if found := _find(value, place, MAX_DEPTH):
            raise InvalidArgument(found[0] or place, found[1])


@dataclass(slots=True)
class Size:
    """The size of values, with everything within them.

    :ivar values: these, the elements of lists, and the members of dicts.
    :ivar byte_count: of texts and keys, in UTF-8, and of bytes.
    """

    values: int = 0
    byte_count: int = 0

    @property
    def memory(self) -> int:
        """About how much memory they take, in bytes, where nothing is shared."""
        return self.byte_count + _MEMORY_BYTES * self.values

    def add(self, value: Any, most_values: float = math.inf, most_bytes: float = math.inf) -> None:
        """Add a value. It takes no longer than so many values and bytes in all take."""
        values, size = self.values, self.byte_count
        level: list[Any] = [[value]]
        while level and values <= most_values and size <= most_bytes:
            deeper: list[Any] = []
            for container in level:
                values += len(container)
                if values > most_values or size > most_bytes:
                    break
                items = container
                if isinstance(container, dict):
                    for key in container:
                        if type(key) is str:
                            size += len(key if key.isascii() else key.encode(errors="replace"))
                    items = container.values()
                for item in items:
                    kind = type(item)
                    if kind in _SCALARS:
                        continue
                    if kind is str:
                        size += len(item if item.isascii() else item.encode(errors="replace"))
                    elif isinstance(item, _CONTAINERS):
                        deeper.append(item)
                    elif isinstance(item, _TEXTS):
                        size += len(item)
                    if size > most_bytes:
                        break
            level = deeper
        self.values, self.byte_count = values, size


def portable_bytes(
    level: list[Any], max_values: int | None = None, depth: int = MAX_DEPTH
) -> int | None:
    """About how much memory the values within these lists and dicts take; None if not portable.

    Level by level, without places: a call pays for this walk, and only an error for the other.
    It stops at more than ``max_values`` with an exception. Most text is looked at in place, which
    takes a quarter less than a call for each.
    """
    count = byte_count = 0
    for _ in range(depth + 1):
        deeper: list[Any] = []
        for container in level:
            count += len(container)
            if max_values is not None and count > max_values:
                raise _TooManyValues
            if type(container) is dict:
                for key in container:
                    if type(key) is not str or key[:1] == "\0":
                        return None
                    if key.isascii():
                        byte_count += len(key)
                    elif _is_portable_text(key):
                        byte_count += getsizeof(key)
                    else:
                        return None
                items: Iterable[Any] = container.values()
            else:
                items = container
            for item in items:
                kind = type(item)
                if kind is str:
                    if item[:1] == "\0":
                        return None
                    if item.isascii():
                        byte_count += len(item)
                    elif _is_portable_text(item):
                        # One character beyond Latin-1 makes a text two or four times as large.
                        byte_count += 4 * len(item) if len(item) < _LONG else getsizeof(item)
                    else:
                        return None
                elif kind is int:
                    if not INT_MIN <= item <= INT_MAX:
                        return None
                elif kind is list or kind is dict or kind is tuple:
                    deeper.append(item)
                elif kind is float:
                    if item - item != 0:
                        return None
                elif kind is bytes:
                    byte_count += len(item)
                elif kind is not bool and item is not None:
                    # A subclass may be; the other walk decides.
                    return None
        if not deeper:
            return byte_count + _MEMORY_BYTES * (count + 1)
        level = deeper
    return None


def is_shallow(value: Any) -> bool:
    """Whether ``value`` is nested no deeper than :data:`MAX_DEPTH`; faster than all of the walk."""
    level: list[Any] = [[value]]
    for _ in range(MAX_DEPTH + 1):
        level = [
            item
            for container in level
            for item in (container.values() if type(container) is dict else container)
            if type(item) is dict or type(item) is list
        ]
        if not level:
            return True
    return False


def is_carried(value: Any) -> bool:
    """Whether every serializer carries a value of JSON, whose numbers are known to be portable.

    Its texts are encoded at once, which takes a fifth of the time of one by one.
    """
    texts: list[str] = []
    level: list[Any] = [[value]]
    for _ in range(MAX_DEPTH + 1):
        texts += [key for container in level if type(container) is dict for key in container]
        items = [
            item
            for container in level
            for item in (container.values() if type(container) is dict else container)
        ]
        texts += [item for item in items if type(item) is str]
        level = [item for item in items if type(item) is dict or type(item) is list]
        if not level:
            if any(text[:1] == "\0" for text in texts):
                return False
            # With a space before each, or two halves would make a whole.
            return _is_portable_text("".join(f" {text}" for text in texts if not text.isascii()))
    return False


def _is_portable_text(text: str) -> bool:
    if text[:1] == "\0":
        return False
    if not text.isascii():
        try:
            text.encode()
        except UnicodeEncodeError:
            return False
    return True


def _find(value: Any, path: str, depth: int) -> tuple[str, str] | None:
    """Find the first value that is not portable: its place, and what it is, with the cure."""
    if value is None or isinstance(value, bool | bytes):
        return None
    if isinstance(value, str):
        return None if _is_portable_text(value) else (path, _text_problem(value))
    if isinstance(value, int):
        if INT_MIN <= value <= INT_MAX:
            return None
        return path, "an integer beyond 64 bits; write it as a string"
    if isinstance(value, float):
        if value - value == 0:
            return None
        return path, f'{value}; write it as the string "{_NONFINITE[str(value)]}"'
    if isinstance(value, NotPortable):
        return path, f"{value.kind}; {value.cure}"
    if not isinstance(value, list | tuple | dict):
        return path, f"of the type {type(value).__name__}; write it as a string"
    if depth == 0:
        # The place would be as long as it is deep.
        return "", f"nested deeper than {MAX_DEPTH} levels; write it as JSON text"
    if isinstance(value, dict):
        for key, item in value.items():
            if problem := _key_problem(key):
                return path, f"a dict with {problem}"
            if found := _find(item, below(path, key), depth - 1):
                return found
        return None
    for index, item in enumerate(value):
        if found := _find(item, at(path, index), depth - 1):
            return found
    return None


def _key_problem(key: Any) -> str | None:
    # The writers of msgpack and JSON take no subclass as a key.
    if type(key) is not str:
        return f"the key {_shown(repr(key))}, which is not a string"
    if not _is_portable_text(key):
        return f"the key '{_shown(key)}', {_text_problem(key)}"
    return None


def _text_problem(text: str) -> str:
    if text[:1] == "\0":
        return "text that begins with NUL; leave that out, or send bytes"
    return "text with half a character (a lone surrogate); send valid Unicode"


def _shown(key: str) -> str:
    """A key as an error may carry it."""
    short = key[:_KEY_LETTERS]
    return short if short.isprintable() else repr(short)[1:-1]


def portable_text(text: str) -> str:
    """Make any text portable, for errors: what is not is written as an escape."""
    if _is_portable_text(text):
        return text
    escaped = text.encode(errors="backslashreplace").decode()
    return escaped.replace("\0", "\\x00")


#: Makes every digit a 0, so that a long run of digits is found as fast as any text.
_ALL_ZEROS = bytes(48 if 48 <= byte <= 57 else byte for byte in range(256))
#: The fewest digits of an integer beyond 64 bits.
LONG_RUN = b"0" * 19


def digits_as_zeros(document: bytes) -> bytes:
    """Return a document with a zero for each digit."""
    return document.translate(_ALL_ZEROS)


def may_hold_large(document: bytes) -> bool:
    """Whether JSON may hold an integer beyond 64 bits, which orjson would read as a float."""
    return LONG_RUN in digits_as_zeros(document)


def most_bytes(value: Any) -> int:
    """How much a portable value takes in a message at most, in bytes, whatever the serializer."""
    return sum(byte_count for _, byte_count in measured_parts(value))


def measured_parts(value: Any) -> Iterator[tuple[int, int]]:
    """How many values there are within a portable value, and :func:`most_bytes` of it, in parts.

    It takes some milliseconds to each next part: who reads them can stop, or do something else.
    """
    values, byte_count = 1, 0
    left = PART_VALUES
    short: list[str] = []
    rest: list[Any] = [value]
    while rest:
        some = rest[-PART_VALUES:]
        del rest[-PART_VALUES:]
        left -= len(some)
        for item in some:
            if isinstance(item, str):
                byte_count += 4
                if len(item) < _SHORT:
                    short.append(item)
                    continue
                for start in range(0, len(item), PART_CHARACTERS):
                    part = item[start : start + PART_CHARACTERS]
                    byte_count += _bytes_in_json(part)
                    left -= len(part) * PART_VALUES // PART_CHARACTERS
                    if left <= 0:
                        yield values, byte_count
                        values, byte_count, left = 0, 0, PART_VALUES
            elif isinstance(item, bytes):
                # As base64, with the NUL before it escaped.
                byte_count += 8 + (len(item) + 2) // 3 * 4
            elif isinstance(item, list | tuple):
                byte_count += 9 + 2 * len(item)
                values += len(item)
                rest += item
            elif isinstance(item, dict):
                byte_count += 9 + 4 * len(item)
                values += len(item)
                rest += item
                rest += item.values()
            else:
                byte_count += 25
        if left <= 0 or not rest:
            # At once, which takes a fifth of the time of one by one.
            byte_count += _bytes_in_json("".join(short))
            short.clear()
            yield values, byte_count
            values, byte_count, left = 0, 0, PART_VALUES


def _bytes_in_json(text: str) -> int:
    """The bytes of a text in JSON without its quotes."""
    byte_count = text.encode()
    escaped = len(byte_count) - len(byte_count.translate(None, _ESCAPED))
    if not escaped:
        return len(byte_count)
    # As \u0001; the others take two.
    controls = len(byte_count) - len(byte_count.translate(None, _CONTROLS))
    return len(byte_count) + escaped + 4 * controls
