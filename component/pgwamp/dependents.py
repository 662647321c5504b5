"""Objects of other schemas that depend on objects of ``wamp``.

Any role that may create temporary objects can make them, and they keep what they depend on from
being dropped.
"""

from __future__ import annotations

from importlib.resources import files
from typing import Any

import asyncpg
from sqlalchemy import Connection

from pgwamp.errors import StartError, printable

#: Dependents that the error of a migration names, and lines that check has of them.
MOST_NAMED, MOST_LINES = 3, 20
_DEPENDENTS = (files("pgwamp") / "dependents.sql").read_text(encoding="utf-8")


async def dependents_of_strangers(connection: asyncpg.Connection[Any]) -> list[str]:
    """One line, with the cure, for each dependent of a role that may not use what it depends on.

    :param connection: with a search path that others cannot write to.
    """
    rows = await connection.fetch(_DEPENDENTS)
    found = [row["problem"] for row in rows if not row["entitled"]]
    more = len(found) - MOST_LINES
    return [*found[:MOST_LINES], *([f"and {more} more that depend on wamp"] if more > 0 else [])]


def depended_upon(connection: Connection, refusal: str) -> StartError | None:
    """Name the objects that made PostgreSQL refuse a migration; None if they are gone.

    :param refusal: PostgreSQL's message. It names what could not be dropped.
    """
    rows = connection.exec_driver_sql(_DEPENDENTS, execution_options={"no_parameters": True}).all()
    found = [row.problem for row in rows if row.needed in refusal] or [row.problem for row in rows]
    if not found:
        return None
    more = f"; and {len(found) - MOST_NAMED} more" if len(found) > MOST_NAMED else ""
    named = "; ".join(printable(problem) for problem in found[:MOST_NAMED])
    return StartError(f"the migration was undone: {named}{more}")
