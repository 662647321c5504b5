"""The session in which conditions of watched tables and computed columns are evaluated.

They run in ``wamp.evaluate``, as a role without rights, over the texts of the rows: so it does not
matter what the table looks like by now, or whether it is there.

What a condition calls may be anybody's, and can leave things in its session: settings, prepared
statements, cursors, deferred triggers. So it has a connection of its own, on which nothing else
runs; its transaction is always rolled back, and no statement of it has a name.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from typing import Any, cast

import asyncpg

from pgwamp.database.connect import CONNECTION_ERRORS, connect_directly
from pgwamp.database.meter import Meter

#: Rows of one evaluation, and seconds that it may take.
MOST_ROWS, SECONDS = 500, 5.0
#: Characters of the texts of one evaluation: written as JSON they can take six times as many bytes
#: some times over, and they are written on the event loop.
MOST_CHARACTERS = 500_000
#: Bytes that one evaluation may send: what a condition calls can raise an error or a notice of any
#: size, which the driver reads on the event loop. With computed columns their values come too, of
#: which wamp.evaluate lets 32 MiB pass.
MOST_BYTES, MOST_COMPUTED_BYTES = 1_000_000, 40_000_000
#: Seconds that the session has to begin a transaction before another one is opened.
BEGIN_SECONDS = 2.0
#: Also what outlives a transaction: of a session lock of a condition, the login would be blamed.
_UNDO = "rollback; deallocate all; select pg_catalog.pg_advisory_unlock_all()"
_EVALUATE = """
select wamp.evaluate(
    wamp.evaluation($1::pg_catalog.text::pg_catalog.jsonb, $2::pg_catalog.text),
    $3::pg_catalog.text::pg_catalog.json)::pg_catalog.text
"""
_TERMINATE = "select pg_terminate_backend(pid) from pg_stat_activity where pid = $1"

#: Whether the condition holds for a row, and the text of a record of its computed columns.
Evaluated = tuple[bool, str | None]
#: Texts of some columns of a row, which the types' own input functions read.
Texts = Mapping[str, str | None]


class NoSession(Exception):
    """No session can be opened: nothing was evaluated."""


def parts(rows: Sequence[Texts]) -> Iterator[tuple[int, int, bool]]:
    """Where to cut rows into evaluations.

    :returns: start, end, and whether they can be evaluated: a row that is too long is alone.
    """
    start = characters = 0
    for number, texts in enumerate(rows):
        length = sum(len(text) for text in texts.values() if text is not None)
        if number > start and (
            characters + length > MOST_CHARACTERS or number - start == MOST_ROWS
        ):
            yield start, number, characters <= MOST_CHARACTERS
            start, characters = number, 0
        characters += length
    if rows:
        yield start, len(rows), characters <= MOST_CHARACTERS


class _Metered(asyncpg.Connection):
    """A session that ends when it brings more than it may."""

    __slots__ = ("meter",)

    def __init__(self, protocol: Any, transport: Any, *args: Any, **kwargs: Any):
        super().__init__(protocol, transport, *args, **kwargs)
        self.meter = Meter(protocol, transport)


class Evaluator:
    """Evaluates in a session of its own, which is opened when it is needed.

    :param dsn: a direct connection, of a login that may do what the owner of ``wamp`` may.
    """

    def __init__(self, dsn: str):
        self._dsn = dsn
        self._own: _Metered | None = None

    async def open(self) -> None:
        """Begin the session.

        :raises OSError, asyncpg.PostgresError: the database cannot be reached.
        """
        self._own = await self._connect()

    def close(self) -> None:
        """End the session."""
        if self._own is not None:
            self._own.terminate()
            self._own = None

    @property
    def is_open(self) -> bool:
        """Whether the session is there: what was raised last is no loss of it."""
        return self._own is not None and not self._own.is_closed()

    async def of(
        self, evaluation: str, condition: str | None, rows: Sequence[Texts]
    ) -> list[Evaluated]:
        """Evaluate the condition and the computed columns for each row.

        :param evaluation: of a layout.
        :param rows: one of :func:`parts`.
        :raises NoSession: there is no connection for it.
        :raises TimeoutError: it takes too long; the session is ended. It ends, too, where an error
            or a notice is longer than :data:`MOST_BYTES`.
        :raises Exception: whatever a condition raises: it can choose any SQLSTATE, also one of a
            lost connection.
        """
        own = await self._begun()
        computes = bool(json.loads(evaluation)["virtual"])
        own.meter.allow(MOST_COMPUTED_BYTES if computes else MOST_BYTES)
        try:
            async with asyncio.timeout(SECONDS + 1):
                answer = await self._answer(own, evaluation, condition, _json(rows))
        except asyncpg.QueryCanceledError:
            raise TimeoutError("it takes too long") from None
        except TimeoutError:
            await self._end_session()
            raise TimeoutError("it takes too long") from None
        return [(visible, virtual) for visible, virtual in json.loads(answer)]

    async def failure(self, evaluation: str, condition: str) -> Exception | None:
        """Why no row can be evaluated; None if nothing is wrong."""
        try:
            await self.of(evaluation, condition, ())
        except Exception as error:
            return error
        return None

    async def _answer(
        self, own: _Metered, evaluation: str, condition: str | None, records: str
    ) -> str:
        try:
            answer: str = await own.fetchval(_EVALUATE, evaluation, condition, records)
        except asyncio.CancelledError:
            # It may take no cancel either: whoever has waited for it ends the session.
            raise
        except Exception:
            if not own.is_closed():
                await own.execute(_UNDO)
            raise
        # What is left behind, as deferred triggers, never runs.
        await own.execute(_UNDO)
        return answer or "[]"

    async def _begun(self) -> _Metered:
        """The session within a transaction; a new one, if it was lost while it waited.

        :raises NoSession: there is none.
        """
        begin = f"begin read write; set local statement_timeout = '{SECONDS:g}s'"
        with suppress(TimeoutError, *CONNECTION_ERRORS):
            async with asyncio.timeout(BEGIN_SECONDS):
                if self.is_open:
                    assert self._own is not None
                    await self._own.execute(begin)
                    return self._own
        self.close()
        try:
            self._own = await self._connect()
            await self._own.execute(begin)
        except (TimeoutError, *CONNECTION_ERRORS, asyncpg.PostgresError) as error:
            self.close()
            raise NoSession(str(error) or type(error).__name__) from error
        return self._own

    async def _end_session(self) -> None:
        """End a session that takes no cancel for an answer, from another one."""
        if self._own is None:
            return
        pid = self._own.get_server_pid()
        self.close()
        # Without it, the server notices within a second that nobody waits any more.
        with suppress(*CONNECTION_ERRORS, asyncpg.PostgresError):
            await self.open()
            assert self._own is not None
            await self._own.execute(_TERMINATE, pid)

    async def _connect(self) -> _Metered:
        connection = await connect_directly(
            self._dsn,
            connection_class=_Metered,
            application_name="pgwamp conditions",
            # Nobody's condition finds a statement of ours.
            statement_cache_size=0,
            client_connection_check_interval="1s",
            # A network that forgets it while it waits is noticed.
            tcp_keepalives_idle="5",
            tcp_keepalives_interval="2",
            tcp_keepalives_count="3",
        )
        return cast(_Metered, connection)


def _json(rows: Sequence[Texts]) -> str:
    return json.dumps(rows, ensure_ascii=False)
