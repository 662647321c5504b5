"""How relations hang together: relationships over foreign keys and functions, computed columns.

The kinds are PostgREST's: many-to-one, one-to-many, one-to-one, many-to-many through a junction,
and computed ones, which a function from row to rows makes. Views take part with the keys of the
tables that they show. A relation takes part with the columns that are exposed: a relationship over
another one would answer its values, and filter by them.
"""

from __future__ import annotations

import asyncio
import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import combinations
from typing import NamedTuple

from pgwamp import logs
from pgwamp.catalog.makers import Shares, makers_of
from pgwamp.catalog.model import Catalog, ForeignKey, Relation, Routine
from pgwamp.catalog.relationship import Junction, Relationship, Standing
from pgwamp.catalog.sides import Level, Side, Sides

log = logs.get(__name__)
#: Bounds of what one table, or others who create views and keys, can make of a graph: relationships
#: of a relation, foreign keys of a junction, and unique keys of it that are looked at.
MOST_RELATIONSHIPS, MOST_JUNCTION_KEYS, MOST_UNIQUE_KEYS = 4000, 30, 50
#: Relationships of all relations, and pairs of keys of all junctions: to collect garbage among a
#: hundred thousand of them takes a quarter of a second.
MOST_IN_ALL = 100_000
#: Relations that a line of the log names.
_MOST_NAMED = 10
#: Names that cannot be an alias, a path, a cast, an aggregate or a direction in a request.
_PLAIN_NAME = re.compile(r"\w+")


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
        self._start(catalog, reachable)
        for _ in self._fill(routines):
            pass

    def _start(self, catalog: Catalog, reachable: Iterable[Relation]) -> None:
        self._catalog = catalog
        self._reachable = {relation.key for relation in reachable}
        self._relationships: dict[tuple[str, str], list[Relationship]] = defaultdict(list)
        self._full: set[tuple[str, str]] = set()
        self._computed: dict[tuple[str, str], dict[str, Routine]] = defaultdict(dict)
        self._sides = Sides(catalog)
        self._shares = Shares(MOST_IN_ALL, catalog)
        #: By source and maker, of those who do not decide about the source.
        self._of_others: Counter[tuple[tuple[str, str], int]] = Counter()

    @classmethod
    async def build(
        cls,
        catalog: Catalog,
        reachable: Iterable[Relation],
        routines: Iterable[Routine] | None = None,
    ) -> Graph:
        """Build the same as the constructor; calls go on meanwhile."""
        graph = cls.__new__(cls)
        graph._start(catalog, reachable)
        for _ in graph._fill(routines):
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
        last = Standing.FUNCTION_OF_STRANGERS
        taken = {name for way in ways if way.standing < last for name in way.names()}
        return {name: r for name, r in named.items() if r.trusted or name not in taken}

    def _fill(self, routines: Iterable[Routine] | None) -> Iterator[None]:
        """Add all that there is, in steps of little time each."""
        catalog = self._catalog
        # The oldest come first: whoever may create views does not displace those of others.
        for relation in sorted(catalog.relations, key=lambda relation: relation.oid):
            self._sides.add(relation, reachable=relation.key in self._reachable)
            yield
        links: list[_Link] = []
        shares = Shares(MOST_IN_ALL, catalog)
        for found in self._links(catalog.foreign_keys):
            links += [link for link in found if shares.take(self._catalog.owner(link.owned))]
            yield
        functions = catalog.routines if routines is None else tuple(routines)
        # Keys of tables come first, then functions: however many views others create, they stay.
        for level in Level:
            for key in catalog.foreign_keys:
                self._add_foreign_key(key, level)
                yield
            for link in links:
                self._add_junction(link, level)
                yield
            if level is Level.TABLE:
                yield from self._add_trusted(functions)
        yield from self._add_others(functions)
        if self._full:
            log.warning(
                "some relationships are left out: relations have too many",
                names=[".".join(key) for key in sorted(self._full)[:_MOST_NAMED]],
                number=len(self._full),
                most=MOST_RELATIONSHIPS,
                most_in_all=MOST_IN_ALL,
            )

    def _is_full(self, source: Relation) -> bool:
        full = len(self._relationships[source.key]) >= MOST_RELATIONSHIPS
        if full:
            self._full.add(source.key)
        return full

    def _add(self, way: Relationship, payer: int) -> None:
        """Add a relationship if there is room for it.

        :param payer: whose share of all relationships it takes.
        """
        source = way.source.key
        if way.target.key not in self._reachable:
            return
        taken, others = self._relationships[source], (source, way.maker)
        # As with those of all relations, no other owner takes more than are left.
        most = MOST_RELATIONSHIPS - len(taken)
        if way.standing >= Standing.OF_OTHERS:
            most -= self._of_others[others]
        if most <= 0 or not self._shares.take(payer):
            self._full.add(source)
            return
        taken.append(way)
        if way.standing >= Standing.OF_OTHERS:
            self._of_others[others] += 1

    def _add_foreign_key(self, key: ForeignKey, level: Level) -> None:
        """Both ways between the table of a key, or a view of it, and the other one."""
        ours, theirs = self._sides.of(key.source, key.columns), key.target_columns
        for near, far in _pairs(ours, self._sides.of(key.target, theirs), level):
            one_to_one = any(set(unique) <= set(near.columns) for unique in near.relation.unique)
            self._add_key(key, near, far, forward=True, to_one=True)
            self._add_key(key, far, near, forward=False, to_one=one_to_one)

    def _add_key(
        self, key: ForeignKey, near: Side, far: Side, *, forward: bool, to_one: bool
    ) -> None:
        """One way over a key, from one side of it to the other."""
        source, target = near.relation, far.relation
        if self._is_full(source):
            return
        makers = makers_of(self._catalog, key, near, (far,), forward=forward)
        way = Relationship(
            source,
            target,
            to_one,
            tuple(zip(near.columns, far.columns, strict=True)),
            key.name,
            forward=forward,
            within=key.source == key.target,
            standing=makers.standing,
            target_standing=makers.target_standing,
            maker=makers.maker,
            target_maker=makers.target_maker,
        )
        self._add(way, makers.payer)

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
            # The owners of views that lead this way already; None after the table's own.
            before: set[int | None] = set()
            for side in self._sides.showing(table, (*first.columns, *second.columns)):
                junction = side.relation
                if junction.key not in self._reachable:
                    continue
                if junction.key not in uniques:
                    # The key of a row may have further columns that are not exposed.
                    known = junction.complete.unique[:MOST_UNIQUE_KEYS]
                    uniques[junction.key] = [frozenset(unique) for unique in known]
                near = side.columns[: len(first.columns)]
                far = side.columns[len(first.columns) :]
                if not _is_link(uniques[junction.key], near, far):
                    yield []
                    continue
                other = side.level is Level.OTHER_VIEW
                owner = self._catalog.owner(junction.oid) if other else None
                secondary = not before.isdisjoint((None, owner))
                before.add(owner)
                yield [
                    _Link(side, first, second, near, far, secondary),
                    _Link(side, second, first, far, near, secondary),
                ]

    def _add_junction(self, link: _Link, level: Level) -> None:
        """From the target of one key to that of the other: tables, or else their views, or all."""
        first, second = link.first, link.second
        sources = self._sides.of(first.target, first.target_columns)
        targets = self._sides.of(second.target, second.target_columns)
        for near, far in _pairs(sources, targets, level, link.side.level):
            if self._is_full(near.relation):
                continue
            makers = makers_of(self._catalog, first, near, (far, link.side), forward=False)
            middle = Junction(
                link.side.relation,
                tuple(zip(near.columns, link.near, strict=True)),
                tuple(zip(far.columns, link.far, strict=True)),
                second.name,
                link.secondary,
            )
            way = Relationship(
                near.relation,
                far.relation,
                False,
                junction=middle,
                standing=makers.standing,
                target_standing=makers.target_standing,
                maker=makers.maker,
                target_maker=makers.target_maker,
            )
            self._add(way, makers.payer)

    def _add_trusted(self, routines: Iterable[Routine]) -> Iterator[None]:
        """Add functions of a row that may have any name."""
        for routine in routines:
            source = _source(self._catalog, routine)
            if source is not None and routine.trusted:
                self._add_routine(source, routine)
            yield

    def _add_others(self, routines: Iterable[Routine]) -> Iterator[None]:
        """Add the other functions of a row, under plain names of their own."""
        others: dict[tuple[int, str], list[tuple[Relation, Routine]]] = defaultdict(list)
        for routine in routines:
            source = _source(self._catalog, routine)
            if source and not routine.trusted and _PLAIN_NAME.fullmatch(routine.name):
                others[source.oid, routine.name].append((source, routine))
            yield
        for found in others.values():
            if len(found) == 1:
                self._add_routine(*found[0])
            yield

    def _add_routine(self, source: Relation, routine: Routine) -> None:
        if routine.returns is None or routine.returns.name == "void":
            return
        target = self._catalog.by_row_type.get(routine.returns.oid)
        if target is None:
            if not routine.returns_set and routine.returns.name != "record":
                self._computed[source.key].setdefault(routine.name, routine)
            return
        to_one = not routine.returns_set or routine.rows == 1
        standing = Standing.OWN if routine.trusted else Standing.FUNCTION_OF_STRANGERS
        payer = self._catalog.owner(source.oid) if routine.trusted else 0
        self._add(Relationship(source, target, to_one, routine=routine, standing=standing), payer)


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


def _pairs(
    ours: Sequence[Side], theirs: Sequence[Side], level: Level, middle: Level = Level.TABLE
) -> Iterator[tuple[Side, Side]]:
    """The pairs of sides of which one, or what is between them, is of the level, and none above.

    :param ours: the nearest first, as are the others.
    """
    if middle > level:
        return
    for near in ours:
        if near.level > level:
            break
        for far in theirs:
            if far.level > level:
                break
            if level in (near.level, far.level, middle):
                yield near, far


class _Link(NamedTuple):
    """Two foreign keys of a junction; ``near`` and ``far`` are their columns there.

    ``secondary`` is as in :class:`Junction`.
    """

    side: Side
    first: ForeignKey
    second: ForeignKey
    near: tuple[str, ...]
    far: tuple[str, ...]
    secondary: bool

    @property
    def owned(self) -> int:
        """The relation whose owner has made it: the table of the keys, or a view of others."""
        return self.side.relation.oid if self.side.level is Level.OTHER_VIEW else self.first.source
