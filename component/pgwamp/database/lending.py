"""Lending the connections of one pool: each is reset when it is taken, and given back for sure."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, TypeAlias

import asyncpg

from pgwamp import logs
from pgwamp.database.committing import roll_back
from pgwamp.database.connect import CONNECTION_ERRORS, connection_problem
from pgwamp.database.failures import before_call
from pgwamp.database.meter import AnswerBound
from pgwamp.database.pooled import PooledConnection
from pgwamp.errors import CallError, Unavailable
from pgwamp.tasks import cancels, raise_if_cancelled

log = logs.get(__name__)
Pool: TypeAlias = "asyncpg.Pool[Any]"
_REFUSED = "the database refuses the login of these calls; the component's log says why"
_FULL = "the database takes no more connections now; try again"
_AWAY = "the database is restarting or unreachable; try again"


@dataclass(frozen=True, slots=True)
class Terms:
    """The terms on which connections are lent.

    :ivar pool: of the logs: its kind, and the role that has a login of its own, or "".
    :ivar address: the URL of the pool, and the setting that it comes from.
    :ivar pooled: behind a pooler, which resets nothing by itself, and keeps nothing of a call.
    :ivar acquire_timeout: seconds that a call waits for a connection.
    :ivar bound: of what a statement may answer.
    """

    pool: tuple[str, str]
    address: tuple[str, str]
    pooled: bool
    acquire_timeout: float
    bound: AnswerBound


@dataclass(frozen=True, slots=True)
class Loan:
    """A connection that is lent.

    :ivar connection: for statements of ours; it is there also when it is lost.
    :ivar proxy: asyncpg's stand-in for code of users: of no use once it is given back or lost.
    """

    lender: Lender
    connection: PooledConnection
    proxy: Any

    async def give_back(self, *, decided: bool = False) -> None:
        """Give it back. Nothing of that is an error of the call.

        :param decided: the outcome of a write is known; a cancel comes too late to hide it.
        :raises asyncio.CancelledError: cancelled; asyncpg goes on with it all the same.
        """
        await self.lender.give_back(self, decided=decided)


class Lender:
    """Lends the connections of one pool."""

    def __init__(self, pool: Pool, terms: Terms):
        self.pool = pool
        self._terms = terms
        #: Connections that were returned, at most: some are closed when they were idle for long.
        self._idle = 0
        #: Connections that were opened for calls that did not wait for them.
        self._unclaimed: set[asyncio.Task[None]] = set()
        #: Whether its login is refused, so that it is logged once.
        self._is_refused = False

    async def take(self, begin_sql: str, *, clean: bool = True) -> Loan:
        """Take a free connection, reset and with ``begin_sql`` sent.

        Every use of a connection begins here, so that none meets what a call has left behind.
        One that turns out dead is replaced, though a fresh one only once: nothing of the call has
        been done yet.

        :param clean: not even sequences may tell of another call.
        :raises Unavailable: none became free in time, or the database is away.
        """
        failures, before = 0, cancels()
        while True:
            raise_if_cancelled(before=before)
            proxy = await self._free()
            # asyncpg takes a connection that is lost out of its proxy.
            connection: PooledConnection | None = proxy._con
            left = False
            error: CallError = Unavailable(_AWAY)
            if connection is not None:
                loan = Loan(self, connection, proxy)
                connection.enter()
                if cancels() > before:
                    # asyncpg hides a cancel that comes together with the connection.
                    await loan.give_back()
                    raise asyncio.CancelledError
                left = connection.needs_reset(clean=clean or bool(begin_sql))
                if await self._become(loan, begin_sql, left=left):
                    return loan
                error = self._terms.bound.explained(connection.meter, error)
                await loan.give_back()
            # Each that a call has left may be spoiled, and none is met again.
            failures += not left
            if failures == 2:
                raise error

    async def _become(self, loan: Loan, begin_sql: str, *, left: bool) -> bool:
        """Reset a connection, if a call has left it, and send ``begin_sql``.

        :returns: whether it can be used: it is not lost.
        """
        connection, pooled = loan.connection, self._terms.pooled
        # Behind a pooler nothing stays: each call ends its transaction, and what it has set.
        if not begin_sql and (pooled or not left):
            return not connection.is_closed()
        # The function of access.before may say anything.
        connection.meter.allow(self._terms.bound.byte_count)
        try:
            if pooled:
                await connection.execute(begin_sql)
            else:
                await connection.become(begin_sql)
            connection.meter.allow(None)
        except CONNECTION_ERRORS:
            connection.terminate()
            return False
        except BaseException as error:
            before_call(error)
            try:
                await roll_back(connection, error, pooled=pooled)
            finally:
                connection.meter.allow(None)
                await loan.give_back()
            raise
        return True

    async def give_back(self, loan: Loan, *, decided: bool) -> None:
        """Give a connection back; see :meth:`Loan.give_back`."""
        connection = loan.connection
        if connection.altered:
            connection.terminate()
        try:
            # A cancelled call waits for the server, which a function may keep from stopping.
            # asyncpg then closes the connection.
            await self.pool.release(loan.proxy, timeout=connection.leaving())
            self._idle += 1
        except asyncio.CancelledError:
            if not decided:
                raise
        except (*CONNECTION_ERRORS, asyncpg.PostgresError):
            # It was lost in the meantime.
            connection.terminate()
        except Exception:
            log.exception("a connection cannot be given back")
            connection.terminate()

    async def _free(self) -> Any:
        """Return a free connection, in the proxy that stands for it until it is given back."""
        try:
            free = await self._acquired()
        except TimeoutError:
            raise Unavailable(none_free(self._terms.acquire_timeout)) from None
        except asyncpg.TooManyConnectionsError as error:
            self._refused(error)
            raise Unavailable(_FULL) from None
        except CONNECTION_ERRORS:
            raise Unavailable(_AWAY) from None
        except asyncpg.PostgresError as error:
            # PostgreSQL refuses the login, which is nothing that a caller can cure or may know.
            self._refused(error)
            raise Unavailable(_REFUSED) from None
        self._is_refused = False
        return free

    async def _acquired(self) -> Any:
        acquiring = self.pool.acquire(timeout=self._terms.acquire_timeout)
        if self._idle:
            self._idle -= 1
            return await acquiring
        # It may have to connect, which is not given up when its call is: the next one has use for
        # it, and asyncpg reports the connection that it drops half open as an error of ours.
        connecting = asyncio.ensure_future(acquiring)
        try:
            return await asyncio.shield(connecting)
        except asyncio.CancelledError:
            unclaimed = asyncio.create_task(self._give_back_unclaimed(connecting))
            self._unclaimed.add(unclaimed)
            unclaimed.add_done_callback(self._unclaimed.discard)
            raise

    async def _give_back_unclaimed(self, connecting: asyncio.Future[Any]) -> None:
        with suppress(*CONNECTION_ERRORS, asyncpg.PostgresError):
            await self.pool.release(await connecting)

    def _refused(self, error: asyncpg.PostgresError) -> None:
        if self._is_refused:
            return
        self._is_refused = True
        problem, _ = connection_problem(error, *self._terms.address)
        kind, role = self._terms.pool
        log.error("PostgreSQL refuses a login", pool=kind, role=role or None, problem=str(problem))

    async def close(self, seconds: float) -> None:
        """Close the pool, at once if what uses it takes longer."""
        try:
            await asyncio.wait_for(self.pool.close(), seconds)
        except (*CONNECTION_ERRORS, asyncpg.PostgresError):
            self.pool.terminate()
        except asyncio.CancelledError:
            self.pool.terminate()
            raise


def none_free(seconds: float) -> str:
    """Return the error where no connection became free in so many seconds."""
    return (
        f"no database connection became free within {seconds:g} seconds; "
        "raise database.pool_max, or send fewer calls at a time"
    )
