"""Bounds on the work of pydantic, which holds the event loop until an argument is validated."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from pgwamp.errors import InvalidArgument, StartError
from pgwamp.pgtypes import Budget

#: Members of the lists and dicts of one call that may become keys. Python hashes numbers and UUIDs
#: without a secret: a caller can give keys of one hash, and each is compared with all the others.
MOST_KEYS = 1_000
#: Keys that a model stands for: pydantic compares models in Python, and many times slower.
_KEYS_OF_A_MODEL = 10
#: Types of keys without chosen hashes: those of texts have a secret, the others are few.
_SAFE_KEYS = {"str", "literal", "enum", "bool", "none", "nullable", "union", "definition-ref"}
_NUMBERS = {"int", "float", "decimal", "complex", "fraction"}
#: The beginning of a long number, as Python reads one: "nan" and "snan" may have digits, too.
_LONG_NUMBER = re.compile(r"[\s\d_.+\-/eEsSnNaA]{40}")


class Shape:
    """The work that a caller can make of an argument, as pydantic's core schema of it tells.

    :raises StartError: pydantic would read JSON, whose values nobody has counted.
    """

    def __init__(self, schema: Mapping[str, Any]):
        definitions = {node["ref"]: node for node in _nodes(schema, {}) if "ref" in node}
        nodes = list(_nodes(schema, definitions))
        types = {node["type"] for node in nodes}
        if "json" in types:
            raise StartError("annotate the value itself instead of Json: messages hold values")
        self.numbers = not types.isdisjoint(_NUMBERS)
        self.keys = max(_keys(node, definitions) for node in nodes)


class Work:
    """The work that pydantic may still do for a call."""

    def __init__(self) -> None:
        self._keys = MOST_KEYS
        self._numbers = Budget()

    def spend(self, shape: Shape, argument: Any, name: str) -> None:
        """Take from what is left, before it is done. Raises :class:`InvalidArgument`."""
        rest = [argument] if shape.numbers or shape.keys else []
        while rest:
            value = rest.pop()
            if isinstance(value, str):
                if shape.numbers and _LONG_NUMBER.match(value):
                    self._numbers.spend_number(value, name)
            elif isinstance(value, list | dict):
                self._keys -= shape.keys * len(value)
                if self._keys < 0:
                    raise InvalidArgument(
                        name, f"more than {MOST_KEYS // shape.keys} members, in one call, of lists "
                        "and dicts for sets, and for dicts with keys that are not texts; "
                        "send them in several calls"
                    )  # fmt: skip
                rest += value
                if isinstance(value, dict):
                    rest += value.values()


def _keys(node: Mapping[str, Any], definitions: Mapping[str, Any]) -> int:
    """Return for how many keys a member may stand that gets into what ``node`` makes."""
    if node["type"] in ("set", "frozenset"):
        keys = node.get("items_schema", {"type": "any"})
    elif node["type"] == "dict" and node.get("keys_schema", {}).get("type", "any") == "any":
        return 0  # The keys stay as they came: texts.
    else:
        keys = node.get("keys_schema")
    types = {key["type"] for key in _nodes(keys, definitions)}
    if "model" in types:
        return _KEYS_OF_A_MODEL
    return 0 if types <= _SAFE_KEYS else 1


def _nodes(schema: Any, definitions: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """The core schema, those within it, and those it refers to, each once."""
    rest, seen = [schema], set()
    while rest:
        part = rest.pop()
        if id(part) in seen:
            continue
        seen.add(id(part))
        if isinstance(part, dict):
            if isinstance(part.get("type"), str):
                yield part
            if part.get("type") == "definition-ref":
                rest.append(definitions.get(part["schema_ref"]))
            rest += part.values()
        elif isinstance(part, list | tuple):
            rest += part
