"""A count of what pydantic may try to validate a value, from the core schema of its annotation.

pydantic tries each choice of a union with the whole value. Where unions are nested, each level of
the value multiplies the tries by the number of the choices, unless a discriminator names one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from types import NoneType
from typing import Any

#: Where a part of a dict or list is: the keys and positions that lead to it.
Path = tuple[Any, ...]
#: Errors are counted in eighths of one that is not nested: each level is written into its place.
_EIGHTHS = 8
#: Levels that one stands for within one validator of the "wrap" mode: there all errors become an
#: exception and back, with the whole of their places.
_LEVELS_OF_A_WRAP = 2
#: Levels that a union stands for: it takes the errors of its choices over.
_LEVELS_OF_A_UNION = 2
#: Tries of a place that are counted without a look at the value.
_EASY_TRIES = 2
#: Keys of a node whose nodes are tried with the same value.
_WRAPPED = ("schema", "python_schema", "lax_schema", "strict_schema")
_TRANSPARENT = {"union", "nullable", "default", "definitions"}
_LISTS = {"list", "set", "frozenset", "deque", "tuple"}
_DICTS = {"dict", "frozendict", "ordered-dict", "counter"}
_FIELDS = {"model-fields", "typed-dict", "dataclass-args", "named-tuple"}
_PLAIN = {"str": str, "bytes": bytes, "int": int, "float": float, "bool": bool, "none": NoneType}


@dataclass(slots=True, eq=False)
class Place:
    """All that pydantic tries with a value at one place of an annotation."""

    tries: int = 0
    #: Types of values that fit one try exactly: pydantic tries no other.
    exact: set[type] = field(default_factory=set)
    #: The names of the required fields of each model, and the length of each tuple.
    models: list[frozenset[str]] = field(default_factory=list)
    lengths: list[int] = field(default_factory=list)
    fields: list[tuple[Path, Place]] = field(default_factory=list)
    #: What is tried with each member of a list, each value of a dict, and each of its keys.
    items: list[Place] = field(default_factory=list)
    values: list[Place] = field(default_factory=list)
    keys: list[Place] = field(default_factory=list)
    #: Discriminators, and what is tried for each of their tags.
    tagged: list[tuple[Any, Mapping[Any, Place]]] = field(default_factory=list)
    #: Easy tries with each member of a list, and with each key and value of a dict.
    item_tries: int = 0
    entry_tries: int = 0
    unions: int = 0
    #: Validators that call the others and handle their errors.
    wraps: int = 0
    #: Nothing is tried with parts of the value; see :meth:`leave_out`.
    is_leaf: bool = False

    @property
    def is_easy(self) -> bool:
        """Whether to count its tries without a look at each value."""
        alone = not (self.models or self.lengths or self._parts)
        return alone and (self.tries <= _EASY_TRIES or not self.exact)

    @property
    def _parts(self) -> bool:
        return bool(self.fields or self.items or self.values or self.keys or self.tagged)

    def leave_out(self, easy: set[int]) -> None:
        """Count the easy places of parts together. ``easy`` are the ids of all."""
        # Keys are texts as they come.
        self.keys = [place for place in self.keys if str not in place.exact]
        self.item_tries = sum(place.tries for place in self.items if id(place) in easy)
        entries = self.keys + self.values
        self.entry_tries = sum(place.tries for place in entries if id(place) in easy)
        for places in (self.items, self.values, self.keys):
            places[:] = [place for place in places if id(place) not in easy]
        # A few errors of a field that is there are counted with its dict or list.
        self.fields = [
            (path, place)
            for path, place in self.fields
            if id(place) not in easy or place.tries > _EASY_TRIES
        ]
        self.is_leaf = not self._parts

    def errors(self, value: Any) -> int:
        """Return how many errors there may be of the value, its leaves, and fields it lacks."""
        if type(value) in self.exact:
            return 0
        errors = self.tries
        if isinstance(value, list):
            errors += self.item_tries * len(value)
            for length in self.lengths:
                errors += max(length, len(value))
        elif isinstance(value, dict):
            errors += self.entry_tries * len(value)
            for required in self.models:
                errors += len(value) + len(required - value.keys())
        return errors

    def parts(self, value: Any) -> Iterator[tuple[Place, Any, int]]:
        """Yield all that is tried next: where, with which part, and how many levels deeper."""
        for discriminator, places in self.tagged:
            place = _tagged(discriminator, places, value)
            if place is not None:
                yield place, value, 0
        if not isinstance(value, dict | list):
            return
        for path, place in self.fields:
            found = _parts_at(value, path)
            yield from ((place, part, len(path)) for part in found)
        if isinstance(value, dict):
            yield from ((place, part, 1) for place in self.values for part in value.values())
            yield from ((place, key, 1) for place in self.keys for key in value)
        else:
            yield from ((place, part, 1) for place in self.items for part in value)


def count(place: Place, argument: Any, most: int) -> int:
    """Return how many errors pydantic may make of ``argument``, nested ones as several.

    Each value that is looked at counts, too. It ends where the count is above ``most``.
    """
    enough = most * _EIGHTHS
    counted, rest = 0, [(place, argument, 0, 0)]
    while rest and counted <= enough:
        place, value, level, wraps = rest.pop()
        wraps += place.wraps
        weight = _EIGHTHS + level + _LEVELS_OF_A_WRAP * wraps * level
        counted += place.errors(value) * weight
        if place.is_leaf:
            continue
        level += _LEVELS_OF_A_UNION * place.unions
        for inner, part, deeper in place.parts(value):
            counted += _EIGHTHS
            if counted > enough:
                break
            rest.append((inner, part, level + deeper, wraps))
    return counted // _EIGHTHS


class Places:
    """The places of a core schema."""

    def __init__(self, definitions: Mapping[str, Mapping[str, Any]]):
        self._definitions = definitions
        self._known: dict[int, Place] = {}

    def root(self, schema: Mapping[str, Any]) -> Place:
        """Return the place of an argument."""
        root = self._of(schema)
        places = self._known.values()
        easy = {id(place) for place in places if place.is_easy}
        for place in places:
            place.leave_out(easy)
        return root

    def _of(self, schema: Mapping[str, Any]) -> Place:
        """Return the place of a value that ``schema`` is for."""
        place = self._known.get(id(schema))
        if place is None:
            # Known before it is complete: a schema may refer to itself.
            place = self._known[id(schema)] = Place()
            self._add(place, schema, frozenset(), plain=True)
        return place

    def _add(
        self, place: Place, node: Mapping[str, Any], within: frozenset[str], *, plain: bool
    ) -> None:
        """Add what ``node`` tries with the value itself.

        :param within: the references that led here.
        :param plain: nothing else checks the value.
        """
        kind = node["type"]
        if kind == "definition-ref":
            if node["schema_ref"] not in within:
                reference = node["schema_ref"]
                self._add(place, self._definitions[reference], within | {reference}, plain=plain)
            return
        inner = [node[key] for key in _WRAPPED if key in node] + list(node.get("steps", ()))
        if kind == "union":
            place.unions += 1
            inner += [c[0] if isinstance(c, tuple) else c for c in node["choices"]]
        for wrapped in inner:
            self._add(place, wrapped, within, plain=plain and kind in _TRANSPARENT)
        if not inner:
            place.tries += 1
        if kind == "function-wrap":
            place.wraps += 1
        elif kind == "nullable":
            place.exact.add(NoneType)
        elif plain and kind in _PLAIN and node.keys() <= {"type", "metadata", "ref"}:
            place.exact.add(_PLAIN[kind])
        elif kind == "tagged-union":
            places = {tag: self._of(choice) for tag, choice in node["choices"].items()}
            values = {tag.value: places[tag] for tag in places if isinstance(tag, Enum)}
            place.tagged.append((node["discriminator"], places | values))
        elif kind in _FIELDS:
            self._add_fields(place, node)
        elif kind in _LISTS or kind in _DICTS:
            self._add_members(place, node)

    def _add_members(self, place: Place, node: Mapping[str, Any]) -> None:
        items = node.get("items_schema")
        if isinstance(items, list | tuple):
            if "variadic_item_index" in node:
                place.items += [self._of(item) for item in items]
            else:
                place.lengths.append(len(items))
                place.fields += [((n,), self._of(item)) for n, item in enumerate(items)]
        elif items is not None:
            place.items.append(self._of(items))
        if "values_schema" in node:
            place.values.append(self._of(node["values_schema"]))
        if "keys_schema" in node:
            place.keys.append(self._of(node["keys_schema"]))

    def _add_fields(self, place: Place, node: Mapping[str, Any]) -> None:
        fields = node["fields"]
        named = fields.items() if isinstance(fields, Mapping) else [(f["name"], f) for f in fields]
        required = set()
        for position, (name, one) in enumerate(named):
            schema = one["schema"]
            paths = _paths(one.get("validation_alias"))
            if schema["type"] != "default" and one.get("required", True):
                required.add(paths[0][0] if paths else name)
            child = self._of(schema)
            place.fields += [(path, child) for path in {(name,), *paths}]
            if node["type"] == "named-tuple":
                place.fields.append(((position,), child))
        if node["type"] == "named-tuple":
            place.lengths.append(len(required))
        place.models.append(frozenset(required))
        if "extras_schema" in node:
            place.values.append(self._of(node["extras_schema"]))


def _paths(alias: str | Sequence[Any] | None) -> list[Path]:
    """Return where a field may be: an alias is a key, the parts of a path, or a list of paths."""
    if alias is None:
        return []
    if isinstance(alias, str):
        return [(alias,)]
    return [tuple(path) for path in alias] if isinstance(alias[0], list) else [tuple(alias)]


def _parts_at(value: Any, path: Path) -> list[Any]:
    """Return the part that a path leads to, if there is one."""
    for key in path:
        if isinstance(value, dict):
            if key not in value:
                return []
        elif not (isinstance(value, list) and type(key) is int and key < len(value)):
            return []
        value = value[key]
    return [value]


def _tagged(
    discriminator: str | Sequence[Any] | Callable[[Any], Any],
    places: Mapping[Any, Place],
    value: Any,
) -> Place | None:
    """Return the place that the tag of a value names."""
    if callable(discriminator):
        tags = [discriminator(value)]
    else:
        tags = [tag for path in _paths(discriminator) for tag in _parts_at(value, path)]
    known = (tag for tag in tags if not isinstance(tag, list | dict) and tag in places)
    return next((places[tag] for tag in known), None)
