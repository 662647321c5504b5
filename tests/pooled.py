"""A connection of a pool as the next call meets it: reset, and nothing else."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from pgwamp.database import Database
from pgwamp.database.pools import Connection, Kind


@asynccontextmanager
async def lent(database: Database, kind: Kind) -> AsyncIterator[Connection]:
    """Borrow a connection as calls do, without statements of its own before."""
    loan = await database._pools._borrow((kind, ""), "")
    try:
        yield loan.proxy
    finally:
        await loan.give_back()
