"""The API as a Markdown page, out of what ``describe`` answers."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import groupby
from typing import Any

Schema = Mapping[str, Any]

_SPECIAL = re.compile(r"([\\`*_{}\[\]<>|#~!&])")
#: What would make a line that begins with it a list, a heading or the ruler of a table.
_LEADING = re.compile(r"^(\d*)([-+=:.)])")
#: How a live query takes the tables that it reads.
_FOLLOWED = {
    "follows": "Followed",
    "partly": "Followed in part",
    "ignores": "Not followed",
}
_HAPPENED = {"insert": "inserted", "update": "updated", "delete": "deleted"}


def markdown(api: Mapping[str, Any]) -> str:
    """A page of every procedure, ordered by URI, and of every topic.

    Texts of the database are shown as they are written: nothing in them is taken for Markdown.

    :param api: what ``describe`` answers.
    """
    blocks = [f"# {_code(api['prefix'])}", "## Procedures"]
    for (path, relation), group in groupby(api["procedures"], key=_belongs_to):
        entries = list(group)
        blocks += _relation(path, entries) if relation else _procedure(entries[0], 3, {})
    if api["topics"]:
        topics = sorted(api["topics"], key=lambda topic: (topic["topic"], topic["op"]))
        events = [(_code(topic["topic"]), _event(topic)) for topic in topics]
        blocks += ["## Topics", _table(("topic", "event"), events)]
    return "\n\n".join(blocks) + "\n"


def _belongs_to(entry: Mapping[str, Any]) -> tuple[str, str | None]:
    uri, relation = entry["uri"], entry.get("relation")
    return (uri.rpartition(".")[0] if relation else uri), relation


def _relation(path: str, entries: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    """A relation: its rows, then its verbs."""
    row = next((found for entry in entries for found in _rows(entry.get("result"))), {})
    said = next((entry.get("description") for entry in entries if "verb" in entry), None)
    yield f"### {_code(path)}"
    if said:
        yield _text(said)
    if row:
        yield _columns(row)
    for entry in entries:
        same = entry.get("description") == said
        yield from _procedure({**entry, "description": None} if same else entry, 4, row)


def _procedure(entry: Mapping[str, Any], level: int, row: Schema) -> Iterator[str]:
    yield f"{'#' * level} {_code(entry['uri'])}"
    if entry.get("description"):
        yield _text(entry["description"])
    for arguments in entry.get("overloads") or [entry.get("arguments", [])]:
        yield _arguments(arguments, row) if arguments else "No arguments."
    if entry["kind"] == "live":
        yield _live(entry)
    elif "result" in entry:
        own = next(_rows(entry["result"]), row)
        yield f"Answers: {_type(entry['result'], own)}"
        if own != row:
            yield _columns(own)


def _live(entry: Mapping[str, Any]) -> str:
    """What a live query sends, and when."""
    tables = [
        f"{how}: {', '.join(map(_code, entry['tables'][key]))}."
        for key, how in _FOLLOWED.items()
        if entry["tables"][key]
    ]
    said = "Sends the result, and then how it differs when what it is made of has changed."
    return " ".join([said, *tables])


def _arguments(arguments: Sequence[Mapping[str, Any]], row: Schema) -> str:
    lines = [
        (
            _code(argument["name"]),
            _type(argument["schema"], row),
            _manner(argument),
            _text(argument["schema"].get("description"), line=True),
        )
        for argument in arguments
    ]
    return _table(("argument", "type", "", "meaning"), lines)


def _manner(argument: Mapping[str, Any]) -> str:
    """Whether an argument must be given, and how."""
    words = ["required"] if argument["required"] else []
    if "by" in argument:
        words.append(f"by {argument['by']}")
    return ", ".join(words)


def _columns(row: Schema) -> str:
    lines = [
        (_code(name), _type(schema, {}), _text(schema.get("description"), line=True))
        for name, schema in row["properties"].items()
    ]
    return _table(("column", "type", "meaning"), lines)


def _event(topic: Mapping[str, Any]) -> str:
    relation = _code(topic["relation"])
    happened = _HAPPENED.get(topic["op"])
    if happened is None:
        return f"{relation} was emptied"
    what = f"rows of {relation} were" if topic.get("batch") else f"a row of {relation} was"
    return f"{what} {happened}"


def _rows(schema: Any) -> Iterator[Schema]:
    """The objects with known properties that a value is, or is a list of."""
    if isinstance(schema, Mapping):
        for part in (*schema.get("oneOf", ()), *schema.get("anyOf", ()), schema.get("items")):
            yield from _rows(part)
        if schema.get("properties"):
            yield schema


def _type(schema: Any, row: Schema) -> str:
    """A JSON Schema in words; ``row`` is the object that needs none."""
    if not isinstance(schema, Mapping) or "$ref" in schema:
        return "any value"
    if "const" in schema or "enum" in schema:
        return _either(_literal(v) for v in schema.get("enum", [schema.get("const")]))
    for keyword in ("oneOf", "anyOf"):
        if keyword in schema:
            return _either(_type(part, row) for part in schema[keyword])
    kinds = schema.get("type", "object" if "properties" in schema else [])
    kinds = [kinds] if isinstance(kinds, str) else kinds
    return _either(_kind(kind, schema, row) for kind in kinds) or "any value"


def _kind(kind: str, schema: Schema, row: Schema) -> str:
    if kind == "array":
        item = _type(schema.get("items", {}), row)
        return "list of rows" if item == "row" else f"list of {item}"
    if kind == "object" and schema.get("properties"):
        names = list(schema["properties"])
        known = set(names) <= set(row.get("properties", ()))
        return "row" if known else f"object of {', '.join(map(_code, names))}"
    if kind == "string" and "format" in schema:
        return f"string ({_text(schema['format'], line=True)})"
    return "bytes" if schema.get("contentEncoding") == "binary" and kind == "string" else kind


def _either(words: Iterable[str]) -> str:
    return " or ".join(dict.fromkeys(words))


def _literal(value: Any) -> str:
    return "null" if value is None else _code(json.dumps(value, ensure_ascii=False))


def _table(head: Sequence[str], lines: Iterable[Sequence[str]]) -> str:
    rows = [head, ["---"] * len(head), *lines]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in rows)


def _text(text: str | None, *, line: bool = False) -> str:
    """Prose as it is written; on one ``line`` for a table."""
    lines = [_escaped(part.strip()) for part in (text or "").splitlines()]
    return " ".join(filter(None, lines)) if line else "\n".join(lines).strip()


def _escaped(text: str) -> str:
    return _LEADING.sub(r"\1\\\2", _SPECIAL.sub(r"\\\1", text))


def _code(text: str) -> str:
    """A code span that its text cannot end."""
    shown = text if text.isprintable() else json.dumps(text)[1:-1]
    if "|" in shown:  # In a table a bar ends its cell, in a code span too.
        return f"<code>{_escaped(shown)}</code>"
    fence = "`" * (max(map(len, re.findall("`+", shown)), default=0) + 1)
    space = " " if "`" in (shown[:1], shown[-1:]) else ""
    return f"{fence}{space}{shown}{space}{fence}"
