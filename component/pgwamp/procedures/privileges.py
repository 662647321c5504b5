"""What a caller may use of what is exposed: ``describe`` shows each only that."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pgwamp.access import Caller
from pgwamp.backlog import read_backlog
from pgwamp.database import Database
from pgwamp.errors import InvalidArgument
from pgwamp.query.request import bind
from pgwamp.session import Call, Procedure

#: The privileges on its relation that a verb needs; all others, and topics, need SELECT.
_NEEDED: Mapping[str, frozenset[str]] = {
    "insert": frozenset({"insert"}),
    "update": frozenset({"update"}),
    "upsert": frozenset({"insert", "update"}),
    "delete": frozenset({"delete"}),
    # As Database.require_select has it.
    "changes": frozenset({"every row"}),
    "follow": frozenset({"every row"}),
}
_SELECT = frozenset({"select"})
# Runs as the caller's role: privileges are those of current_user.
_PRIVILEGES = """
select n.nspname || '.' || c.relname as name,
    array_remove(array[
        case when has_any_column_privilege(c.oid, 'select') then 'select' end,
        case when has_any_column_privilege(c.oid, 'insert') then 'insert' end,
        case when has_any_column_privilege(c.oid, 'update') then 'update' end,
        case when has_table_privilege(c.oid, 'delete') then 'delete' end,
        case when has_table_privilege(c.oid, 'select') and not c.relrowsecurity
            then 'every row' end
    ], null) as privileges
from pg_class as c
join pg_namespace as n on n.oid = c.relnamespace
where c.relkind in ('r', 'p', 'v', 'm', 'f')
    and n.nspname || '.' || c.relname = any ($1::text[])
    and has_schema_privilege(n.oid, 'usage')
union all
select n.nspname || '.' || p.proname || '()', array['execute']
from pg_proc as p
join pg_namespace as n on n.oid = p.pronamespace
where n.nspname || '.' || p.proname || '()' = any ($2::text[])
    and has_schema_privilege(n.oid, 'usage')
    and has_function_privilege(p.oid, 'execute')
"""


def describe_procedure(
    description: Mapping[str, Any], functions: Mapping[str, str], database: Database
) -> Procedure:
    """``describe``; with ``status`` it says how publishing stands, too.

    The API changes with the schema only, and its description can be kept; the status cannot, so
    it is there when asked for.
    """

    async def describe(call: Call) -> Mapping[str, Any]:
        status = bind(("status",), call.args, call.kwargs).get("status", False)
        if not isinstance(status, bool):
            raise InvalidArgument("status", "true or false")
        answer = description
        if database.roles:
            answer = await usable_by(call.caller, description, functions, database)
        if status:
            # On the primary, which knows the leader; as the caller, whose EXECUTE decides.
            async with database.own_as(call.caller, primary=True) as connection:
                answer = {**answer, "events": (await read_backlog(connection)).as_dict()}
        return answer

    return Procedure(f"{description['prefix']}.describe", describe)


async def usable_by(
    caller: Caller,
    description: Mapping[str, Any],
    functions: Mapping[str, str],
    database: Database,
) -> Mapping[str, Any]:
    """The part of ``description`` that the caller's role may use.

    Named queries and Python procedures are all there: PostgreSQL cannot say beforehand.

    :param functions: URI of a SQL function -> ``schema.name()``; one usable overload is enough.
    :raises NotAuthorized: the caller is not disclosed or not mapped.
    """
    procedures, topics = description["procedures"], description["topics"]
    relations = {entry["relation"] for entry in (*procedures, *topics) if "relation" in entry}
    for entry in procedures:
        relations.update(*entry.get("tables", {}).values())
    async with database.own_as(caller) as connection:
        rows = await connection.fetch(_PRIVILEGES, sorted(relations), sorted(functions.values()))
    found: dict[str, set[str]] = {}
    for row in rows:
        found.setdefault(row["name"], set()).update(row["privileges"])

    def may(entry: Mapping[str, Any]) -> bool:
        if function := functions.get(entry.get("uri", "")):
            return function in found
        if "relation" not in entry:
            return True
        needed = _NEEDED.get(entry.get("verb") or entry.get("kind", ""), _SELECT)
        return needed <= found.get(entry["relation"], set())

    def shown(entry: Mapping[str, Any]) -> Mapping[str, Any]:
        """Without the names of tables that the role may not read."""
        if "tables" not in entry:
            return entry
        tables = {
            how: [name for name in names if found.get(name, set()) >= _SELECT]
            for how, names in entry["tables"].items()
        }
        return {**entry, "tables": tables}

    return {
        **description,
        "procedures": [shown(entry) for entry in procedures if may(entry)],
        "topics": [entry for entry in topics if may(entry)],
    }
