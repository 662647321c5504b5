"""Bounds on the work of pydantic, which holds the event loop until an argument is validated."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from pgwamp.errors import InvalidArgument, StartError
from pgwamp.procedures.tries import Places, count
from pgwamp.values import Budget

#: Members of the lists and dicts of one call that may become keys. Python hashes numbers and UUIDs
#: without a secret: a caller can give keys of one hash, and each is compared with all the others.
MOST_KEYS = 1_000
#: Keys that one counts as whose type may compare in Python: that takes up to ten times as long.
_KEYS_PER_SLOW_KEY = 10
#: Types of keys without chosen hashes: those of texts have a secret, the others are few.
_SAFE_KEYS = {"str", "literal", "enum", "bool", "none", "nullable", "union", "definition-ref"}
#: Types by measure: to compare a thousand of one hash holds the event loop for at most 30 ms.
_QUICK_KEYS = _SAFE_KEYS | {
    "int", "float", "complex", "decimal", "uuid", "bytes", "date", "time", "datetime", "timedelta",
    "tuple", "frozenset", "any", "default",
}  # fmt: skip
#: Errors that pydantic may make of the arguments of one call, of choices in unions, too; nested
#: ones count as more. To make so many holds the event loop for about 25 ms.
MOST_ERRORS = 100_000
_NUMBERS = {"int", "float", "decimal", "complex", "fraction"}
#: Keys of a node that do not concern what enters.
_OTHER_USES = ("serialization", "metadata")
#: The beginning of a long number, as Python reads one: "nan" and "snan" may have digits, too.
_LONG_NUMBER = re.compile(r"[\s\d_.+\-/eEsSnNaA]{40}")


class Shape:
    """The work that a caller can make of an argument, as pydantic's core schema of it tells.

    :raises StartError: pydantic would read JSON, whose values nobody has counted, or would leave
        the values to the function to validate.
    """

    def __init__(self, schema: Mapping[str, Any]):
        definitions = {node["ref"]: node for node in _nodes(schema, {}) if "ref" in node}
        nodes = list(_nodes(schema, definitions))
        types = {node["type"] for node in nodes}
        if "json" in types:
            raise StartError("annotate the value itself instead of Json: messages hold values")
        if "generator" in types:
            raise StartError("annotate a list instead of Iterable or Generator: pydantic would "
                             "check its members only while the function reads them")  # fmt: skip
        self.numbers = not types.isdisjoint(_NUMBERS)
        self.keys = max(_keys(node, definitions) for node in nodes)
        self.place = Places(definitions).root(schema)


class Work:
    """The work that pydantic may still do for a call."""

    def __init__(self) -> None:
        self._keys = MOST_KEYS
        self._numbers = Budget()
        self._errors = MOST_ERRORS

    def spend(self, shape: Shape, argument: Any, name: str) -> None:
        """Take from what is left, before it is done. Raises :class:`InvalidArgument`."""
        self._spend_keys_and_numbers(shape, argument, name)
        self._errors -= count(shape.place, argument, self._errors)
        if self._errors < 0:
            raise InvalidArgument(
                name, f"may take more than {MOST_ERRORS} errors to check: send fewer values in one "
                "call, or less nested ones; the author of the procedure can give the unions in its "
                "annotation a discriminator"
            )  # fmt: skip

    def _spend_keys_and_numbers(self, shape: Shape, argument: Any, name: str) -> None:
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
    if types <= _SAFE_KEYS:
        return 0
    return 1 if types <= _QUICK_KEYS else _KEYS_PER_SLOW_KEY


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
            # Only a node is a dict with the text of a type: the name of a field may be anything.
            skipped = _OTHER_USES if isinstance(part.get("type"), str) else ()
            rest += [value for key, value in part.items() if key not in skipped]
        elif isinstance(part, list | tuple):
            rest += part
