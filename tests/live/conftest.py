"""Live queries on a real database, with a feed that tells what the test says has changed."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from pgwamp.access import Caller
from pgwamp.catalog import load_catalog
from pgwamp.database import Database as Pools
from pgwamp.errors import CallError
from pgwamp.exposure import Exposure, build_exposure
from pgwamp.live.queries import LiveQueries
from pgwamp.session import Call
from tests.conftest import Database, MakeSettings
from tests.live.fold import fold
from tests.servers import CALLS


@pytest.fixture
def role(database: Database) -> Iterator[str]:
    """A role of the test's own."""
    name = f"web_{uuid.uuid4().hex[:8]}"
    database.execute(f"create role {name} role {CALLS}")
    yield name
    database.execute(f"drop owned by {name}", f"drop role {name}")


@dataclass(frozen=True)
class Change:
    """What has changed."""

    schema: str | None
    table: str | None


class Missed(Exception):
    """Says that changes were missed."""


class ToldFeed:
    """Tells every subscription what the test says."""

    def __init__(self) -> None:
        self._queues: set[asyncio.Queue[list[Change] | None]] = set()
        self.subscribed = 0

    @asynccontextmanager
    async def subscribe(self) -> AsyncIterator[ToldSubscription]:
        queue: asyncio.Queue[list[Change] | None] = asyncio.Queue()
        self._queues.add(queue)
        self.subscribed += 1
        try:
            yield ToldSubscription(queue)
        finally:
            self._queues.discard(queue)
            self.subscribed -= 1

    def tell(self, *tables: str) -> None:
        """These tables have changed."""
        for queue in self._queues:
            queue.put_nowait([Change("public", table) for table in tables])

    def miss(self) -> None:
        """Some changes were missed."""
        for queue in self._queues:
            queue.put_nowait(None)


@dataclass(frozen=True)
class ToldSubscription:
    queue: asyncio.Queue[list[Change] | None]

    async def next(self) -> list[Change]:
        changes = await self.queue.get()
        if changes is None:
            raise Missed
        return changes


class Listening:
    """One caller of a live query, who keeps the rows as a client would."""

    def __init__(self, items: AsyncIterator[dict[str, Any]]):
        self.items: list[dict[str, Any]] = []
        self.rows: list[Any] | None = None
        self.error: Exception | None = None
        self.room = asyncio.Event()
        self.room.set()
        self._news = asyncio.Condition()
        self._task = asyncio.create_task(self._listen(items))

    async def _listen(self, items: Any) -> None:
        try:
            async for item in items:
                self.items.append(item)
                self.rows = fold(self.rows or [], item)
                await self._tell()
                await self.room.wait()
        except Exception as error:
            self.error = error
        finally:
            await items.aclose()
            await self._tell()

    async def _tell(self) -> None:
        async with self._news:
            self._news.notify_all()

    async def until(self, enough: Callable[[Listening], bool], seconds: float = 10) -> Any:
        """Wait until what was heard is enough; answers the rows."""
        try:
            async with asyncio.timeout(seconds), self._news:
                await self._news.wait_for(lambda: enough(self))
        except TimeoutError:
            pytest.fail(f"heard {self.items[-3:]}, {self.error!r}")
        return self.rows

    async def shows(self, rows: list[Any]) -> None:
        """Wait until the rows are these."""
        await self.until(lambda heard: heard.rows == rows)

    async def fails(self, uri: str) -> CallError:
        """Wait until it has ended with this error."""
        await self.until(lambda heard: heard.error is not None)
        assert isinstance(self.error, CallError)
        assert self.error.uri == uri, self.error
        return self.error

    async def leave(self) -> None:
        """Listen no longer."""
        self._task.cancel()
        await asyncio.wait({self._task})


@dataclass
class Live:
    """What is exposed, and whoever listens."""

    exposure: Exposure
    queries: LiveQueries
    feed: ToldFeed
    prefix: str
    listening: list[Listening] = field(default_factory=list)

    def __call__(
        self,
        name: str,
        /,
        *args: Any,
        authid: str = "somebody",
        authrole: str = "anonymous",
        session: int = 1,
        **kwargs: Any,
    ) -> Listening:
        """Call a live query."""
        uri = f"{self.prefix}.{name}.live"

        async def progress(_: Any) -> None:
            raise AssertionError("the handler answers, serving sends")

        caller = Caller("realm1", uri, session, authid, authrole)
        answer: Any = self.exposure.procedures[uri].handler(Call(args, kwargs, caller, progress))
        listening = Listening(answer)
        self.listening.append(listening)
        return listening

    @property
    def count(self) -> int:
        """How often the database was asked for what is listened to now."""
        return sum(evaluation.count for evaluation in self.queries.evaluations)

    def described(self, name: str) -> Any:
        """The entry of a procedure in ``describe``."""
        return next(
            entry
            for entry in self.exposure.description["procedures"]
            if entry["uri"] == f"{self.prefix}.{name}"
        )

    async def answered(self, count: int) -> None:
        """Wait until the one query that is listened to was answered so often."""
        (evaluation,) = self.queries.evaluations
        async with asyncio.timeout(10):
            await evaluation.answered(count)


Start = Callable[..., Awaitable[Live]]


@pytest.fixture
async def live(
    database: Database, make_settings: MakeSettings, prefix: str, tmp_path: Path
) -> AsyncIterator[Start]:
    """Run statements, and expose queries."""
    async with AsyncExitStack() as stack:

        async def start(queries: str, *statements: str, **sections: dict[str, Any]) -> Live:
            database.execute(*statements)
            (tmp_path / "live.sql").write_text(queries)
            events = {"live_interval": 0.02, **sections.pop("events", {})}
            expose = {"queries": str(tmp_path), **sections.pop("expose", {})}
            settings = make_settings(expose=expose, events=events, **sections)
            pools = Pools(settings.database, settings.access, settings.expose.schemas)
            await pools.start()
            stack.push_async_callback(pools.stop)
            feed = ToldFeed()
            evaluations = LiveQueries(pools, settings, feed)
            async with pools.own() as connection, connection.transaction():
                catalog = await load_catalog(connection, settings.expose.schemas)
                exposure = await build_exposure(
                    settings, catalog, pools, connection, live=evaluations
                )
            started = Live(exposure, evaluations, feed, prefix)

            async def stop() -> None:
                for listening in started.listening:
                    await listening.leave()
                await evaluations.stop()

            stack.push_async_callback(stop)
            return started

        yield start
