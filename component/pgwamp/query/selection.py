"""The answer that is asked for: columns, conditions, order, limits, and embedded rows.

One shape for every place that reads: ``select`` itself, each level of ``include``, the rows of
functions and the ``returning`` of writes.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any
from weakref import WeakKeyDictionary

from pgwamp.catalog.relationship import Relationship
from pgwamp.errors import InvalidArgument, below, excerpt
from pgwamp.query.bounds import NO_BOUNDS, Bounds, parse_bounds
from pgwamp.query.columns import Item, all_columns, is_grouped, parse_columns
from pgwamp.query.fields import Field, mention_field
from pgwamp.query.limits import Counted, Values, check_depth
from pgwamp.query.operators import Condition
from pgwamp.query.order import OrderTerm, mention_term, parse_order
from pgwamp.query.request import suggest
from pgwamp.query.scope import Scope
from pgwamp.query.unknown import mention_related, mention_way
from pgwamp.query.where import WhereParser

EMBED_ARGUMENTS = (
    "columns", "where", "order", "limit", "offset", "include", "inner", "spread",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Embed:
    """Related rows inside each row.

    :ivar inner: leave out rows that have none.
    :ivar spread: the columns of the one related row stand beside those of its parent.
    """

    label: str
    relationship: Relationship
    selection: Selection
    inner: bool = False
    spread: bool = False


@dataclass(frozen=True)
class Selection:
    """A parsed request for rows; ``bounds`` are those of an embedded level."""

    items: tuple[Item, ...]
    where: Condition | None = None
    order: tuple[OrderTerm, ...] = ()
    bounds: Bounds = NO_BOUNDS
    embeds: tuple[Embed, ...] = ()

    def __hash__(self) -> int:
        return self._hash

    @cached_property
    def _hash(self) -> int:
        return hash((self.items, self.where, self.order, self.bounds, self.embeds))

    @property
    def grouped(self) -> bool:
        """Whether its rows are groups of rows."""
        return is_grouped(self.items)

    def labels(self) -> list[str]:
        """The names in each row of the answer."""
        found = [item.label for item in self.items]
        for embed in self.embeds:
            found += embed.selection.labels() if embed.spread else [embed.label]
        return found


#: Names and values, and characters, of an include whose parsed form is kept.
_MOST_KEPT, _LONGEST_KEPT = 300, 4000
#: Most calls ask for whole rows: what that means is made once for each scope.
_WHOLE: WeakKeyDictionary[Scope, Selection] = WeakKeyDictionary()


def whole(scope: Scope) -> Selection:
    """All real columns, and nothing else."""
    selection = _WHOLE.get(scope)
    if selection is None:
        selection = _WHOLE[scope] = Selection(all_columns(scope))
    return selection


class SelectionParser:
    """Parses requests about one scope, appending their values to ``values``."""

    def __init__(self, scope: Scope, values: Values, path: str = "", depth: int = 0):
        self._scope = scope
        self._values = values
        self._path = path
        self._depth = depth

    def parse(self, request: Mapping[str, Any], columns: str = "columns") -> Selection:
        """A selection without limit and offset.

        :param columns: the argument that names the columns.
        :raises InvalidArgument: naming the place.
        """
        if all(request.get(name) is None for name in ("where", "include", "order", columns)):
            return self._whole()
        where = request.get("where")
        condition = (
            None
            if where is None
            else WhereParser(self._scope, self._values).parse(
                where, f"{self._path}where", self._depth
            )
        )
        embeds = self._known_embeds(request.get("include"))
        items = self._items(request.get(columns), embeds, columns)
        order = parse_order(
            self._scope, request.get("order"), f"{self._path}order", self._values, items
        )
        if is_grouped(items):
            order = tuple(self._grouping(term, items) for term in order)
        selection = Selection(items, condition, order, embeds=embeds)
        if embeds or request.get(columns) is not None:
            self._check(selection, columns)
        return selection

    def _grouping(self, term: OrderTerm, items: tuple[Item, ...]) -> OrderTerm:
        """The term with the path that rows are grouped by, if it is spelled as that is.

        Keys travel as parameters, of which PostgreSQL does not know that they are equal.
        """
        if term.field is None or term.relationship is not None:
            return term
        spelled = self._spelled(term.field)
        for item in items:
            if item.field and not item.aggregate and self._spelled(item.field) == spelled:
                return replace(term, field=item.field)
        return term

    def _spelled(self, field: Field) -> tuple[Any, ...]:
        return (
            field.column,
            field.cast,
            field.computed,
            [
                (s.kind, s.name, s.as_text, *(self._values[p] for p in s.positions))
                for s in field.steps
            ],
        )

    def _items(self, given: Any, embeds: tuple[Embed, ...], name: str) -> tuple[Item, ...]:
        path = f"{self._path}{name}"
        if given is not None:
            items = parse_columns(self._scope, given, path, self._values)
            if not items and not embeds:
                raise InvalidArgument(path, "name at least one column")
            return items
        # What is embedded under a column's name, such as that of a foreign key, takes its place.
        taken = {embed.label for embed in embeds if not embed.spread}
        items = self._whole().items
        return tuple(item for item in items if item.label not in taken) if taken else items

    def _whole(self) -> Selection:
        """All real columns. Those of an embedded row count as if they were named."""
        selection = whole(self._scope)
        if self._depth:
            self._values.ask_for("columns", len(selection.items), f"{self._path}columns")
        return selection

    def _check(self, selection: Selection, columns: str) -> None:
        labels = selection.labels()
        if len(set(labels)) < len(labels):
            (twice, _), *_ = Counter(labels).most_common(1)
            error = InvalidArgument(
                f"{self._path}{columns}",
                f'"{twice}" would be there twice: name the columns that are wanted, '
                'or give one an alias, as in "other:name"',
            )
            for scope, field in labelled_fields(self._scope, selection, twice):
                mention_field(error.mentions, scope, field)
            raise error
        if selection.grouped:
            self._check_groups(selection)

    def _check_groups(self, selection: Selection) -> None:
        """Refuse what the rows of a group do not have in common."""
        fields = {item.field for item in selection.items if not item.aggregate}
        names = {item.label for item in selection.items}
        columns_of_groups = {field.column for field in fields if field and field.is_column}
        source = self._scope.relation.key
        for embed in selection.embeds:
            if not _goes_by(embed.relationship, columns_of_groups):
                error = InvalidArgument(
                    below(f"{self._path}include", embed.label),
                    "rows that aggregates have grouped lead on only by the columns that group "
                    "them: add to columns the foreign key's or, from the other side, those that "
                    "it refers to",
                ).about(source, *columns_of_groups)
                mention_way(error.mentions, embed.relationship)
                raise error
        for index, term in enumerate(selection.order):
            if term.relationship is not None:
                known = _goes_by(term.relationship, columns_of_groups)
            else:
                known = term.label in names or term.field in fields
            if not known:
                error = InvalidArgument(
                    f"{self._path}order[{index}]",
                    "with aggregates rows are ordered only by what is in columns: add it there",
                )
                mention_term(error.mentions, self._scope, term)
                if term.relationship is not None:
                    mention_way(error.mentions, term.relationship)
                raise error

    # --- include -------------------------------------------------------------------------------

    def _known_embeds(self, given: Any) -> tuple[Embed, ...]:
        """As :meth:`_embeds`; one that holds no values is parsed only once.

        A client repeats its includes to the letter, and parsing three levels takes longer than
        anything else that a call does here.
        """
        if not given or self._depth or not _is_small(given):
            return self._embeds(given)
        try:
            key = self._scope.relation.key, json.dumps(given)
        except (TypeError, ValueError):
            return self._embeds(given)
        known: tuple[tuple[Embed, ...], Counter[Counted]] | None = self._scope.includes.get(key)
        if known is not None:
            embeds, counted = known
            for what, number in counted.items():
                self._values.ask_for(what, number, f"{self._path}include")
            return embeds
        positions, before = len(self._values), self._values.counted.copy()
        embeds = self._embeds(given)
        if len(self._values) == positions:
            counted = self._values.counted - before
            self._scope.includes.put(key, (embeds, counted), _MOST_KEPT * len(key[1]))
        return embeds

    def _embeds(self, given: Any) -> tuple[Embed, ...]:
        path = f"{self._path}include"
        if given is None:
            return ()
        if isinstance(given, str):
            given = [given]
        if isinstance(given, list) and all(isinstance(key, str) for key in given):
            given = dict.fromkeys(given)
        if not isinstance(given, Mapping) or not all(isinstance(key, str) for key in given):
            raise InvalidArgument(path, 'expected a dict such as {"customer": {}}, or a list')
        check_depth(self._values.limits, self._depth + bool(given), path)
        self._values.ask_for("includes", len(given), path)
        embeds: dict[str, Embed] = {}
        for key, value in given.items():
            place = below(path, key)
            embed = self._embed(key, value, place)
            if embed.label in embeds:
                raise InvalidArgument(
                    place, f'"{embed.label}" is named twice; '
                    f'give one an alias, as in "other:{excerpt(key)}"'
                )  # fmt: skip
            embeds[embed.label] = embed
        return tuple(embeds.values())

    def _embed(self, key: str, given: Any, path: str) -> Embed:
        label, relationship = self._scope.relationship(key, path)
        request = {} if given is None or given is True else given
        if not isinstance(request, Mapping):
            raise InvalidArgument(path, 'expected a dict such as {"columns": ["id"]}, or {}')
        for name in request:
            if name not in EMBED_ARGUMENTS:
                raise InvalidArgument(
                    below(path, name), f"unknown argument{suggest(name, EMBED_ARGUMENTS)}"
                )
        inner, spread = (_flag(request.get(name), f"{path}.{name}") for name in ("inner", "spread"))
        scope = self._scope.target(relationship)
        parser = SelectionParser(scope, self._values, f"{path}.", self._depth + 1)
        if spread and not relationship.to_one:
            error = InvalidArgument(f"{path}.spread", "only a single related row can be spread")
            mention_way(error.mentions, relationship)
            raise error
        try:
            selection = parser.parse(request)
        except InvalidArgument as error:
            mention_related(error.mentions, relationship)
            raise
        # One row more than may be answered tells that there are too many.
        most = None if relationship.to_one else self._values.limits.max_rows + 1
        bounds, _ = parse_bounds(request, self._values, f"{path}.", most=most)
        if bounds != NO_BOUNDS:
            selection = replace(selection, bounds=bounds)
        return Embed(label, relationship, selection, inner, spread)


def labelled_fields(
    scope: Scope, selection: Selection, label: str
) -> Iterator[tuple[Scope, Field]]:
    """The fields that have a label in the rows of an answer, each with its scope."""
    for item in selection.items:
        if item.label == label and item.field is not None:
            yield scope, item.field
    for embed in selection.embeds:
        if embed.spread:
            yield from labelled_fields(scope.target(embed.relationship), embed.selection, label)


def _is_small(given: Any) -> bool:
    """Whether an include is of the size that clients write, however it is nested."""
    rest, number, length = [given], 0, 0
    while rest and number <= _MOST_KEPT and length <= _LONGEST_KEPT:
        value = rest.pop()
        number += 1
        if isinstance(value, str | bytes):
            length += len(value)
        elif isinstance(value, Mapping):
            number += len(value)
            if number <= _MOST_KEPT:
                length += sum(len(key) for key in value if isinstance(key, str))
                rest += value.values()
        elif isinstance(value, list | tuple):
            number += len(value)
            if number <= _MOST_KEPT:
                rest += value
    return number <= _MOST_KEPT and length <= _LONGEST_KEPT


def _goes_by(way: Relationship, columns: Collection[str]) -> bool:
    """Whether all that leads to the related rows are ``columns``."""
    return way.source_columns is not None and set(way.source_columns) <= set(columns)


def _flag(value: Any, path: str) -> bool:
    if value is not None and not isinstance(value, bool):
        raise InvalidArgument(path, "expected true or false")
    return bool(value)


def needed_columns(selection: Selection) -> list[str] | None:
    """The real columns of a row that answering it takes; None where the whole row is an argument.

    A role need not be allowed to read the others.
    """
    fields = [item.field for item in selection.items]
    names: dict[str, None] = {}
    for term in selection.order:
        if term.relationship is None:
            fields.append(term.field)
    if any(field is not None and field.computed for field in fields):
        return None
    names.update((field.column, None) for field in fields if field is not None)
    ways = [term.relationship for term in selection.order if term.relationship is not None]
    for way in (*ways, *(embed.relationship for embed in selection.embeds)):
        if way.source_columns is None:
            return None
        names.update(dict.fromkeys(way.source_columns))
    return list(names)
