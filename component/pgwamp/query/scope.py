"""The meaning of names in a request: the columns of a relation and the ways out of it."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from itertools import groupby
from operator import attrgetter, itemgetter
from typing import Any, NamedTuple

from pgwamp.catalog.graph import Graph
from pgwamp.catalog.model import Aggregate, Catalog, Column, Relation, Routine
from pgwamp.catalog.relationship import Relationship, Standing
from pgwamp.errors import InvalidArgument, Mentions, excerpt
from pgwamp.query.cache import Cache
from pgwamp.query.limits import check_name
from pgwamp.query.request import suggest
from pgwamp.query.unknown import Known, UnknownName, identity
from pgwamp.settings import LimitSettings
from pgwamp.values import Form, Type

#: What a caller may call a value of the answer: it becomes a name in SQL.
_LABEL = re.compile(r"[^\W\d]\w*")
_KEY = re.compile(r"(?:(?P<alias>[^:!]+):(?!:))?(?P<name>[^!]+)(?:!(?P<hint>.+))?", re.DOTALL)
_READS_AS_PATH = re.compile("->|::")
_MODIFIED = re.compile(r"(?P<name>[a-z][\w ]*)\((?P<modifier>\d{1,4}(?:, ?\d{1,4})?)\)", re.ASCII)
#: As SQL has it, these are of one character when nothing else is said.
_CHARACTER = ("char", "character")
#: The types of any enum, array, record, range and multirange.
_POLYMORPHIC: Mapping[Form, int] = {
    "enum": 3500, "array": 2277, "composite": 2249, "range": 3831, "multirange": 4537,
}  # fmt: skip
#: Bytes of a name in PostgreSQL; a longer one is cut off, and would not be found in the answer.
_LONGEST_NAME = 63


#: Relationships of one name that an error tells apart.
_MOST_TOLD = 20
#: Bytes that the compiled statements, and the parsed includes, of all relations may take.
_MOST_CACHED = 32 * 2**20

DEFAULT_LIMITS = LimitSettings()


class Scopes:
    """The scope of each relation of a catalog.

    :ivar limits: what one call may ask for.
    :ivar statements: what has been compiled, by the shape of the request.
    :ivar includes: what has been parsed, by scope and text.
    """

    def __init__(self, catalog: Catalog, graph: Graph, limits: LimitSettings = DEFAULT_LIMITS):
        self.catalog = catalog
        self.graph = graph
        self.limits = limits
        self.statements: Cache[Any] = Cache(_MOST_CACHED)
        self.includes: Cache[Any] = Cache(_MOST_CACHED)
        self._scopes: dict[tuple[str, str], Scope] = {}

    def of(self, relation: Relation) -> Scope:
        """The scope of requests about ``relation``."""
        scope = self._scopes.get(relation.key)
        if scope is None:
            scope = self._scopes[relation.key] = Scope(relation, self)
        return scope


class Scope:
    """The names that a request about one relation can use."""

    def __init__(self, relation: Relation, scopes: Scopes):
        self.relation = relation
        self.limits = scopes.limits
        self.statements = scopes.statements
        self.includes = scopes.includes
        self._scopes = scopes

    @cached_property
    def computed(self) -> Mapping[str, Routine]:
        """Functions that serve as columns; a real column hides one of its name."""
        found = self._scopes.graph.computed(self.relation)
        return {name: r for name, r in found.items() if name not in self.relation.by_name}

    @cached_property
    def columns(self) -> Mapping[str, Column]:
        """Real and computed columns by name."""
        computed = {
            name: Column(name, routine.returns, comment=routine.comment)
            for name, routine in self.computed.items()
            if routine.returns is not None
        }
        return {**self.relation.by_name, **computed}

    @cached_property
    def longest_name(self) -> int:
        """The length of the longest name of a column."""
        return max(map(len, self.columns), default=0)

    def target(self, relationship: Relationship) -> Scope:
        """The scope at the other end of a relationship."""
        return self._scopes.of(relationship.target)

    def mention(self, mentions: Mentions, name: str) -> None:
        """Add a column of the relation, real or computed."""
        routine = self.computed.get(name)
        if routine is None:
            mentions.relations.append((self.relation.key, (name,)))
        else:
            # It may show what it likes of the columns.
            mentions.relations.append((self.relation.key, ()))
            mentions.routines[identity(routine)] = routine.name

    def castable(self, name: str, path: str) -> tuple[Type, str]:
        """The type ``name`` and how a cast spells it. Raises :class:`InvalidArgument`."""
        types = self._scopes.catalog.castable
        match = _MODIFIED.fullmatch(name)
        plain, modifier = (match["name"], match["modifier"]) if match else (name, "")
        kind = types.get("bpchar" if plain in _CHARACTER else plain)
        if kind is None:
            raise InvalidArgument(
                path, f'no type "{excerpt(name)}" to cast to{_suggest_type(name, types)}'
            )
        if plain in _CHARACTER and not modifier:
            modifier = "1"
        # As in timestamp(3) with time zone.
        head, zone, tail = (kind.domain or kind.name).partition(" with")
        return kind, f"{head}({modifier}){zone}{tail}" if modifier else f"{head}{zone}{tail}"

    def search(self, name: str, path: str) -> str:
        """How SQL spells a text search configuration. Raises :class:`InvalidArgument`.

        PostgreSQL would take the text of a caller for an oid, too, and say which schemas there are.
        """
        spelled = self._scopes.catalog.searches.get(name)
        if spelled is None:
            raise InvalidArgument(
                path,
                f'no text search configuration "{excerpt(name)}"; '
                "name one of PostgreSQL or of an exposed schema, such as english or simple",
            )
        return spelled

    def aggregate(self, name: str, of: Type) -> Aggregate | None:
        """Return an aggregate of values of type ``of``, or None if there is none."""
        aggregates, base = self._scopes.catalog.aggregates, of.base or of.oid
        found = aggregates.get((name, base))
        # The aggregates of any array or record fail where the elements have no order.
        if found is None and of.form in _POLYMORPHIC and of.ordered:
            base = _POLYMORPHIC[of.form]
            found = aggregates.get((name, base))
        if found is not None and found.result.oid == base and name in ("min", "max"):
            # The least and the greatest value of a domain belong to it.
            return replace(found, result=of)
        return found

    def relationship(self, key: str, path: str) -> tuple[str, Relationship]:
        """The label and the relationship that a key of ``include`` means.

        :raises InvalidArgument: there is none, or more than one; the error lists the candidates.
        """
        check_name(self.limits, key, path)
        match = _KEY.fullmatch(key)
        if match is None:
            raise InvalidArgument(path, 'expected a key such as "relation" or "alias:relation"')
        name = match["name"]
        named, found = self._ways(name, match["hint"])
        if not named:
            raise self._unknown(name, path)
        if len(found) != 1:
            problem = (
                "more than one relationship fits"
                if found
                else f'none has the hint "{excerpt(match["hint"])}"'
            )
            raise UnknownName(
                path,
                problem,
                sorted(
                    (self._told(way, self._spelling(way)) for way in (found or named)[:_MOST_TOLD]),
                    key=lambda known: known.name,
                ),
                lambda names: f"; say which: {', '.join(dict.fromkeys(names))}" if names else "",
            ).about(self.relation.key)
        alias, target = match["alias"], found[0].target
        if alias is not None:
            return checked_label(alias, path), found[0]
        return target.name if name == f"{target.schema}.{target.name}" else name, found[0]

    def _unknown(self, name: str, path: str) -> UnknownName:
        """The error about a relationship that is not there."""
        ways = self.relationships
        known = sorted(((next(way.names()), way) for way in ways), key=itemgetter(0))
        return UnknownName(
            path,
            f'no relationship "{excerpt(name)}" of {self.relation.name}',
            [self._told(way, key) for key, way in known],
            lambda names: suggest(name, list(dict.fromkeys(names))) or "; it has none",
        ).about(self.relation.key)

    def _told(self, way: Relationship, key: str) -> Known:
        """A key of a relationship, for those who may see all that it goes by."""
        if way.routine is not None:
            return Known(key, further=((way.target.key, ()),), routine=identity(way.routine))
        (_, ours), *further = way.columns
        return Known(key, ours, further=tuple(further))

    @cached_property
    def _ways_by_name(self) -> Mapping[str, Sequence[_Way]]:
        """The relationships by every name that they have; those that come first stand first."""
        found: dict[str, list[_Way]] = defaultdict(list)
        for relationship in self.relationships:
            hints = {hint: relationship.standing_by(hint) for hint in relationship.hints()}
            for name in dict.fromkeys(relationship.names()):
                standing = relationship.standing_as(name)
                # No name of another owner's choice passes for a path or a cast.
                if standing is Standing.OWN or not _READS_AS_PATH.search(name):
                    found[name].append(_Way(relationship, standing, hints))
        for ways in found.values():
            ways.sort(key=attrgetter("standing"))
        return found

    def _ways(self, name: str, hint: str | None) -> tuple[list[Relationship], list[Relationship]]:
        """The relationships of a name, and those of them that it means with this hint.

        They are of one standing: nothing of another owner's changes what a name means already.
        """
        named = self._ways_by_name.get(name, ())
        fits = sorted(_fits(named, hint), key=attrgetter("standing"))
        found: list[Relationship] = []
        for standing, equal in groupby(fits, key=attrgetter("standing")):
            found = _meant(list(equal), standing, name, hint)
            if found:
                break
        return [way.relationship for way in named], found

    @property
    def relationships(self) -> Sequence[Relationship]:
        """Where one can go from its rows."""
        return self._scopes.graph.relationships(self.relation)

    def plain_keys(self) -> Iterator[tuple[str, Relationship]]:
        """The keys of ``include``, without a schema or a hint, that mean one relationship each."""
        for name in self._ways_by_name:
            _, found = self._ways(name, None)
            if len(found) == 1 and name != ".".join(found[0].target.key):
                yield name, found[0]

    def _spelling(self, way: Relationship) -> str:
        """A key that means this relationship and no other."""
        for key in way.spellings():
            name, _, hint = key.partition("!")
            if self._ways(name, hint or None)[1] == [way]:
                return key
        return way.target.name

    def has_relationship(self, key: str) -> bool:
        """Whether ``key`` could mean a relationship."""
        match = _KEY.fullmatch(key)
        return match is not None and match["name"] in self._ways_by_name


class _Way(NamedTuple):
    """A relationship by one of its names, and whose work each of its hints is."""

    relationship: Relationship
    standing: Standing
    hints: Mapping[str, Standing]


class _Fit(NamedTuple):
    """A relationship that a name and a hint can mean.

    :ivar standing: the lesser one of both.
    :ivar is_exact: the hint is not merely the column that the key refers to.
    """

    relationship: Relationship
    standing: Standing
    is_exact: bool


def _fits(ways: Iterable[_Way], hint: str | None) -> Iterator[_Fit]:
    for way in ways:
        if hint is None:
            yield _Fit(way.relationship, way.standing, True)
        elif hint in way.hints:
            yield _Fit(way.relationship, max(way.standing, way.hints[hint]), True)
        elif way.relationship.referenced == hint:
            yield _Fit(way.relationship, way.standing, False)


def _meant(
    fits: Sequence[_Fit], standing: Standing, name: str, hint: str | None
) -> list[Relationship]:
    """Those of one standing that a name means with this hint."""
    if standing >= Standing.NAMED_BY_OTHERS:
        # There is one relation of this name, and others may have keys of it.
        whole = [fit for fit in fits if name == ".".join(fit.relationship.target.key)]
        fits = whole or fits
        ways = [fit.relationship for fit in fits]
        by_target = standing is Standing.NAMED_BY_OTHERS
        if len({way.target_maker if by_target else way.maker for way in ways}) > 1:
            # None of several owners comes first.
            return ways
    # The referenced column tells least: all that refer to a primary key have it.
    exact = [fit for fit in fits if fit.is_exact]
    return _narrow([fit.relationship for fit in exact or fits], name, hint)


def _narrow(ways: list[Relationship], name: str, hint: str | None) -> list[Relationship]:
    """The nearest of several: a function made for it, the column itself, a key before a junction.

    The name of a relation comes before that of a key's column in another one.
    """
    ways = [way for way in ways if not (way.junction and way.junction.secondary)] or ways
    if len(ways) < 2:
        return ways
    if computed := [way for way in ways if way.routine is not None]:
        return computed
    own = [way for way in ways if way.forward and name in (way.key_column, way.constraint)]
    if not own and not any(way.is_called(name) for way in ways):
        # The name of a constraint comes before the column of another relation.
        own = [way for way in ways if way.constraint == name] or ways
    if own:
        # A key leads to a table first, and to the views of it as well.
        return [way for way in own if way.target.kind == "table"] or own
    ways = [way for way in ways if way.is_called(name)]
    if hint is not None:
        # Of a table that refers to itself: the column alone means the one row it points to.
        return [way for way in ways if not (way.within and way.forward)]
    direct = [way for way in ways if way.junction is None]
    return direct if len(direct) == 1 else ways


def is_label(text: str) -> bool:
    """Whether a text of a caller may be a name in SQL."""
    return _LABEL.fullmatch(text) is not None and len(text.encode()) <= _LONGEST_NAME


def checked_label(label: str, path: str) -> str:
    """A name for a value of the answer. Raises :class:`InvalidArgument`."""
    if not is_label(label):
        raise InvalidArgument(
            path,
            f"an alias is letters, digits and _, at most {_LONGEST_NAME} bytes",
        )
    return label


def _suggest_type(name: str, types: Mapping[str, Type]) -> str:
    # PostgreSQL's own types need no schema; others are for roles with USAGE, which nobody asks.
    known = [word for word, kind in types.items() if "." not in (kind.domain or kind.name)]
    close = suggest(name, known)
    return close if "did you mean" in close else "; write it as text, integer, numeric(10,2), ..."
