"""Reading the database, and putting together what is exposed of it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import asyncpg

from pgwamp.catalog import Catalog, load_catalog
from pgwamp.database import Database
from pgwamp.database.blockers import bounded_waits
from pgwamp.database.listener import Listener
from pgwamp.exposure.build import Exposure, build_exposure
from pgwamp.live import LiveQueries
from pgwamp.naming import Naming
from pgwamp.procedures.preparing import LONGEST_LOCK
from pgwamp.replay import Feed, replay_procedures
from pgwamp.settings import Settings


class Reader:
    """Reads what the settings expose, and has what its procedures need.

    Nothing of it is started: to read needs the pools of ``database`` only.
    """

    def __init__(self, settings: Settings):
        expose = settings.expose
        self._settings = settings
        self.naming = Naming(expose)
        self.database = Database(
            settings.database,
            settings.access,
            (*expose.schemas, *expose.search_path),
            settings.limits,
        )
        self.listener = Listener(settings.database.events_dsn())
        self.feed = Feed(self.database, self.listener, self.naming, settings.limits)
        self.live = LiveQueries(self.database, settings, self.feed)

    @asynccontextmanager
    async def snapshot(self) -> AsyncIterator[asyncpg.Connection[Any]]:
        """A connection of our own in a transaction that sees DDL whole or not at all."""
        await self.database.forget_schema()
        dsn = self._settings.database.events_dsn()
        async with (
            self.database.own() as connection,
            connection.transaction(isolation="repeatable_read", readonly=True),
            # PostgreSQL opens views to tell what may be written to them.
            bounded_waits(connection, dsn, "reading the catalog", LONGEST_LOCK),
        ):
            await connection.reload_schema_state()
            yield connection

    async def read(
        self, connection: asyncpg.Connection[Any], before: Catalog | None = None
    ) -> tuple[Catalog, Exposure]:
        """Read the catalog, and build what it and the settings expose.

        :param connection: of :meth:`snapshot`.
        :param before: the catalog as it was read last.
        :raises StartError: a query, a Python procedure or a role is wrong.
        """
        settings, database = self._settings, self.database
        catalog = await load_catalog(
            connection, settings.expose.schemas, before=before or Catalog(0)
        )
        exposure = await build_exposure(
            settings,
            catalog,
            database,
            connection,
            list(replay_procedures(settings, catalog, database, self.feed)),
            self.live,
        )
        return catalog, exposure
