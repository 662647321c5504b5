"""The component: wires the parts together, and starts them, and stops them gracefully."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Any

import asyncpg

from pgwamp import __version__, logs
from pgwamp.backlog import read_backlog
from pgwamp.catalog import Catalog
from pgwamp.checks import (
    Finding,
    ask_database,
    ask_router,
    ask_settings,
    migration_tables,
    missing_schemas,
    require_schema,
    sample_topics,
)
from pgwamp.database.connect import CONNECTION_ERRORS
from pgwamp.errors import StartError, Unavailable
from pgwamp.eventlog.sequencer import Sequencer
from pgwamp.events import Publisher, allow_publish
from pgwamp.exporter import Exporter
from pgwamp.exposure import Exposure, Reader
from pgwamp.metrics import Metrics
from pgwamp.reload import Reloader
from pgwamp.session import Link, Lost, Serving
from pgwamp.settings import Settings
from pgwamp.tasks import Deadline, end, told_if_slow

log = logs.get(__name__)
#: Seconds to wait for a database that does not answer yet, as at the boot of a machine.
PATIENCE = 30.0
#: Seconds until the start says what it waits for.
TOLD_SECONDS = 1.5
#: Seconds that whoever asks for metrics waits for the database.
LOOK = 2.0
#: Seconds that the database has to end statements of calls that the stop ends, and the router to
#: answer, once the time of the stop is over.
LAST_SECONDS = 1.0
#: Seconds until what was locked is looked at again, and names of it that are logged.
LOOK_AGAIN, MOST_NAMED = 10, 10


class Component:
    """One pgwamp component: ``async with Component(settings) as component``.

    Entering returns when every procedure is registered; it raises
    :class:`~pgwamp.errors.StartError` or :class:`~pgwamp.errors.SettingsError` with one line
    that names the cure. :meth:`run` then lasts until something ends the component for good.

    :ivar advice: logs what the component can work with but should not; it begins with the end of
        the start.
    """

    def __init__(self, settings: Settings, *, patience: float = PATIENCE):
        logs.begin()  # a program of one's own may have configured nothing
        settings.require_database()
        settings.require_exposure()
        self._settings = settings
        self._patience = patience
        self._reader = reader = Reader(settings)
        self.naming, self.database, self.listener = reader.naming, reader.database, reader.listener
        self.feed, self.live = reader.feed, reader.live
        self._serving: Serving | None = None
        self._deadline = Deadline()
        self.advice: asyncio.Task[None] | None = None
        self.metrics = Metrics(__version__)
        self.exporter = Exporter(settings.metrics, self._page)
        self.catalog = Catalog(0)
        self.exposure = Exposure({}, {})

    async def __aenter__(self) -> Component:
        settings = self._settings
        self._serving = Serving(settings.limits, settings.router.realm, metrics=self.metrics)
        self.link = Link(
            settings.router,
            max_bytes=settings.limits.max_bytes,
            max_values=settings.limits.max_values,
            serving=self._serving,
        )
        self.sequencer = Sequencer(
            settings.database.events_dsn(),
            settings.events.retain,
            bigint_as_string=settings.expose.bigint == "string",
            logged=self._wake,
        )
        self.publisher = Publisher(
            settings.database.events_dsn(),
            self.link,
            self.listener,
            self.naming,
            settings.events,
            self.metrics,
            realm=settings.router.realm,
            max_bytes=settings.limits.max_bytes,
        )
        self.metrics.watch_joined(lambda: self.link.is_up)
        self.metrics.watch_leading(self.publisher.leading.is_set)
        self.reloader = Reloader(self.listener, self.reload)
        try:
            await self._start()
        except BaseException:
            await self.stop()
            raise
        self.advice = asyncio.create_task(self._advise(), name="pgwamp advice")
        return self

    async def _start(self) -> None:
        settings = self._settings
        assert self._serving is not None
        _require(await ask_settings(settings))
        with _told("PostgreSQL", settings.database.places()):
            await self.database.start(self._patience)
            _require(await ask_database(settings, stopping=True))
        # Listen first, then read: no change falls in between.
        self.reloader.start()
        with _told("the catalog", settings.database.events_setting):
            await self.listener.start()
            await self.load()
            async with self.database.own() as connection:
                await allow_publish(connection, settings)
        await self.exporter.start()
        self._look_again()
        self._serving.procedures = self.exposure.procedures
        await self.sequencer.start()
        with _told("the router", settings.router.place):
            await self.link.start()
            await self._require_router()
        await self.publisher.start()

    async def _require_router(self) -> None:
        """Ask what the router lets us do; a session that ends meanwhile is joined again."""
        topics = sample_topics(self.exposure.description)
        try:
            _require(await ask_router(self._settings, self.link, topics))
        except (Lost, TimeoutError):
            log.warning("what the router allows could not be tried: the session ended")

    async def _advise(self) -> None:
        """Log what else ``pgwamp check`` finds: nobody waits for it."""
        try:
            findings = migration_tables(self.naming, self.catalog)
            findings += await ask_database(self._settings, stopping=False)
            _require(findings)
        except StartError as error:
            # The database went away meanwhile.
            log.warning("the requirements could not be asked", reason=str(error))
        except Exception:
            log.exception("the requirements could not be asked")

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    async def run(self) -> None:
        """Serve until cancelled. Raises :class:`StartError` when the router ends it for good."""
        await asyncio.shield(self.link.failed)

    async def stop(self) -> None:
        """Stop gracefully: hand over publishing, finish calls, leave the realm, disconnect.

        It takes as long as ``limits.drain_timeout`` says, and a moment more: nobody who does not
        answer makes it last longer. Idempotent, and harmless before the start.
        """
        if self._serving is None:
            return
        self._deadline.begin(self._settings.limits.drain_seconds)
        cutting = asyncio.create_task(self._cut_off(), name="pgwamp end")
        try:
            await self._stop_in_order(self._serving)
        finally:
            await end(cutting)

    async def _cut_off(self) -> None:
        """Let nothing wait for a database that does not answer, when the time is over."""
        await self._deadline.over()
        await asyncio.sleep(LAST_SECONDS)
        log.warning("the stop takes too long: connections to the database are dropped")
        self.database.terminate()

    async def _stop_in_order(self, serving: Serving) -> None:
        deadline = self._deadline
        if self.advice is not None:
            await end(self.advice)
        await self.exporter.stop()
        await self.reloader.stop()
        # In this order: what it makes events of is still published.
        await self.sequencer.stop(deadline)
        await self.publisher.stop(deadline)
        if self.link.is_up:
            taking_back = asyncio.ensure_future(self.link.unregister(self.link.registered))
            await deadline.finish(taking_back, least=LAST_SECONDS)
            await serving.drain(deadline.left())
        await self.link.stop(max(LAST_SECONDS, deadline.left()))
        await self.live.stop()
        await self.listener.stop()
        await self.database.stop()

    def hurry(self) -> None:
        """Let :meth:`stop` wait no longer, neither for calls under way nor for the database."""
        self._deadline.hurry()
        if self._serving is not None:
            self._serving.hurry()

    def _wake(self) -> None:
        """Have the events read that the sequencer has just logged, before PostgreSQL says so."""
        self.publisher.wake()
        self.feed.wake()

    async def _page(self) -> bytes:
        """Metrics, with what is only known by looking."""
        self.metrics.pools(self.database.usage())
        try:
            async with (
                asyncio.timeout(LOOK),
                self.database.own() as connection,
            ):
                self.metrics.backlog(await read_backlog(connection))
        except (Unavailable, *CONNECTION_ERRORS, asyncpg.PostgresError):
            self.metrics.backlog(None)
        return self.metrics.render()

    async def load(self) -> None:
        """Read the catalog and build what is exposed; needs the database only."""
        try:
            self.catalog, self.exposure = await self._read()
        except (*CONNECTION_ERRORS, asyncpg.PostgresError) as error:
            raise StartError(f"the catalog could not be read: {error}") from None
        except Unavailable as error:
            raise StartError(f"the catalog could not be read: {error.message}") from None

    def _look_again(self) -> None:
        """Say what is not served; reload in a while, if something was locked."""
        for line in self.exposure.left_out:
            log.warning("left out because of its name", problem=line)
        locked = [*self.catalog.locked, *self.exposure.locked]
        if locked:
            log.warning(
                "views or queries cannot be served now, or for reading only: another session locks "
                "what they read, they take too long to open, or a role cannot prepare them; "
                "looking again",
                names=locked[:MOST_NAMED],
                number=len(locked),
                seconds=LOOK_AGAIN,
            )
            self.reloader.ask_in(LOOK_AGAIN)

    async def reload(self) -> None:
        """Read the catalog again, and serve what it makes; waits until the link is up.

        What did not change stays registered, and calls under way end as they began.

        :raises StartError: as at the start; what was served before still is.
        """
        await self.link.up()
        catalog, exposure = await self._read(is_serving=True)
        await self.link.serve(exposure.procedures)
        self.catalog, self.exposure = catalog, exposure
        self._look_again()
        self.live.renew(exposure.queries, exposure.locked)
        log.info("reloaded", procedures=len(exposure.procedures))

    async def _read(self, *, is_serving: bool = False) -> tuple[Catalog, Exposure]:
        async with self._reader.snapshot() as connection:
            await require_schema(connection, is_serving=is_serving)
            for problem in await missing_schemas(self._settings, connection):
                raise StartError(problem)
            return await self._reader.read(connection, self.catalog)


def _require(findings: Sequence[Finding]) -> None:
    """Log the findings that a component can work with.

    :raises StartError: there are others.
    """
    for finding in findings:
        if not finding.stops and finding.level != "fact":
            log.warning("not as it should be", part=finding.part, problem=finding.problem)
    if stopping := [finding.problem for finding in findings if finding.stops]:
        raise StartError("; ".join(stopping))


def _told(what: str, where: str) -> AbstractContextManager[None]:
    """Say what the start waits for, if it takes a while."""
    return told_if_slow(
        TOLD_SECONDS, lambda: log.warning("the start waits", waits_for=what, at=where)
    )


async def describe_database(settings: Settings) -> Mapping[str, Any]:
    """The API that ``settings`` and the database make, as ``describe`` answers it."""
    component = Component(settings)
    await component.database.start()
    try:
        await component.load()
    finally:
        await component.database.stop()
    return component.exposure.description
