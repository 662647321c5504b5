"""What ``changes`` and ``follow`` are about: one table, or everything under the prefix."""

from __future__ import annotations

from collections.abc import Container, Sequence
from dataclasses import dataclass
from typing import Any, cast

import asyncpg

from pgwamp.access import Caller
from pgwamp.database import Database
from pgwamp.errors import InvalidArgument, NotWatched
from pgwamp.events.wanted import Wanted
from pgwamp.naming import Naming
from pgwamp.pgtypes import loads

_WATCHED = """
select options::text from wamp.watched where relation_schema = $1 and relation_name = $2
"""
_TABLES = """
select n.nspname, c.relname
from pg_class as c
join pg_namespace as n on n.oid = c.relnamespace
where n.nspname = any ($1::text[]) and c.relkind in ('r', 'p')
"""


@dataclass(frozen=True)
class Table:
    """The changes of one table, for whoever may read all of its rows."""

    path: str
    schema: str
    name: str

    #: What a request may name beside ``since``.
    narrowing = ()

    @property
    def description(self) -> dict[str, Any]:
        """What ``describe`` says of it."""
        return {"relation": f"{self.schema}.{self.name}"}

    async def wanted(
        self,
        database: Database,
        connection: asyncpg.Connection[Any],
        caller: Caller,
        topic: object,
    ) -> Wanted:
        """Which events the caller may have. Raises :class:`NotAuthorized`."""
        await database.require_select(connection, caller, self.schema, self.name)
        return Wanted(caller, relation=(self.schema, self.name))

    async def options(self, connection: asyncpg.Connection[Any]) -> dict[str, Any]:
        """The options that the table is watched with. Raises :class:`NotWatched`."""
        options = await connection.fetchval(_WATCHED, self.schema, self.name)
        if options is None:
            raise NotWatched(
                f"nothing is published of {self.name}: watch it with "
                f"select wamp.watch('{self.name}')"
            )
        return dict(loads(options))


@dataclass(frozen=True)
class Everything:
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

    async def wanted(
        self,
        database: Database,
        connection: asyncpg.Connection[Any],
        caller: Caller,
        topic: object,
    ) -> Wanted:
        """Which events the caller may have.

        :raises InvalidArgument: ``topic`` is wrong.
        :raises NotAuthorized: the caller is not disclosed or not mapped.
        """
        if topic is not None and (
            not isinstance(topic, str) or not f"{topic}.".startswith(f"{self.path}.")
        ):
            raise InvalidArgument(
                "topic", f"expected what topics begin with, such as {self.path}.orders."
            )
        relations: Container[tuple[str, str]] = _Exposed(self.naming)
        if database.roles:
            tables = [tuple(row) for row in await connection.fetch(_TABLES, list(self.schemas))]
            exposed = [table for table in tables if table in relations]
            relations = await database.selectable(connection, caller, exposed)
        topics = None if database.roles else f"{self.path}."
        return Wanted(caller, relations=relations, topics=topics, topic=topic or "")


class _Exposed:
    """The relations that have a URI, also those that are created later."""

    def __init__(self, naming: Naming):
        self._naming = naming

    def __contains__(self, relation: object) -> bool:
        schema, name = cast(tuple[str, str], relation)
        return self._naming.is_exposed(schema, name) and bool(self._naming.path(schema, name))
