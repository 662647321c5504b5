"""Conditions, columns and types as SQLAlchemy Core expressions.

Every value is a bound parameter and every name is quoted by SQLAlchemy; nothing here builds SQL
from strings.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import cache
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql.base import PGDialect
from sqlalchemy.sql.elements import quoted_name
from sqlalchemy.types import UserDefinedType

from pgwamp.catalog.model import Column, Relation
from pgwamp.pgtypes import Converter, Type, finite, float_from_text, from_json, loads, loads_exact
from pgwamp.query.where import Compare, Condition, Is, Not

#: asyncpg's placeholders ($1, $2); the base dialect adds no casts of its own.
DIALECT = PGDialect(paramstyle="numeric_dollar")  # type: ignore[no-untyped-call]
_NATIVE = ("integer", "boolean", "text", "bytea")
#: Types whose cast to text is not what their output function writes.
_CAST_DIFFERS = ("inet",)


class PgType(UserDefinedType[Any]):
    """A PostgreSQL type by the name ``format_type`` gives it."""

    cache_ok = True

    def __init__(self, name: str):
        self.name = name

    def get_col_spec(self, **_: Any) -> str:
        """The name, as DDL and casts write it."""
        return self.name


TEXT = PgType("text")
TEXT_ARRAY = PgType("text[]")
JSONB = PgType("jsonb")


@cache
def table_of(relation: Relation) -> sa.TableClause:
    """A relation as a table to select from and write to."""
    return sa.table(
        quoted_name(relation.name, quote=True),
        *(sa.column(quoted_name(c.name, quote=True)) for c in relation.columns),
        schema=quoted_name(relation.schema, quote=True),
    )


def parameter(name: str, of: Type) -> sa.ColumnElement[Any]:
    """A bound value of type ``of``, as :func:`pgwamp.pgtypes.bindable` prepared it."""
    bound: sa.ColumnElement[Any] = sa.bindparam(name)
    if of.form in (*_NATIVE, "float"):
        return sa.cast(bound, PgType(of.name))
    return sa.cast(sa.cast(bound, TEXT), PgType("jsonb" if of.form == "json" else of.name))


def is_any_of(column: sa.ColumnElement[Any], name: str, of: Type) -> sa.ColumnElement[bool]:
    """Whether ``column`` equals one of a bound list of values of type ``of``."""
    bound: sa.ColumnElement[Any] = sa.bindparam(name)
    if of.form == "array":  # there is no array of arrays
        texts = sa.func.unnest(sa.cast(bound, TEXT_ARRAY)).column_valued("u")
        return column.in_(sa.select(sa.cast(texts, PgType(of.name))))
    if of.form not in (*_NATIVE, "float"):
        bound = sa.cast(bound, TEXT_ARRAY)
    array_of = PgType(("jsonb" if of.form == "json" else of.name) + "[]")
    return column == sa.any_(sa.cast(bound, array_of))


def output(
    value: sa.ColumnElement[Any], of: Type, *, bigint_as_string: bool = False
) -> tuple[sa.ColumnElement[Any], Converter | None]:
    """What to select for ``value`` of type ``of``, and what to do to the fetched value.

    The server writes everything that travels as a string, so that most rows need no conversion
    in Python at all.
    """
    form, inner = of.form, of.element
    if form == "integer" and of.name == "bigint" and bigint_as_string:
        return sa.cast(value, TEXT), None
    if form in _NATIVE:
        return value, None
    if form == "float" and of.name == "real":
        # In binary 0.1 would arrive as 0.10000000149011612.
        return sa.cast(value, TEXT), float_from_text
    if form == "float":
        return value, finite
    if form == "json":
        return sa.cast(value, TEXT), loads
    if form in ("numeric", "enum") or (form == "literal" and of.name not in _CAST_DIFFERS):
        return sa.cast(value, TEXT), None
    if form == "array" and inner is not None:
        if inner.form in ("boolean", "text", "bytea") or (
            inner.form == "integer" and not bigint_as_string
        ):
            return value, None
        if inner.form in ("numeric", "enum", "literal") and inner.name not in _CAST_DIFFERS:
            return sa.cast(value, TEXT_ARRAY), None
    convert = from_json(of, bigint_as_string=bigint_as_string)
    return sa.cast(sa.func.to_json(value), TEXT), lambda text: convert(loads_exact(text))


def outputs(
    columns: Sequence[Column],
    expression: Callable[[str], sa.ColumnElement[Any]],
    *,
    bigint_as_string: bool,
) -> tuple[list[sa.ColumnElement[Any]], tuple[tuple[str, Converter], ...]]:
    """Labelled output expressions of ``columns``, and the conversions their rows need."""
    selected: list[sa.ColumnElement[Any]] = []
    conversions = []
    for column in columns:
        value, convert = output(
            expression(column.name), column.type, bigint_as_string=bigint_as_string
        )
        selected.append(value.label(quoted_name(column.name, quote=True)))
        if convert is not None:
            conversions.append((column.name, convert))
    return selected, tuple(conversions)


def condition(
    where: Condition, table: sa.FromClause, columns: Mapping[str, Column]
) -> sa.ColumnElement[bool]:
    """A parsed ``where`` as an SQL condition; value ``i`` is the parameter ``p{i}``."""
    if isinstance(where, Not):
        return sa.not_(condition(where.condition, table, columns))
    if isinstance(where, Is):
        return _is(table.c[where.column], where.what)
    if isinstance(where, Compare):
        return _compare(where, table.c[where.column], columns[where.column].type)
    parts = [condition(part, table, columns) for part in where.conditions]
    if where.kind == "and":
        return sa.and_(sa.true(), *parts)
    return sa.or_(sa.false(), *parts)


def _is(column: sa.ColumnElement[Any], what: str) -> sa.ColumnElement[bool]:
    if what == "null":
        return column.is_(sa.null())
    if what == "unknown":
        return column.op("IS", is_comparison=True)(sa.text("UNKNOWN"))
    return column.is_(sa.true() if what == "true" else sa.false())


def _compare(compare: Compare, column: sa.ColumnElement[Any], of: Type) -> sa.ColumnElement[bool]:
    names = [f"p{position}" for position in compare.values]
    if of.form == "json":  # json has no equality, jsonb has
        column = sa.cast(column, JSONB)
    if compare.operator == "in":
        return is_any_of(column, names[0], of)
    if compare.operator in _PATTERN_OPERATORS:
        if of.form != "text":
            column = sa.cast(column, TEXT)
        pattern = sa.cast(sa.bindparam(names[0]), TEXT)
        return column.bool_op(_PATTERN_OPERATORS[compare.operator])(pattern)
    if compare.operator == "between":
        lower, upper = (parameter(name, of) for name in names)
        return column.between(lower, upper)
    value = parameter(names[0], of)
    if compare.operator == "isdistinct":
        return column.is_distinct_from(value)
    return column.bool_op(_COMPARISON_OPERATORS[compare.operator])(value)


_PATTERN_OPERATORS = {"like": "LIKE", "ilike": "ILIKE", "match": "~", "imatch": "~*"}
_COMPARISON_OPERATORS = {"eq": "=", "neq": "<>", "gt": ">", "gte": ">=", "lt": "<", "lte": "<="}
