"""A compiled statement, and one bound to the values of a call."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from pgwamp.access import Leaves
from pgwamp.errors import InvalidArgument
from pgwamp.query.cache import Cache
from pgwamp.query.dialect import DIALECT
from pgwamp.query.expressions import leaves
from pgwamp.query.limits import Values
from pgwamp.query.shape import UNCHANGED, Row, Shape, rows_of

#: The protocol counts them in 16 bits, of which asyncpg uses 15.
_MOST_PARAMETERS = 32_767
#: What a cached statement takes in memory, its shape included, by the length of its SQL; measured.
_BYTES_PER_CHARACTER = 15
#: What each column, condition or include of its shape takes. PostgreSQL is told nothing of some:
#: conditions that always hold.
_BYTES_PER_ASKED = 300


@dataclass(frozen=True, slots=True)
class Statement:
    """SQL with ``$n`` placeholders.

    :ivar parameters: the name of each placeholder, in order.
    :ivar hidden: columns of each row that are not part of the answer.
    :ivar counts: the answer is one row with the number of rows as ``count``.
    :ivar labels: of an answer as CSV: the names of its columns, which stand in no statement.
    :ivar leaves: what it can leave on its connection.
    :ivar unbounded: it is a write that may answer more rows than ``limits.max_rows``.
    :ivar small: the same write of one row at most, with the same parameters, which fails where its
        answer may be larger than ``small_bytes``, and which nothing else can keep from answering.
    :ivar small_bytes: of a message.
    """

    sql: str
    parameters: tuple[str, ...]
    shape: Shape = UNCHANGED
    hidden: tuple[str, ...] = ()
    counts: bool = False
    labels: tuple[str, ...] = ()
    leaves: Leaves = "anything"
    unbounded: bool = False
    small: Statement | None = None
    small_bytes: int = 0

    def bind(self, values: Sequence[Any], named: Mapping[str, Any] = {}) -> Bound:
        """Attach values: ``p0, p1, ...`` come from ``values``, the others from ``named``.

        :raises InvalidArgument: more than PostgreSQL takes in one statement.
        """
        if len(self.parameters) > _MOST_PARAMETERS:
            raise InvalidArgument(
                "arguments", f"{len(self.parameters)} values are more than one statement takes "
                f"({_MOST_PARAMETERS}); give lists, as in {{\"in\": [...]}}"
            )  # fmt: skip
        return Bound(
            self,
            [named[name] if name in named else values[int(name[1:])] for name in self.parameters],
        )


@dataclass(frozen=True, slots=True)
class Bound:
    """A statement and its parameters in placeholder order."""

    statement: Statement
    parameters: list[Any]

    async def rows(self, records: Sequence[Any]) -> list[Row]:
        """Fetched records as portable dicts, as :func:`rows_of` makes them."""
        return await rows_of(self.statement.shape, records, self.statement.hidden)


def compile_statement(
    clause: sa.ClauseElement,
    shape: Shape = UNCHANGED,
    *,
    hidden: tuple[str, ...] = (),
    counts: bool = False,
    labels: Sequence[str] = (),
    unbounded: bool = False,
) -> Statement:
    """Compile a Core construct for asyncpg."""
    compiled: Any = clause.compile(dialect=DIALECT)
    return Statement(
        sql=str(compiled),
        parameters=tuple(compiled.numbers),
        shape=shape,
        hidden=hidden,
        counts=counts,
        labels=tuple(labels),
        leaves=leaves(clause),
        unbounded=unbounded,
    )


class StatementCache:
    """The compiled statements of one relation or routine, by the shape of the request.

    :param shared: holds those of all relations, so that together they stay within its bound.
    """

    def __init__(self, shared: Cache[Statement]):
        self._shared = shared

    def get(self, values: Values, shape: object, build: Callable[[], Statement]) -> Statement:
        """The statement of ``shape``, built on its first use.

        :param values: of the call, which has counted what the shape holds.
        """
        key = (self, shape)
        statement = self._shared.get(key)
        if statement is None:
            statement = build()
            byte_count = len(statement.sql) * _BYTES_PER_CHARACTER + values.asked * _BYTES_PER_ASKED
            self._shared.put(key, statement, byte_count)
        return statement
