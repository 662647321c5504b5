"""Whether the schema ``wamp`` may be trusted: its functions run with the rights of their callers.

Everybody who may create schemas in a database can make one called ``wamp`` before pgwamp does, and
change its functions later. So it is refused unless its owner is trusted, and everything in it
belongs to that owner.
"""

from __future__ import annotations

from importlib.resources import files
from typing import Any

import asyncpg
from sqlalchemy import Connection, func, select, text

from pgwamp.errors import StartError

#: For a search path of ``pg_catalog, pg_temp``; one line with the cure, or null.
PROBLEM = (files("pgwamp") / "ownership.sql").read_text(encoding="utf-8")


def require_own_schema(connection: Connection) -> None:
    """Return if there is no schema ``wamp``, or if it is one that pgwamp has made.

    :raises StartError: it belongs to somebody else, or others may change it.
    """
    options = {"no_parameters": True}
    if problem := connection.exec_driver_sql(PROBLEM, execution_options=options).scalar():
        raise StartError(problem)


def become_owner(connection: Connection) -> None:
    """Let whatever this transaction makes in the schema belong to its owner, if it is there.

    :raises StartError: as :func:`require_own_schema`.
    """
    require_own_schema(connection)
    owner = connection.scalar(
        text(
            "select r.rolname from pg_namespace as n join pg_roles as r on r.oid = n.nspowner "
            "where n.nspname = 'wamp' and r.rolname <> current_user"
        )
    )
    if owner is not None:
        connection.execute(select(func.set_config("role", owner, True)))


def require_no_power(connection: Connection) -> None:
    """Return unless a superuser is about to run what an ordinary owner of the schema has made.

    Triggers, defaults and functions of that owner could become the superuser again.

    :raises StartError: with the cure.
    """
    owner = connection.scalar(
        text(
            "select r.rolname from pg_namespace as n join pg_roles as r on r.oid = n.nspowner "
            "where n.nspname = 'wamp' and not r.rolsuper "
            "and exists (select from pg_class where relnamespace = n.oid) "
            "and exists (select from pg_roles where rolname = session_user and rolsuper)"
        )
    )
    if owner is not None:
        raise StartError(
            f'the schema wamp belongs to "{owner}" and is not at the newest revision: run this as '
            "that role first, and then as a superuser"
        )


async def schema_problem(connection: asyncpg.Connection[Any]) -> str | None:
    """Why the schema ``wamp`` is not to be trusted, as one line with the cure; None if it is."""
    problem: str | None = await connection.fetchval(PROBLEM)
    return problem
