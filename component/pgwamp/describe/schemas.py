"""JSON Schemas of values and rows, as they are answered and as they may be given."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from pgwamp.catalog import Column
from pgwamp.naming import Naming
from pgwamp.settings import ExposeSettings
from pgwamp.values import Type

Schema = dict[str, Any]
#: Whether a column may be named, by schema, relation and name.
Shows = Callable[[str, str, str], bool]

#: Parts of a type, and of all types of a row or of arguments, that are described: fields, labels
#: and elements. A table is described some fourteen times, with all of its types.
MOST_TYPE_PARTS, MOST_ROW_PARTS = 1_000, 5_000
_FORMS: dict[str, Schema] = {
    "integer": {"type": "integer"},
    "float": {"type": "number"},
    "boolean": {"type": "boolean"},
    "text": {"type": "string"},
    "bytea": {"type": "string", "contentEncoding": "binary"},
    "json": {},
    "numeric": {"type": "string", "format": "numeric"},
    "hstore": {"type": "object", "additionalProperties": {"type": ["string", "null"]}},
}
#: Types of JSON in which a value may be given beside those in which it is answered.
_ALSO_GIVEN: Mapping[str, str] = {
    "integer": "string",
    "float": "string",
    "numeric": "number",
    "array": "string",
    "range": "string",
    "multirange": "string",
    "hstore": "string",
}
_RANGE: Schema = {
    "type": "object",
    "properties": {
        "lower": {"type": ["string", "null"]},
        "upper": {"type": ["string", "null"]},
        "bounds": {"enum": ["[)", "[]", "(]", "()", "empty"]},
    },
}
#: Of a type whose parts are not described.
_WITHOUT_PARTS: Mapping[str, Mapping[str, Any]] = {
    "enum": {"type": "string"},
    "array": {"type": "array"},
    "composite": {"type": "object"},
}


@dataclass(frozen=True)
class Schemas:
    """The JSON Schemas of PostgreSQL types and rows.

    :ivar shows: the fields of a relation's row are its columns.
    :ivar bigint_as_string: as ``expose.bigint`` says.
    """

    shows: Shows
    bigint_as_string: bool = False

    @classmethod
    def of(cls, settings: ExposeSettings) -> Schemas:
        """The schemas of what the settings expose."""
        return cls(Naming(settings).shows_column, settings.bigint == "string")

    def type(
        self, of: Type, most: int = MOST_TYPE_PARTS, *, given: bool = False, within: bool = False
    ) -> Schema:
        """The values of a type.

        :param most: a type of more parts is described without them.
        :param given: by a caller, who may choose between some forms.
        :param within: of an element or a field, which no representation of a domain is for.
        """
        own = of.representation
        if own is not None and not within and (own.from_json if given else own.to_json):
            return {}
        schema = self._answered(of, most, given)
        also = _ALSO_GIVEN.get(of.form) if given else None
        if given and of.name == "money" and not within:
            also = "number"
        if also is not None:
            schema["type"] = [schema["type"], also]
        return schema

    def _answered(self, of: Type, most: int, given: bool) -> Schema:
        if of.parts > most:
            return dict(_WITHOUT_PARTS.get(of.form) or _plain(of))
        if of.form == "integer" and of.name == "bigint" and self.bigint_as_string:
            return {"type": "integer" if given else "string", "format": "bigint"}
        if of.form == "enum":
            return {"enum": list(of.labels)}
        if of.form == "array" and of.element is not None:
            return {"type": "array", "items": self.type(of.element, given=given, within=True)}
        if of.form == "composite":
            return {
                "type": "object",
                "properties": {
                    name: or_null(self.type(kind, given=given, within=True))
                    for name, kind in of.fields
                    if of.relation is None or self.shows(*of.relation, name)
                },
            }
        if of.form == "range":
            return dict(_RANGE)
        if of.form == "multirange":
            one = {**_RANGE, "type": ["object", "string"]} if given else _RANGE
            return {"type": "array", "items": one}
        return _plain(of)

    def row(self, columns: Collection[Column], *, given: bool = False) -> Schema:
        """A row of these columns."""
        properties = {}
        most = most_parts(column.type for column in columns)
        for column in columns:
            schema = self.type(column.type, most, given=given)
            if column.comment:
                schema["description"] = column.comment
            properties[column.name] = or_null(schema) if column.nullable else schema
        return {"type": "object", "properties": properties}


def most_parts(types: Iterable[Type]) -> int:
    """The parts up to which each of the types of a row, or of arguments, is described in full."""
    return MOST_TYPE_PARTS if sum(of.parts for of in types) <= MOST_ROW_PARTS else 1


def or_null(schema: Schema) -> Schema:
    """The values of a schema, or null."""
    if "type" in schema:
        kinds = schema["type"]
        kinds = kinds if isinstance(kinds, list) else [kinds]
        return {**schema, "type": kinds if "null" in kinds else [*kinds, "null"]}
    if "enum" in schema:
        return {**schema, "enum": [*schema["enum"], None]}
    return schema


def _plain(of: Type) -> Schema:
    if of.name == "record":
        return {"type": "object"}
    return dict(_FORMS.get(of.form, {"type": "string", "format": of.name}))
