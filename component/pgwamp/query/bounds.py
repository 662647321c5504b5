"""``limit`` and ``offset``.

Usual limits are written into the statement. PostgreSQL then keeps one plan for all calls; a limit
that it learns with each call only, it tends to plan for with each call.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from pgwamp.errors import CallError
from pgwamp.query.dialect import PgType, builtin, count
from pgwamp.query.request import integer

_USUAL = frozenset({0, 1, 2, 3, 4, 5, 10, 15, 20, 25, 30, 40, 50, 100, 200, 250, 500, 1000})

#: The texts in the errors of statements that answer too many rows, or too many in a list.
TOO_MANY_ROWS = "more rows than limits.max_rows"
TOO_MANY_RELATED = "more related rows than limits.max_rows"
#: The text in the error of an update whose rows give one key twice.
SAME_KEY = "two rows have the same key"
#: The text in the error of a write that would answer a row too large for :func:`small_row`.
TOO_LARGE_ROW = "a row that is measured before it is committed"


@dataclass(frozen=True, slots=True)
class Bounds:
    """How many rows, and after how many.

    :ivar limit: the number, written into the statement.
    :ivar limit_at: or its position among the values.
    :ivar offset_at: the offset's position, if there is one.
    """

    limit: int | None = None
    limit_at: int | None = None
    offset_at: int | None = None

    def apply(self, query: sa.Select[Any]) -> sa.Select[Any]:
        """The query with LIMIT and OFFSET."""
        if self.limit is not None:
            query = query.limit(sa.literal_column(str(self.limit)))
        elif self.limit_at is not None:
            query = query.limit(sa.bindparam(f"p{self.limit_at}", type_=sa.BigInteger))
        if self.offset_at is not None:
            query = query.offset(sa.bindparam(f"p{self.offset_at}", type_=sa.BigInteger))
        return query


NO_BOUNDS = Bounds()


def parse_bounds(
    request: Mapping[str, Any], values: list[Any], path: str = "", most: int | None = None
) -> tuple[Bounds, int | None]:
    """``limit`` and ``offset`` of a request, and the limit as a number.

    :param most: as many rows are wanted at most.
    :raises InvalidArgument: naming the one that is no whole number.
    """
    given, offset = request.get("limit"), request.get("offset")
    limit = most if given is None else integer(given, f"{path}limit")
    if limit is not None and most is not None:
        limit = min(limit, most)
    written = limit if limit in _USUAL or limit == most else None
    limit_at = offset_at = None
    if limit is not None and written is None:
        values.append(limit)
        limit_at = len(values) - 1
    if offset is not None and integer(offset, f"{path}offset"):
        values.append(offset)
        offset_at = len(values) - 1
    return Bounds(written, limit_at, offset_at), limit


def at_most(most: int, rows: sa.FromClause) -> sa.ColumnElement[Any]:
    """A LIMIT that fails if there are more than ``most`` rows: the statement then changes nothing.

    A plain LIMIT would hide rows that were written, and to look at the answer is too late: what is
    written is committed by then. So the server counts, and reads the count as a number only where
    it is small; the text that it cannot read says why, also in its log.

    :param rows: a common table expression, which is evaluated once.
    """
    some: sa.Select[Any] = sa.select(sa.literal_column("1").label("one")).select_from(rows)
    counted = some.limit(sa.literal_column(str(most + 1))).subquery("t1")
    failure = sa.case((_count_exceeds(most), _unreadable(TOO_MANY_ROWS, "bigint")))
    return sa.select(failure).select_from(counted).scalar_subquery()


def list_of_at_most(most: int) -> sa.ColumnElement[bool]:
    """A HAVING that fails, as :func:`at_most` does, if a list has more than ``most`` rows."""
    failure = _unreadable(TOO_MANY_RELATED, "boolean")
    return sa.case((_count_exceeds(most), failure), else_=sa.true())


def small_row(values: Sequence[sa.ColumnElement[Any]], most_bytes: int) -> sa.ColumnElement[Any]:
    """A value of a row that fails if the texts of ``values`` take more than ``most_bytes``."""
    # By their output functions alone, and without those that are null.
    byte_count = builtin("octet_length", builtin("concat", *values))
    failure = _unreadable(TOO_LARGE_ROW, "boolean", byte_count)
    return sa.case((_exceeds(byte_count, most_bytes), failure))


def only_one(number: sa.ColumnElement[Any]) -> sa.ColumnElement[bool]:
    """A condition that fails if a key is given more often than once."""
    failure = _unreadable(SAME_KEY, "boolean", number)
    return sa.case((_exceeds(number, 1), failure), else_=sa.true())


def _count_exceeds(most: int) -> sa.ColumnElement[bool]:
    return _exceeds(count(), most)


def _exceeds(number: sa.ColumnElement[Any], most: int) -> sa.ColumnElement[bool]:
    return number.bool_op("OPERATOR(pg_catalog.>)")(sa.literal_column(str(most)))


def _unreadable(
    text: str, kind: str, number: sa.ColumnElement[Any] | None = None
) -> sa.ColumnElement[Any]:
    """A text that the server cannot read; it holds a number, so that no planner tries to.

    :param number: the count of rows when missing.
    """
    number = count() if number is None else number
    return sa.cast(builtin("concat", sa.literal_column(f"'{text}: '"), number), PgType(kind))


@contextmanager
def refusing_more(refusal: CallError, text: str = TOO_MANY_ROWS) -> Iterator[None]:
    """Raise ``refusal`` in the place of the failure of :func:`at_most`.

    :param text: or of another one here, by its text.
    """
    try:
        yield
    except CallError as error:
        if text in error.message:
            raise refusal from None
        raise
