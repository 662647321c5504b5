"""Progressive results: rows from a cursor in the server, a chunk at a time."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from typing import Any

from pgwamp.database import Database
from pgwamp.procedures.fitting import fitting_parts
from pgwamp.query.statement import Bound
from pgwamp.session import Call


async def stream_rows(
    database: Database, call: Call, bound: Bound, *, read_only: bool = True
) -> AsyncGenerator[list[Any]]:
    """The rows of a statement as lists of some, however many there are; of none, an empty list.

    The transaction lasts until the last chunk; leaving early ends it and frees the connection.
    """
    async with database.transaction(call.caller, read_only=read_only) as connection:
        chunks = database.chunks(connection, bound.statement.sql, bound.parameters)
        async for records in chunks:
            async for part in fitting_parts(call, await bound.rows(records)):
                yield list(part)
