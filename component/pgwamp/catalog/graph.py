"""How relations hang together: relationships over foreign keys and functions, computed columns.

The kinds are PostgREST's: many-to-one, one-to-many, one-to-one, many-to-many through a junction,
and computed ones, which a function from row to rows makes. Views take part with the keys of the
tables that they show.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from pgwamp.catalog.model import Catalog, ForeignKey, Relation, Routine

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
            if len(self.junction.target_pairs) == 1:
                yield self.junction.target_pairs[0][1]
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
        self._computed: dict[tuple[str, str], dict[str, Routine]] = defaultdict(dict)
        for key in catalog.foreign_keys:
            self._add_foreign_key(key)
        self._add_junctions(catalog.foreign_keys)
        self._add_routines(catalog, catalog.routines if routines is None else routines)

    def relationships(self, relation: Relation) -> Sequence[Relationship]:
        """Where one can go from ``relation``."""
        return self._relationships.get(relation.key, ())

    def computed(self, relation: Relation) -> Mapping[str, Routine]:
        """Functions of a row of ``relation`` that serve as its columns, by name."""
        return self._computed.get(relation.key, {})

    def _add(self, relationship: Relationship) -> None:
        if relationship.target.key in self._reachable:
            self._relationships[relationship.source.key].append(relationship)

    def _add_foreign_key(self, key: ForeignKey) -> None:
        for source, columns in self._sides.of(key.source, key.columns):
            for target, target_columns in self._sides.of(key.target, key.target_columns):
                pairs = tuple(zip(columns, target_columns, strict=True))
                back = tuple((theirs, ours) for ours, theirs in pairs)
                one_to_one = any(set(unique) <= set(columns) for unique in source.unique)
                within = key.source == key.target
                self._add(
                    Relationship(source, target, True, pairs, key.name, forward=True, within=within)
                )
                self._add(Relationship(target, source, one_to_one, back, key.name, within=within))

    def _add_junctions(self, keys: Sequence[ForeignKey]) -> None:
        by_table: dict[int, list[ForeignKey]] = defaultdict(list)
        for key in keys:
            by_table[key.source].append(key)
        for own in by_table.values():
            for first in own:
                for second in own:
                    if first is not second:
                        self._add_junction(first, second)

    def _add_junction(self, first: ForeignKey, second: ForeignKey) -> None:
        """From the target of ``first`` to that of ``second``, where one row links each pair."""
        middles = self._sides.of(first.source, (*first.columns, *second.columns))
        for junction, columns in middles[:1]:
            near, far = columns[: len(first.columns)], columns[len(first.columns) :]
            links = any(_links(set(unique), set(near), set(far)) for unique in junction.unique)
            if not links or junction.key not in self._reachable:
                continue
            for source, source_columns in self._sides.of(first.target, first.target_columns):
                for target, target_columns in self._sides.of(second.target, second.target_columns):
                    middle = Junction(
                        junction,
                        tuple(zip(source_columns, near, strict=True)),
                        tuple(zip(target_columns, far, strict=True)),
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


def _links(unique: set[str], near: set[str], far: set[str]) -> bool:
    """Whether a key of a junction says that its rows link two others."""
    both = near | far
    return bool(unique & near and unique & far) and (unique <= both or unique >= both)


class _Sides:
    """Which relations show some columns of a table: the table itself, and views."""

    def __init__(self, relations: Iterable[Relation]):
        self._tables: dict[int, Relation] = {}
        self._views: dict[int, list[tuple[Relation, dict[str, str]]]] = defaultdict(list)
        for relation in relations:
            self._tables[relation.oid] = relation
            shown: dict[int, dict[str, str]] = defaultdict(dict)
            for origin in relation.origins:
                shown[origin.table].setdefault(origin.table_column, origin.column)
            for table, columns in shown.items():
                self._views[table].append((relation, columns))

    def of(self, table: int, columns: Sequence[str]) -> list[tuple[Relation, tuple[str, ...]]]:
        """Each relation that shows all ``columns``, and its names for them."""
        found: list[tuple[Relation, tuple[str, ...]]] = []
        if table in self._tables:
            found.append((self._tables[table], tuple(columns)))
        for view, shown in self._views.get(table, ()):
            if all(column in shown for column in columns):
                found.append((view, tuple(shown[column] for column in columns)))
        return found
