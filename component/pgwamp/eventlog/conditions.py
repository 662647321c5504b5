"""Conditions and computed columns of the changes that the sequencer makes events of."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace

from pgwamp import logs
from pgwamp.eventlog.budget import Budgets
from pgwamp.eventlog.evaluator import Evaluated, Evaluator, NoSession, Texts, parts
from pgwamp.eventlog.making import Making, Row
from pgwamp.values import record_texts

log = logs.get(__name__)
#: Rows that are tried for themselves when one of many has failed, until so many have failed too.
MOST_FAILURES = 3
#: Seconds that a condition is not tried again which took too long, or ended its session, and that
#: of a table none is tried after there was no session for it.
REST_SECONDS, NO_SESSION_SECONDS = 60.0, 5.0
#: Seconds that the conditions of a table may take of a period: all others wait meanwhile.
BUDGET_SECONDS = 10.0


class Conditions:
    """Evaluates what the options of a table and its computed columns say of rows.

    The events of all tables wait meanwhile: so a table may take a budget of time.
    """

    def __init__(self, evaluator: Evaluator):
        self._evaluator = evaluator
        #: Tables whose conditions rest, and until when.
        self._resting: dict[int, float] = {}
        self._budgets = Budgets(BUDGET_SECONDS)
        #: Until when nothing is logged of a table.
        self._told: dict[int, float] = {}

    async def of(self, making: Making, rows: Sequence[Row]) -> list[Row | None]:
        """The rows with what was evaluated; None for each of which that fails.

        :raises OSError, asyncpg.PostgresError: the connection is lost.
        """
        found: list[Row | None] = []
        texts = [_texts(row, making.layout.reads) for row in rows]
        for start, end, fits in parts(texts):
            if fits:
                found += await self._part(making, rows[start:end], texts[start:end])
            else:
                found.append(None)
                now = asyncio.get_running_loop().time()
                self._tell(making, now, "a row is too long for it")
        return found

    async def _part(
        self, making: Making, rows: Sequence[Row], texts: Sequence[Texts]
    ) -> list[Row | None]:
        whole = await self._evaluated(making, rows, texts)
        if whole is not None:
            return list(whole)
        found: list[Row | None] = []
        failures = 0
        for row, text in zip(rows, texts, strict=True):
            one = None
            if failures < MOST_FAILURES:
                one = await self._evaluated(making, [row], [text])
            failures += one is None
            found.append(None if one is None else one[0])
        return found

    async def _evaluated(
        self, making: Making, rows: Sequence[Row], texts: Sequence[Texts]
    ) -> list[Row] | None:
        """None if it fails."""
        layout = making.layout
        relation = layout.relation
        started = asyncio.get_running_loop().time()
        if self._resting.get(relation, 0.0) > started or self._budgets.is_spent(relation, started):
            return None
        answers: Sequence[Evaluated] | None = None
        problem, rests = "it took too long, or ended its session", REST_SECONDS
        try:
            answers = await self._evaluator.of(layout.evaluation, making.condition, texts)
        except TimeoutError:
            pass
        except NoSession as error:
            problem, rests = f"there is no session for it: {error}", NO_SESSION_SECONDS
        except Exception as error:
            # Whatever it raises: it can choose any SQLSTATE, also one of a lost connection.
            if self._evaluator.is_open:
                problem, rests = str(getattr(error, "sqlstate", None) or type(error).__name__), 0.0
        if answers is None:
            self._tell(making, started, problem)
            self._resting[relation] = started + rests
        now = asyncio.get_running_loop().time()
        self._budgets.take(relation, now - started, now)
        if self._budgets.is_spent(relation, now):
            log.warning("the conditions of a watched table took too long", relation=relation)
        if answers is None:
            return None
        return [
            _with(row, making, visible, virtual)
            for row, (visible, virtual) in zip(rows, answers, strict=True)
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


def _texts(row: Row, names: Sequence[str]) -> Texts:
    # Of a column that is not there wamp.evaluation says so.
    places = [(name, row.columns.place(name)) for name in names]
    return {name: None if place is None else row.texts[place] for name, place in places}


def _with(row: Row, making: Making, visible: bool, virtual: str | None) -> Row:
    texts = list(row.texts)
    if virtual is not None:
        for name, text in zip(making.layout.virtual, record_texts(virtual), strict=True):
            texts[row.columns.names.index(name)] = text
    return replace(row, texts=texts, is_visible=visible)
