"""Neutral payloads: the values that every WAMP serializer carries.

A value that one serializer cannot carry is worse than an error: the router drops the RESULT and
the call hangs, or stops delivering an event at the first subscriber that cannot take it. So what
Python code hands over is checked here; what comes from PostgreSQL is neutral by construction.
"""

from __future__ import annotations

from typing import Any

_SCALARS = (bool, str, bytes, type(None))


def find_foreign(value: Any, path: str = "result") -> str | None:
    """Say where ``value`` holds something that is not neutral, or None if it is neutral.

    Neutral are None, bool, int within 64 bits, finite float, str not beginning with NUL, bytes,
    and lists and dicts (with str keys) of these.
    """
    if isinstance(value, _SCALARS):
        return f"{path} begins with NUL" if type(value) is str and value[:1] == "\0" else None
    if isinstance(value, int):
        in_range = -(2**63) <= value < 2**64
        return None if in_range else f"{path} is an integer beyond 64 bits; use a string"
    if isinstance(value, float):
        finite = value - value == 0
        return None if finite else f"{path} is {value}; use a string"
    if isinstance(value, list | tuple):
        for index, item in enumerate(value):
            if found := find_foreign(item, f"{path}[{index}]"):
                return found
        return None
    if isinstance(value, dict):
        for key, item in value.items():
            if not isinstance(key, str):
                return f"{path} has the key {key!r}, which is not a string"
            if found := find_foreign(item, f"{path}.{key}"):
                return found
        return None
    return (
        f"{path} is a {type(value).__name__}; return None, bool, int, float, str, bytes, "
        "list or dict"
    )
