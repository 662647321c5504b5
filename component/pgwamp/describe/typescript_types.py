"""JSON Schemas as types of TypeScript."""

from __future__ import annotations

import json
import re
from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from typing import Any

Schema = Mapping[str, Any]

_IDENTIFIER = re.compile(r"[A-Za-z_$][A-Za-z0-9_$]*")
_PLAIN = {
    "string": "string",
    "integer": "number",
    "number": "number",
    "boolean": "boolean",
    "null": "null",
}
#: A text beside one of them is one of digits.
_NUMBERS = {"integer", "number"}


class Types:
    """JSON Schemas as types; an object declared once is referred to by its name.

    What a caller gives may leave properties out, what it is answered has all of them, unless the
    schema says which are ``required``.
    """

    def __init__(self, taken: Container[str]) -> None:
        """Begin without declarations; no name is one of those ``taken``."""
        self.declarations: list[str] = []
        self._names: dict[str, str] = {}
        self._taken = taken
        self._made: set[str] = set()

    def declare(self, name: str, schema: Schema, doc: str | None, *, given: bool = False) -> str:
        """Give an object a name, or say which it has."""
        key = _key(schema, given)
        if key not in self._names:
            members = _Schema(self._names, schema, given).members(schema)
            self._names[key] = self.add(name, members, doc)
        return self._names[key]

    def add(self, wanted: str, members: Sequence[str], doc: str | None = None) -> str:
        """Declare an interface, under a name that is free."""
        name = self.free(wanted)
        self.declarations.append(comment(doc) + block(f"export interface {name}", members))
        return name

    def alias(self, wanted: str, typed: str) -> str:
        """Declare another name for a type, that is free."""
        name = self.free(wanted)
        self.declarations.append(f"export type {name} = {typed};")
        return name

    def free(self, wanted: str) -> str:
        """A name that nothing has, and that is then taken."""
        name, number = wanted, 2
        while name in self._taken or name in self._made:
            name, number = f"{wanted}{number}", number + 1
        self._made.add(name)
        return name

    def of(self, schema: Schema, *, given: bool = False) -> str:
        """A schema as a type."""
        return _Schema(self._names, schema, given).type(schema)


class _Schema:
    """One JSON Schema as a type; references lead to its own definitions."""

    def __init__(self, names: Mapping[str, str], root: Schema, given: bool):
        self._names = names
        self._root = root
        self._given = given
        self._open: list[str] = []

    def type(self, schema: Any) -> str:
        """Any part of the schema."""
        if not isinstance(schema, Mapping):
            return "never" if schema is False else "unknown"
        if "$ref" in schema:
            return self._reference(schema["$ref"])
        if "const" in schema or "enum" in schema:
            return _union(literal(v) for v in schema.get("enum", [schema.get("const")]))
        for keyword in ("oneOf", "anyOf"):
            if keyword in schema:
                return _union(self.type(part) for part in schema[keyword])
        if "allOf" in schema:
            return _intersection(self.type(part) for part in schema["allOf"])
        kinds = schema.get("type", "object" if "properties" in schema else [])
        kinds = [kinds] if isinstance(kinds, str) else kinds
        return _union(self._kind(kind, schema) for kind in kinds) or "unknown"

    def members(self, schema: Schema, *, documented: bool = True) -> list[str]:
        """The properties of an object, one a line."""
        required = schema.get("required", () if self._given else schema["properties"])
        return [
            property(
                name,
                self.type(part),
                optional=name not in required,
                doc=part.get("description") if documented and isinstance(part, Mapping) else None,
            )
            for name, part in schema["properties"].items()
        ]

    def _reference(self, reference: str) -> str:
        if reference in self._open:  # a type that holds itself
            return "unknown"
        found: Any = self._root
        for part in reference.removeprefix("#/").split("/"):
            found = found.get(part, {}) if isinstance(found, Mapping) else {}
        self._open.append(reference)
        try:
            return self.type(found)
        finally:
            self._open.pop()

    def _kind(self, kind: str, schema: Schema) -> str:
        if kind == "array":
            return self._list(schema)
        if kind == "object":
            return self._names.get(_key(schema, self._given)) or self._object(schema)
        if kind == "string" and schema.get("contentEncoding") == "binary":
            return "Bytes"
        if kind == "string" and "format" not in schema and _NUMBERS & set(schema["type"]):
            return "`${number}`"
        return _PLAIN[kind]

    def _list(self, schema: Schema) -> str:
        if "prefixItems" in schema:
            return f"[{', '.join(self.type(item) for item in schema['prefixItems'])}]"
        item = self.type(schema.get("items", {}))
        return f"({item})[]" if " " in item else f"{item}[]"

    def _object(self, schema: Schema) -> str:
        parts = []
        if schema.get("properties"):
            parts.append(f"{{ {' '.join(self.members(schema, documented=False))} }}")
        further = schema.get("additionalProperties", not parts)
        if further is not False:
            parts.append(f"{{ [name: string]: {self.type(further)} }}")
        return _intersection(parts) or "Record<string, never>"


def objects(schema: Schema) -> Iterator[Schema]:
    """The objects with known properties that a value is, or is a list of."""
    for part in (*schema.get("oneOf", ()), *schema.get("anyOf", ())):
        yield from objects(part)
    if isinstance(schema.get("items"), Mapping):
        yield from objects(schema["items"])
    if schema.get("properties"):
        yield schema


def _key(schema: Schema, given: bool) -> str:
    # Null beside it, and what is said about it, make no other object.
    kept = {k: v for k, v in schema.items() if k not in ("type", "description")}
    return json.dumps([given, kept], sort_keys=True)


def _union(parts: Iterable[str]) -> str:
    return " | ".join(dict.fromkeys(parts))


def _intersection(parts: Iterable[str]) -> str:
    found = list(dict.fromkeys(parts))
    return " & ".join(f"({part})" if " | " in part and len(found) > 1 else part for part in found)


def property(name: str, value: str, *, optional: bool = False, doc: str | None = None) -> str:
    key = name if _IDENTIFIER.fullmatch(name) else literal(name)
    return f"{comment(doc)}{key}{'?' if optional else ''}: {value};"


def block(head: str, members: Sequence[str]) -> str:
    if not members:
        return f"{head} {{}}".lstrip()
    lines = [f"  {line}".rstrip() for member in members for line in member.split("\n")]
    return "\n".join([f"{head} {{".lstrip(), *lines, "}"])


def comment(text: str | None) -> str:
    """A JSDoc comment that its text cannot end."""
    lines = [line.strip() for line in (text or "").replace("*/", "*\\/").splitlines()]
    if not any(lines):
        return ""
    if len(lines) == 1:
        return f"/** {lines[0]} */\n"
    return "\n".join(["/**", *(f" * {line}".rstrip() for line in lines), " */"]) + "\n"


def literal(value: Any) -> str:
    # Some characters that JSON leaves as they are end a line in JavaScript.
    return json.dumps(value, ensure_ascii=isinstance(value, str) and not value.isprintable())


def pascal(parts: Iterable[str]) -> str:
    """A name for a type: ``order_items`` becomes ``OrderItems``."""
    words = [word for part in parts for word in re.findall(r"[A-Za-z0-9]+", part)]
    name = "".join(word[0].upper() + word[1:] for word in words)
    return name if name and not name[0].isdigit() else f"_{name}"
