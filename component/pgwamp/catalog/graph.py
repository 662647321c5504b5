"""How relations hang together: relationships over foreign keys and functions, computed columns.

The kinds are PostgREST's: many-to-one, one-to-many, one-to-one, many-to-many through a junction,
and computed ones, which a function from row to rows makes. Views take part with the keys of the
tables that they show. A relation takes part with the columns that are exposed: a relationship over
another one would answer its values, and filter by them.
"""

from __future__ import annotations

import asyncio
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import NamedTuple

from pgwamp import logs
from pgwamp.catalog.model import Catalog, ForeignKey, Relation, Routine

log = logs.get(__name__)
#: Bounds of what one table, or others who create views and keys, can make of a graph: relationships
#: of a relation, views of a table that take its keys, foreign keys of a junction, and unique keys
#: of it that are looked at.
MOST_RELATIONSHIPS, MOST_VIEWS, MOST_JUNCTION_KEYS, MOST_UNIQUE_KEYS = 4000, 30, 30, 50
#: Relationships of all relations, and pairs of keys of all junctions: to collect garbage among a
#: hundred thousand of them takes a quarter of a second.
MOST_IN_ALL = 100_000
#: Relations that a line of the log names.
_MOST_NAMED = 10
#: Names that cannot be an alias, a path, a cast, an aggregate or a direction in a request.
_PLAIN_NAME = re.compile(r"\w+")
#: Column of one side, column of the other.
Pairs = tuple[tuple[str, str], ...]


@dataclass(frozen=True, eq=False, slots=True)
class Junction:
    """The relation in the middle of a many-to-many relationship.

    :ivar source_pairs: column of the source, column of the junction.
    :ivar target_pairs: column of the target, column of the junction.
    :ivar secondary: a view of a table that leads the same way before it: only a hint means it.
    """

    relation: Relation
    source_pairs: Pairs
    target_pairs: Pairs
    target_constraint: str
    secondary: bool = False


@dataclass(frozen=True, eq=False, slots=True)
class Relationship:
    """A way from a row of one relation to the rows of another.

    :ivar pairs: column of the source, column of the target; empty with junction or routine.
    :ivar forward: the source holds the foreign key.
    :ivar within: the keys lead from a table back to itself, or to a view of it.
    """

    source: Relation
    target: Relation
    to_one: bool
    pairs: Pairs = ()
    constraint: str = ""
    forward: bool = False
    within: bool = False
    junction: Junction | None = None
    routine: Routine | None = None

    @property
    def trusted(self) -> bool:
        """Whether it is of a key, or made by a function that may take the name of one."""
        return self.routine is None or self.routine.trusted

    @property
    def source_columns(self) -> tuple[str, ...] | None:
        """The columns of the source that it goes by; None where a function takes the whole row."""
        if self.routine is not None:
            return None
        pairs = self.pairs if self.junction is None else self.junction.source_pairs
        return tuple(ours for ours, _ in pairs)

    def names(self) -> Iterator[str]:
        """What a request can call it."""
        if self.routine is not None:
            yield self.routine.name
            return
        yield self.target.name
        yield f"{self.target.schema}.{self.target.name}"
        if self.junction is None:
            yield self.constraint
        if len(self.pairs) == 1:
            yield self.key_column

    @property
    def key_column(self) -> str:
        """The first column of the foreign key, on whichever side that is; empty without a key."""
        return self.pairs[0][0 if self.forward else 1] if self.pairs else ""

    @property
    def referenced(self) -> str | None:
        """The one column that the foreign key refers to."""
        return self.pairs[0][1 if self.forward else 0] if len(self.pairs) == 1 else None

    def is_called(self, name: str) -> bool:
        """Whether ``name`` is its target's, not that of a key on the way."""
        return name in (self.target.name, f"{self.target.schema}.{self.target.name}")

    def hints(self) -> Iterator[str]:
        """What tells it from others of the same name."""
        if self.junction is not None:
            yield self.junction.relation.name
            yield self.junction.target_constraint
            if len(pairs := self.junction.target_pairs) == 1:
                yield pairs[0][1]
        elif self.routine is None:
            if len(self.pairs) == 1:
                yield self.key_column
            yield self.constraint
            # A foreign key leads to a table, and to each view that shows the table's key.
            yield self.target.name

    def spellings(self) -> Iterator[str]:
        """Keys of ``include`` that may mean this one, the plainest first."""
        hints = list(self.hints())
        yield from (f"{self.target.name}!{hint}" for hint in hints)
        for name in self.names():
            yield name
            yield from (f"{name}!{hint}" for hint in hints)


class Graph:
    """The relationships and computed columns of a catalog's relations.

    :param reachable: the relations that may be read, as targets and as junctions.
    :param routines: the functions that may be called; all of the catalog when missing.
    """

    def __init__(
        self,
        catalog: Catalog,
        reachable: Iterable[Relation],
        routines: Iterable[Routine] | None = None,
    ):
        self._reachable = {relation.key for relation in reachable}
        self._relationships: dict[tuple[str, str], list[Relationship]] = defaultdict(list)
        self._number = 0
        self._full: set[tuple[str, str]] = set()
        self._computed: dict[tuple[str, str], dict[str, Routine]] = defaultdict(dict)
        self._sides = _Sides()
        for _ in self._fill(catalog, routines):
            pass

    @classmethod
    async def build(
        cls,
        catalog: Catalog,
        reachable: Iterable[Relation],
        routines: Iterable[Routine] | None = None,
    ) -> Graph:
        """Build the same as the constructor; calls go on meanwhile."""
        graph = cls(Catalog(0), reachable)
        for _ in graph._fill(catalog, routines):
            await asyncio.sleep(0)
        return graph

    def relationships(self, relation: Relation) -> Sequence[Relationship]:
        """Where one can go from ``relation``."""
        return self._relationships.get(relation.key, ())

    def computed(self, relation: Relation) -> Mapping[str, Routine]:
        """Functions of a row of ``relation`` that serve as its columns, by name."""
        named = self._computed.get(relation.key, {})
        if all(routine.trusted for routine in named.values()):
            return named
        ways = self._relationships.get(relation.key, ())
        taken = {name for way in ways if way.trusted for name in way.names()}
        return {name: r for name, r in named.items() if r.trusted or name not in taken}

    def _fill(self, catalog: Catalog, routines: Iterable[Routine] | None) -> Iterator[None]:
        """Add all that there is, in steps of little time each."""
        # The oldest come first: whoever may create views does not displace those of others.
        for relation in sorted(catalog.relations, key=lambda relation: relation.oid):
            self._sides.add(relation, reachable=relation.key in self._reachable)
            yield
        links: list[_Link] = []
        views: list[_Link] = []
        for found in self._links(catalog.foreign_keys):
            into = views if found and found[0].secondary else links
            into += found[: MOST_IN_ALL - len(into)]
            yield
        # Those of tables come first: however many views others create, they stay.
        for direct in (True, False):
            for key in catalog.foreign_keys:
                self._add_foreign_key(key, direct)
                yield
            for link in links:
                self._add_junction(link, direct)
                yield
        for link in views:
            self._add_junction(link, None)
            yield
        yield from self._add_routines(catalog, catalog.routines if routines is None else routines)
        if self._full:
            log.warning(
                "some relationships are left out: relations have too many",
                names=[".".join(key) for key in sorted(self._full)[:_MOST_NAMED]],
                number=len(self._full),
                most=MOST_RELATIONSHIPS,
                most_in_all=MOST_IN_ALL,
            )

    def _has_room(self, source: Relation, target: Relation) -> bool:
        """Whether ``source`` takes one more relationship, to ``target``."""
        if target.key not in self._reachable or source.key in self._full:
            return False
        if (
            len(self._relationships[source.key]) >= MOST_RELATIONSHIPS
            or self._number >= MOST_IN_ALL
        ):
            self._full.add(source.key)
            return False
        return True

    def _add(self, relationship: Relationship) -> None:
        self._relationships[relationship.source.key].append(relationship)
        self._number += 1

    def _add_foreign_key(self, key: ForeignKey, direct: bool) -> None:
        """Both ways between the tables of a key, or else between their views."""
        most = 1 if direct else None
        for source, columns in self._sides.of(key.source, key.columns)[:most]:
            one_to_one = any(set(unique) <= set(columns) for unique in source.unique)
            for target, target_columns in self._sides.of(key.target, key.target_columns)[:most]:
                if direct is not ((source.oid, target.oid) == (key.source, key.target)):
                    continue
                pairs = tuple(zip(columns, target_columns, strict=True))
                within = key.source == key.target
                if self._has_room(source, target):
                    self._add(
                        Relationship(
                            source, target, True, pairs, key.name, forward=True, within=within
                        )
                    )
                if self._has_room(target, source):
                    back = tuple((theirs, ours) for ours, theirs in pairs)
                    self._add(
                        Relationship(target, source, one_to_one, back, key.name, within=within)
                    )

    def _links(self, keys: Sequence[ForeignKey]) -> Iterator[list[_Link]]:
        """The pairs of foreign keys of one table, of which a row links each pair of others."""
        by_table: dict[int, list[ForeignKey]] = defaultdict(list)
        for key in keys:
            if self._sides.reachable(key.source):
                by_table[key.source].append(key)
        too_many = 0
        for table, own in by_table.items():
            if len(own) > MOST_JUNCTION_KEYS:
                too_many += 1
                continue
            yield from self._links_of(table, own)
        if too_many:
            log.warning(
                "some tables are no junctions: they have too many foreign keys",
                number=too_many,
                most=MOST_JUNCTION_KEYS,
            )

    def _links_of(self, table: int, keys: Sequence[ForeignKey]) -> Iterator[list[_Link]]:
        uniques: dict[tuple[str, str], list[frozenset[str]]] = {}
        for first, second in combinations(keys, 2):
            secondary = False
            for junction, columns in self._sides.showing(table, (*first.columns, *second.columns)):
                if junction.key not in self._reachable:
                    continue
                if junction.key not in uniques:
                    # The key of a row may have further columns that are not exposed.
                    known = junction.complete.unique[:MOST_UNIQUE_KEYS]
                    uniques[junction.key] = [frozenset(unique) for unique in known]
                near, far = columns[: len(first.columns)], columns[len(first.columns) :]
                if not _is_link(uniques[junction.key], near, far):
                    yield []
                    continue
                yield [
                    _Link(junction, first, second, near, far, secondary),
                    _Link(junction, second, first, far, near, secondary),
                ]
                secondary = True

    def _add_junction(self, link: _Link, direct: bool | None) -> None:
        """From the target of one key to that of the other: tables, or else their views, or all."""
        first, second = link.first, link.second
        most = 1 if direct else None
        for source, source_columns in self._sides.of(first.target, first.target_columns)[:most]:
            if source.key in self._full:
                continue
            for target, columns in self._sides.of(second.target, second.target_columns)[:most]:
                is_direct = (source.oid, target.oid) == (first.target, second.target)
                if direct is (not is_direct):
                    continue
                if self._has_room(source, target):
                    middle = Junction(
                        link.junction,
                        tuple(zip(source_columns, link.near, strict=True)),
                        tuple(zip(columns, link.far, strict=True)),
                        second.name,
                        link.secondary,
                    )
                    self._add(Relationship(source, target, False, junction=middle))

    def _add_routines(self, catalog: Catalog, routines: Iterable[Routine]) -> Iterator[None]:
        """Add functions of a row; those that are not trusted under plain names of their own."""
        others: dict[tuple[int, str], list[tuple[Relation, Routine]]] = defaultdict(list)
        for routine in routines:
            source = _source(catalog, routine)
            if source is not None and routine.trusted:
                self._add_routine(catalog, source, routine)
            elif source is not None and _PLAIN_NAME.fullmatch(routine.name):
                others[source.oid, routine.name].append((source, routine))
            yield
        for found in others.values():
            if len(found) == 1:
                self._add_routine(catalog, *found[0])
            yield

    def _add_routine(self, catalog: Catalog, source: Relation, routine: Routine) -> None:
        if routine.returns is None or routine.returns.name == "void":
            return
        target = catalog.by_row_type.get(routine.returns.oid)
        if target is None:
            if not routine.returns_set and routine.returns.name != "record":
                self._computed[source.key].setdefault(routine.name, routine)
        elif self._has_room(source, target):
            to_one = not routine.returns_set or routine.rows == 1
            self._add(Relationship(source, target, to_one, routine=routine))


def _source(catalog: Catalog, routine: Routine) -> Relation | None:
    """The relation whose row a function takes and nothing else."""
    if routine.kind != "function" or len(routine.inputs) != 1:
        return None
    return catalog.by_row_type.get(routine.inputs[0].type.oid)


def _is_link(uniques: Iterable[frozenset[str]], near: Sequence[str], far: Sequence[str]) -> bool:
    """Whether a key of a junction says that its rows link two others."""
    both = {*near, *far}
    return any(
        not unique.isdisjoint(near)
        and not unique.isdisjoint(far)
        and (unique <= both or unique >= both)
        for unique in uniques
    )


class _Link(NamedTuple):
    """Two foreign keys of a junction; ``near`` and ``far`` are their columns there.

    ``secondary`` is as in :class:`Junction`.
    """

    junction: Relation
    first: ForeignKey
    second: ForeignKey
    near: tuple[str, ...]
    far: tuple[str, ...]
    secondary: bool


#: A relation that shows some columns of a table, and its names for them.
_Side = tuple[Relation, tuple[str, ...]]


class _Sides:
    """Which relations show some columns of a table: the table itself, and views."""

    def __init__(self) -> None:
        self._tables: dict[int, Relation] = {}
        self._views: dict[int, list[tuple[Relation, dict[str, str]]]] = defaultdict(list)
        self._reachable: set[int] = set()
        self._known: dict[tuple[int, tuple[str, ...]], list[_Side]] = {}

    def add(self, relation: Relation, *, reachable: bool) -> None:
        """Take in a relation, before anything is asked for."""
        self._tables[relation.oid] = relation
        shown: dict[int, dict[str, str]] = defaultdict(dict)
        for origin in relation.origins:
            shown[origin.table].setdefault(origin.table_column, origin.column)
        for table, columns in shown.items():
            if len(self._views[table]) < MOST_VIEWS:
                self._views[table].append((relation, columns))
        if reachable:
            self._reachable.update((relation.oid, *shown))

    def reachable(self, table: int) -> bool:
        """Whether a relation that may be read shows the table."""
        return table in self._reachable

    def of(self, table: int, columns: tuple[str, ...]) -> list[_Side]:
        """Each relation that exposes all ``columns``; the table itself is the first."""
        if (table, columns) not in self._known:
            self._known[table, columns] = list(self.showing(table, columns))
        return self._known[table, columns]

    def showing(self, table: int, columns: tuple[str, ...]) -> Iterator[_Side]:
        """As :meth:`of`, and remember nothing: for columns that are asked for once."""
        if table in self._tables and self._tables[table].by_name.keys() >= set(columns):
            yield self._tables[table], columns
        for view, shown in self._views.get(table, ()):
            names = tuple(shown[column] for column in columns if column in shown)
            if len(names) == len(columns) and view.by_name.keys() >= set(names):
                yield view, names
