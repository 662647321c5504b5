"""Errors about a name that is not there: they tell the names that are, to those who may see them.

A parser does not know the caller. So it raises an error that carries the names, and tells none of
them until :mod:`pgwamp.procedures.disclosure` has asked the database which the caller may see.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from pgwamp.catalog.model import Relation, Routine
from pgwamp.catalog.relationship import Relationship
from pgwamp.errors import InvalidArgument, Mentions, excerpt
from pgwamp.query.request import suggest

#: What may be told, to the end of an error.
Tell = Callable[[Sequence[str]], str]


@dataclass(frozen=True, slots=True)
class Known:
    """A name, and what a caller must be allowed in order to see it.

    :ivar columns: any privilege on these columns of the relation that the error is about.
    :ivar further: SELECT on some of each of these relations, by schema and name, and any privilege
        on these columns of it.
    :ivar routine: EXECUTE on this routine, as :func:`identity` names it.
    """

    name: str
    columns: tuple[str, ...] = ()
    further: tuple[tuple[tuple[str, str], tuple[str, ...]], ...] = ()
    routine: str | None = None


class UnknownName(InvalidArgument):
    """A name means nothing, or more than one thing.

    :ivar known: the names that it could have been.
    """

    def __init__(self, argument: str, problem: str, known: Iterable[Known], tell: Tell):
        super().__init__(argument, problem)
        self.known = tuple(known)
        self._problem, self._tell = problem, tell

    def telling(self, may_see: Callable[[Known], bool]) -> InvalidArgument:
        """Return the error with those names that the caller may see."""
        told = self._tell([known.name for known in self.known if may_see(known)])
        return InvalidArgument(str(self.details["argument"]), f"{self._problem}{told}")


def _as_list(name: object, columns: Sequence[str]) -> str:
    """Return the cure of a text that names several columns, as a shell passes them on."""
    parts = [part.strip() for part in name.split(",")] if isinstance(name, str) else []
    # A text of a million commas is compared with no column.
    if not 1 < len(parts) <= len(columns) or not set(parts).issubset(columns):
        return ""
    return f"; write a list: {json.dumps(parts, ensure_ascii=False)}"


def unknown_column(
    relation: Relation,
    name: object,
    path: str,
    *,
    computed: Mapping[str, Routine] = {},
    further: Iterable[str] = (),
    note: str = "",
    in_list: bool = False,
) -> UnknownName:
    """Return the error about a column that is not there.

    :param computed: functions that serve as columns.
    :param further: words that could stand in its place.
    :param note: the end of the message.
    :param in_list: it is one of a list, which may have been written as a text with commas.
    """
    known = [Known(column.name, columns=(column.name,)) for column in relation.columns]
    known += [Known(word, routine=identity(routine)) for word, routine in computed.items()]
    known += [Known(word) for word in further]
    error = UnknownName(
        path,
        f'no column "{excerpt(name)}" in {relation.name}',
        known,
        lambda names: ((in_list and _as_list(name, names)) or suggest(name, names)) + note,
    )
    return error.about(relation.key)


def mention_related(mentions: Mentions, way: Relationship) -> None:
    """Add the rows at the end of a relationship."""
    mentions.relations.append((way.target.key, ()))
    if way.routine is not None:
        mention_rows(mentions, way.routine, way.target.key)


def mention_way(mentions: Mentions, way: Relationship) -> None:
    """Add the columns that a relationship goes by, and the rows at its end."""
    mention_related(mentions, way)
    mentions.relations += way.columns


def mention_rows(mentions: Mentions, routine: Routine, rows: tuple[str, str]) -> None:
    """Add a routine that answers rows of a relation."""
    mentions.routines[identity(routine)] = routine.name
    mentions.answered[identity(routine)] = rows


def identity(routine: Routine) -> str:
    """Return what tells a routine from others of its name: the types of its arguments."""
    types = ",".join(str(argument.type.oid) for argument in routine.inputs)
    return f"{routine.schema}.{routine.name}({types})"
