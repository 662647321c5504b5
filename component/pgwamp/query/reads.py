"""``select``, ``get`` and ``count`` of one relation."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import sqlalchemy as sa

from pgwamp.errors import InvalidArgument
from pgwamp.query.bounds import Bounds, parse_bounds
from pgwamp.query.build import Builder
from pgwamp.query.dialect import count, equal, quoted
from pgwamp.query.expressions import as_written, parameter
from pgwamp.query.involved import hides_rows
from pgwamp.query.keyset import (
    Key,
    behind,
    complete_order,
    decode_key,
    encode_key,
    fingerprint,
    key_values,
)
from pgwamp.query.limits import Values
from pgwamp.query.scope import Scope
from pgwamp.query.selection import Selection, SelectionParser
from pgwamp.query.shape import Row
from pgwamp.query.source import Source, unused
from pgwamp.query.statement import Bound, Statement, StatementCache, compile_statement
from pgwamp.values import bindable

SELECT_ARGUMENTS = (
    "where", "columns", "order", "limit", "offset", "after", "include", "count", "format",
)  # fmt: skip
GET_ARGUMENTS = ("key", "columns", "include")
COUNT_ARGUMENTS = ("where", "mode")
COUNT_MODES = ("exact", "planned", "estimated")
#: Names beside the columns; what a request can name holds no dots.
_KEY, _COUNT = "key ...", "count ..."


@dataclass(frozen=True, slots=True)
class Page:
    """A bound ``select``, and what its answer says beside the rows.

    :ivar limit: how many rows make the page full.
    :ivar keyset: the fingerprint of the order that the next page goes on in, if there may be one.
    :ivar counted: each record holds the number of all matching rows.
    """

    bound: Bound
    limit: int
    keyset: int | None = None
    counted: bool = False

    def next(self, records: Sequence[Any]) -> str | None:
        """The cursor of the next page, or None when this is the last."""
        if self.keyset is None or len(records) < self.limit or not records:
            return None
        return encode_key(self.keyset, records[-1][_KEY])

    def count(self, records: Sequence[Any]) -> int | None:
        """The number of all matching rows, or None when no record could hold it."""
        return records[0][_COUNT] if self.counted and records else None

    async def rows(self, records: Sequence[Any]) -> list[Row]:
        """The rows of the answer."""
        return await self.bound.rows(records)


class Reads:
    """Turns the arguments of a read into a bound statement."""

    def __init__(self, scope: Scope, *, max_rows: int, bigint_as_string: bool = False):
        self._scope = scope
        self._relation = scope.relation
        self._max_rows = max_rows
        self._big = bigint_as_string
        self._cache = StatementCache(scope.statements)

    def select(self, request: Mapping[str, Any]) -> Page:
        """Rows that match; one row more than allowed when there is no smaller ``limit``."""
        values = Values(self._scope.limits)
        selection = SelectionParser(self._scope, values).parse(request)
        counted = count_mode(request.get("count"), "count") == "exact"
        if selection.grouped and ("after" in request or request.get("count")):
            raise InvalidArgument("columns", "groups have neither a count nor a page after")
        keyset = key = None
        most = self._max_rows + 1
        if "after" in request:
            selection = replace(selection, order=complete_order(self._scope, selection.order))
            keyset = fingerprint(self._relation.key, selection.order, values)
            key = decode_key(self._scope, keyset, selection.order, request["after"], values)
            # Such a page is full with what may be answered, and the next one goes on.
            most = self._max_rows
        bounds, limit = parse_bounds(request, values, most=most)
        statement = self._cache.get(
            values,
            ("select", selection, bounds, keyset is not None, key, counted),
            lambda: self._build_select(selection, bounds, keyset is not None, key, counted),
        )
        return Page(statement.bind(values), limit or 0, keyset, counted)

    def stream(
        self, request: Mapping[str, Any], *, plain: bool = False, texts: tuple[str, ...] = ()
    ) -> Bound:
        """All rows that match, for a reader that takes them bit by bit.

        :param plain: the values as PostgreSQL writes them, for CSV.
        :param texts: columns whose texts come too, in hidden columns; exposed or not.
        """
        values = Values(self._scope.limits)
        selection = SelectionParser(self._scope, values).parse(request)
        bounds, _ = parse_bounds(request, values)
        return self._cache.get(
            values,
            ("copy" if plain else "select", selection, bounds, False, None, False, texts),
            lambda: self._build_select(
                selection, bounds, False, None, False, plain=plain, texts=texts
            ),
        ).bind(values)

    def get(self, request: Mapping[str, Any]) -> Bound:
        """The row with a key: a scalar, or a dict (or list) for a composite key."""
        values = self._key_values(request["key"])
        selection = SelectionParser(self._scope, values).parse(
            {"columns": request.get("columns"), "include": request.get("include")}
        )
        if selection.grouped:
            raise InvalidArgument("columns", "one row has no aggregates; use select")
        return self._cache.get(values, ("get", selection), lambda: self._build_get(selection)).bind(
            values
        )

    def count(self, request: Mapping[str, Any]) -> Bound:
        """How many rows match."""
        values = Values(self._scope.limits)
        matching = self._matching(request, values)
        return self._cache.get(
            values, ("count", matching), lambda: self._build_count(matching)
        ).bind(values)

    def plan(self, request: Mapping[str, Any]) -> Bound | None:
        """The rows that match, to be explained and not to be run.

        None where rows are hidden from some roles: the planner's guess is about all rows.
        """
        values = Values(self._scope.limits)
        matching = self._matching(request, values)
        if hides_rows(self._relation, matching):
            return None
        return self._cache.get(
            values, ("plan", matching), lambda: self._build_count(matching, sa.literal_column("1"))
        ).bind(values)

    def _matching(self, request: Mapping[str, Any], values: Values) -> Selection:
        """The conditions that decide which rows there are, and the related rows they must have."""
        asked = {name: request.get(name) for name in ("where", "columns", "include")}
        return SelectionParser(self._scope, values).parse(asked)

    def _key_values(self, key: Any) -> Values:
        try:
            return self._parsed_key(key, self._relation.primary_key)
        except InvalidArgument as error:
            raise error.about(self._relation.key, *self._relation.primary_key) from None

    def _parsed_key(self, key: Any, names: tuple[str, ...]) -> Values:
        if isinstance(key, Mapping):
            if set(key) != set(names):
                raise InvalidArgument("key", f"expected a dict with {', '.join(names)}")
            given = [key[name] for name in names]
        elif len(names) == 1:
            given = [key]
        elif isinstance(key, list) and len(key) == len(names):
            given = key
        else:
            raise InvalidArgument("key", f"expected a dict with {', '.join(names)}")
        if any(value is None for value in given):
            raise InvalidArgument("key", "a key is never null")
        types = [self._relation.by_name[name].type for name in names]
        values = Values(self._scope.limits)
        values += (
            bindable(kind, value, f"key.{name}", values.budget)
            for kind, value, name in zip(types, given, names, strict=True)
        )
        return values

    def _build_select(
        self,
        selection: Selection,
        bounds: Bounds,
        keyset: bool,
        key: Key | None,
        counted: bool,
        *,
        plain: bool = False,
        texts: tuple[str, ...] = (),
    ) -> Statement:
        builder = Builder(bigint_as_string=self._big, plain=plain)
        source = Source(self._scope, builder.names.alias(self._relation))
        query, shape = builder.select(source, selection)
        hidden: list[str] = []
        for position, name in enumerate(texts):
            hidden.append(unused(f"text{position}", (*selection.labels(), *hidden)))
            text = as_written(source.column(name), self._relation.types[name])
            query = query.add_columns(text.label(quoted(hidden[-1])))
        if keyset:
            values = builder.order_values(source, selection)
            query = query.add_columns(key_values(selection.order, values).label(_KEY))
            hidden.append(_KEY)
            if key is not None:
                query = query.where(behind(self._scope, selection.order, values, key))
        if counted:
            query = query.add_columns(self._all(builder, selection).label(_COUNT))
            hidden.append(_COUNT)
        return compile_statement(
            bounds.apply(query), shape, hidden=tuple(hidden), labels=builder.labels(selection)
        )

    def _all(self, builder: Builder, selection: Selection) -> sa.ColumnElement[int]:
        """The number of rows on all pages."""
        source = Source(self._scope, builder.names.alias(self._relation))
        query = sa.select(count()).select_from(source.clause)
        return query.where(*builder.conditions(source, selection)).scalar_subquery()

    def _build_get(self, selection: Selection) -> Statement:
        builder = Builder(bigint_as_string=self._big)
        source = Source(self._scope, builder.names.alias(self._relation))
        key = []
        for position, name in enumerate(self._relation.primary_key):
            of = self._relation.by_name[name].type
            key.append(equal(source.column(name), of, parameter(f"p{position}", of), of))
        query, shape = builder.select(source, selection, key)
        return compile_statement(query, shape)

    def _build_count(
        self, matching: Selection, what: sa.ColumnElement[Any] | None = None
    ) -> Statement:
        builder = Builder()
        source = Source(self._scope, builder.names.alias(self._relation))
        counted = count().label("count") if what is None else what
        query = sa.select(counted).select_from(source.clause)
        return compile_statement(query.where(*builder.conditions(source, matching)))


def count_mode(given: Any, path: str) -> str | None:
    """``exact``, ``planned``, ``estimated``; true means exact. Raises :class:`InvalidArgument`."""
    if given is None or given is False:
        return None
    mode = "exact" if given is True else given
    if mode not in COUNT_MODES:
        raise InvalidArgument(path, f"expected one of {', '.join(COUNT_MODES)}")
    return str(mode)
