"""Neutral payloads: the values that every WAMP serializer carries.

A value that one serializer cannot carry is worse than an error: the router drops the RESULT and
the call hangs, or stops delivering an event at the first subscriber that cannot take it. So what
Python code hands over is checked here; what comes from PostgreSQL is neutral by construction.
"""

from __future__ import annotations

import json
from typing import Any

#: Levels of lists and dicts; the pure Python JSON reader of some peers gives up at about 300.
MAX_DEPTH = 100


def find_foreign(value: Any, path: str = "result", depth: int = MAX_DEPTH) -> str | None:
    """Say where ``value`` holds something that is not neutral, or None if it is neutral.

    Neutral are None, bool, int within 64 bits, finite float, str (valid Unicode, not beginning
    with NUL), bytes, and lists and dicts (with such str as keys) of these.
    """
    if value is None or isinstance(value, bool | bytes):
        return None
    if isinstance(value, str):
        problem = _foreign_text(value)
        return f"{path} {problem}" if problem else None
    if isinstance(value, int):
        in_range = -(2**63) <= value < 2**64
        return None if in_range else f"{path} is an integer beyond 64 bits; use a string"
    if isinstance(value, float):
        finite = value - value == 0
        return None if finite else f"{path} is {value}; use a string"
    if not isinstance(value, list | tuple | dict):
        return (
            f"{path} is a {type(value).__name__}; return None, bool, int, float, str, bytes, "
            "list or dict"
        )
    if depth == 0:
        return f"{path} is nested deeper than {MAX_DEPTH} levels"
    if isinstance(value, dict):
        for key, item in value.items():
            if not isinstance(key, str):
                return f"{path} has the key {key!r}, which is not a string"
            if problem := _foreign_text(key):
                return f"{path} has the key {key!r}, which {problem}"
            if found := find_foreign(item, f"{path}.{key}", depth - 1):
                return found
        return None
    for index, item in enumerate(value):
        if found := find_foreign(item, f"{path}[{index}]", depth - 1):
            return found
    return None


def _foreign_text(text: str) -> str | None:
    if text[:1] == "\0":
        return "begins with NUL"
    if not text.isascii():
        try:
            text.encode()
        except UnicodeEncodeError:
            return "holds half a character (a surrogate), which is not valid Unicode"
    return None


def most_octets(value: Any) -> int:
    """How much a neutral value takes in a message at most, in octets, whatever the serializer."""
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
