"""Progressive results: rows from a cursor in the server, a chunk at a time."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from typing import Any

from pgwamp.database import Database
from pgwamp.query.statement import Bound
from pgwamp.session import Call

#: Rows of the first chunk; the size of each tells how many the next one takes.
_FIRST_ROWS, _MOST_ROWS = 20, 1000
#: Octets of text that a chunk should have.
_CHUNK = 128 * 1024


async def stream_rows(
    database: Database, call: Call, bound: Bound, *, read_only: bool = True
) -> AsyncGenerator[list[Any]]:
    """The rows of a statement as lists of some, however many there are; of none, an empty list.

    The transaction lasts until the last chunk; leaving early ends it and frees the connection.
    """
    size, sent = _FIRST_ROWS, False
    async with database.transaction(call.caller, read_only=read_only) as connection:
        cursor = await connection.cursor(bound.statement.sql, *bound.parameters)
        while True:
            records = await cursor.fetch(size)
            # An empty list at the end only where there is nothing else.
            if records or not sent:
                yield bound.rows(records)
                sent = True
            if len(records) < size:
                return
            # At least one octet for a value: rows of numbers have a size too.
            octets = sum(
                len(value) if isinstance(value, str | bytes) else 8
                for record in records
                for value in record.values()
            )
            size = max(1, min(_MOST_ROWS, 2 * size, _CHUNK * len(records) // max(octets, 1)))
