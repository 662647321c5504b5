"""Conditions and computed columns, evaluated in the database for rows as they were.

They run in ``wamp.evaluate``, as a role without rights, over the texts of the rows: so it does not
matter what the table looks like by now, or whether it is there.

What a condition calls may be anybody's, and can leave things in its session: settings, prepared
statements, cursors, deferred triggers. So it has a connection of its own, on which nothing else
runs; its transaction is always rolled back, and no statement of it has a name.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import Any

import asyncpg

from pgwamp import logs
from pgwamp.database.connect import CONNECTION_ERRORS
from pgwamp.eventlog.budget import Budgets
from pgwamp.eventlog.making import Making, Row
from pgwamp.pgtypes import record_texts

log = logs.get(__name__)
#: Rows of one evaluation, and seconds that it may take.
AT_ONCE, SECONDS = 500, 5.0
#: Rows that are tried for themselves when one of many has failed, until so many have failed too.
MOST_FAILURES = 3
#: Seconds that a condition is not tried again which took too long, or ended its session.
REST_SECONDS = 60.0
#: Seconds that the conditions of a table may take of a period: all others wait meanwhile.
BUDGET_SECONDS = 10.0
_EVALUATE = """
select wamp.evaluate(
    wamp.evaluation($1::pg_catalog.text::pg_catalog.jsonb, $2::pg_catalog.text),
    $3::pg_catalog.text::pg_catalog.json)::pg_catalog.text
"""
_TERMINATE = "select pg_terminate_backend(pid) from pg_stat_activity where pid = $1"


class Conditions:
    """Evaluates what the options of a table and its computed columns say of rows.

    :param connection: of the sequencer, to end a session that cannot be cancelled.
    :param connect: opens a connection without a cache of statements.
    """

    def __init__(
        self,
        connection: asyncpg.Connection[Any],
        connect: Callable[[], Awaitable[asyncpg.Connection[Any]]],
    ):
        self._connection = connection
        self._connect = connect
        self._own: asyncpg.Connection[Any] | None = None
        #: Tables whose conditions rest, and until when.
        self._resting: dict[int, float] = {}
        self._budgets = Budgets(BUDGET_SECONDS)
        #: Until when nothing is logged of a table.
        self._told: dict[int, float] = {}

    async def open(self) -> None:
        """Begin the session of the conditions.

        :raises OSError, asyncpg.PostgresError: the database cannot be reached.
        """
        self._own = await self._connect()

    def close(self) -> None:
        """End the session of the conditions."""
        if self._own is not None:
            self._own.terminate()
            self._own = None

    async def of(self, making: Making, rows: Sequence[Row]) -> list[Row | None]:
        """The rows with what was evaluated; None for each of which that fails.

        :raises OSError, asyncpg.PostgresError: the connection is lost.
        """
        if making.condition is None and not making.layout.virtual:
            return list(rows)
        found: list[Row | None] = []
        for start in range(0, len(rows), AT_ONCE):
            found += await self._part(making, rows[start : start + AT_ONCE])
        return found

    async def failure(self, evaluation: str, condition: str) -> Exception | None:
        """Why no row can be evaluated; None if nothing is wrong.

        :param evaluation: of a layout.
        """
        try:
            async with asyncio.timeout(SECONDS + 1):
                await self._answer(evaluation, condition, "[]")
        except TimeoutError:
            await self._end_session()
            return TimeoutError("the condition takes too long")
        except Exception as error:
            # Whatever it raises: it can choose any SQLSTATE.
            return error
        return None

    async def _part(self, making: Making, rows: Sequence[Row]) -> list[Row | None]:
        whole = await self._evaluated(making, rows)
        if whole is not None:
            return list(whole)
        found: list[Row | None] = []
        failures = 0
        for row in rows:
            one = await self._evaluated(making, [row]) if failures < MOST_FAILURES else None
            failures += one is None
            found.append(None if one is None else one[0])
        return found

    async def _evaluated(self, making: Making, rows: Sequence[Row]) -> list[Row] | None:
        """None if it fails."""
        if not rows:
            return []
        relation = making.layout.relation
        started = asyncio.get_running_loop().time()
        if self._resting.get(relation, 0.0) > started or self._budgets.is_spent(relation, started):
            return None
        names = making.layout.reads
        records = "[" + ",".join(_record(row, names) for row in rows) + "]"
        problem, rests = "it took too long, or ended its session", REST_SECONDS
        try:
            async with asyncio.timeout(SECONDS + 1):
                answer = await self._answer(making.layout.evaluation, making.condition, records)
        except asyncpg.QueryCanceledError:
            answer = None
        except TimeoutError:
            answer = None
            await self._end_session()
        except Exception as error:
            # Whatever it raises: it can choose any SQLSTATE, also one of a lost connection.
            answer = None
            if self._own is not None and not self._own.is_closed():
                problem, rests = str(getattr(error, "sqlstate", None) or type(error).__name__), 0.0
        if answer is None:
            self._tell(making, started, problem)
            self._resting[relation] = started + rests
        now = asyncio.get_running_loop().time()
        self._budgets.take(relation, now - started, now)
        if self._budgets.is_spent(relation, now):
            log.warning("the conditions of a watched table took too long", relation=relation)
        if answer is None:
            return None
        return [
            _with(row, making, visible, virtual)
            for row, (visible, virtual) in zip(rows, json.loads(answer), strict=True)
        ]

    def _tell(self, making: Making, now: float, problem: str) -> None:
        """Log it once a minute for each table."""
        relation = making.layout.relation
        if now < self._told.get(relation, now):
            return
        self._told[relation] = now + REST_SECONDS
        log.warning(
            "the condition of a watched table fails, its events come without values",
            relation=f"{making.layout.schema}.{making.layout.name}",
            problem=problem,
        )

    async def _answer(self, evaluation: str, condition: str | None, records: str) -> str:
        own = await self._begun()
        try:
            answer: str = await own.fetchval(_EVALUATE, evaluation, condition, records)
        except asyncio.CancelledError:
            # It may take no cancel either: whoever has waited for it ends the session.
            raise
        except Exception:
            if not own.is_closed():
                await own.execute("rollback")
            raise
        # What is left behind, as deferred triggers, never runs.
        await own.execute("rollback")
        return answer

    async def _begun(self) -> asyncpg.Connection[Any]:
        """The session within a transaction; a new one, if it was ended while it waited."""
        begin = f"begin read write; set local statement_timeout = '{SECONDS:g}s'"
        if self._own is not None and not self._own.is_closed():
            with suppress(*CONNECTION_ERRORS):
                await self._own.execute(begin)
                return self._own
        self.close()
        self._own = await self._connect()
        await self._own.execute(begin)
        return self._own

    async def _end_session(self) -> None:
        """End a session that takes no cancel for an answer."""
        if self._own is None:
            return
        pid = self._own.get_server_pid()
        self.close()
        await self._connection.execute(_TERMINATE, pid)


def _record(row: Row, names: Sequence[str]) -> str:
    """Some columns of a row as JSON: texts that the types' own input functions read."""
    # Of a column that is not there wamp.evaluation says so.
    places = [(name, row.columns.place(name)) for name in names]
    texts = {name: None if place is None else row.texts[place] for name, place in places}
    return json.dumps(texts, ensure_ascii=False)


def _with(row: Row, making: Making, visible: bool, virtual: str | None) -> Row:
    texts = list(row.texts)
    if virtual is not None:
        for name, text in zip(making.layout.virtual, record_texts(virtual), strict=True):
            texts[row.columns.names.index(name)] = text
    return replace(row, texts=texts, is_visible=visible)
