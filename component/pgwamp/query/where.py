"""The ``where`` language: parsing a dict into conditions.

The result holds no values, only their positions, so that it is the same for every call of the
same shape and can key the cache of compiled statements.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from pgwamp.catalog.graph import Relationship
from pgwamp.errors import InvalidArgument
from pgwamp.query.fields import Field, parse_field
from pgwamp.query.operators import OPERATORS, Condition, Is, Not, OperatorParser
from pgwamp.query.request import suggest
from pgwamp.query.scope import Scope

_MAX_DEPTH = 20


@dataclass(frozen=True, slots=True)
class Junction:
    """Conditions joined by AND or OR; an empty AND is true, an empty OR is false."""

    kind: Literal["and", "or"]
    conditions: tuple[Any, ...]


@dataclass(frozen=True, slots=True)
class Related:
    """There is a related row that meets the condition."""

    relationship: Relationship
    condition: Any


class WhereParser:
    """Parses one ``where``, appending its values to ``values``."""

    def __init__(self, scope: Scope, values: list[Any]):
        self._scope = scope
        self._values = values

    def parse(self, where: Any, path: str = "where", depth: int = 0) -> Condition:
        """``where`` as a condition. Raises :class:`InvalidArgument` naming the place."""
        if not isinstance(where, Mapping):
            raise InvalidArgument(path, 'expected a dict such as {"id": 1}')
        if depth > _MAX_DEPTH:
            raise InvalidArgument(path, f"nested deeper than {_MAX_DEPTH} levels")
        parts = [self._entry(key, value, path, depth) for key, value in where.items()]
        return parts[0] if len(parts) == 1 else Junction("and", tuple(parts))

    def _entry(self, key: Any, value: Any, path: str, depth: int) -> Condition:
        path = f"{path}.{key}"
        # A column may be called "or": it is meant when the value is no list of conditions.
        column = self._scope.columns.get(key)
        if key in ("and", "or") and (column is None or isinstance(value, list)):
            return self._junction(key, value, path, depth)
        if key == "not" and (column is None or isinstance(value, Mapping)):
            return Not(self.parse(value, path, depth + 1))
        if column is not None:
            return self._field(
                Field(key, column.type, computed=key in self._scope.computed), value, path, depth
            )
        if isinstance(key, str) and self._scope.has_relationship(key):
            return self._related(key, value, path, depth)
        if isinstance(key, str) and ("->" in key or "::" in key):
            field = parse_field(self._scope, key, path, self._values)
            return self._field(field, value, path, depth)
        known = (*self._scope.columns, "and", "or", "not")
        raise InvalidArgument(
            path,
            f'no column "{key}" in {self._scope.relation.name}{suggest(str(key), known)}',
        )

    def _junction(self, kind: Any, value: Any, path: str, depth: int) -> Condition:
        if not isinstance(value, list):
            raise InvalidArgument(path, "expected a list of conditions")
        return Junction(
            kind, tuple(self.parse(v, f"{path}[{i}]", depth + 1) for i, v in enumerate(value))
        )

    def _related(self, key: str, value: Any, path: str, depth: int) -> Condition:
        _, relationship = self._scope.relationship(key, path)
        target = WhereParser(self._scope.target(relationship), self._values)
        condition = target.parse({} if value is None else value, path, depth + 1)
        found = Related(relationship, condition)
        return Not(found) if value is None else found

    def _field(self, field: Field, value: Any, path: str, depth: int) -> Condition:
        operators = OperatorParser(field, self._values)
        if value is None:
            return Is(field, "null")
        if isinstance(value, list):
            return operators.parse("in", value, path)
        if not isinstance(value, Mapping):
            return operators.parse("eq", value, path)
        parts: list[Condition] = []
        for operator, operand in value.items():
            place = f"{path}.{operator}"
            if operator == "not":
                if depth > _MAX_DEPTH:
                    raise InvalidArgument(place, f"nested deeper than {_MAX_DEPTH} levels")
                parts.append(Not(self._field(field, operand, place, depth + 1)))
            else:
                parts.append(operators.parse(operator, operand, place))
        if not parts:
            raise InvalidArgument(path, f"no operator given; allowed: {', '.join(OPERATORS)}")
        return parts[0] if len(parts) == 1 else Junction("and", tuple(parts))
