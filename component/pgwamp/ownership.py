"""Whether the schema ``wamp`` may be trusted: its functions run with the rights of their callers.

Everybody who may create schemas in a database can make one called ``wamp`` before pgwamp does, and
change its functions later. So it is refused unless its owner is trusted, and everything in it
belongs to that owner. The one function that does not belong to that owner is the role's that
conditions run as: nobody who may use the schema may act as that role.
"""

from __future__ import annotations

from importlib.resources import files
from typing import Any

import asyncpg
from sqlalchemy import Connection, func, select, text

from pgwamp.errors import StartError
from pgwamp.evaluate_function import HAS_OUR_TEXT, IS_EVALUATE, OTHERS_MAY_CALL

NO_SCHEMA = "the database has no wamp schema: run 'pgwamp db upgrade'"


def _read(name: str, **parts: str) -> str:
    statement = (files("pgwamp") / name).read_text(encoding="utf-8")
    for part, condition in parts.items():
        statement = statement.replace(f"{{{part}}}", condition)
    return statement


#: For a search path of ``pg_catalog, pg_temp``; one line with the cure, or null. What others have
#: in the schema.
_CHANGED_BY_OTHERS = _read("ownership.sql", is_evaluate=IS_EVALUATE, has_our_text=HAS_OUR_TEXT)
#: As above: that, or who can act as the role of conditions.
_UNTRUSTED = f"""
select coalesce(({_CHANGED_BY_OTHERS}),
    ({_read("evaluator_role.sql", others_may_call=OTHERS_MAY_CALL)}))
"""
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
#: Only superusers may lock a row of the system's catalogs. Whoever renames the schema, drops it or
#: gives it away waits until the transaction ends, so that its name means one schema until then.
_HELD = "select oid from pg_namespace where nspname = 'wamp' for share"
_IS_SUPERUSER = "exists (select from pg_roles where rolname = session_user and rolsuper)"
_OVER_OTHERS = f"""
select format('the schema wamp belongs to "%1$s", an ordinary role, whose code could become the '
    'superuser that "%2$s" is or may become: connect as "%1$s"', rolname, session_user)
from ({_ORDINARY_OWNER}) as o
"""
_STATE = f"""
select exists (select from pg_namespace where nspname = 'wamp'),
    coalesce(({{problem}}), ({_OVER_OTHERS}))
"""
#: One row. Whether the schema is there; and, as above, why it is not to be used, or nothing of it
#: to be run or read, by this session. In one statement: a schema that others make afterwards is
#: not the one that was asked about.
OWN_SCHEMA = _STATE.replace("{problem}", _UNTRUSTED)
_OWN_SCHEMA_ALONE = _STATE.replace("{problem}", _CHANGED_BY_OTHERS)


def require_own_schema(connection: Connection) -> bool:
    """Whether there is a schema ``wamp``; it is one that this session may use.

    :raises StartError: it belongs to somebody else, or others may change it.
    """
    is_there, problem = _row(connection, OWN_SCHEMA)
    if problem:
        raise StartError(problem)
    return bool(is_there)


def require_trusted_schema(connection: Connection) -> None:
    """As :func:`require_own_schema`, for whoever reads the system's catalogs alone."""
    if problem := _scalar(connection, _UNTRUSTED):
        raise StartError(problem)


def ordinary_owner(connection: Connection) -> str | None:
    """The owner of the schema, if that is an ordinary role and this session a superuser's.

    Whatever that owner has written, a view, a policy, an index on an expression, could take
    ``SET ROLE`` back: such a session reads the system's catalogs alone, and executes what pgwamp
    brings. The schema stays that owner's, with its name, until the transaction ends.

    :raises StartError: it has become another one meanwhile.
    """
    question = f"{_ORDINARY_OWNER} and {_IS_SUPERUSER}"
    if _scalar(connection, question) is None:
        return None
    if _scalar(connection, _HELD) is None:
        raise StartError("another session has renamed or dropped the schema wamp: try again")
    owner: str | None = _scalar(connection, question)
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


async def schema_problem(
    connection: asyncpg.Connection[Any], *, is_serving: bool = False
) -> str | None:
    """Why the schema ``wamp`` is not to be used, as one line with the cure; None if it may be.

    :param is_serving: do not ask who can act as the role of conditions. That role is of the whole
        server, where others may give it away; to stop at that would end nothing that runs.
    """
    row = await connection.fetchrow(_OWN_SCHEMA_ALONE if is_serving else OWN_SCHEMA)
    assert row is not None
    is_there, problem = row
    return problem if is_there else NO_SCHEMA


def _scalar(connection: Connection, query: str) -> Any:
    row = _row(connection, query)
    return row and row[0]


def _row(connection: Connection, query: str) -> Any:
    return connection.exec_driver_sql(query, execution_options={"no_parameters": True}).first()
