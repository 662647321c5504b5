"""``select``, ``get`` and ``count`` of one relation."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from pgwamp.catalog.model import Column, Relation
from pgwamp.errors import InvalidArgument
from pgwamp.pgtypes import bindable
from pgwamp.query.expressions import condition, outputs, parameter, table_of
from pgwamp.query.request import integer, string_list, suggest
from pgwamp.query.statement import Bound, Statement, StatementCache, compile_statement
from pgwamp.query.where import Condition, WhereParser

SELECT_ARGUMENTS = ("where", "columns", "order", "limit", "offset")
GET_ARGUMENTS = ("key", "columns")
COUNT_ARGUMENTS = ("where",)
_DIRECTIONS = ("asc", "desc")
_NULLS = ("nullsfirst", "nullslast")


@dataclass(frozen=True, slots=True)
class OrderTerm:
    """One term of ``order``; an absent part is PostgreSQL's default."""

    column: str
    descending: bool = False
    nulls: str = ""


class Reads:
    """Turns the arguments of a read into a bound statement."""

    def __init__(self, relation: Relation, *, max_rows: int, bigint_as_string: bool = False):
        self._relation = relation
        self._max_rows = max_rows
        self._big = bigint_as_string
        self._cache = StatementCache()

    def select(self, request: Mapping[str, Any]) -> Bound:
        """Rows that match; one row more than allowed when there is no smaller ``limit``."""
        values: list[Any] = []
        where = self._where(request, values)
        columns = chosen_columns(self._relation, request.get("columns"), "columns")
        order = self._order(request.get("order"))
        given = request.get("limit")
        limit = self._max_rows + 1 if given is None else integer(given, "limit")
        offset = integer(request.get("offset") or 0, "offset")
        statement = self._cache.get(
            ("select", where, columns, order),
            lambda: self._build_select(where, columns, order),
        )
        named = {"limit": min(limit, self._max_rows + 1), "offset": offset}
        return statement.bind(values, named)

    def get(self, request: Mapping[str, Any]) -> Bound:
        """The row with a key: a scalar, or a dict (or list) for a composite key."""
        key = self._relation.primary_key
        values = self._key_values(request["key"])
        columns = chosen_columns(self._relation, request.get("columns"), "columns")
        return self._cache.get(("get", columns), lambda: self._build_get(key, columns)).bind(values)

    def count(self, request: Mapping[str, Any]) -> Bound:
        """How many rows match."""
        values: list[Any] = []
        where = self._where(request, values)
        return self._cache.get(("count", where), lambda: self._build_count(where)).bind(values)

    def _where(self, request: Mapping[str, Any], values: list[Any]) -> Condition | None:
        where = request.get("where")
        return None if where is None else WhereParser(self._relation, values).parse(where)

    def _order(self, order: Any) -> tuple[OrderTerm, ...]:
        if order is None:
            return ()
        terms = string_list(order, "order")
        return tuple(
            parse_order(self._relation, term, f"order[{i}]") for i, term in enumerate(terms)
        )

    def _key_values(self, key: Any) -> list[Any]:
        names = self._relation.primary_key
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
        return [
            bindable(kind, value, f"key.{name}")
            for kind, value, name in zip(types, given, names, strict=True)
        ]

    def _outputs(self, columns: tuple[Column, ...]) -> tuple[Any, Any]:
        table = table_of(self._relation)
        return outputs(columns, lambda name: table.c[name], bigint_as_string=self._big)

    def _build_select(
        self,
        where: Condition | None,
        columns: tuple[Column, ...],
        order: tuple[OrderTerm, ...],
    ) -> Statement:
        table = table_of(self._relation)
        selected, conversions = self._outputs(columns)
        query = sa.select(*selected).select_from(table)
        if where is not None:
            query = query.where(condition(where, table, self._relation.by_name))
        query = query.order_by(*(order_expression(table, term) for term in order))
        query = query.limit(sa.bindparam("limit")).offset(sa.bindparam("offset"))
        return compile_statement(query, conversions)

    def _build_get(self, key: tuple[str, ...], columns: tuple[Column, ...]) -> Statement:
        table = table_of(self._relation)
        selected, conversions = self._outputs(columns)
        query = sa.select(*selected).select_from(table)
        for position, name in enumerate(key):
            kind = self._relation.by_name[name].type
            query = query.where(table.c[name] == parameter(f"p{position}", kind))
        return compile_statement(query, conversions)

    def _build_count(self, where: Condition | None) -> Statement:
        table = table_of(self._relation)
        query = sa.select(sa.func.count().label("count")).select_from(table)
        if where is not None:
            query = query.where(condition(where, table, self._relation.by_name))
        return compile_statement(query)


def chosen_columns(relation: Relation, names: Any, path: str) -> tuple[Column, ...]:
    """The columns a request names, all of them when it names none."""
    if names is None:
        return relation.columns
    chosen = string_list(names, path)
    for index, name in enumerate(chosen):
        if name not in relation.by_name:
            raise InvalidArgument(
                f"{path}[{index}]",
                f'no column "{name}" in {relation.name}{suggest(name, relation.by_name)}',
            )
    if not chosen:
        raise InvalidArgument(path, "name at least one column")
    if len(set(chosen)) < len(chosen):
        raise InvalidArgument(path, "a column is named twice")
    return tuple(relation.by_name[name] for name in chosen)


def parse_order(relation: Relation, term: str, path: str) -> OrderTerm:
    """``name``, ``name.desc``, ``name.asc.nullslast``; a column's name may hold dots."""
    column, descending, nulls = term, False, ""
    while column not in relation.by_name:
        column, dot, suffix = column.rpartition(".")
        if dot and suffix in _NULLS and not nulls:
            nulls = suffix
        elif dot and suffix in _DIRECTIONS:
            descending = suffix == "desc"
        else:
            wrong = f"{column}{dot}{suffix}"
            raise InvalidArgument(
                path,
                f'no column "{wrong}" in {relation.name}{suggest(wrong, relation.by_name)} '
                "(written as name, name.desc or name.asc.nullslast)",
            )
    return OrderTerm(column, descending, nulls)


def order_expression(table: sa.FromClause, term: OrderTerm) -> sa.ColumnElement[Any]:
    """One term of ORDER BY."""
    column = table.c[term.column]
    ordered = column.desc() if term.descending else column.asc()
    if term.nulls == "nullsfirst":
        return ordered.nulls_first()
    return ordered.nulls_last() if term.nulls else ordered
