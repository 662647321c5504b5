"""SQL functions and procedures as WAMP procedures, all overloads of a name under one URI."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Mapping, Sequence
from contextlib import aclosing, asynccontextmanager
from functools import partial
from typing import Any

import asyncpg

from pgwamp.catalog import Column, Routine
from pgwamp.database import Database
from pgwamp.database.chunks import fetch_texts
from pgwamp.database.pools import Connection
from pgwamp.describe.description import routine_description
from pgwamp.describe.related import Related
from pgwamp.errors import InvalidArgument, TooManyRows
from pgwamp.procedures.copying import copy_chunks, copy_out
from pgwamp.procedures.disclosure import Disclosure
from pgwamp.procedures.fitting import require_fitting
from pgwamp.procedures.streaming import stream_rows
from pgwamp.query.request import naming_arguments
from pgwamp.query.routines import RoutineCall, RoutineCalls, represented
from pgwamp.query.scope import Scopes
from pgwamp.query.shape import converted
from pgwamp.query.statement import Bound
from pgwamp.session import Call, Procedure, Result
from pgwamp.settings import Settings
from pgwamp.values import text_converter


class RoutineProcedure:
    """The procedure that calls a function (or a SQL procedure, by CALL).

    STABLE and IMMUTABLE functions run in a READ ONLY transaction.
    """

    def __init__(
        self,
        uri: str,
        overloads: Sequence[Routine],
        scopes: Scopes,
        database: Database,
        settings: Settings,
        related: Related,
    ):
        self._uri = uri
        self._overloads = overloads
        self._database = database
        self._limits = settings.limits
        self._related = related
        self._big = settings.expose.bigint == "string"
        self._calls = RoutineCalls(
            overloads, scopes, max_rows=settings.limits.max_rows, bigint_as_string=self._big
        )

        self._errors = Disclosure(database, routines=overloads)

    def procedure(self) -> Procedure:
        """What to register."""
        return Procedure(
            self._uri,
            self._handler,
            description=routine_description(self._uri, self._overloads, self._related),
        )

    def _handler(self, call: Call) -> Awaitable[Any] | AsyncIterator[Any]:
        csv = self._is_csv(call)
        if call.progress is not None:
            return self._stream(call, csv)
        return self._csv(call) if csv else self._answer(call)

    async def _bind(self, call: Call, *, endless: bool = False, csv: bool = False) -> RoutineCall:
        async with self._errors.to(call.caller):
            if csv and not any(routine.returns_set for routine in self._overloads):
                raise InvalidArgument("format", "only functions that return a set answer CSV")
            if csv and call.kwargs["format"] != "csv":
                raise InvalidArgument("format", 'expected "rows" or "csv"')
            return await self._calls.bind(call.args, call.kwargs, endless=endless, plain=csv)

    @asynccontextmanager
    async def _told(self, call: Call, bound: RoutineCall) -> AsyncIterator[None]:
        """Let errors of PostgreSQL through as the caller may see them, with their arguments."""
        async with self._errors.to(call.caller, bound.named):
            with naming_arguments(bound.arguments, bound.request):
                yield

    def _is_csv(self, call: Call) -> bool:
        if all(
            any(argument.name == "format" for argument in routine.inputs)
            for routine in self._overloads
        ):
            return False
        return call.kwargs.get("format") not in (None, "rows")

    async def _csv(self, call: Call) -> str:
        bound = await self._bind(call, endless=True, csv=True)
        async with self._told(call, bound):
            return await copy_out(
                self._database,
                call,
                bound.bound,
                self._limits.max_bytes,
                read_only=bound.read_only,
            )

    async def _stream(self, call: Call, csv: bool) -> AsyncIterator[Any]:
        bound = await self._bind(call, endless=True, csv=csv)
        if not bound.routine.returns_set or bound.counted:
            answer = await self._answer(call)
            yield answer if isinstance(answer, Result) else Result(answer)
            return
        stream = copy_chunks if csv else stream_rows
        chunks: AsyncGenerator[Any] = stream(
            self._database, call, bound.bound, read_only=bound.read_only
        )
        # Closed, and not just dropped: it holds a connection.
        async with self._told(call, bound), aclosing(chunks):
            async for chunk in chunks:
                yield chunk if csv else bound.unwrapped(chunk)

    async def _answer(self, call: Call) -> Any:
        bound = await self._bind(call)
        async with self._told(call, bound):
            if bound.routine.kind == "procedure":
                return await self._called(call, bound)
            sql, parameters = bound.bound.statement.sql, bound.bound.parameters
            if bound.read_only:
                records = await self._database.fetch(sql, parameters, call.caller, claims=True)
                return await self._result(bound, records)
            # It commits when its answer is known to fit: an error has changed nothing.
            async with self._database.transaction(call.caller, read_only=False) as connection:
                with self._database.measured(connection):
                    records = await connection.fetch(sql, *parameters)
                result = await self._result(bound, records)
                await require_fitting(call, result)
                return result

    async def _result(self, bound: RoutineCall, records: Sequence[Any]) -> Any:
        """What a function returned."""
        routine = bound.routine
        if len(records) > self._limits.max_rows:
            raise TooManyRows(
                f"{routine.name} returned more than {self._limits.max_rows} rows "
                "(limits.max_rows); nothing was changed"
            )
        rows = bound.found(records)
        answer = bound.unwrapped(await bound.bound.rows(rows))
        if routine.returns_set:
            if not bound.counted:
                return answer
            return Result(answer, {"count": bound.count(records)})
        if routine.returns is None or routine.returns.name == "void" or not answer:
            return None
        return answer[0]

    async def _called(self, call: Call, bound: RoutineCall) -> Any:
        """What a procedure answers, which runs in a transaction unless it may commit by itself."""
        routine = bound.routine
        sql, parameters = bound.bound.statement.sql, bound.bound.parameters
        types = {oid for c in routine.columns for oid in (c.type.oid, c.type.base) if oid}
        if routine.commits:
            read = partial(self._outputs, call, routine, None)
            return await self._database.call(sql, parameters, call.caller, types, read)
        async with self._database.transaction(call.caller, read_only=False) as connection:
            with self._database.measured(connection):
                rows = await fetch_texts(connection, sql, parameters, types)
            return await self._outputs(call, routine, connection, rows)

    async def _outputs(
        self,
        call: Call,
        routine: Routine,
        connection: Connection | None,
        rows: Sequence[Sequence[str | None]],
    ) -> dict[str, Any] | None:
        """What a procedure set its OUT arguments to, by their names; null if it has none.

        :param connection: of the transaction that it ran in, if that is not at an end.
        """
        if not rows or not routine.columns:
            return None
        texts = dict(zip((c.name for c in routine.columns), rows[0], strict=True))
        answer = {}
        for column in routine.columns:
            text = texts[column.name]
            convert = text_converter(column.type, bigint_as_string=self._big)
            if text is None or convert is None:
                answer[column.name] = text
            else:
                answer[column.name] = await converted(convert, text)
        own = [c for c in routine.columns if c.type.representation is not None]
        if own:
            bound = self._represented(own, texts)
            records = await self._database.fetch(bound.statement.sql, bound.parameters, call.caller)
            (row,) = await bound.rows(records)
            answer |= row
        named = [c for c in routine.columns if c.type.follows_path and c not in own]
        if named:
            answer |= await self._in_own_path(call, connection, self._represented(named, texts))
        await require_fitting(call, answer)
        return answer

    def _represented(self, columns: Sequence[Column], texts: Mapping[str, str | None]) -> Bound:
        statement = represented(columns, bigint_as_string=self._big)
        return statement.bind([texts[column.name] for column in columns])

    async def _in_own_path(
        self, call: Call, connection: Connection | None, bound: Bound
    ) -> dict[str, Any]:
        """Values with names of objects, as they are answered; none if one cannot be found again.

        The procedure may have dropped it, or hidden it from other transactions and search paths.
        """
        if connection is None:
            async with self._database.transaction(call.caller, read_only=True) as other:
                return await self._in_own_path(call, other, bound)
        try:
            async with connection.transaction():
                records = await connection.fetch(bound.statement.sql, *bound.parameters)
        except (asyncpg.SyntaxOrAccessError, asyncpg.InvalidSchemaNameError):
            return {}
        (row,) = await bound.rows(records)
        return row
