"""``order``: ``name``, ``name.desc``, ``data->a.asc.nullslast``, ``client(name).desc``."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from pgwamp.catalog.relationship import Relationship
from pgwamp.errors import InvalidArgument, Mentions, excerpt
from pgwamp.query.columns import Item
from pgwamp.query.conditions import Names, related_rows
from pgwamp.query.fields import Field, mention_field, parse_field
from pgwamp.query.limits import Values, check_name
from pgwamp.query.request import string_list
from pgwamp.query.scope import Scope
from pgwamp.query.source import Source
from pgwamp.query.unknown import mention_related, mention_way, unknown_column

#: A cast, as in name::varchar(3), is none.
_RELATED = re.compile(r"(?P<key>(?:(?!::)[^()])+)\((?P<field>.+)\)", re.DOTALL)
_DIRECTIONS = ("asc", "desc")
_NULLS = ("nullsfirst", "nullslast")


@dataclass(frozen=True, slots=True)
class OrderTerm:
    """One term of ``order``; an absent part is PostgreSQL's default.

    :ivar field: what to order by: a field of the row or of the related row.
    :ivar label: or the name of an aggregate in the answer.
    """

    field: Field | None
    descending: bool = False
    nulls: str = ""
    relationship: Relationship | None = None
    label: str = ""

    @property
    def nulls_last(self) -> bool:
        """Whether nulls come after all values."""
        return self.nulls == "nullslast" if self.nulls else not self.descending


def parse_order(
    scope: Scope, given: Any, path: str, values: Values, items: tuple[Item, ...] = ()
) -> tuple[OrderTerm, ...]:
    """A list of terms. Raises :class:`InvalidArgument` naming the place.

    :param items: the values of the answer, which may be ordered by as well.
    """
    if given is None:
        return ()
    answered = {item.label: item for item in items}
    names = string_list(given, path, values.limits.max_columns)
    values.ask_for("columns", len(names), path)
    terms = tuple(
        OrderTerm(parse_field(scope, text, path, values))
        if text in scope.relation.by_name or (text in scope.columns and text not in answered)
        else _parse(scope, text, f"{path}[{index}]", values, answered)
        for index, text in enumerate(names)
    )
    for index, term in enumerate(terms):
        _require_order(scope, term, f"{path}[{index}]")
    return terms


def _require_order(scope: Scope, term: OrderTerm, path: str) -> None:
    field = term.field
    if field is None or field.type.ordered:
        return
    error = InvalidArgument(
        path, f"values of type {field.type.describe()} have no order; order by a part or a cast"
    )
    mention_term(error.mentions, scope, term)
    raise error


def mention_term(mentions: Mentions, scope: Scope, term: OrderTerm) -> None:
    """Add what a term orders by."""
    if term.field is None:
        return
    target = scope if term.relationship is None else scope.target(term.relationship)
    mention_field(mentions, target, term.field)
    if term.relationship is not None:
        mention_related(mentions, term.relationship)


def _parse(
    scope: Scope, text: str, path: str, values: Values, answered: Mapping[str, Item]
) -> OrderTerm:
    check_name(values.limits, text, path)
    # A column's name may hold dots, and so may a key of json: take away what is understood.
    name, descending, nulls = text, False, ""
    head, dot, suffix = name.rpartition(".")
    if dot and suffix in _NULLS:
        name, nulls = head, suffix
        head, dot, suffix = name.rpartition(".")
    if dot and suffix in _DIRECTIONS and name not in scope.columns:
        name, descending = head, suffix == "desc"
    # A function of that name comes last: its owner could order by code of its own.
    if name not in scope.relation.by_name and (item := answered.get(name)) is not None:
        if item.aggregate:
            return OrderTerm(None, descending, nulls, label=name)
        return OrderTerm(item.field, descending, nulls)
    related = _RELATED.fullmatch(name)
    if related is not None and name not in scope.columns:
        _, relationship = scope.relationship(related["key"], path)
        values.ask_for("includes", 1, path)
        target = scope.target(relationship)
        if not relationship.to_one:
            error = InvalidArgument(
                path, f"{excerpt(related['key'])} has many rows; order by a relation with one row"
            )
            mention_way(error.mentions, relationship)
            raise error
        try:
            field = parse_field(target, related["field"], path, values)
        except InvalidArgument as error:
            mention_related(error.mentions, relationship)
            raise
        return OrderTerm(field, descending, nulls, relationship)
    try:
        return OrderTerm(parse_field(scope, name, path, values), descending, nulls)
    except InvalidArgument as problem:
        if "->" in name or "::" in name:
            raise
        head, dot, suffix = name.rpartition(".")
        if dot and head in scope.relation.by_name:
            raise InvalidArgument(
                path,
                f'no direction "{excerpt(suffix)}"; write it as {excerpt(head)}.desc, '
                f"{excerpt(head)}.asc or {excerpt(head)}.desc.nullslast",
            ).about(scope.relation.key, head) from None
        raise unknown_column(
            scope.relation,
            name,
            path,
            computed=scope.computed,
            further=[label for label in answered if label not in scope.columns],
            note=" (written as name, name.desc or name.asc.nullslast)",
            in_list=True,
        ) from problem


def term_value(
    term: OrderTerm, field: Field, source: Source, names: Names
) -> sa.ColumnElement[Any]:
    """The expression that a term orders by, when it is no aggregate."""
    if term.relationship is None:
        return source.value(field)
    target, joins = related_rows(term.relationship, source, names)
    query = sa.select(target.value(field)).select_from(target.clause).where(*joins)
    one = query.limit(sa.literal_column("1")).correlate_except(target.clause)
    return one.scalar_subquery()


def ordering(term: OrderTerm, value: sa.ColumnElement[Any]) -> sa.ColumnElement[Any]:
    """One term of ORDER BY."""
    ordered = value.desc() if term.descending else value.asc()
    if term.nulls == "nullsfirst":
        return ordered.nulls_first()
    return ordered.nulls_last() if term.nulls else ordered
