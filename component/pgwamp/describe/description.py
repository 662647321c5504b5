"""``describe``: the API as it stands, as JSON with a JSON Schema for each argument."""

from __future__ import annotations

import re
from collections.abc import Container, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from pgwamp.catalog import Relation, Routine
from pgwamp.describe.related import Related
from pgwamp.describe.schemas import Schemas, Shows, most_parts, or_null
from pgwamp.query.routines import is_record, row_arguments
from pgwamp.query.scope import Scope
from pgwamp.query.writes import DELETE_ARGUMENTS, EVERY_ROW, UPDATE_ARGUMENTS
from pgwamp.session import Procedure

#: Where a topic has the value of a column, or of one that is not named.
_PLACE = re.compile(r"\{([^{}]*)\}")
_STRINGS: dict[str, Any] = {"type": "array", "items": {"type": "string"}}
_INCLUDE = {
    "type": "object",
    "description": "related rows by relation, alias:relation or relation!hint; each with "
    "columns, where, order, limit, offset, include, inner, spread",
}
#: A write takes no condition that holds for every row.
_WHERE_OF_WRITES = {
    "oneOf": [{"const": EVERY_ROW}, {"type": "object", "minProperties": 1}],
    "description": f'conditions on columns, and, or, not; "{EVERY_ROW}" for every row',
}
#: Keyword results of a select that asks for count or after.
_PAGE = {
    "type": "object",
    "properties": {"count": {"type": "integer"}, "next": {"type": ["string", "null"]}},
    "required": [],
}
_COMMON: dict[str, dict[str, Any]] = {
    "where": {"type": "object", "description": "conditions on columns, and, or, not"},
    "columns": {**_STRINGS, "description": "columns to answer; all when missing"},
    "order": {**_STRINGS, "description": "column, column.desc, column.asc.nullslast"},
    "limit": {"type": "integer", "minimum": 0},
    "offset": {"type": "integer", "minimum": 0},
    "after": {
        "type": ["string", "null"],
        "description": "begin after this cursor, from kwargs next; null for the first page",
    },
    "include": _INCLUDE,
    "count": {
        "enum": ["exact", "planned", "estimated", True, False],
        "description": "also answer the number of all matching rows, as kwargs count",
    },
    "mode": {"enum": ["exact", "planned", "estimated"]},
    "format": {"enum": ["rows", "csv"], "description": "csv answers one text, or pieces of it"},
    "csv": {
        "type": "string",
        "description": "rows as CSV in place of rows; the first line names the columns",
    },
    "returning": {
        "oneOf": [_STRINGS, {"type": "boolean"}],
        "description": "columns to answer, or false for the number of rows",
    },
    "missing": {
        "enum": ["default", "null"],
        "description": "what a column gets that a row does not name",
    },
    "max_affected": {
        "type": "integer",
        "minimum": 0,
        "description": "roll back if more rows are affected",
    },
    "conflict": {**_STRINGS, "description": "columns of a unique constraint; the primary key"},
    "resolution": {"enum": ["merge", "ignore"]},
    "update": {**_STRINGS, "description": "columns to update on conflict; all that are given"},
}
#: What differs for the rows of a function.
_OF_ROUTINE: dict[str, dict[str, Any]] = {
    "count": {
        "enum": ["exact", True, False],
        "description": "also answer the number of all matching rows, as kwargs count",
    },
}


def argument_schemas(
    relation: Relation, names: Iterable[str], required: int, schemas: Schemas
) -> list[dict[str, Any]]:
    """The arguments of a relation's verb."""
    key = [replace(c, nullable=False) for c in relation.columns if c.name in relation.primary_key]
    rows = schemas.row([c for c in relation.columns if not c.generated], given=True)
    own: dict[str, dict[str, Any]] = {
        "key": schemas.type(key[0].type, given=True)
        if len(key) == 1
        else schemas.row(key, given=True),
        "rows": {"oneOf": [rows, {"type": "array", "items": rows}]},
        "values": rows,
    }
    if names == UPDATE_ARGUMENTS:
        own["rows"] = {"type": "array", "items": rows}
    if names in (UPDATE_ARGUMENTS, DELETE_ARGUMENTS):
        own["where"] = _WHERE_OF_WRITES
    if names == DELETE_ARGUMENTS:
        required = 1
    known = {**_COMMON, **own}
    return [
        {"name": name, "required": position < required, "schema": known[name]}
        for position, name in enumerate(names)
    ]


def relation_description(
    uri: str, verb: str, scope: Scope, arguments: list[dict[str, Any]], related: Related
) -> dict[str, Any]:
    """One verb of a relation in ``describe``; its ``select`` says what else a row leads to."""
    relation, schemas = scope.relation, related.schemas
    row = schemas.row(relation.columns)
    result: dict[str, Any] = {"type": "array", "items": row}
    if verb == "get":
        result = row
    elif verb == "count":
        result = {"type": "integer"}
    described: dict[str, Any] = {
        "uri": uri,
        "kind": "relation",
        "relation": f"{relation.schema}.{relation.name}",
        "verb": verb,
        "description": relation.comment,
        "arguments": arguments,
        "result": result,
    }
    if verb == "select":
        described |= {"keywords": _PAGE, "progressive": True, **related.of(scope)}
    return described


def routine_description(
    uri: str, overloads: Sequence[Routine], related: Related, shows_given: Shows | None = None
) -> dict[str, Any]:
    """A function in ``describe``.

    :param shows_given: which columns of the rows that it takes may be named, where these are fewer.
    """
    first = overloads[0]
    given = related.schemas
    if shows_given is not None:
        given = replace(given, shows=shows_given)
    most = most_parts(argument.type for routine in overloads for argument in routine.inputs)
    results = [_result(routine, related.schemas) for routine in overloads]
    distinct = [r for place, r in enumerate(results) if r not in results[:place]]
    described: dict[str, Any] = {
        "uri": uri,
        "kind": first.kind,
        "volatility": first.volatility,
        "description": first.comment,
        "overloads": [_arguments(routine, given, most) for routine in overloads],
        "result": distinct[0] if len(distinct) == 1 else {"oneOf": distinct},
    }
    if len(distinct) > 1:
        described["results"] = results
    rows = [related.relation_of(routine) for routine in overloads]
    if any(rows):
        described["rows"] = rows
    if any(routine.returns_set for routine in overloads):
        described["progressive"] = True
    return described


def _arguments(routine: Routine, given: Schemas, most: int) -> list[dict[str, Any]]:
    """The arguments of one overload: its own, then what can be asked of its rows, by name."""
    own = {argument.name for argument in routine.inputs}
    described = []
    for position, argument in enumerate(routine.inputs, 1):
        name = argument.name or f"${position}"
        while not argument.name and name in own:
            name = f"${name}"
        entry: dict[str, Any] = {
            "name": name,
            "required": not argument.has_default,
            "schema": given.type(argument.type, most, given=True),
        }
        if not argument.name:
            entry["by"] = "position"
        if argument.mode == "variadic":
            entry["variadic"] = True
        described.append(entry)
    asked = [name for name in row_arguments(routine) if name not in own]
    return described + [
        {
            "name": name,
            "required": False,
            "by": "name",
            "schema": _OF_ROUTINE.get(name, _COMMON[name]),
        }
        for name in asked
    ]


def _result(routine: Routine, schemas: Schemas) -> dict[str, Any]:
    """What one overload answers."""
    of = routine.returns
    result: dict[str, Any] = {"type": "null"}
    if routine.columns:
        result = schemas.row(routine.columns)
    elif of is not None and of.name != "void" and routine.kind == "function":
        result = schemas.type(of)
    if routine.returns_set:
        return {"type": "array", "items": result}
    # A row of OUT arguments is never null as a whole.
    is_row = of is not None and of.form == "composite"
    return or_null(result) if is_row or is_record(routine) else result


def with_places(topic: str, names: Container[str]) -> str:
    """A template of topics, with an empty place for the value of each column but ``names``.

    A pattern subscription needs to know that there is a value, not which.
    """
    return _PLACE.sub(lambda place: place[0] if place[1] in names else "{}", topic)


def describe_api(
    prefix: str, procedures: Iterable[Procedure], topics: Sequence[Mapping[str, Any]]
) -> dict[str, Any]:
    """The whole API, as ``com.example.describe`` answers it."""
    described = [dict(p.description) for p in procedures if p.description]
    return {
        "prefix": prefix,
        "procedures": sorted(described, key=lambda entry: str(entry["uri"])),
        "topics": list(topics),
    }
