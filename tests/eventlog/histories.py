"""The log of a server, and the cursors that were handed out of it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import asyncpg

from pgwamp.dev.postgres import Postgres
from pgwamp.errors import CursorExpired
from pgwamp.eventlog.body import read_body
from pgwamp.eventlog.log import LoggedEvent, read_page
from pgwamp.eventlog.position import parse_cursor
from tests.conftest import Database
from tests.eventlog.conftest import Log
from tests.eventlog.site import NAME


@asynccontextmanager
async def log_of(server: Postgres, name: str = NAME) -> AsyncIterator[Log]:
    """The log of the database on a server."""
    database = Database(server.url(name), name)
    connection = await asyncpg.connect(database.url)
    try:
        yield Log(database, connection)
    finally:
        connection.terminate()


async def good_cursors(log: Log, told: list[LoggedEvent]) -> int:
    """How many cursors of what was told go on; each of them goes on exactly there.

    All others have expired, and are those of the last events.
    """
    now = [event.position.cursor for event in await log.events()]
    told_cursors = [event.position.cursor for event in told]
    good = 0
    for number, cursor in enumerate(told_cursors, 1):
        try:
            page = await read_page(log.connection, parse_cursor(cursor), 5)
        except CursorExpired:
            continue
        following = [event.position.cursor for event in page.events if event.is_of_interest]
        assert following == now[number : number + len(following)]
        assert following or number == len(now)
        assert good == number - 1, "an earlier cursor has expired"
        good = number
    assert told_cursors[:good] == now[:good]
    return good


def keys(events: list[LoggedEvent]) -> list[int]:
    """The keys of events, all of which are inserts."""
    assert {event.op for event in events} <= {"insert"}
    return [read_body(event.body or "")["key"]["id"] for event in events]
