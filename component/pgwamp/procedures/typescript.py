"""The API as a TypeScript module that types the calls of autobahn-js.

Interfaces come from the JSON Schemas of ``describe`` alone; what is the same for every API stands
in ``typescript.ts`` beside this module.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from importlib import resources
from itertools import chain
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
#: Payload of a change, by operation.
_CHANGES = {
    "insert": "Inserted<{row}>",
    "update": "Updated<{row}>",
    "delete": "Deleted<{row}>",
    "truncate": "Truncated",
}
#: Where a topic has the value of a column; without a name where that is not shown.
_PLACE = re.compile(r"\{[^{}]*\}")
_ANY_ROW = "{ [name: string]: unknown }"
_ANY_EVENT = f"(Changed<{_ANY_ROW}> | Published)[]"
#: Keyword results of ``changes``.
_RESUME: Schema = {
    "properties": {"next": {"type": "string"}, "more": {"type": "boolean"}},
    "required": ["next", "more"],
}


def typescript(api: Mapping[str, Any]) -> str:
    """A module of interfaces, ``call`` and ``subscribe``, for ``tsc --strict`` (5.0 or newer).

    :param api: what ``describe`` answers.
    """
    types = _Types()
    rows = _declare(types, api)
    procedures = [_procedure(types, rows, entry) for entry in api["procedures"]]
    topics = _topics(types, api["topics"])
    prelude = resources.files(__package__).joinpath("typescript.ts").read_text(encoding="utf-8")
    parts = [
        "// Made by `pgwamp describe --format typescript`; make it again instead of editing it.",
        prelude.rstrip(),
        *types.declarations,
        _block("export interface Procedures", procedures),
        _block("export interface Topics", topics),
    ]
    return "\n\n".join(parts) + "\n"


def _topics(types: _Types, topics: Iterable[Mapping[str, Any]]) -> list[str]:
    """Properties of the topics; one with values in it is a pattern, and fits others, too."""
    payloads: dict[str, dict[str, None]] = {}
    patterns: dict[str, re.Pattern[str]] = {}
    for topic in sorted(topics, key=lambda topic: (topic["topic"], topic["op"])):
        payload = _CHANGES[topic["op"]].format(row=types.of(topic["row"]))
        payload = f"Batch<{payload}>" if topic.get("batch") else payload
        payloads.setdefault(topic["topic"], {})[payload] = None
        if topic.get("template"):
            fixed = _PLACE.split(topic["topic"])
            patterns[topic["topic"]] = re.compile(".*".join(map(re.escape, fixed)), re.DOTALL)
    properties = []
    for name, own in payloads.items():
        if name not in patterns:
            properties.append(_property(name, " | ".join(own)))
            continue
        fitting = [p for other, p in payloads.items() if patterns[name].fullmatch(other)]
        union = " | ".join(dict.fromkeys(chain(own, *fitting)))
        pattern = "${string}".join(_escaped(part) for part in _PLACE.split(name))
        properties.append(f"[topic: `{pattern}`]: {union};")
    return properties


def _escaped(text: str) -> str:
    """Text between the backquotes of a template literal."""
    return re.sub(r"([\\`$])", r"\\\1", text)


def _declare(types: _Types, api: Mapping[str, Any]) -> dict[str, str]:
    """Name what rows and arguments are made of; answers the row type of each relation."""
    rows: dict[str, str] = {}
    prefix = f"{api['prefix']}."
    for entry in api["procedures"]:
        path = entry["uri"].removeprefix(prefix).split(".")
        base = _pascal(path[:-1] if "relation" in entry else path)
        for schema in _objects(entry.get("result", {})):
            name = types.declare(f"{base}Row", schema, entry.get("description"))
            rows.setdefault(entry.get("relation", ""), name)
        for argument in entry.get("arguments", ()):
            word = "Values" if argument["name"] in ("rows", "values") else argument["name"]
            for schema in _objects(argument["schema"]):
                types.declare(base + _pascal([word]), schema, None, given=True)
    return rows


def _procedure(types: _Types, rows: Mapping[str, str], entry: Mapping[str, Any]) -> str:
    result = types.of(entry["result"]) if "result" in entry else "unknown"
    keywords = entry.get("keywords")
    if entry["kind"] == "changes":
        relation = entry.get("relation")
        result = f"Changed<{rows.get(relation, _ANY_ROW)}>[]" if relation else _ANY_EVENT
        keywords = keywords or _RESUME
    ways = entry.get("overloads") or [entry.get("arguments", [])]
    forms = []
    for arguments in ways:
        lines = [
            f"names: [{', '.join(_literal(argument['name']) for argument in arguments)}];",
            _block("arguments:", [_argument(types, argument) for argument in arguments]) + ";",
            f"result: {result};",
        ]
        if keywords:
            lines.append(f"keywords: {types.of(keywords)};")
        if entry["kind"] == "live":
            lines.append(f"live: {types.of(_live_row(entry))};")
        forms.append(_block("", lines))
    return _property(entry["uri"], " | ".join(forms), doc=entry.get("description"))


def _live_row(entry: Mapping[str, Any]) -> Schema:
    """What a live query lists."""
    whole, _ = entry["progress"]["oneOf"]
    row: Schema = whole["properties"]["rows"]["items"]
    return row


def _argument(types: _Types, argument: Mapping[str, Any]) -> str:
    schema = argument["schema"]
    return _property(
        argument["name"],
        types.of(schema, given=True),
        optional=not argument["required"],
        doc=schema.get("description"),
    )


class _Types:
    """JSON Schemas as types; an object declared once is referred to by its name.

    What a caller gives may leave properties out, what it is answered has all of them, unless the
    schema says which are ``required``.
    """

    def __init__(self) -> None:
        self.declarations: list[str] = []
        self._names: dict[str, str] = {}

    def declare(self, name: str, schema: Schema, doc: str | None, *, given: bool = False) -> str:
        """Give an object a name, or say which it has."""
        key = _key(schema, given)
        if key not in self._names:
            taken, number, wanted = set(self._names.values()), 2, name
            while name in taken:
                name, number = f"{wanted}{number}", number + 1
            members = _Schema(self._names, schema, given).members(schema)
            self._names[key] = name
            self.declarations.append(_comment(doc) + _block(f"export interface {name}", members))
        return self._names[key]

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
            return _union(_literal(v) for v in schema.get("enum", [schema.get("const")]))
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
            _property(
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
        return "Bytes" if schema.get("contentEncoding") == "binary" else _PLAIN[kind]

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


def _objects(schema: Schema) -> Iterator[Schema]:
    """The objects with known properties that a value is, or is a list of."""
    for part in (*schema.get("oneOf", ()), *schema.get("anyOf", ())):
        yield from _objects(part)
    if isinstance(schema.get("items"), Mapping):
        yield from _objects(schema["items"])
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


def _property(name: str, value: str, *, optional: bool = False, doc: str | None = None) -> str:
    key = name if _IDENTIFIER.fullmatch(name) else _literal(name)
    return f"{_comment(doc)}{key}{'?' if optional else ''}: {value};"


def _block(head: str, members: Sequence[str]) -> str:
    if not members:
        return f"{head} {{}}".lstrip()
    lines = [f"  {line}".rstrip() for member in members for line in member.split("\n")]
    return "\n".join([f"{head} {{".lstrip(), *lines, "}"])


def _comment(text: str | None) -> str:
    """A JSDoc comment that its text cannot end."""
    lines = [line.strip() for line in (text or "").replace("*/", "*\\/").splitlines()]
    if not any(lines):
        return ""
    if len(lines) == 1:
        return f"/** {lines[0]} */\n"
    return "\n".join(["/**", *(f" * {line}".rstrip() for line in lines), " */"]) + "\n"


def _literal(value: Any) -> str:
    # Some characters that JSON leaves as they are end a line in JavaScript.
    return json.dumps(value, ensure_ascii=isinstance(value, str) and not value.isprintable())


def _pascal(parts: Iterable[str]) -> str:
    """A name for a type: ``order_items`` becomes ``OrderItems``."""
    words = [word for part in parts for word in re.findall(r"[A-Za-z0-9]+", part)]
    name = "".join(word[0].upper() + word[1:] for word in words)
    return name if name and not name[0].isdigit() else f"_{name}"
