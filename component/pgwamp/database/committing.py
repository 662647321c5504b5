"""Ending a transaction: committing it, or rolling it back."""

from __future__ import annotations

import asyncio

import asyncpg

from pgwamp.database.connect import CONNECTION_ERRORS
from pgwamp.database.pooled import PooledConnection
from pgwamp.database.session_sql import COMMIT, reset_after_transaction, reset_before_commit
from pgwamp.errors import OutcomeUnknown
from pgwamp.tasks import LEAVING_SECONDS, cancels, outlast, raise_if_cancelled

#: Of a COMMIT that was not reached: something before it had failed, or was cancelled.
_NOT_COMMITTED = (asyncpg.InFailedSQLTransactionError, asyncpg.QueryCanceledError)


async def prepare_commit(connection: PooledConnection, *, pooled: bool) -> None:
    """Do what must be done before COMMIT, and may still be cancelled as any statement.

    :param pooled: it is behind a pooler.
    """
    if pooled:
        # It may serve the next transaction with another connection of its own, and this one to
        # somebody else.
        await connection.execute(reset_before_commit())


async def commit(connection: PooledConnection, *, pooled: bool) -> None:
    """Commit, after :func:`prepare_commit`."""
    if not pooled:
        await connection.execute(COMMIT)
        return
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
    """Commit. Where the call is cancelled meanwhile, the server says which of both came first.

    :raises asyncio.CancelledError: the cancel, and nothing is committed.
    :raises OutcomeUnknown: the server did not say that it was committed, nor that it was not.
    """
    # Behind a pooler deferred triggers have run: COMMIT is short, and a cancel would meet the reset
    # that is sent with it.
    patience = LEAVING_SECONDS / 2 if pooled else 0.0
    try:
        await connection.outcome(commit(connection, pooled=pooled), patience)
    except (asyncpg.QueryCanceledError, asyncio.CancelledError):
        if pooled and connection.is_in_transaction():
            # It is that of the write, or that of the reset.
            connection.terminate()
            raise OutcomeUnknown() from None
        raise


async def roll_back(connection: PooledConnection, error: BaseException, *, pooled: bool) -> None:
    """Roll back whatever happened; a connection that cannot is closed.

    :param error: that which happened.
    :raises asyncio.CancelledError: cancelled meanwhile: nothing may be tried again.
    """
    if connection.is_closed():
        return
    # After the server's own error asyncpg knows whether a transaction is still open.
    if isinstance(error, asyncpg.PostgresError) and not connection.is_in_transaction():
        return
    statement = f"rollback; {reset_after_transaction()}" if pooled else "rollback"
    before = cancels()
    rolling_back = asyncio.ensure_future(connection.execute(statement))
    if not await outlast(connection.leaving(), rolling_back):
        rolling_back.cancel()
        connection.terminate()
    elif rolling_back.exception() is not None:
        connection.terminate()
    raise_if_cancelled(before=before)
