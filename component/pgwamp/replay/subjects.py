"""What ``changes`` and ``follow`` are about: one table, or everything under the prefix."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Any, cast

import asyncpg

from pgwamp.access import Caller
from pgwamp.database import Database
from pgwamp.errors import InvalidArgument, NotWatched
from pgwamp.eventlog.layout import Layout
from pgwamp.eventlog.log import LoggedEvent
from pgwamp.naming import Naming
from pgwamp.replay.event_filter import EventFilter
from pgwamp.values import loads

_TABLE = """
select c.oid::bigint as oid, w.id::text as watch, w.options::text as options, w.condition,
    quote_literal(format('%I.%I', n.nspname, c.relname)) as literal,
    case when w.relation is not null then wamp.key_columns(c.oid) end as key,
    k.watch = w.id as is_logged,
    case
        when k.watch = w.id and k.relation_schema = n.nspname and k.relation_name = c.relname
        then k.began
    end as began
from pg_class as c
join pg_namespace as n on n.oid = c.relnamespace
left join wamp.watch as w on w.relation = c.oid
left join wamp.layout as k on k.relation = w.relation
where n.nspname = $1 and c.relname = $2
"""
#: Seconds that a call without a cursor waits until the log says where a watch has begun.
BEGINNING_SECONDS = 2.0
#: Between two looks, the first and the longest.
_FIRST_PAUSE, _LONGEST_PAUSE = 0.01, 0.2
Connect = Callable[[], AbstractAsyncContextManager["asyncpg.Connection[Any]"]]
_LAYOUT = "select wamp.layout($1::bigint::oid)::text"
_TABLES = """
select c.oid::bigint as oid, n.nspname::text as schema, c.relname::text as name
from pg_class as c
join pg_namespace as n on n.oid = c.relnamespace
where n.nspname = any ($1::text[]) and c.relkind in ('r', 'p')
"""


@dataclass(frozen=True)
class Watched:
    """How a table is watched.

    :ivar relation: its oid.
    :ivar key: the columns that identify a row.
    :ivar layout: of its rows now; None without a condition.
    """

    relation: int
    options: Mapping[str, Any]
    key: Sequence[str]
    condition: str | None = None
    layout: Layout | None = None


@dataclass(frozen=True)
class TableSubject:
    """The changes of the table that has a name now, for whoever may read all of its rows."""

    path: str
    schema: str
    name: str

    #: What a request may name beside ``since``.
    narrowing = ()

    @property
    def description(self) -> dict[str, Any]:
        """What ``describe`` says of it."""
        return {"relation": f"{self.schema}.{self.name}"}

    async def event_filter(
        self,
        database: Database,
        connection: asyncpg.Connection[Any],
        caller: Caller,
        topic: object = None,
        *,
        watched: bool = False,
    ) -> EventFilter:
        """Which events the caller may have.

        :param watched: refuse a table of which there will be no more.
        :raises NotAuthorized: the caller may not read all of its rows.
        :raises NotWatched: the table is gone, or not watched.
        """
        row = await self._find(connection)
        await database.require_select(connection, caller, row["oid"], self.name)
        if watched and row["options"] is None:
            raise self._not_watched(row["literal"])
        return EventFilter(caller, relation=row["oid"], watch=row["watch"], began=row["began"])

    def begins(self, event: LoggedEvent, relation: int | None) -> bool:
        """Whether an event marks that the table, or another one, is watched under the name."""
        return event.op == "watched" and (
            event.relation == relation or (event.schema, event.table) == (self.schema, self.name)
        )

    async def until_begun(self, connect: Connect) -> int | None:
        """Where in the log the table began to be watched under its name.

        Waits until the log says so, for a moment at most: a cursor from before is not good any
        more then.

        :param connect: lends a connection for each look; none is held in between.
        """
        now = asyncio.get_running_loop().time
        end = now() + BEGINNING_SECONDS
        pause = _FIRST_PAUSE
        while True:
            async with connect() as connection:
                row = await self._find(connection)
            if row["options"] is None or row["is_logged"] or now() >= end:
                began: int | None = row["began"]
                return began
            await asyncio.sleep(pause)
            pause = min(pause * 2, _LONGEST_PAUSE)

    async def watched(self, connection: asyncpg.Connection[Any]) -> Watched:
        """How the table is watched. Raises :class:`NotWatched`."""
        row = await self._find(connection)
        if row["options"] is None:
            raise self._not_watched(row["literal"])
        layout = None
        if row["condition"] is not None:
            told = await connection.fetchval(_LAYOUT, row["oid"])
            layout = Layout.parse(row["oid"], told)
        key = row["key"] or ()
        return Watched(row["oid"], loads(row["options"]), key, row["condition"], layout)

    async def _find(self, connection: asyncpg.Connection[Any]) -> Any:
        row = await connection.fetchrow(_TABLE, self.schema, self.name)
        if row is None:
            raise NotWatched(f"there is no table {self.name} any more, or it has another name")
        return row

    def _not_watched(self, literal: str) -> NotWatched:
        """Return the error with its cure.

        :param literal: the table's whole name as SQL takes it: whatever the search path is.
        """
        return NotWatched(
            f"nothing is published of {self.name}: watch it with select wamp.watch({literal})"
        )


@dataclass(frozen=True)
class PrefixSubject:
    """The changes of all exposed tables and the events of ``wamp.publish``, in one order.

    With roles a caller gets the tables whose rows its role may all read, and no events of
    ``wamp.publish``: no privilege says who may have those.
    """

    path: str
    naming: Naming
    schemas: Sequence[str]

    narrowing = ("topic",)

    @property
    def description(self) -> dict[str, Any]:
        """What ``describe`` says of it."""
        return {}

    async def event_filter(
        self,
        database: Database,
        connection: asyncpg.Connection[Any],
        caller: Caller,
        topic: object = None,
        *,
        watched: bool = False,
    ) -> EventFilter:
        """Which events the caller may have.

        :param watched: makes no difference: there may be a watched table tomorrow.
        :raises InvalidArgument: ``topic`` is wrong.
        :raises NotAuthorized: the caller is not disclosed or not mapped.
        """
        if topic is not None and (
            not isinstance(topic, str) or not f"{topic}.".startswith(f"{self.path}.")
        ):
            raise InvalidArgument(
                "topic", f"expected what topics begin with, such as {self.path}.orders."
            )
        exposed = _Exposed(self.naming)
        if not database.roles:
            return EventFilter(caller, exposed=exposed, topics=f"{self.path}.", topic=topic or "")
        rows = await connection.fetch(_TABLES, list(self.schemas))
        relations = [row["oid"] for row in rows if (row["schema"], row["name"]) in exposed]
        selectable = await database.selectable(connection, caller, relations)
        return EventFilter(caller, exposed=exposed, selectable=selectable, topic=topic or "")

    def begins(self, event: LoggedEvent, relation: int | None) -> bool:
        """Never: it is about all tables."""
        return False

    async def until_begun(self, connect: Connect) -> int | None:
        """Nowhere: tables come and go."""
        return None


#: What a procedure is about.
Subject = TableSubject | PrefixSubject


class _Exposed:
    """The relations that have a URI, also those that are created later."""

    def __init__(self, naming: Naming):
        self._naming = naming

    def __contains__(self, relation: object) -> bool:
        schema, name = cast(tuple[str, str], relation)
        return self._naming.is_exposed(schema, name) and bool(self._naming.path(schema, name))
