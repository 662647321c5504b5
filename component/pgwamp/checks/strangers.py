"""Locks that strangers have in the schema ``wamp``.

PostgreSQL locks what a statement names before it asks for the privileges, and the partitions of any
table without asking. A lock that lasts keeps others waiting.
"""

from __future__ import annotations

import asyncio
from importlib.resources import files
from typing import Any

import asyncpg

from pgwamp.checks.finding import Finding

#: Seconds that a transaction lasts at least to be named: a writer of a watched table is not.
LEAST_SECONDS = 1.0
#: Lines that check has of them.
MOST_LINES = 20
_LOCKS = (files("pgwamp.checks") / "strangers.sql").read_text(encoding="utf-8")


async def locks_of_strangers(connection: asyncpg.Connection[Any]) -> list[Finding]:
    """One finding, with the cure, for each transaction of a stranger that has a lock for long.

    :param connection: in no transaction, with a search path that others cannot write to.
    """
    # Of the sessions of others, not everybody may see when their transactions began.
    before = {row["transaction"] for row in await connection.fetch(_LOCKS)}
    if not before:
        return []
    await asyncio.sleep(LEAST_SECONDS)
    found = [
        Finding("schema", row["problem"], level="wrong" if row["strong"] else "advice")
        for row in await connection.fetch(_LOCKS)
        if row["transaction"] in before
    ]
    more = len(found) - MOST_LINES
    if more > 0:
        counted = Finding("schema", f"and {more} more that lock relations of wamp", level="advice")
        return [*found[:MOST_LINES], counted]
    return found
