"""Preparing the named queries, each as a role of calls that may.

PostgreSQL reads the literals of a statement as it prepares it, which can run code of whoever owns a
type or a domain. So whatever a role, its login or a type does here ends at its own query or role.
"""

from __future__ import annotations

from collections import deque
from typing import Any

import asyncpg

from pgwamp import logs
from pgwamp.database import Database
from pgwamp.database.connect import CONNECTION_ERRORS
from pgwamp.database.roles import Role
from pgwamp.errors import PayloadTooLarge, StartError, Unavailable
from pgwamp.procedures.queries import NamedQuery, read_queries
from pgwamp.settings import Settings

log = logs.get(__name__)
_FAILURES = (*CONNECTION_ERRORS, asyncpg.PostgresError, Unavailable, PayloadTooLarge)
#: Seconds to wait for a lock that somebody holds on what is exposed, as the catalog is read.
LONGEST_LOCK = 2
#: Bytes that PostgreSQL may answer while it prepares one query: thousands of columns and types.
MOST_BYTES = 4_000_000
#: Characters of PostgreSQL's error that ours repeats.
_LONGEST_ERROR = 1_000
#: Errors of a role that may not use a schema.
_NOT_SEEN = (
    asyncpg.InsufficientPrivilegeError,
    asyncpg.InvalidSchemaNameError,
    asyncpg.UndefinedTableError,
    asyncpg.UndefinedFunctionError,
    asyncpg.UndefinedObjectError,
)


async def prepare_queries(
    settings: Settings, database: Database
) -> tuple[list[NamedQuery], list[str]]:
    """The queries that can be served, and the names of those that cannot be prepared now.

    Each is prepared as the first role of calls that may: a role sees the schemas that it has USAGE
    on.

    :raises StartError: a query is wrong.
    """
    if settings.expose.queries is None:
        return [], []
    preparation = _Preparation(settings, database)
    preparation.waiting.extend(read_queries(settings.expose.queries))
    for role in database.roles.all():
        await preparation.run(role)
    return preparation.ready, preparation.later()


class _Preparation:
    """Queries that are prepared as one role after the other.

    :ivar ready: prepared.
    :ivar waiting: not prepared, for the next role to try.
    """

    def __init__(self, settings: Settings, database: Database):
        self.ready: list[NamedQuery] = []
        self.waiting: deque[NamedQuery] = deque()
        self._bigint_as_string = settings.expose.bigint == "string"
        self._database = database
        self._locked: list[str] = []
        self._errors: dict[str, BaseException] = {}
        self._unable = False

    async def run(self, role: Role | None) -> None:
        """Prepare what waits as a role."""
        rest, self.waiting = self.waiting, deque()
        lost: NamedQuery | None = None
        while rest:
            begun = False
            try:
                async with self._database.preparing(role, LONGEST_LOCK) as connection:
                    begun = True
                    while rest:
                        await self._prepare(connection, rest[0])
                        rest.popleft()
            except _FAILURES as error:
                if not begun:
                    self._unable = True
                    name = role.name if role else None
                    log.warning("a role cannot prepare queries", role=name, error=_short(error))
                    self.waiting.extend(rest)
                    return
                if not rest:
                    return
                # The connection is gone: once may be chance, twice is this query's doing.
                if rest[0] is lost or isinstance(error, PayloadTooLarge):
                    self._refused(rest.popleft(), error)
                else:
                    lost = rest[0]

    def later(self) -> list[str]:
        """The names of queries that are to be tried again in a while.

        :raises StartError: PostgreSQL refuses a query to all roles.
        """
        if self._unable:
            return [*self._locked, *(query.name for query in self.waiting)]
        for query in self.waiting:
            raise StartError(f"{query.title}: {_short(self._errors[query.name])}")
        return self._locked

    async def _prepare(self, connection: asyncpg.Connection[Any], query: NamedQuery) -> None:
        try:
            with self._database.measured(connection, MOST_BYTES):
                await query.prepare(
                    connection,
                    search_path=self._database.search_path,
                    bigint_as_string=self._bigint_as_string,
                )
            self.ready.append(query)
        except CONNECTION_ERRORS:
            raise
        except asyncpg.LockNotAvailableError:
            self._locked.append(query.name)
            # All others were waited for by now.
            await connection.execute("set local lock_timeout = '100ms'")
        except asyncpg.PostgresError as error:
            self._refused(query, error)

    def _refused(self, query: NamedQuery, error: BaseException) -> None:
        self.waiting.append(query)
        known = self._errors.get(query.name)
        if known is None or isinstance(known, _NOT_SEEN):
            self._errors[query.name] = error


def _short(error: BaseException) -> str:
    # A hint of PostgreSQL is on a line of its own.
    return " ".join(str(error)[:_LONGEST_ERROR].split()) or type(error).__name__
