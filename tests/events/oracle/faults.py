"""What is killed while the writers write, and started again."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence

import asyncpg

from pgwamp.session import Client
from tests.events.oracle.stack import OVERDUE, Stack
from tests.events.oracle.tables import DDL
from tests.events.oracle.workload import LOST
from tests.processes import Pgwamp

_CUT_LEADER = (
    "select pg_terminate_backend(pid) from pg_stat_activity "
    "where application_name = any ($1::text[])"
)
#: A statement that does not fit what the table is by now, or waits for too long.
_NOT_NOW = (
    asyncpg.SyntaxOrAccessError,
    asyncpg.LockNotAvailableError,
    asyncpg.DeadlockDetectedError,
)
#: Connections of those that lead: all of one kind are cut at once.
_LEADING = (
    ["pgwamp sequencer"],
    ["pgwamp publisher"],
    ["pgwamp lease sequencer"],
    ["pgwamp sequencer", "pgwamp lease sequencer", "pgwamp publisher"],
)
#: Seconds that a process is stopped: longer than its leases last.
STOPPED = 5


class Faults:
    """Kills at random, one after the other, and sometimes two at once.

    :param flood: writes so much that something is under way when something is killed.
    :param gap: seconds between the end of one and the next, on the average.
    :ivar done: how often each kind was done.
    """

    def __init__(
        self,
        stack: Stack,
        clients: Sequence[Client],
        flood: Callable[[], Awaitable[None]],
        rng: random.Random,
        gap: float,
    ):
        self._stack = stack
        self._flood = flood
        self._clients = clients
        self._rng = rng
        self._gap = gap
        self.done: Counter[str] = Counter()
        # By what is hit: two at once hit different things.
        self._kinds: dict[str, tuple[str, Callable[[], Awaitable[None]]]] = {
            "leader kill -9": ("component", self._kill_leader),
            "other instance kill -9": ("component", self._kill_other),
            "leader SIGTERM": ("component", self._stop_leader),
            "leader stopped over a takeover": ("component", self._suspend_leader),
            "leader's connections cut": ("component", self._cut_leader),
            "Crossbar kill -9": ("router", self._kill_router),
            "PostgreSQL immediate stop": ("database", self._crash_database),
            "PostgreSQL kill -9": ("database", self._kill_database),
            "DDL": ("schema", self._change_tables),
            "subscriber cut off": ("subscriber", self._cut_subscriber),
        }

    async def run(self, seconds: float) -> None:
        """Each kind once in a random order, then random ones until the time is over."""
        end = asyncio.get_running_loop().time() + seconds
        first = self._rng.sample(list(self._kinds), len(self._kinds))
        while first or asyncio.get_running_loop().time() < end:
            await asyncio.sleep(self._rng.expovariate(1 / self._gap))
            names = [first.pop() if first else self._rng.choice(list(self._kinds))]
            if self._rng.random() < 0.25:
                names.append(self._beside(names[0]))
            await asyncio.gather(*map(self._do, names))

    def _beside(self, name: str) -> str:
        hit, _ = self._kinds[name]
        return self._rng.choice([n for n, (other, _) in self._kinds.items() if other != hit])

    async def _do(self, name: str) -> None:
        _, fault = self._kinds[name]
        await self._flood()
        await asyncio.sleep(self._rng.uniform(0, 0.1))
        await fault()
        self.done[name] += 1

    async def _pause(self) -> None:
        """How long what was killed stays away."""
        await asyncio.sleep(self._rng.choice([0, 0, 1, 3]))

    # --- the component --------------------------------------------------------------------------

    async def _kill_leader(self) -> None:
        await self._restart(await self._leader(), Pgwamp.kill)

    async def _kill_other(self) -> None:
        leader = await self._leader()
        await self._restart(next(c for c in self._stack.components if c is not leader), Pgwamp.kill)

    async def _stop_leader(self) -> None:
        await self._restart(await self._leader(), Pgwamp.stop)

    async def _suspend_leader(self) -> None:
        """SIGSTOP: it does not know that it was away."""
        leader = await self._leader()
        leader.suspend()
        try:
            await asyncio.sleep(STOPPED)
        finally:
            leader.resume()

    async def _leader(self) -> Pgwamp:
        return await self._stack.leader() or self._rng.choice(self._stack.components)

    async def _restart(self, component: Pgwamp, end: Callable[[Pgwamp], Awaitable[object]]) -> None:
        self._stack.require_running()
        await end(component)
        await self._pause()
        await self._stack.start(component)

    async def _cut_leader(self) -> None:
        try:
            connection = await asyncpg.connect(self._stack.url, timeout=5)
            await connection.execute(_CUT_LEADER, self._rng.choice(_LEADING))
            await connection.close(timeout=5)
        except LOST:
            self.done["leader's connections cut"] -= 1  # a crash has done it

    # --- servers and subscribers ----------------------------------------------------------------

    async def _kill_router(self) -> None:
        await asyncio.to_thread(self._stack.router.kill)
        await self._pause()
        await asyncio.to_thread(self._stack.router.start, OVERDUE)

    async def _crash_database(self) -> None:
        await asyncio.to_thread(self._stack.postgres.stop, "immediate")
        await self._pause()
        await asyncio.to_thread(self._stack.postgres.start, OVERDUE)

    async def _kill_database(self) -> None:
        await asyncio.to_thread(self._stack.postgres.kill)
        await self._pause()
        await asyncio.to_thread(self._stack.postgres.start, OVERDUE)

    async def _change_tables(self) -> None:
        """Some statements in one transaction each, beside the writers."""
        for statement in self._rng.choices(DDL, k=8):
            try:
                connection = await asyncpg.connect(self._stack.url, timeout=5)
                try:
                    await connection.execute(f"set lock_timeout = '3s'; {statement}")
                finally:
                    connection.terminate()
            except (*LOST, *_NOT_NOW):
                continue

    async def _cut_subscriber(self) -> None:
        """As a machine that is switched off: no GOODBYE."""
        client = self._rng.choice(self._clients)
        if client.link.is_up:
            transport = client.link.session._transport
            assert transport is not None
            transport.abort()
