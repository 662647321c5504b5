"""One run: write, subscribe and kill for a while, then ask PostgreSQL what is right."""

from __future__ import annotations

import asyncio
import random
import time
from collections import Counter, defaultdict
from collections.abc import Callable
from contextlib import AsyncExitStack
from dataclasses import asdict, dataclass
from typing import Any

import asyncpg

from pgwamp.session import Client
from pgwamp.settings import RouterSettings
from tests.events.oracle.faults import Faults
from tests.events.oracle.fold import Copy, Fold
from tests.events.oracle.odd import Odd
from tests.events.oracle.stack import Stack, stack
from tests.events.oracle.subscribers import KINDS, Subscriber
from tests.events.oracle.tables import TABLES, Row
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
    :ivar odd: how often the odd writers have done each kind of thing.
    :ivar marked: events of theirs that told the key of a row, and not its values.
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
    odd: dict[str, int]
    marked: int
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
        # Up to a minute; a short run is over before.
        oracle = _Oracle(servers, seed, say, longest_lock=min(60, 2 + seconds / 5))
        for kind in KINDS:
            await oracle.subscribe(kind, exits)
        try:
            return await oracle.run(seconds, gap)
        except* Exception as errors:
            error = _first(errors)
            problem = f"{type(error).__name__}: {error}"
            raise AssertionError(f"seed {seed}: {problem}\n{servers.output}") from errors


def _certain(rows: dict[Any, Row], fold: Fold) -> dict[Any, Row]:
    """The rows but for those that a subscriber would have to read again."""
    return {key: row for key, row in rows.items() if key not in fold.unclear}


def _first(errors: BaseException) -> BaseException:
    while isinstance(errors, BaseExceptionGroup):
        errors = errors.exceptions[0]
    return errors


class _Oracle:
    def __init__(self, servers: Stack, seed: int, say: Say, longest_lock: float):
        self._servers = servers
        self._seed = seed
        self._say = say
        self._workload = Workload(servers.url, seed)
        self._odd = Odd(servers.url, seed, longest_lock)
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
        mine += [kind(table, client, self._seed) for table in TABLES if kind.can_have(table)]
        self._subscribers += mine

    async def run(self, seconds: float, gap: float) -> Report:
        rng = random.Random(self._seed)
        faults = Faults(self._servers, self._clients, self._workload.flood, rng, gap)
        async with asyncio.TaskGroup() as group:
            background = [group.create_task(s.run()) for s in self._subscribers]
            background.append(group.create_task(self._progress(faults)))
            writing = group.create_task(self._workload.run())
            odd = group.create_task(self._odd.run())
            await faults.run(seconds)
            await self._all_have_events()
            self._workload.stop()
            self._odd.stop()
            await asyncio.gather(writing, odd)
            self._say("oracle: everything is up again, comparing")
            journal = await Journal.read(self._servers.url)
            end = time.monotonic() + CATCH_UP
            for subscriber in self._subscribers:
                await self._compare(subscriber, journal, end)
            self._servers.require_running()
            for task in background:
                task.cancel()
        return self._report(journal, faults)

    async def _all_have_events(self) -> None:
        """Go on until each subscriber has received something; a run can be short."""
        end = time.monotonic() + CATCH_UP
        while time.monotonic() < end and not all(  # noqa: ASYNC110 (they fold in this loop)
            subscriber.fold.events for subscriber in self._subscribers
        ):
            await asyncio.sleep(0.05)

    async def _compare(self, subscriber: Subscriber, journal: Journal, end: float) -> None:
        """Wait until it has what ``select`` answers, and every change that was committed."""
        table, fold = subscriber.table, subscriber.fold
        answer, _ = await subscriber.call("select", {})
        rows = {
            table.key_of(row): table.only(row)
            for row in answer
            if table.shown(row) and table.mine(row)
        }
        expected, truncates = journal.changes[table.name], journal.truncates[table.name]
        if not subscriber.whole or table.odd:
            expected, truncates = set(), fold.truncates
        if table.options.keys() & {"when", "eligible_authrole"}:
            expected = set()  # some changes concern nobody
        while time.monotonic() < end and (  # noqa: ASYNC110 (it folds in this loop: let it)
            _certain(fold.rows, fold) != _certain(rows, fold)
            or fold.truncates < truncates
            or not expected <= fold.changes
        ):
            await asyncio.sleep(0.05)
        if isinstance(fold, Copy):
            fold.require_fit()
        who = f"{type(subscriber).__name__} of {table.name}"
        assert fold.events, f"{who} received nothing: the run shows too little"
        lost = expected - fold.changes
        assert not lost, f"{who}: {len(lost)} of {len(expected)} are lost: {sorted(lost)[:5]}"
        assert fold.truncates == truncates, f"{who}: {fold.truncates} of {truncates} truncates"
        # What changes its key or its audience may be deleted and inserted.
        committed = {token for _, token in journal.changes[table.name]}
        invented = {token for _, token in fold.changes} - committed
        assert not invented, f"{who} received what was not committed: {sorted(invented)[:5]}"
        for key in (fold.rows.keys() | rows.keys()) - fold.unclear:
            folded, row = fold.rows.get(key), rows.get(key)
            assert folded == row, f"{who}: {key} is {folded} and should be {row}"

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
        folds = [subscriber.fold for subscriber in self._subscribers]
        return Report(
            seed=self._seed,
            seconds=round(time.monotonic() - self._began),
            transactions=journal.transactions,
            ended=dict(self._workload.ended),
            changes=sum(map(len, journal.changes.values())) + journal.truncates.total(),
            events=self._events(),
            resumed=sum(s.resumed for s in self._subscribers if isinstance(s, KINDS[0])),
            kills=dict(faults.done),
            odd=dict(self._odd.done),
            marked=sum(f.marked for f in folds if isinstance(f, Copy)),
            away=dict(sum((s.away for s in self._subscribers), Counter())),
            duplicates=self._duplicates(),
            # Anything else has ended the run.
            lost=0,
        )
