"""Subscribers that miss nothing, each kind in its own way; they fold what they receive."""

from __future__ import annotations

import asyncio
import random
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Iterator
from typing import Any

from pgwamp.errors import CallError
from pgwamp.session import Client
from tests.events.oracle.fold import Copy, Fold
from tests.events.oracle.tables import Table

PREFIX = "com.example"
#: Seconds until an answer is overdue: whatever is killed, no call may hang.
OVERDUE = 45
#: Seconds between tries while something is away.
RETRY = 0.2
#: Errors that say that something is away, or was a moment ago; any other is a defect.
AWAY = (
    "wamp.error.no_such_procedure",
    "wamp.error.canceled",
    "pgwamp.error.unavailable",
    "pgwamp.error.admin_shutdown",
    "pgwamp.error.crash_shutdown",
    "pgwamp.error.cannot_connect_now",
    # A column is gone, and the component is about to notice.
    "pgwamp.error.undefined_column",
)


class Subscriber(ABC):
    """One table's events into a fold, over a client that it may share.

    It takes only what concerns rows that are its own: ``changes`` also answers events that the
    router gives to others.

    :ivar whole: whether it receives every change there is.
    :ivar cursor: where to go on after an interruption.
    :ivar resumed: events that came by ``changes`` rather than live.
    :ivar away: answers that said that something was away.
    """

    whole = True
    #: Errors after which it tries again.
    retried: tuple[str, ...] = AWAY

    def __init__(self, table: Table, client: Client, seed: int):
        self._path = f"{PREFIX}.{table.name}"
        self._client = client
        self._rng = random.Random(f"{seed}/{table.name}/{type(self).__name__}")
        self.table = table
        self.fold = (Copy if table.odd else Fold)(table, type(self).__name__)
        self.cursor: str | None = None
        self.resumed = 0
        self.away: Counter[str] = Counter()

    @classmethod
    def can_have(cls, table: Table) -> bool:
        """Whether this kind can subscribe to the table."""
        return not table.changing

    @abstractmethod
    async def run(self) -> None:
        """Take events until cancelled."""

    def on_rejoin(self) -> None:  # noqa: B027 (not every kind has to know)
        """The client has a new session; called before any event of it."""

    def take(self, event: dict[str, Any]) -> None:
        """Fold an event and go on from it."""
        row = event.get("new") or event.get("old", {})
        # Nobody can say whose a row is that is told without its values.
        if event["op"] == "truncate" or "truncated" in event or self.table.mine(row):
            self.fold.take(event)
        # Before the end of a snapshot there is none.
        self.cursor = event.get("cursor", self.cursor)

    async def page(self, limit: int | None = None) -> bool:
        """Read on from the cursor; True if there is more."""
        arguments = {"since": self.cursor, "limit": limit}
        events, answer = await self.call("changes", arguments)
        for event in events:
            self.resumed += 1
            self.take(event)
        self.cursor = answer["next"]
        return bool(answer["more"])

    async def call(self, verb: str, arguments: dict[str, Any]) -> tuple[Any, dict[str, Any]]:
        """Call until somebody answers."""
        while True:
            try:
                async with asyncio.timeout(OVERDUE):
                    return await self._client.call_full(f"{self._path}.{verb}", [], arguments)
            except CallError as error:
                if error.uri not in self.retried:
                    raise
                self.away[error.uri] += 1
                await asyncio.sleep(RETRY)


class Live(Subscriber):
    """Subscribes, and reads ``changes`` from its last cursor after each interruption."""

    def __init__(self, table: Table, client: Client, seed: int):
        super().__init__(table, client, seed)
        #: Live events; None where the session was lost in between.
        self._queue: asyncio.Queue[dict[str, Any] | None] = asyncio.Queue()

    def on_rejoin(self) -> None:
        self._queue.put_nowait(None)

    async def run(self) -> None:
        await self._client.subscribe(
            f"{self._path}.", lambda _topic, _args, event: self._queue.put_nowait(event), "prefix"
        )
        while True:
            event = await self._queue.get()
            if event is not None:
                for single in _singly(event):
                    self.take(single)
                continue
            # Until this is done no live event may move the cursor: it would skip what is missing.
            while await self.page():
                pass


def _singly(event: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """The changes of an event, which are several with the option ``batch``."""
    rows = event.get("rows")
    if rows is None:
        yield event
        return
    shared = {name: event[name] for name in ("schema", "table", "op", "cursor")}
    for row in rows:
        yield {**shared, **row}


class Reader(Subscriber):
    """Reads nothing but ``changes``, in pages of random sizes at random times."""

    async def run(self) -> None:
        while True:
            more = await self.page(self._rng.choice([1, 2, 7, 50, 400]))
            await asyncio.sleep(0 if more else self._rng.uniform(0, 0.3))


class Follower(Subscriber):
    """Follows from its last cursor, again after each interruption."""

    def __init__(self, table: Table, client: Client, seed: int):
        super().__init__(table, client, seed)
        self._items: asyncio.Queue[dict[str, Any]] = asyncio.Queue()

    async def run(self) -> None:
        # Without a cursor it would begin with what comes next, and no event is older than this one.
        await self.page(1)
        async with asyncio.TaskGroup() as group:
            group.create_task(self._follow())
            while True:
                self.take_item(await self._items.get())

    def take_item(self, item: dict[str, Any]) -> None:
        """Fold one progressive result."""
        for event in item["events"]:
            self.take(event)
        self.cursor = item.get("cursor", self.cursor)

    async def follow_once(self) -> None:
        """Follow until it ends."""
        arguments = {"since": self.cursor}
        await self._client.call(f"{self._path}.follow", [], arguments, self._items.put_nowait)

    async def _follow(self) -> None:
        while True:
            try:
                await self.follow_once()
            except CallError as error:
                if error.uri not in self.retried:
                    raise
                self.away[error.uri] += 1
            await asyncio.sleep(RETRY)


class Newcomer(Follower):
    """Forgets everything now and then, and begins with the rows as they are at that moment."""

    whole = False
    # Where the database crashes before the log has what the rows have, it begins once more.
    retried = (*AWAY, "pgwamp.error.cursor_expired")

    @classmethod
    def can_have(cls, table: Table) -> bool:
        # Rows that are not for everybody are no snapshot for everybody either. And what TRUNCATE
        # removes is gone also from snapshots taken before: a change of it may come first.
        return not (table.changing or table.truncated or "eligible_authrole" in table.options)

    async def follow_once(self) -> None:
        self._items.put_nowait({"start": True})
        begun = True

        def on_progress(item: dict[str, Any]) -> None:
            # What was on its way when the call was cancelled belongs to what is forgotten.
            if begun:
                self._items.put_nowait(item)

        try:
            async with asyncio.timeout(self._rng.uniform(1, 8)):
                await self._client.call(f"{self._path}.follow", [], {"snapshot": True}, on_progress)
        except TimeoutError:
            pass
        finally:
            begun = False

    def take_item(self, item: dict[str, Any]) -> None:
        if "start" in item:
            self.fold.start_over()
        elif "rows" in item:
            self.fold.begin_with(row for row in item["rows"] if self.table.mine(row))
            for key in item.get("truncated", ()):
                self.fold.begin_without(key)
        else:
            super().take_item(item)


class Starter(Newcomer):
    """Begins anew whenever it is told that it cannot go on, because the table is another one."""

    retried = (*Newcomer.retried, "pgwamp.error.not_watched")

    @classmethod
    def can_have(cls, table: Table) -> bool:
        return table.changing


#: Each kind gets a client of its own, so that cutting one leaves the others alone.
KINDS: tuple[type[Subscriber], ...] = (Live, Reader, Follower, Newcomer, Starter)
