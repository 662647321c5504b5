"""Writers that change rows in every awkward way, and a subscriber that misses nothing.

Each change gives its row a new version and a token, and notes both in a journal that is not
watched, in the same transaction: what the journal holds in the end is what was committed.
"""

from __future__ import annotations

import asyncio
import random
import uuid
from collections import Counter, defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import asyncpg

from pgwamp.errors import CallError
from pgwamp.session import Client

SCHEMA = (
    "create table item (id int primary key, version int not null, token text not null)",
    "create table journal (item int not null, version int not null, token text not null)",
    "select wamp.watch('item')",
)
ITEMS = 400
LOST = (OSError, asyncpg.InterfaceError, asyncpg.PostgresError, asyncio.TimeoutError)


@dataclass
class Workload:
    """Changes by several writers until ``target`` rows were changed and committed."""

    url: str
    target: int
    writers: int = 8
    committed: int = 0
    rolled_back: set[str] = field(default_factory=set)
    slow: float = 0.3

    async def run(self) -> None:
        """Write until done, connecting again whenever the server went away."""
        async with asyncio.TaskGroup() as group:
            for number in range(self.writers):
                group.create_task(self._writer(random.Random(number)))

    async def _writer(self, rng: random.Random) -> None:
        while self.committed < self.target:
            try:
                connection = await asyncpg.connect(self.url, timeout=5)
            except LOST:
                await asyncio.sleep(0.05)  # the server is being restarted
                continue
            try:
                while self.committed < self.target:
                    await self._transaction(connection, rng)
            except asyncpg.DeadlockDetectedError:
                pass
            except LOST:
                pass
            finally:
                connection.terminate()

    async def _transaction(self, connection: Any, rng: random.Random) -> None:
        transaction = connection.transaction()
        await transaction.start()
        tokens: list[str] = []
        # In one order, so that writers rarely deadlock.
        rows = sorted(rng.sample(range(ITEMS), rng.randint(1, 12)))
        for row in rows:
            if rng.random() < 0.15:
                savepoint = connection.transaction()
                await savepoint.start()
                inner = await self._change(connection, [row])
                if rng.random() < 0.5:
                    await savepoint.rollback()
                    self.rolled_back.update(inner)
                    continue
                await savepoint.commit()
                tokens += inner
            else:
                tokens += await self._change(connection, [row])
            if rng.random() < 0.01:
                await asyncio.sleep(rng.random() * self.slow)  # a slow transaction
        if rng.random() < 0.15:
            await transaction.rollback()
            self.rolled_back.update(tokens)
            return
        # If the connection is lost here nobody knows; the journal will.
        await transaction.commit()
        self.committed += len(tokens)

    async def _change(self, connection: Any, rows: list[int]) -> list[str]:
        tokens = [uuid.uuid4().hex for _ in rows]
        await connection.execute(
            "with change as ("
            "  insert into item as i select id, 1, token from unnest($1::int[], $2::text[]) "
            "    as n (id, token)"
            "  on conflict (id) do update set version = i.version + 1, token = excluded.token"
            "  returning i.id, i.version, i.token"
            ") insert into journal select * from change",
            rows,
            tokens,
        )
        return tokens


class Subscriber:
    """Follows the table's events; after it was cut off it catches up from its last cursor."""

    def __init__(self, prefix: str):
        self._changes = f"{prefix}.item.changes"
        self._topic = f"{prefix}.item."
        self._queue: asyncio.Queue[dict[str, Any] | None] = asyncio.Queue()
        self._cursor: str | None = None
        self.events: dict[int, dict[str, Any]] = {}
        self.tokens: set[str] = set()
        self.order: list[int] = []
        self.deliveries: Counter[int] = Counter()
        self.live = self.caught_up = 0
        self._news = asyncio.Event()

    def on_rejoin(self) -> None:
        """Called by the client before any event of the new session."""
        self._queue.put_nowait(None)

    async def follow(self, client: Client) -> None:
        """Take events until cancelled."""
        self._client = client
        await client.subscribe(
            self._topic, lambda _topic, _args, kwargs: self._queue.put_nowait(kwargs), "prefix"
        )
        while True:
            event = await self._queue.get()
            if event is None:
                await self._catch_up()
            else:
                self.live += 1
                self._take(event)

    async def _catch_up(self) -> None:
        """Until it is done no live event may move the cursor: it would skip what is missing."""
        more = True
        while more:
            try:
                events, answer = await self._client.call_full(
                    self._changes, [], {"since": self._cursor}
                )
            except CallError:
                await asyncio.sleep(0.05)  # the component or the database is away as well
                continue
            for event in events:
                self.caught_up += 1
                self._take(event)
            self._cursor = answer["next"]
            more = answer["more"]

    def _take(self, event: dict[str, Any]) -> None:
        number = event["id"]
        self.deliveries[number] += 1
        self._cursor = event["cursor"]
        if number not in self.events:
            self.order.append(number)
            self.events[number] = event
            self.tokens.add(event["new"]["token"])
        else:
            # A duplicate is the same event again, under the same id.
            assert self.events[number]["new"] == event["new"]
        self._news.set()

    @property
    def duplicates(self) -> int:
        """Deliveries beyond the first of each event."""
        return self.deliveries.total() - len(self.deliveries)

    async def until(self, enough: Callable[[], bool], seconds: float) -> None:
        """Wait until what was received is enough, at most so long."""
        async with asyncio.timeout(seconds):
            while not enough():
                self._news.clear()
                await self._news.wait()


async def compare(
    url: str, workload: Workload, subscriber: Subscriber, seconds: float = 30
) -> dict[str, int]:
    """Assert that the subscriber has each committed change, none other, per row in order."""
    connection = await asyncpg.connect(url)
    rows = await connection.fetch("select item, version, token from journal")
    await connection.close()
    committed = {row["token"] for row in rows}
    received = subscriber.tokens
    try:
        await subscriber.until(
            lambda: len(received) >= len(committed) and committed <= received, seconds
        )
    except TimeoutError:
        missing = committed - received
        raise AssertionError(f"{len(missing)} of {len(committed)} changes are missing") from None
    assert received == committed, "a change that was not committed was published"
    assert not received & workload.rolled_back, "a change that was rolled back was published"
    versions: dict[int, list[int]] = defaultdict(list)
    for number in subscriber.order:
        row = subscriber.events[number]["new"]
        versions[row["id"]].append(row["version"])
    for item, seen in versions.items():
        assert seen == sorted(seen), f"changes of row {item} out of order: {seen}"
    return {
        "committed": len(committed),
        "rolled_back": len(workload.rolled_back),
        "events": len(subscriber.events),
        "live": subscriber.live,
        "caught_up": subscriber.caught_up,
        "duplicates": subscriber.duplicates,
        "lost": 0,
    }
