"""Whether the changes of watched tables are captured as they should be.

Where event triggers are, they are; elsewhere DDL can leave the triggers and what is known of the
columns behind, and nobody keeps an owner from disabling a trigger.
"""

from __future__ import annotations

from importlib.resources import files
from typing import Any

import asyncpg

_WATCHED = (files("pgwamp") / "captures.sql").read_text(encoding="utf-8")
# Parsed, and no more: a condition calls functions that others can replace.
_OPTIONS = """
select wamp.watch_options(w.relation, w.options - 'when') from wamp.watch as w where w.relation = $1
"""
# Which partitions have rows changes with each write.
_LAYOUT = """
select wamp.layout($1::oid) - 'filled' <> coalesce(
    (
        select r.new::jsonb - '{filled,options}'::text[] from wamp.raw as r
        where r.relation = $1::oid and r.op in ('w', 'l') order by r.place desc, r.n desc limit 1
    ),
    (
        select k.layout::jsonb - '{filled,options}'::text[] from wamp.layout as k
        where k.relation = $1::oid))
"""


async def stale_captures(connection: asyncpg.Connection[Any]) -> list[str]:
    """One line for each watched table that is not captured as it should be, with the cure.

    :param connection: of a member of the owner of ``wamp``, with a ``lock_timeout``: the owner of a
        table may keep it locked.
    """
    found = []
    for row in await connection.fetch(_WATCHED):
        problem, cure = row["problem"], row["cure"]
        try:
            if problem is None and (problem := await _misfit(connection, row)):
                cure = (
                    f"watch it again with other options: select wamp.watch({row['literal']}, ...)"
                )
            if problem is None and await connection.fetchval(_LAYOUT, row["oid"]):
                problem = "its columns, their types or its key have changed since"
                cure = f"select wamp.refresh({row['literal']})"
        except asyncpg.LockNotAvailableError:
            problem = "another session keeps it locked"
            cure = f"end it: select * from pg_locks where relation = {row['literal']}::regclass"
        if problem:
            found.append(f"{row['relation']} is watched, but {problem}: {cure}")
    return found


async def _misfit(connection: asyncpg.Connection[Any], row: Any) -> str | None:
    """Why the options do not fit the table: its owner may have changed or dropped anything.

    :raises asyncpg.LockNotAvailableError: the table is locked.
    """
    try:
        async with connection.transaction(readonly=True):
            await connection.execute(_OPTIONS, row["oid"])
            if row["condition"] is not None:
                # What follows a comment at its end is on a line of its own.
                await connection.prepare(
                    f"select from (select * from {row['relation']}) as r "
                    f"where ({row['condition']}\n) is true"
                )
    except (
        asyncpg.LockNotAvailableError,
        asyncpg.OperatorInterventionError,
        asyncpg.PostgresConnectionError,
    ):
        raise
    except asyncpg.InsufficientPrivilegeError:
        return None
    except asyncpg.PostgresError as error:
        return str(error.args[0])
    return None
