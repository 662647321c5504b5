"""``columns``: what an answer holds of each row, or of each group of rows.

``name``, ``alias:name``, ``total::text``, ``data->a->>b``, ``amount.sum()``, ``count()``.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from pgwamp.catalog.model import Aggregate
from pgwamp.errors import InvalidArgument, excerpt
from pgwamp.query.fields import Field, mention_field, parse_field
from pgwamp.query.limits import Values, check_name
from pgwamp.query.request import string_list
from pgwamp.query.scope import Scope, checked_label, is_label
from pgwamp.values import Type

AGGREGATES = ("count", "sum", "avg", "min", "max", "bool_and", "bool_or")
_ALIAS = re.compile(r"(?P<alias>[^:]+):(?!:)(?P<rest>.+)", re.DOTALL)
_AGGREGATE = re.compile(
    rf"(?:(?P<field>.+)\.)?(?P<name>{'|'.join(AGGREGATES)})\(\)(?:::(?P<cast>[^:]+))?", re.DOTALL
)
#: Any other call, as in rating.median().
_CALL = re.compile(r"(?:.+\.)?(?P<name>\w+)\(\)(?:::[^:]+)?", re.DOTALL)
#: All real columns that are not named before.
_ALL = "*"
_COUNT = Aggregate("pg_catalog", Type(20, "bigint", "integer"))


@dataclass(frozen=True, slots=True)
class Item:
    """One value of the answer.

    :ivar field: None for ``count()``.
    :ivar kind: the type of the value.
    :ivar schema: of the aggregate.
    """

    label: str
    field: Field | None
    kind: Type
    aggregate: str = ""
    cast: str = ""
    schema: str = ""

    def __hash__(self) -> int:
        # Without what the rest decides: it is asked for every column of every call.
        return hash((self.label, self.aggregate, self.cast, self.field))


def all_columns(scope: Scope) -> tuple[Item, ...]:
    """Every real column of the relation."""
    return tuple(Item(c.name, Field(c.name, c.type), c.type) for c in scope.relation.columns)


def parse_columns(scope: Scope, given: Any, path: str, values: Values) -> tuple[Item, ...]:
    """A list of columns. Raises :class:`InvalidArgument` naming the place."""
    items: dict[str, Item] = {}
    names = string_list(given, path, values.limits.max_columns)
    values.ask_for("columns", len(names), path)
    for index, text in enumerate(names):
        place = f"{path}[{index}]"
        if text == _ALL and _ALL not in scope.columns:
            columns = all_columns(scope)
            values.ask_for("columns", len(columns), path)
            items.update((item.label, item) for item in columns if item.label not in items)
            continue
        item = _parse(scope, text, place, values)
        if item.label in items:
            raise InvalidArgument(
                place, f'"{item.label}" is named twice; '
                f'give one an alias, as in "other:{excerpt(text)}"'
            )  # fmt: skip
        items[item.label] = item
    return tuple(items.values())


def is_grouped(items: tuple[Item, ...]) -> bool:
    """Whether rows are grouped: an aggregate groups by the plain columns."""
    return any(item.aggregate for item in items)


def _parse(scope: Scope, text: str, path: str, values: Values) -> Item:
    known = scope.columns.get(text)
    if known is not None:
        return Item(text, Field(text, known.type, computed=text in scope.computed), known.type)
    check_name(values.limits, text, path)
    match = _ALIAS.fullmatch(text)
    if match is not None:
        label = checked_label(match["alias"], path)
        return _value(scope, match["rest"], path, values, label)
    return _value(scope, text, path, values, None)


def _value(scope: Scope, text: str, path: str, values: Values, label: str | None) -> Item:
    match = _AGGREGATE.fullmatch(text)
    if match is None or text in scope.columns:
        call = _CALL.fullmatch(text)
        if call is not None and text not in scope.columns:
            raise InvalidArgument(
                path, f'no aggregate "{excerpt(call["name"])}"; allowed: {", ".join(AGGREGATES)}'
            )
        field = parse_field(scope, text, path, values)
        return Item(label or _label(field, text), field, field.type)
    name = match["name"]
    inner = parse_field(scope, match["field"], path, values) if match["field"] else None
    try:
        found = _aggregate(scope, name, inner, path)
        kind, cast = found.result, ""
        if match["cast"]:
            kind, cast = scope.castable(match["cast"].strip(), path)
    except InvalidArgument as error:
        if inner is not None:
            mention_field(error.mentions, scope, inner)
        raise
    return Item(label or name, inner, kind, name, cast, found.schema)


def _aggregate(scope: Scope, name: str, field: Field | None, path: str) -> Aggregate:
    if name == "count":
        return _COUNT
    if field is None:
        raise InvalidArgument(path, f"of which column? write it as column.{name}()")
    found = scope.aggregate(name, field.type)
    if found is None:
        raise InvalidArgument(path, f"there is no {name} of type {field.type.describe()}")
    return found


def _label(field: Field, text: str) -> str:
    """The name of a value without an alias: its last part."""
    if not field.steps:
        return field.column
    path = text.rpartition("::")[0] if field.cast else text
    *keys, last = [key.lstrip(">").strip('"') for key in path.split("->")[1:]]
    # A position says less than the key before it.
    while keys and last.lstrip("-").isdigit():
        last = keys.pop()
    return last if is_label(last) else field.column
