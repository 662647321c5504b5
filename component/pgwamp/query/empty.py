"""Conditions of an empty operand, which hold for every value or for none.

One rule for all operators: what the operator says of every value but null, whatever it is. That is
found in the operand alone: nobody asks the server, and what only the server can read (as that all
words of a search are stop words) counts as not empty.
"""

from __future__ import annotations

import re
import string
from collections.abc import Sequence
from typing import Any

from pgwamp.query.operators import Compare, Contains, Search
from pgwamp.values import Type

#: What containment and position say, by the form of the type.
_SETS = {
    ("contains", "array"): True,
    ("contains", "hstore"): True,
    ("contains", "range"): True,
    ("contains", "multirange"): True,
    # Every object contains an empty one, and every array: JavaScript makes ``{}`` of an object
    # whose one key is undefined, and a column of JSON has mostly objects.
    ("contains", "json"): True,
    ("overlaps", "array"): False,
    ("overlaps", "range"): False,
    ("overlaps", "multirange"): False,
    # Also what PostgreSQL says of the position of an empty range.
    **{
        (operator, form): False
        for operator in ("left_of", "right_of", "not_left_of", "not_right_of", "adjacent")
        for form in ("range", "multirange")
    },
}
#: What patterns say, and what comparisons with the least value of a type.
_PATTERNS = {"match": True, "imatch": True}
_LEAST = {"gte": True, "lt": False}
#: Types whose empty text is their least value, besides those of text.
_EMPTY_IS_LEAST = ('"char"', "bit varying", "citext", "name", "tsquery", "tsvector")
#: All that no word of a search begins with.
_NO_WORD = string.whitespace + string.punctuation
_BRACES = frozenset("{} \t\r\n\v\f")
#: Whatever the caller sends is matched in one way, so that it takes no longer than it is long.
_PLAIN = r'[^",\[\]()]*'
_BOUND = rf'({_PLAIN}(?:"{_PLAIN}"{_PLAIN})?)'
_RANGE = re.compile(rf"(?P<left>[\[(]){_BOUND},{_BOUND}(?P<right>[\])])|empty", re.IGNORECASE)


def of_empty(node: Compare | Contains | Search, values: Sequence[Any]) -> bool | None:
    """Return whether a condition with an empty operand holds; None with any other operand."""
    match node:
        case Search(_, _, (query, *_)):
            return None if values[query].strip(_NO_WORD) else False
        case Compare(_, "in", (position,)):
            return None if values[position] else False
        case Compare(field, operator, (position,), quantifier):
            if quantifier:
                each = [_compared(field.type, operator, value) for value in values[position]]
                return _quantified(quantifier == "any", each)
            return _compared(field.type, operator, values[position])
        case Contains(_, "has_key", position, _, quantifier):
            return quantifier == "all" if quantifier and not values[position] else None
        case Contains(field, operator, position, element):
            is_empty = not element and _is_empty(field.type, values[position])
            return _SETS.get((operator, field.type.form)) if is_empty else None
    return None


def _quantified(decisive: bool, each: Sequence[bool | None]) -> bool | None:
    """The outcome of ``any`` (True decides) or ``all`` (False does) over several comparisons."""
    if decisive in each:
        return decisive
    return None if None in each else not decisive


def _compared(of: Type, operator: str, value: Any) -> bool | None:
    if operator in _PATTERNS:
        return None if value else _PATTERNS[operator]
    # Of JSON it is the empty array.
    is_least = operator in _LEAST and (value == "[]" if of.form == "json" else _is_empty(of, value))
    return _LEAST[operator] if is_least else None


def _is_empty(of: Type, operand: Any) -> bool:
    """Whether a value is empty in a way that its type knows."""
    if of.representation is not None:
        return False
    if of.form in ("text", "bytea") or of.name.rpartition(".")[2] in _EMPTY_IS_LEAST:
        return not operand
    if not isinstance(operand, str):
        return False
    if of.form == "json":
        return operand in ("{}", "[]")
    if of.form == "array":
        # Within braces, an array has empty ones for each of its dimensions.
        return _BRACES.issuperset(operand.replace(of.delimiter, ""))
    if of.form == "hstore":
        return not operand.strip()
    if of.form == "range":
        found = _RANGE.fullmatch(operand.strip())
        return found is not None and _has_nothing(of, found)
    if of.form == "multirange":
        ranges = list(_RANGE.finditer(operand))
        between = _RANGE.sub("", operand).replace(",", "")
        return _BRACES.issuperset(between) and all(_has_nothing(of, found) for found in ranges)
    return False


def _has_nothing(of: Type, found: re.Match[str]) -> bool:
    """Whether a range has nothing between its bounds, as far as their texts say."""
    left, right = found["left"], found["right"]
    if left is None:
        return True
    lower, upper = _bound(found[2]), _bound(found[3])
    if lower == upper:
        return bool(lower) and (left, right) != ("[", "]")
    whole = of.element is not None and of.element.form == "integer"
    if not whole or (left, right) != ("(", ")"):
        return False
    try:
        return int(upper) - int(lower) == 1
    except ValueError:
        return False


def _bound(text: str) -> str:
    _, quote, rest = text.partition('"')
    return rest.partition('"')[0] if quote else text.strip()
