"""Who may call comes first: an error about an argument tells names, and only to the admitted."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Awaitable
from contextlib import aclosing
from dataclasses import replace
from typing import Any

from pgwamp.access import Caller
from pgwamp.database import Database
from pgwamp.errors import InvalidArgument
from pgwamp.session import Call, Procedure


def for_admitted(procedure: Procedure, database: Database) -> Procedure:
    """The procedure, which tells a caller nothing of its arguments who may not call.

    :returns: its handler raises :class:`NotAuthorized` for a caller without a role, and what
        ``access.before`` raises in place of an error about an argument.
    """

    async def refused_or(error: InvalidArgument, caller: Caller) -> InvalidArgument:
        # PostgreSQL finds wrong arguments after access.before.
        if "sqlstate" not in error.details:
            await database.admit(caller)
        return error

    async def value(call: Call, answer: Awaitable[Any]) -> Any:
        try:
            return await answer
        except InvalidArgument as error:
            raise await refused_or(error, call.caller) from None

    async def items(call: Call, answer: AsyncGenerator[Any]) -> AsyncIterator[Any]:
        try:
            # Closed, and not just dropped: it may hold a connection.
            async with aclosing(answer):
                async for item in answer:
                    yield item
        except InvalidArgument as error:
            raise await refused_or(error, call.caller) from None

    async def failure(call: Call, error: InvalidArgument) -> Any:
        raise await refused_or(error, call.caller)

    def handler(call: Call) -> Awaitable[Any] | AsyncIterator[Any]:
        database.roles.of(call.caller)
        if not database.judges_each_caller:
            return procedure.handler(call)
        try:
            answer = procedure.handler(call)
        except InvalidArgument as error:
            return failure(call, error)
        if isinstance(answer, AsyncGenerator):
            return items(call, answer)
        assert isinstance(answer, Awaitable)
        return value(call, answer)

    return replace(procedure, handler=handler)
