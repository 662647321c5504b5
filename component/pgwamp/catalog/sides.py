"""Which relations show some columns of a table: the table itself, and views."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from enum import IntEnum
from itertools import chain, zip_longest
from typing import NamedTuple

from pgwamp.catalog.model import Catalog, Relation

#: Views of a table that take its keys.
MOST_VIEWS = 30


class Level(IntEnum):
    """How near a relation is to a table."""

    TABLE = 0
    #: A view of an owner who could replace the table.
    OWN_VIEW = 1
    OTHER_VIEW = 2


class Side(NamedTuple):
    """A relation that shows some columns of a table, and its names for them."""

    relation: Relation
    columns: tuple[str, ...]
    level: Level


#: A view, and its names for the columns of a table.
_Shown = tuple[Relation, dict[str, str]]


class Sides:
    """The sides of all tables, the nearest first."""

    def __init__(self, catalog: Catalog) -> None:
        self._catalog = catalog
        self._tables: dict[int, Relation] = {}
        #: The views of a table by their owner; None stands for all who could replace the table.
        self._views: dict[int, dict[int | None, list[_Shown]]] = defaultdict(dict)
        self._reachable: set[int] = set()
        self._known: dict[tuple[int, tuple[str, ...]], list[Side]] = {}
        self._ordered: dict[int, Sequence[tuple[Level, _Shown]]] = {}

    def add(self, relation: Relation, *, reachable: bool) -> None:
        """Take in a relation, the oldest first, before anything is asked for."""
        self._tables[relation.oid] = relation
        owner = self._catalog.owner(relation.oid)
        shown: dict[int, dict[str, str]] = defaultdict(dict)
        for origin in relation.origins:
            shown[origin.table].setdefault(origin.table_column, origin.column)
        for table, columns in shown.items():
            own = self._catalog.may_replace(owner, table)
            views = self._views[table].setdefault(None if own else owner, [])
            if len(views) < MOST_VIEWS:
                views.append((relation, columns))
        if reachable:
            self._reachable.update((relation.oid, *shown))

    def reachable(self, table: int) -> bool:
        """Whether a relation that may be read shows the table."""
        return table in self._reachable

    def of(self, table: int, columns: tuple[str, ...]) -> list[Side]:
        """Each relation that exposes all ``columns``; the table itself is the first."""
        if (table, columns) not in self._known:
            self._known[table, columns] = list(self.showing(table, columns))
        return self._known[table, columns]

    def showing(self, table: int, columns: tuple[str, ...]) -> Iterator[Side]:
        """As :meth:`of`, and remember nothing: for columns that are asked for once."""
        if table in self._tables and self._tables[table].by_name.keys() >= set(columns):
            yield Side(self._tables[table], columns, Level.TABLE)
        for level, (view, shown) in self._views_of(table):
            names = tuple(shown[column] for column in columns if column in shown)
            if len(names) == len(columns) and view.by_name.keys() >= set(names):
                yield Side(view, names, level)

    def _views_of(self, table: int) -> Sequence[tuple[Level, _Shown]]:
        """Views of those who could replace the table, and one of each other owner in turn."""
        if table not in self._ordered:
            by_owner = self._views.get(table, {})
            own = by_owner.get(None, ())
            turns = zip_longest(*(views for owner, views in by_owner.items() if owner is not None))
            others = (view for view in chain.from_iterable(turns) if view is not None)
            views = [(Level.OWN_VIEW, view) for view in own]
            views += [(Level.OTHER_VIEW, view) for view in others]
            self._ordered[table] = views[:MOST_VIEWS]
        return self._ordered[table]
