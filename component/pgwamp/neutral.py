"""Portable values: those that every WAMP serializer carries, in both directions.

A value that one serializer cannot carry is worse than an error: the router drops the RESULT and
the call hangs, or stops delivering an event at the first subscriber that cannot take it. So what
Python code hands over, and what a caller sends, is checked here; what comes from PostgreSQL is
portable by construction.

Integers end at -2^63 and 2^64-1, which are msgpack's, the narrowest of the three serializers.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from pgwamp.errors import InvalidArgument

#: Levels of lists and dicts; the pure Python JSON reader of some peers gives up at about 300.
MAX_DEPTH = 100
INT_MIN, INT_MAX = -(2**63), 2**64 - 1
#: Letters of a caller's key that an error repeats.
_KEY_LETTERS = 100

_PLAIN = frozenset({type(None), bool, bytes})


def find_foreign(value: Any) -> str | None:
    """Say where ``value`` holds something that is not portable, or None if it is portable.

    Portable are None, bool, int within 64 bits, finite float, str (valid Unicode, not beginning
    with NUL), bytes, and lists and dicts (with such str as keys) of these.
    """
    if _is_portable([[value]], None):
        return None
    found = _find(value, "result", MAX_DEPTH)
    return f"{found[0]} is {found[1]}" if found else None


def check_arguments(args: Sequence[Any], kwargs: Mapping[str, Any], max_values: int) -> None:
    """Refuse arguments of a call that are not portable, or too many.

    :raises InvalidArgument: it names the place, as in ``where.total[3]``, and the cure.
    """
    if _is_portable([args, kwargs], max_values):
        return
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
    raise InvalidArgument(
        "arguments",
        f"more than {max_values} values (limits.max_values); send them in several calls, or as csv",
    )


def _refuse(arguments: Iterable[tuple[str, Any]]) -> None:
    for place, value in arguments:
        if found := _find(value, place, MAX_DEPTH):
            raise InvalidArgument(*found)


def _is_portable(level: list[Any], max_values: int | None) -> bool:
    """Whether the values within these lists and dicts are; False also for more than so many.

    Level by level, without places: a call pays for this walk, and only an error for the other.
    """
    count = 0
    for _ in range(MAX_DEPTH + 1):
        deeper: list[Any] = []
        for container in level:
            count += len(container)
            if max_values is not None and count > max_values:
                return False
            if type(container) is dict:
                for key in container:
                    if type(key) is not str or not _is_portable_text(key):
                        return False
                items: Iterable[Any] = container.values()
            else:
                items = container
            for item in items:
                kind = type(item)
                if kind is str:
                    if not _is_portable_text(item):
                        return False
                elif kind is int:
                    if not INT_MIN <= item <= INT_MAX:
                        return False
                elif kind is list or kind is dict or kind is tuple:
                    deeper.append(item)
                elif kind is float:
                    if item - item != 0:
                        return False
                elif kind not in _PLAIN:
                    # A subclass may be; the other walk decides.
                    return False
        if not deeper:
            return True
        level = deeper
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
        return None if value - value == 0 else (path, f'{value}; write it as a string, as "NaN"')
    if not isinstance(value, list | tuple | dict):
        return path, f"of the type {type(value).__name__}; write it as a string"
    if depth == 0:
        return path, f"nested deeper than {MAX_DEPTH} levels; write it as JSON text"
    if isinstance(value, dict):
        for key, item in value.items():
            if problem := _key_problem(key):
                return path, f"a dict with {problem}"
            if found := _find(item, f"{path}.{_shown(key)}", depth - 1):
                return found
        return None
    for index, item in enumerate(value):
        if found := _find(item, f"{path}[{index}]", depth - 1):
            return found
    return None


def _key_problem(key: Any) -> str | None:
    if not isinstance(key, str):
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
_LONG_RUN = b"0" * 19


def may_hold_large(document: bytes) -> bool:
    """Whether JSON may hold an integer beyond 64 bits, which orjson would read as a float."""
    return _LONG_RUN in document.translate(_ALL_ZEROS)


def most_octets(value: Any) -> int:
    """How much a portable value takes in a message at most, in octets, whatever the serializer."""
    if isinstance(value, str):
        return 2 + len(json.dumps(value, ensure_ascii=False).encode())
    if isinstance(value, bytes):
        # As base64, with the NUL before it escaped.
        return 8 + (len(value) + 2) // 3 * 4
    if isinstance(value, list | tuple):
        return 9 + sum(2 + most_octets(item) for item in value)
    if isinstance(value, dict):
        return 9 + sum(4 + most_octets(key) + most_octets(item) for key, item in value.items())
    return 25
