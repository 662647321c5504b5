"""Ending a transaction: committing it, or rolling it back."""

from __future__ import annotations

import asyncio

import asyncpg

from pgwamp.database.connect import CONNECTION_ERRORS
from pgwamp.database.pooled import LEAVING, PooledConnection
from pgwamp.database.prelude import COMMIT, reset_after_transaction, reset_before_commit
from pgwamp.errors import OutcomeUnknown
from pgwamp.tasks import finish

#: Of a COMMIT that was not reached: something before it had failed, or was cancelled.
_NOT_COMMITTED = (asyncpg.InFailedSQLTransactionError, asyncpg.QueryCanceledError)


async def commit(connection: PooledConnection, *, pooled: bool) -> None:
    """Commit.

    :param pooled: it is behind a pooler.
    """
    if not pooled:
        await connection.execute(COMMIT)
        return
    # A pooler may serve the next transaction with another connection of its own, and this
    # one to somebody else.
    await connection.execute(reset_before_commit())
    try:
        await connection.execute(f"{COMMIT}; {reset_after_transaction()}")
    except CONNECTION_ERRORS:
        raise
    except asyncpg.PostgresError as error:
        # In a transaction again, it is the reset that has failed.
        if not connection.is_in_transaction() or isinstance(error, _NOT_COMMITTED):
            raise
        connection.terminate()


async def commit_write(connection: PooledConnection, *, pooled: bool) -> None:
    """Commit, also where the call is cancelled meanwhile: it has come too late.

    :raises OutcomeUnknown: the server did not say that it was committed, nor that it was not.
    """
    if connection.is_closed():
        # COMMIT was not sent, and the server has rolled back.
        raise asyncpg.InterfaceError("connection is closed")
    try:
        await finish(commit(connection, pooled=pooled), LEAVING)
    except (*CONNECTION_ERRORS, asyncio.CancelledError):
        connection.terminate()
        raise OutcomeUnknown() from None


async def roll_back(connection: PooledConnection, error: BaseException, *, pooled: bool) -> None:
    """Roll back whatever happened; a connection that cannot is closed.

    :param error: that which happened.
    """
    if connection.is_closed():
        return
    # After the server's own error asyncpg knows whether a transaction is still open.
    if isinstance(error, asyncpg.PostgresError) and not connection.is_in_transaction():
        return
    statement = f"rollback; {reset_after_transaction()}" if pooled else "rollback"
    try:
        await asyncio.wait_for(asyncio.shield(connection.execute(statement)), LEAVING)
    except (*CONNECTION_ERRORS, asyncpg.PostgresError, asyncio.CancelledError):
        connection.terminate()
