"""The two pools of connections, and whose state a connection is in."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager, suppress
from typing import Any, TypeAlias, cast

import asyncpg

from pgwamp.database.connect import (
    CONNECT_TIMEOUT,
    CONNECTION_ERRORS,
    explain_failure,
    session_settings,
    unreachable,
)
from pgwamp.database.prelude import COMMIT, PUT_BACK
from pgwamp.errors import Unavailable
from pgwamp.settings import DatabaseSettings

_AWAY = "the database is restarting or unreachable; try again"

Connection: TypeAlias = "asyncpg.Connection[Any]"


class PooledConnection(asyncpg.Connection):
    """A pooled connection that knows whether a call has been on it.

    It is not reset after each use: the round trip that asyncpg would spend on every release is
    saved. Whoever has it next puts it back first, together with what it sends anyway.
    """

    __slots__ = ("dirty",)

    def __init__(self, *args: Any, **kwargs: Any):
        super().__init__(*args, **kwargs)
        self.dirty = False

    def get_reset_query(self) -> str:
        return ""

    async def become(self, prelude: str) -> None:
        """Put back what the last call left behind, and send ``prelude``, in one round trip."""
        statements = [PUT_BACK] if self.dirty else []
        if prelude:
            statements.append(prelude)
            # Before it is sent: whatever becomes of it, the connection must be put back.
            self.dirty = True
        if statements:
            await self.execute("; ".join(statements))
            self.dirty = bool(prelude)

    @contextmanager
    def nesting(self) -> Iterator[None]:
        """Let asyncpg's own transactions nest, as savepoints, in one that was begun in SQL."""
        self._top_xact = self.transaction()
        try:
            yield
        finally:
            self._top_xact = None  # type: ignore[assignment]


class Pools:
    """One pool for calls that only read, one for calls that may write.

    Read connections have ``default_transaction_read_only`` on, so that a single SELECT runs in
    a READ ONLY transaction at no extra round trip; with ``replica_url`` they go to the replica.

    :param search_path: schemas that unqualified names in queries and functions resolve in.
    """

    def __init__(self, settings: DatabaseSettings, search_path: Sequence[str]):
        self._settings = settings
        self.session_settings = session_settings(search_path)
        self._pools: dict[bool, asyncpg.Pool[Any]] = {}

    async def start(self, patience: float = 0.0) -> None:
        """Open the pools, trying for ``patience`` seconds while the server does not answer.

        :raises StartError: refused for a reason that waiting does not cure, or out of patience.
        """
        loop = asyncio.get_running_loop()
        deadline = loop.time() + patience
        delay = 0.1
        while True:
            try:
                self._pools[False] = await self._open(self._settings.dsn(), read_only=False)
                self._pools[True] = await self._open(self._settings.read_dsn(), read_only=True)
                return
            except (*CONNECTION_ERRORS, asyncpg.PostgresError) as error:
                await self.stop()
                dsn = self._settings.dsn()
                if cure := explain_failure(error, dsn):
                    raise cure from None
                if loop.time() >= deadline:
                    raise unreachable(error, dsn) from None
            await asyncio.sleep(delay)
            delay = min(delay * 2, 2.0)

    async def stop(self) -> None:
        """Close every connection, at once if they do not close within a few seconds."""
        pools, self._pools = list(self._pools.values()), {}
        for pool in pools:
            try:
                await asyncio.wait_for(pool.close(), 5)
            except (*CONNECTION_ERRORS, asyncpg.PostgresError):
                pool.terminate()

    def usage(self) -> dict[str, tuple[int, int]]:
        """Connections in use and open, of the pools ``read`` and ``write``."""
        sizes = {ro: (pool.get_size(), pool.get_idle_size()) for ro, pool in self._pools.items()}
        return {
            "read" if read_only else "write": (size - idle, size)
            for read_only, (size, idle) in sizes.items()
        }

    async def _open(self, dsn: str, *, read_only: bool) -> asyncpg.Pool[Any]:
        settings = {} if self._settings.pooled else self._startup_settings(read_only)
        return await asyncpg.create_pool(
            dsn,
            min_size=self._settings.pool_min,
            max_size=self._settings.pool_max,
            timeout=CONNECT_TIMEOUT,
            connection_class=PooledConnection,
            statement_cache_size=0 if self._settings.pooled else 500,
            max_inactive_connection_lifetime=300,
            server_settings=settings,
        )

    def _startup_settings(self, read_only: bool) -> dict[str, str]:
        extra = {"default_transaction_read_only": "on"} if read_only else {}
        return {**self.session_settings, **extra}

    @asynccontextmanager
    async def connection(self, *, read_only: bool, prelude: str = "") -> AsyncIterator[Connection]:
        """A connection as it was opened, or with ``prelude`` as a caller's.

        :raises Unavailable: none became free within ``acquire_timeout``, or the database is away.
        """
        pool = self._pool(read_only)
        connection = await self._acquire(pool, prelude)
        try:
            yield connection
        finally:
            await pool.release(cast(Any, connection))

    @asynccontextmanager
    async def transaction(self, begin: str, *, read_only: bool) -> AsyncIterator[Connection]:
        """A connection in the transaction that ``begin`` begins and prepares for a caller.

        :raises Unavailable: as :meth:`connection`.
        """
        # A pooler may serve the next transaction with another connection of its own, and this
        # one to somebody else: it is put back with the COMMIT.
        commit = f"{COMMIT}; {PUT_BACK}" if self._settings.pooled else COMMIT
        pool = self._pool(read_only)
        connection = await self._acquire(pool, begin)
        try:
            with connection.nesting():
                yield connection
            await connection.execute(commit)
        except BaseException as error:
            await _leave_transaction(connection, error)
            raise
        finally:
            await pool.release(cast(Any, connection))

    def _pool(self, read_only: bool) -> asyncpg.Pool[Any]:
        pool = self._pools.get(read_only)
        if pool is None:
            raise Unavailable("the component is stopping")
        return pool

    async def _acquire(self, pool: asyncpg.Pool[Any], prelude: str) -> PooledConnection:
        """A free connection, put back and with ``prelude`` sent.

        Every use of a connection begins here, so that none meets what a call has left behind.
        One that turns out dead is replaced once: nothing of the call has been done yet.
        """
        for attempt in (1, 2):
            connection = await self._free(pool)
            if not prelude and not connection.dirty:
                return connection
            try:
                if self._settings.pooled:
                    await connection.execute(prelude)
                else:
                    await connection.become(prelude)
                return connection
            except CONNECTION_ERRORS:
                _discard(connection)
                await pool.release(cast(Any, connection))
                if attempt == 2:
                    raise Unavailable(_AWAY) from None
            except BaseException as error:
                await _leave_transaction(connection, error)
                await pool.release(cast(Any, connection))
                raise
        raise AssertionError("unreachable")

    async def _free(self, pool: asyncpg.Pool[Any]) -> PooledConnection:
        try:
            # asyncpg's proxy stands for the connection until it is released.
            free: Any = await pool.acquire(timeout=self._settings.acquire_timeout)
        except TimeoutError:
            raise Unavailable(
                f"no database connection became free within "
                f"{self._settings.acquire_timeout:g} seconds; raise database.pool_max, "
                "or send fewer calls at a time"
            ) from None
        except CONNECTION_ERRORS:
            raise Unavailable(_AWAY) from None
        return cast(PooledConnection, free)


async def _leave_transaction(connection: Connection, error: BaseException) -> None:
    """Roll back whatever happened; a connection that cannot is thrown away."""
    # After the server's own error asyncpg knows whether a transaction is still open.
    if isinstance(error, asyncpg.PostgresError) and not connection.is_in_transaction():
        return
    try:
        await asyncio.wait_for(asyncio.shield(connection.execute("rollback")), 5)
    except (*CONNECTION_ERRORS, asyncpg.PostgresError, asyncio.CancelledError):
        _discard(connection)


def _discard(connection: Connection) -> None:
    # asyncpg takes a lost connection out of the hands of who has it.
    with suppress(asyncpg.InterfaceError):
        connection.terminate()
