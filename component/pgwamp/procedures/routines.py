"""SQL functions as procedures, all overloads of a name under one URI."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from pgwamp.catalog import Routine
from pgwamp.database import Database
from pgwamp.errors import TooManyRows
from pgwamp.procedures.describe import routine_description
from pgwamp.query.request import naming_arguments
from pgwamp.query.routines import VALUE, RoutineCalls
from pgwamp.session import Call, Procedure
from pgwamp.settings import Settings


def routine_procedure(
    uri: str, overloads: Sequence[Routine], database: Database, settings: Settings
) -> Procedure:
    """The procedure that calls a function.

    STABLE and IMMUTABLE functions run in a READ ONLY transaction.
    """
    max_rows = settings.limits.max_rows
    calls = RoutineCalls(
        overloads, max_rows=max_rows, bigint_as_string=settings.expose.bigint == "string"
    )

    async def handler(call: Call) -> Any:
        routine, bound = calls.bind(call.args, call.kwargs)
        read_only = routine.volatility != "volatile"
        names = [a.name or f"argument {i}" for i, a in enumerate(routine.inputs)]
        with naming_arguments({**dict(zip(names, call.args, strict=False)), **call.kwargs}):
            records = await database.fetch(
                bound.statement.sql,
                bound.parameters,
                call.caller,
                read_only=read_only,
                user_code=True,
            )
        rows = bound.rows(records)
        if len(rows) > max_rows:
            raise TooManyRows(f"{routine.name} returned more than {max_rows} rows "
                              "(limits.max_rows)")  # fmt: skip
        values: list[Any] = rows if routine.columns else [row[VALUE] for row in rows]
        if routine.returns_set:
            return values
        if routine.returns is None or routine.returns.name == "void" or not values:
            return None
        return values[0]

    return Procedure(uri, handler, description=routine_description(uri, overloads))
