"""JSON documents that enter."""

from __future__ import annotations

import json
import math
from typing import Any

from pgwamp.errors import InvalidArgument, at, below, excerpt
from pgwamp.values.budget import Budget, written_length
from pgwamp.values.scalars import MOST_INTEGER_BITS, check_text, is_text
from pgwamp.values.types import Type

#: Levels of lists and dicts in one value.
_MOST_LEVELS = 100
#: Control characters that JSON writes as six; the others it writes as two.
_CONTROLS = bytes(set(range(32)) - set(b"\b\t\n\f\r"))
#: Characters of a text whose control characters are not counted: many such texts take little time.
_SHORT = 64
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
    inner: _Place = None
    written = 0
    try:
        while rest:
            holder, place, level = rest.pop()
            is_dict = type(holder) is dict
            for key, item in holder.items() if is_dict else enumerate(holder):
                inner = (place, key) if level else None
                kind = type(item)
                if is_dict:
                    if type(key) is str and len(key) <= _SHORT and is_text(key):
                        written += len(key)
                    else:
                        written += _check_key(key)
                if kind is str:
                    if len(item) <= _SHORT and is_text(item):
                        written += len(item)
                    else:
                        written += _check_text(item)
                elif kind is dict or kind is list or kind is tuple:
                    if level == _MOST_LEVELS:
                        raise InvalidArgument("", f"nested deeper than {_MOST_LEVELS} levels")
                    rest.append((item, inner, level + 1))
                elif problem := _problem(item):
                    raise InvalidArgument("", problem)
    except InvalidArgument as error:
        raise error.within(_path(path, inner)) from None
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


def _check_key(key: Any) -> int:
    """Refuse what is no key; returns what it spends."""
    if type(key) is str:
        return _check_text(key)
    if type(key) is not int or key.bit_length() > MOST_INTEGER_BITS:
        raise InvalidArgument("", "the keys of a JSON object are strings")
    return 0


def _check_text(text: str) -> int:
    """Refuse what PostgreSQL's text cannot hold; returns what it spends in JSON."""
    check_text(text, "")
    encoded = text.encode()
    controls = len(encoded) - len(encoded.translate(None, _CONTROLS))
    return written_length(text, 5 * controls)
