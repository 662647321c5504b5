"""Values that enter: from the arguments of a call to parameters of a statement."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pgwamp.errors import InvalidArgument, at, below, excerpt
from pgwamp.pgtypes import scalars
from pgwamp.pgtypes.budget import Budget, written_length
from pgwamp.pgtypes.documents import json_text
from pgwamp.pgtypes.scalars import check_text, literal, mismatch, text
from pgwamp.pgtypes.types import TEXT_TYPE, Binder, Form, Type

#: Dimensions of an array in PostgreSQL.
_MOST_DIMENSIONS = 6


def bindable(of: Type, value: Any, path: str, budget: Budget) -> Any:
    """Check ``value`` against type ``of`` and make it what a query parameter takes.

    int, float, bool, str, bytes for those types; for every other type its text form, which the
    statement casts in the server.

    :param path: names the argument in an error, as in ``where.total.gte``.
    :param budget: that of the whole call.
    :raises InvalidArgument: the value does not fit the type.
    """
    return binder(of)(of, value, path, budget)


def binder(of: Type) -> Binder:
    """The function that does the work of :func:`bindable`, for many values of one type."""
    if of.representation is not None and of.representation.from_text is not None:
        return _represented
    return _BINDERS.get(of.form, text_form)


def bindable_list(of: Type, values: Any, path: str, budget: Budget) -> list[Any]:
    """A list of values of type ``of``, as one array parameter."""
    if type(values) is not list:
        raise InvalidArgument(path, f"expected a list of {of.describe()} values")
    bind, bound = binder(of), []
    try:
        for value in values:
            bound.append(None if value is None else bind(of, value, "", budget))
    except InvalidArgument:
        # The place is named only of the one that is wrong.
        bind(of, values[len(bound)], at(path, len(bound)), budget)
        raise
    return bound


def writer(of: Type) -> Binder:
    """As :func:`binder`, for values to be stored.

    What the author of a domain reads from JSON is JSON text, whatever the domain is made of.
    """
    own = of.representation
    if own is None:
        return binder(of)
    return text_form if own.from_json is None else json_text


def text_form(of: Type, value: Any, path: str, budget: Budget) -> str:
    """``value`` as PostgreSQL's text input for type ``of``. Raises :class:`InvalidArgument`."""
    form = of.form
    if form == "json":
        return json_text(of, value, path, budget)
    if form in ("integer", "float", "boolean"):
        plain = bindable(of, value, path, budget)
        return str(plain).lower() if form == "boolean" else str(plain)
    if form == "bytea":
        raw = scalars.octets(of, value, path)
        budget.require(2 * len(raw), path)
        return f"\\x{raw.hex()}"
    if form == "numeric":
        return scalars.numeric(of, value, path)
    if form == "range":
        return _range_text(of, value, path, budget)
    if form == "multirange" and type(value) is list:
        parts = [_range_text(of, part, at(path, i), budget) for i, part in enumerate(value)]
        return "{" + ",".join(parts) + "}"
    if form == "hstore" and isinstance(value, Mapping):
        return _hstore_text(of, value, path, budget)
    if form == "array" and of.element is not None:
        return _array_text(of, value, path, budget)
    if form == "composite":
        return _composite_text(of, value, path, budget)
    if form == "enum":
        label = text(of, value, path)
        if label not in of.label_set:
            raise InvalidArgument(path, f"'{excerpt(label)}' is not one of {', '.join(of.labels)}")
        return label
    return text(of, value, path) if form == "text" else literal(of, value, path)


def _represented(of: Type, value: Any, path: str, budget: Budget) -> str:
    """A value that the domain's own function reads as text."""
    if type(value) is str:
        check_text(value, path)
        return value
    if type(value) in (int, float, bool):
        return json_text(of, value, path, budget)
    raise InvalidArgument(path, f"expected text that type {of.domain} can read")


def _hstore_text(of: Type, value: Mapping[Any, Any], path: str, budget: Budget) -> str:
    parts = []
    for key, item in value.items():
        place = below(path, key)
        text(of, key, place)
        if item is not None:
            text(of, item, place)
        parts.append(f"{_quoted(key, place, budget)}=>{_quoted(item, place, budget)}")
    return ",".join(parts)


def _fields(of: Type, value: Any, path: str) -> dict[str, Type]:
    if not isinstance(value, Mapping):
        raise mismatch(of, value, path)
    fields = dict(of.fields)
    for name in value:
        if name not in fields:
            # Columns of a relation are told to those only who may see them.
            known = "" if of.relation else f"; known: {', '.join(fields)}"
            raise InvalidArgument(below(path, name), f"no such field{known}")
    return fields


def _composite_text(of: Type, value: Any, path: str, budget: Budget) -> str:
    parts = [
        _part(kind, value.get(name), below(path, name), budget)
        for name, kind in _fields(of, value, path).items()
    ]
    return "(" + ",".join(parts) + ")"


def _array_text(of: Type, value: Any, path: str, budget: Budget) -> str:
    if type(value) is str:
        return literal(of, value, path)
    return _array(of.element or TEXT_TYPE, value, path, budget, _MOST_DIMENSIONS)[0]


def _array(
    element: Type, value: Any, path: str, budget: Budget, dimensions: int
) -> tuple[str, tuple[int, ...]]:
    """The text of an array, and its length in each of at most ``dimensions`` dimensions."""
    if not dimensions:
        raise InvalidArgument(path, f"an array of more than {_MOST_DIMENSIONS} dimensions")
    if type(value) is not list:
        raise InvalidArgument(path, f"expected a list of {element.describe()} values")
    parts, first = [], None
    for index, item in enumerate(value):
        lengths: tuple[int, ...] = ()
        if type(item) is list and element.form not in ("json", "multirange"):
            part, lengths = _array(element, item, at(path, index), budget, dimensions - 1)
        elif item is None:
            part = "NULL"
        else:
            place = at(path, index)
            part = _quoted(text_form(element, item, place, budget), place, budget)
        if first is None:
            first = lengths
        elif lengths != first:
            raise InvalidArgument(
                at(path, index), "all elements of an array are lists of one length, or none is one"
            )
        parts.append(part)
    return "{" + ",".join(parts) + "}", (len(parts), *(first or ()))


def _range_text(of: Type, value: Any, path: str, budget: Budget) -> str:
    if type(value) is str:
        return literal(of, value, path)
    if not isinstance(value, Mapping) or not set(value) <= {"lower", "upper", "bounds"}:
        raise mismatch(of, value, path)
    bounds = value.get("bounds", "[)")
    if bounds == "empty":
        return "empty"
    if bounds not in ("[)", "[]", "(]", "()"):
        raise InvalidArgument(f"{path}.bounds", 'expected "[)", "[]", "(]", "()" or "empty"')
    element = of.element or TEXT_TYPE
    lower, upper = (
        _part(element, value.get(end), below(path, end), budget) for end in ("lower", "upper")
    )
    return f"{bounds[0]}{lower},{upper}{bounds[1]}"


def _part(of: Type, value: Any, path: str, budget: Budget) -> str:
    """A field of a composite, or an end of a range: nothing stands for null."""
    return "" if value is None else _quoted(text_form(of, value, path, budget), path, budget)


def _quoted(text: str | None, path: str, budget: Budget) -> str:
    """An element of an array, composite, range or hstore literal."""
    if text is None:
        return "NULL"
    doubled = text.count("\\") + text.count('"')
    budget.spend(written_length(text, doubled), path)
    if doubled:
        text = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{text}"'


_BINDERS: dict[Form, Binder] = {
    "integer": scalars.integer,
    "float": scalars.floating,
    "boolean": scalars.boolean,
    "bytea": scalars.octets,
    "numeric": scalars.numeric,
    "text": scalars.text,
    "literal": scalars.literal,
}
