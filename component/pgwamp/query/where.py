"""The ``where`` language: parsing a dict into conditions.

The result holds no values, only their positions, so that it is the same for every call of the
same shape and can key the cache of compiled statements.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from pgwamp.catalog.model import Column, Relation
from pgwamp.errors import InvalidArgument
from pgwamp.pgtypes import bindable, bindable_list
from pgwamp.query.request import suggest

#: Operators that compare with one value of the column's type.
COMPARISONS = ("eq", "neq", "gt", "gte", "lt", "lte", "isdistinct")
#: Operators that match a text pattern.
PATTERNS = ("like", "ilike", "match", "imatch")
OPERATORS = (*COMPARISONS, *PATTERNS, "between", "in", "is", "not")
_IS = {None: "null", True: "true", False: "false", "unknown": "unknown", "null": "null"}
_MAX_DEPTH = 20


@dataclass(frozen=True, slots=True)
class Compare:
    """``column operator value``; ``values`` are positions in the call's values."""

    column: str
    operator: str
    values: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Is:
    """``column IS NULL``, ``IS TRUE``, ``IS FALSE`` or ``IS UNKNOWN``."""

    column: str
    what: Literal["null", "true", "false", "unknown"]


@dataclass(frozen=True, slots=True)
class Not:
    """The negation of a condition."""

    condition: Condition


@dataclass(frozen=True, slots=True)
class Junction:
    """Conditions joined by AND or OR; an empty AND is true, an empty OR is false."""

    kind: Literal["and", "or"]
    conditions: tuple[Condition, ...]


Condition = Compare | Is | Not | Junction


class WhereParser:
    """Parses one ``where``, appending its values to ``values``."""

    def __init__(self, relation: Relation, values: list[Any]):
        self._relation = relation
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
        column = self._relation.by_name.get(key)
        if key in ("and", "or") and (column is None or isinstance(value, list)):
            return self._junction(key, value, path, depth)
        if key == "not" and (column is None or isinstance(value, Mapping)):
            return Not(self.parse(value, path, depth + 1))
        if column is None:
            known = (*self._relation.by_name, "and", "or", "not")
            raise InvalidArgument(
                path, f'no column "{key}" in {self._relation.name}{suggest(str(key), known)}'
            )
        return self._column(column, value, path, depth)

    def _junction(self, kind: Any, value: Any, path: str, depth: int) -> Condition:
        if not isinstance(value, list):
            raise InvalidArgument(path, "expected a list of conditions")
        return Junction(
            kind, tuple(self.parse(v, f"{path}[{i}]", depth + 1) for i, v in enumerate(value))
        )

    def _column(self, column: Column, value: Any, path: str, depth: int) -> Condition:
        if value is None:
            return Is(column.name, "null")
        if isinstance(value, list):
            return self._in(column, value, path)
        if not isinstance(value, Mapping):
            return self._compare(column, "eq", value, path)
        parts = [self._operator(column, op, v, f"{path}.{op}", depth) for op, v in value.items()]
        if not parts:
            raise InvalidArgument(path, f"no operator given; allowed: {', '.join(OPERATORS)}")
        return parts[0] if len(parts) == 1 else Junction("and", tuple(parts))

    def _operator(
        self, column: Column, operator: Any, value: Any, path: str, depth: int
    ) -> Condition:
        if operator == "not":
            if depth > _MAX_DEPTH:
                raise InvalidArgument(path, f"nested deeper than {_MAX_DEPTH} levels")
            return Not(self._column(column, value, path, depth + 1))
        if operator == "in":
            return self._in(column, value, path)
        if operator == "is":
            return self._is(column, value, path)
        if operator == "between":
            if not isinstance(value, list) or len(value) != 2:
                raise InvalidArgument(path, "expected a list of two values, lower and upper")
            ends = tuple(
                self._add(bindable(column.type, v, f"{path}[{i}]")) for i, v in enumerate(value)
            )
            return Compare(column.name, "between", ends)
        if operator in PATTERNS:
            if not isinstance(value, str) or "\x00" in value:
                raise InvalidArgument(path, "expected a pattern, as a string without NUL")
            return Compare(column.name, operator, (self._add(value),))
        if operator not in COMPARISONS:
            raise InvalidArgument(
                path, f'unknown operator "{operator}"{suggest(str(operator), OPERATORS)}'
            )
        return self._compare(column, operator, value, path)

    def _compare(self, column: Column, operator: str, value: Any, path: str) -> Condition:
        if value is None:
            if operator == "eq":
                return Is(column.name, "null")
            if operator in ("neq", "isdistinct"):
                return Not(Is(column.name, "null"))
            raise InvalidArgument(path, "null compares with nothing; use eq, neq or is")
        position = self._add(bindable(column.type, value, path))
        return Compare(column.name, operator, (position,))

    def _in(self, column: Column, value: Any, path: str) -> Condition:
        values = bindable_list(column.type, value, path)
        present = [v for v in values if v is not None]
        found = Compare(column.name, "in", (self._add(present),))
        # SQL's IN never finds NULL; a list that names it means it.
        if len(present) < len(values):
            return Junction("or", (found, Is(column.name, "null")))
        return found

    def _is(self, column: Column, value: Any, path: str) -> Condition:
        what = _IS.get(value) if value is None or isinstance(value, bool | str) else None
        if what is None or (what != "null" and column.type.form != "boolean"):
            allowed = "null, true, false or unknown" if column.type.form == "boolean" else "null"
            raise InvalidArgument(path, f"expected {allowed}")
        return Is(column.name, what)  # type: ignore[arg-type]

    def _add(self, value: Any) -> int:
        self._values.append(value)
        return len(self._values) - 1
