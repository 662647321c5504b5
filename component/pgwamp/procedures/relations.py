"""The verbs of a relation: select, get, count, insert, update, upsert, delete."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from contextlib import AbstractAsyncContextManager, aclosing
from functools import partial
from typing import Any, cast

from pgwamp.database import Database
from pgwamp.database.pooled import PooledConnection
from pgwamp.database.pools import Connection
from pgwamp.describe.description import argument_schemas, relation_description
from pgwamp.describe.related import Related
from pgwamp.errors import CallError, InvalidArgument, NotFound, TooManyAffected, TooManyRows
from pgwamp.procedures.copying import copy_chunks, copy_in, copy_out
from pgwamp.procedures.disclosure import Disclosure
from pgwamp.procedures.fitting import require_fitting
from pgwamp.procedures.streaming import stream_rows
from pgwamp.procedures.whole_rows import whole_rows
from pgwamp.query import reads, writes
from pgwamp.query.bounds import SAME_KEY, TOO_LARGE_ROW, TOO_MANY_RELATED, refusing_more
from pgwamp.query.named import named_by
from pgwamp.query.request import bind, integer, naming_arguments
from pgwamp.query.scope import Scope
from pgwamp.query.statement import Bound, Statement
from pgwamp.query.writes import SMALL_ROW_BYTES
from pgwamp.session import Call, Procedure, Result
from pgwamp.settings import Settings
from pgwamp.tasks import raise_if_cancelled

Request = dict[str, Any]
_Verb = Callable[[Call, Request], Awaitable[Any]]
#: Writes of one row that are measured before they are committed once a row was large: the next ones
#: may be, and would be made twice.
_MEASURED_WRITES = 100


class RelationProcedures:
    """The procedures of one relation under the URI ``path``."""

    def __init__(
        self, scope: Scope, path: str, database: Database, settings: Settings, related: Related
    ):
        self._scope = scope
        self._relation = scope.relation
        self._path = path
        self._database = database
        self._errors = Disclosure(database, relation=scope.relation)
        self._related = related
        self._limits = settings.limits
        self._max_rows = settings.limits.max_rows
        big = settings.expose.bigint == "string"
        self._reads = reads.Reads(scope, max_rows=self._max_rows, bigint_as_string=big)
        self._writes = writes.Writes(scope, bigint_as_string=big)
        self._measured = 0

    def procedures(self) -> Iterator[Procedure]:
        """One procedure for each verb that the relation can do."""
        relation = self._relation
        yield self._procedure("select", reads.SELECT_ARGUMENTS, 0, self._select)
        if relation.primary_key:
            yield self._procedure("get", reads.GET_ARGUMENTS, 1, self._get)
        yield self._procedure("count", reads.COUNT_ARGUMENTS, 0, self._count)
        if relation.insertable:
            yield self._procedure("insert", writes.INSERT_ARGUMENTS, 0, self._insert)
        if relation.updatable:
            yield self._procedure("update", writes.UPDATE_ARGUMENTS, 0, self._update)
        if relation.insertable and relation.updatable and relation.unique:
            yield self._procedure("upsert", writes.UPSERT_ARGUMENTS, 0, self._upsert)
        if relation.deletable:
            yield self._procedure("delete", writes.DELETE_ARGUMENTS, 0, self._delete)

    def _procedure(self, verb: str, names: tuple[str, ...], required: int, run: _Verb) -> Procedure:
        async def answer(call: Call, request: Request) -> Any:
            async with self._told(call, verb, request):
                with naming_arguments(request, request):
                    return await run(call, request)

        def handler(call: Call) -> Awaitable[Any] | AsyncIterator[Any]:
            request = bind(names, call.args, call.kwargs, required=required)
            csv = verb == "select" and _is_csv(request)
            if verb == "select" and call.progress is not None and (csv or not _is_page(request)):
                return self._stream(call, request)
            return answer(call, request)

        uri, related = f"{self._path}.{verb}", self._related
        arguments = argument_schemas(self._relation, names, required, related.schemas)
        described = relation_description(uri, verb, self._scope, arguments, related)
        return Procedure(uri, handler, description=described)

    def _told(self, call: Call, verb: str, request: Request) -> AbstractAsyncContextManager[None]:
        """Let errors through as the caller may see them."""
        return self._errors.to(
            call.caller,
            lambda: named_by(self._scope, request),
            lambda: whole_rows(self._scope, verb, request),
        )

    # --- reads ---------------------------------------------------------------------------------

    async def _select(self, call: Call, request: Request) -> Any:
        if _is_csv(request):
            bound = self._reads.stream(request, plain=True)
            return await copy_out(self._database, call, bound, self._limits.max_bytes)
        page = self._reads.select(request)
        bound = page.bound
        records = await self._fetch(call, bound)
        if len(records) > self._max_rows:
            raise TooManyRows(
                f"more than {self._max_rows} rows (limits.max_rows): narrow where, give a limit "
                "and page on with after, or ask for progressive results"
            )
        rows = await bound.rows(records)
        kwargs: dict[str, Any] = {}
        if page.keyset is not None:
            kwargs["next"] = page.next(records)
        if mode := reads.count_mode(request.get("count"), "count"):
            known = page.count(records)
            kwargs["count"] = (
                known if known is not None else await self._number(call, request, mode)
            )
        return Result(rows, kwargs) if kwargs else rows

    async def _stream(self, call: Call, request: Request) -> AsyncIterator[Any]:
        csv = _is_csv(request)
        async with self._told(call, "select", request):
            bound = self._reads.stream(request, plain=csv)
            with naming_arguments(request, request):
                stream = copy_chunks if csv else stream_rows
                # Closed, and not just dropped: it holds a connection.
                async with aclosing(stream(self._database, call, bound)) as chunks:
                    async for chunk in chunks:
                        yield chunk

    async def _get(self, call: Call, request: Request) -> dict[str, Any]:
        bound = self._reads.get(request)
        rows = await bound.rows(await self._fetch(call, bound))
        if not rows:
            raise NotFound(f"no row in {self._relation.name} with this key")
        return rows[0]

    async def _count(self, call: Call, request: Request) -> int:
        mode = reads.count_mode(request.get("mode") or "exact", "mode")
        return await self._number(call, request, mode or "exact")

    async def _number(self, call: Call, request: Request, mode: str) -> int:
        """How many rows match: counted, or as the planner guesses where it may be told."""
        bound = None if mode == "exact" else self._reads.plan(request)
        if bound is not None:
            (record,) = await self._database.fetch(
                f"EXPLAIN (FORMAT JSON) {bound.statement.sql}",
                bound.parameters,
                call.caller,
            )
            guess = int(json.loads(record[0])[0]["Plan"]["Plan Rows"])
            # A small table is counted exactly: it is cheap, and guesses there are far off.
            if mode == "planned" or guess > self._max_rows:
                return guess
        count: int = (await self._fetch(call, self._reads.count(request)))[0]["count"]
        return count

    async def _fetch(self, call: Call, bound: Bound) -> list[Any]:
        return await self._database.fetch(
            bound.statement.sql,
            bound.parameters,
            call.caller,
            leaves=bound.statement.leaves,
        )

    # --- writes --------------------------------------------------------------------------------

    async def _insert(self, call: Call, request: Request) -> Any:
        if request.get("csv") is not None:
            load = self._writes.load(request)
            return await copy_in(self._database, call, load)
        return await self._write(call, self._writes.insert(request), request)

    async def _update(self, call: Call, request: Request) -> Any:
        return await self._write(call, self._writes.update(request), request)

    async def _upsert(self, call: Call, request: Request) -> Any:
        if request.get("csv") is not None:
            load = self._writes.load(request, upsert=True)
            return await copy_in(self._database, call, load)
        return await self._write(call, self._writes.upsert(request), request)

    async def _delete(self, call: Call, request: Request) -> Any:
        return await self._write(call, self._writes.delete(request), request)

    async def _write(
        self, call: Call, bound: Bound | None, request: Mapping[str, Any]
    ) -> list[dict[str, Any]] | int:
        """Write, and commit what is known to be answered: an error has changed nothing."""
        most = request.get("max_affected")
        if most is not None:
            most = integer(most, "max_affected")
        if bound is None:
            await self._database.admit(call.caller)
            return 0 if request.get("returning") is False else []
        related = TooManyRows(
            f"include: a list of related rows would have more than {self._max_rows} rows "
            "(limits.max_rows); nothing was changed: give it a limit"
        )
        statement = bound.statement
        with (
            refusing_more(self._refusal(most)),
            refusing_more(related, TOO_MANY_RELATED),
            refusing_more(InvalidArgument("rows", SAME_KEY), SAME_KEY),
        ):
            if alone := self._alone(call, bound, most):
                try:
                    return await self._database.write(
                        alone.sql,
                        bound.parameters,
                        call.caller,
                        partial(self._answer, Bound(alone, bound.parameters)),
                        leaves=alone.leaves,
                        counts=alone.counts,
                    )
                except CallError as error:
                    if TOO_LARGE_ROW not in error.message:
                        raise
                    self._measured = _MEASURED_WRITES
                    raise_if_cancelled()
            async with self._database.transaction(
                call.caller, read_only=False, leaves=statement.leaves
            ) as connection:
                records = await self._written(connection, bound, most)
                answer = await self._answer(bound, records)
                await require_fitting(call, answer)
                return answer

    def _alone(self, call: Call, bound: Bound, most: int | None) -> Statement | None:
        """The statement that may commit by itself: nothing refuses its answer afterwards."""
        statement = bound.statement
        if not self._database.commits_each:
            return None
        if statement.counts:
            return statement if most is None else None
        if statement.small is None or most == 0:
            return None
        if call.max_bytes is not None and call.max_bytes < statement.small_bytes:
            return None
        if self._measured:
            self._measured -= 1
            return None
        byte_count = sum(len(value) for value in bound.parameters if isinstance(value, str | bytes))
        return statement.small if byte_count <= SMALL_ROW_BYTES else None

    async def _answer(self, bound: Bound, records: list[Any]) -> list[dict[str, Any]] | int:
        if bound.statement.counts:
            count: int = records[0]["count"]
            return count
        return await bound.rows(records)

    async def _written(self, connection: Connection, bound: Bound, most: int | None) -> list[Any]:
        """What a write answers, if it affects no more rows than the caller expects and may get.

        :param most: rows that the caller expects at most.
        """
        statement = bound.statement
        with self._database.measured(connection):
            if statement.unbounded:
                cursor = await connection.cursor(statement.sql, *bound.parameters)
                records: list[Any] = await cursor.fetch(self._max_rows + 1)
            else:
                records = await connection.fetch(statement.sql, *bound.parameters)
            if not statement.counts:
                cast(PooledConnection, connection).require_own_forms()
        affected = records[0]["count"] if statement.counts else len(records)
        if most is not None and affected > most:
            raise _too_many_affected(str(affected), most)
        if not statement.counts and affected > self._max_rows:
            raise self._refusal(most)
        return records

    def _refusal(self, most: int | None) -> CallError:
        """The error where more rows than ``limits.max_rows`` would be answered."""
        if most is not None and most <= self._max_rows:
            return _too_many_affected(f"more than {self._max_rows}", most)
        return TooManyRows(
            f"more than {self._max_rows} rows (limits.max_rows) would be answered; nothing was "
            "changed: write fewer at a time, or give returning=false for their number"
        )


def _too_many_affected(affected: str, most: int) -> TooManyAffected:
    return TooManyAffected(
        f"{affected} rows would be affected, more than max_affected ({most}); nothing was changed"
    )


def _is_page(request: Mapping[str, Any]) -> bool:
    """Whether the answer says more than its rows, and so comes in one piece."""
    return "after" in request or bool(request.get("count"))


def _is_csv(request: Mapping[str, Any]) -> bool:
    form = request.get("format")
    if form not in (None, "rows", "csv"):
        raise InvalidArgument("format", 'expected "rows" or "csv"')
    if form == "csv":
        for name in ("after", "count"):
            if name in request and request[name] is not False:
                raise InvalidArgument(name, "CSV has no place for more than rows; leave it out")
    return form == "csv"
