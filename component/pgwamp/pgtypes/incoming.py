"""Values that enter: from the arguments of a call to parameters of a statement."""

from __future__ import annotations

import json
import math
import re
import sys
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from pgwamp.errors import InvalidArgument
from pgwamp.pgtypes.outgoing import finite
from pgwamp.pgtypes.types import Binder, Form, Type

_INTEGER_RANGES = {
    name: (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1)
    for name, bits in {"smallint": 16, "integer": 32, "bigint": 64}.items()
} | {"oid": (0, 2**32 - 1)}
_NUMERIC = re.compile(
    r"\s*[+-]?(\d+\.?\d*([eE][+-]?\d+)?|\.\d+([eE][+-]?\d+)?|NaN|Infinity)\s*", re.ASCII
)
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
    return [None if v is None else bindable(of, v, f"{path}[{i}]") for i, v in enumerate(values)]


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
        parts = [_range_text(of, part, f"{path}[{i}]") for i, part in enumerate(value)]
        return "{" + ",".join(parts) + "}"
    if form == "hstore" and isinstance(value, Mapping):
        return ",".join(f"{_quoted(k)}=>{_quoted(v)}" for k, v in value.items())
    if form == "array" and of.element is not None:
        return _array_text(of.element, value, path)
    if form == "composite":
        return _composite_text(of, value, path)
    text = _text(of, value, path)
    if form == "enum" and text not in of.labels:
        raise InvalidArgument(path, f"{text!r} is not one of {', '.join(of.labels)}")
    return text


def _text(of: Type, value: Any, path: str) -> str:
    if type(value) is not str:
        raise _mismatch(of, value, path)
    if "\x00" in value:
        raise InvalidArgument(path, "PostgreSQL text cannot hold the character NUL")
    if of.name == "uuid" and not _UUID.fullmatch(value):
        raise InvalidArgument(path, f"{value!r} is not a uuid")
    return value


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
        raise InvalidArgument(path, f"{value} is out of range for type {of.name}")
    return int(value)


def _float(of: Type, value: Any, path: str) -> float:
    if type(value) is str and value.lower() in _NONFINITE:
        return _NONFINITE[value.lower()]
    if type(value) is float and not math.isfinite(value):
        return value
    if type(value) in (int, float) or (type(value) is str and _NUMERIC.fullmatch(value)):
        largest = _LARGEST_REAL if of.name == "real" else sys.float_info.max
        if abs(Decimal(value)) <= largest:
            return float(value)
        raise InvalidArgument(path, f"{value} is out of range for type {of.name}")
    raise _mismatch(of, value, path)


def _represented(of: Type, value: Any, path: str) -> str:
    """A value that the domain's own function reads as text."""
    if type(value) is str and "\x00" not in value:
        return value
    if type(value) in (int, float, bool):
        return json.dumps(value)
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


def _numeric(of: Type, value: Any, path: str) -> str:
    if type(value) is str and _NUMERIC.fullmatch(value):
        return value.strip()
    if type(value) is int:
        return str(value)
    if type(value) is float:
        return str(finite(value))
    raise _mismatch(of, value, path)


def _json_text(_: Type, value: Any, path: str) -> str:
    return json.dumps(_json_value(value, path), ensure_ascii=False)


def _json_value(value: Any, path: str) -> Any:
    """A value for a json column: anything JSON can hold."""
    if isinstance(value, bytes | bytearray):
        raise InvalidArgument(path, "JSON cannot hold bytes; encode them, for example as base64")
    if type(value) is str and "\x00" in value:
        raise InvalidArgument(path, "PostgreSQL text cannot hold the character NUL")
    if type(value) is float and not math.isfinite(value):
        raise InvalidArgument(path, "JSON cannot hold NaN or infinity")
    if isinstance(value, list | tuple):
        return [_json_value(item, f"{path}[{i}]") for i, item in enumerate(value)]
    if isinstance(value, Mapping):
        return {str(key): _json_value(item, f"{path}.{key}") for key, item in value.items()}
    return value


def _fields(of: Type, value: Any, path: str) -> dict[str, Type]:
    if not isinstance(value, Mapping):
        raise _mismatch(of, value, path)
    fields = dict(of.fields)
    for name in value:
        if name not in fields:
            raise InvalidArgument(f"{path}.{name}", f"no such field; known: {', '.join(fields)}")
    return fields


def _composite_text(of: Type, value: Any, path: str) -> str:
    parts = [
        "" if value.get(name) is None else _quoted(text_form(kind, value[name], f"{path}.{name}"))
        for name, kind in _fields(of, value, path).items()
    ]
    return "(" + ",".join(parts) + ")"


def _array_text(element: Type, value: Any, path: str) -> str:
    if type(value) is str:
        return value
    if type(value) is not list:
        raise InvalidArgument(path, f"expected a list of {element.describe()} values")
    parts = []
    for index, item in enumerate(value):
        if item is None:
            parts.append("NULL")
        elif type(item) is list and element.form != "json":
            parts.append(_array_text(element, item, f"{path}[{index}]"))
        else:
            parts.append(_quoted(text_form(element, item, f"{path}[{index}]")))
    return "{" + ",".join(parts) + "}"


def _range_text(of: Type, value: Any, path: str) -> str:
    if type(value) is str:
        return value
    if not isinstance(value, Mapping) or not set(value) <= {"lower", "upper", "bounds"}:
        raise _mismatch(of, value, path)
    bounds = value.get("bounds", "[)")
    if bounds == "empty":
        return "empty"
    if bounds not in ("[)", "[]", "(]", "()"):
        raise InvalidArgument(f"{path}.bounds", 'expected "[)", "[]", "(]", "()" or "empty"')
    lower, upper = (
        "" if value.get(end) is None else _quoted(str(value[end])) for end in ("lower", "upper")
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
