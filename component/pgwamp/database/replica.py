"""The replica that reads go to, and the primary that they go to while it is away."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import asyncpg

from pgwamp import logs
from pgwamp.database.connect import CONNECTION_ERRORS, connect_directly, connection_problem
from pgwamp.database.identity import identity_of
from pgwamp.settings import DatabaseSettings
from pgwamp.tasks import end

log = logs.get(__name__)
#: Seconds between looks whether the replica has come back.
LOOK_SECONDS = 5.0
#: Seconds that a replica has to answer whether it is there.
ANSWER_SECONDS = 3.0
_SETTING = "database.replica_url"


class Replica:
    """Whether reads go to the replica now.

    :param move: makes reads go to where :attr:`used` says from now on.
    :ivar used: reads go to the replica, and not to the primary.
    """

    def __init__(self, settings: DatabaseSettings, move: Callable[[], Awaitable[None]]):
        self._settings = settings
        self._dsn = settings.read_dsn()
        self._move = move
        self._watching: asyncio.Task[None] | None = None
        self._leaving = asyncio.Lock()
        self.exists = self._dsn != settings.dsn()
        self.used = self.exists

    def leave(self, problem: str) -> None:
        """Let reads go to the primary until the replica is back."""
        self.used = False
        log.warning("reads go to the primary until the replica is back", problem=problem)
        self._watching = asyncio.create_task(self._watch(), name="pgwamp replica")

    async def left(self) -> bool:
        """Look whether the replica is gone, and whether reads have gone to the primary then."""
        if not self.exists:
            return False
        async with self._leaving:
            if self.used and (problem := await self._obstacle()):
                self.leave(problem)
                await self._move()
            return not self.used

    async def stop(self) -> None:
        """End looking for it. Idempotent."""
        if self._watching is not None:
            await end(self._watching)

    async def _watch(self) -> None:
        known = ""
        while True:
            await asyncio.sleep(LOOK_SECONDS)
            problem = await self._obstacle()
            if problem is None:
                self.used = True
                try:
                    await self._move()
                except (*CONNECTION_ERRORS, asyncpg.PostgresError):
                    self.used = False  # gone again
                    continue
                log.info("reads go to the replica again")
                return
            if problem != known:
                known = problem
                log.warning("the replica is not back", problem=problem)

    async def _obstacle(self) -> str | None:
        """Why reads cannot go to the replica; None if they can."""
        try:
            async with asyncio.timeout(ANSWER_SECONDS):
                theirs = await self._identity(self._dsn)
        except (*CONNECTION_ERRORS, asyncpg.PostgresError) as error:
            return str(connection_problem(error, self._dsn, _SETTING)[0])
        try:
            ours = await self._identity(self._settings.events_dsn())
        except (*CONNECTION_ERRORS, asyncpg.PostgresError):
            return None
        if None not in (theirs, ours) and theirs != ours:
            ours_setting = self._settings.url_setting
            return f"{_SETTING} is another database than {ours_setting}: correct {_SETTING}"
        return None

    async def _identity(self, dsn: str) -> tuple[int, int] | None:
        connection = await connect_directly(dsn)
        try:
            return await identity_of(connection)
        finally:
            connection.terminate()
