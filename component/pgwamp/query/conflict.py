"""The way an upsert treats rows that are there already."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pgwamp.catalog.model import Relation
from pgwamp.errors import InvalidArgument, excerpt
from pgwamp.query.request import string_list
from pgwamp.query.unknown import Known, UnknownName
from pgwamp.settings import LimitSettings

#: Unique constraints that an error lists.
_MOST_TOLD = 20


@dataclass(frozen=True, slots=True)
class Conflict:
    """The treatment of a row that is in the way.

    :ivar columns: of the unique key that says which row is in the way.
    :ivar merge: it is updated; otherwise it stays as it is.
    :ivar update: the columns that are set then.
    """

    columns: tuple[str, ...]
    merge: bool
    update: tuple[str, ...]

    def resolved(self, insert: Any, columns: Sequence[str]) -> Any:
        """An INSERT of these columns, with ON CONFLICT."""
        if not self.merge:
            return insert.on_conflict_do_nothing(index_elements=list(self.columns))
        # Where there is nothing to set, the row is updated to itself, so that it is returned.
        given = frozenset(columns)
        update = [name for name in self.update if name in given] or self.columns
        return insert.on_conflict_do_update(
            index_elements=list(self.columns),
            set_={name: insert.excluded[name] for name in update},
        )


def conflict_key(
    relation: Relation, given: Any, limits: LimitSettings, *, keyless: bool = False
) -> tuple[str, ...]:
    """Return the columns of the unique key that ``conflict`` names, or of the primary key.

    :param keyless: rows may lack a key that has a default.
    :raises InvalidArgument: there is no such key, or rows have to give it and cannot.
    """
    columns = _key(relation, given, limits)
    computed = [name for name in columns if relation.by_name[name].generated]
    if computed and not keyless:
        raise UnknownName(
            "conflict",
            f'rows cannot give "{computed[0]}", which the server computes: ',
            [
                Known(", ".join(unique), columns=unique)
                for unique in relation.unique
                if not any(relation.by_name[name].generated for name in unique)
            ],
            lambda known: (
                f"name another unique key ({'; '.join(known[:_MOST_TOLD])}), or use update"
                if known
                else "use update for rows that are there, and insert for new ones"
            ),
        ).about(relation.key, computed[0])
    return columns


def parse_conflict(
    relation: Relation,
    columns: tuple[str, ...],
    request: Mapping[str, Any],
    groups: Sequence[tuple[str, ...]],
    limits: LimitSettings,
    *,
    keyless: bool = False,
) -> Conflict:
    """``resolution`` and ``update`` of a request whose ``conflict`` is these columns.

    :param groups: the sets of columns that rows give.
    :param keyless: rows may lack a key that has a default: nothing is in the way of these.
    :raises InvalidArgument: naming the argument.
    """
    resolution = "merge" if request.get("resolution") is None else request["resolution"]
    if resolution not in ("merge", "ignore"):
        raise InvalidArgument("resolution", 'expected "merge" or "ignore"')
    for name in columns:
        column = relation.by_name[name]
        may_lack = keyless and (column.has_default or column.generated)
        if not may_lack and not all(name in group for group in groups):
            problem = f'every row needs the conflict column "{name}"'
            raise InvalidArgument("rows", problem).about(relation.key, name)
    given = dict.fromkeys(name for group in groups for name in group)
    update = request.get("update")
    if update is None:
        names = tuple(name for name in given if name not in columns)
        return Conflict(columns, resolution == "merge", names)
    names = tuple(dict.fromkeys(string_list(update, "update", limits.max_columns)))
    if not names:
        raise InvalidArgument("update", 'name at least one column, or say resolution="ignore"')
    for name in names:
        if name not in given:
            raise InvalidArgument("update", f'the rows give no column "{excerpt(name)}"')
    return Conflict(columns, resolution == "merge", names)


def _key(relation: Relation, given: Any, limits: LimitSettings) -> tuple[str, ...]:
    """The columns of the unique key that is meant."""
    if given is None:
        if not relation.primary_key:
            raise InvalidArgument("conflict", f"{relation.name} has no primary key: name the "
                                              "columns of a unique constraint")  # fmt: skip
        return relation.primary_key
    names = tuple(dict.fromkeys(string_list(given, "conflict", limits.max_columns)))
    if not any(set(names) == set(unique) for unique in relation.unique):
        raise UnknownName(
            "conflict",
            f"no unique constraint on {excerpt(', '.join(names))}",
            [Known(", ".join(unique), columns=unique) for unique in relation.unique],
            lambda known: f" (unique are: {'; '.join(known[:_MOST_TOLD]) or 'none'})",
        ).about(relation.key)
    return names
