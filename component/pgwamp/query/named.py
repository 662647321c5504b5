"""The columns of relations and the routines that a request names, once it has been parsed.

PostgreSQL plans a statement before it asks for privileges, and its errors about types and values
can be about columns that the caller may not use.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from pgwamp.errors import Mentions
from pgwamp.query.fields import mention_field
from pgwamp.query.limits import Values
from pgwamp.query.loads import csv_load
from pgwamp.query.operators import Compare, Condition, Contains, Is, Not, OneOf, Search
from pgwamp.query.order import mention_term
from pgwamp.query.scope import Scope
from pgwamp.query.selection import Selection, SelectionParser
from pgwamp.query.unknown import mention_related
from pgwamp.query.where import Junction, Related


def named_by(scope: Scope, request: Mapping[str, Any]) -> Mentions:
    """Return what the arguments of a relation's verb name, but for plain columns of the answer."""
    mentions = Mentions()
    where = request.get("where")
    asked = {
        "where": where if isinstance(where, Mapping) else None,
        "order": request.get("order"),
        "include": request.get("include"),
    }
    # The labels of one are no names in the other.
    argument = "returning" if "returning" in request else "columns"
    columns = request.get(argument)
    asked[argument] = None if isinstance(columns, bool) else columns
    selection = SelectionParser(scope, Values(scope.limits)).parse(asked, argument)
    mention_selection(mentions, scope, selection)
    relation, names = scope.relation, set(_written(scope, request))
    if "key" in request or "after" in request:
        names.update(relation.primary_key)
    mentions.relations.append((relation.key, tuple(names & relation.by_name.keys())))
    return mentions


def mention_selection(mentions: Mentions, scope: Scope, selection: Selection) -> None:
    """Add what a selection names, but for plain columns of the answer: no error is about these."""
    for item in selection.items:
        if item.field is not None and (item.aggregate or not item.field.is_column):
            mention_field(mentions, scope, item.field)
    for term in selection.order:
        mention_term(mentions, scope, term)
    if selection.where is not None:
        _mention_condition(mentions, scope, selection.where)
    for embed in selection.embeds:
        mention_related(mentions, embed.relationship)
        mention_selection(mentions, scope.target(embed.relationship), embed.selection)


def _mention_condition(mentions: Mentions, scope: Scope, where: Condition) -> None:
    match where:
        case Junction(_, conditions):
            for part in conditions:
                _mention_condition(mentions, scope, part)
        case Not(inner):
            _mention_condition(mentions, scope, inner)
        case Related(relationship, inner):
            mention_related(mentions, relationship)
            _mention_condition(mentions, scope.target(relationship), inner)
        case Compare() | Contains() | Is() | OneOf() | Search():
            mention_field(mentions, scope, where.field)
        case _:
            raise AssertionError(where)


def _written(scope: Scope, request: Mapping[str, Any]) -> Iterator[Any]:
    """The names of the columns of rows to write, and of the key that an upsert goes by."""
    for argument in ("rows", "values"):
        given = request.get(argument)
        for row in [given] if isinstance(given, Mapping) else given or ():
            yield from row
    if request.get("csv") is not None:
        yield from csv_load(scope.relation, {"csv": request["csv"]}, scope.limits).columns
    key = request.get("conflict")
    yield from [key] if isinstance(key, str) else key or ()
