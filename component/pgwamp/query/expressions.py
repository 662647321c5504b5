"""Parameters, values and rows as SQLAlchemy Core expressions.

Every value is a bound parameter and every name is quoted by SQLAlchemy; nothing here builds SQL
from strings.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql
from sqlalchemy.sql.elements import Grouping

from pgwamp.access import Leaves
from pgwamp.catalog.model import Column, Relation
from pgwamp.query.dialect import (
    JSON,
    TEXT,
    TEXT_ARRAY,
    Call,
    PgType,
    builtin,
    function,
    in_own_path,
    quoted,
)
from pgwamp.values import (
    Converter,
    Type,
    array_from_json,
    array_of_json,
    bytes_from_hex,
    finite,
    float_from_text,
    loads,
    text_converter,
)

#: Of a text that is an amount of money in every country; as a constant in SQL.
_PLAIN_NUMBER = r"'^[-+]?[0-9]+([.][0-9]+)?$'"
_NATIVE = ("integer", "boolean", "text", "bytea")
#: Types of PostgreSQL whose cast to text is, or may become, another text than their output function
#: writes.
_CAST_DIFFERS = ("inet", "cidr", "xml", '"char"')


class Table(sa.TableClause):
    """A relation of the catalog.

    :ivar runs_code: to read its rows can run code of users.
    :ivar inserts_only: to insert a row runs none, and moves sequences at most.
    """

    inherit_cache = False
    runs_code = True
    inserts_only = False


@cache
def table_of(relation: Relation) -> Table:
    """A relation as a table to select from and write to."""
    table = Table(
        quoted(relation.name),
        *(sa.column(quoted(c.name)) for c in relation.complete.columns),
        schema=quoted(relation.schema),
    )
    table.runs_code = relation.runs_code
    table.inserts_only = relation.inserts_only
    return table


def leaves(statement: sa.ClauseElement) -> Leaves:
    """Tell what a statement can leave on its connection.

    Functions, triggers, views, policies and casts of users can leave anything.
    """
    found: Leaves = "nothing"
    for element in sa.sql.visitors.iterate(statement):
        if isinstance(element, Table) and element.runs_code:
            return "anything"
        if isinstance(element, sa.Cast) and getattr(element.type, "runs_code", True):
            return "anything"
        if isinstance(element, Call) and element.runs_code:
            return "anything"
        if isinstance(element, sa.sql.dml.UpdateBase):
            if not _only_inserts(element):
                return "anything"
            found = "sequences"
    return found


def _only_inserts(write: sa.sql.dml.UpdateBase) -> bool:
    table: Any = write.table
    plain = isinstance(write, postgresql.Insert) and write._post_values_clause is None
    return plain and isinstance(table, Table) and table.inserts_only


def parameter(name: str, of: Type) -> sa.ColumnElement[Any]:
    """A bound value of type ``of``, as :func:`pgwamp.values.bindable` prepared it."""
    bound: sa.ColumnElement[Any] = sa.bindparam(name)
    own = of.representation
    if own is not None and own.from_text is not None:
        return function(own.from_text, sa.cast(bound, TEXT))
    if of.form in (*_NATIVE, "float"):
        return sa.cast(bound, PgType(of.name))
    return _from_text(sa.cast(bound, TEXT), of)


def _from_text(text: sa.ColumnElement[Any], of: Type) -> sa.ColumnElement[Any]:
    """A value of type ``of`` from a text that was bound."""
    if of.name == "regclass":
        return as_read(text, of)
    if of.name != "money":
        return sa.cast(text, PgType(of.name))
    # Its input takes 1.5 for 15 where lc_monetary has points between thousands.
    number = sa.cast(sa.cast(text, PgType("numeric")), PgType(of.name))
    plain = text.bool_op("~")(sa.literal_column(_PLAIN_NUMBER))
    return sa.case((plain, number), else_=sa.cast(text, PgType(of.name)))


def list_parameter(name: str, of: Type) -> Any:
    """The values of a bound list of values of type ``of``, as ANY and ALL take them."""
    bound: sa.ColumnElement[Any] = sa.bindparam(name)
    reader = None if of.representation is None else of.representation.from_text
    if reader is not None or of.form == "array" or of.name in ("money", "regclass"):
        # There is no array of arrays, and what a function reads it reads one by one.
        text = builtin("unnest", sa.cast(bound, TEXT_ARRAY)).column_valued("u")
        one = _from_text(text, of) if reader is None else function(reader, text)
        return sa.select(one).scalar_subquery()
    if of.form not in (*_NATIVE, "float"):
        bound = sa.cast(bound, TEXT_ARRAY)
    return sa.cast(bound, PgType(("jsonb" if of.form == "json" else of.name) + "[]"))


def is_null(value: sa.ColumnElement[Any]) -> sa.ColumnElement[bool]:
    """``IS NULL``, whose negation is not IS NOT NULL: a row can be neither."""
    return value.op("IS", is_comparison=True)(sa.null())


def rows_parameter(name: str, of: Type) -> sa.ColumnElement[Any]:
    """A bound list with the values of a column to be written, as an array.

    Each of its elements is a value for :func:`from_rows`.
    """
    bound: sa.ColumnElement[Any] = sa.bindparam(name)
    if of.form in (*_NATIVE, "float") and of.representation is None:
        return sa.cast(bound, PgType(f"{of.name}[]"))
    return sa.cast(bound, TEXT_ARRAY)


def row_parameter(name: str, of: Type) -> sa.ColumnElement[Any]:
    """A bound value to be written, of the column's type."""
    bound: sa.ColumnElement[Any] = sa.bindparam(name)
    if of.form in (*_NATIVE, "float") and of.representation is None:
        return sa.cast(bound, PgType(of.name))
    return from_rows(sa.cast(bound, TEXT), of)


def from_rows(value: sa.ColumnElement[Any], of: Type) -> sa.ColumnElement[Any]:
    """An element of :func:`rows_parameter` as a value of the column's type."""
    own = of.representation
    if own is not None and own.from_json is not None:
        return function(own.from_json, sa.cast(value, JSON))
    if of.form in (*_NATIVE, "float") and own is None:
        return value
    return _from_text(value, of)


def output(
    value: sa.ColumnElement[Any], of: Type, *, bigint_as_string: bool = False, nested: bool = False
) -> tuple[sa.ColumnElement[Any], Converter | None]:
    """The expression to select for ``value`` of type ``of``, and how to read what is fetched.

    The server writes everything that travels as a string, so that most rows need no conversion
    in Python at all.

    :param nested: the value will be a member of a JSON object. A json value is text there too, so
        that one which no serializer carries is no part of what is read.
    """
    form, inner = of.form, of.element
    if of.representation is not None and of.representation.to_json is not None:
        value, form, inner = function(of.representation.to_json, value), "json", None
    if form == "integer" and of.name == "bigint" and bigint_as_string:
        return sa.cast(value, TEXT), None
    if nested and (plain := _nested(value, of)) is not None:
        return plain
    if form in _NATIVE:
        return value, None
    if form == "float" and of.name == "real":
        # In binary 0.1 would arrive as 0.10000000149011612.
        return sa.cast(value, TEXT), float_from_text
    if form == "float":
        return value, finite
    if form == "json":
        return sa.cast(value, TEXT), loads
    if form == "array" and inner is not None and inner.representation is None:
        plain_integers = inner.form == "integer" and not bigint_as_string and inner.name != "oid"
        if inner.form == "json":
            return _as_json(sa.cast(value, TEXT_ARRAY), array_of_json, nested)
        if inner.form in ("boolean", "text") or plain_integers:
            return _as_json(value, array_from_json, nested)
        if _is_cast_as_written(inner) and text_converter(inner) is None:
            return _as_json(sa.cast(value, TEXT_ARRAY), array_from_json, nested)
    return as_written(value, of), text_converter(of, bigint_as_string=bigint_as_string)


def _as_json(
    value: sa.ColumnElement[Any], read: Converter, nested: bool
) -> tuple[sa.ColumnElement[Any], Converter | None]:
    """An array as JSON text, whose parts are counted before they are made."""
    # Documents are texts in JSON, and their parts are counted for each value, wherever it stands.
    if nested and read is not array_of_json:
        return value, None
    return sa.cast(builtin("to_json", value), TEXT), read


def as_written(value: sa.ColumnElement[Any], of: Type) -> sa.ColumnElement[Any]:
    """``value`` as its type's output function writes it, which a cast to text may not do."""
    if of.output is None or _is_cast_as_written(of):
        return sa.cast(value, TEXT)
    if of.form == "enum":
        # It may be of a domain, which the output function of enums does not take.
        value = sa.cast(value, PgType(of.name, checks=False))
    if of.follows_path:
        return in_own_path(of.output, value)
    written = function(of.output, value)
    # Who makes a type with functions of its own is a superuser.
    written.runs_code = False
    return builtin("textin", written)


def as_read(text: sa.ColumnElement[Any], of: Type, spelled: str = "") -> sa.ColumnElement[Any]:
    """The value that its type's input function reads from ``text``, which a cast may not do.

    :param spelled: the type as SQL spells it, where it has a modifier.
    """
    if of.name == "regclass":
        # Its cast takes no number, and no dash.
        return builtin("regclassin", builtin("textout", text))
    kind = PgType(spelled or of.name)
    # Casts of text to PostgreSQL's own types, and to arrays, are its own.
    if not kind.runs_code or of.form == "array" or of.delimiter != ",":
        return sa.cast(text, kind)
    # The input function of an array asks that of its elements, and no cast of users.
    written = builtin("textin", builtin("array_out", postgresql.array([text])))
    array = Grouping(sa.cast(written, PgType(f"{kind.name}[]")))
    return sa.type_coerce(array, postgresql.ARRAY(sa.Text))[sa.literal_column("1")]


def _is_cast_as_written(of: Type) -> bool:
    """Whether a cast of a plain value to text is what its output function writes."""
    if of.form not in ("numeric", "literal") or of.output is None or of.casts or of.follows_path:
        return False
    return of.output[0] == "pg_catalog" and of.name not in _CAST_DIFFERS


def _nested(
    value: sa.ColumnElement[Any], of: Type
) -> tuple[sa.ColumnElement[Any], Converter | None] | None:
    """Types that JSON cannot carry as the driver does."""
    if of.form == "bytea":
        return sa.cast(value, TEXT), bytes_from_hex
    if of.form == "float":
        # JSON has 1 for 1.0.
        return sa.cast(value, TEXT), float_from_text
    if of.form == "integer" and of.name == "oid":
        return sa.cast(value, PgType("bigint")), None
    return None


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
        selected.append(value.label(quoted(column.name)))
        if convert is not None:
            conversions.append((column.name, convert))
    return selected, tuple(conversions)
