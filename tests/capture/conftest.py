"""A database in which tables are captured as raw changes."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import asyncpg
import pytest

from tests.conftest import Database

_CHANGES = "select op::text, old, new from wamp.raw order by place, n"


class Capturing:
    """A connection to such a database, of the owner of ``wamp``."""

    def __init__(self, connection: asyncpg.Connection[Any]):
        self.connection = connection

    async def execute(self, *statements: str) -> None:
        """Run statements."""
        for statement in statements:
            await self.connection.execute(statement)

    async def capture(self, *tables: str) -> None:
        """Capture what changes in tables from now on."""
        for table in tables:
            await self.connection.execute(f"select wamp.create_triggers('{table}')")

    async def changes(self) -> list[tuple[str, str | None, str | None]]:
        """Operation, old and new record of the rows that were captured since the last time."""
        rows = [tuple(row) for row in await self.connection.fetch(_CHANGES)]
        await self.connection.execute("truncate wamp.raw")
        return rows


@pytest.fixture
async def capturing(database: Database) -> AsyncIterator[Capturing]:
    """A database whose tables can be captured; nobody sleeps."""
    connection = await database.connect()
    yield Capturing(connection)
    await connection.close()
