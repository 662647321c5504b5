"""Running a call's statements in the right kind of transaction."""

from __future__ import annotations

import asyncio
from collections.abc import (
    AsyncGenerator,
    AsyncIterator,
    Awaitable,
    Callable,
    Collection,
    Iterator,
    Mapping,
    Sequence,
)
from contextlib import (
    AbstractAsyncContextManager,
    AbstractContextManager,
    asynccontextmanager,
    contextmanager,
    suppress,
)
from contextvars import ContextVar
from typing import Any, TypeVar, cast

import asyncpg

from pgwamp.access import Caller, Leaves
from pgwamp.database import session_sql
from pgwamp.database.chunks import fetch_chunks, fetch_texts
from pgwamp.database.connect import (
    CONNECTION_ERRORS,
    OWN_SEARCH_PATH,
    is_disturbing,
    undisturbed,
)
from pgwamp.database.failures import before_call, call_error
from pgwamp.database.pooled import PooledConnection
from pgwamp.database.pools import Connection, Key, Kind, Pools
from pgwamp.database.roles import Role, Roles
from pgwamp.errors import CallError, Canceled, NotAuthorized, OutcomeUnknown, Unavailable
from pgwamp.settings import AccessSettings, DatabaseSettings, LimitSettings
from pgwamp.shares import Party
from pgwamp.tasks import raise_if_cancelled

Answer = TypeVar("Answer")

_SELECTABLE = """
select c.oid::bigint as oid
from pg_class as c
where c.oid = any ($2::bigint[]::oid[])
    and has_schema_privilege($1, c.relnamespace, 'usage')
    and has_table_privilege($1, c.oid, 'select')
    and not c.relrowsecurity
"""
_OWN_PATH = f"set local search_path = {OWN_SEARCH_PATH}"
#: Whose claims are empty: the component itself.
_NOBODY = Caller("", "")
#: The transaction that the calls of a batch share.
_SHARED: ContextVar[Connection | None] = ContextVar("shared transaction", default=None)


class Database:
    """Statements of calls, as the caller's role and with the caller's claims.

    A single statement is its own transaction: with a role, or where code of the application
    reads the claims, one round trip before it makes the connection the caller's, and the next
    use of the connection resets it. ``access.before`` and a pooler need a transaction in
    several statements, with settings that end with it.

    Statements of the component itself run on connections of their own, as the login of events.

    :param search_path: schemas that unqualified names in queries and functions resolve in.
    """

    def __init__(
        self,
        settings: DatabaseSettings,
        access: AccessSettings,
        search_path: Sequence[str],
        limits: LimitSettings | None = None,
    ):
        self._pools = Pools(settings, search_path, limits)
        #: Of calls, as the setting has it.
        self.search_path = self._pools.session_settings["search_path"]
        self._before = access.before
        #: What every session of calls has, and a pooled one must be told in every transaction.
        self._common = {
            **self._pools.session_settings,
            "client_encoding": "UTF8",
            "quote_all_identifiers": "off",
        }
        self._common.pop("application_name", None)
        self._brought = self._common if settings.pooled else {}
        self._explicit = settings.pooled or bool(access.before)
        users = {role: settings.user_of(role) for role in settings.logins}
        self.roles = Roles(access.roles, users)
        #: Whether the detail of an error, by its details, is left out; set with what is exposed.
        self.hides: Callable[[Mapping[str, Any]], bool] = lambda _: False

    async def start(self, patience: float = 0.0) -> None:
        """Open the pools, trying for ``patience`` seconds while the server does not answer.

        :raises StartError: refused for a reason that waiting does not cure, or out of patience.
        """
        await self._pools.start(patience)

    async def stop(self) -> None:
        """Close every connection, at once if they do not close within a few seconds."""
        await self._pools.stop()

    def terminate(self) -> None:
        """Drop every connection at once; what waits for an answer of the database fails."""
        self._pools.terminate()

    def usage(self) -> dict[str, tuple[int, int]]:
        """Connections in use and open, of the pools ``read``, ``write`` and ``own``."""
        return self._pools.usage()

    def own(self) -> AbstractAsyncContextManager[Connection]:
        """A connection to the primary for the component's own use, as the login of events.

        :raises Unavailable: none became free, or the database is away.
        """
        return self._pools.own()

    @asynccontextmanager
    async def answering(
        self, caller: Caller, party: Party | None = None, *, admitted: bool = False
    ) -> AsyncIterator[Connection]:
        """Lend a connection as :meth:`own` to a call, with what goes wrong as its errors.

        :param party: those for whom it is, if they are several.
        :param admitted: the caller has been asked already whether it may call.
        :raises NotAuthorized: as :meth:`admit`.
        """
        if not admitted:
            await self.admit(caller)
        with self._call_errors():
            async with self._pools.own(caller if party is None else party) as connection:
                yield connection

    async def admit(self, caller: Caller) -> None:
        """Ask as a caller whether it may call, where the call runs no statement as the caller.

        :raises NotAuthorized: the caller is not disclosed or not mapped.
        :raises CallError: as ``access.before`` raises it.
        """
        self.roles.of(caller)
        if self._before:
            async with self.transaction(caller, read_only=True):
                pass

    @property
    def judges_each_caller(self) -> bool:
        """Whether ``access.before`` may refuse one caller and admit another of the same role."""
        return bool(self._before)

    async def load_roles(self) -> None:
        """Read the settings of the mapped roles, as the login of calls, which must be a member.

        :raises StartError: a role is not there, or the login of calls is no member of it.
        """
        async with self._pools.calls() as connection:
            await self.roles.load(connection)

    async def forget_schema(self) -> None:
        """Let no connection of calls remember how statements and types looked before a change.

        asyncpg keeps the form of both: prepared before a change, a statement fails once in a
        transaction. Pools that give no connection now find out by themselves.
        """
        for key in self._pools.opened():
            with suppress(Unavailable):
                async with self._pools.calls(key) as connection:
                    await connection.reload_schema_state()

    async def require_select(
        self, connection: asyncpg.Connection[Any], caller: Caller, relation: int, name: str
    ) -> None:
        """Refuse a caller whose role may not read all rows of a relation.

        For what is read about it as the component itself, such as its events. Row level security
        cannot be asked about rows that are gone, so a table that has it is refused.

        :param relation: its oid.
        :param name: of it, for the error.
        :raises NotAuthorized: the role has no SELECT, or the relation has row level security.
        """
        if not await self.selectable(connection, caller, [relation]):
            raise NotAuthorized(
                f"the changes of {name} are only for roles that may SELECT all of its rows"
            )

    async def selectable(
        self,
        connection: asyncpg.Connection[Any],
        caller: Caller,
        relations: Collection[int],
    ) -> Collection[int]:
        """Those relations of which the caller's role may read all rows; without roles all.

        :param relations: their oids.
        :raises NotAuthorized: the caller is not disclosed or not mapped.
        """
        role = self.roles.of(caller)
        if role is None:
            return relations
        rows = await connection.fetch(_SELECTABLE, role.name, list(relations))
        return {row["oid"] for row in rows}

    async def fetch(
        self,
        sql: str,
        parameters: Sequence[Any],
        caller: Caller,
        *,
        leaves: Leaves = "anything",
        claims: bool = False,
    ) -> list[asyncpg.Record]:
        """Run one statement that reads as its own transaction and return its rows.

        One whose connection turned out dead is tried once more: it has changed nothing.

        :param leaves: what of it may stay on the connection.
        :param claims: it reads the claims also without roles, as functions do.
        :raises PayloadTooLarge: the rows are larger than any message may be.
        """
        for attempt in (1, 2):
            try:
                async with self._for_one(caller, True, leaves, claims) as connection:
                    return await connection.fetch(sql, *parameters)
            except CONNECTION_ERRORS as error:
                again = attempt == 1 and not isinstance(error, asyncio.TimeoutError)
                if not again or _SHARED.get() is not None:
                    raise self.explained(error) from None
                raise_if_cancelled()
            except asyncpg.PostgresError as error:
                raise self.explained(error) from None
        raise AssertionError("unreachable")

    @property
    def commits_each(self) -> bool:
        """Whether a single statement is its own transaction here, as it is in no batch."""
        return not self._explicit and _SHARED.get() is None

    async def write(
        self,
        sql: str,
        parameters: Sequence[Any],
        caller: Caller,
        read: Callable[[list[asyncpg.Record]], Awaitable[Answer]],
        *,
        leaves: Leaves,
        counts: bool,
    ) -> Answer:
        """Run one statement that writes as its own transaction, which saves two round trips.

        Nothing may keep the rows from being answered. Only where each statement commits.

        :param read: makes the answer of the rows.
        :param leaves: what of it may stay on the connection.
        :param counts: it answers a number, which has one form only.
        :raises OutcomeUnknown: nobody knows whether it was committed.
        :raises CallError: it was committed, and cannot be answered; the error says so.
        """
        # Triggers and policies read the claims, which are code of users.
        lent = self._lent(caller, False, leaves, claims=leaves == "anything")

        async def answer(connection: PooledConnection) -> Answer:
            rows = await connection.fetch(sql, *parameters)
            if not counts:
                connection.require_own_forms()
            return await read(rows)

        with self._call_errors():
            async with lent as connection:
                return await connection.to_end(answer(connection))

    async def call(
        self,
        sql: str,
        parameters: Sequence[Any],
        caller: Caller,
        types: Collection[int],
        read: Callable[[list[Sequence[str | None]]], Awaitable[Answer]],
    ) -> Answer:
        """Run CALL outside of a transaction, where the procedure may commit by itself.

        Behind a pooler, in a batch and with ``access.before`` it runs within one, and may not.

        :param types: oids of those that it answers.
        :param read: makes the answer of the values, as PostgreSQL writes them: one row, or none.
        :raises CallError: it says so if something may be committed.
        """
        alone = self.commits_each
        begun = False

        async def answer(connection: Connection) -> Answer:
            return await read(await fetch_texts(connection, sql, parameters, types))

        try:
            async with self._for_one(caller, False, "anything", True) as connection:
                begun = True
                if not alone:
                    return await answer(connection)
                return await cast(PooledConnection, connection).to_end(answer(connection))
        except TimeoutError:
            raise
        except asyncio.CancelledError:
            if not (begun and alone):
                raise
            raise Canceled("the procedure was canceled").after_commit() from None
        except (*CONNECTION_ERRORS, asyncpg.PostgresError, CallError) as error:
            known = self.explained(error)
            if begun and alone and isinstance(known, CallError):
                if isinstance(error, CONNECTION_ERRORS):
                    known = OutcomeUnknown()
                raise known.after_commit() from None
            raise known from None

    @asynccontextmanager
    async def own_as(self, caller: Caller, *, primary: bool = False) -> AsyncIterator[Connection]:
        """Lend a connection for reads of ours that run as the role of a caller.

        They find nothing that others define: the search path is PostgreSQL's catalog alone.

        :param primary: not on the replica.
        """
        kind: Kind = "write" if primary else "read"
        role = self.roles.of(caller)
        begin = f"{self._beginning(caller, role, read_only=True)}; {_OWN_PATH}"
        with self._call_errors():
            async with self._pools.transaction(begin, _key(kind, role), caller) as connection:
                yield connection

    def _for_one(
        self, caller: Caller, read_only: bool, leaves: Leaves, claims: bool
    ) -> AbstractAsyncContextManager[Connection]:
        if self._explicit or _SHARED.get() is not None:
            return self._measured_transaction(caller, read_only)
        return self._lent(caller, read_only, leaves, claims=claims)

    def _lent(
        self, caller: Caller, read_only: bool, leaves: Leaves, *, claims: bool
    ) -> AbstractAsyncContextManager[PooledConnection]:
        """A connection for one statement that is its own transaction."""
        role = self.roles.of(caller)
        said = ""
        if role is not None or claims:
            settings = session_sql.settings_of(caller, role, read_only=read_only)
            said = session_sql.for_session(settings)
        kind: Kind = "read" if read_only else "write"
        return self._pools.connection(_key(kind, role), caller, said, leaves=leaves)

    @asynccontextmanager
    async def _measured_transaction(
        self, caller: Caller, read_only: bool
    ) -> AsyncIterator[Connection]:
        async with self._transaction(caller, read_only) as connection:
            with self._pools.measured(connection):
                yield connection

    def chunks(
        self, connection: Connection, sql: str, parameters: Sequence[Any]
    ) -> AsyncGenerator[list[Any]]:
        """Fetch the records of a statement in a transaction, some at a time.

        :raises PayloadTooLarge: a chunk is larger than any message may be.
        """
        return fetch_chunks(connection, sql, parameters, self._pools.measured)

    def measured(
        self, connection: Connection, byte_count: int | None = None
    ) -> AbstractContextManager[None]:
        """Let one statement of a transaction answer no more than a message could hold.

        :param byte_count: so many, and not as a message.
        :raises PayloadTooLarge: it answered more; the connection is closed.
        """
        return self._pools.measured(connection, byte_count)

    @asynccontextmanager
    async def preparing(self, role: Role | None, lock_seconds: float) -> AsyncIterator[Connection]:
        """Lend a connection of calls, on which statements can be prepared as ``role``.

        :param lock_seconds: for which another session may lock what a statement names.
        """
        settings = {**self._brought, **session_sql.settings_of(_NOBODY, role, read_only=True)}
        settings = {name: value for name, value in settings.items() if not is_disturbing(name)}
        begin = session_sql.begin(settings, read_only=True, isolation="read committed")
        limits = f"set local lock_timeout = '{lock_seconds}s'; set local statement_timeout = '30s'"
        steps = [begin, undisturbed(local=True), limits, session_sql.for_transaction(settings)]
        async with self._pools.transaction("; ".join(steps), _key("write", role), None) as lent:
            yield lent

    @asynccontextmanager
    async def transaction(
        self, caller: Caller, *, read_only: bool, leaves: Leaves = "anything"
    ) -> AsyncIterator[Connection]:
        """A transaction as the caller's role, with the caller's claims as settings.

        asyncpg's own transactions nest in it as savepoints.

        :param leaves: what of it may stay on the connection.
        :raises OutcomeUnknown: nobody knows whether a write was committed.
        """
        with self._call_errors():
            async with self._transaction(caller, read_only, leaves) as connection:
                yield connection

    @asynccontextmanager
    async def evaluating(self, caller: Caller, party: Party) -> AsyncIterator[Connection]:
        """As :meth:`transaction`, READ ONLY on the primary, with a connection of a party.

        Only of what its own process reads PostgreSQL tells.

        :param party: those for whom it is, whoever it runs as.
        """
        role = self.roles.of(caller)
        begin = self._beginning(caller, role, read_only=True, alone=True)
        with self._call_errors():
            async with self._pools.transaction(begin, _key("write", role), party) as connection:
                yield connection

    @asynccontextmanager
    async def snapshot(self, caller: Caller) -> AsyncIterator[Connection]:
        """As :meth:`evaluating`, with one view of the primary from its beginning to its end."""
        role = self.roles.of(caller)
        begin = self._beginning(caller, role, read_only=True, isolation="repeatable read")
        with self._call_errors():
            async with self._pools.transaction(begin, _key("write", role), caller) as connection:
                yield connection

    @asynccontextmanager
    async def batch(self, caller: Caller, isolation: str) -> AsyncIterator[None]:
        """One transaction for every statement and transaction in this context, on the primary.

        :param isolation: one of :data:`pgwamp.database.session_sql.ISOLATION_LEVELS`.
        """
        with self._call_errors():
            async with self._begun(caller, False, isolation) as connection:
                token = _SHARED.set(connection)
                try:
                    yield
                finally:
                    _SHARED.reset(token)

    @asynccontextmanager
    async def _transaction(
        self, caller: Caller, read_only: bool, leaves: Leaves = "anything"
    ) -> AsyncIterator[Connection]:
        shared = _SHARED.get()
        if shared is None:
            async with self._begun(caller, read_only, leaves=leaves) as connection:
                yield connection
            return
        own = session_sql.settings_of(caller, self.roles.of(caller), read_only=False)
        # Another step may have set how values are written and read.
        settings = {**self._common, **own}
        try:
            with self._pools.measured(shared):
                await shared.execute(session_sql.for_transaction(settings, before=self._before))
        except asyncpg.PostgresError as error:
            before_call(error)
            raise
        yield shared

    def _begun(
        self,
        caller: Caller,
        read_only: bool,
        isolation: str | None = None,
        leaves: Leaves = "anything",
    ) -> AbstractAsyncContextManager[Connection]:
        role = self.roles.of(caller)
        begin = self._beginning(caller, role, read_only=read_only, isolation=isolation)
        key = _key("read" if read_only else "write", role)
        if self._before:
            leaves = "anything"
        return self._pools.transaction(begin, key, caller, writes=not read_only, leaves=leaves)

    def _beginning(
        self,
        caller: Caller,
        role: Role | None,
        *,
        read_only: bool,
        isolation: str | None = None,
        alone: bool = False,
    ) -> str:
        """The statements that begin a transaction and make it a caller's.

        :param alone: no other process reads for it.
        """
        settings = {**self._brought, **session_sql.settings_of(caller, role, read_only=read_only)}
        if alone:
            settings |= session_sql.ALONE
        begin = session_sql.begin(settings, read_only=read_only, isolation=isolation)
        return f"{begin}; {session_sql.for_transaction(settings, before=self._before)}"

    @contextmanager
    def _call_errors(self) -> Iterator[None]:
        try:
            yield
        except (*CONNECTION_ERRORS, asyncpg.PostgresError) as error:
            if isinstance(error, asyncio.TimeoutError):
                raise
            raise self.explained(error) from None

    def explained(self, error: BaseException) -> BaseException:
        """The caller's error for one of the database, or ``error`` itself."""
        known = call_error(error)
        if known is not None and known.details.get("detail") and self.hides(known.details):
            known.details["detail"] = None
        return known or error


def _key(kind: Kind, role: Role | None) -> Key:
    """The pool of the calls of a role."""
    return kind, "" if role is None else role.login
