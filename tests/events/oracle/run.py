"""One run: write, subscribe and kill for a while, then ask PostgreSQL what is right."""

from __future__ import annotations

import asyncio
import random
import time
from collections import Counter, defaultdict
from collections.abc import Callable
from contextlib import AsyncExitStack
from dataclasses import asdict, dataclass

import asyncpg

from pgwamp.session import Client
from pgwamp.settings import RouterSettings
from tests.events.oracle.faults import Faults
from tests.events.oracle.fold import Wrong
from tests.events.oracle.stack import Stack, stack
from tests.events.oracle.subscribers import KINDS, Subscriber
from tests.events.oracle.tables import TABLES
from tests.events.oracle.workload import Workload

#: Seconds until what was committed last must have arrived.
CATCH_UP = 90
REPORT_EVERY = 10.0
Say = Callable[[str], None]


@dataclass(frozen=True)
class Journal:
    """What was committed.

    :ivar changes: ``(op, token)`` of each row written or deleted, by table.
    :ivar truncates: how often each table was truncated.
    """

    transactions: int
    changes: dict[str, set[tuple[str, int]]]
    truncates: Counter[str]

    @classmethod
    async def read(cls, url: str) -> Journal:
        """Read it from the database."""
        connection = await asyncpg.connect(url)
        rows = await connection.fetch("select relation, op, token from journal")
        transactions = await connection.fetchval("select count(distinct xid) from journal")
        await connection.close()
        changes: dict[str, set[tuple[str, int]]] = defaultdict(set)
        truncates: Counter[str] = Counter()
        for relation, op, token in rows:
            if op == "truncate":
                truncates[relation] += 1
            else:
                changes[relation].add((op, token))
        return cls(transactions, changes, truncates)


@dataclass(frozen=True)
class Report:
    """What a run has shown.

    :ivar transactions: committed ones, as the journal has them.
    :ivar changes: committed rows written, deleted, and truncates.
    :ivar events: different events received, of all subscribers.
    :ivar resumed: what subscribers of live events read by ``changes``, after interruptions.
    :ivar away: answers that said that something was away, by URI.
    """

    seed: int
    seconds: int
    transactions: int
    ended: dict[str, int]
    changes: int
    events: int
    resumed: int
    kills: dict[str, int]
    away: dict[str, int]
    duplicates: int
    lost: int

    def __str__(self) -> str:
        lines = []
        for name, value in asdict(self).items():
            lines.append(f"{name:14}{value if isinstance(value, int) else ''}".rstrip())
            if not isinstance(value, int):
                lines += [f"  {number:>6} {kind}" for kind, number in sorted(value.items())]
        return "\n".join(lines)


async def run(seconds: float, seed: int, say: Say, gap: float = 3.0) -> Report:
    """Run for so long, and as long as it takes to kill everything once.

    :raises AssertionError: something was lost, invented, out of order, or hangs.
    """
    say(f"oracle: seed {seed}")
    async with AsyncExitStack() as exits:
        servers = await exits.enter_async_context(stack())
        oracle = _Oracle(servers, seed, say)
        for kind in KINDS:
            await oracle.subscribe(kind, exits)
        try:
            return await oracle.run(seconds, gap)
        except* Exception as errors:
            raise AssertionError(f"seed {seed}: {_first(errors)}\n{servers.output}") from errors


def _first(errors: BaseException) -> BaseException:
    while isinstance(errors, BaseExceptionGroup):
        errors = errors.exceptions[0]
    return errors


class _Oracle:
    def __init__(self, servers: Stack, seed: int, say: Say):
        self._servers = servers
        self._seed = seed
        self._say = say
        self._workload = Workload(servers.url, seed)
        self._clients: list[Client] = []
        self._subscribers: list[Subscriber] = []
        self._began = time.monotonic()

    async def subscribe(self, kind: type[Subscriber], exits: AsyncExitStack) -> None:
        """One subscriber of this kind for each table, over one client."""
        mine: list[Subscriber] = []

        def on_rejoin() -> None:
            for subscriber in mine:
                subscriber.on_rejoin()

        client = Client(RouterSettings(url=self._servers.router.url), on_rejoin)
        self._clients.append(await exits.enter_async_context(client))
        mine += [kind(table, client, self._seed) for table in TABLES]
        self._subscribers += mine

    async def run(self, seconds: float, gap: float) -> Report:
        rng = random.Random(self._seed)
        faults = Faults(self._servers, self._clients, self._workload.flood, rng, gap)
        async with asyncio.TaskGroup() as group:
            background = [group.create_task(s.run()) for s in self._subscribers]
            background.append(group.create_task(self._progress(faults)))
            writing = group.create_task(self._workload.run())
            await faults.run(seconds)
            self._workload.stop()
            await writing
            self._say("oracle: everything is up again, comparing")
            journal = await Journal.read(self._servers.url)
            await self._wait_for(journal)
            self._servers.require_running()
            await self._compare()
            for task in background:
                task.cancel()
        return self._report(journal, faults)

    async def _wait_for(self, journal: Journal) -> None:
        """Until each subscriber has every change that was committed, and no other."""
        end = time.monotonic() + CATCH_UP
        for subscriber in self._subscribers:
            name, fold = subscriber.table.name, subscriber.fold
            expected, truncates = journal.changes[name], journal.truncates[name]
            while time.monotonic() < end and (  # noqa: ASYNC110 (it folds in this loop: let it)
                fold.truncates < truncates or not expected <= fold.changes
            ):
                await asyncio.sleep(0.05)
            lost = expected - fold.changes
            who = f"{type(subscriber).__name__} of {subscriber.table.name}"
            assert not lost, f"{who}: {len(lost)} of {len(expected)} are lost: {sorted(lost)[:5]}"
            invented = fold.changes - expected
            assert not invented, f"{who} received what was not committed: {sorted(invented)[:5]}"
            assert fold.truncates == truncates, f"{who}: {fold.truncates} of {truncates} truncates"

    async def _compare(self) -> None:
        """What was folded against what ``select`` answers."""
        for subscriber in self._subscribers:
            rows, _ = await subscriber.call("select", {})
            table = {subscriber.table.key_of(row): row for row in rows}
            folded = subscriber.fold.rows
            if folded != table:
                keys = [k for k in folded.keys() | table.keys() if folded.get(k) != table.get(k)]
                raise Wrong(
                    f"{type(subscriber).__name__} of {subscriber.table.name}: {len(keys)} rows "
                    f"differ, as {keys[0]}: {folded.get(keys[0])} is {table.get(keys[0])}"
                )

    async def _progress(self, faults: Faults) -> None:
        while True:
            await asyncio.sleep(REPORT_EVERY)
            self._say(
                f"oracle: {time.monotonic() - self._began:.0f} s, "
                f"{self._workload.ended['committed']} transactions, {self._events()} events, "
                f"{faults.done.total()} kills, {self._duplicates()} duplicates"
            )

    def _events(self) -> int:
        return sum(s.fold.events for s in self._subscribers)

    def _duplicates(self) -> int:
        return sum(s.fold.duplicates for s in self._subscribers)

    def _report(self, journal: Journal, faults: Faults) -> Report:
        return Report(
            seed=self._seed,
            seconds=round(time.monotonic() - self._began),
            transactions=journal.transactions,
            ended=dict(self._workload.ended),
            changes=sum(map(len, journal.changes.values())) + journal.truncates.total(),
            events=self._events(),
            resumed=sum(s.resumed for s in self._subscribers if isinstance(s, KINDS[0])),
            kills=dict(faults.done),
            away=dict(sum((s.away for s in self._subscribers), Counter())),
            duplicates=self._duplicates(),
            # Anything else has ended the run.
            lost=0,
        )
