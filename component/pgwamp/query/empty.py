"""Conditions of an empty operand, which hold for every value or for none.

One rule for all operators: what the operator says of every value but null, whatever it is. That is
found in the operand alone: nobody asks the server, and what only the server can read (as that all
words of a search are stop words, or that two texts are one date) counts as not empty. So does what
is long: whoever means nothing writes little.
"""

from __future__ import annotations

import re
import string
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

from pgwamp.query.limits import Values
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
_EMPTY_IS_LEAST = ('"char"', "bit varying", "name", "tsquery", "tsvector")
#: What no word of a search has. PostgreSQL's paths of files have these: ``/_``, ``~_``, ``..``.
_NO_WORD = "".join({*string.whitespace, *string.punctuation} - {".", "/", "_"})
_BRACES = frozenset("{} \t\r\n\v\f")
#: Between two whole numbers that follow each other these have nothing. Others of integers do.
_WHOLE = ("int4range", "int8range", "int4multirange", "int8multirange")
# As PostgreSQL reads them: in a bound, quotes and backslashes may stand anywhere.
_BOUND = r'((?:[^"\\,)\]]|\\.|"(?:[^"\\]|\\.)*")*)'
_ONE = rf"\s*(?:empty|([\[(]){_BOUND},{_BOUND}([\])]))\s*"
_RANGE, _RANGES = (
    re.compile(pattern, re.ASCII | re.DOTALL | re.IGNORECASE)
    for pattern in (_ONE, rf"\s*{{(?:{_ONE}(?:,{_ONE})*|\s*)}}\s*")
)


def of_empty(node: Compare | Contains | Search, values: Values) -> bool | None:
    """Return whether a condition with an empty operand holds; None with any other operand."""
    match node:
        case Search(_, _, (query, *_)):
            return None if values[query].strip(_NO_WORD) else False
        case Compare(_, "in", (position,)):
            return None if values[position] else False
        case Compare(field, operator, (position,), quantifier):
            operands = values[position] if quantifier else (values[position],)
            if not values.may_look_at(operands):
                return None
            each = [_compared(field.type, operator, operand) for operand in operands]
            return _quantified(quantifier == "any", each) if quantifier else each[0]
        case Contains(_, "has_key", position, _, quantifier):
            return quantifier == "all" if quantifier and not values[position] else None
        case Contains(field, operator, position, element=False):
            operand = values[position]
            is_empty = values.may_look_at((operand,)) and _is_empty(field.type, operand)
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
    # In any schema: of this form, only a superuser can make another type of the name.
    is_citext = of.form == "literal" and of.name.rpartition(".")[2] == "citext"
    if of.form in ("text", "bytea") or of.name in _EMPTY_IS_LEAST or is_citext:
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
    if of.form in ("range", "multirange"):
        is_read = (_RANGE if of.form == "range" else _RANGES).fullmatch(operand)
        return bool(is_read) and all(_has_nothing(of, *r) for r in _RANGE.findall(operand))
    return False


def _has_nothing(of: Type, left: str, lower: str, upper: str, right: str) -> bool:
    """Whether a range, of bounds as they are written, has nothing between them."""
    is_one, is_next = lower == upper != "", False
    if of.element is not None and of.element.form == "integer":
        with suppress(ValueError):
            difference = int(upper.strip('"')) - int(lower.strip('"'))
            is_one, is_next = difference == 0, difference == 1 and of.name in _WHOLE
    return not left or (is_one and left + right != "[]") or (is_next and left + right == "()")
