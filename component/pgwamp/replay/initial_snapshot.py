"""The rows that a follow begins with: those that its events would have made, at one moment."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import aclosing, asynccontextmanager
from dataclasses import replace
from typing import Any, cast

import asyncpg
import sqlalchemy as sa

from pgwamp.access import Caller
from pgwamp.catalog import Column, Relation
from pgwamp.catalog.load import load_types
from pgwamp.database import Database
from pgwamp.database.pooled import PooledConnection
from pgwamp.database.pools import Connection
from pgwamp.errors import InvalidArgument, Unavailable
from pgwamp.eventlog.conditions import MOST_FAILURES
from pgwamp.eventlog.evaluator import Evaluator, NoSession, Texts, parts
from pgwamp.eventlog.layout import Layout
from pgwamp.eventlog.moment import Moment, keep, seen_by
from pgwamp.naming import Naming
from pgwamp.query.expressions import table_of
from pgwamp.query.reads import Reads
from pgwamp.query.scope import Scope, Scopes
from pgwamp.query.statement import Bound, compile_statement
from pgwamp.replay.subjects import Watched
from pgwamp.values import Type

_ELIGIBLE = ("eligible_authid", "eligible_authrole")
#: The table that a name stands for; of one that the transaction has locked, it is the one it reads.
_NAMED = """
select pg_catalog.to_regclass(pg_catalog.format('%I.%I', $1::pg_catalog.text, $2::pg_catalog.text))
    ::pg_catalog.oid::pg_catalog.int8
"""
#: Whether a table, or one of its partitions, has other files than the catalog says that the
#: transaction sees; for a table that the transaction has locked.
_IS_REWRITTEN = """
with recursive part (oid) as (
    select $1::pg_catalog.int8::pg_catalog.oid
    union all
    select i.inhrelid
    from pg_catalog.pg_inherits as i join part as p on p.oid operator(pg_catalog.=) i.inhparent
)
select exists (
    select from pg_catalog.pg_class as c join part as p on p.oid operator(pg_catalog.=) c.oid
    where c.relfilenode operator(pg_catalog.<>)
        coalesce(pg_catalog.pg_relation_filenode(c.oid), 0::pg_catalog.oid)
)
"""
#: Times that the rows are read before the caller is told to come again.
_MOST_TRIES = 5
#: The rows of a moment, some at a time.
Items = tuple[AsyncIterator[dict[str, Any]], Moment]


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

        To a view from before, a table looks empty that ALTER TABLE has rewritten: then the rows
        are read in another view.

        :raises InvalidArgument: each caller gets other rows.
        :raises Unavailable: the condition takes too long, or the columns have just changed.
        """
        _require_rows_for_everybody(relation, watched)
        for _ in range(_MOST_TRIES):
            async with database.snapshot(caller) as connection:
                seen = await seen_by(connection)
                # They lock the table: no other statement finds other columns.
                columns = await _columns(connection, relation)
                if columns is None:
                    continue
                bound = self._statement(relation, columns, watched)
                chunks = database.chunks(connection, bound.statement.sql, bound.parameters)
                async with aclosing(chunks):
                    first = await _first(chunks, relation)
                    read = await connection.fetchval(_NAMED, relation.schema, relation.name)
                    if read != watched.relation:
                        raise _changed(relation)
                    if await connection.fetchval(_IS_REWRITTEN, read):
                        continue
                    async with database.own() as own:
                        moment = await keep(connection, own, seen)
                    evaluator = Evaluator(self._dsn)
                    try:
                        yield (
                            self._items(first, chunks, bound, relation, watched, evaluator),
                            moment,
                        )
                    finally:
                        evaluator.close()
                return
        raise Unavailable(f"{relation.name} is rewritten again and again; try again later")

    async def _items(
        self,
        records: list[Any],
        chunks: AsyncIterator[list[Any]],
        bound: Bound,
        relation: Relation,
        watched: Watched,
        evaluator: Evaluator,
    ) -> AsyncIterator[dict[str, Any]]:
        """Dicts with ``rows``, and the keys of those that cannot be told as ``truncated``."""
        is_empty = True
        while True:
            unknown: list[Any] = []
            if watched.condition is not None:
                holds = await _holds(records, bound, relation, watched, evaluator)
                unknown = [one for one, hold in zip(records, holds, strict=True) if hold is None]
                records = [one for one, hold in zip(records, holds, strict=True) if hold]
            item: dict[str, Any] = {"rows": await bound.rows(records)}
            if unknown:
                item["truncated"] = [
                    {name: row[name] for name in watched.key if name in row}
                    for row in await bound.rows(unknown)
                ]
            del records, unknown
            if any(item.values()):
                is_empty = False
                yield item
            del item
            try:
                records = await anext(chunks)
            except StopAsyncIteration:
                break
        if is_empty:
            yield {"rows": []}

    def _statement(
        self, relation: Relation, all_columns: tuple[Column, ...], watched: Watched
    ) -> Bound:
        """Of the option ``columns`` the rows have these and the key."""
        published = {
            *watched.options.get("columns", (column.name for column in all_columns)),
            *watched.key,
        }
        columns = tuple(
            # Events have the values themselves, whatever a domain's author makes of them in calls.
            replace(column, type=replace(column.type, representation=None))
            for column in all_columns
            if column.name in published
            and self._naming.shows_column(relation.schema, relation.name, column.name)
        )
        names = {column.name for column in columns}
        key = relation.primary_key if names.issuperset(relation.primary_key) else ()
        whole = replace(relation.complete, columns=all_columns, whole=None)
        shown = replace(relation, columns=columns, primary_key=key, whole=whole)
        texts = () if watched.layout is None else tuple(watched.layout.reads)
        if watched.layout is not None and not _has_columns(whole, watched.layout):
            raise _changed(relation)
        # It is the memory that bounds them, and not their number.
        reads = Reads(Scope(shown, self._scopes), max_rows=0, bigint_as_string=self._big)
        return reads.stream({}, texts=texts)


def _require_rows_for_everybody(relation: Relation, watched: Watched) -> None:
    for name in _ELIGIBLE:
        if name in watched.options:
            raise InvalidArgument(
                "snapshot",
                f"{relation.name} is watched with {name}, and its rows are not for everybody: "
                "follow without it, and then select the rows",
            )


async def _columns(connection: Connection, relation: Relation) -> tuple[Column, ...] | None:
    """Lock the table that has the name now, and return the columns that statements find in it.

    The catalog in memory may be of before a change, and so may what the transaction sees of the
    catalog: then a type may not be there, and None is returned.
    """
    known = relation.complete
    table: sa.Select[Any] = sa.select(sa.literal_column("*")).select_from(table_of(known))
    with cast(PooledConnection, connection).fetching_texts():
        try:
            # Without a name, and never run: nobody prepares it a second time.
            prepared = await connection.prepare(compile_statement(table).sql, name="")
        except (asyncpg.UndefinedTableError, asyncpg.InvalidSchemaNameError):
            raise _changed(relation) from None
        # Of domains PostgreSQL tells the type below.
        found = [(a.name, a.type.oid) for a in prepared.get_attributes()]
    same = found == [(c.name, c.type.base or c.type.oid) for c in known.columns]
    # Members of a composite change, and its oid does not.
    if same and not any(_has_fields(column.type) for column in known.columns):
        return known.columns
    types = await load_types(connection, (oid for _, oid in found))
    if not types.keys() >= {oid for _, oid in found}:
        return None
    return tuple(Column(name, types[oid]) for name, oid in found)


def _has_fields(of: Type) -> bool:
    return bool(of.fields) or (of.element is not None and _has_fields(of.element))


async def _first(chunks: AsyncIterator[list[Any]], relation: Relation) -> list[Any]:
    try:
        return await anext(chunks)
    except (asyncpg.UndefinedColumnError, asyncpg.UndefinedFunctionError):
        # The text of a value is what the output function of its type makes.
        raise _changed(relation) from None


def _changed(relation: Relation) -> Unavailable:
    return Unavailable(f"{relation.name} or its columns have just changed; try again")


def _has_columns(relation: Relation, layout: Layout) -> bool:
    """Whether what a condition reads is there, and of the types that the layout has."""
    types = dict(zip(layout.columns.names, layout.columns.types, strict=True))
    columns = relation.by_name
    return all(
        name in columns and name in types and columns[name].type.oid == types[name].oid
        for name in layout.reads
    )


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
    rows: list[Texts] = [
        {name: one[label] for name, label in zip(names, labels, strict=True)} for one in records
    ]
    found: list[bool | None] = []
    for start, end, fits in parts(rows):
        part = rows[start:end]
        whole = await _evaluated(part, relation, watched, evaluator) if fits else None
        if whole is not None:
            found += whole
            continue
        failures = 0 if fits else MOST_FAILURES
        for row in part:
            one = None
            if failures < MOST_FAILURES:
                one = await _evaluated([row], relation, watched, evaluator)
            failures += one is None
            found.append(None if one is None else one[0])
    return found


async def _evaluated(
    rows: Sequence[Texts], relation: Relation, watched: Watched, evaluator: Evaluator
) -> list[bool] | None:
    """None if it fails.

    :raises Unavailable: it takes too long, or there is no connection for it.
    """
    assert watched.layout is not None
    try:
        answers = await evaluator.of(watched.layout.evaluation, watched.condition, rows)
    except TimeoutError:
        raise Unavailable(
            f"the condition that {relation.name} is watched with takes too long"
        ) from None
    except NoSession:
        raise Unavailable("there is no connection for the condition; try again") from None
    except Exception:
        # Whatever it raises: it can choose any SQLSTATE, also one of a lost connection.
        if not evaluator.is_open:
            raise Unavailable("the condition ended its session; try again") from None
        return None
    return [visible for visible, _ in answers]
