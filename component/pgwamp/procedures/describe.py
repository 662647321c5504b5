"""``describe``: the API as it stands, as JSON with a JSON Schema for each argument."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Container, Iterable, Mapping, Sequence
from typing import Any

from pgwamp.catalog import Column, Relation, Routine
from pgwamp.pgtypes import Type
from pgwamp.query.writes import DELETE_ARGUMENTS, EVERY_ROW, UPDATE_ARGUMENTS
from pgwamp.session import Procedure

#: Whether a column may be named, by schema, relation and name.
Shows = Callable[[str, str, str], bool]

#: Where a topic has the value of a column, or of one that is not named.
_PLACE = re.compile(r"\{([^{}]*)\}")
_FORMS: dict[str, dict[str, Any]] = {
    "integer": {"type": "integer"},
    "float": {"type": "number"},
    "boolean": {"type": "boolean"},
    "text": {"type": "string"},
    "bytea": {"type": "string", "contentEncoding": "binary"},
    "json": {},
    "numeric": {"type": "string", "format": "numeric"},
    "hstore": {"type": "object", "additionalProperties": {"type": ["string", "null"]}},
}
_RANGE = {
    "type": "object",
    "properties": {
        "lower": {"type": ["string", "null"]},
        "upper": {"type": ["string", "null"]},
        "bounds": {"enum": ["[)", "[]", "(]", "()", "empty"]},
    },
}
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
    "since": {"type": "string", "description": "cursor to go on from; the oldest kept event"},
}


#: Parts of a type, and of all types of a row or of arguments, that are described: fields, labels
#: and elements. A table is described some fourteen times, with all of its types.
MOST_TYPE_PARTS, MOST_ROW_PARTS = 1_000, 5_000
#: Of a type whose parts are not described.
_WITHOUT_PARTS: Mapping[str, Mapping[str, Any]] = {
    "enum": {"type": "string"},
    "array": {"type": "array"},
    "composite": {"type": "object"},
}


def most_parts(types: Iterable[Type]) -> int:
    """The parts up to which each of the types of a row, or of arguments, is described in full."""
    return MOST_TYPE_PARTS if sum(of.parts for of in types) <= MOST_ROW_PARTS else 1


def type_schema(of: Type, shows: Shows, most: int = MOST_TYPE_PARTS) -> dict[str, Any]:
    """A PostgreSQL type as JSON Schema of its neutral values.

    :param shows: the fields of a relation's row are its columns.
    :param most: a type of more parts is described without them.
    """
    schema = dict(_FORMS.get(of.form, {"type": "string", "format": of.name}))
    if of.parts > most:
        schema = dict(_WITHOUT_PARTS.get(of.form, schema))
    elif of.form == "enum":
        schema = {"enum": list(of.labels)}
    elif of.form == "array" and of.element is not None:
        schema = {"type": "array", "items": type_schema(of.element, shows)}
    elif of.form == "composite":
        schema = {
            "type": "object",
            "properties": {
                name: type_schema(kind, shows)
                for name, kind in of.fields
                if of.relation is None or shows(*of.relation, name)
            },
        }
    elif of.form == "range":
        schema = dict(_RANGE)
    elif of.form == "multirange":
        schema = {"type": "array", "items": _RANGE}
    return schema


def row_schema(columns: Collection[Column], shows: Shows) -> dict[str, Any]:
    """A row as JSON Schema."""
    properties = {}
    most = most_parts(column.type for column in columns)
    for column in columns:
        schema = type_schema(column.type, shows, most)
        if column.comment:
            schema["description"] = column.comment
        if column.nullable and "type" in schema:
            schema["type"] = [schema["type"], "null"]
        elif column.nullable and "enum" in schema:
            schema["enum"] = [*schema["enum"], None]
        properties[column.name] = schema
    return {"type": "object", "properties": properties}


def argument_schemas(
    relation: Relation, names: Iterable[str], required: int, shows: Shows
) -> list[dict[str, Any]]:
    """The arguments of a relation's verb."""
    key = [c for c in relation.columns if c.name in relation.primary_key]
    rows = row_schema([c for c in relation.columns if not c.generated], shows)
    own: dict[str, dict[str, Any]] = {
        "key": type_schema(key[0].type, shows) if len(key) == 1 else row_schema(key, shows),
        "rows": {"oneOf": [rows, {"type": "array", "items": rows}]},
        "values": rows,
    }
    if names == UPDATE_ARGUMENTS:
        own["rows"] = {"type": "array", "items": rows}
    if names in (UPDATE_ARGUMENTS, DELETE_ARGUMENTS):
        own["where"] = _WHERE_OF_WRITES
    if names == DELETE_ARGUMENTS:
        required = 1
    schemas = {**_COMMON, **own}
    return [
        {"name": name, "required": position < required, "schema": schemas[name]}
        for position, name in enumerate(names)
    ]


def relation_description(
    uri: str, verb: str, relation: Relation, arguments: list[dict[str, Any]], shows: Shows
) -> dict[str, Any]:
    """One verb of a relation in ``describe``."""
    row = row_schema(relation.columns, shows)
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
        described["keywords"] = _PAGE
    return described


def routine_description(
    uri: str, overloads: Sequence[Routine], shows: Shows, shows_given: Shows | None = None
) -> dict[str, Any]:
    """A function in ``describe``; the first overload's result stands for all.

    :param shows_given: as ``shows``, for the arguments, where less of them may be named.
    """
    first = overloads[0]
    most = most_parts(argument.type for routine in overloads for argument in routine.inputs)
    result: dict[str, Any] = {"type": "null"}
    if first.columns:
        result = row_schema(first.columns, shows)
    elif first.returns is not None and first.returns.name != "void":
        result = type_schema(first.returns, shows)
    if first.returns_set:
        result = {"type": "array", "items": result}
    return {
        "uri": uri,
        "kind": first.kind,
        "volatility": first.volatility,
        "description": first.comment,
        "overloads": [
            [
                {
                    "name": argument.name or f"${position}",
                    "required": not argument.has_default,
                    "schema": type_schema(argument.type, shows_given or shows, most),
                }
                for position, argument in enumerate(routine.inputs, 1)
            ]
            for routine in overloads
        ],
        "result": result,
    }


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
