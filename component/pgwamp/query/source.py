"""Where rows come from: a relation under an alias, and the values of its rows."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql
from sqlalchemy.sql.elements import Grouping

from pgwamp.catalog.model import Relation
from pgwamp.query.dialect import DIALECT, TEXT, PgType, WholeRow, function, operate, quoted
from pgwamp.query.expressions import table_of
from pgwamp.query.fields import Field, Step
from pgwamp.query.scope import Scope
from pgwamp.values import TEXT_TYPE, Type


class Source:
    """Rows of a scope's relation in a FROM clause.

    :ivar clause: what to select from.
    :param typed: its rows have the relation's own row type; those of a subquery are made so.
    :param made: fields whose values another clause has made already.
    """

    def __init__(
        self,
        scope: Scope,
        clause: sa.FromClause,
        *,
        typed: bool = True,
        made: Mapping[Field, sa.ColumnElement[Any]] = MappingProxyType({}),
    ):
        self.scope = scope
        self.clause = clause
        self._typed = typed
        self._made = made

    def column(self, name: str) -> sa.ColumnElement[Any]:
        """A real column."""
        return self.clause.c[name]

    def row(self) -> sa.ColumnElement[Any]:
        """The whole row, as an argument of a function."""
        if self._typed:
            return WholeRow(self.clause)
        relation = self.scope.relation
        values = sa.func.ROW(*(self.clause.c[c.name] for c in relation.complete.columns))
        return sa.cast(values, PgType(_spelled(relation)))

    def making(self, fields: Iterable[Field], name: str) -> tuple[Source, sa.FromClause]:
        """The same source, and a clause beside its own that makes these fields of each row.

        :param name: of that clause.
        """
        given = list(dict.fromkeys(fields))
        values = [self.value(field).label(f"v{place}") for place, field in enumerate(given)]
        # OFFSET keeps PostgreSQL from putting the expressions where their values are named.
        query = sa.select(*values).correlate(self.clause).offset(sa.literal_column("0"))
        beside = query.lateral(name)
        made = dict(zip(given, beside.c, strict=True))
        return Source(self.scope, self.clause, typed=self._typed, made=made), beside

    def value(self, field: Field) -> sa.ColumnElement[Any]:
        """A field of the row."""
        if (made := self._made.get(field)) is not None:
            return made
        value: sa.ColumnElement[Any]
        if field.computed:
            routine = self.scope.computed[field.column]
            value = function((routine.schema, routine.name), self.row())
        else:
            value = self.clause.c[field.column]
        kind = self.scope.columns[field.column].type
        for step in field.steps:
            value, kind = _step(value, kind, step)
        return sa.cast(value, PgType(field.cast)) if field.cast else value


def _step(
    value: sa.ColumnElement[Any], kind: Type, step: Step
) -> tuple[sa.ColumnElement[Any], Type]:
    """A part of a value of type ``kind``, and the type of the part."""
    name = f"p{step.position}"
    arrow = "->>" if step.as_text else "->"
    if step.kind == "key":
        inner = TEXT_TYPE if kind.form == "hstore" or step.as_text else kind
        return operate(value, kind, arrow, sa.cast(sa.bindparam(name), TEXT), "text"), inner
    if step.kind == "index":
        index = sa.cast(sa.bindparam(name), PgType("integer"))
        return operate(value, kind, arrow, index, "integer"), TEXT_TYPE if step.as_text else kind
    if step.kind == "field":
        value = Grouping(value).op(".")(sa.column(quoted(step.name)))
        kind = dict(kind.fields)[step.name]
    else:
        of = postgresql.ARRAY(sa.Text, dimensions=len(step.positions))
        value = sa.type_coerce(Grouping(value), of)
        for position in step.positions:
            value = value[sa.bindparam(f"p{position}", type_=sa.Integer)]
        assert kind.element is not None
        kind = kind.element
    return (sa.cast(value, TEXT), TEXT_TYPE) if step.as_text else (value, kind)


def _spelled(relation: Relation) -> str:
    """A relation's row type as a cast spells it."""
    spelled: str = DIALECT.identifier_preparer.format_table(table_of(relation))
    return spelled


def unused(stem: str, names: Iterable[str]) -> str:
    """An alias that is no column's name: PostgreSQL would take it for the column."""
    taken = set(names)
    while stem in taken:
        stem += "_"
    return stem
