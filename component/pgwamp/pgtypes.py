"""PostgreSQL types, and how their values travel as neutral WAMP values.

Only None, bool, int, float, str, bytes, list and dict leave or enter. What JSON cannot carry
exactly (numeric, dates, uuid, ...) is a string in PostgreSQL's own ISO text form. This module is
pure: it knows types and Python values, neither SQL nor connections.
"""

from __future__ import annotations

import json
import math
import re
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Literal

from pgwamp.errors import InvalidArgument

#: How values of a type travel; ``literal`` is all that is a string in PostgreSQL's text form.
Form = Literal[
    "integer", "float", "boolean", "text", "bytea", "json", "numeric", "literal", "enum",
    "array", "composite", "range", "multirange", "hstore",
]  # fmt: skip
Converter = Callable[[Any], Any]

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
#: msgpack carries no larger integers; JSON values beyond are given as strings.
_INT_MIN, _INT_MAX = -(2**63), 2**64 - 1
_LONG_DIGITS = re.compile(r"\d{19}")


@dataclass(frozen=True, slots=True)
class Representation:
    """Functions (schema, name) that a domain's author chose for its values as JSON and text.

    :ivar to_json: makes what is answered.
    :ivar from_json: reads what is written.
    :ivar from_text: reads what is compared.
    """

    to_json: tuple[str, str] | None = None
    from_json: tuple[str, str] | None = None
    from_text: tuple[str, str] | None = None


@dataclass(frozen=True, slots=True)
class Type:
    """One PostgreSQL type.

    :ivar name: as ``format_type`` writes it, without a modifier: fit for a cast.
    :ivar form: how its values travel.
    :ivar element: the element of an array, the subtype of a range or multirange.
    :ivar fields: name and type of each field of a composite.
    :ivar labels: of an enum.
    :ivar domain: its own name if it is a domain; all else is that of the type below.
    """

    oid: int
    name: str
    form: Form
    element: Type | None = None
    fields: tuple[tuple[str, Type], ...] = ()
    labels: tuple[str, ...] = ()
    domain: str = ""
    representation: Representation | None = None

    def describe(self) -> str:
        """The type as a person reads it in an error."""
        if self.form == "enum":
            return f"{self.name} ({', '.join(self.labels)})"
        return self.name


Binder = Callable[[Type, Any, str], Any]
TEXT_TYPE = Type(25, "text", "text")


# --- values that leave -------------------------------------------------------------------------


class _Number(str):
    """A JSON number with a fraction or exponent, kept as written until its type is known."""


def loads_exact(text: str) -> Any:
    """Parse JSON and keep every fraction exact, for :func:`from_json` to convert."""
    return json.loads(text, parse_float=_Number)


def loads(text: str) -> Any:
    """Parse a json or jsonb value; integers that msgpack cannot carry become strings."""
    if _LONG_DIGITS.search(text):
        return json.loads(text, parse_int=_bounded_int)
    return json.loads(text)


def _bounded_int(text: str) -> int | str:
    number = int(text)
    return number if _INT_MIN <= number <= _INT_MAX else text


def finite(number: float) -> float | str:
    """NaN and the infinities as PostgreSQL writes them; no serializer carries them safely."""
    if math.isfinite(number):
        return number
    return "NaN" if math.isnan(number) else ("Infinity" if number > 0 else "-Infinity")


def float_from_text(text: str) -> float | str:
    """A float in PostgreSQL's shortest text form; NaN and the infinities stay text."""
    return text if text in _NONFINITE_NAMES else float(text)


def bytes_from_hex(text: str) -> bytes:
    """``\\x00ff`` as octets."""
    return bytes.fromhex(text[2:])


def from_json(of: Type, *, bigint_as_string: bool = False) -> Converter:
    """How a value of type ``of`` in PostgreSQL's JSON (``to_jsonb``) becomes neutral.

    The input was parsed by :func:`loads_exact`; the result equals what a SELECT of the same
    value gives.
    """
    convert = _converter(of, bigint_as_string)
    return lambda value: None if value is None else convert(value)


def _converter(of: Type, big: bool) -> Converter:
    form = of.form
    if form == "integer":
        # JSON holds an oid as a string.
        return str if big and of.name == "bigint" else int
    if form == "float":
        return lambda value: value if value in _NONFINITE_NAMES else float(value)
    if form == "numeric":
        return lambda value: str(value)
    if form == "bytea":
        return bytes_from_hex
    if form == "json":
        return _plain
    if form in ("boolean", "text", "enum"):
        return _same
    if form == "array" and of.element is not None:
        return _list_converter(_converter(of.element, big))
    if form == "composite":
        members = [(name, _converter(kind, big)) for name, kind in of.fields]
        return lambda value: {
            name: None if value.get(name) is None else convert(value[name])
            for name, convert in members
        }
    if form == "range":
        return range_from_text
    if form == "multirange":
        return lambda value: [range_from_text(part) for part in _RANGES.findall(value)]
    if form == "hstore":
        return _same
    return _LITERALS.get(of.name, lambda value: value if type(value) is str else str(value))


_NONFINITE_NAMES = ("NaN", "Infinity", "-Infinity")


def _same(value: Any) -> Any:
    return value


def _plain(value: Any) -> Any:
    """A json value inside parsed JSON: fractions are floats again."""
    if type(value) is _Number:
        return float(value)
    if type(value) is int:
        return value if _INT_MIN <= value <= _INT_MAX else str(value)
    if type(value) is list:
        return [_plain(item) for item in value]
    if type(value) is dict:
        return {key: _plain(item) for key, item in value.items()}
    return value


def _list_converter(convert: Converter) -> Converter:
    def convert_list(value: Any) -> Any:
        if type(value) is list:
            return [convert_list(item) for item in value]
        return None if value is None else convert(value)

    return convert_list


def _timestamp(value: str) -> str:
    return value.replace("T", " ", 1)


def _zoned(value: str) -> str:
    """JSON writes the zone as +00:00, PostgreSQL's text as +00 (minutes only if there are any)."""
    head, sep, tail = value.partition("+00:00")
    if sep:
        return f"{head}+00{tail}".replace("T", " ", 1)
    return re.sub(r"([+-]\d\d):00(?!:)", r"\1", value.replace("T", " ", 1))


_LITERALS: dict[str, Converter] = {
    "timestamp without time zone": _timestamp,
    "timestamp with time zone": _zoned,
    "time with time zone": lambda value: re.sub(r"([+-]\d\d):00(?!:)", r"\1", value),
}

_BOUND = r'(?:"(?:[^"\\]|\\.|"")*"|[^",\[\]()]*)'
_RANGE = re.compile(rf"([\[(])({_BOUND}),({_BOUND})([\])])", re.DOTALL)
_RANGES = re.compile(rf"empty|[\[(]{_BOUND},{_BOUND}[\])]", re.DOTALL)


def range_from_text(text: str) -> dict[str, Any]:
    """``[1,5)`` as ``{"lower": "1", "upper": "5", "bounds": "[)"}``; empty has bounds ``empty``.

    Bounds are strings in the subtype's text form; an absent bound is None.
    """
    match = _RANGE.fullmatch(text)
    if match is None:
        return {"lower": None, "upper": None, "bounds": "empty"}
    return {
        "lower": _unquote(match[2]),
        "upper": _unquote(match[3]),
        "bounds": match[1] + match[4],
    }


def _unquote(bound: str) -> str | None:
    if not bound:
        return None
    if bound[0] != '"':
        return bound
    return re.sub(r'\\(.)|""', lambda m: m[1] or '"', bound[1:-1], flags=re.DOTALL)


# --- values that enter -------------------------------------------------------------------------


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
