"""Eras: histories of the database that the log was written by.

A promoted standby and a database that was recovered to a point in time go on under another
timeline, a server after pg_upgrade and a dump that was restored elsewhere under another system
identifier. The tables of a dump have other oids, also in the same server. There the log begins
another era, whose marks are of another key: no cursor of an event that was lost is good for what
comes in its place. What was committed before is there, and so are its events: a cursor at one of
them goes on.
"""

from __future__ import annotations

from importlib.resources import files
from typing import Any

import asyncpg

from pgwamp import logs
from pgwamp.eventlog.moving import move
from pgwamp.eventlog.state import Entry, State

log = logs.get(__name__)
_ERA = (files("pgwamp.eventlog") / "sql" / "era.sql").read_text(encoding="utf-8")
_BEGIN = """
insert into wamp.era (began, system_identifier, timeline, log_oid) values ($1, $2, $3, $4)
"""
_NOW = "select clock_timestamp() as at, pg_current_xact_id()::text::bigint as xid"


async def begin_era(connection: asyncpg.Connection[Any], state: State) -> None:
    """Begin another era, if this is another history than that of the log."""
    row = await connection.fetchrow(_ERA)
    assert row is not None
    here = row["system_identifier"], row["timeline"], row["log_oid"]
    last = row["last_system_identifier"], row["last_timeline"], row["last_log_oid"]
    if here == last:
        return
    async with connection.transaction():
        await state.fence()
        # A promotion changes the timeline alone.
        if (here[0], here[2]) != (last[0], last[2]):
            await move(connection)
        await connection.execute(_BEGIN, state.position.number + 1, *here)
        await state.load()
        now = await connection.fetchrow(_NOW)
        assert now is not None
        marker = Entry(now["xid"], now["at"], 0, None, None, "era", None, None, None, True, False)
        await state.store(state.taken, [marker])
    log.info("the log begins another era", timeline=row["timeline"], position=state.position.number)
