"""A compiled statement, and one bound to the values of a call."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from pgwamp.pgtypes import Converter
from pgwamp.query.expressions import DIALECT


@dataclass(frozen=True, slots=True)
class Statement:
    """SQL with ``$n`` placeholders.

    :ivar parameters: the name of each placeholder, in order.
    :ivar conversions: what to do to fetched values, by column.
    """

    sql: str
    parameters: tuple[str, ...]
    conversions: tuple[tuple[str, Converter], ...] = ()

    def bind(self, values: Sequence[Any], named: Mapping[str, Any] = {}) -> Bound:
        """Attach values: ``p0, p1, ...`` come from ``values``, the others from ``named``."""
        return Bound(
            self,
            [named[name] if name in named else values[int(name[1:])] for name in self.parameters],
        )


@dataclass(frozen=True, slots=True)
class Bound:
    """A statement and its parameters in placeholder order."""

    statement: Statement
    parameters: list[Any]

    def rows(self, records: Sequence[Any]) -> list[dict[str, Any]]:
        """Fetched records as neutral dicts."""
        rows = [dict(record) for record in records]
        for name, convert in self.statement.conversions:
            for row in rows:
                value = row[name]
                if value is not None:
                    row[name] = convert(value)
        return rows


def compile_statement(
    clause: sa.ClauseElement,
    conversions: tuple[tuple[str, Converter], ...] = (),
    *,
    default_values: bool = False,
) -> Statement:
    """Compile a Core construct for asyncpg.

    :param default_values: an INSERT that names no column.
    """
    given: dict[str, Any] = {"column_keys": []} if default_values else {}
    compiled: Any = clause.compile(dialect=DIALECT, **given)
    return Statement(str(compiled), tuple(compiled.positiontup or ()), conversions)


class StatementCache:
    """Compiled statements by the shape of the request; the oldest goes when it is full."""

    def __init__(self, size: int = 500):
        self._size = size
        self._statements: dict[object, Statement] = {}

    def get(self, shape: object, build: Callable[[], Statement]) -> Statement:
        """The statement of ``shape``, built on its first use."""
        statement = self._statements.get(shape)
        if statement is None:
            if len(self._statements) >= self._size:
                del self._statements[next(iter(self._statements))]
            statement = self._statements[shape] = build()
        return statement
