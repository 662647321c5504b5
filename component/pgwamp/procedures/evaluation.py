"""One evaluation of a live query, for all callers who ask the same."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Set
from dataclasses import dataclass

from pgwamp import logs
from pgwamp.access import Caller
from pgwamp.background import is_ending
from pgwamp.errors import CallError, Internal, Unavailable
from pgwamp.procedures.dependencies import Name
from pgwamp.procedures.differences import State
from pgwamp.procedures.queries import NamedQuery
from pgwamp.query.statement import Bound

log = logs.get(__name__)
#: Seconds between tries while the database is away, at most.
LONGEST_DELAY = 5.0
#: serialization_failure and deadlock_detected: what is read is as good a moment later.
_PASSING = ("40001", "40P01")


@dataclass(frozen=True)
class Question:
    """What is asked, and as whom.

    :ivar caller: who the evaluation runs as; what callers who share it do not have in common is
        not in there.
    """

    query: NamedQuery
    bound: Bound
    caller: Caller

    @property
    def key(self) -> object:
        """Equal for those who share an evaluation."""
        # repr, because lists are no keys, and because 1, 1.0 and true are equal but not the same.
        return self.query.definition, repr(self.bound.parameters), self.caller


#: Evaluates once, after what it is given: the former result stays where nothing differs.
Ask = Callable[[Question, State | None], Awaitable[tuple[State, Set[Name]]]]


class Evaluation:
    """Keeps the newest result of a question, from :meth:`start` to :meth:`stop`.

    :ivar callers: how many listen.
    :ivar count: how often the database has answered.
    """

    def __init__(self, question: Question, interval: float):
        self.question = question
        self._name = question.query.name
        self.callers = 0
        self.count = 0
        self._interval = interval
        self._state: State | None = None
        self._failure: CallError | None = None
        #: Relations that the newest result was made of, and that changed since it was asked for.
        self._reads: Set[Name] = frozenset()
        self._changed: set[Name] = set()
        self._all_changed = False
        self._stale = asyncio.Event()
        self._stale.set()
        self._news = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    # --- what the callers see -------------------------------------------------------------------

    async def first(self) -> State:
        """The result as it is now: at once, unless something has changed since."""
        return await self.answered(self.count + self._stale.is_set())

    async def answered(self, count: int) -> State:
        """The result once the database has answered so often."""
        return await self._once(lambda: self.count >= count)

    async def newer(self, than: State) -> State:
        """Wait for another result. It is the newest: whoever is slow passes over those between."""
        return await self._once(lambda: self._state is not than)

    async def _once(self, true: Callable[[], bool]) -> State:
        while self._failure is None and not (self._state is not None and true()):
            await self._news.wait()
        if self._failure is not None:
            raise self._failure
        assert self._state is not None
        return self._state

    # --- what happens ---------------------------------------------------------------------------

    def touch(self, relations: Set[Name] | None) -> None:
        """These have changed, or with None perhaps everything."""
        if relations is None:
            self._all_changed = True
        else:
            # Also what the last result was not made of: the one under way may be.
            self._changed |= relations
        if self._is_behind():
            self._stale.set()

    def _is_behind(self) -> bool:
        return self._all_changed or bool(self._changed & self._reads)

    @property
    def has_failed(self) -> bool:
        """Whether it ended with an error."""
        return self._failure is not None

    def start(self, ask: Ask) -> None:
        """Evaluate whenever something has changed."""
        self._task = asyncio.create_task(self._run(ask), name="pgwamp live query")

    def stop(self, error: CallError) -> None:
        """End it; who still listens gets the error. Idempotent."""
        if self._task is not None:
            self._task.cancel()
        self._fail(error)

    async def _run(self, ask: Ask) -> None:
        """Never two at a time, and not more than one in each interval, with what came meanwhile."""
        loop = asyncio.get_running_loop()
        try:
            while not is_ending():
                await self._stale.wait()
                began = loop.time()
                await self._evaluate(ask)
                await asyncio.sleep(began + self._interval - loop.time())
        except CallError as error:
            self._fail(error)
        except Exception:
            log.exception("live query failed", query=self._name)
            self._fail(Internal())

    async def _evaluate(self, ask: Ask) -> None:
        """Ask until there is an answer: callers stay while the database is away."""
        delay = self._interval
        while True:
            # Before the database is asked: what is committed later is said later.
            self._changed, self._all_changed = set(), False
            try:
                self._state, self._reads = await ask(self.question, self._state)
                break
            except CallError as error:
                if not _passes(error) or is_ending():
                    raise
                log.debug("live query waits", query=self._name, error=error.message)
            await asyncio.sleep(delay)
            delay = min(delay * 2, LONGEST_DELAY)
        if not self._is_behind():
            self._stale.clear()
        self.count += 1
        self._tell()

    def _fail(self, error: CallError) -> None:
        if self._failure is None:
            self._failure = error
            self._tell()

    def _tell(self) -> None:
        news, self._news = self._news, asyncio.Event()
        news.set()


def _passes(error: CallError) -> bool:
    return isinstance(error, Unavailable) or error.details.get("sqlstate") in _PASSING
