"""From a selection to SQL: one SELECT, whatever is embedded.

Each embedded level is a scalar subquery that gives JSON, so that no level multiplies the rows of
another. PostgREST and PostGraphile do the same with lateral joins.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import sqlalchemy as sa

from pgwamp.errors import InvalidArgument
from pgwamp.query.bounds import list_of_at_most
from pgwamp.query.columns import Item
from pgwamp.query.conditions import Names, condition, exists, related_rows
from pgwamp.query.dialect import JSON, TEXT, PgType, WholeRow, aggregate, builtin, count, quoted
from pgwamp.query.expressions import as_written, output
from pgwamp.query.fields import Field
from pgwamp.query.order import ordering, term_value
from pgwamp.query.selection import Embed, Selection
from pgwamp.query.shape import Related, Shape
from pgwamp.query.source import Source
from pgwamp.values import Converter, Type

#: Longer than any text of PostgreSQL may be: so often nothing can be repeated.
_TOO_OFTEN = "2147483647"


class Builder:
    """Builds the parts of one statement.

    :param plain: answer values in PostgreSQL's own text form, as COPY writes them, under names of
        ours: for CSV, whose header is not written by the server.
    :param writes: the statement fails where a list of related rows has too many: the reader would
        find it only after the commit.
    """

    def __init__(
        self, *, bigint_as_string: bool = False, plain: bool = False, writes: bool = False
    ):
        self.names = Names()
        self.bigint_as_string = bigint_as_string
        self._plain = plain
        self._writes = writes

    def select(
        self,
        source: Source,
        selection: Selection,
        joins: Sequence[sa.ColumnElement[bool]] = (),
        *,
        nested: bool = False,
        correlated: bool = False,
    ) -> tuple[sa.Select[Any], Shape]:
        """The rows of ``source``, without the limits of the topmost level."""
        conditions = [*joins, *self.conditions(source, selection)]
        clauses = [source.clause]
        if parts := list(_parts_of_names(selection)):
            # They are written in a subquery, where PostgreSQL knows of columns that they group.
            source, beside = source.making(parts, self.names.unused("v"))
            clauses.append(beside)
        columns, shape = self.columns(source, selection, nested=nested)
        query = sa.select(*columns.values()).select_from(*clauses)
        if conditions:
            query = query.where(*conditions)
        if selection.grouped:
            plain = [i for i in selection.items if not i.aggregate]
            query = query.group_by(*(source.value(i.field) for i in plain if i.field is not None))
        query = query.order_by(*self.order(source, selection))
        query = selection.bounds.apply(query)
        if correlated:
            query = query.correlate_except(*clauses)
        return query, shape

    def columns(
        self, source: Source, selection: Selection, *, nested: bool = False
    ) -> tuple[dict[str, sa.Label[Any]], Shape]:
        """The values of each row by their names, and what to do to them."""
        columns: dict[str, sa.Label[Any]] = {}
        conversions: list[tuple[str, Converter]] = []
        related: list[tuple[str, Related]] = []
        spreads: list[tuple[str, tuple[str, ...]]] = []
        for position, item in enumerate(selection.items):
            value, convert = self.output(self._value(item, source), item.kind, nested=nested)
            columns[item.label] = self._labelled(value, item.label, f"c{position}", nested)
            if convert is not None:
                conversions.append((item.label, convert))
        for position, embed in enumerate(selection.embeds):
            value, rows = self._embed(embed, source, nested)
            # What is spread meets no name: its own names are checked, its label is not.
            label = f"spread {position} ..." if embed.spread else embed.label
            columns[label] = self._labelled(value, label, f"e{position}", nested)
            related.append((label, rows))
            if embed.spread:
                spreads.append((label, tuple(embed.selection.labels())))
        return columns, Shape(tuple(conversions), tuple(related), tuple(spreads))

    def _labelled(
        self, value: sa.ColumnElement[Any], label: str, ours: str, nested: bool
    ) -> sa.Label[Any]:
        return value.label(ours if self._plain and not nested else quoted(label))

    def labels(self, selection: Selection) -> Sequence[str]:
        """The names of CSV's columns; none of an answer that is not CSV.

        :raises InvalidArgument: related rows have no columns of their own there.
        """
        if not self._plain:
            return ()
        for embed in selection.embeds:
            if embed.spread:
                raise InvalidArgument(
                    f"include.{embed.label}.spread", "CSV does not spread columns; leave it out"
                )
        return selection.labels()

    def conditions(self, source: Source, selection: Selection) -> list[sa.ColumnElement[bool]]:
        """The conditions on the rows: ``where``, and a related row for each ``inner``."""
        found: list[sa.ColumnElement[bool]] = []
        if selection.where is not None:
            found.append(condition(selection.where, source, self.names))
        found += [self._exists(embed, source) for embed in selection.embeds if embed.inner]
        return found

    def order(self, source: Source, selection: Selection) -> list[sa.ColumnElement[Any]]:
        """The terms of ORDER BY."""
        return [
            ordering(term, value)
            for term, value in zip(
                selection.order, self.order_values(source, selection), strict=True
            )
        ]

    def order_values(self, source: Source, selection: Selection) -> list[sa.ColumnElement[Any]]:
        """The expressions of ORDER BY."""
        # Not what is selected: that is already cast to text.
        items = {item.label: item for item in selection.items}
        return [
            self._value(items[term.label], source)
            if term.field is None
            else term_value(term, term.field, source, self.names)
            for term in selection.order
        ]

    def _value(self, item: Item, source: Source) -> sa.ColumnElement[Any]:
        value: sa.ColumnElement[Any]
        if item.field is None:
            value = count()
        else:
            value = source.value(item.field)
            if item.aggregate:
                value = aggregate((item.schema, item.aggregate), value, item.field.type)
        return sa.cast(value, PgType(item.cast)) if item.cast else value

    def output(
        self, value: sa.ColumnElement[Any], of: Type, *, nested: bool = False
    ) -> tuple[sa.ColumnElement[Any], Converter | None]:
        """The expression to select for a value, and how to read what is fetched."""
        if self._plain and not nested:
            return as_written(value, of), None
        return output(value, of, bigint_as_string=self.bigint_as_string, nested=nested)

    def _embed(
        self, embed: Embed, source: Source, nested: bool
    ) -> tuple[sa.ColumnElement[Any], Related]:
        target, joins = related_rows(embed.relationship, source, self.names)
        rows, shape = self.select(target, embed.selection, joins, nested=True, correlated=True)
        inner = rows.subquery(self.names.unused("r", embed.selection.labels()))
        limits = source.scope.limits
        if embed.relationship.to_one:
            # A view can show the one row more than once.
            one = builtin("row_to_json", WholeRow(inner))
            query = sa.select(one).select_from(inner).limit(sa.literal_column("1"))
        elif _multiplies(embed.selection):
            query = self._bounded_list(inner, limits.max_bytes)
        else:
            query = _list_of(builtin("json_agg", WholeRow(inner))).select_from(inner)
        most = None if embed.relationship.to_one else limits.max_rows
        if self._writes and most is not None:
            query = query.having(list_of_at_most(most))
        found: sa.ColumnElement[Any] = query.scalar_subquery()
        if not nested:
            found = sa.cast(found, TEXT)
        return found, Related(embed.label, shape, most)

    def _bounded_list(self, rows: sa.FromClause, max_bytes: int) -> sa.Select[Any]:
        """All rows as a JSON list, refused as soon as it has more bytes than a message may.

        Lists in lists multiply: a few hundred bytes of a request would make the server build a
        gigabyte. The sum runs along with the rows, and repeat fails where it is too large.
        """
        row = builtin("row_to_json", WholeRow(rows)).label("j")
        # The fence keeps each row from being made twice.
        made = (
            sa.select(row)
            .select_from(rows)
            .offset(sa.literal_column("0"))
            .subquery(self.names.unused("m"))
        )
        byte_count = builtin("octet_length", sa.cast(made.c.j, TEXT))
        total = sa.over(builtin("sum", byte_count), rows=(None, 0)).label("total")
        summed = sa.select(made.c.j, total).subquery(self.names.unused("s"))
        too_many = summed.c.total.bool_op(">")(sa.literal_column(str(max_bytes)))
        times = sa.case((too_many, sa.literal_column(_TOO_OFTEN)), else_=sa.literal_column("0"))
        nothing: sa.ColumnElement[str] = sa.literal_column("''")
        passes = builtin("repeat", sa.literal_column("'x'"), times).bool_op("=")(nothing)
        return _list_of(builtin("json_agg", summed.c.j)).select_from(summed).where(passes)

    def _exists(self, embed: Embed, source: Source) -> sa.ColumnElement[bool]:
        target, joins = related_rows(embed.relationship, source, self.names)
        joins += self.conditions(target, embed.selection)
        return exists(target, joins)


def _parts_of_names(selection: Selection) -> Iterator[Field]:
    """What is no column as it stands, of a type of names, and groups the rows."""
    for item in selection.items if selection.grouped else ():
        field = item.field
        if field is None or item.aggregate or field.is_column:
            continue
        if item.kind.follows_path:
            yield field


def _multiplies(selection: Selection) -> bool:
    """Whether each row holds a list of rows, at any level."""
    return any(
        not embed.relationship.to_one or _multiplies(embed.selection) for embed in selection.embeds
    )


def _list_of(rows: sa.ColumnElement[Any]) -> sa.Select[Any]:
    return sa.select(sa.func.coalesce(rows, sa.cast(sa.literal_column("'[]'"), JSON)))
