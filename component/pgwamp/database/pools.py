"""The pools of connections, and whose state a connection is in."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import (
    AbstractAsyncContextManager,
    asynccontextmanager,
    contextmanager,
    nullcontext,
    suppress,
)
from typing import Any, Literal, TypeAlias, cast

import asyncpg

from pgwamp import logs
from pgwamp.access import Caller, Leaves
from pgwamp.database.connect import (
    CONNECT_TIMEOUT,
    CONNECTION_ERRORS,
    OWN_SEARCH_PATH,
    UNDISTURBED,
    connection_problem,
    end_transaction_timeout,
    session_settings,
    undisturbed,
)
from pgwamp.database.meter import Meter
from pgwamp.database.pooled import LEAVING, PooledConnection
from pgwamp.database.prelude import COMMIT, reset_after_transaction, reset_before_commit
from pgwamp.database.replica import Replica
from pgwamp.database_url import for_asyncpg
from pgwamp.errors import OutcomeUnknown, PayloadTooLarge, Unavailable
from pgwamp.settings import DatabaseSettings, LimitSettings
from pgwamp.shares import Party, Shares
from pgwamp.tasks import end

log = logs.get(__name__)
_REFUSED = "the database refuses the login of these calls; the component's log says why"
_FULL = "the database takes no more connections now; try again"
_AWAY = "the database is restarting or unreachable; try again"
#: Connections of our own pool at least, and how many of them calls leave to the component itself.
OWN_CONNECTIONS, OWN_RESERVE = 4, 2
#: Of a COMMIT that was not reached: something before it had failed, or was cancelled.
_NOT_COMMITTED = (asyncpg.InFailedSQLTransactionError, asyncpg.QueryCanceledError)
#: Octets that a statement may answer beside what is twice the limit of a message: bytea travels as
#: hex, and rows have heads.
MARGIN = 64 * 1024

#: Statements that a connection keeps prepared, and octets of one: a caller may send any number of
#: shapes, and the server holds about ten times the text of each.
PREPARED, PREPARED_BYTES = 150, 8_192

#: Seconds between tries to connect at the start.
FIRST_DELAY_SECONDS, LONGEST_DELAY_SECONDS = 0.1, 2.0
#: Seconds that calls have to end when a pool is closed: at the end, and when reads go elsewhere.
CLOSE_SECONDS, LEFT_SECONDS = 5.0, 60.0
#: The kinds of pools of calls.
CALLS: tuple[Kind, ...] = ("read", "write")

#: Of the component's own use, which needs no turn.
_NO_PLACE: AbstractAsyncContextManager[None] = nullcontext()

Connection: TypeAlias = "asyncpg.Connection[Any]"
Pool: TypeAlias = "asyncpg.Pool[Any]"
#: ``own`` is for statements of the component itself, as the login of events.
Kind: TypeAlias = Literal["own", "read", "write"]
#: A pool: its kind, and the role that has a login of its own, or "".
Key: TypeAlias = tuple[Kind, str]


class Pools:
    """A pool for calls that only read, one for calls that may write, and one of our own.

    Read connections have ``default_transaction_read_only`` on, so that a single SELECT runs in
    a READ ONLY transaction at no extra round trip; with ``replica_url`` they go to the replica.
    Our own go to the primary, as the login of events, with a search path of PostgreSQL's catalog
    alone: on them runs no statement of an application, and what others define there is not found.

    A role of ``database.logins`` has two pools of its own for its calls: code that runs in them can
    take back SET ROLE, and is then that login, which may become no other role. They are opened by
    the first call, so that a login which cannot connect takes nothing from the others.

    :param search_path: schemas that unqualified names in queries and functions resolve in.
    """

    def __init__(
        self,
        settings: DatabaseSettings,
        search_path: Sequence[str],
        limits: LimitSettings | None = None,
    ):
        self._settings = settings
        self._limits = limits = limits or LimitSettings()
        self.session_settings = session_settings(search_path)
        self._pools: dict[Key, Pool] = {}
        self._own_size = max(OWN_CONNECTIONS, settings.pool_max // 2)
        places: dict[Kind, int] = {
            "own": self._own_size - OWN_RESERVE,
            "read": settings.pool_max,
            "write": settings.pool_max,
        }
        keys: list[Key] = [(kind, "") for kind in places]
        self._own_logins: list[Key] = [(k, role) for role in settings.logins for k in CALLS]
        self._shares = {
            key: Shares(places[key[0]], per_session=limits.per_session, reserve=limits.reserve)
            for key in (*keys, *self._own_logins)
        }
        self._most_octets = 2 * limits.max_bytes + MARGIN
        #: Connections that were returned, at most: some are closed when they were idle for long.
        self._idle: Counter[Key] = Counter()
        #: Connections that were opened for calls that did not wait for them.
        self._giving_back: set[asyncio.Task[None]] = set()
        #: Pools that reads have left.
        self._closing: set[asyncio.Task[None]] = set()
        self._replica = Replica(settings, self._move_reads)
        #: Pools whose login is refused, so that it is logged once.
        self._known_refused: set[Key] = set()

    async def start(self, patience: float = 0.0) -> None:
        """Open the pools, trying for ``patience`` seconds while the server does not answer.

        :raises StartError: refused for a reason that waiting does not cure, or out of patience.
        """
        loop = asyncio.get_running_loop()
        deadline = loop.time() + patience
        delay, known = FIRST_DELAY_SECONDS, ""
        waiting: list[Key] = [("write", ""), ("own", ""), ("read", ""), *self._own_logins]
        while waiting:
            key = waiting[0]
            try:
                self._pools[key] = await self._open(key)
                del waiting[0]
                continue
            except (*CONNECTION_ERRORS, asyncpg.PostgresError) as error:
                problem, may_help = connection_problem(error, *self._address(key))
            if key[0] == "read" and self._replica.used:
                self._replica.leave(str(problem))
                continue
            if not may_help or loop.time() >= deadline:
                await self.stop()
                raise problem
            if str(problem) != known:
                known = str(problem)
                log.warning("waiting for the database", problem=known, seconds=round(patience))
            await asyncio.sleep(delay)
            delay = min(delay * 2, LONGEST_DELAY_SECONDS)

    async def stop(self) -> None:
        """Close every connection, at once if they do not close within a few seconds."""
        await self._replica.stop()
        pools, self._pools = list(self._pools.values()), {}
        await end(*self._closing)
        for pool in pools:
            await _close(pool, CLOSE_SECONDS)

    def _address(self, key: Key) -> tuple[str, str]:
        """The URL of a pool, and the setting that it comes from."""
        settings, (kind, role) = self._settings, key
        if kind == "own":
            return settings.events_dsn(), settings.events_setting
        on_replica = kind == "read" and self._replica.used
        if role:
            dsn = settings.login_dsn(role, read_only=on_replica)
        else:
            dsn = settings.read_dsn() if on_replica else settings.dsn()
        setting = f"database.logins.{role}" if role else settings.url_setting
        return dsn, "database.replica_url" if on_replica else setting

    async def _move_reads(self) -> None:
        """Open pools for reads where they go now; calls under way end in the old ones."""
        for key in [key for key in self._pools if key[0] == "read"]:
            pool = await self._open(key)
            old, self._pools[key] = self._pools[key], pool
            self._idle[key] = 0
            closing = asyncio.create_task(_close(old, LEFT_SECONDS))
            self._closing.add(closing)
            closing.add_done_callback(self._closing.discard)

    def usage(self) -> dict[str, tuple[int, int]]:
        """Connections in use and open, of the pools of each kind."""
        usage: dict[str, tuple[int, int]] = {}
        for (kind, _), pool in self._pools.items():
            used, opened = usage.get(kind, (0, 0))
            size = pool.get_size()
            usage[kind] = (used + size - pool.get_idle_size(), opened + size)
        return usage

    def opened(self) -> list[Key]:
        """The pools of calls that have connections."""
        return [key for key, pool in self._pools.items() if key[0] in CALLS and pool.get_size()]

    async def _open(self, key: Key) -> Pool:
        kind, login = key
        dsn, _ = self._address(key)
        own = kind == "own"
        pooled = self._settings.pooled and not own
        least = min(1, self._settings.pool_min) if own else self._settings.pool_min
        return await asyncpg.create_pool(
            for_asyncpg(dsn, reading=kind == "read"),
            min_size=0 if login else least,
            max_size=self._own_size if own else self._settings.pool_max,
            timeout=CONNECT_TIMEOUT,
            connection_class=PooledConnection,
            statement_cache_size=0 if pooled else PREPARED,
            max_cacheable_statement_size=PREPARED_BYTES,
            max_inactive_connection_lifetime=300,
            init=end_transaction_timeout if own else None,
            server_settings={} if pooled else self._startup_settings(kind),
        )

    def _startup_settings(self, kind: Kind) -> dict[str, str]:
        reading = {"default_transaction_read_only": "on", "default_transaction_deferrable": "off"}
        extra = reading if kind == "read" else {}
        ours = {**UNDISTURBED, "search_path": OWN_SEARCH_PATH} if kind == "own" else {}
        return {**self.session_settings, **extra, **ours}

    @asynccontextmanager
    async def own(self, caller: Caller | Party | None = None) -> AsyncIterator[Connection]:
        """A connection for a statement of ours.

        :param caller: whom it is for, and towards whose share it counts.
        :raises Unavailable: none became free within ``acquire_timeout``, or the database is away.
        """
        async with self._place(("own", ""), caller):
            pool, connection = await self._borrow(("own", ""), "")
            try:
                yield connection
            finally:
                await self._return(pool, ("own", ""), connection)

    @asynccontextmanager
    async def calls(self, key: Key = ("write", "")) -> AsyncIterator[Connection]:
        """A connection of calls for a statement of ours.

        :raises Unavailable: as :meth:`own`.
        """
        # Code in a call may have given the login any settings.
        path = f"set local search_path = {OWN_SEARCH_PATH}"
        begin = (
            f"begin isolation level read committed read write; {undisturbed(local=True)}; {path}"
        )
        async with self.transaction(begin, key, None) as connection:
            yield connection

    @asynccontextmanager
    async def connection(
        self, key: Key, caller: Caller, prelude: str, *, leaves: Leaves
    ) -> AsyncIterator[PooledConnection]:
        """A connection for one statement of a call, with ``prelude`` as its caller's.

        :param leaves: what the statement may leave on the connection.
        :raises Unavailable: as :meth:`own`.
        :raises PayloadTooLarge: its answer is larger than any message may be.
        """
        # Each context costs a call some microseconds; so there is one, and not one in another.
        async with self._place(key, caller):
            clean = leaves == "anything"
            pool, connection = await self._borrow(key, prelude, clean=clean)
            try:
                connection.soil(leaves)
                meter = connection.meter
                meter.allow(self._most_octets)
                try:
                    yield connection
                except CONNECTION_ERRORS as error:
                    raise self._explained(meter, error) from None
                except asyncpg.InvalidSQLStatementNameError:
                    # A call has dropped a statement of the driver, who would go on using it.
                    _discard(connection)
                    raise
                finally:
                    meter.allow(None)
            finally:
                await self._return(pool, key, connection)

    @asynccontextmanager
    async def transaction(
        self,
        begin: str,
        key: Key,
        caller: Caller | Party | None,
        *,
        writes: bool = False,
        leaves: Leaves = "anything",
    ) -> AsyncIterator[Connection]:
        """A connection in the transaction that ``begin`` begins and prepares for a caller.

        :param caller: towards whose share it counts.
        :param writes: it matters whether it was committed.
        :param leaves: what of it may stay on the connection; of ``begin`` nothing may.
        :raises Unavailable: as :meth:`own`.
        :raises OutcomeUnknown: nobody knows whether it was.
        """
        pooled = self._settings.pooled and key[0] != "own"
        async with self._place(key, caller):
            pool, connection = await self._borrow(key, begin)
            meter = connection.meter
            try:
                with connection.nesting():
                    yield connection
                # Deferred triggers run now, and may say anything.
                meter.allow(self._most_octets)
                if writes:
                    await self._commit_write(connection, pooled=pooled)
                else:
                    await self._commit(connection, pooled=pooled)
                connection.settle(leaves)
            except BaseException as error:
                if meter.exceeded and isinstance(error, CONNECTION_ERRORS):
                    _discard(connection)
                    raise self._explained(meter, error) from None
                await _leave_transaction(connection, error, pooled=pooled)
                if isinstance(error, asyncpg.InvalidSQLStatementNameError):
                    _discard(connection)
                raise
            finally:
                meter.allow(None)
                await self._return(pool, key, connection)

    async def _commit_write(self, connection: PooledConnection, *, pooled: bool) -> None:
        """Commit, also where the call is cancelled meanwhile: it has come too late.

        :raises OutcomeUnknown: the server did not say that it was committed, nor that it was not.
        """
        committing = asyncio.ensure_future(self._commit(connection, pooled=pooled))
        try:
            try:
                await asyncio.shield(committing)
            except asyncio.CancelledError:
                async with asyncio.timeout(LEAVING):
                    await asyncio.shield(committing)
        except (*CONNECTION_ERRORS, asyncio.CancelledError):
            committing.cancel()
            _discard(connection)
            raise OutcomeUnknown() from None

    async def _commit(self, connection: PooledConnection, *, pooled: bool) -> None:
        if not pooled:
            await connection.execute(COMMIT)
            return
        # A pooler may serve the next transaction with another connection of its own, and this
        # one to somebody else.
        await connection.execute(reset_before_commit())
        try:
            await connection.execute(f"{COMMIT}; {reset_after_transaction()}")
        except asyncpg.PostgresError as error:
            # In a transaction again, it is the reset that has failed.
            if not connection.is_in_transaction() or isinstance(error, _NOT_COMMITTED):
                raise
            _discard(connection)

    @contextmanager
    def measured(self, connection: Connection, octets: int | None = None) -> Iterator[None]:
        """Let one statement answer no more than a message could hold.

        :param octets: so many, and not as a message.
        :raises PayloadTooLarge: it answered more; the connection is closed.
        """
        meter = cast(PooledConnection, connection).meter
        meter.allow(octets or self._most_octets)
        try:
            yield
        except CONNECTION_ERRORS as error:
            raise self._explained(meter, error) from None
        finally:
            meter.allow(None)

    def _explained(self, meter: Meter, error: BaseException) -> BaseException:
        """The error of a connection that was lost, perhaps because it brought too much."""
        if not meter.exceeded:
            return error
        return PayloadTooLarge(
            f"the answer is larger than limits.max_bytes ({self._limits.max_bytes}); "
            "ask for fewer rows or columns, or for progressive results"
        )

    def _place(self, key: Key, caller: Caller | Party | None) -> AbstractAsyncContextManager[None]:
        """A place among the callers that use a pool, within ``acquire_timeout``."""
        if caller is None:
            return _NO_PLACE
        return self._shares[key].place(caller, self._settings.acquire_timeout, self._none_free)

    async def _borrow(
        self, key: Key, prelude: str, *, clean: bool = True
    ) -> tuple[Pool, PooledConnection]:
        """A connection that is reset and has sent ``prelude``, and the pool to return it to.

        :param clean: not even sequences may tell of another call.
        """
        pool = self._pools.get(key)
        if pool is None:
            raise Unavailable("the component is stopping")
        try:
            return pool, await self._acquire(pool, key, prelude, clean=clean)
        except Unavailable:
            if key[0] != "read" or not await self._replica.left():
                raise
        pool = self._pools[key]
        return pool, await self._acquire(pool, key, prelude, clean=clean)

    async def _acquire(
        self, pool: Pool, key: Key, prelude: str, *, clean: bool
    ) -> PooledConnection:
        """A free connection, reset and with ``prelude`` sent.

        Every use of a connection begins here, so that none meets what a call has left behind.
        One that turns out dead is replaced, though a fresh one only once: nothing of the call has
        been done yet.
        """
        pooled = self._settings.pooled
        failures = 0
        while True:
            connection = await self._free(pool, key)
            left = connection.needs_reset(clean=clean or bool(prelude))
            # Behind a pooler nothing stays: each call ends its transaction, and what it has set.
            if not prelude and (pooled or not left):
                return connection
            meter = connection.meter
            # The function of access.before may say anything.
            meter.allow(self._most_octets)
            try:
                if pooled:
                    await connection.execute(prelude)
                else:
                    await connection.become(prelude)
                meter.allow(None)
                return connection
            except CONNECTION_ERRORS:
                _discard(connection)
                await pool.release(cast(Any, connection))
                # Each that a call has left may be spoiled, and none is met again.
                failures += not left
                if failures == 2:
                    raise self._explained(meter, Unavailable(_AWAY)) from None
            except BaseException as error:
                await _leave_transaction(connection, error, pooled=pooled)
                meter.allow(None)
                await pool.release(cast(Any, connection))
                raise

    async def _return(self, pool: Pool, key: Key, connection: PooledConnection) -> None:
        # asyncpg takes a lost connection out of the hands of who has it.
        if getattr(connection, "altered", False):
            _discard(connection)
        # A cancelled call waits for the server, which a function may keep from stopping. asyncpg
        # then closes the connection.
        with suppress(TimeoutError):
            await pool.release(cast(Any, connection), timeout=LEAVING)
            self._idle[key] += 1

    async def _free(self, pool: Pool, key: Key) -> PooledConnection:
        try:
            # asyncpg's proxy stands for the connection until it is released.
            free: Any = await self._acquired(pool, key)
        except TimeoutError:
            raise Unavailable(self._none_free()) from None
        except asyncpg.TooManyConnectionsError as error:
            self._refused(key, error)
            raise Unavailable(_FULL) from None
        except CONNECTION_ERRORS:
            raise Unavailable(_AWAY) from None
        except asyncpg.PostgresError as error:
            # PostgreSQL refuses the login, which is nothing that a caller can cure or may know.
            self._refused(key, error)
            raise Unavailable(_REFUSED) from None
        self._known_refused.discard(key)
        return cast(PooledConnection, free)

    async def _acquired(self, pool: Pool, key: Key) -> Any:
        acquiring = pool.acquire(timeout=self._settings.acquire_timeout)
        if self._idle[key]:
            self._idle[key] -= 1
            return await acquiring
        # It may have to connect, which is not given up when its call is: the next one has use for
        # it, and asyncpg reports the connection that it drops half open as an error of ours.
        connecting = asyncio.ensure_future(acquiring)
        try:
            return await asyncio.shield(connecting)
        except asyncio.CancelledError:
            giving = asyncio.create_task(_give_back(pool, connecting))
            self._giving_back.add(giving)
            giving.add_done_callback(self._giving_back.discard)
            raise

    def _refused(self, key: Key, error: asyncpg.PostgresError) -> None:
        if key in self._known_refused:
            return
        self._known_refused.add(key)
        problem, _ = connection_problem(error, *self._address(key))
        log.error(
            "PostgreSQL refuses a login", pool=key[0], role=key[1] or None, problem=str(problem)
        )

    def _none_free(self) -> str:
        return (
            f"no database connection became free within {self._settings.acquire_timeout:g} "
            "seconds; raise database.pool_max, or send fewer calls at a time"
        )


async def _close(pool: Pool, seconds: float) -> None:
    """Close a pool, at once if what uses it takes longer."""
    try:
        await asyncio.wait_for(pool.close(), seconds)
    except (*CONNECTION_ERRORS, asyncpg.PostgresError):
        pool.terminate()
    except asyncio.CancelledError:
        pool.terminate()
        raise


async def _give_back(pool: Pool, connecting: asyncio.Future[Any]) -> None:
    with suppress(*CONNECTION_ERRORS, asyncpg.PostgresError):
        await pool.release(await connecting)


async def _leave_transaction(connection: Connection, error: BaseException, *, pooled: bool) -> None:
    """Roll back whatever happened; a connection that cannot is thrown away."""
    # After the server's own error asyncpg knows whether a transaction is still open.
    if isinstance(error, asyncpg.PostgresError) and not connection.is_in_transaction():
        return
    statement = f"rollback; {reset_after_transaction()}" if pooled else "rollback"
    try:
        await asyncio.wait_for(asyncio.shield(connection.execute(statement)), LEAVING)
    except (*CONNECTION_ERRORS, asyncpg.PostgresError, asyncio.CancelledError):
        _discard(connection)


def _discard(connection: Connection) -> None:
    # asyncpg takes a lost connection out of the hands of who has it.
    with suppress(asyncpg.InterfaceError):
        connection.terminate()
