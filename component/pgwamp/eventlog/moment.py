"""A moment that rows were read at, and whether the log has come as far.

The sequencer is behind the tables. A cursor from before the events of what was seen would be good
after a failover that has lost these changes: their transactions are none, and their numbers are
given to others. A position behind these events is not: with the changes it is lost itself.
"""

from __future__ import annotations

from dataclasses import dataclass
from importlib.resources import files
from typing import Any

import asyncpg

from pgwamp.errors import CursorExpired
from pgwamp.eventlog.position import Position
from pgwamp.eventlog.snapshot import Snapshot

_PROGRESS = (files("pgwamp.eventlog") / "sql" / "progress_beyond.sql").read_text(encoding="utf-8")
#: For the connection that has read rows, whose search path may be anybody's.
_SEEN = "select pg_catalog.pg_current_snapshot()::pg_catalog.text"
_SERVER = "select pg_catalog.date_part('epoch', pg_catalog.pg_postmaster_start_time())"
#: Flushes the WAL up to here, also on a connection whose commits wait for nothing.
_FLUSH = (
    "begin; set local synchronous_commit = local; "
    "select pg_logical_emit_message(true, 'pgwamp', ''); commit"
)


@dataclass(frozen=True, slots=True)
class Moment:
    """The snapshot of a transaction, in the history of one server.

    :ivar server: when that was started, in seconds: another one is older or younger. As long as it
        runs, nothing that is on its disk is lost.
    """

    snapshot: Snapshot
    server: float


async def seen_by(connection: asyncpg.Connection[Any]) -> Snapshot:
    """The snapshot of the transaction of a connection."""
    return Snapshot.parse(await connection.fetchval(_SEEN))


async def keep(
    connection: asyncpg.Connection[Any], own: asyncpg.Connection[Any], snapshot: Snapshot
) -> Moment:
    """The moment that an open transaction sees, once no crash can undo it.

    A snapshot sees a commit with ``synchronous_commit = off`` before that is on disk. A crash may
    undo it, and PostgreSQL then gives its number to another transaction.

    :param connection: of the transaction: it is still there after the flush, so none was before.
    :param own: another one, to flush with.
    """
    await own.execute(_FLUSH)
    return Moment(snapshot, await connection.fetchval(_SERVER))


async def position_beyond(connection: asyncpg.Connection[Any], moment: Moment) -> Position | None:
    """The position of the log, if everything from before a moment was made into events.

    :raises CursorExpired: the history of the moment may be another one.
    """
    (row,) = await connection.fetch(_PROGRESS, str(moment.snapshot))
    if row["server"] != moment.server:
        raise CursorExpired("the database was restarted, or another server has taken its place")
    return Position(row["position"], row["mark"]) if row["is_beyond"] else None
