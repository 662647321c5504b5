"""The operators of ``where``: what each takes, and the condition it makes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal, Protocol

from pgwamp.errors import InvalidArgument, at, excerpt, kind_of
from pgwamp.query.fields import Field
from pgwamp.query.limits import Values
from pgwamp.query.request import suggest
from pgwamp.values import TEXT_TYPE, bindable, bindable_list

#: Operators that compare with one value of the field's type.
COMPARISONS = ("eq", "neq", "gt", "gte", "lt", "lte")
#: Operators that match a text pattern.
PATTERNS = ("like", "ilike", "match", "imatch")
#: Full text search, by the function that reads the query.
SEARCHES = {
    "fts": "to_tsquery",
    "plfts": "plainto_tsquery",
    "phfts": "phraseto_tsquery",
    "wfts": "websearch_to_tsquery",
}
#: Containment and position, by the forms of types that have them.
SETS = {
    "contains": ("array", "json", "range", "multirange", "hstore"),
    "contained_by": ("array", "json", "range", "multirange", "hstore"),
    "overlaps": ("array", "range", "multirange"),
    "left_of": ("range", "multirange"),
    "right_of": ("range", "multirange"),
    "not_left_of": ("range", "multirange"),
    "not_right_of": ("range", "multirange"),
    "adjacent": ("range", "multirange"),
}
OPERATORS = (
    *COMPARISONS, "between", "in", "is", "isdistinct", *PATTERNS, *SEARCHES, *SETS, "has_key",
    "not",
)  # fmt: skip
_QUANTIFIABLE = (*COMPARISONS, *PATTERNS)
_IS = {None: "null", True: "true", False: "false", "unknown": "unknown", "null": "null"}


class Condition(Protocol):
    """Any node of a parsed ``where``; hashable, and equal for requests of the same shape."""

    def __hash__(self) -> int: ...


@dataclass(frozen=True, slots=True)
class Compare:
    """``field operator value``; ``values`` are positions in the call's values.

    :ivar quantifier: the value is a list, of which any or all elements must compare.
    """

    field: Field
    operator: str
    values: tuple[int, ...]
    quantifier: Literal["", "any", "all"] = ""


@dataclass(frozen=True, slots=True)
class Is:
    """``field IS NULL``, ``IS TRUE``, ``IS FALSE`` or ``IS UNKNOWN``."""

    field: Field
    what: Literal["null", "true", "false", "unknown"]


@dataclass(frozen=True, slots=True)
class Not:
    """The negation of a condition."""

    condition: Condition


@dataclass(frozen=True, slots=True)
class Search:
    """Full text search; ``values`` are the query and, if given, the configuration."""

    field: Field
    operator: str
    values: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Contains:
    """An operator of :data:`SETS`, or ``has_key``.

    :ivar element: the value is an element of the range, not a range.
    """

    field: Field
    operator: str
    value: int
    element: bool = False
    quantifier: Literal["", "any", "all"] = ""


@dataclass(frozen=True, slots=True)
class OneOf:
    """One of a list, in which there was a null too."""

    found: Compare
    field: Field


class OperatorParser:
    """Parses the operators on one field, appending their values to ``values``.

    :param search: spells a text search configuration that a caller names at a place.
    """

    def __init__(self, field: Field, values: Values, search: Callable[[str, str], str]):
        self._field = field
        self._values = values
        self._spelled_search = search

    def parse(self, operator: Any, value: Any, path: str) -> Condition:
        """The condition of one operator. Raises :class:`InvalidArgument` naming the place."""
        if operator == "in":
            return self._in(value, path)
        if operator == "is":
            return self._is(value, path)
        if operator == "between":
            return self._between(value, path)
        if operator in _QUANTIFIABLE and (quantifier := self._quantifier(value)):
            return self._quantified(operator, quantifier, value[quantifier], path)
        if operator in PATTERNS:
            return Compare(self._field, operator, (self._add(self._pattern(value, path)),))
        if operator in COMPARISONS or operator == "isdistinct":
            return self._compare(operator, value, path)
        if operator in SEARCHES:
            return self._search(operator, value, path)
        if operator in SETS:
            return self._contains(operator, value, path)
        if operator == "has_key":
            return self._has_key(value, path)
        raise InvalidArgument(
            path, f'unknown operator "{excerpt(operator)}"{suggest(operator, OPERATORS)}'
        )

    def _compare(self, operator: str, value: Any, path: str) -> Condition:
        if value is None:
            if operator == "eq":
                return Is(self._field, "null")
            if operator in ("neq", "isdistinct"):
                return Not(Is(self._field, "null"))
            raise InvalidArgument(path, "null compares with nothing; use eq, neq or is")
        return Compare(self._field, operator, (self._bind(value, path),))

    def _quantifier(self, value: Any) -> Literal["", "any", "all"]:
        # A dict is a value of these types.
        if self._field.type.form in ("json", "composite", "hstore"):
            return ""
        if not isinstance(value, Mapping) or len(value) != 1:
            return ""
        return "any" if "any" in value else "all" if "all" in value else ""

    def _quantified(
        self, operator: str, quantifier: Literal["any", "all"], given: Any, path: str
    ) -> Condition:
        path = f"{path}.{quantifier}"
        of = TEXT_TYPE if operator in PATTERNS else self._field.type
        values = bindable_list(of, given, path, self._values.budget)
        if None in values:
            raise InvalidArgument(path, "null compares with nothing; leave it out")
        if operator in PATTERNS:
            for index, pattern in enumerate(values):
                self._values.add_pattern(pattern, at(path, index))
        return Compare(self._field, operator, (self._add(values),), quantifier)

    def _between(self, value: Any, path: str) -> Condition:
        if not isinstance(value, list) or len(value) != 2:
            raise InvalidArgument(path, "expected a list of two values, lower and upper")
        ends = tuple(self._bind(end, at(path, i)) for i, end in enumerate(value))
        return Compare(self._field, "between", ends)

    def _in(self, value: Any, path: str) -> Condition:
        values = bindable_list(self._field.type, value, path, self._values.budget)
        present = [v for v in values if v is not None]
        found = Compare(self._field, "in", (self._add(present),))
        # SQL's IN never finds NULL; a list that names it means it.
        return OneOf(found, self._field) if len(present) < len(values) else found

    def _is(self, value: Any, path: str) -> Condition:
        what = _IS.get(value) if value is None or isinstance(value, bool | str) else None
        boolean = self._field.type.form == "boolean"
        if what is None or (what != "null" and not boolean):
            allowed = "null, true, false or unknown" if boolean else "null"
            raise InvalidArgument(path, f"expected {allowed}")
        return Is(self._field, what)  # type: ignore[arg-type]

    def _search(self, operator: str, value: Any, path: str) -> Condition:
        of = self._field.type
        if of.form not in ("text", "json") and of.name != "tsvector":
            raise InvalidArgument(path, "full text search needs a tsvector, text or json column")
        given = value if isinstance(value, Mapping) else {"query": value}
        unknown = [key for key in given if key not in ("query", "config")]
        if unknown or not isinstance(given.get("query"), str):
            raise InvalidArgument(
                path, 'expected a query, or {"query": "cat & rat", "config": "english"}'
            )
        positions = [self._add(self._pattern(given["query"], path))]
        if given.get("config") is not None:
            name = _text(given["config"], f"{path}.config")
            positions.append(self._add(self._spelled_search(name, f"{path}.config")))
        return Search(self._field, operator, tuple(positions))

    def _contains(self, operator: str, value: Any, path: str) -> Condition:
        of = self._field.type
        if of.form not in SETS[operator]:
            raise InvalidArgument(
                path, f"{operator} needs a column of {' or '.join(SETS[operator])} type, "
                f"and {self._field.column} is {of.describe()}"
            )  # fmt: skip
        if value is None:
            raise InvalidArgument(path, "null compares with nothing")
        if of.form == "range" and of.element is not None and _is_element(value):
            if operator != "contains":
                raise InvalidArgument(path, 'expected a range, such as "[1,5)"')
            position = self._add(bindable(of.element, value, path, self._values.budget))
            return Contains(self._field, operator, position, element=True)
        return Contains(self._field, operator, self._bind(value, path))

    def _has_key(self, value: Any, path: str) -> Condition:
        if self._field.type.form not in ("json", "hstore"):
            raise InvalidArgument(path, "has_key needs a json or hstore column")
        if isinstance(value, Mapping) and len(value) == 1:
            for quantifier in ("any", "all"):
                if quantifier in value:
                    keys = value[quantifier]
                    if not isinstance(keys, list):
                        raise InvalidArgument(path, "expected a list of keys")
                    checked = [_text(key, at(path, i)) for i, key in enumerate(keys)]
                    return Contains(
                        self._field, "has_key", self._add(checked), quantifier=quantifier
                    )
        return Contains(self._field, "has_key", self._add(_text(value, path)))

    def _pattern(self, value: Any, path: str) -> str:
        pattern = _text(value, path)
        self._values.add_pattern(pattern, path)
        return pattern

    def _bind(self, value: Any, path: str) -> int:
        return self._add(bindable(self._field.type, value, path, self._values.budget))

    def _add(self, value: Any) -> int:
        self._values.append(value)
        return len(self._values) - 1


def _text(value: Any, path: str) -> str:
    if not isinstance(value, str):
        raise InvalidArgument(path, f"expected a string, got {kind_of(value)}")
    if "\x00" in value:
        raise InvalidArgument(path, "expected a string without NUL")
    return value


def _is_element(value: Any) -> bool:
    """Whether a value given for a range is one of its elements: ``5``, not ``[1,5)``."""
    if isinstance(value, Mapping):
        return False
    return not (isinstance(value, str) and (value == "empty" or value[:1] in ("[", "(")))
