"""SQL functions and procedures as WAMP procedures, all overloads of a name under one URI."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Sequence
from contextlib import aclosing
from typing import Any

from pgwamp.catalog import Routine
from pgwamp.database import Database
from pgwamp.errors import InvalidArgument, TooManyRows
from pgwamp.naming import Naming
from pgwamp.procedures.copying import copy_chunks, copy_out
from pgwamp.procedures.describe import routine_description
from pgwamp.procedures.disclosure import Disclosure
from pgwamp.procedures.streaming import stream_rows
from pgwamp.query.request import naming_arguments
from pgwamp.query.routines import RoutineCall, RoutineCalls, outputs_of
from pgwamp.query.scope import Scopes
from pgwamp.session import Call, Procedure, Result
from pgwamp.settings import Settings


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
    ):
        self._uri = uri
        self._overloads = overloads
        self._database = database
        self._limits = settings.limits
        self._shows = Naming(settings.expose).shows_column
        self._big = settings.expose.bigint == "string"
        self._calls = RoutineCalls(
            overloads, scopes, max_rows=settings.limits.max_rows, bigint_as_string=self._big
        )

        self._errors = Disclosure(database, routines=overloads, results=self._calls.results)

    def procedure(self) -> Procedure:
        """What to register."""
        return Procedure(
            self._uri,
            self._handler,
            description=routine_description(self._uri, self._overloads, self._shows),
        )

    def _handler(self, call: Call) -> Awaitable[Any] | AsyncIterator[Any]:
        csv = self._is_csv(call)
        if call.progress is not None:
            return self._stream(call, csv)
        return self._csv(call) if csv else self._answer(call)

    async def _bind(self, call: Call, **how: bool) -> RoutineCall:
        async with self._errors.to(call.caller):
            return await self._calls.bind(call.args, call.kwargs, **how)

    def _is_csv(self, call: Call) -> bool:
        if all(
            any(argument.name == "format" for argument in routine.inputs)
            for routine in self._overloads
        ):
            return False
        form = call.kwargs.get("format")
        if form == "csv" and not any(routine.returns_set for routine in self._overloads):
            raise InvalidArgument("format", "only functions that return a set answer CSV")
        return form == "csv"

    async def _csv(self, call: Call) -> str:
        bound = await self._bind(call, endless=True, plain=True)
        with naming_arguments(_named(bound, call)):
            return await copy_out(
                self._database,
                call,
                bound.bound,
                self._limits.max_bytes,
                read_only=bound.read_only,
            )

    async def _stream(self, call: Call, csv: bool) -> AsyncIterator[Any]:
        bound = await self._bind(call, endless=True, plain=csv)
        if not bound.routine.returns_set or bound.counted:
            answer = await self._answer(call)
            yield answer if isinstance(answer, Result) else Result(answer)
            return
        stream = copy_chunks if csv else stream_rows
        chunks: AsyncGenerator[Any] = stream(
            self._database, call, bound.bound, read_only=bound.read_only
        )
        with naming_arguments(_named(bound, call)):
            # Closed, and not just dropped: it holds a connection.
            async with aclosing(chunks):
                async for chunk in chunks:
                    yield chunk if csv else bound.unwrapped(chunk)

    async def _answer(self, call: Call) -> Any:
        bound = await self._bind(call)
        routine, statement = bound.routine, bound.bound.statement
        with naming_arguments(_named(bound, call)):
            records = await self._database.fetch(
                statement.sql,
                bound.bound.parameters,
                call.caller,
                read_only=bound.read_only,
                claims=True,
            )
        if routine.kind == "procedure":
            return await self._outputs(call, routine, records)
        if len(records) > self._limits.max_rows:
            raise TooManyRows(
                f"{routine.name} returned more than {self._limits.max_rows} rows (limits.max_rows)"
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

    async def _outputs(self, call: Call, routine: Routine, records: Sequence[Any]) -> Any:
        """What a procedure set its OUT arguments to: one value, a dict, or null for none."""
        if not records or not len(records[0]):
            return None
        statement = outputs_of(routine, bigint_as_string=self._big)
        bound = statement.bind(list(records[0].values()))
        (row,) = await bound.rows(
            await self._database.fetch(statement.sql, bound.parameters, call.caller, read_only=True)
        )
        return row if len(row) > 1 else next(iter(row.values()))


def _named(bound: RoutineCall, call: Call) -> dict[str, Any]:
    """The arguments of the call by the names that errors use."""
    names = [a.name or f"argument {i}" for i, a in enumerate(bound.routine.inputs)]
    return {**dict(zip(names, call.args, strict=False)), **call.kwargs}
