"""What a caller may use of what is exposed: ``describe`` shows each only that."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass
from typing import Any, NamedTuple

from pgwamp.access import Caller
from pgwamp.backlog import read_backlog
from pgwamp.catalog import Routine
from pgwamp.database import Database
from pgwamp.describe.description import routine_description, with_places
from pgwamp.describe.parts import Beginnings, index_of, part_of
from pgwamp.describe.related import Related
from pgwamp.errors import InvalidArgument
from pgwamp.query.request import bind
from pgwamp.query.unknown import identity
from pgwamp.session import Call, Procedure

#: The privileges on its relation that a verb needs; all others, and topics, need SELECT.
_NEEDED: Mapping[str, frozenset[str]] = {
    "insert": frozenset({"insert"}),
    # Rows are found by the key.
    "get": frozenset({"key"}),
    "update": frozenset({"update"}),
    "upsert": frozenset({"insert", "update"}),
    "delete": frozenset({"delete"}),
    # As Database.require_select has it.
    "changes": frozenset({"every row"}),
    "follow": frozenset({"every row"}),
}
_SELECT = frozenset({"select"})
# Runs as the caller's role: privileges are those of current_user. No columns means all of them.
_PRIVILEGES = """
select n.nspname || '.' || c.relname as name,
    array_remove(array[
        case when has_any_column_privilege(c.oid, 'select') then 'select' end,
        case when has_any_column_privilege(c.oid, 'insert') then 'insert' end,
        case when has_any_column_privilege(c.oid, 'update') then 'update' end,
        case when has_table_privilege(c.oid, 'delete') then 'delete' end,
        case when has_any_column_privilege(c.oid, 'select') and not exists (
            select from pg_index as i, unnest(i.indkey::int2[]) as k (attnum)
            where i.indrelid = c.oid and i.indisprimary
                and not has_column_privilege(c.oid, k.attnum, 'select')
        ) then 'key' end,
        case when has_table_privilege(c.oid, 'select') and not c.relrowsecurity
            then 'every row' end
    ], null) as privileges,
    case when not has_table_privilege(c.oid, 'select') then array(
        select a.attname::text from pg_attribute as a
        where a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
            and has_column_privilege(c.oid, a.attnum, 'select')) end as select,
    case when not has_table_privilege(c.oid, 'insert') then array(
        select a.attname::text from pg_attribute as a
        where a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
            and has_column_privilege(c.oid, a.attnum, 'insert')) end as insert,
    case when not has_table_privilege(c.oid, 'update') then array(
        select a.attname::text from pg_attribute as a
        where a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
            and has_column_privilege(c.oid, a.attnum, 'update')) end as update
from pg_class as c
join pg_namespace as n on n.oid = c.relnamespace
where c.relkind in ('r', 'p', 'v', 'm', 'f')
    and n.nspname || '.' || c.relname = any ($1::text[])
    and has_schema_privilege(n.oid, 'usage')
"""
_EXECUTABLE = """
select concat(n.nspname, '.', p.proname, '(',
    array_to_string(p.proargtypes::oid[], ','), ')') as name
from pg_proc as p
join pg_namespace as n on n.oid = p.pronamespace
where concat(n.nspname, '.', p.proname, '(',
        array_to_string(p.proargtypes::oid[], ','), ')') = any ($1::text[])
    and has_schema_privilege(n.oid, 'usage')
    and has_function_privilege(p.oid, 'execute')
"""
#: Entries of a description that are looked at without a break, which takes some milliseconds.
PART_ENTRIES = 50
#: The columns that the rows of an argument may give, by verb and argument: those that one of these
#: privileges covers.
_GIVEN: Mapping[tuple[str, str], tuple[str, ...]] = {
    ("insert", "rows"): ("insert",),
    ("update", "values"): ("update",),
    ("update", "rows"): ("update", "select"),
    ("upsert", "rows"): ("insert", "update"),
    ("get", "key"): ("select",),
}


def describe_uri(prefix: str) -> str:
    """The URI of ``describe``."""
    return f"{prefix}.describe"


def describe_procedure(
    description: Mapping[str, Any],
    functions: Mapping[str, Sequence[Routine]],
    related: Related,
    database: Database,
) -> Procedure:
    """``describe``; with ``status`` it says how publishing stands, too.

    :param functions: URI of a SQL function -> its overloads.

    With ``uri`` it has the procedures and topics only whose URIs begin with it, or with one of a
    list, and without ``details`` only what there is: the description of a large schema may be
    larger than a message.

    The API changes with the schema only, and its description can be kept; the status cannot, so
    it is there when asked for.
    """

    known = {uri: _Function.of(overloads) for uri, overloads in functions.items()}

    async def describe(call: Call) -> Mapping[str, Any]:
        request = bind(("status", "uri", "details"), call.args, call.kwargs)
        status, details = (
            _flag(request, name, default)
            for name, default in (("status", False), ("details", True))
        )
        answer = description
        if "uri" in request:
            answer = part_of(description, Beginnings.given(request["uri"]))
        if database.roles:
            answer = await _usable_by(call.caller, answer, known, related, database)
        else:
            await database.admit(call.caller)
        if not details:
            answer = index_of(answer)
        if status:
            # On the primary, which knows the leader; as the caller, whose EXECUTE decides.
            async with database.own_as(call.caller, primary=True) as connection:
                answer = {**answer, "events": (await read_backlog(connection)).as_dict()}
        return answer

    return Procedure(describe_uri(description["prefix"]), describe)


def _flag(request: Mapping[str, Any], name: str, default: bool) -> bool:
    value = request.get(name, default)
    if not isinstance(value, bool):
        raise InvalidArgument(name, "true or false")
    return value


class _Function(NamedTuple):
    """The overloads of a function, by :func:`identity`, and the relations whose rows they take."""

    overloads: Mapping[str, Routine]
    rows: frozenset[str]

    @classmethod
    def of(cls, overloads: Sequence[Routine]) -> _Function:
        """All overloads of one URI."""
        rest = [argument.type for routine in overloads for argument in routine.inputs]
        rows = set()
        seen: set[int] = set()
        while rest:
            kind = rest.pop()
            if id(kind) in seen:
                continue
            seen.add(id(kind))
            if kind.relation is not None:
                rows.add(".".join(kind.relation))
            rest += [part for _, part in kind.fields]
            rest += [] if kind.element is None else [kind.element]
        return cls({identity(routine): routine for routine in overloads}, frozenset(rows))


async def _usable_by(
    caller: Caller,
    description: Mapping[str, Any],
    functions: Mapping[str, _Function],
    related: Related,
    database: Database,
) -> Mapping[str, Any]:
    """The part of ``description`` that the caller's role may use.

    Named queries and Python procedures are all there: PostgreSQL cannot say beforehand.

    :raises NotAuthorized: the caller is not disclosed or not mapped.
    """
    procedures, topics = description["procedures"], description["topics"]
    relations: set[str] = set()
    uris: set[str] = set()
    for entry in (*procedures, *topics):
        relations.update(_relations_of(entry))
        uris.update(_functions_of(entry))
    asked_functions = {uri: functions[uri] for uri in uris if uri in functions}
    relations.update(*(function.rows for function in asked_functions.values()))
    asked = sorted(name for function in asked_functions.values() for name in function.overloads)
    async with database.own_as(caller) as connection:
        rows = await connection.fetch(_PRIVILEGES, sorted(relations))
        executable = {row["name"] for row in await connection.fetch(_EXECUTABLE, asked)}
    usable = _Usable({row["name"]: dict(row) for row in rows}, executable, asked_functions, related)
    return {
        **description,
        "procedures": await usable.of(procedures),
        "topics": await usable.of(topics),
    }


def _relations_of(entry: Mapping[str, Any]) -> Iterator[str]:
    """The relations whose privileges decide what is shown of an entry."""
    if "relation" in entry:
        yield entry["relation"]
    for tables in entry.get("tables", {}).values():
        yield from tables
    for way in entry.get("relationships", {}).values():
        yield way["relation"]
        if "through" in way:
            yield way["through"]
    yield from filter(None, entry.get("rows", ()))


def _functions_of(entry: Mapping[str, Any]) -> Iterator[str]:
    """The URIs of the functions whose privileges decide it."""
    if "uri" in entry:
        yield entry["uri"]
    for part in ("computed", "relationships"):
        for described in entry.get(part, {}).values():
            if "function" in described:
                yield described["function"]


@dataclass(frozen=True)
class _Usable:
    """What a caller's role may use of a description.

    :ivar relations: as :data:`_PRIVILEGES` answers them, by name.
    :ivar executable: identities of routines.
    """

    relations: Mapping[str, Mapping[str, Any]]
    executable: Set[str]
    functions: Mapping[str, _Function]
    related: Related

    async def of(self, entries: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
        """The entries that the role may use, without the names of what it may not."""
        found: list[Mapping[str, Any]] = []
        for start in range(0, len(entries), PART_ENTRIES):
            await asyncio.sleep(0)
            part = entries[start : start + PART_ENTRIES]
            found += [self._shown(entry) for entry in part if self._may(entry)]
        return found

    def _may(self, entry: Mapping[str, Any]) -> bool:
        if function := self.functions.get(entry.get("uri", "")):
            return not self.executable.isdisjoint(function.overloads)
        if "relation" not in entry:
            return True
        needed = _NEEDED.get(entry.get("verb") or entry.get("kind", ""), _SELECT)
        row = self.relations.get(entry["relation"])
        return row is not None and needed <= set(row["privileges"])

    def _shown(self, entry: Mapping[str, Any]) -> Mapping[str, Any]:
        if function := self.functions.get(entry.get("uri", "")):
            return self._routine(entry, function)
        if "relation" in entry:
            limited = _with_columns(entry, self.relations[entry["relation"]])
            return self._leading(entry, limited)
        if "tables" not in entry:
            return entry
        tables = {
            how: [name for name in names if self._may_select(name)]
            for how, names in entry["tables"].items()
        }
        return {**entry, "tables": tables}

    def _routine(self, entry: Mapping[str, Any], function: _Function) -> Mapping[str, Any]:
        """A function, with the overloads that the role may execute."""
        if not function.rows and function.overloads.keys() <= self.executable:
            described = entry
        else:
            usable = [r for name, r in function.overloads.items() if name in self.executable]
            described = routine_description(entry["uri"], usable, self.related, self._may_give)
        if "rows" not in described:
            return described
        rows = [name if name and self._may_select(name) else None for name in described["rows"]]
        return {**described, "rows": rows}

    def _leading(self, entry: Mapping[str, Any], limited: dict[str, Any]) -> Mapping[str, Any]:
        """A verb with the relationships and computed columns that the role may ask for."""
        if "computed" in entry:
            limited["computed"] = {
                name: described
                for name, described in entry["computed"].items()
                if self._may_execute(described["function"])
            }
        if "relationships" in entry:
            limited["relationships"] = {
                name: way
                for name, way in entry["relationships"].items()
                if self._may_go(entry["relation"], way)
            }
        return limited

    def _may_go(self, source: str, way: Mapping[str, Any]) -> bool:
        """Whether the role may see all that a relationship goes by."""
        if "function" in way:
            return self._may_execute(way["function"]) and self._may_select(way["relation"])
        ours, theirs = way["columns"].keys(), way["columns"].values()
        if "through" not in way:
            return self._may_select(source, ours) and self._may_select(way["relation"], theirs)
        return (
            self._may_select(source, ours)
            and self._may_select(way["through"], (*theirs, *way["further"].keys()))
            and self._may_select(way["relation"], way["further"].values())
        )

    def _may_select(self, relation: str, columns: Iterable[str] = ()) -> bool:
        row = self.relations.get(relation)
        return (
            row is not None
            and "select" in row["privileges"]
            and (row["select"] is None or set(columns) <= set(row["select"]))
        )

    def _may_execute(self, uri: str) -> bool:
        function = self.functions.get(uri)
        return function is not None and not self.executable.isdisjoint(function.overloads)

    def _may_give(self, schema: str, relation: str, column: str) -> bool:
        """Whether the role may see a column of the rows that a function takes."""
        row = self.relations.get(f"{schema}.{relation}")
        return (
            row is not None
            and self.related.schemas.shows(schema, relation, column)
            and any(
                row[privilege] is None or column in row[privilege]
                for privilege in ("select", "insert", "update")
            )
        )


def _with_columns(entry: Mapping[str, Any], row: Mapping[str, Any]) -> dict[str, Any]:
    """A verb, or a topic, with those columns that the role may use there.

    :param row: of the relation, as :data:`_PRIVILEGES` answers it.
    """
    limited = dict(entry)
    for part in ("result", "row", "key"):
        if part in entry:
            limited[part] = _limited(entry[part], row, ("select",))
    verb = entry.get("verb", "")
    if entry.get("template") and row["select"] is not None:
        limited["topic"] = with_places(entry["topic"], row["select"])
    if "arguments" in entry:
        limited["arguments"] = [
            {**argument, "schema": _limited(argument["schema"], row, privileges)}
            if (privileges := _GIVEN.get((verb, argument["name"])))
            else argument
            for argument in entry["arguments"]
        ]
    return limited


def _limited(schema: Any, row: Mapping[str, Any], privileges: Sequence[str]) -> Any:
    """The JSON Schema of a row, or of a list of rows, with fewer columns."""
    if any(row[privilege] is None for privilege in privileges):
        return schema
    if "oneOf" in schema:
        return {**schema, "oneOf": [_limited(s, row, privileges) for s in schema["oneOf"]]}
    if "items" in schema:
        return {**schema, "items": _limited(schema["items"], row, privileges)}
    if "properties" not in schema:
        return schema
    allowed = {name for privilege in privileges for name in row[privilege]}
    properties = {name: s for name, s in schema["properties"].items() if name in allowed}
    return {**schema, "properties": properties}
