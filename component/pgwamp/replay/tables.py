"""Tables as they are now, whatever they were called when their events happened."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass

from pgwamp.eventlog.log import Connection, LoggedEvent
from pgwamp.naming import Naming

_COLUMN = re.compile(r"\{([^{}]+)\}")
_NOW = """
select c.oid::bigint as oid, n.nspname::text as schema, c.relname::text as name,
    array(
        select a.attname::text from pg_attribute as a
        where a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
    ) as columns,
    (select w.options ->> 'topic' from wamp.watch as w where w.relation = c.oid) as template
from pg_class as c
join pg_namespace as n on n.oid = c.relnamespace
where c.oid = any ($1::bigint[]::oid[])
"""


@dataclass(frozen=True, slots=True)
class TableNow:
    """A table as it is now.

    :ivar columns: those whose values are shown.
    :ivar shown_parts: of a topic that its template makes, the parts before the first value of a
        hidden column; None if it has none.
    """

    schema: str
    name: str
    columns: Collection[str]
    shown_parts: int | None = None


def _shown_parts(naming: Naming, schema: str, name: str, template: str | None) -> int | None:
    if template is None:
        # A topic may be of a template that is gone.
        return 0 if naming.hides_columns else None
    for column in _COLUMN.finditer(template):
        if column[1] != "op" and not naming.shows_column(schema, name, column[1]):
            # No value has a dot within a topic.
            return template.count(".", 0, column.start())
    return None


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
            _shown_parts(naming, row["schema"], row["name"], row["template"]),
        )
        for row in await connection.fetch(_NOW, sorted(relations))
    }
