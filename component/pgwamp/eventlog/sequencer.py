"""The sequencer: makes events of what has changed, in one order."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from contextlib import AsyncExitStack
from datetime import timedelta
from typing import Any

import asyncpg

from pgwamp import logs
from pgwamp.capture import Signal
from pgwamp.database.connect import CONNECTION_ERRORS, connect_directly
from pgwamp.eventlog.evaluator import Evaluator
from pgwamp.eventlog.lease import LEASE_SECONDS, LeaseLost, Leases
from pgwamp.eventlog.outage import Outage
from pgwamp.eventlog.sequencing import Sequencing
from pgwamp.eventlog.telling import Telling
from pgwamp.tasks import Deadline, race

log = logs.get(__name__)
NAME = "sequencer"
FIRST_DELAY, LONGEST_DELAY = 0.1, 2.0
#: Seconds that it takes for the last events at most.
STOP_SECONDS = 5.0
#: Of a planner that knows nothing of snapshots: by itself it would read a third of the table.
BY_INDEX: Mapping[str, Any] = {
    "enable_seqscan": "off",
    "enable_bitmapscan": "off",
    "max_parallel_workers_per_gather": "0",
    "plan_cache_mode": "force_generic_plan",
}


class Sequencer:
    """Competes for the lease, and appends events to the log while it holds it.

    :param dsn: a direct connection, of a login that may do what the owner of ``wamp`` may.
    :param retain: how long events are kept.
    :param logged: called when events were appended.
    :ivar leading: set while this process holds the lease.
    """

    def __init__(
        self,
        dsn: str,
        retain: timedelta,
        *,
        bigint_as_string: bool = False,
        logged: Callable[[], None] = lambda: None,
    ):
        self._dsn = dsn
        self._retain = retain
        self._big = bigint_as_string
        self._logged = logged
        self._leases = Leases(dsn, NAME)
        self._outage = Outage(log, "the sequencer")
        self._task: asyncio.Task[None] | None = None
        self._stopping = asyncio.Event()
        self._signal: Signal | None = None
        self.leading = asyncio.Event()

    async def start(self) -> None:
        """Begin competing for the lease."""
        self._task = asyncio.create_task(self._run(), name="pgwamp sequencer")

    async def stop(self, deadline: Deadline | None = None) -> None:
        """Make events of what was written so far, while there is time, and leave the lease."""
        self._stopping.set()
        if self._signal is not None:
            self._signal.wake()
        if self._task is None:
            return
        seconds = STOP_SECONDS if self.leading.is_set() else 0.0
        await (deadline or Deadline()).finish(self._task, seconds)

    async def _run(self) -> None:
        delay = FIRST_DELAY
        while not self._stopping.is_set():
            try:
                await self._lead()
                delay = FIRST_DELAY
            except LeaseLost as error:
                log.warning("the sequencer stops", reason=str(error))
            except (*CONNECTION_ERRORS, asyncpg.PostgresError) as error:
                self._outage.tell(error)
            except Exception:
                # Nobody awaits this task: dying of a surprise would end all events in silence.
                log.exception("the sequencer failed, trying again")
            finally:
                self.leading.clear()
                self._signal = None
            if not self._stopping.is_set():
                await asyncio.sleep(delay)
                delay = min(delay * 2, LONGEST_DELAY)

    async def _lead(self) -> None:
        async with self._leases.held() as lease, AsyncExitStack() as stack:
            evaluator = Evaluator(self._dsn)
            stack.callback(evaluator.close)
            telling = Telling(self._dsn)
            stack.push_async_callback(telling.close)
            sequencing = Sequencing(
                # A transaction that stands still would keep another process from taking over.
                await self._connect(stack, seconds=LEASE_SECONDS - 1),
                await self._connect(stack, seconds=0),
                lease,
                self._retain,
                evaluator=evaluator,
                telling=telling,
                bigint_as_string=self._big,
                logged=self._logged,
            )
            self._signal = sequencing.signal
            await sequencing.start()
            self.leading.set()
            self._outage.end()
            log.info("sequencing", position=sequencing.state.position.number)
            await race(sequencing.run(self._stopping), lease.keep(), sequencing.signal.lost())

    async def _connect(self, stack: AsyncExitStack, *, seconds: float) -> asyncpg.Connection[Any]:
        connection = await connect_directly(
            self._dsn,
            application_name="pgwamp sequencer",
            # Whoever sees an event finds its row after a crash, too.
            synchronous_commit="on",
            idle_in_transaction_session_timeout=f"{seconds:g}s",
            lock_timeout="2s",
            tcp_keepalives_idle="5",
            tcp_keepalives_interval="2",
            tcp_keepalives_count="3",
            **BY_INDEX,
        )
        stack.callback(connection.terminate)
        return connection
