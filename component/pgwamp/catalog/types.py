"""Types from the rows of types.sql."""

from __future__ import annotations

import dataclasses
import json
from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

from pgwamp.values import Form, Representation, Type

_FORMS: dict[str, Form] = {
    "int2": "integer",
    "int4": "integer",
    "int8": "integer",
    "oid": "integer",
    "float4": "float",
    "float8": "float",
    "bool": "boolean",
    "text": "text",
    "varchar": "text",
    "bpchar": "text",
    "name": "text",
    "bytea": "bytea",
    "json": "json",
    "jsonb": "json",
    "numeric": "numeric",
}
#: Levels of composites, arrays and ranges in one type, and types that it is made of, counted each
#: time that they occur. Values of a larger type travel as text: types can be nested so that the
#: parts of the outermost are more than any memory holds.
MOST_LEVELS, MOST_PARTS = 30, 10_000


def build_types(
    rows: Sequence[Mapping[str, Any]],
    representations: Mapping[int, Representation],
    operators: Sequence[Mapping[str, Any]],
) -> dict[int, Type]:
    """The types of ``rows``, which hold every type that one of them is made of, by oid."""
    own: dict[int, dict[tuple[str, str], str]] = defaultdict(dict)
    for row in operators:
        own[row["type"]].setdefault((row["name"], row["operand"]), row["schema"])
    by_oid = {row["oid"]: row for row in rows}
    types: dict[int, Type] = {}
    #: Levels and parts of the types that are complete.
    sizes: dict[int, tuple[int, int]] = {}
    for first in by_oid:
        waiting = [first]
        while waiting:
            oid = waiting[-1]
            row = by_oid[oid]
            if oid in sizes:
                waiting.pop()
            elif oid in types:
                waiting.pop()
                types[oid], sizes[oid] = _build(row, types, sizes, representations, own)
            else:
                # Where a type is found within itself, that mention stays a literal.
                types[oid] = Type(oid, row["name"], "literal")
                waiting += [part for part in _parts(row) if part not in types]
    return types


def _parts(row: Mapping[str, Any]) -> list[int]:
    """The types that a type is directly made of."""
    if row["base"] is not None:
        return [row["base"]]
    fields = [kind for _, kind in _fields(row)]
    return [row["element"], *fields] if row["element"] else fields


def _fields(row: Mapping[str, Any]) -> list[tuple[str, int]]:
    return [(name, kind) for name, kind in json.loads(row["fields"] or "[]")]


def _build(
    row: Mapping[str, Any],
    types: Mapping[int, Type],
    sizes: Mapping[int, tuple[int, int]],
    representations: Mapping[int, Representation],
    operators: Mapping[int, Mapping[tuple[str, str], str]],
) -> tuple[Type, tuple[int, int]]:
    """A type whose parts are built, and its levels and parts."""
    oid, name = row["oid"], row["name"]
    below = [sizes.get(part, (1, 1)) for part in _parts(row)]
    if row["base"] is not None:
        base = types[row["base"]]
        own = representations.get(oid, base.representation)
        domain = dataclasses.replace(
            base,
            oid=oid,
            domain=name,
            representation=own,
            casts=base.casts or row["casts"],
            base=base.base or base.oid,
        )
        return domain, below[0]
    size = 1 + max((levels for levels, _ in below), default=0), 1 + sum(n for _, n in below)
    if size[0] > MOST_LEVELS or size[1] > MOST_PARTS:
        return types[oid], (1, 1)
    kind = Type(
        oid=oid,
        name=name,
        form=_form(row),
        element=types[row["element"]] if row["element"] else None,
        fields=tuple((field, types[part]) for field, part in _fields(row)),
        relation=tuple(row["relation"]) if row["relation"] else None,
        labels=tuple(row["labels"] or ()),
        output=(row["output"][0], row["output"][1]),
        delimiter=row["delimiter"],
        casts=row["casts"],
        operators=operators.get(oid, {}),
        # Layouts of events do not tell: nothing is ordered by their types.
        ordered=row.get("ordered", True) and all(types[part].ordered for part in _parts(row)),
    )
    return kind, size


def _form(row: Mapping[str, Any]) -> Form:
    match row["kind"]:
        case "e":
            return "enum"
        case "c":
            return "composite"
        case "r":
            return "range"
        case "m":
            return "multirange"
    if row["category"] == "A" and row["element"]:
        return "array"
    if row["typname"] == "hstore":
        return "hstore"
    return _FORMS.get(row["typname"], "literal") if row["schema"] == "pg_catalog" else "literal"
