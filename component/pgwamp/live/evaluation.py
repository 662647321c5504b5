"""One evaluation of a live query, for all callers who ask the same."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Set
from dataclasses import dataclass, replace

from pgwamp import logs
from pgwamp.access import Caller
from pgwamp.errors import CallError, Internal, Unavailable
from pgwamp.live.differences import Result
from pgwamp.live.digests import digests
from pgwamp.procedures.caller_scope import Sharing
from pgwamp.procedures.queries import NamedQuery
from pgwamp.procedures.query_reads import Name
from pgwamp.query.statement import Bound
from pgwamp.shares import Party, Shares
from pgwamp.tasks import is_ending

log = logs.get(__name__)
#: Seconds between tries while the database is away, at most.
LONGEST_DELAY = 5.0
#: serialization_failure and deadlock_detected: what is read is as good a moment later.
_PASSING = ("40001", "40P01")


@dataclass(frozen=True)
class LiveRequest:
    """A query with its parameters, and whom it is evaluated as.

    :ivar digest: of the parameters.
    :ivar caller: who the evaluation runs as.
    """

    query: NamedQuery
    bound: Bound
    digest: bytes
    caller: Caller

    @classmethod
    async def of(cls, query: NamedQuery, bound: Bound, caller: Caller) -> LiveRequest:
        """The request of a caller. To digest large parameters takes a while."""
        return cls(query, bound, await digests([bound.parameters]), caller)

    def shared(self, caller: Caller, sharing: Sharing) -> LiveRequest:
        """The same as it is asked for a caller and for all who share its evaluation.

        What they do not have in common is not in there.
        """
        return replace(self, caller=sharing.common(caller))

    @property
    def key(self) -> object:
        """Equal for those who share an evaluation: it has all that the evaluation runs with."""
        return self.query.definition, self.digest, self.caller


class Listener:
    """One caller of an evaluation, which may become another one.

    :ivar evaluation: the one that it listens to.
    :ivar digests: of the newest result that it was given; None before the first.
    :ivar idle: set unless a result is on its way to the caller.
    """

    def __init__(self, caller: Caller):
        self.caller = caller
        self.evaluation: Evaluation | None = None
        self.digests: bytes | None = None
        self._result: Result | None = None
        self._failure: CallError | None = None
        self._given = asyncio.Event()
        self.idle = asyncio.Event()
        self.idle.set()

    async def next(self) -> Result:
        """Wait for another result; to ask for it says that the one before was sent.

        :raises CallError: the evaluation has ended.
        """
        # A result may be taken back before this goes on: the listener has another evaluation then.
        while (result := self._result) is None and self._failure is None:
            self.idle.set()
            self._given.clear()
            await self._given.wait()
        # Not kept here: when the last listener has let go of it, its rows are gone.
        self._result = None
        if self._failure is not None:
            raise self._failure
        assert result is not None
        return result

    def give(self, result: Result) -> None:
        """Have it take this result, if it is another than before."""
        if result.digests != self.digests:
            self.digests, self._result = result.digests, result
            self.idle.clear()
            self._given.set()

    def begin(self, evaluation: Evaluation) -> None:
        """Take the results of this evaluation from now on, and none of a previous one."""
        self.evaluation = evaluation
        self.digests, self._result = None, None
        self._given.clear()

    def fail(self, error: CallError) -> None:
        """Have it end with an error."""
        self._failure, self._result = error, None
        self._given.set()


class Evaluation:
    """Evaluates a request for its listeners, from :meth:`start` to :meth:`stop`.

    It keeps no rows: a result goes to the listeners, and each of them keeps its digests. Until it
    was sent to all of them, it keeps its place among the evaluations, so that there are never more
    results than places.

    :param slots: places of all evaluations.
    :ivar party: the listeners, to one of whom a place counts.
    :ivar count: how often the database has answered.
    """

    def __init__(self, request: LiveRequest, interval: float, slots: Shares):
        self.request = request
        self._name = request.query.name
        self.party = Party()
        self.count = 0
        self._interval = interval
        self._slots = slots
        self._listeners: set[Listener] = set()
        self._failure: CallError | None = None
        #: Relations that the newest result was made of, and that changed since it was asked for.
        self._reads: Set[Name] = frozenset()
        self._changed: set[Name] = set()
        self._all_changed = False
        self._stale = asyncio.Event()
        self._answered = asyncio.Condition()
        self._task: asyncio.Task[None] | None = None

    # --- what the callers see -------------------------------------------------------------------

    @property
    def listeners(self) -> list[Listener]:
        """The callers that listen now."""
        return list(self._listeners)

    @property
    def callers(self) -> int:
        """How many listen."""
        return len(self._listeners)

    def join(self, listener: Listener) -> None:
        """Listen. The first result is that of the evaluation under way, or of the next one."""
        listener.begin(self)
        self._listeners.add(listener)
        self.party.join(listener.caller)
        self._stale.set()

    def leave(self, listener: Listener) -> None:
        """Listen no longer."""
        self._listeners.discard(listener)
        listener.idle.set()
        self.party.leave(listener.caller)

    def is_news(self, digests: bytes) -> bool:
        """Whether any listener was not given a result with these digests last."""
        return any(listener.digests != digests for listener in self._listeners)

    async def answered(self, count: int) -> None:
        """Wait until the database has answered so often."""
        async with self._answered:
            await self._answered.wait_for(lambda: self.count >= count)

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
        return (
            self._all_changed
            or bool(self._changed & self._reads)
            or any(listener.digests is None for listener in self._listeners)
        )

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
            async with self._slots.place(self.party):
                # Before the database is asked: what is committed later is said later.
                self._changed, self._all_changed = set(), False
                try:
                    result, self._reads = await ask(self)
                except CallError as error:
                    if not _passes(error) or is_ending():
                        raise
                    log.debug("live query waits", query=self._name, error=error.message)
                else:
                    await self._send(result)
                    return
            await asyncio.sleep(delay)
            delay = min(delay * 2, LONGEST_DELAY)

    async def _send(self, result: Result | None) -> None:
        """Give a result to the listeners, and wait until it was sent."""
        if result is not None:
            for listener in self._listeners:
                listener.give(result)
        if not self._is_behind():
            self._stale.clear()
        self.count += 1
        async with self._answered:
            self._answered.notify_all()
        for listener in list(self._listeners):
            await listener.idle.wait()

    def _fail(self, error: CallError) -> None:
        if self._failure is None:
            self._failure = error
            for listener in self._listeners:
                listener.fail(error)


#: Evaluates once; answers None for a result that is news to no listener.
Ask = Callable[[Evaluation], Awaitable[tuple[Result | None, Set[Name]]]]


def _passes(error: CallError) -> bool:
    return isinstance(error, Unavailable) or error.details.get("sqlstate") in _PASSING
