"""A connection that many calls use one after the other, and none meets what another has left."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Iterable, Iterator
from contextlib import contextmanager, suppress
from types import SimpleNamespace
from typing import Any, TypeVar

import asyncpg

from pgwamp import logs
from pgwamp.access import Leaves
from pgwamp.database.connect import CONNECTION_ERRORS, OWN_SEARCH_PATH
from pgwamp.database.meter import Meter
from pgwamp.database.session_sql import CLEAN, look_for_prepared, reset
from pgwamp.errors import CallError, Internal, OtherForm, OutcomeUnknown
from pgwamp.tasks import LEAVING_SECONDS, outlast

log = logs.get(__name__)
Answer = TypeVar("Answer")

#: Settings that the server reports when they change, and what their values are in our sessions, up
#: to a comma. Text in another encoding is not among them: the driver cannot read it, and says so.
_FORMS = {"DateStyle": "ISO", "IntervalStyle": "iso_8601", "TimeZone": "UTC"}
#: The driver's statement that asks about types; one with a name has left ours alone.
_NOT_ASKED = SimpleNamespace(name="none")


class PooledConnection(asyncpg.Connection):
    """A pooled connection that knows whether a call has been on it.

    It is not reset after each use: the round trip that asyncpg would spend on every release is
    saved. The next use resets it first, together with what it sends anyway.

    :ivar left: what of calls may have stayed.
    :ivar altered: the driver's own state was changed, which no statement can reset.
    """

    __slots__ = ("_as_text", "_ended", "_leaves_at", "altered", "left", "meter")

    def __init__(self, protocol: Any, transport: Any, *args: Any, **kwargs: Any):
        super().__init__(protocol, transport, *args, **kwargs)
        self.left: Leaves = "nothing"
        self.altered = False
        #: Types whose values come as text; None while they come as the driver reads them.
        self._as_text: set[int] | None = None
        #: When a call has to have left it, by the clock of the loop; None while it goes on.
        self._leaves_at: float | None = None
        #: Done when the server has ended the statement that was cancelled last.
        self._ended: asyncio.Future[None] | None = None
        self.meter = Meter(protocol, transport)

    def get_reset_query(self) -> str:
        return ""

    async def reset(self, *, timeout: float | None = None) -> None:
        """Roll back what is open, as asyncpg does when a connection is returned.

        A transaction stays open when a call is cancelled a second time, while it rolls back; and
        asyncpg logs that as an error.
        """
        if self.is_in_transaction():
            await self.execute("rollback", timeout=timeout)
        await super().reset(timeout=timeout)

    async def become(self, begin_sql: str) -> None:
        """Reset what the last call left behind, and send ``begin_sql``, in one round trip.

        :raises asyncpg.InterfaceError: a call has left something that cannot be reset.
        """
        if self.left == "nothing":
            if begin_sql:
                self.left = "anything"
                await self.execute(begin_sql)
            return
        # It stays so whatever becomes of it, as long as it was not reset.
        self.left = "anything"
        looks = look_for_prepared(self._prepared())
        statements = [reset(), *([begin_sql] if begin_sql else []), looks]
        try:
            status = await self.execute("; ".join(statements))
        except asyncpg.PostgresError as error:
            # An error with a context comes from the function that is called before, if from any.
            if getattr(error, "context", None):
                raise
            status = await self._become_in_steps(begin_sql, looks)
        if status != CLEAN:
            raise asyncpg.InterfaceError("a call has left prepared statements, or taken ours")
        self.left = "anything" if begin_sql else "nothing"

    async def _become_in_steps(self, begin_sql: str, looks: str) -> str:
        """Find out whether the reset has failed, which is no error of the next call."""
        try:
            status = await self.execute(f"rollback; {reset()}; {looks}")
        except asyncpg.PostgresError:
            raise asyncpg.InterfaceError("a call has left what cannot be reset") from None
        if begin_sql:
            await self.execute(begin_sql)
        return status

    def _prepared(self) -> int:
        """How many statements the driver counts on."""
        driver: Any = self
        return len(driver._stmt_cache) + len(driver._stmts_to_close)

    def enter(self) -> None:
        """Note that a call has it now."""
        self._leaves_at = self._ended = None

    def leaving(self) -> float:
        """Return the seconds that a call still has to leave it, from when this is first asked.

        To end a statement, to roll back and to give the connection back share them. A statement
        that has ended keeps nobody any more: code of users may go on after its own timeout.
        """
        now = asyncio.get_running_loop().time()
        if self._ended is not None and self._ended.done():
            self.enter()
        if self._leaves_at is None:
            self._leaves_at = now + LEAVING_SECONDS
        return max(0.0, self._leaves_at - now)

    def needs_reset(self, *, clean: bool) -> bool:
        """Whether something of a call may be there that the next one must not meet.

        :param clean: not even sequences may tell of another call.
        """
        return self.left == "anything" or (clean and self.left == "sequences")

    def soil(self, leaves: Leaves) -> None:
        """Note what the next statement may leave."""
        if leaves == "anything" or self.left == "nothing":
            self.left = leaves

    def settle(self, leaves: Leaves) -> None:
        """Note what a transaction has left whose settings have ended with it."""
        self.left = leaves

    def require_own_forms(self) -> None:
        """Refuse rows that came in other forms than those of our sessions.

        :raises OtherForm: a trigger, or other code in the database, has set how values are written.
        """
        settings: Any = self.get_settings()
        for name, form in _FORMS.items():
            if getattr(settings, name).split(",")[0] != form:
                raise OtherForm(name)

    async def to_end(self, answering: Coroutine[Any, Any, Answer]) -> Answer:
        """Await what fetches the answer of one statement that commits by itself, and reads it.

        As :meth:`outcome`; and what the answer is read with must not fail unseen.

        :raises CallError: it was committed, and its answer cannot be read; the error says so.
        """
        try:
            return await self.outcome(answering)
        except (asyncpg.PostgresError, asyncpg.InterfaceError, OutcomeUnknown):
            raise
        except CallError as error:
            raise error.after_commit() from None
        except Exception:
            # Code in the database may have changed how values are written.
            log.exception("the answer of a statement cannot be read")
            raise Internal().after_commit() from None

    async def outcome(self, running: Coroutine[Any, Any, Answer], patience: float = 0.0) -> Answer:
        """Await what commits; where the call is cancelled meanwhile, have the server cancel it.

        The server says whether it was committed: then the cancel has come too late.

        :param patience: seconds that it has to end by itself first.
        :raises asyncio.CancelledError: it was cancelled, and nothing is committed.
        :raises OutcomeUnknown: the server did not say.
        """
        if self.is_closed():
            running.close()
            # Nothing was sent, and the server has rolled back.
            raise asyncpg.InterfaceError("connection is closed")
        task = asyncio.ensure_future(running)
        try:
            try:
                return await asyncio.shield(task)
            except asyncio.CancelledError:
                await self._cancel_statement(task, patience)
            try:
                return task.result()
            except asyncpg.QueryCanceledError:
                raise asyncio.CancelledError from None
        except CONNECTION_ERRORS:
            self.terminate()
            raise OutcomeUnknown() from None

    async def _cancel_statement(self, task: asyncio.Future[Any], patience: float) -> None:
        """Cancel a statement in the server, and wait until its task is done.

        What asyncpg itself does, but that it forgets the answer. Another caller gets the connection
        when the signal has gone: it would meet the next statement.

        :raises OutcomeUnknown: it does not end.
        """
        if await outlast(min(patience, self.leaving()), task):
            return
        driver: Any = self
        sent = asyncio.get_running_loop().create_future()
        driver._cancel_current_command(sent)
        if not await outlast(self.leaving(), task, sent):
            self.terminate()
        if not task.done():
            task.cancel()
            raise OutcomeUnknown()

    def _cancel_current_command(self, sent: Any, ended: Any = None) -> None:
        """Cancel a statement as asyncpg does, and close the connection if it does not end.

        Code of users, as a savepoint that is rolled back, would wait for it without a limit.

        :param ended: done when the server has ended the statement; asyncpg's own cancels have it.
        """
        driver: Any = super()
        driver._cancel_current_command(sent, ended)
        if ended is not None:
            seconds, self._ended = self.leaving(), ended
            asyncio.get_running_loop().call_later(seconds, self._end_unless, ended)

    def _end_unless(self, ended: asyncio.Future[None]) -> None:
        if not ended.done():
            self.terminate()

    @contextmanager
    def nesting(self) -> Iterator[None]:
        """Let asyncpg's own transactions nest, as savepoints, in one that was begun in SQL."""
        self._top_xact = self.transaction()
        try:
            yield
        finally:
            self._top_xact = None  # type: ignore[assignment]

    async def set_type_codec(self, *args: Any, **kwargs: Any) -> None:
        """As asyncpg's; the connection is not used again for other calls."""
        self.altered = True
        await super().set_type_codec(*args, **kwargs)

    async def set_builtin_type_codec(self, *args: Any, **kwargs: Any) -> None:
        """As asyncpg's; the connection is not used again for other calls."""
        self.altered = True
        await super().set_builtin_type_codec(*args, **kwargs)

    @contextmanager
    def fetching_texts(self, types: Iterable[int] = ()) -> Iterator[None]:
        """Have values come as PostgreSQL writes them, of these types and of all that are no core.

        The driver's own readers know neither all values of dates and times nor all types. What is
        prepared meanwhile is to have no name, or the driver would use it again.

        :param types: oids.
        """
        self._as_text = set()
        try:
            self._read_as_text(types)
            yield
        finally:
            known, self._as_text = self._as_text, None
            for oid in known:
                self._codecs().remove_python_codec(oid, "", "")

    def _read_as_text(self, types: Iterable[int]) -> None:
        assert self._as_text is not None
        for oid in set(types) - self._as_text:
            self._codecs().add_python_codec(oid, "", "", [], "scalar", _written, str, "text")
            self._as_text.add(oid)

    def _codecs(self) -> Any:
        driver: Any = self
        return driver._protocol.get_settings()

    async def _introspect_types(self, typeoids: Any, *args: Any, **kwargs: Any) -> Any:
        """Learn types as asyncpg does, under a search path that others cannot write to.

        Its statement names no schema of operators, and it may run as the role of a call.
        """
        if self._as_text is not None:
            self._read_as_text(typeoids)
            return [], _NOT_ASKED
        (before,), _ = await self._within("select pg_catalog.current_setting('search_path')")
        set_path = "select pg_catalog.set_config('search_path', $1, false)"
        await self._within(set_path, OWN_SEARCH_PATH)
        try:
            return await super()._introspect_types(typeoids, *args, **kwargs)  # type: ignore[misc]
        finally:
            with suppress(*CONNECTION_ERRORS, asyncpg.PostgresError):
                await self._within(set_path, before[0])

    async def _within(self, query: str, *args: Any) -> Any:
        """Run a statement while another one is prepared, as asyncpg's introspection does."""
        execute: Any = getattr(self, "_Connection__execute")  # noqa: B009 (mypy mangles it)
        return await execute(query, args, 0, None, ignore_custom_codec=True)


def _written(value: Any) -> str:
    """A parameter of a type whose values come as text, as PostgreSQL reads it."""
    return f"\\x{value.hex()}" if isinstance(value, bytes) else str(value)
