"""Binding the arguments of a call to names, with errors that say what is allowed."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import islice
from types import MappingProxyType
from typing import Any

from pgwamp.errors import (
    MAY_BE_COMMITTED,
    CallError,
    InvalidArgument,
    PayloadTooLarge,
    at,
    below,
    excerpt,
)

_LARGEST = 2**63 - 1
#: A guess at what was meant takes long names and many candidates quadratic time.
_LONGEST_GUESSED, _MOST_GUESSED = 63, 100
#: Names that an error lists.
_MOST_LISTED = 50
#: invalid_text_representation, numeric_value_out_of_range, and those of dates, zones and intervals.
_BAD_TEXT = ("22P02", "22003", "22007", "22008", "22009", "22015")
#: program_limit_exceeded, and what it says of JSON that is larger than PostgreSQL can make it.
_LIMIT_EXCEEDED = "54000"
_TOO_LARGE = (
    # As lists of related rows are ended by, see pgwamp.query.build.
    "requested length too large",
    "out of memory",
    "string buffer exceeds",
    "array size exceeds",
    "total size of jsonb",
    "number of jsonb",
)
_BAD_SEARCH = (
    "syntax error in tsquery",
    "no operand in tsquery",
    "syntax error in tsvector",
    "wrong position info in tsvector",
    "there is no escaped character",
    "text search configuration ",
)
#: Of data_exception; it quotes nothing.
_BAD_RANGE = "range lower bound must be less than or equal to range upper bound"
#: Characters of a text in which the two ends of a range are sought.
_LONGEST_RANGE = 200
#: invalid_regular_expression and invalid_escape_sequence, which quote nothing: by operator.
_BAD_PATTERN = {"2201B": ("match", "imatch"), "22025": ("like", "ilike")}


def bind(
    names: Sequence[str], args: Sequence[Any], kwargs: Mapping[str, Any], *, required: int = 0
) -> dict[str, Any]:
    """Positional and keyword arguments of a call as one dict.

    :param names: the arguments in positional order.
    :param required: how many of the first names must be given.
    :raises InvalidArgument: too many, unknown, twice, or missing.
    """
    if len(args) > len(names):
        most = f"at most {len(names)} allowed: {', '.join(names)}" if names else "it takes none"
        raise InvalidArgument("arguments", f"{len(args)} given, {most}")
    bound = dict(zip(names, args, strict=False))
    for name, value in kwargs.items():
        if name not in names:
            raise InvalidArgument(excerpt(name), f"unknown argument{suggest(name, names)}")
        if name in bound:
            raise InvalidArgument(name, "given twice, by position and by name")
        bound[name] = value
    for name in names[:required]:
        if name not in bound:
            raise InvalidArgument(name, f"missing; the arguments are {', '.join(names)}")
    return bound


def suggest(name: object, known: Iterable[str]) -> str:
    """The end of an error about an unknown name: a close match, or what is allowed."""
    known = list(known)
    text = str(name) if isinstance(name, str | int | float) else ""
    if 0 < len(text) <= _LONGEST_GUESSED:
        likely = sorted(known, key=lambda other: abs(len(other) - len(text)))[:_MOST_GUESSED]
        close = difflib.get_close_matches(text, likely, 1)
        if close:
            return f'; did you mean "{close[0]}"?'
    return f"; allowed: {listed(known)}" if known else ""


def listed(names: Sequence[str]) -> str:
    """Names as an error lists them: the first of many."""
    rest = len(names) - _MOST_LISTED
    return ", ".join(names[:_MOST_LISTED]) + (f" and {rest} more" if rest > 0 else "")


def integer(value: Any, path: str, *, minimum: int = 0) -> int:
    """A whole number of at least ``minimum`` that a bigint holds.

    :raises InvalidArgument: it is none.
    """
    if type(value) is not int or value < minimum:
        raise InvalidArgument(path, f"expected a whole number of at least {minimum}")
    if value > _LARGEST:
        raise InvalidArgument(path, f"expected a whole number of at most {_LARGEST}")
    return value


def string_list(value: Any, path: str, most: int) -> list[str]:
    """A list of strings; a single string is a list of one. Raises :class:`InvalidArgument`.

    :param most: names that it may hold, by ``limits.max_columns``.
    """
    if isinstance(value, str):
        return [value]
    if isinstance(value, list | tuple) and len(value) > most:
        raise InvalidArgument(path, f"{len(value)} names, at most {most} (limits.max_columns)")
    if not isinstance(value, list | tuple) or not all(isinstance(item, str) for item in value):
        raise InvalidArgument(path, "expected a list of strings")
    return list(value)


@contextmanager
def naming_arguments(
    arguments: Mapping[str, Any], asked: Mapping[str, Any] = MappingProxyType({})
) -> Iterator[None]:
    """Turn PostgreSQL's refusal of a value's text into an error that names the argument.

    The server's message quotes the text it could not read, or says of what kind it was. If there
    is exactly one such value, it is the one; several are named by the argument that holds all of
    them, or as the arguments.

    :param asked: those of them that say what is asked of rows, such as ``after`` of a verb: an
        argument of a routine of that name means something else.
    """
    try:
        yield
    except CallError as error:
        named = _named(error, arguments, asked)
        if named is None:
            raise
        raise (named.after_commit() if error.may_be_committed else named) from None


def _named(
    error: CallError, arguments: Mapping[str, Any], asked: Mapping[str, Any]
) -> CallError | None:
    """Return the error that names an argument, if it can be told which."""
    sqlstate = error.details.get("sqlstate")
    problem = error.message.removesuffix(MAY_BE_COMMITTED)
    place = _place_of(problem, sqlstate, arguments)
    if place is None and asked.get("after"):
        # The texts of a keyset are packed in its cursor.
        place = "after" if sqlstate in _BAD_TEXT or problem == _BAD_RANGE else None
    if place is not None:
        return InvalidArgument(place, problem, sqlstate=sqlstate)
    is_too_large = sqlstate == _LIMIT_EXCEEDED and problem.startswith(_TOO_LARGE)
    if asked.get("include") and is_too_large:
        return PayloadTooLarge(
            "include: the related rows are larger than limits.max_bytes; give limits, "
            "or fewer columns"
        )
    return None


def _place_of(problem: str, sqlstate: Any, arguments: Mapping[str, Any]) -> str | None:
    """Return the place of the value that the server means, or of what holds all that it may mean.

    It looks no further than it has to: a call may hold many texts.
    """
    found: str | None = None
    for name, argument in arguments.items():
        matching = (
            place
            for place, value in _values({name: argument})
            if _is_about(problem, sqlstate, place, value)
        )
        places = list(islice(matching, 2))
        if places and found is not None:
            return "arguments"
        if places:
            found = places[0] if len(places) == 1 else excerpt(name)
    return found


def _is_about(problem: str, sqlstate: Any, place: str, value: Any) -> bool:
    """Whether the server means the ``value`` at ``place``."""
    if problem == _BAD_RANGE:
        return _is_range(value)
    if not isinstance(value, str):
        return False
    if sqlstate in _BAD_PATTERN:
        # Found in the whole place: to take one apart for each text takes long.
        return any(
            f".{operator}." in place or place.endswith(f".{operator}")
            for operator in _BAD_PATTERN[sqlstate]
        )
    if sqlstate not in _BAD_TEXT and not problem.startswith(_BAD_SEARCH):
        return False
    if problem.endswith("…"):
        begin = problem.partition(': "')[2][:-1]
        return bool(begin) and value.startswith(begin)
    quoted = (f': "{value}"', f'configuration "{value}" does not exist')
    return problem.endswith(quoted) or problem.startswith(f'value "{value}" is out of range')


def _is_range(value: Any) -> bool:
    """Whether a value may be a range with two ends."""
    if isinstance(value, str):
        # Of a multirange its first one. An expression would look at each blank again and again.
        text = value[:_LONGEST_RANGE].lstrip()
        text = text[1:].lstrip() if text.startswith("{") else text
        lower, _, rest = text.partition(",")
        upper = rest.partition(",")[0]
        return len(lower) > 1 and lower[0] in "[(" and max(map(upper.rfind, "])")) > 0
    return isinstance(value, Mapping) and None not in (value.get("lower"), value.get("upper"))


def _values(request: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """Every string and dict in the arguments of a call, with its place."""
    rest: list[tuple[str, Any]] = [(excerpt(name), value) for name, value in request.items()]
    while rest:
        path, value = rest.pop()
        if isinstance(value, str):
            yield path, value
        elif isinstance(value, Mapping):
            yield path, value
            rest += [(below(path, key), item) for key, item in value.items()]
        elif isinstance(value, list | tuple):
            rest += [(at(path, index), item) for index, item in enumerate(value)]
