"""The rows that a follow begins with: those that its events would have made, at one moment."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

import asyncpg

from pgwamp.access import Caller
from pgwamp.catalog import Relation
from pgwamp.database import Database
from pgwamp.errors import InvalidArgument, Unavailable
from pgwamp.eventlog.conditions import MOST_FAILURES
from pgwamp.eventlog.evaluator import AT_ONCE, Evaluator, record
from pgwamp.eventlog.snapshot import Snapshot
from pgwamp.naming import Naming
from pgwamp.query.reads import Reads
from pgwamp.query.scope import Scope, Scopes
from pgwamp.query.statement import Bound
from pgwamp.replay.subjects import Watched

_ELIGIBLE = ("eligible_authid", "eligible_authrole")
#: Flushes the WAL up to here, also on a connection whose commits wait for nothing.
_FLUSH = (
    "begin; set local synchronous_commit = on; "
    "select pg_logical_emit_message(true, 'pgwamp', ''); commit"
)
#: The rows of a moment, some at a time, and the transactions whose changes they have.
Items = tuple[AsyncIterator[dict[str, Any]], Snapshot]


class InitialSnapshot:
    """Reads the rows of tables, with the values that events have.

    :param dsn: as :class:`Evaluator` has it.
    """

    def __init__(self, scopes: Scopes, naming: Naming, dsn: str, *, bigint_as_string: bool):
        self._scopes = scopes
        self._dsn = dsn
        self._naming = naming
        self._big = bigint_as_string

    @asynccontextmanager
    async def rows(
        self, database: Database, caller: Caller, relation: Relation, watched: Watched
    ) -> AsyncIterator[Items]:
        """All rows that are published of a table, in one view of it, read as the caller.

        The condition of the watch is evaluated as for events, and not as the caller, whose rights
        whoever wrote it would have.

        :raises InvalidArgument: each caller gets other rows.
        :raises Unavailable: the condition takes too long, or the columns have just changed.
        """
        bound = self._statement(relation, watched)
        evaluator = Evaluator(self._dsn)
        async with database.snapshot(caller) as connection:
            seen = await connection.fetchval("select pg_current_snapshot()::text")
            chunks = database.chunks(connection, bound.statement.sql, bound.parameters)
            try:
                yield (
                    self._items(chunks, bound, relation, watched, evaluator),
                    Snapshot.parse(seen),
                )
            finally:
                evaluator.close()

    async def _items(
        self,
        chunks: AsyncIterator[list[Any]],
        bound: Bound,
        relation: Relation,
        watched: Watched,
        evaluator: Evaluator,
    ) -> AsyncIterator[dict[str, Any]]:
        """Dicts with ``rows``, and the keys of those that cannot be told as ``truncated``."""
        is_empty = True
        async for records in chunks:
            unknown: list[Any] = []
            if watched.condition is not None:
                holds = await _holds(records, bound, relation, watched, evaluator)
                unknown = [one for one, hold in zip(records, holds, strict=True) if hold is None]
                records = [one for one, hold in zip(records, holds, strict=True) if hold]
            item: dict[str, Any] = {"rows": await bound.rows(records)}
            if unknown:
                item["truncated"] = [
                    {name: row[name] for name in relation.primary_key if name in row}
                    for row in await bound.rows(unknown)
                ]
            if any(item.values()):
                is_empty = False
                yield item
        if is_empty:
            yield {"rows": []}

    def _statement(self, relation: Relation, watched: Watched) -> Bound:
        """Of ``columns`` the rows have these and the key."""
        options = watched.options
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
        whole = relation.complete
        shown = replace(relation, columns=columns, primary_key=key, whole=whole)
        texts = () if watched.layout is None else tuple(watched.layout.reads)
        if not whole.by_name.keys() >= set(texts):
            raise Unavailable(f"the columns of {relation.name} have just changed; try again")
        # It is the memory that bounds them, and not their number.
        reads = Reads(Scope(shown, self._scopes), max_rows=0, bigint_as_string=self._big)
        return reads.stream({}, texts=texts)


async def _holds(
    records: Sequence[Any],
    bound: Bound,
    relation: Relation,
    watched: Watched,
    evaluator: Evaluator,
) -> list[bool | None]:
    """Whether the condition holds for each record; None where it cannot be evaluated."""
    assert watched.layout is not None
    names, labels = watched.layout.reads, bound.statement.hidden
    texts = [
        record({name: one[label] for name, label in zip(names, labels, strict=True)})
        for one in records
    ]
    found: list[bool | None] = []
    for start in range(0, len(texts), AT_ONCE):
        part = texts[start : start + AT_ONCE]
        whole = await _evaluated(part, relation, watched, evaluator)
        if whole is not None:
            found += whole
            continue
        failures = 0
        for text in part:
            one = None
            if failures < MOST_FAILURES:
                one = await _evaluated([text], relation, watched, evaluator)
            failures += one is None
            found.append(None if one is None else one[0])
    return found


async def _evaluated(
    texts: Sequence[str], relation: Relation, watched: Watched, evaluator: Evaluator
) -> list[bool] | None:
    """None if it fails.

    :raises Unavailable: it takes too long, or there is no connection for it.
    """
    assert watched.layout is not None
    try:
        answers = await evaluator.of(watched.layout.evaluation, watched.condition, texts)
    except TimeoutError:
        raise Unavailable(
            f"the condition that {relation.name} is watched with takes too long"
        ) from None
    except Exception:
        # Whatever it raises: it can choose any SQLSTATE, also one of a lost connection.
        if not evaluator.is_open:
            raise Unavailable("there is no connection for the condition; try again") from None
        return None
    return [visible for visible, _ in answers]


async def flush(connection: asyncpg.Connection[Any]) -> None:
    """Return when everything that was committed so far is on disk.

    A snapshot sees a commit with ``synchronous_commit = off`` before that. A crash may undo it, and
    PostgreSQL then gives its number to another transaction, whose changes are no part of the rows.
    """
    await connection.execute(_FLUSH)
