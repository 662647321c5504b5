"""What a query reads: the server says it, and no SQL is parsed for it.

PostgreSQL locks every relation that a statement names before it looks at it, and keeps the lock
until the transaction ends. To prepare a statement locks what it names, and what the views in it are
made of. To run it also locks what its functions and the policies of row level security read, for
the role and the arguments at hand. A function that catches an exception gives back the locks that
it took before: of watched tables the server's counters of scans tell that too. What the last run
has read decides when the answer can become another: a run that would read other relations does so
because one of these has changed.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

import asyncpg

#: A relation: its schema and its name.
Name = tuple[str, str]

# It runs under the search path of the query: every function and operator has its schema.
# A change of a partition is an event of the whole table.
_LOCKED = """
with locked as (
    select l.relation, l.mode operator(pg_catalog.<>) 'AccessShareLock' as writes
    from pg_catalog.pg_locks as l
    join pg_catalog.pg_database as d on d.oid operator(pg_catalog.=) l.database
    where l.pid operator(pg_catalog.=) pg_catalog.pg_backend_pid()
        and l.locktype operator(pg_catalog.=) 'relation'
        and d.datname operator(pg_catalog.=) pg_catalog.current_database()
    union all
    select scanned, false from pg_catalog.unnest($1::pg_catalog.oid[]) as scanned
)
select n.nspname as schema, c.relname as name, pg_catalog.bool_or(r.writes) as writes
from (
    select relation, writes from locked
    union
    select ancestor, false
    from locked, pg_catalog.pg_partition_ancestors(relation) as ancestor
) as r
join pg_catalog.pg_class as c on c.oid operator(pg_catalog.=) r.relation
join pg_catalog.pg_namespace as n on n.oid operator(pg_catalog.=) c.relnamespace
where c.relkind operator(pg_catalog.=) any (array['r', 'p', 'm', 'f']::pg_catalog."char"[])
    and n.nspname operator(pg_catalog.<>)
        all (array['pg_catalog', 'information_schema', 'pg_toast']::pg_catalog.name[])
group by 1, 2
"""
# Counts of the tables with our triggers, also partitions, and of their indexes. PostgreSQL may keep
# counts of earlier transactions for some seconds, and takes back none within one.
_SCANS = """
with watched as (
    select distinct t.tgrelid as oid
    from pg_catalog.pg_trigger as t
    join pg_catalog.pg_proc as p on p.oid operator(pg_catalog.=) t.tgfoid
    join pg_catalog.pg_namespace as n on n.oid operator(pg_catalog.=) p.pronamespace
    where p.proname operator(pg_catalog.=) 'capture' and n.nspname operator(pg_catalog.=) 'wamp'
),
part as (
    select oid, oid as scanned from watched
    union all
    select w.oid, i.indexrelid
    from watched as w
    join pg_catalog.pg_index as i on i.indrelid operator(pg_catalog.=) w.oid
)
select oid::pg_catalog.int8 as oid,
    pg_catalog.sum(pg_catalog.pg_stat_get_xact_numscans(scanned))::pg_catalog.int8 as scans
from part
group by oid
"""
#: Scans of watched tables that are counted, by the table's oid.
Scans = Mapping[int, int]


@dataclass(frozen=True, slots=True)
class Reads:
    """The tables, materialized views and foreign tables of a query.

    :ivar writes: whether it also writes to one, or locks its rows.
    """

    relations: frozenset[Name] = frozenset()
    writes: bool = False


async def count_scans(connection: asyncpg.Connection[Any]) -> Scans:
    """The scans of watched tables that the session counts: it gives none back."""
    return {row["oid"]: row["scans"] for row in await connection.fetch(_SCANS)}


async def read_so_far(connection: asyncpg.Connection[Any], before: Scans | None = None) -> Reads:
    """What the transaction of ``connection`` has read.

    :param before: the scans that were counted before it read anything; not counted when missing.
    """
    scanned: Collection[int] = ()
    if before is not None:
        now = await count_scans(connection)
        scanned = [oid for oid, scans in now.items() if scans != before.get(oid, 0)]
    rows = await connection.fetch(_LOCKED, scanned)
    return Reads(
        frozenset((row["schema"], row["name"]) for row in rows),
        any(row["writes"] for row in rows),
    )
