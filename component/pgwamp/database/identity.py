"""Whether two connections are to the same database, or to standbys of it."""

from __future__ import annotations

from typing import Any

import asyncpg

_IDENTITY = """
select system_identifier, d.oid
from pg_catalog.pg_control_system(), pg_catalog.pg_database as d
where d.datname = pg_catalog.current_database()
"""


async def identity_of(connection: asyncpg.Connection[Any]) -> tuple[int, int] | None:
    """A mark that no other database has; None where a provider does not let us ask.

    :param connection: with a search path that others cannot write to.
    """
    try:
        row = await connection.fetchrow(_IDENTITY)
    except asyncpg.InsufficientPrivilegeError:
        return None
    return None if row is None else (row[0], row[1])
