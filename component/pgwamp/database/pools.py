"""The two pools, and running a call's statements in the right kind of transaction."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any, TypeAlias, TypeVar

import asyncpg

from pgwamp.access import Caller, role_of
from pgwamp.database.connect import (
    CONNECT_TIMEOUT,
    CONNECTION_ERRORS,
    explain_failure,
    session_settings,
    unreachable,
)
from pgwamp.database.failures import call_error
from pgwamp.errors import NotAuthorized, PgwampError, Unavailable
from pgwamp.settings import AccessSettings, DatabaseSettings

Connection: TypeAlias = "asyncpg.Connection[Any]"
Answer = TypeVar("Answer")


class _SessionConnection(asyncpg.Connection):
    """A pooled connection that is not reset after each use.

    Calls that could leave session state behind reset it themselves, together with their COMMIT;
    the round trip that asyncpg would spend on every release is saved.
    """

    __slots__ = ()

    def get_reset_query(self) -> str:
        return ""


class Database:
    """Pools of connections: one for calls that only read, one for calls that may write.

    Read connections have ``default_transaction_read_only`` on, so that a single SELECT runs in
    a READ ONLY transaction at no extra round trip; with ``replica_url`` they go to the replica.

    :param search_path: schemas that unqualified names in queries and functions resolve in.
    """

    def __init__(
        self, settings: DatabaseSettings, access: AccessSettings, search_path: Sequence[str]
    ):
        self._settings = settings
        self._access = access
        self._session_settings = session_settings(search_path)
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

    async def _open(self, dsn: str, *, read_only: bool) -> asyncpg.Pool[Any]:
        settings = {} if self._settings.pooled else self._startup_settings(read_only)
        return await asyncpg.create_pool(
            dsn,
            min_size=self._settings.pool_min,
            max_size=self._settings.pool_max,
            timeout=CONNECT_TIMEOUT,
            connection_class=_SessionConnection,
            statement_cache_size=0 if self._settings.pooled else 500,
            max_inactive_connection_lifetime=300,
            server_settings=settings,
        )

    def _startup_settings(self, read_only: bool) -> dict[str, str]:
        extra = {"default_transaction_read_only": "on"} if read_only else {}
        return {**self._session_settings, **extra}

    @asynccontextmanager
    async def connection(self, *, read_only: bool) -> AsyncIterator[Connection]:
        """A connection from the pool, within ``acquire_timeout``.

        :raises Unavailable: none became free, or the database is away.
        """
        pool = self._pools.get(read_only)
        if pool is None:
            raise Unavailable("the component is stopping")
        try:
            connection = await pool.acquire(timeout=self._settings.acquire_timeout)
        except TimeoutError:
            raise Unavailable(
                f"no database connection became free within "
                f"{self._settings.acquire_timeout:g} seconds; raise database.pool_max, "
                "or send fewer calls at a time"
            ) from None
        except CONNECTION_ERRORS:
            raise Unavailable("the database is restarting or unreachable; try again") from None
        try:
            yield connection  # type: ignore[misc]
        finally:
            await pool.release(connection)

    async def require_select(
        self, connection: Connection, caller: Caller, schema: str, name: str
    ) -> None:
        """Refuse a caller whose role may not read all rows of a relation.

        For what is read about it as the component itself, such as its events. Row level security
        cannot be asked about rows that are gone, so a table that has it is refused.

        :raises NotAuthorized: the role has no SELECT, or the relation has row level security.
        """
        role = role_of(caller, self._access.roles)
        if role is None:
            return
        allowed = await connection.fetchval(
            "select has_table_privilege($1, c.oid, 'select') and not c.relrowsecurity "
            "from pg_class as c where c.oid = to_regclass(format('%I.%I', $2::text, $3::text))",
            role,
            schema,
            name,
        )
        if not allowed:
            raise NotAuthorized(
                f"the changes of {name} are only for roles that may SELECT all of its rows"
            )

    async def fetch(
        self, sql: str, parameters: Sequence[Any], caller: Caller, *, read_only: bool
    ) -> list[asyncpg.Record]:
        """Run one statement as its own transaction and return its rows.

        A read whose connection turned out dead is tried once more: it has changed nothing.
        """

        async def run(connection: Connection) -> list[asyncpg.Record]:
            return await connection.fetch(sql, *parameters)

        return await self._single(run, caller, read_only=read_only)

    async def execute(self, sql: str, parameters: Sequence[Any], caller: Caller) -> int:
        """Run one statement that returns no rows, and say how many rows it affected."""

        async def run(connection: Connection) -> int:
            status = await connection.execute(sql, *parameters)
            last = status.rpartition(" ")[2]
            return int(last) if last.isdigit() else 0

        return await self._single(run, caller, read_only=False)

    async def _single(
        self, run: Callable[[Connection], Awaitable[Answer]], caller: Caller, *, read_only: bool
    ) -> Answer:
        alone = not self._access.roles and not self._access.before and not self._settings.pooled
        for attempt in (1, 2):
            try:
                if not alone:
                    async with self.transaction(caller, read_only=read_only) as connection:
                        return await run(connection)
                async with self.connection(read_only=read_only) as connection:
                    return await run(connection)
            except CONNECTION_ERRORS as error:
                if isinstance(error, asyncio.TimeoutError) or not read_only or attempt == 2:
                    raise _as_call_error(error) from None
            except asyncpg.PostgresError as error:
                raise _as_call_error(error) from None
        raise AssertionError("unreachable")

    @asynccontextmanager
    async def transaction(
        self, caller: Caller, *, read_only: bool, resets: bool = False
    ) -> AsyncIterator[Connection]:
        """A transaction as the caller's role, with the caller's claims as settings.

        :param resets: undo session state that user code (functions, queries) may leave behind.
        """
        role = role_of(caller, self._access.roles)
        async with self.connection(read_only=read_only) as connection:
            try:
                # One round trip: the statements are sent as one simple query.
                await connection.execute(self._begin(caller, role, read_only))
                try:
                    if self._access.before:
                        await connection.execute(f"select {_function(self._access.before)}()")
                    yield connection
                except BaseException:
                    await _rollback(connection)
                    raise
                await connection.execute("commit; reset all" if resets else "commit")
            except (*CONNECTION_ERRORS, asyncpg.PostgresError) as error:
                if isinstance(error, asyncio.TimeoutError):
                    raise
                raise _as_call_error(error) from None

    def _begin(self, caller: Caller, role: str | None, read_only: bool) -> str:
        parts = ["begin read only" if read_only else "begin read write"]
        local: dict[str, str] = dict(self._session_settings) if self._settings.pooled else {}
        local.pop("application_name", None)
        claims: Mapping[str, str] = caller.claims()
        settings = ", ".join(
            f"pg_catalog.set_config({_literal(name)}, {_literal(value)}, true)"
            for name, value in {**local, **claims}.items()
        )
        parts.append(f"select {settings}")
        if role is not None:
            parts.append(f"set local role {_identifier(role)}")
        return "; ".join(parts)


def _as_call_error(error: BaseException) -> BaseException:
    return call_error(error) or error


async def _rollback(connection: Connection) -> None:
    """Leave the transaction whatever happened; a connection that cannot is thrown away."""
    try:
        await asyncio.wait_for(asyncio.shield(connection.execute("rollback")), 5)
    except (*CONNECTION_ERRORS, asyncpg.PostgresError, asyncio.CancelledError):
        connection.terminate()


def _literal(text: str) -> str:
    """A string literal for the simple query protocol, which takes no parameters."""
    if "\x00" in text:
        raise PgwampError("a claim holds the character NUL")
    escaped = text.replace("\\", "\\\\").replace("'", "''")
    return f"E'{escaped}'"


def _identifier(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _function(name: str) -> str:
    return ".".join(_identifier(part) for part in name.split("."))
