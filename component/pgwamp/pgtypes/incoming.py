"""Values that enter: from the arguments of a call to parameters of a statement."""

from __future__ import annotations

import json
import math
import re
import sys
from collections.abc import Mapping
from typing import Any

from pgwamp.errors import InvalidArgument, at, below, excerpt
from pgwamp.pgtypes.outgoing import finite
from pgwamp.pgtypes.types import TEXT_TYPE, Binder, Form, Type

_INTEGER_RANGES = {
    name: (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1)
    for name, bits in {"smallint": 16, "integer": 32, "bigint": 64}.items()
} | {"oid": (0, 2**32 - 1)}
_NUMERIC = re.compile(r"\s*[+-]?((\d+(\.\d*)?|\.\d+)([eE][+-]?\d+)?|NaN|Infinity)\s*", re.ASCII)
#: Characters of a number: PostgreSQL's numeric has 131,072 digits before the point, 16,383 behind.
_LONGEST_NUMBER = 150_000
#: Bits of an integer that Python writes out; writing the largest takes quadratic time.
_MOST_INTEGER_BITS = 14_000
#: Levels of lists and dicts in one value, and dimensions of an array in PostgreSQL.
_MOST_LEVELS, _MOST_DIMENSIONS = 100, 6
_write_json = json.JSONEncoder(ensure_ascii=False).encode
_UUID = re.compile(r"\{?[0-9a-fA-F]{4}(-?[0-9a-fA-F]{4}){7}\}?")
#: What rounds to the largest real, not to infinity.
_LARGEST_REAL = 3.402823567797336e38
_NONFINITE = {"nan": math.nan, "infinity": math.inf, "-infinity": -math.inf}


def bindable(of: Type, value: Any, path: str) -> Any:
    """Check ``value`` against type ``of`` and make it what a query parameter takes.

    int, float, bool, str, bytes for those types; for every other type its text form, which the
    statement casts in the server.

    :param path: names the argument in an error, as in ``where.total.gte``.
    :raises InvalidArgument: the value does not fit the type.
    """
    return binder(of)(of, value, path)


def binder(of: Type) -> Binder:
    """The function that does the work of :func:`bindable`, for many values of one type."""
    if of.representation is not None and of.representation.from_text is not None:
        return _represented
    return _BINDERS.get(of.form, text_form)


def bindable_list(of: Type, values: Any, path: str) -> list[Any]:
    """A list of values of type ``of``, as one array parameter."""
    if type(values) is not list:
        raise InvalidArgument(path, f"expected a list of {of.describe()} values")
    bind, bound = binder(of), []
    try:
        for value in values:
            bound.append(None if value is None else bind(of, value, ""))
    except InvalidArgument:
        # The place is named only of the one that is wrong.
        bind(of, values[len(bound)], at(path, len(bound)))
        raise
    return bound


def writer(of: Type) -> Binder:
    """As :func:`binder`, for values to be stored.

    What the author of a domain reads from JSON is JSON text, whatever the domain is made of.
    """
    own = of.representation
    if own is None:
        return binder(of)
    return text_form if own.from_json is None else _json_text


def text_form(of: Type, value: Any, path: str) -> str:
    """``value`` as PostgreSQL's text input for type ``of``. Raises :class:`InvalidArgument`."""
    form = of.form
    if form == "json":
        return _json_text(of, value, path)
    if form in ("integer", "float", "boolean"):
        plain = bindable(of, value, path)
        return str(plain).lower() if form == "boolean" else str(plain)
    if form == "bytea":
        return "\\x" + _bytes(of, value, path).hex()
    if form == "numeric":
        return _numeric(of, value, path)
    if form == "range" and isinstance(value, Mapping):
        return _range_text(of, value, path)
    if form == "multirange" and type(value) is list:
        parts = [_range_text(of, part, at(path, i)) for i, part in enumerate(value)]
        return "{" + ",".join(parts) + "}"
    if form == "hstore" and isinstance(value, Mapping):
        return _hstore_text(of, value, path)
    if form == "array" and of.element is not None:
        return _array_text(of.element, value, path)
    if form == "composite":
        return _composite_text(of, value, path)
    text = _text(of, value, path)
    if form == "enum" and text not in of.label_set:
        raise InvalidArgument(path, f"'{excerpt(text)}' is not one of {', '.join(of.labels)}")
    return text


def _text(of: Type, value: Any, path: str) -> str:
    if type(value) is not str:
        raise _mismatch(of, value, path)
    _check_text(value, path)
    if of.name == "uuid" and not _UUID.fullmatch(value):
        raise InvalidArgument(path, f"'{excerpt(value)}' is not a uuid")
    return value


def _is_text(text: str) -> bool:
    """Whether PostgreSQL's text can hold it, as far as that is quick to see."""
    return text.isascii() and "\x00" not in text


def _check_text(text: str, path: str) -> None:
    """Refuse what PostgreSQL's text cannot hold."""
    if "\x00" in text:
        raise InvalidArgument(path, "PostgreSQL text cannot hold the character NUL")
    if not text.isascii():
        try:
            text.encode()
        except UnicodeEncodeError:
            raise InvalidArgument(path, "holds half a character (a lone surrogate)") from None


def _mismatch(of: Type, value: Any, path: str) -> InvalidArgument:
    given = "null" if value is None else type(value).__name__
    return InvalidArgument(path, f"expected {_EXPECTED.get(of.form, 'a string')} "
                                 f"for type {of.describe()}, got {given}")  # fmt: skip


_EXPECTED: dict[str, str] = {
    "integer": "an integer",
    "float": "a number",
    "boolean": "true or false",
    "bytea": 'bytes, or a string of hex digits that begins with "\\x"',
    "numeric": "a number or a string of digits",
    "array": "a list",
    "composite": "a dict of its fields",
    "range": 'a string such as "[1,5)" or a dict with lower, upper, bounds',
    "hstore": "a dict of strings",
}


def _integer(of: Type, value: Any, path: str) -> int:
    if type(value) is not int:
        digits = type(value) is str and re.fullmatch(r"[+-]?\d{1,20}", value)
        if not digits and not (type(value) is float and value.is_integer()):
            raise _mismatch(of, value, path)
        value = int(value)
    low, high = _INTEGER_RANGES[of.name]
    if not low <= value <= high:
        raise InvalidArgument(path, f"{excerpt(value)} is out of range for type {of.name}")
    return int(value)


def _float(of: Type, value: Any, path: str) -> float:
    if type(value) is str and value.lower() in _NONFINITE:
        return _NONFINITE[value.lower()]
    if type(value) is float and not math.isfinite(value):
        return value
    if type(value) in (int, float) or _is_number(value):
        largest = _LARGEST_REAL if of.name == "real" else sys.float_info.max
        try:
            number = float(value)
        except OverflowError:
            number = math.inf
        if abs(number) <= largest:
            return number
        raise InvalidArgument(path, f"{excerpt(value)} is out of range for type {of.name}")
    raise _mismatch(of, value, path)


def _represented(of: Type, value: Any, path: str) -> str:
    """A value that the domain's own function reads as text."""
    if type(value) is str:
        _check_text(value, path)
        return value
    if type(value) in (int, float, bool):
        return _json_text(of, value, path)
    raise InvalidArgument(path, f"expected text that type {of.domain} can read")


def _boolean(of: Type, value: Any, path: str) -> bool:
    if type(value) is not bool:
        raise _mismatch(of, value, path)
    return value


def _bytes(of: Type, value: Any, path: str) -> bytes:
    if isinstance(value, bytes | bytearray):
        return bytes(value)
    if type(value) is str and value.startswith("\\x"):
        try:
            return bytes.fromhex(value[2:])
        except ValueError:
            pass
    raise _mismatch(of, value, path)


def _is_number(value: Any) -> bool:
    """Whether it is a text that reads as a number."""
    return (
        type(value) is str
        and len(value) <= _LONGEST_NUMBER
        and _NUMERIC.fullmatch(value) is not None
    )


def _digits(value: int, path: str) -> str:
    if value.bit_length() > _MOST_INTEGER_BITS:
        raise InvalidArgument(path, f"{excerpt(value)}: give it as a string of digits")
    return str(value)


def _numeric(of: Type, value: Any, path: str) -> str:
    if _is_number(value):
        return str(value).strip()
    if type(value) is int:
        return _digits(value, path)
    if type(value) is float:
        return str(finite(value))
    raise _mismatch(of, value, path)


def _json_text(_: Type, value: Any, path: str) -> str:
    _check_json(value, path)
    return _write_json(value)


def _check_json(value: Any, path: str) -> None:
    """Refuse what JSON, or PostgreSQL's json, cannot hold."""
    # The list that holds the value is none of its levels.
    rest: list[tuple[Any, _Place, int]] = [([value], None, 0)]
    while rest:
        holder, place, level = rest.pop()
        is_dict = type(holder) is dict
        for key, item in holder.items() if is_dict else enumerate(holder):
            kind = type(item)
            if is_dict and (type(key) is not str or not _is_text(key)):
                _check_key(key, _path(path, (place, key)))
            if kind is str:
                if not _is_text(item):
                    _check_text(item, _path(path, (place, key) if level else None))
            elif kind is dict or kind is list or kind is tuple:
                inner = (place, key) if level else None
                if level == _MOST_LEVELS:
                    raise InvalidArgument(
                        _path(path, inner), f"nested deeper than {_MOST_LEVELS} levels"
                    )
                rest.append((item, inner, level + 1))
            elif problem := _problem(item):
                raise InvalidArgument(_path(path, (place, key) if level else None), problem)


#: A place inside a value: that of what holds it, and its key or index there. It is cheap to make,
#: and written out only for an error.
_Place = tuple["_Place", Any] | None


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
        return f"{excerpt(value)} is too large" if value.bit_length() > _MOST_INTEGER_BITS else ""
    if type(value) is float:
        return "" if math.isfinite(value) else "JSON cannot hold NaN or infinity"
    if isinstance(value, bytes | bytearray):
        return "JSON cannot hold bytes; encode them, for example as base64"
    return f"JSON cannot hold a {type(value).__name__}"


def _check_key(key: Any, path: str) -> None:
    if type(key) is str:
        _check_text(key, path)
    elif type(key) is not int or key.bit_length() > _MOST_INTEGER_BITS:
        raise InvalidArgument(path, "the keys of a JSON object are strings")


def _hstore_text(of: Type, value: Mapping[Any, Any], path: str) -> str:
    parts = []
    for key, item in value.items():
        place = below(path, key)
        _text(of, key, place)
        if item is not None:
            _text(of, item, place)
        parts.append(f"{_quoted(key)}=>{_quoted(item)}")
    return ",".join(parts)


def _fields(of: Type, value: Any, path: str) -> dict[str, Type]:
    if not isinstance(value, Mapping):
        raise _mismatch(of, value, path)
    fields = dict(of.fields)
    for name in value:
        if name not in fields:
            # Columns of a relation are told to those only who may see them.
            known = "" if of.relation else f"; known: {', '.join(fields)}"
            raise InvalidArgument(below(path, name), f"no such field{known}")
    return fields


def _composite_text(of: Type, value: Any, path: str) -> str:
    parts = [
        "" if value.get(name) is None else _quoted(text_form(kind, value[name], below(path, name)))
        for name, kind in _fields(of, value, path).items()
    ]
    return "(" + ",".join(parts) + ")"


def _array_text(element: Type, value: Any, path: str, dimensions: int = 1) -> str:
    if type(value) is str:
        _check_text(value, path)
        return value
    if dimensions > _MOST_DIMENSIONS:
        raise InvalidArgument(path, f"an array of more than {_MOST_DIMENSIONS} dimensions")
    if type(value) is not list:
        raise InvalidArgument(path, f"expected a list of {element.describe()} values")
    parts = []
    for index, item in enumerate(value):
        if item is None:
            parts.append("NULL")
        elif type(item) is list and element.form != "json":
            parts.append(_array_text(element, item, at(path, index), dimensions + 1))
        else:
            parts.append(_quoted(text_form(element, item, at(path, index))))
    return "{" + ",".join(parts) + "}"


def _range_text(of: Type, value: Any, path: str) -> str:
    if type(value) is str:
        _check_text(value, path)
        return value
    if not isinstance(value, Mapping) or not set(value) <= {"lower", "upper", "bounds"}:
        raise _mismatch(of, value, path)
    bounds = value.get("bounds", "[)")
    if bounds == "empty":
        return "empty"
    if bounds not in ("[)", "[]", "(]", "()"):
        raise InvalidArgument(f"{path}.bounds", 'expected "[)", "[]", "(]", "()" or "empty"')
    element = of.element or TEXT_TYPE
    lower, upper = (
        "" if value.get(end) is None else _quoted(text_form(element, value[end], below(path, end)))
        for end in ("lower", "upper")
    )
    return f"{bounds[0]}{lower},{upper}{bounds[1]}"


def _quoted(text: Any) -> str:
    """An element of an array, composite, range or hstore literal."""
    if text is None:
        return "NULL"
    return '"' + str(text).replace("\\", "\\\\").replace('"', '\\"') + '"'


#: Forms whose values need no text of a special syntax.
_BINDERS: dict[Form, Binder] = {
    "integer": _integer,
    "float": _float,
    "boolean": _boolean,
    "bytea": _bytes,
    "numeric": _numeric,
    "text": _text,
    "literal": _text,
}
