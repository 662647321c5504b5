"""PostgreSQL's and asyncpg's exceptions as the errors a caller gets."""

from __future__ import annotations

import asyncio

import asyncpg
from psycopg2 import errorcodes

from pgwamp.database.connect import CONNECTION_ERRORS
from pgwamp.errors import (
    CallError,
    InvalidArgument,
    SchemaChanged,
    Unavailable,
    from_sqlstate,
)

#: The attribute of an error of PostgreSQL that says so: :meth:`before_call` has set it.
_BEFORE_CALL = "before_call"


def before_call(error: BaseException) -> None:
    """Mark an error that came before a statement of the call was run."""
    if isinstance(error, asyncpg.PostgresError):
        setattr(error, _BEFORE_CALL, True)


def condition_name(sqlstate: str) -> str:
    """``23505`` -> ``unique_violation``; an unknown code is itself, in lower case."""
    try:
        name: str = errorcodes.lookup(sqlstate)
    except KeyError:
        return f"sqlstate_{sqlstate.lower()}"
    return name.lower().rstrip("_")


def call_error(error: BaseException) -> CallError | None:
    """The caller's error for ``error``, or None if it is not the database's."""
    # asyncpg's own refusal to encode a value, such as a lone surrogate: no server sent it.
    if isinstance(error, asyncpg.DataError) and getattr(error, "severity", None) is None:
        return InvalidArgument("arguments", "a value cannot be sent to PostgreSQL as its type")
    if isinstance(error, asyncpg.InvalidCachedStatementError | asyncpg.OutdatedSchemaCacheError):
        return SchemaChanged()
    # Python 3.11's TimeoutError is an OSError; a call's own deadline is not a lost connection.
    if isinstance(error, asyncio.TimeoutError):
        return None
    if isinstance(error, CONNECTION_ERRORS):
        return Unavailable("the database is restarting or unreachable; try again")
    if isinstance(error, asyncpg.PostgresError):
        fields = {
            "message": error.args[0] if error.args else None,
            "detail": getattr(error, "detail", None),
            "hint": getattr(error, "hint", None),
            "schema": getattr(error, "schema_name", None),
            "table": getattr(error, "table_name", None),
            "column": getattr(error, "column_name", None),
            "constraint": getattr(error, "constraint_name", None),
            "datatype": getattr(error, "data_type_name", None),
        }
        sqlstate = error.sqlstate or "XX000"
        known = from_sqlstate(sqlstate, condition_name(sqlstate), fields)
        known.names_nothing = getattr(error, _BEFORE_CALL, known.names_nothing)
        return known
    return None
