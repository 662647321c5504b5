"""The relations whose rows decide which rows a request matches."""

from __future__ import annotations

from collections.abc import Iterator

from pgwamp.catalog.model import Relation
from pgwamp.catalog.relationship import Relationship
from pgwamp.query.operators import Condition, Not
from pgwamp.query.selection import Selection
from pgwamp.query.where import Junction, Related


def hides_rows(relation: Relation, matching: Selection) -> bool:
    """Whether row level security may hide rows of what a request counts, or of what it asks."""
    return relation.hides_rows or any(map(_leads_to_hidden, _of_selection(matching)))


def _of_selection(selection: Selection) -> Iterator[Relationship]:
    yield from _of_condition(selection.where)
    for embed in selection.embeds:
        if embed.inner:
            yield embed.relationship
            yield from _of_selection(embed.selection)


def _of_condition(where: Condition | None) -> Iterator[Relationship]:
    match where:
        case Junction(_, conditions):
            for part in conditions:
                yield from _of_condition(part)
        case Not(inner):
            yield from _of_condition(inner)
        case Related(relationship, inner):
            yield relationship
            yield from _of_condition(inner)


def _leads_to_hidden(way: Relationship) -> bool:
    # Nobody knows what a function reads.
    between = way.junction is not None and way.junction.relation.hides_rows
    return way.routine is not None or way.target.hides_rows or between
