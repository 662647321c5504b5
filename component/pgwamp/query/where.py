"""The ``where`` language: parsing a dict into conditions.

The result holds no values, only their positions, so that it is the same for every call of the
same shape and can key the cache of compiled statements.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from pgwamp.catalog.relationship import Relationship
from pgwamp.errors import InvalidArgument, at, below
from pgwamp.query.empty import of_empty
from pgwamp.query.fields import Field, mention_field, parse_field
from pgwamp.query.limits import Values, check_depth, check_name
from pgwamp.query.operators import (
    OPERATORS,
    Compare,
    Condition,
    Contains,
    Is,
    Not,
    OperatorParser,
    Search,
)
from pgwamp.query.scope import Scope
from pgwamp.query.unknown import mention_related, unknown_column


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


def constant(where: Condition, values: Values) -> bool | None:
    """Return whether a condition holds for every row, or for none; None if a row decides.

    No value of a column decides where an operand is empty, as in ``{"not": {"in": []}}``. Of a null
    many operators do not know, as whether it contains an empty array: that decides nothing either.

    :param values: of the call.
    """
    match where:
        case Not(condition):
            inner = constant(condition, values)
            return None if inner is None else not inner
        case Junction(kind, conditions):
            parts = [constant(part, values) for part in conditions]
            decisive = kind == "or"
            if decisive in parts:
                return decisive
            return None if None in parts else not decisive
        case Related(_, condition):
            return False if constant(condition, values) is False else None
        case Compare() | Contains() | Search():
            return of_empty(where, values)
    return None


class WhereParser:
    """Parses one ``where``, appending its values to ``values``."""

    def __init__(self, scope: Scope, values: Values):
        self._scope = scope
        self._values = values

    def parse(self, where: Any, path: str = "where", depth: int = 0) -> Condition:
        """``where`` as a condition. Raises :class:`InvalidArgument` naming the place."""
        if not isinstance(where, Mapping):
            raise InvalidArgument(path, 'expected a dict such as {"id": 1}')
        check_depth(self._values.limits, depth, path)
        # An empty dict among the conditions of an "or" is one, too.
        self._values.ask_for("conditions", len(where) or 1, path)
        parts = [self._entry(key, value, path, depth) for key, value in where.items()]
        return parts[0] if len(parts) == 1 else Junction("and", tuple(parts))

    def _entry(self, key: Any, value: Any, path: str, depth: int) -> Condition:
        path = below(path, key)
        if isinstance(key, str):
            check_name(self._values.limits, key, path)
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
        raise unknown_column(
            self._scope.relation,
            key,
            path,
            computed=self._scope.computed,
            further=("and", "or", "not"),
        )

    def _junction(self, kind: Any, value: Any, path: str, depth: int) -> Condition:
        if not isinstance(value, list):
            raise InvalidArgument(path, "expected a list of conditions")
        return Junction(
            kind, tuple(self.parse(v, at(path, i), depth + 1) for i, v in enumerate(value))
        )

    def _related(self, key: str, value: Any, path: str, depth: int) -> Condition:
        _, relationship = self._scope.relationship(key, path)
        self._values.ask_for("includes", 1, path)
        target = WhereParser(self._scope.target(relationship), self._values)
        try:
            condition = target.parse({} if value is None else value, path, depth + 1)
        except InvalidArgument as error:
            mention_related(error.mentions, relationship)
            raise
        found = Related(relationship, condition)
        return Not(found) if value is None else found

    def _field(self, field: Field, value: Any, path: str, depth: int) -> Condition:
        try:
            return self._compared(field, value, path, depth)
        except InvalidArgument as error:
            mention_field(error.mentions, self._scope, field)
            raise

    def _compared(self, field: Field, value: Any, path: str, depth: int) -> Condition:
        operators = OperatorParser(field, self._values, self._scope.search)
        if value is None:
            return Is(field, "null")
        if isinstance(value, list):
            return operators.parse("in", value, path)
        if not isinstance(value, Mapping):
            return operators.parse("eq", value, path)
        self._values.ask_for("conditions", max(len(value) - 1, 0), path)
        parts: list[Condition] = []
        for operator, operand in value.items():
            place = below(path, operator)
            if operator == "not":
                check_depth(self._values.limits, depth, place)
                parts.append(Not(self._compared(field, operand, place, depth + 1)))
            else:
                parts.append(operators.parse(operator, operand, place))
        if not parts:
            raise InvalidArgument(path, f"no operator given; allowed: {', '.join(OPERATORS)}")
        return parts[0] if len(parts) == 1 else Junction("and", tuple(parts))
