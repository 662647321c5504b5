"""Keyset pages: ``after`` the last row of the page before, not after so many rows.

A cursor holds the values that the last row was ordered by. The next page begins behind them, by an
index if there is one, and whatever was inserted or deleted meanwhile.
"""

from __future__ import annotations

import base64
import json
import zlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import orjson
import sqlalchemy as sa
from sqlalchemy.dialects import postgresql

from pgwamp.errors import InvalidArgument
from pgwamp.query.dialect import TEXT, operate, without_domain
from pgwamp.query.expressions import as_read, as_written
from pgwamp.query.fields import Field
from pgwamp.query.order import OrderTerm, mention_term
from pgwamp.query.scope import Scope
from pgwamp.values import Budget, bindable
from pgwamp.values.scalars import check_text, literal

#: Terms of an order; an index has at most as many columns.
_MOST_TERMS = 32
#: Characters of a cursor. PostgreSQL takes at most 2,700 bytes of a row into an index, so that
#: longer values make a slow order anyway.
_LONGEST_CURSOR = 65_536


@dataclass(frozen=True, slots=True)
class Key:
    """Where a page begins: positions of the values of the last row, None where it was null."""

    values: tuple[int | None, ...]


def complete_order(scope: Scope, order: tuple[OrderTerm, ...]) -> tuple[OrderTerm, ...]:
    """``order`` with the columns of a key behind it, so that no two rows are equal.

    :raises InvalidArgument: the relation has no key to tell equal rows apart.
    """
    relation = scope.relation
    if len(order) > _MOST_TERMS:
        raise InvalidArgument(
            "order", f"more than {_MOST_TERMS} terms; with after no index has more"
        )
    plain = {t.field.column for t in order if t.field and t.field.is_column and not t.relationship}
    usable = [key for key in relation.unique if not any(_may_be_null(scope, n) for n in key)]
    if relation.primary_key:
        usable.insert(0, relation.primary_key)
    if any(set(key) <= plain for key in usable):
        return order
    if not usable:
        raise InvalidArgument(
            "after", f"{relation.name} has no primary key, so that its rows have no fixed order; "
            "use limit and offset"
        )  # fmt: skip
    # Of the same direction as what comes before: an index read backwards then serves it too.
    descending = bool(order) and order[-1].descending
    rest = (name for name in usable[0] if name not in plain)
    return (
        *order,
        *(OrderTerm(Field(name, relation.by_name[name].type), descending) for name in rest),
    )


def fingerprint(
    relation: tuple[str, str], order: Iterable[OrderTerm], values: Sequence[Any] = ()
) -> int:
    """A short name of an order of a relation: a cursor is good for what it was made with.

    :param relation: its schema and name.
    :param values: those of the call; keys into json are among them.
    """
    spelled = [relation, *(_spelled(term, values) for term in order)]
    return zlib.crc32(repr(spelled).encode())


def _spelled(term: OrderTerm, values: Sequence[Any]) -> tuple[Any, ...]:
    field, way = term.field, term.relationship
    return (
        field and (field.column, field.cast),
        [(s.name, s.as_text, values[s.position] if s.position >= 0 else "") for s in field.steps]
        if field
        else (),
        term.descending,
        term.nulls,
        way and (way.target.key, way.constraint, way.routine and way.routine.name),
    )


def encode_key(order: int, values: Sequence[str | None]) -> str:
    """The cursor behind a row that has these values, in the order of this fingerprint.

    :raises InvalidArgument: the values are too long for one.
    """
    # Before it is made: it may take six times as much as the values.
    if sum(len(value) for value in values if value is not None) <= _LONGEST_CURSOR:
        text = json.dumps([order, *values], ensure_ascii=False, separators=(",", ":"))
        cursor = base64.urlsafe_b64encode(text.encode()).rstrip(b"=").decode()
        if len(cursor) <= _LONGEST_CURSOR:
            return cursor
    raise InvalidArgument(
        "order", f"its values make a cursor of more than {_LONGEST_CURSOR} characters; "
        "order by shorter ones, or use limit and offset"
    )  # fmt: skip


def decode_key(
    scope: Scope, order: int, terms: Sequence[OrderTerm], cursor: Any, values: list[Any]
) -> Key | None:
    """The place that ``cursor`` means; None or an empty string is before the first row.

    :param order: the fingerprint of the order that the call asks for, which has these ``terms``.
    :raises InvalidArgument: it is no cursor, or one of another order.
    """
    if cursor is None or cursor == "":
        return None
    found = None
    if isinstance(cursor, str) and len(cursor) <= _LONGEST_CURSOR:
        try:
            found = orjson.loads(base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))
        except ValueError:
            found = None
    if not isinstance(found, list) or not found or type(found[0]) is not int:
        raise InvalidArgument("after", "not a cursor; pass on what next held")
    if found[0] != order or len(found) != len(terms) + 1:
        raise InvalidArgument(
            "after", "comes from another relation or order; start again with null"
        )
    positions: list[int | None] = []
    for term, value in zip(terms, found[1:], strict=True):
        if value is None:
            positions.append(None)
            continue
        if not isinstance(value, str):
            raise InvalidArgument("after", "not a cursor; pass on what next held")
        try:
            _check_value(term, value)
        except InvalidArgument as error:
            mention_term(error.mentions, scope, term)
            raise
        values.append(value)
        positions.append(len(values) - 1)
    return Key(tuple(positions))


def _check_value(term: OrderTerm, value: str) -> None:
    """Refuse a long value that PostgreSQL cannot read and would write into its log.

    :raises InvalidArgument: it is no value of the type of ``term``: callers can make cursors.
    """
    assert term.field is not None
    of = term.field.type
    if of.form in ("text", "json", "bytea"):
        check_text(value, "after")
    elif of.form in ("numeric", "enum"):
        bindable(of, value, "after", Budget())
    else:
        literal(of, value, "after")


def key_values(
    order: Sequence[OrderTerm], values: Sequence[sa.ColumnElement[Any]]
) -> sa.ColumnElement[Any]:
    """The values that a row is ordered by, as one array of text."""
    kinds = [term.field.type for term in order if term.field is not None]
    return postgresql.array(
        [as_written(value, of) for value, of in zip(values, kinds, strict=True)]
    )


def behind(
    scope: Scope,
    order: tuple[OrderTerm, ...],
    values: Sequence[sa.ColumnElement[Any]],
    key: Key,
) -> sa.ColumnElement[bool]:
    """Whether a row comes after the key's row; ``values`` are what it is ordered by."""
    terms = [
        _Term(term, value, _bound(term, position), _nullable(scope, term))
        for term, value, position in zip(order, values, key.values, strict=True)
    ]
    alike = len({term.descending for term in terms}) == 1
    if alike and all(t.simple and not t.of.operators for t in terms):
        # One comparison of rows is what an index serves best.
        row = sa.tuple_(*(without_domain(t.value, t.of) for t in terms))
        last = sa.tuple_(*(t.bound for t in terms))
        compared: sa.ColumnElement[bool] = row.bool_op("<" if terms[0].descending else ">")(last)
        return compared
    found: sa.ColumnElement[bool] = sa.false()
    for term in reversed(terms):
        found = sa.or_(term.beyond(), sa.and_(term.same(), found))
    first = terms[0]
    if not first.simple:
        return found
    # Implied by the rest, but an index can begin here.
    edge = first.compared("<=" if first.descending else ">=")
    return sa.and_(edge, found)


class _Term:
    """One term of the order, at the key's value."""

    def __init__(self, term: OrderTerm, value: sa.ColumnElement[Any], bound: Any, nullable: bool):
        assert term.field is not None
        self.value, self.bound, self.of = value, bound, term.field.type
        self.descending = term.descending
        self._nulls_last = term.nulls_last
        self._nullable = nullable

    @property
    def simple(self) -> bool:
        """Whether what comes behind is what compares as greater (or less), and no nulls."""
        return self.bound is not None and not (self._nullable and self._nulls_last)

    def compared(self, operator: str) -> sa.ColumnElement[bool]:
        """The value compared with the key's."""
        return operate(self.value, self.of, operator, self.bound)

    def beyond(self) -> sa.ColumnElement[bool]:
        """The value alone says that a row comes behind."""
        if self.bound is None:
            return sa.false() if self._nulls_last else self.value.is_distinct_from(sa.null())
        further = self.compared("<" if self.descending else ">")
        if self._nullable and self._nulls_last:
            return sa.or_(further, self.value.is_not_distinct_from(sa.null()))
        return further

    def same(self) -> sa.ColumnElement[bool]:
        """The value is the key's."""
        if self.bound is None:
            # Not IS NULL: a row of nulls is a value, and ordered as one.
            return self.value.is_not_distinct_from(sa.null())
        return self.compared("=")


def _bound(term: OrderTerm, position: int | None) -> Any:
    """The key's value as a parameter: it travels as text."""
    if position is None:
        return None
    text = sa.cast(sa.bindparam(f"p{position}"), TEXT)
    assert term.field is not None
    return as_read(text, term.field.type, term.field.cast)


def _nullable(scope: Scope, term: OrderTerm) -> bool:
    if term.relationship is not None or term.field is None or not term.field.is_column:
        return True
    return _may_be_null(scope, term.field.column)


def _may_be_null(scope: Scope, name: str) -> bool:
    relation = scope.relation
    return relation.by_name[name].nullable and name not in relation.primary_key
