"""Values that enter: from the arguments of a call to parameters of a statement."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pgwamp.errors import InvalidArgument, at, below, excerpt
from pgwamp.values import scalars
from pgwamp.values.budget import Budget, written_length
from pgwamp.values.documents import json_text
from pgwamp.values.scalars import check_text, literal, mismatch, text
from pgwamp.values.types import TEXT_TYPE, Binder, Form, Type

#: Dimensions of an array in PostgreSQL.
_MOST_DIMENSIONS = 6
#: Forms of elements whose own values are lists: there a list is no dimension of the array. An array
#: is an element as a domain only.
_LISTS = ("array", "json", "multirange")
_RANGE_KEYS = frozenset({"lower", "upper", "bounds"})


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
    if of.name == "money":
        return scalars.money
    return _BINDERS.get(of.form, text_form)


def bindable_list(of: Type, values: Any, path: str, budget: Budget) -> list[Any]:
    """A list of values of type ``of``, as one array parameter."""
    if type(values) is not list:
        raise InvalidArgument(path, f"expected a list of {of.describe()} values")
    bind, bound = binder(of), []
    try:
        for value in values:
            bound.append(None if value is None else bind(of, value, "", budget))
    except InvalidArgument as error:
        raise error.within(at(path, len(bound))) from None
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
        if form == "float" and type(value) is str:
            # PostgreSQL reads the same from it; to write the number takes as long as all else.
            return value
        return str(plain).lower() if form == "boolean" else str(plain)
    if form == "bytea":
        raw = scalars.byte_count(of, value, path)
        budget.require(2 * len(raw), path)
        return f"\\x{raw.hex()}"
    if form == "numeric":
        return scalars.numeric(of, value, path)
    if form == "range":
        return _range_text(of, value, path, budget)
    if form == "multirange" and type(value) is list:
        return _multirange_text(of, value, path, budget)
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


def _composite_text(of: Type, value: Any, path: str, budget: Budget) -> str:
    """The fields that are given, with a comma before each field but the first."""
    if not isinstance(value, Mapping):
        raise mismatch(of, value, path)
    budget.spend(len(of.fields), path)
    parts, written = ["("], 0
    for position, name in sorted((_position(of, name, path), name) for name in value):
        parts.append("," * (position - written))
        written = position
        kind = of.fields[position][1]
        try:
            parts.append(_part(kind, value[name], "", budget))
        except InvalidArgument as error:
            error = error.within(below(path, name))
            if of.relation is not None:
                error.mentions.row_fields.append((of.relation, name))
            raise error from None
    parts.append("," * (len(of.fields) - 1 - written) + ")")
    return "".join(parts)


def _position(of: Type, name: str, path: str) -> int:
    """The position of a field of a composite."""
    position = of.positions.get(name)
    if position is None:
        # Columns of a relation are told to those only who may see them.
        known = "" if of.relation else f"; known: {', '.join(of.positions)}"
        raise InvalidArgument(below(path, name), f"no such field{known}")
    return position


def _array_text(of: Type, value: Any, path: str, budget: Budget) -> str:
    if type(value) is str:
        return literal(of, value, path)
    text, lengths = _array(of, value, path, budget, _MOST_DIMENSIONS)
    # Lists of nothing: before PostgreSQL 17 only these braces are an array.
    return "{}" if 0 in lengths else text


def _array(
    of: Type, value: Any, path: str, budget: Budget, dimensions: int
) -> tuple[str, tuple[int, ...]]:
    """The text of an array, and its length in each of at most ``dimensions`` dimensions."""
    if not dimensions:
        raise InvalidArgument(path, f"an array of more than {_MOST_DIMENSIONS} dimensions")
    if type(value) is not list:
        raise InvalidArgument(path, f"expected a list of {_element_of(of).describe()} values")
    parts: list[str] = []
    first: tuple[int, ...] | None = None
    try:
        for item in value:
            part, lengths = _element(of, item, budget, dimensions)
            if first is None:
                first = lengths
            elif lengths != first:
                raise InvalidArgument(
                    "", "all elements of an array are lists of one length, or none is one"
                )
            parts.append(part)
    except InvalidArgument as error:
        raise error.within(at(path, len(parts))) from None
    return "{" + of.delimiter.join(parts) + "}", (len(parts), *(first or ()))


def _element(of: Type, value: Any, budget: Budget, dimensions: int) -> tuple[str, tuple[int, ...]]:
    element = _element_of(of)
    if type(value) is list and element.form not in _LISTS:
        return _array(of, value, "", budget, dimensions - 1)
    if value is None:
        return "NULL", ()
    return _quoted(text_form(element, value, "", budget), "", budget), ()


def _element_of(of: Type) -> Type:
    return of.element or TEXT_TYPE


def _multirange_text(of: Type, value: list[Any], path: str, budget: Budget) -> str:
    parts: list[str] = []
    try:
        for part in value:
            parts.append(_range_text(of, part, "", budget))
    except InvalidArgument as error:
        raise error.within(at(path, len(parts))) from None
    return "{" + ",".join(parts) + "}"


def _range_text(of: Type, value: Any, path: str, budget: Budget) -> str:
    if type(value) is str:
        return literal(of, value, path)
    if not isinstance(value, Mapping) or not value.keys() <= _RANGE_KEYS:
        raise mismatch(of, value, path)
    bounds = value.get("bounds", "[)")
    if bounds == "empty":
        return "empty"
    if bounds not in ("[)", "[]", "(]", "()"):
        raise InvalidArgument(f"{path}.bounds", 'expected "[)", "[]", "(]", "()" or "empty"')
    element = of.element or TEXT_TYPE
    lower = _part(element, value.get("lower"), f"{path}.lower", budget)
    upper = _part(element, value.get("upper"), f"{path}.upper", budget)
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
    "bytea": scalars.byte_count,
    "numeric": scalars.numeric,
    "text": scalars.text,
    "literal": scalars.literal,
}
