"""What a caller may use of what is exposed: ``describe`` shows each only that."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from pgwamp.access import Caller
from pgwamp.backlog import read_backlog
from pgwamp.catalog import Routine
from pgwamp.database import Database
from pgwamp.errors import InvalidArgument
from pgwamp.procedures.describe import Shows, routine_description, with_places
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
    shows: Shows,
    database: Database,
) -> Procedure:
    """``describe``; with ``status`` it says how publishing stands, too.

    :param functions: URI of a SQL function -> its overloads.
    :param shows: which columns are exposed.

    With ``uri`` it has the procedures and topics only whose URIs begin with it: the description of
    a large schema may be larger than a message.

    The API changes with the schema only, and its description can be kept; the status cannot, so
    it is there when asked for.
    """

    known = {uri: _Function.of(overloads) for uri, overloads in functions.items()}

    async def describe(call: Call) -> Mapping[str, Any]:
        request = bind(("status", "uri"), call.args, call.kwargs)
        status, uri = request.get("status", False), request.get("uri", "")
        if not isinstance(status, bool):
            raise InvalidArgument("status", "true or false")
        if not isinstance(uri, str):
            raise InvalidArgument("uri", "expected what the URIs begin with")
        answer = _beginning_with(uri, description) if uri else description
        if database.roles:
            answer = await _usable_by(call.caller, answer, known, shows, database)
        else:
            await database.admit(call.caller)
        if status:
            # On the primary, which knows the leader; as the caller, whose EXECUTE decides.
            async with database.own_as(call.caller, primary=True) as connection:
                answer = {**answer, "events": (await read_backlog(connection)).as_dict()}
        return answer

    return Procedure(describe_uri(description["prefix"]), describe)


def _beginning_with(uri: str, description: Mapping[str, Any]) -> Mapping[str, Any]:
    """The part of a description whose URIs begin with ``uri``.

    Names of columns in topics count as any others: a caller may not see them.
    """
    procedures = [entry for entry in description["procedures"] if entry["uri"].startswith(uri)]
    topics = [entry for entry in description["topics"] if _may_begin_with(uri, entry["topic"])]
    return {**description, "procedures": procedures, "topics": topics}


def _may_begin_with(uri: str, topic: str) -> bool:
    before, place, _ = topic.partition("{")
    return topic.startswith(uri) if not place else before.startswith(uri[: len(before)])


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
    shows: Shows,
    database: Database,
) -> Mapping[str, Any]:
    """The part of ``description`` that the caller's role may use.

    Named queries and Python procedures are all there: PostgreSQL cannot say beforehand.

    :raises NotAuthorized: the caller is not disclosed or not mapped.
    """
    procedures, topics = description["procedures"], description["topics"]
    functions = {
        entry["uri"]: functions[entry["uri"]] for entry in procedures if entry["uri"] in functions
    }
    relations = {entry["relation"] for entry in (*procedures, *topics) if "relation" in entry}
    for entry in procedures:
        relations.update(*entry.get("tables", {}).values())
    relations.update(*(function.rows for function in functions.values()))
    asked = sorted(name for function in functions.values() for name in function.overloads)
    async with database.own_as(caller) as connection:
        rows = await connection.fetch(_PRIVILEGES, sorted(relations))
        executable = {row["name"] for row in await connection.fetch(_EXECUTABLE, asked)}
    found = {row["name"]: dict(row) for row in rows}

    def may(entry: Mapping[str, Any]) -> bool:
        if function := functions.get(entry.get("uri", "")):
            return not executable.isdisjoint(function.overloads)
        if "relation" not in entry:
            return True
        needed = _NEEDED.get(entry.get("verb") or entry.get("kind", ""), _SELECT)
        row = found.get(entry["relation"])
        return row is not None and needed <= set(row["privileges"])

    def may_give(schema: str, relation: str, column: str) -> bool:
        """Whether the role may see a column of the rows that a function takes."""
        row = found.get(f"{schema}.{relation}")
        return (
            row is not None
            and shows(schema, relation, column)
            and any(
                row[privilege] is None or column in row[privilege]
                for privilege in ("select", "insert", "update")
            )
        )

    def shown(entry: Mapping[str, Any]) -> Mapping[str, Any]:
        """Without the names of what the role may not use."""
        if function := functions.get(entry.get("uri", "")):
            if not function.rows and executable.issuperset(function.overloads):
                return entry
            usable = [r for name, r in function.overloads.items() if name in executable]
            return routine_description(entry["uri"], usable, shows, may_give)
        if "relation" in entry:
            return _with_columns(entry, found[entry["relation"]])
        if "tables" not in entry:
            return entry
        tables = {
            how: [name for name in names if name in found and "select" in found[name]["privileges"]]
            for how, names in entry["tables"].items()
        }
        return {**entry, "tables": tables}

    async def usable(entries: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
        found: list[Mapping[str, Any]] = []
        for start in range(0, len(entries), PART_ENTRIES):
            await asyncio.sleep(0)
            part = entries[start : start + PART_ENTRIES]
            found += [shown(entry) for entry in part if may(entry)]
        return found

    return {**description, "procedures": await usable(procedures), "topics": await usable(topics)}


def _with_columns(entry: Mapping[str, Any], row: Mapping[str, Any]) -> Mapping[str, Any]:
    """A verb, or a topic, with those columns that the role may use there.

    :param row: of the relation, as :data:`_PRIVILEGES` answers it.
    """
    limited = dict(entry)
    for part in ("result", "row"):
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
