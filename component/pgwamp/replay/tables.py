"""Tables as they are now, whatever they were called when their events happened."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass

from pgwamp.eventlog.log import Connection, LoggedEvent
from pgwamp.naming import Naming

_NOW = """
select c.oid::bigint as oid, n.nspname::text as schema, c.relname::text as name,
    array(
        select a.attname::text from pg_attribute as a
        where a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
    ) as columns
from pg_class as c
join pg_namespace as n on n.oid = c.relnamespace
where c.oid = any ($1::bigint[]::oid[])
"""


@dataclass(frozen=True, slots=True)
class TableNow:
    """A table as it is now.

    :ivar columns: those whose values are shown.
    """

    schema: str
    name: str
    columns: Collection[str]


async def read_tables(
    connection: Connection, events: Iterable[LoggedEvent], naming: Naming
) -> Mapping[int, TableNow]:
    """The tables of some events that are still there, by their oids.

    Read after the events, so that a column that is missing is one that was dropped.
    """
    relations = {event.relation for event in events if event.relation}
    if not relations:
        return {}
    return {
        row["oid"]: TableNow(
            row["schema"],
            row["name"],
            frozenset(
                column
                for column in row["columns"]
                if naming.shows_column(row["schema"], row["name"], column)
            ),
        )
        for row in await connection.fetch(_NOW, sorted(relations))
    }
