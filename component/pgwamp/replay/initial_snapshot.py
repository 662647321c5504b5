"""The rows that a follow begins with: those that its events would have made, at one moment."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

import asyncpg

from pgwamp.access import Caller
from pgwamp.catalog import Relation
from pgwamp.database import Database
from pgwamp.errors import InvalidArgument
from pgwamp.eventlog.snapshot import Snapshot
from pgwamp.naming import Naming
from pgwamp.query.reads import Reads
from pgwamp.query.scope import Scope, Scopes
from pgwamp.query.statement import Bound

_ELIGIBLE = ("eligible_authid", "eligible_authrole")
#: Flushes the WAL up to here, also on a connection whose commits wait for nothing.
_FLUSH = (
    "begin; set local synchronous_commit = on; "
    "select pg_logical_emit_message(true, 'pgwamp', ''); commit"
)
#: The rows of a moment, some at a time, and the transactions whose changes they have.
Rows = tuple[AsyncIterator[list[Any]], Snapshot]


class InitialSnapshot:
    """Reads the rows of tables, with the values that events have."""

    def __init__(self, scopes: Scopes, naming: Naming, *, bigint_as_string: bool):
        self._scopes = scopes
        self._naming = naming
        self._big = bigint_as_string

    @asynccontextmanager
    async def rows(
        self, database: Database, caller: Caller, relation: Relation, options: Mapping[str, Any]
    ) -> AsyncIterator[Rows]:
        """All rows that are published of a table, in one view of it, read as the caller.

        :param options: those that it is watched with.
        :raises InvalidArgument: each caller gets other rows.
        """
        bound = self._statement(relation, options)
        async with database.snapshot(caller) as connection:
            seen = await connection.fetchval("select pg_current_snapshot()::text")
            chunks = database.chunks(connection, bound.statement.sql, bound.parameters)
            yield (
                (await bound.rows(records) async for records in chunks),
                Snapshot.parse(seen),
            )

    def _statement(self, relation: Relation, options: Mapping[str, Any]) -> Bound:
        """Of ``columns`` the rows have these and the key; of ``when`` there are no others."""
        for name in _ELIGIBLE:
            if name in options:
                raise InvalidArgument(
                    "snapshot",
                    f"{relation.name} is watched with {name}, and its rows are not for everybody: "
                    "follow without it, and then select the rows",
                )
        published = {*options.get("columns", relation.by_name), *relation.primary_key}
        columns = tuple(
            # Events have the values themselves, whatever a domain's author makes of them in calls.
            replace(column, type=replace(column.type, representation=None))
            for column in relation.columns
            if column.name in published
            and self._naming.shows_column(relation.schema, relation.name, column.name)
        )
        names = {column.name for column in columns}
        key = relation.primary_key if names.issuperset(relation.primary_key) else ()
        scope = Scope(replace(relation, columns=columns, primary_key=key), self._scopes)
        # It is the memory that bounds them, and not their number.
        reads = Reads(scope, max_rows=0, bigint_as_string=self._big)
        return reads.stream({}, condition=options.get("when", ""))


async def flush(connection: asyncpg.Connection[Any]) -> None:
    """Return when everything that was committed so far is on disk.

    A snapshot sees a commit with ``synchronous_commit = off`` before that. A crash may undo it, and
    PostgreSQL then gives its number to another transaction, whose changes are no part of the rows.
    """
    await connection.execute(_FLUSH)
