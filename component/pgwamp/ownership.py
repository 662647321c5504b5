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
_UNTRUSTED = (files("pgwamp") / "ownership.sql").read_text(encoding="utf-8")
#: Its owner, if a session that is or may become a superuser runs over an owner who may not.
_ORDINARY_OWNER = """
select o.rolname
from pg_namespace as n join pg_roles as o on o.oid = n.nspowner
where n.nspname = 'wamp' and array(
    select pg_has_role(session_user, r.oid, 'member') and not pg_has_role(o.oid, r.oid, 'member')
    from pg_roles as r
    where r.rolsuper or r.rolname in ('pg_execute_server_program', 'pg_write_server_files')
) && array[true]
"""
_IS_SUPERUSER = "exists (select from pg_roles where rolname = session_user and rolsuper)"
_OVER_OTHERS = f"""
select format('the schema wamp belongs to "%1$s", an ordinary role, whose code could become the '
    'superuser that "%2$s" is or may become: connect as "%1$s"', rolname, session_user)
from ({_ORDINARY_OWNER}) as o
"""
#: As above: why the schema is not to be used, or nothing of it to be run or read, by this session.
PROBLEM = f"select coalesce(({_UNTRUSTED}), ({_OVER_OTHERS}))"


def require_own_schema(connection: Connection) -> None:
    """Return if there is no schema ``wamp``, or if it is one that this session may use.

    :raises StartError: it belongs to somebody else, or others may change it.
    """
    if problem := _scalar(connection, PROBLEM):
        raise StartError(problem)


def require_trusted_schema(connection: Connection) -> None:
    """As :func:`require_own_schema`, for whoever reads the system's catalogs alone."""
    if problem := _scalar(connection, _UNTRUSTED):
        raise StartError(problem)


def ordinary_owner(connection: Connection) -> str | None:
    """The owner of the schema, if that is an ordinary role and this session a superuser's.

    Whatever that owner has written, a view, a policy, an index on an expression, could take
    ``SET ROLE`` back: such a session reads the system's catalogs alone, and executes what pgwamp
    brings.
    """
    owner: str | None = _scalar(connection, f"{_ORDINARY_OWNER} and {_IS_SUPERUSER}")
    return owner


def become_owner(connection: Connection) -> None:
    """Let whatever this transaction makes in the schema belong to its owner, if it is there."""
    owner = connection.scalar(
        text(
            "select r.rolname from pg_namespace as n join pg_roles as r on r.oid = n.nspowner "
            "where n.nspname = 'wamp' and r.rolname <> current_user"
        )
    )
    if owner is not None:
        connection.execute(select(func.set_config("role", owner, True)))


async def schema_problem(connection: asyncpg.Connection[Any]) -> str | None:
    """Why the schema ``wamp`` is not to be used, as one line with the cure; None if it may be."""
    problem: str | None = await connection.fetchval(PROBLEM)
    return problem


def _scalar(connection: Connection, query: str) -> Any:
    return connection.exec_driver_sql(query, execution_options={"no_parameters": True}).scalar()
