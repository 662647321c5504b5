"""The API as a TypeScript module that types the calls and events of autobahn-js.

Types come from the JSON Schemas of ``describe`` alone; what is the same for every API stands in
``declarations/``: how each kind of procedure is called, and what it answers.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from importlib import resources
from typing import Any

from pgwamp.describe.typescript_topics import Row, Topics
from pgwamp.describe.typescript_types import (
    Schema,
    Types,
    block,
    literal,
    objects,
    pascal,
    property,
)
from pgwamp.query.routines import ROW_ARGUMENTS, SET_ARGUMENTS

_DECLARATIONS = ("session.ts", "relations.ts", "procedures.ts", "events.ts")
_DECLARED = re.compile(r"^(?:export )?(?:interface|type|function) (\w+)", re.MULTILINE)
#: Interfaces of the module that each list something by URI or topic.
_LISTS = ("Procedures", "Streams", "LiveQueries", "Topics", "Prefixes", "Patterns")
#: How the declarations type each verb; R is the relation, V the key or the values of a row.
_VERBS = {
    "select": "Select<{R}>",
    "get": "Get<{R}, {V}>",
    "count": "Counting<{R}>",
    "insert": "Insert<{R}, {V}>",
    "update": "Update<{R}, {V}>",
    "upsert": "Upsert<{R}, {V}>",
    "delete": "Delete<{R}>",
}
#: Arguments that hold what V is made of.
_VALUED = {"get": "key", "insert": "rows", "update": "values", "upsert": "rows"}


def typescript(api: Mapping[str, Any]) -> str:
    """A module of interfaces, ``call``, ``stream``, ``listen`` and ``subscribe``.

    It is for ``tsc --strict`` (5.0 or newer). A procedure has a type of its own, so that a call
    takes the compiler no longer for the thousands of others.

    :param api: what ``describe`` answers.
    """
    folder = resources.files(__package__).joinpath("declarations")
    declarations = [
        folder.joinpath(name).read_text(encoding="utf-8").rstrip() for name in _DECLARATIONS
    ]
    types = Types({*_LISTS, *(name for part in declarations for name in _DECLARED.findall(part))})
    module = _Module(types, api)
    for entry in api["procedures"]:
        module.add(entry)
    lists = {**module.lists, **module.topics.lists()}
    parts = [
        "// Made by `pgwamp describe --format typescript`; make it again instead of editing it.",
        *declarations,
        *types.declarations,
        *(block(f"export interface {name}", lists[name]) for name in _LISTS),
    ]
    return "\n\n".join(parts) + "\n"


class _Module:
    """The procedures of a module, and what their types are made of."""

    def __init__(self, types: Types, api: Mapping[str, Any]):
        self._types = types
        self._prefix = f"{api['prefix']}."
        self.lists: dict[str, list[str]] = {"Procedures": [], "Streams": [], "LiveQueries": []}
        self._rows: dict[str, Row] = {}
        leading: dict[str, Mapping[str, Any]] = {}
        for entry in api["procedures"]:
            self._name_objects(entry)
            if entry.get("verb") == "select":
                leading[entry["relation"]] = entry
        for key, row in self._rows.items():
            self._declare_relation(row, leading.get(key, {}))
        self.topics = Topics(types, api["prefix"], api["topics"], self._rows)

    def add(self, entry: Mapping[str, Any]) -> None:
        """Add a procedure to the lists that it belongs to."""
        kind = entry["kind"]
        if kind == "relation":
            self._add_verb(entry)
        elif kind in ("function", "procedure"):
            self._add_routine(entry)
        elif kind == "live":
            row = self._types.of(_live_row(entry))
            self._list("LiveQueries", entry, f"Listen<{self._request(entry['arguments'])}, {row}>")
        elif kind == "changes":
            of = f"Changes<{self.topics.event(entry)}>" if "relation" in entry else "AllChanges"
            self._list("Procedures", entry, of)
        elif kind == "follow":
            of = f"{self.topics.row(entry)}, {self.topics.event(entry)}"
            self._list("Streams", entry, f"Follow<{of}>" if "relation" in entry else "AllFollow")
        else:
            self._add_plain(entry)

    def _list(self, name: str, entry: Mapping[str, Any], typed: str) -> None:
        self.lists[name].append(property(entry["uri"], typed, doc=entry.get("description")))

    # --- declarations --------------------------------------------------------------------------

    def _name_objects(self, entry: Mapping[str, Any]) -> None:
        """Declare what rows, keys and values are made of; name the relation."""
        base = self._base(entry)
        for schema in objects(entry.get("result", {})):
            name = self._types.declare(f"{base}Row", schema, entry.get("description"))
            if entry["kind"] == "relation" and entry["relation"] not in self._rows:
                relation = self._types.free(f"{base}Relation")
                self._rows[entry["relation"]] = Row(name, relation, schema)
        for argument in entry.get("arguments", ()):
            word = "Values" if argument["name"] in ("rows", "values") else argument["name"]
            for schema in objects(argument["schema"]):
                self._types.declare(base + pascal([word]), schema, None, given=True)

    def _base(self, entry: Mapping[str, Any]) -> str:
        path = entry["uri"].removeprefix(self._prefix).split(".")
        return pascal(path[:-1] if "relation" in entry else path)

    def _declare_relation(self, row: Row, leading: Mapping[str, Any]) -> None:
        """Declare a relation; ``leading`` is its select, which says what a row leads to."""
        related = 'AnyRelation["related"]'
        if "relationships" in leading:
            ways = leading["relationships"].items()
            related = block(
                "",
                [
                    property(key, f"{'Many' if way['many'] else 'One'}<{self._relation(way)}>")
                    for key, way in ways
                ],
            )
        further = {n: column["schema"] for n, column in leading.get("computed", {}).items()}
        computed = [property(name, self._types.of(schema)) for name, schema in further.items()]
        members = {
            "row": row.name,
            "exact": _exact({**row.schema["properties"], **further}),
            "computed": block("", computed),
            "related": related,
        }
        lines = [property(name, typed) for name, typed in members.items()]
        self._types.declarations.append(block(f"export interface {row.relation}", lines))

    def _relation(self, entry: Mapping[str, Any]) -> str:
        row = self._rows.get(entry["relation"])
        return row.relation if row else "AnyRelation"

    # --- procedures ----------------------------------------------------------------------------

    def _add_verb(self, entry: Mapping[str, Any]) -> None:
        verb, relation = entry["verb"], self._relation(entry)
        valued: Schema = next(
            (a["schema"] for a in entry["arguments"] if a["name"] == _VALUED.get(verb)), {}
        )
        values = self._types.of(valued.get("oneOf", [valued])[0], given=True)
        self._list("Procedures", entry, _VERBS[verb].format(R=relation, V=values))
        if entry.get("progressive"):
            self._list("Streams", entry, f"StreamSelect<{relation}>")

    def _add_plain(self, entry: Mapping[str, Any]) -> None:
        """A query, a Python procedure or a batch."""
        request = self._request(entry["arguments"])
        result = self._types.of(entry["result"]) if "result" in entry else "unknown"
        self._list("Procedures", entry, f"Plain<{request}, {result}>")
        if entry.get("progressive"):
            self._list("Streams", entry, f"StreamPlain<{request}, {result}>")

    def _add_routine(self, entry: Mapping[str, Any]) -> None:
        ways = entry["overloads"]
        results = entry.get("results") or [entry["result"]] * len(ways)
        relations = entry.get("rows") or [None] * len(ways)
        typed, streams = [], []
        for arguments, result, relation in zip(ways, results, relations, strict=True):
            once, stream = self._overload(arguments, result, relation)
            typed.append(once)
            streams += [stream] if stream else []
        self._list("Procedures", entry, " & ".join(dict.fromkeys(typed)))
        if streams:
            self._list("Streams", entry, " & ".join(dict.fromkeys(streams)))

    def _overload(
        self, arguments: Sequence[Mapping[str, Any]], result: Schema, relation: str | None
    ) -> tuple[str, str]:
        """The types of one overload: of its call, and of its progressive results if it has some."""
        own = [a for a in arguments if a.get("by") != "name"]
        asked = [a for a in arguments if a.get("by") == "name"]
        is_set, answer = "items" in result and bool(asked), self._types.of(result)
        if {a["name"] for a in asked} != set(SET_ARGUMENTS if is_set else ROW_ARGUMENTS):
            # Of records nothing but some of them can be asked; or it has an argument of that name.
            further = f", {self._named(asked)}" if asked else ""
            request = self._request(own)
            stream = f"StreamPlain<{request}, {answer}{further}>" if is_set else ""
            return f"Plain<{request}, {answer}{further}>", stream
        request, member = self._request(own), self._types.of(result["items"] if is_set else result)
        of = self._rows_of(result["items"] if is_set else result, relation)
        if not is_set:
            return f"ReturnsRow<{request}, {of}>", ""
        if "properties" not in result["items"]:
            of = f"{of}, {member}"
        return f"ReturnsSet<{request}, {of}>", f"StreamSet<{request}, {of}>"

    def _rows_of(self, row: Schema, relation: str | None) -> str:
        """What the rows of a function are as a relation."""
        if relation in self._rows:
            return self._rows[relation].relation
        if "properties" not in row:
            row = {"properties": {"value": row}}
        row = {**row, "type": "object"}
        typed = self._types.of(row)
        return f"RowsOf<{typed}, {_exact(row['properties'])}>"

    def _request(self, arguments: Iterable[Mapping[str, Any]]) -> str:
        """The names of the arguments in their order, and their types."""
        arguments = list(arguments)
        names = ", ".join(
            literal(f"{'...' if argument.get('variadic') else ''}{argument['name']}")
            for argument in arguments
        )
        return f"[{names}], {self._named(arguments)}"

    def _named(self, arguments: Iterable[Mapping[str, Any]]) -> str:
        return block("", [self._argument(argument) for argument in arguments])

    def _argument(self, argument: Mapping[str, Any]) -> str:
        schema = argument["schema"]
        return property(
            argument["name"],
            self._types.of(schema, given=True),
            optional=not argument["required"],
            doc=schema.get("description"),
        )


def _exact(columns: Mapping[str, Any]) -> str:
    """The columns whose values are text and may be given as numbers."""
    names = [
        literal(name)
        for name, schema in columns.items()
        if isinstance(schema, Mapping) and schema.get("format") in ("numeric", "bigint", "money")
    ]
    return " | ".join(names) or "never"


def _live_row(entry: Mapping[str, Any]) -> Schema:
    """What a live query lists."""
    whole, _ = entry["progress"]["oneOf"]
    row: Schema = whole["properties"]["rows"]["items"]
    return row
