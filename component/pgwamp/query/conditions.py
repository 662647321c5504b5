"""A parsed ``where`` as an SQL condition; value ``i`` of the call is the parameter ``p{i}``."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

import sqlalchemy as sa

from pgwamp.catalog.model import Relation
from pgwamp.catalog.relationship import Pairs, Relationship
from pgwamp.query.dialect import (
    JSONB,
    TEXT,
    TEXT_ARRAY,
    PgType,
    builtin,
    equal,
    function,
    operate,
    quoted,
)
from pgwamp.query.expressions import is_null, list_parameter, parameter, table_of
from pgwamp.query.operators import (
    SEARCHES,
    Compare,
    Condition,
    Contains,
    Is,
    Not,
    OneOf,
    Search,
)
from pgwamp.query.source import Source, unused
from pgwamp.query.where import Junction, Related
from pgwamp.values import Type

_COMPARISONS = {"eq": "=", "neq": "<>", "gt": ">", "gte": ">=", "lt": "<", "lte": "<="}
_PATTERNS = {"like": "~~", "ilike": "~~*", "match": "~", "imatch": "~*"}
_SETS = {
    "contains": "@>", "contained_by": "<@", "overlaps": "&&", "left_of": "<<", "right_of": ">>",
    "not_left_of": "&>", "not_right_of": "&<", "adjacent": "-|-",
}  # fmt: skip
_KEYS = {"": "?", "any": "?|", "all": "?&"}


class Names:
    """Aliases, each of them once in a statement."""

    def __init__(self) -> None:
        self._count = 0

    def alias(self, relation: Relation) -> sa.FromClause:
        """``relation`` under a name of its own."""
        return table_of(relation).alias(self.unused("t", relation.by_name))

    def unused(self, stem: str, taken: Any = ()) -> str:
        """A new name that is none of ``taken``."""
        self._count += 1
        return unused(f"{stem}{self._count}", taken)


def condition(where: Condition, source: Source, names: Names) -> sa.ColumnElement[bool]:
    """The condition on a row of ``source``."""
    match where:
        case Junction(kind, conditions):
            parts = [condition(part, source, names) for part in conditions]
            return sa.and_(sa.true(), *parts) if kind == "and" else sa.or_(sa.false(), *parts)
        case Not(inner):
            return sa.not_(condition(inner, source, names))
        case Is(field, what):
            return _is(source.value(field), what)
        case OneOf(found, field):
            return sa.or_(condition(found, source, names), is_null(source.value(field)))
        case Compare():
            return _compare(where, source.value(where.field), where.field.type)
        case Search():
            return _search(where, source.value(where.field), where.field.type)
        case Contains():
            return _contains(where, source.value(where.field), where.field.type)
        case Related(relationship, inner):
            return related_exists(relationship, source, names, inner)
    raise AssertionError(where)


def _is(value: sa.ColumnElement[Any], what: str) -> sa.ColumnElement[bool]:
    if what == "null":
        return is_null(value)
    if what == "unknown":
        return value.op("IS", is_comparison=True)(sa.text("UNKNOWN"))
    return value.is_(sa.true() if what == "true" else sa.false())


def _compare(compare: Compare, value: sa.ColumnElement[Any], of: Type) -> sa.ColumnElement[bool]:
    names = [f"p{position}" for position in compare.values]
    if compare.operator in _PATTERNS:
        return _pattern(compare, value, of, names[0])
    if of.form == "json":  # json has no equality, jsonb has
        value = sa.cast(value, JSONB)
    if compare.operator == "in":
        return operate(value, of, "=", sa.any_(list_parameter(names[0], of)))
    if compare.operator == "between":
        lower, upper = (_comparable(name, of) for name in names)
        return sa.and_(operate(value, of, ">=", lower), operate(value, of, "<=", upper))
    if compare.quantifier:
        quantify = sa.any_ if compare.quantifier == "any" else sa.all_
        every: Any = quantify(list_parameter(names[0], of))
        return operate(value, of, _COMPARISONS[compare.operator], every)
    bound = _comparable(names[0], of)
    if compare.operator == "isdistinct":
        # The bound value is never null.
        return operate(value, of, "=", bound).is_not(sa.true())
    return operate(value, of, _COMPARISONS[compare.operator], bound)


def _comparable(name: str, of: Type) -> sa.ColumnElement[Any]:
    """A bound value to compare with: json has no equality, jsonb has."""
    return parameter(name, replace(of, name="jsonb") if of.form == "json" else of)


def _pattern(
    compare: Compare, value: sa.ColumnElement[Any], of: Type, name: str
) -> sa.ColumnElement[bool]:
    operator = _PATTERNS[compare.operator]
    if of.form != "text" and (operator, "text") not in of.operators:
        value = sa.cast(value, TEXT)
    if compare.quantifier:
        quantify = sa.any_ if compare.quantifier == "any" else sa.all_
        pattern: Any = quantify(sa.cast(sa.bindparam(name), TEXT_ARRAY))
    else:
        pattern = sa.cast(sa.bindparam(name), TEXT)
    return operate(value, of, operator, pattern, "text")


def _search(search: Search, value: sa.ColumnElement[Any], of: Type) -> sa.ColumnElement[bool]:
    query, *config = (sa.cast(sa.bindparam(f"p{p}"), TEXT) for p in search.values)
    config = [sa.cast(c, PgType("regconfig")) for c in config]
    if of.form == "json":
        value = sa.cast(value, JSONB)
    if of.name != "tsvector":
        value = builtin("to_tsvector", *config, value)
    return value.bool_op("@@")(builtin(SEARCHES[search.operator], *config, query))


def _contains(node: Contains, value: sa.ColumnElement[Any], of: Type) -> sa.ColumnElement[bool]:
    name = f"p{node.value}"
    if of.form == "json":
        value = sa.cast(value, JSONB)
    if node.operator == "has_key":
        keys = TEXT_ARRAY if node.quantifier else TEXT
        bound = sa.cast(sa.bindparam(name), keys)
        return operate(value, of, _KEYS[node.quantifier], bound, keys.name)
    kind = of.element if node.element and of.element is not None else of
    return operate(value, of, _SETS[node.operator], _comparable(name, kind), kind.name)


def _joined(
    left: sa.FromClause, of: Relation, pairs: Pairs, right: sa.FromClause, right_of: Relation
) -> Iterator[sa.ColumnElement[bool]]:
    """The equalities of a join; ``pairs`` name a column of each side."""
    for ours, theirs in pairs:
        yield equal(right.c[theirs], right_of.types[theirs], left.c[ours], of.types[ours])


def related_rows(
    relationship: Relationship, source: Source, names: Names
) -> tuple[Source, list[sa.ColumnElement[bool]]]:
    """The rows at the other end, and what joins them to a row of ``source``."""
    scope = source.scope.target(relationship)
    relation = relationship.target
    if relationship.routine is not None:
        routine = relationship.routine
        call = function((routine.schema, routine.name), source.row())
        rows = call.table_valued(
            *(sa.column(quoted(c.name)) for c in relation.complete.columns),
            name=names.unused("t", relation.by_name),
        )
        found = Source(scope, rows)
        # A function that answers one row answers NULL as a row of nulls.
        return found, [] if routine.returns_set else [sa.not_(is_null(found.row()))]
    clause = names.alias(relation)
    junction = relationship.junction
    ours = source.scope.relation
    if junction is None:
        joins = _joined(source.clause, ours, relationship.pairs, clause, relation)
        return Source(scope, clause), list(joins)
    between, middle = junction.relation, names.alias(junction.relation)
    link = [
        *_joined(source.clause, ours, junction.source_pairs, middle, between),
        *_joined(clause, relation, junction.target_pairs, middle, between),
    ]
    one: sa.Select[Any] = sa.select(sa.literal_column("1")).select_from(middle).where(*link)
    return Source(scope, clause), [sa.exists(one.correlate_except(middle))]


def related_exists(
    relationship: Relationship, source: Source, names: Names, where: Condition | None
) -> sa.ColumnElement[bool]:
    """Whether there is a related row that meets ``where``."""
    target, joins = related_rows(relationship, source, names)
    if where is not None:
        joins.append(condition(where, target, names))
    return exists(target, joins)


def exists(source: Source, conditions: Sequence[sa.ColumnElement[bool]]) -> sa.Exists:
    """Whether ``source`` has a row that meets all ``conditions``, which may name outer rows."""
    one: sa.Select[Any] = sa.select(sa.literal_column("1")).select_from(source.clause)
    return sa.exists(one.where(*conditions).correlate_except(source.clause))
