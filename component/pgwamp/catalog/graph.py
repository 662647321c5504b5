"""How relations hang together: relationships over foreign keys and functions, computed columns.

The kinds are PostgREST's: many-to-one, one-to-many, one-to-one, many-to-many through a junction,
and computed ones, which a function from row to rows makes. Views take part with the keys of the
tables that they show. A relation takes part with the columns that are exposed: a relationship over
another one would answer its values, and filter by them.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import permutations
from typing import NamedTuple

from pgwamp import logs
from pgwamp.catalog.model import Catalog, ForeignKey, Relation, Routine

log = logs.get(__name__)
#: Bounds of what one table, or others who create views and keys, can make of a graph: relationships
#: of a relation, views of a table that take its keys, foreign keys of a junction, and unique keys
#: of it that are looked at.
MOST_RELATIONSHIPS, MOST_VIEWS, MOST_JUNCTION_KEYS, MOST_UNIQUE_KEYS = 4000, 30, 30, 50
#: Column of one side, column of the other.
Pairs = tuple[tuple[str, str], ...]


@dataclass(frozen=True, eq=False)
class Junction:
    """The relation in the middle of a many-to-many relationship.

    :ivar source_pairs: column of the source, column of the junction.
    :ivar target_pairs: column of the target, column of the junction.
    """

    relation: Relation
    source_pairs: Pairs
    target_pairs: Pairs
    target_constraint: str


@dataclass(frozen=True, eq=False)
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

    def names(self) -> Iterator[str]:
        """What a request can call it."""
        if self.routine is not None:
            yield self.routine.name
            return
        yield self.target.name
        yield f"{self.target.schema}.{self.target.name}"
        if self.junction is None:
            yield self.constraint
        if self.forward and len(self.pairs) == 1:
            yield self.pairs[0][0]

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
                yield self.pairs[0][0 if self.forward else 1]
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
        self._sides = _Sides(catalog.relations)
        self._relationships: dict[tuple[str, str], list[Relationship]] = defaultdict(list)
        self._full: set[tuple[str, str]] = set()
        self._computed: dict[tuple[str, str], dict[str, Routine]] = defaultdict(dict)
        links = list(self._links(catalog.foreign_keys))
        # Those of tables come first: however many views others create, they stay.
        for direct in (True, False):
            for key in catalog.foreign_keys:
                self._add_foreign_key(key, direct)
            for link in links:
                self._add_junction(link, direct)
        self._add_routines(catalog, catalog.routines if routines is None else routines)

    def relationships(self, relation: Relation) -> Sequence[Relationship]:
        """Where one can go from ``relation``."""
        return self._relationships.get(relation.key, ())

    def computed(self, relation: Relation) -> Mapping[str, Routine]:
        """Functions of a row of ``relation`` that serve as its columns, by name."""
        return self._computed.get(relation.key, {})

    def _add(self, relationship: Relationship) -> None:
        source = relationship.source
        if relationship.target.key not in self._reachable:
            return
        known = self._relationships[source.key]
        if len(known) < MOST_RELATIONSHIPS:
            known.append(relationship)
        elif source.key not in self._full:
            self._full.add(source.key)
            log.warning(
                "some relationships are left out: the relation has too many",
                schema=source.schema,
                name=source.name,
                most=MOST_RELATIONSHIPS,
            )

    def _add_foreign_key(self, key: ForeignKey, direct: bool) -> None:
        """Both ways between the tables of a key, or else between their views."""
        for source, columns in self._sides.of(key.source, key.columns):
            one_to_one = any(set(unique) <= set(columns) for unique in source.unique)
            for target, target_columns in self._sides.of(key.target, key.target_columns):
                if direct is not ((source.oid, target.oid) == (key.source, key.target)):
                    continue
                pairs = tuple(zip(columns, target_columns, strict=True))
                back = tuple((theirs, ours) for ours, theirs in pairs)
                within = key.source == key.target
                self._add(
                    Relationship(source, target, True, pairs, key.name, forward=True, within=within)
                )
                self._add(Relationship(target, source, one_to_one, back, key.name, within=within))

    def _links(self, keys: Sequence[ForeignKey]) -> Iterator[_Link]:
        """The pairs of foreign keys of one table, of which a row links each pair of others."""
        by_table: dict[int, list[ForeignKey]] = defaultdict(list)
        for key in keys:
            by_table[key.source].append(key)
        for table, own in by_table.items():
            if len(own) > MOST_JUNCTION_KEYS:
                log.warning(
                    "the table is no junction: it has too many foreign keys",
                    table=table,
                    most=MOST_JUNCTION_KEYS,
                )
                continue
            for first, second in permutations(own, 2):
                middles = self._sides.of(table, (*first.columns, *second.columns))
                for junction, columns in middles[:1]:
                    near = columns[: len(first.columns)]
                    far = columns[len(first.columns) :]
                    # The key of a row may have further columns that are not exposed.
                    uniques = junction.complete.unique[:MOST_UNIQUE_KEYS]
                    links = any(_is_link(set(unique), set(near), set(far)) for unique in uniques)
                    if links and junction.key in self._reachable:
                        yield _Link(junction, first, second, near, far)

    def _add_junction(self, link: _Link, direct: bool) -> None:
        """From the target of one key to that of the other: tables, or else their views."""
        first, second = link.first, link.second
        for source, source_columns in self._sides.of(first.target, first.target_columns):
            for target, target_columns in self._sides.of(second.target, second.target_columns):
                if direct is not ((source.oid, target.oid) == (first.target, second.target)):
                    continue
                middle = Junction(
                    link.junction,
                    tuple(zip(source_columns, link.near, strict=True)),
                    tuple(zip(target_columns, link.far, strict=True)),
                    second.name,
                )
                self._add(Relationship(source, target, False, junction=middle))

    def _add_routines(self, catalog: Catalog, routines: Iterable[Routine]) -> None:
        for routine in routines:
            if routine.kind != "function" or len(routine.inputs) != 1:
                continue
            source = catalog.by_row_type.get(routine.inputs[0].type.oid)
            if source is None or routine.returns is None or routine.returns.name == "void":
                continue
            target = catalog.by_row_type.get(routine.returns.oid)
            if target is not None:
                to_one = not routine.returns_set or routine.rows == 1
                self._add(Relationship(source, target, to_one, routine=routine))
            elif not routine.returns_set and routine.returns.name != "record":
                self._computed[source.key].setdefault(routine.name, routine)


def _is_link(unique: set[str], near: set[str], far: set[str]) -> bool:
    """Whether a key of a junction says that its rows link two others."""
    both = near | far
    return bool(unique & near and unique & far) and (unique <= both or unique >= both)


class _Link(NamedTuple):
    """Two foreign keys of a junction; ``near`` and ``far`` are their columns there."""

    junction: Relation
    first: ForeignKey
    second: ForeignKey
    near: tuple[str, ...]
    far: tuple[str, ...]


class _Sides:
    """Which relations show some columns of a table: the table itself, and views."""

    def __init__(self, relations: Iterable[Relation]):
        self._tables: dict[int, Relation] = {}
        self._views: dict[int, list[tuple[Relation, dict[str, str]]]] = defaultdict(list)
        # The oldest come first: whoever may create views does not displace those of others.
        for relation in sorted(relations, key=lambda relation: relation.oid):
            self._tables[relation.oid] = relation
            shown: dict[int, dict[str, str]] = defaultdict(dict)
            for origin in relation.origins:
                shown[origin.table].setdefault(origin.table_column, origin.column)
            for table, columns in shown.items():
                if len(self._views[table]) < MOST_VIEWS:
                    self._views[table].append((relation, columns))

    def of(self, table: int, columns: Sequence[str]) -> list[tuple[Relation, tuple[str, ...]]]:
        """Each relation that exposes all ``columns``, and its names for them."""
        found: list[tuple[Relation, tuple[str, ...]]] = []
        if table in self._tables:
            found.append((self._tables[table], tuple(columns)))
        for view, shown in self._views.get(table, ()):
            if all(column in shown for column in columns):
                found.append((view, tuple(shown[column] for column in columns)))
        return [(side, names) for side, names in found if side.by_name.keys() >= set(names)]
