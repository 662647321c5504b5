"""From a selection to SQL: one SELECT, whatever is embedded.

Each embedded level is a scalar subquery that gives JSON, so that no level multiplies the rows of
another. PostgREST and PostGraphile do the same with lateral joins.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa

from pgwamp.pgtypes import Converter, Type, loads
from pgwamp.query.columns import Item
from pgwamp.query.conditions import Names, condition, exists, related_rows
from pgwamp.query.dialect import JSON, TEXT, PgType, WholeRow, builtin, count, quoted
from pgwamp.query.expressions import output
from pgwamp.query.order import ordering, term_value
from pgwamp.query.selection import Embed, Selection
from pgwamp.query.source import Source
from pgwamp.query.statement import Row, Shape


class Builder:
    """Builds the parts of one statement.

    :param plain: leave values to PostgreSQL's own text form, as COPY writes them.
    """

    def __init__(self, *, bigint_as_string: bool = False, plain: bool = False):
        self.names = Names()
        self._big = bigint_as_string
        self._plain = plain

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
        columns, shape = self.columns(source, selection, nested=nested)
        query = sa.select(*columns.values()).select_from(source.clause)
        conditions = [*joins, *self.conditions(source, selection)]
        if conditions:
            query = query.where(*conditions)
        if selection.grouped:
            plain = [i for i in selection.items if not i.aggregate]
            query = query.group_by(*(source.value(i.field) for i in plain if i.field is not None))
        query = query.order_by(*self.order(source, selection))
        query = selection.bounds.apply(query)
        if correlated:
            query = query.correlate_except(source.clause)
        return query, shape

    def columns(
        self, source: Source, selection: Selection, *, nested: bool = False
    ) -> tuple[dict[str, sa.Label[Any]], Shape]:
        """The values of each row by their names, and what to do to them."""
        columns: dict[str, sa.Label[Any]] = {}
        conversions: list[tuple[str, Converter]] = []
        spreads: list[tuple[str, tuple[str, ...]]] = []
        for item in selection.items:
            value, convert = self._item(item, source, nested)
            columns[item.label] = value.label(quoted(item.label))
            if convert is not None:
                conversions.append((item.label, convert))
        for position, embed in enumerate(selection.embeds):
            value, convert = self._embed(embed, source, nested)
            # What is spread meets no name: its own names are checked, its label is not.
            label = f"spread {position} ..." if embed.spread else embed.label
            columns[label] = value.label(quoted(label))
            if convert is not None:
                conversions.append((label, convert))
            if embed.spread:
                spreads.append((label, tuple(embed.selection.labels())))
        return columns, Shape(tuple(conversions), tuple(spreads))

    def conditions(self, source: Source, selection: Selection) -> list[sa.ColumnElement[bool]]:
        """What the rows have to meet: ``where``, and a related row for each ``inner``."""
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
        """What the terms of ORDER BY order by."""
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
                value = builtin(item.aggregate, value)
        return sa.cast(value, PgType(item.cast)) if item.cast else value

    def output(
        self, value: sa.ColumnElement[Any], of: Type, *, nested: bool = False
    ) -> tuple[sa.ColumnElement[Any], Converter | None]:
        """What to select for a value, and what to do to it when it is fetched."""
        if self._plain:
            return value, None
        return output(value, of, bigint_as_string=self._big, nested=nested)

    def _item(
        self, item: Item, source: Source, nested: bool
    ) -> tuple[sa.ColumnElement[Any], Converter | None]:
        value = self._value(item, source)
        return self.output(value, item.kind, nested=nested)

    def _embed(
        self, embed: Embed, source: Source, nested: bool
    ) -> tuple[sa.ColumnElement[Any], Converter | None]:
        target, joins = related_rows(embed.relationship, source, self.names)
        rows, shape = self.select(target, embed.selection, joins, nested=True, correlated=True)
        inner = rows.subquery(self.names.unused("r", embed.selection.labels()))
        row = WholeRow(inner)
        value: sa.ColumnElement[Any]
        if embed.relationship.to_one:
            value = builtin("row_to_json", row)
        else:
            value = sa.func.coalesce(
                builtin("json_agg", row), sa.cast(sa.literal_column("'[]'"), JSON)
            )
        query = sa.select(value).select_from(inner)
        if embed.relationship.to_one:
            # A view can show the one row more than once.
            query = query.limit(sa.literal_column("1"))
        found: sa.ColumnElement[Any] = query.scalar_subquery()
        if not nested:
            found = sa.cast(found, TEXT)
        read = loads if _holds_json(embed.selection) else json.loads
        return found, _converter(shape, embed.relationship.to_one, None if nested else read)

    def _exists(self, embed: Embed, source: Source) -> sa.ColumnElement[bool]:
        target, joins = related_rows(embed.relationship, source, self.names)
        joins += self.conditions(target, embed.selection)
        return exists(target, joins)


def _holds_json(selection: Selection) -> bool:
    """Whether numbers of any length may be among the values; then they are looked for."""
    own = any(item.kind.form == "json" or item.kind.representation for item in selection.items)
    return own or any(_holds_json(embed.selection) for embed in selection.embeds)


def _converter(shape: Shape, to_one: bool, read: Converter | None) -> Converter | None:
    """What to do to embedded rows; ``read`` parses their text, where they are not parsed yet."""

    def one(row: Row) -> Row:
        return shape.finish([row])[0]

    finish: Converter = one if to_one else shape.finish
    if read is None:
        return finish if shape else None
    if not shape:
        return read
    return lambda text: finish(read(text))
