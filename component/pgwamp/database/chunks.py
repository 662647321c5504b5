"""Ways to fetch: rows of any number, a chunk at a time, and values as PostgreSQL writes them."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Collection, Sequence
from contextlib import AbstractContextManager
from typing import Any, cast

from pgwamp.database.pooled import PooledConnection
from pgwamp.database.pools import Connection

#: Rows of a chunk at most. The first has one: the size of each tells how many the next one takes,
#: at most twice as many, so that few large rows come together.
_MOST_ROWS = 1000
#: Bytes of text that a chunk should have.
_CHUNK = 128 * 1024


#: Bounds what one fetch on a connection may bring.
Measured = Callable[[Connection], AbstractContextManager[None]]


async def fetch_chunks(
    connection: Connection, sql: str, parameters: Sequence[Any], measured: Measured
) -> AsyncGenerator[list[Any]]:
    """The records of a statement, some at a time, within a transaction; of none, an empty list."""
    size, sent = 1, False
    # To plan it can run functions, and their errors can be of any size.
    with measured(connection):
        cursor = await connection.cursor(sql, *parameters)
    while True:
        with measured(connection):
            records = await cursor.fetch(size)
        # An empty list at the end only where there is nothing else.
        if records or not sent:
            yield records
            sent = True
        if len(records) < size:
            return
        # At least one byte for a value: rows of numbers have a size too.
        byte_count = sum(
            len(value) if isinstance(value, str | bytes) else 8
            for record in records
            for value in record.values()
        )
        size = max(1, min(_MOST_ROWS, 2 * size, _CHUNK * len(records) // max(byte_count, 1)))


async def fetch_texts(
    connection: Connection, sql: str, parameters: Sequence[Any], types: Collection[int]
) -> list[Sequence[str | None]]:
    """The rows of a statement that can be no part of another one, as CALL.

    :param types: oids of its values.
    """
    with cast(PooledConnection, connection).fetching_texts(types):
        prepared = await connection.prepare(sql, name="")
        return [tuple(record) for record in await prepared.fetch(*parameters)]
