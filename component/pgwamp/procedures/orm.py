"""SQLAlchemy sessions on the connection of a call's transaction."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager
from contextvars import ContextVar
from typing import Any

import asyncpg
import sqlalchemy as sa
from sqlalchemy import NullPool
from sqlalchemy.dialects.postgresql import JSON, JSONB
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncSession, create_async_engine


class Sessions:
    """Makes an ``AsyncSession`` for each call, in the transaction that the call already has.

    SQLAlchemy begins and commits nothing itself (its isolation level AUTOCOMMIT). The session
    works in a savepoint, as SQLAlchemy's recipe for joining an external transaction has it: its
    ``commit`` is final when the call's transaction commits, its ``rollback`` undoes what it did.
    """

    def __init__(self) -> None:
        self._lent: ContextVar[_Lent] = ContextVar("lent connection")
        self._engine = create_async_engine(
            "postgresql+asyncpg://",
            creator=self._connect,
            poolclass=NullPool,
            isolation_level="AUTOCOMMIT",
        )
        # See _Lent.set_type_codec: SQLAlchemy reads json from text, 2.1 by the first of these, and
        # 2.0, whose types for asyncpg leave it to a codec, by the second.
        dialect = self._engine.dialect
        dialect.supports_native_json_deserialization = False
        dialect.colspecs = {**dialect.colspecs, sa.JSON: JSON, JSONB: JSONB}

    @asynccontextmanager
    async def on(self, connection: asyncpg.Connection[Any]) -> AsyncIterator[AsyncSession]:
        """A session on ``connection``, flushed and its savepoint released at the end.

        :raises asyncpg.PostgresError: what the driver raised, without SQLAlchemy's text around
            it, which holds the statement and its values.
        """
        try:
            bound = await self._bind(connection)
            async with aclosing(bound), bound.begin():
                session = AsyncSession(
                    bound, join_transaction_mode="create_savepoint", expire_on_commit=False
                )
                async with session:
                    yield session
                    await session.commit()
        except DBAPIError as error:
            cause = error.orig and error.orig.__cause__
            raise cause or error from None

    async def _bind(self, connection: asyncpg.Connection[Any]) -> AsyncConnection:
        token = self._lent.set(_Lent(connection))
        try:
            return await self._engine.connect()
        finally:
            self._lent.reset(token)

    def _connect(self) -> Any:
        async def lend() -> _Lent:
            return self._lent.get()

        dialect: Any = self._engine.dialect
        return dialect.dbapi.connect(
            async_creator_fn=lend,
            # Unnamed statements need no closing: the connection outlives the session.
            prepared_statement_cache_size=0,
            prepared_statement_name_func=lambda: "",
        )


class _Lent:
    """A connection that SQLAlchemy may use as its own, and neither close nor change."""

    def __init__(self, connection: asyncpg.Connection[Any]):
        self._connection = connection

    def __getattr__(self, name: str) -> Any:
        return getattr(self._connection, name)

    async def close(self, timeout: float | None = None) -> None:
        """The connection stays open: it is the call's."""

    def terminate(self) -> None:
        """The connection stays open: it is the call's."""

    async def set_type_codec(self, *_: object, **__: object) -> None:
        """asyncpg's own codecs stay, which hand json over as text.

        Those that SQLAlchemy would set would stay for the calls that have the connection next,
        and make it forget every prepared statement.
        """
