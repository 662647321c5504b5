"""Serving calls: concurrency, deadline, progress, and errors a caller can read."""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import (
    AsyncGenerator,
    AsyncIterator,
    Awaitable,
    Callable,
    Iterable,
    Mapping,
)
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import replace
from typing import Any

from autobahn.wamp.exception import ApplicationError
from autobahn.wamp.types import CallDetails, CallResult

from pgwamp import logs
from pgwamp.access import Caller
from pgwamp.errors import (
    CallError,
    Canceled,
    Internal,
    InvalidArgument,
    NoSuchProcedure,
    SchemaChanged,
    Timeout,
    TooManyRows,
    Unavailable,
)
from pgwamp.metrics import Metrics
from pgwamp.session.extensions import leave_out_undefined
from pgwamp.session.gathered import Gathered
from pgwamp.session.procedure import Call, Procedure, Result
from pgwamp.settings import LimitSettings
from pgwamp.shares import Budget, Shares
from pgwamp.tasks import LEAVING_SECONDS, race, raise_if_cancelled
from pgwamp.values.portable import check_arguments

log = logs.get(__name__)
#: The keyword Autobahn passes call details in.
DETAILS = "details"
#: Share of ``limits.argument_bytes`` that one caller may have, and bytes of a call that is refused
#: only beyond twice as much in all.
ARGUMENT_SHARE, SMALL_ARGUMENTS = 0.5, 65_536
#: Bytes of a result's message beside its values.
ENVELOPE_BYTES = 64
#: Seconds that calls which the stop ends have to answer: those of the database, and some more.
LAST_ANSWERS_SECONDS = LEAVING_SECONDS + 1.0
_CANCELED = "the call was canceled"
_STOPPING = "the component is stopping; call again, and go on from the last cursor if there is one"

Endpoint = Callable[..., Awaitable[Any]]
Send = Callable[[Any], None]
Room = Callable[[], Awaitable[object]]


class Serving:
    """Turns procedures into Autobahn endpoints.

    Autobahn's own ``concurrency`` loses a slot for each call that times out or whose caller
    leaves; these shares cannot.

    :ivar procedures: what is served, by URI. Each call looks its procedure up here, so that a
        procedure changes without being registered again.
    """

    def __init__(
        self,
        limits: LimitSettings,
        realm: str,
        procedures: Mapping[str, Procedure] | None = None,
        *,
        metrics: Metrics | None = None,
    ):
        self.procedures: Mapping[str, Procedure] = procedures or {}
        self._limits = limits
        self._realm = realm
        self._metrics = metrics or Metrics()
        self._slots = Shares(
            limits.concurrency,
            per_session=limits.per_session,
            reserve=limits.reserve,
            waiting=limits.waiting,
        )
        self._followers = Shares(
            limits.followers,
            per_session=limits.per_session,
            reserve=limits.reserve,
            name="limits.followers, limits.per_session",
        )
        #: Of writing progressive results while the transport is full: one at a time, in turn.
        self._sending = Shares(1, per_session=1, reserve=0)
        self._arguments = Budget(
            limits.argument_bytes, per_caller=ARGUMENT_SHARE, small=SMALL_ARGUMENTS
        )
        self._running: set[asyncio.Task[Any]] = set()
        self._endless: set[asyncio.Task[Any]] = set()
        self._draining = False
        #: Calls that :meth:`drain` ended, and not their callers.
        self._ended: set[asyncio.Task[Any]] = set()
        self._hurried = asyncio.Event()

    async def drain(self, seconds: float) -> None:
        """End the calls without an end, wait for the others, at most so long, and end these too.

        Each of them is answered.
        """
        self._draining = True
        self._end(self._endless)
        if self._running:
            log.info("stopping after the calls under way", number=len(self._running), wait=seconds)
            under_way = asyncio.wait(set(self._running), timeout=seconds)
            await race(under_way, self._hurried.wait())
        if self._running:
            log.warning("calls ended by the stop", number=len(self._running))
            self._end(self._running)
            await asyncio.wait(self._running, timeout=LAST_ANSWERS_SECONDS)

    def hurry(self) -> None:
        """Let :meth:`drain` wait no longer."""
        self._hurried.set()

    def _end(self, tasks: Iterable[asyncio.Task[Any]]) -> None:
        for task in list(tasks):
            self._ended.add(task)
            task.cancel()

    def endpoint(self, uri: str, room: Room, message_bytes: int) -> Endpoint:
        """What to register for ``uri``.

        :param room: waits until the session's transport can take more.
        :param message_bytes: of the largest message that it takes.
        """
        max_bytes = message_bytes - ENVELOPE_BYTES

        async def endpoint(args: list[Any], kwargs: dict[str, Any], details: CallDetails) -> Any:
            caller = Caller(
                realm=self._realm,
                procedure=uri,
                session=details.caller,
                authid=details.caller_authid,
                authrole=details.caller_authrole,
            )
            task = asyncio.current_task()
            assert task is not None
            self._running.add(task)
            known = self.procedures.get(uri)
            kind = known.kind if known else "gone"
            self._metrics.call_began(kind)
            began = time.perf_counter()
            failed = True
            try:
                result = await self._serve(
                    uri, Call(args, kwargs, caller, max_bytes=max_bytes), details.progress, room
                )
                failed = False
                return result
            except CallError as error:
                raise _application_error(error) from None
            except asyncio.CancelledError:
                # Always answered: a callee that swallows an interrupt leaves its caller waiting.
                is_stopped = task in self._ended
                # What answers as long as things happen ends so when its caller has enough.
                failed = is_stopped or known is None or not known.endless
                end = Unavailable(_STOPPING) if is_stopped else Canceled(_CANCELED)
                raise _application_error(end) from None
            except Exception:
                log.exception("procedure failed", procedure=uri)
                raise _application_error(Internal()) from None
            finally:
                for tasks in (self._running, self._endless, self._ended):
                    tasks.discard(task)
                self._metrics.call_ended(kind, time.perf_counter() - began, failed=failed)

        return endpoint

    async def _serve(self, uri: str, call: Call, progress: Send | None, room: Room) -> Any:
        procedure = self.procedures.get(uri)
        if procedure is None:
            # A call that was on its way when the procedure was taken back.
            raise NoSuchProcedure(f"there is no procedure {uri} any more")
        byte_count = self._check(call)
        self._arguments.spend(call.caller, byte_count)
        try:
            result = await self._answer(procedure, call, progress, room)
        finally:
            self._arguments.give_back(call.caller, byte_count)
        if not isinstance(result, Result):
            result = Result(result)
        procedure.require_portable(result)
        return CallResult(result.value, **result.kwargs) if result.kwargs else result.value

    def _check(self, call: Call) -> int:
        """Refuse arguments that are not portable; return how much memory they take."""
        try:
            return check_arguments(call.args, call.kwargs, self._limits.max_values)
        except InvalidArgument:
            if not leave_out_undefined([call.args, call.kwargs]):
                raise
        return check_arguments(call.args, call.kwargs, self._limits.max_values)

    async def _answer(
        self, procedure: Procedure, call: Call, progress: Send | None, room: Room
    ) -> Any:
        """Have the handler answer, in its turn and in time."""
        now = asyncio.get_running_loop().time
        limits = self._limits
        latest = math.inf if progress is None else now() + limits.stream_timeout
        first = (
            limits.call_timeout
            if progress is None
            else min(limits.call_timeout, limits.stream_timeout)
        )
        seconds = None if procedure.endless else first
        try:
            async with asyncio.timeout(seconds) as deadline, self._slot(procedure, call.caller):
                # Answers that the router has not taken yet are held in memory, beside those of
                # all calls that have begun: none begins until there is room, in turn.
                async with self._sending.place(call.caller):
                    await room()

                async def send(item: Any) -> None:
                    """Send a progressive result; each gives the call its time again."""
                    assert progress is not None
                    procedure.require_portable(item)
                    async with self._sending.place(call.caller):
                        await room()
                        progress(item)
                    # Let the loop write it, and serve others, before the next is made.
                    await asyncio.sleep(0)
                    await room()
                    if not procedure.endless:
                        deadline.reschedule(min(now() + limits.call_timeout, latest))

                if progress is not None:
                    call = replace(call, progress=send)
                answer = procedure.handler(call)
                if isinstance(answer, AsyncIterator):
                    return await self._stream(procedure, call, answer)
                return await _answered(procedure, call, answer)
        except (TimeoutError, Canceled) as error:
            if not deadline.expired():
                raise
            over = now() >= latest
            bound = limits.stream_timeout if over else limits.call_timeout
            name = "stream_timeout" if over else "call_timeout"
            timeout = Timeout(f"the call took longer than {bound:g} seconds (limits.{name})")
            if isinstance(error, Canceled) and error.may_be_committed:
                timeout.after_commit()
            raise timeout from None

    def _slot(self, procedure: Procedure, caller: Caller) -> AbstractAsyncContextManager[None]:
        return self._follower(caller) if procedure.endless else self._slots.place(caller)

    @asynccontextmanager
    async def _follower(self, caller: Caller) -> AsyncIterator[None]:
        if self._draining:
            raise Unavailable(_STOPPING)
        with self._followers.place_now(caller):
            task = asyncio.current_task()
            assert task is not None
            self._endless.add(task)
            yield

    async def _stream(
        self, procedure: Procedure, call: Call, items: AsyncIterator[Any]
    ) -> Result | None:
        """Send each item as it comes; a caller who asked for no progress gets them all at once.

        Given to Autobahn as it is, an async generator ends the whole session.
        """
        cure = "ask for fewer rows, or for progressive results"
        gathered = Gathered(call, self._limits, cure)
        collected = gathered.results
        result = None if call.progress else Result(collected)
        ended = False
        async with _closing(items):
            # To its end: there it commits what it tells of.
            async for item in items:
                if ended:
                    log.error("a generator goes on after its Result", procedure=procedure.uri)
                    raise Internal()
                if isinstance(item, Result):
                    ended = True
                    if call.progress is None:
                        # While the generator, and its transaction, are still open.
                        await gathered.measure(dict(item.kwargs))
                        item = Result(collected, item.kwargs)
                    result = item
                    continue
                if call.progress is not None:
                    await call.progress(item)
                    # The next may be long in coming.
                    del item
                    continue
                await gathered.add(item)
                if len(collected) > self._limits.max_rows:
                    raise TooManyRows(
                        f"more than {self._limits.max_rows} results (limits.max_rows); "
                        "ask for progressive results"
                    )
        return result


async def _answered(procedure: Procedure, call: Call, answer: Awaitable[Any]) -> Any:
    """The answer; what met a change of the schema is done once more, if it has changed nothing."""
    try:
        return await answer
    except SchemaChanged as error:
        if error.may_be_committed:
            raise
        raise_if_cancelled()
        again = procedure.handler(call)
        if not procedure.portable or isinstance(again, AsyncIterator):
            raise
        return await again


@asynccontextmanager
async def _closing(items: AsyncIterator[Any]) -> AsyncIterator[None]:
    """End a generator that is left early at once: it may hold a connection."""
    try:
        yield
    finally:
        if isinstance(items, AsyncGenerator):
            await items.aclose()


def _application_error(error: CallError) -> ApplicationError:
    details = {k: v for k, v in error.details.items() if v is not None}
    return ApplicationError(error.uri, error.message, **details)
