"""Raw rows and layouts of another database, after a dump was restored or a server was upgraded.

Numbers of transactions, places in the WAL and oids mean nothing in a database that a dump was
restored in; after pg_upgrade they are those of before.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from importlib.resources import files
from typing import Any

import asyncpg

_DROP_TAKEN = (files("pgwamp.eventlog") / "sql" / "drop_taken.sql").read_text(encoding="utf-8")
_MOVE = (files("pgwamp.eventlog") / "sql" / "move.sql").read_text(encoding="utf-8")
_LAYOUTS = """
select relation::oid::bigint as relation, layout, turn, ctid::text as ctid
from (
    select relation, layout, null::smallint as turn, null::tid as ctid, null::timestamptz as at
    from wamp.layout
    union all
    select relation, new, turn, ctid, at from wamp.raw where op in ('w', 'l') and new is not null
) as told
order by at nulls first
"""
_NUMBERS = """
select format('%s.%s', n.nspname, c.relname) as name, c.oid::bigint as oid
from pg_class as c
join pg_namespace as n on n.oid = c.relnamespace
where format('%s.%s', n.nspname, c.relname) = any ($1::text[])
"""
# Types and collations that are evaluated have other numbers here, too.
_EVALUATED = """
update {table} as k
set {column} = (k.{column}::jsonb || jsonb_build_object(
    'reads', l.layout -> 'reads', 'virtual', l.layout -> 'virtual'))::text
from (select c.oid, wamp.layout(c.oid) as layout from pg_class as c where c.oid in (
    select relation from wamp.layout union all select relation from wamp.raw where op in ('w', 'l')
)) as l
where l.oid = k.relation {which}
"""
# From here on rows read as the tables are here; of composites nothing else is known.
_TELL = "select wamp.note(relation, 'l', wamp.layout(relation)) from wamp.watch"
#: With numbers of transactions that mean others here.
_OF_THERE = ("snapshot", "altered")
_KEEP = "update wamp.layout set layout = $2, altered_by = null where relation = $1::bigint::oid"
_KEEP_RAW = "update wamp.raw set new = $3 where turn = $1 and ctid = $2::text::tid"


async def move(connection: asyncpg.Connection[Any]) -> None:
    """Make of what was committed there what was committed here; within a transaction.

    What was made into events there goes. The rest is one transaction, before all others.
    """
    await connection.execute(_DROP_TAKEN)
    await _renumber(connection)
    await connection.execute(_EVALUATED.format(table="wamp.layout", column="layout", which=""))
    await connection.execute(
        _EVALUATED.format(table="wamp.raw", column="new", which="and k.op in ('w', 'l')")
    )
    await connection.execute(_MOVE)
    await connection.execute(_TELL)


async def _renumber(connection: asyncpg.Connection[Any]) -> None:
    """Have layouts name tables and partitions by the oids that they have here."""
    rows = await connection.fetch(_LAYOUTS)
    layouts = [json.loads(row["layout"]) for row in rows]
    names = {name for layout in layouts for name in (layout["partitions"] or {}).values()}
    here = {row["name"]: row["oid"] for row in await connection.fetch(_NUMBERS, [*names])}
    numbers: dict[str, int] = {}
    for row, layout in zip(rows, layouts, strict=True):
        partitions = layout["partitions"] or {}
        # The last name of a partition is the one that it has here.
        numbers |= {oid: here[name] for oid, name in partitions.items() if name in here}
        numbers |= {oid: row["relation"] for oid in layout["stamps"] if oid not in partitions}
    for row, layout in zip(rows, layouts, strict=True):
        text = json.dumps(_renumbered(layout, numbers))
        if row["turn"] is None:
            await connection.execute(_KEEP, row["relation"], text)
        else:
            await connection.execute(_KEEP_RAW, row["turn"], row["ctid"], text)


def _renumbered(layout: Mapping[str, Any], numbers: Mapping[str, int]) -> dict[str, Any]:
    by_oid = {
        name: {str(numbers.get(oid, oid)): told for oid, told in (layout[name] or {}).items()}
        for name in ("columns", "partitions", "stamps")
    }
    filled = [numbers.get(str(oid), oid) for oid in layout["filled"] or ()]
    told = {name: value for name, value in layout.items() if name not in _OF_THERE}
    return {**told, **by_oid, "filled": filled}
