"""The pools of connections, and whose state a connection is in."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager, contextmanager, nullcontext
from functools import partial
from typing import Any, Literal, TypeAlias, cast

import asyncpg

from pgwamp import logs
from pgwamp.access import Caller, Leaves
from pgwamp.database.committing import commit, commit_write, prepare_commit, roll_back
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
from pgwamp.database.lending import Lender, Loan, Terms, none_free
from pgwamp.database.meter import AnswerBound
from pgwamp.database.pooled import PooledConnection
from pgwamp.database.replica import Replica
from pgwamp.database_url import for_asyncpg
from pgwamp.errors import OutcomeUnknown, Unavailable
from pgwamp.settings import DatabaseSettings, LimitSettings
from pgwamp.shares import Party, Shares
from pgwamp.tasks import end, raise_if_cancelled

log = logs.get(__name__)
#: Connections of our own pool at least, and how many of them calls leave to the component itself.
OWN_CONNECTIONS, OWN_RESERVE = 4, 2

#: Statements that a connection keeps prepared, and bytes of one: a caller may send any number of
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
        limits = limits or LimitSettings()
        self._bound = AnswerBound(limits.max_bytes)
        self._none_free = partial(none_free, settings.acquire_timeout)
        self.session_settings = session_settings(search_path)
        self._lenders: dict[Key, Lender] = {}
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
        #: Pools that are closed with all others.
        self._last: list[Lender] = []
        #: Pools that reads have left.
        self._closing: set[asyncio.Task[None]] = set()
        self._replica = Replica(settings, self._move_reads)

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
                self._lenders[key] = await self._open(key)
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
        self._last, self._lenders = [*self._last, *self._lenders.values()], {}
        await end(*self._closing)
        await asyncio.gather(*(lender.close(CLOSE_SECONDS) for lender in self._last))

    def terminate(self) -> None:
        """Drop every connection: no answer is waited for, and nobody gets one any more."""
        self._last, self._lenders = [*self._last, *self._lenders.values()], {}
        for lender in self._last:
            lender.pool.terminate()

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
        for key in [key for key in self._lenders if key[0] == "read"]:
            lender = await self._open(key)
            old, self._lenders[key] = self._lenders[key], lender
            closing = asyncio.create_task(old.close(LEFT_SECONDS))
            self._closing.add(closing)
            closing.add_done_callback(self._closing.discard)

    def usage(self) -> dict[str, tuple[int, int]]:
        """Connections in use and open, of the pools of each kind."""
        usage: dict[str, tuple[int, int]] = {}
        for (kind, _), lender in self._lenders.items():
            used, opened = usage.get(kind, (0, 0))
            pool = lender.pool
            size = pool.get_size()
            usage[kind] = (used + size - pool.get_idle_size(), opened + size)
        return usage

    def opened(self) -> list[Key]:
        """The pools of calls that have connections."""
        calls = [(key, lender) for key, lender in self._lenders.items() if key[0] in CALLS]
        return [key for key, lender in calls if lender.pool.get_size()]

    async def _open(self, key: Key) -> Lender:
        kind, login = key
        address = self._address(key)
        own = kind == "own"
        pooled = self._settings.pooled and not own
        least = min(1, self._settings.pool_min) if own else self._settings.pool_min
        pool = await asyncpg.create_pool(
            for_asyncpg(address[0], reading=kind == "read"),
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
        terms = Terms(key, address, pooled, self._settings.acquire_timeout, self._bound)
        return Lender(pool, terms)

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
            loan = await self._borrow(("own", ""), "")
            try:
                yield loan.proxy
            finally:
                await loan.give_back()

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
        self, key: Key, caller: Caller, begin_sql: str, *, leaves: Leaves
    ) -> AsyncIterator[PooledConnection]:
        """A connection for one statement of a call, with ``begin_sql`` as its caller's.

        :param leaves: what the statement may leave on the connection.
        :raises Unavailable: as :meth:`own`.
        :raises PayloadTooLarge: its answer is larger than any message may be.
        """
        # Each context costs a call some microseconds; so there is one, and not one in another.
        async with self._place(key, caller):
            loan = await self._borrow(key, begin_sql, clean=leaves == "anything")
            connection, meter = loan.connection, loan.connection.meter
            try:
                connection.soil(leaves)
                meter.allow(self._bound.byte_count)
                yield connection
            except CONNECTION_ERRORS as error:
                raise self._bound.explained(meter, error) from None
            except asyncpg.InvalidSQLStatementNameError:
                # A call has dropped a statement of the driver, who would go on using it.
                connection.terminate()
                raise
            finally:
                meter.allow(None)
                await loan.give_back(decided=key[0] == "write")

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
            loan = await self._borrow(key, begin)
            connection, meter = loan.connection, loan.connection.meter
            decided = False
            try:
                with connection.nesting():
                    yield loan.proxy
                # Deferred triggers run now, and may say anything.
                meter.allow(self._bound.byte_count)
                await prepare_commit(connection, pooled=pooled)
                await (commit_write if writes else commit)(connection, pooled=pooled)
                decided = writes
                # From here on nothing waits, so that no cancel hides what is committed.
                connection.settle(leaves)
            except BaseException as error:
                # A cancel is not to hide it: it is no error that has changed nothing.
                decided = isinstance(error, OutcomeUnknown)
                if meter.exceeded and isinstance(error, CONNECTION_ERRORS):
                    connection.terminate()
                    raise self._bound.explained(meter, error) from None
                if isinstance(error, asyncpg.InvalidSQLStatementNameError):
                    connection.terminate()
                await roll_back(connection, error, pooled=pooled)
                if isinstance(error, CONNECTION_ERRORS):
                    # It was closed because the server took no cancel.
                    raise_if_cancelled()
                raise
            finally:
                meter.allow(None)
                await loan.give_back(decided=decided)

    @contextmanager
    def measured(self, connection: Connection, byte_count: int | None = None) -> Iterator[None]:
        """Let one statement answer no more than a message could hold.

        :param byte_count: so many, and not as a message.
        :raises PayloadTooLarge: it answered more; the connection is closed.
        """
        meter = cast(PooledConnection, connection).meter
        meter.allow(byte_count or self._bound.byte_count)
        try:
            yield
        except CONNECTION_ERRORS as error:
            raise self._bound.explained(meter, error) from None
        finally:
            meter.allow(None)

    def _place(self, key: Key, caller: Caller | Party | None) -> AbstractAsyncContextManager[None]:
        """A place among the callers that use a pool, within ``acquire_timeout``."""
        if caller is None:
            return _NO_PLACE
        return self._shares[key].place(caller, self._settings.acquire_timeout, self._none_free)

    async def _borrow(self, key: Key, begin_sql: str, *, clean: bool = True) -> Loan:
        """Take a connection that is reset and has sent ``begin_sql``.

        :param clean: not even sequences may tell of another call.
        """
        lender = self._lenders.get(key)
        if lender is None:
            raise Unavailable("the component is stopping")
        try:
            return await lender.take(begin_sql, clean=clean)
        except Unavailable:
            if key[0] != "read" or not await self._replica.left():
                raise
        return await self._lenders[key].take(begin_sql, clean=clean)
