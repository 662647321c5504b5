"""JSON documents that enter."""

from __future__ import annotations

import json
import math
from typing import Any

from pgwamp.errors import InvalidArgument, at, below, excerpt
from pgwamp.pgtypes.budget import Budget, written_length
from pgwamp.pgtypes.scalars import MOST_INTEGER_BITS, check_text, is_text
from pgwamp.pgtypes.types import Type

#: Levels of lists and dicts in one value.
_MOST_LEVELS = 100
_write_json = json.JSONEncoder(ensure_ascii=False).encode
#: A place inside a value: that of what holds it, and its key or index there. It is cheap to make,
#: and written out only for an error.
_Place = tuple["_Place", Any] | None


def json_text(_: Type, value: Any, path: str, budget: Budget) -> str:
    """``value`` as JSON."""
    budget.spend(_check_json(value, path), path)
    return _write_json(value)


def _check_json(value: Any, path: str) -> int:
    """Refuse what JSON, or PostgreSQL's json, cannot hold.

    :returns: what its texts and keys spend when they are written.
    """
    # The list that holds the value is none of its levels.
    rest: list[tuple[Any, _Place, int]] = [([value], None, 0)]
    written = 0
    while rest:
        holder, place, level = rest.pop()
        is_dict = type(holder) is dict
        for key, item in holder.items() if is_dict else enumerate(holder):
            kind = type(item)
            if is_dict:
                if type(key) is str and is_text(key):
                    written += len(key)
                else:
                    written += _check_key(key, _path(path, (place, key)))
            if kind is str:
                if is_text(item):
                    written += len(item)
                else:
                    check_text(item, _path(path, (place, key) if level else None))
                    written += written_length(item)
            elif kind is dict or kind is list or kind is tuple:
                inner = (place, key) if level else None
                if level == _MOST_LEVELS:
                    raise InvalidArgument(
                        _path(path, inner), f"nested deeper than {_MOST_LEVELS} levels"
                    )
                rest.append((item, inner, level + 1))
            elif problem := _problem(item):
                raise InvalidArgument(_path(path, (place, key) if level else None), problem)
    return written


def _path(path: str, place: _Place) -> str:
    keys = []
    while place is not None:
        place, key = place
        keys.append(key)
    for key in reversed(keys):
        path = at(path, key) if type(key) is int else below(path, key)
    return path


def _problem(value: Any) -> str:
    """The problem of a value that is neither text nor made of others."""
    if value is None or type(value) is bool:
        return ""
    if type(value) is int:
        return f"{excerpt(value)} is too large" if value.bit_length() > MOST_INTEGER_BITS else ""
    if type(value) is float:
        return "" if math.isfinite(value) else "JSON cannot hold NaN or infinity"
    if isinstance(value, bytes | bytearray):
        return "JSON cannot hold bytes; encode them, for example as base64"
    return f"JSON cannot hold a {type(value).__name__}"


def _check_key(key: Any, path: str) -> int:
    """Refuse what is no key; returns what it spends."""
    if type(key) is str:
        check_text(key, path)
        return written_length(key)
    if type(key) is not int or key.bit_length() > MOST_INTEGER_BITS:
        raise InvalidArgument(path, "the keys of a JSON object are strings")
    return 0
