"""The component: wires the parts together, and starts and stops them in order."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from contextlib import AbstractAsyncContextManager
from typing import Any

import asyncpg

from pgwamp import logs
from pgwamp.backlog import read_backlog
from pgwamp.catalog import Catalog, load_catalog
from pgwamp.database import Database
from pgwamp.database.blockers import bounded_waits
from pgwamp.database.connect import CONNECTION_ERRORS
from pgwamp.database.encoding import SERVER_ENCODING, encoding_problem
from pgwamp.database.listener import Listener
from pgwamp.errors import StartError, Unavailable
from pgwamp.eventlog.sequencer import Sequencer
from pgwamp.events import Publisher, allow_publish
from pgwamp.exporter import Exporter
from pgwamp.metrics import Metrics
from pgwamp.naming import Naming
from pgwamp.ownership import schema_problem
from pgwamp.procedures import Exposure, LiveQueries, build_exposure
from pgwamp.procedures.preparing import LONGEST_LOCK
from pgwamp.reload import Reloader
from pgwamp.replay import Feed, replay_procedures
from pgwamp.session import Link, Serving
from pgwamp.settings import Settings

log = logs.get(__name__)
#: Seconds to wait for a database that does not answer yet, as at the boot of a machine.
PATIENCE = 30.0
#: Seconds that whoever asks for metrics waits for the database.
LOOK = 2.0
#: Seconds that calls under way get to finish when the component stops.
DRAIN = 5.0
#: Seconds until what was locked is looked at again, and names of it that are logged.
LOOK_AGAIN, MOST_NAMED = 10, 10


class Component:
    """One pgwamp component: ``async with Component(settings) as component``.

    Entering returns when every procedure is registered; it raises
    :class:`~pgwamp.errors.StartError` or :class:`~pgwamp.errors.SettingsError` with one line
    that names the cure. :meth:`run` then lasts until something ends the component for good.
    """

    def __init__(self, settings: Settings, *, patience: float = PATIENCE):
        settings.require_database()
        settings.require_exposure()
        self._settings = settings
        self._patience = patience
        self.naming = Naming(settings.expose)
        self.database = Database(
            settings.database,
            settings.access,
            (*settings.expose.schemas, *settings.expose.search_path),
            settings.limits,
        )
        self.listener = Listener(settings.database.events_dsn())
        self.feed = Feed(self.database, self.listener, self.naming, settings.limits)
        self.live = LiveQueries(self.database, settings, self.feed)
        self._serving: Serving | None = None
        self.metrics = Metrics()
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
        self.metrics.watch_leading(self.publisher.leading.is_set)
        self.reloader = Reloader(self.listener, self.reload)
        try:
            await self.database.start(self._patience)
            # Listen first, then read: no change falls in between.
            self.reloader.start()
            await self.listener.start()
            await self.load()
            async with self.database.own() as connection:
                await allow_publish(connection, settings)
            await self.exporter.start()
            self._look_again()
            self._serving.procedures = self.exposure.procedures
            await self.sequencer.start()
            await self.link.start()
            await self.publisher.start()
        except BaseException:
            await self.stop()
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    async def run(self) -> None:
        """Serve until cancelled. Raises :class:`StartError` when the router ends it for good."""
        await asyncio.shield(self.link.failed)

    async def stop(self) -> None:
        """Stop in order: hand over publishing, finish calls, leave the realm, disconnect.

        Idempotent, and harmless before the start.
        """
        if self._serving is None:
            return
        await self.exporter.stop()
        await self.reloader.stop()
        # In this order: what it makes events of is still published.
        await self.sequencer.stop()
        await self.publisher.stop()
        if self.link.is_up:
            await self.link.unregister(self.link.registered)
            await self._serving.drain(DRAIN)
        await self.link.stop()
        await self.live.stop()
        await self.listener.stop()
        await self.database.stop()

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

    def _bounded_waits(
        self, connection: asyncpg.Connection[Any], seconds: float | None = None
    ) -> AbstractAsyncContextManager[None]:
        dsn = self._settings.database.events_dsn()
        return bounded_waits(connection, dsn, "reading the catalog", seconds)

    async def load(self) -> None:
        """Read the catalog and build what is exposed; needs the database only."""
        try:
            self.catalog, self.exposure = await self._read()
        except (*CONNECTION_ERRORS, asyncpg.PostgresError) as error:
            raise StartError(f"the catalog could not be read: {error}") from None
        except Unavailable as error:
            raise StartError(f"the catalog could not be read: {error.message}") from None

    def _look_again(self) -> None:
        """Reload in a while, if something was locked."""
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
        catalog, exposure = await self._read()
        await self.link.serve(exposure.procedures)
        self.catalog, self.exposure = catalog, exposure
        self._look_again()
        self.live.renew(exposure.queries)
        log.info("reloaded", procedures=len(exposure.procedures))

    async def _read(self) -> tuple[Catalog, Exposure]:
        await self.database.forget_schema()
        async with (
            self.database.own() as connection,
            # One snapshot: DDL that goes on meanwhile is either seen whole or not at all.
            connection.transaction(isolation="repeatable_read", readonly=True),
            # PostgreSQL opens views to tell what may be written to them.
            self._bounded_waits(connection, LONGEST_LOCK),
        ):
            await connection.reload_schema_state()
            await require_schema(connection)
            await self._require_schemas(connection)
            schemas = self._settings.expose.schemas
            catalog = await load_catalog(connection, schemas, before=self.catalog)
            exposure = await build_exposure(
                self._settings,
                catalog,
                self.database,
                connection,
                list(replay_procedures(self._settings, catalog, self.database, self.feed)),
                self.live,
            )
        return catalog, exposure

    async def _require_schemas(self, connection: asyncpg.Connection[Any]) -> None:
        schemas = list(self._settings.expose.schemas)
        missing = await connection.fetchval(
            "select s from unnest($1::text[]) as s where to_regnamespace(quote_ident(s)) is null",
            schemas,
        )
        if missing is not None:
            raise StartError(
                f'expose.schemas: the database has no schema "{missing}"; '
                "create it, or correct the setting"
            )


async def require_schema(connection: asyncpg.Connection[Any]) -> None:
    """Raise :class:`StartError` unless the ``wamp`` schema is there, ours, and we may use it.

    :param connection: with a search path that others cannot write to.
    """
    if problem := await _schema_obstacle(connection):
        raise StartError(problem)


async def _schema_obstacle(connection: asyncpg.Connection[Any]) -> str | None:
    if problem := encoding_problem(await connection.fetchval(SERVER_ENCODING)):
        return problem
    found = await connection.fetchval(_FOUND)
    if found is None:
        return "the database has no wamp schema: run 'pgwamp db upgrade'"
    if found == "event":
        return (
            "the wamp schema is one of before its revisions began anew: run 'pgwamp db upgrade', "
            "which says what to do"
        )
    if problem := await schema_problem(connection):
        return problem
    if not await connection.fetchval(_MAY_PUBLISH):
        return (
            "the database user may not read wamp.log: run pgwamp as the user that ran "
            "'pgwamp db upgrade', or grant it the rights of that user"
        )
    return None


# Only the old schema has a table of this name.
_FOUND = """
select min(c.relname::text)
from pg_class as c join pg_namespace as n on n.oid = c.relnamespace
where n.nspname = 'wamp' and c.relname in ('log', 'event')
"""
# Without USAGE a table cannot even be named.
_MAY_PUBLISH = """
select case when has_schema_privilege('wamp', 'usage') then
    has_table_privilege('wamp.log', 'select') and has_table_privilege('wamp.lease', 'update')
end
"""


async def describe_database(settings: Settings) -> Mapping[str, Any]:
    """The API that ``settings`` and the database make, as ``describe`` answers it."""
    component = Component(settings)
    await component.database.start()
    try:
        await component.load()
    finally:
        await component.database.stop()
    return component.exposure.description
