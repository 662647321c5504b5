"""Snapshots in Python see what PostgreSQL's see."""

from __future__ import annotations

from pgwamp.eventlog.snapshot import Snapshot
from tests.conftest import Database


async def test_what_python_sees_in_a_snapshot_is_what_postgresql_sees(database: Database) -> None:
    holder, connection = await database.connect(), await database.connect()
    transaction = holder.transaction()
    await transaction.start()
    await holder.execute("select pg_current_xact_id()")
    for _ in range(3):
        await connection.execute("select pg_current_xact_id()")
    text, first = await connection.fetchrow(
        "select pg_current_snapshot()::text, pg_snapshot_xmin(pg_current_snapshot())::text"
    )
    snapshot = Snapshot.parse(text)
    assert snapshot.running
    xids = range(int(first) - 2, int(first) + 10)
    rows = await connection.fetch(
        "select pg_visible_in_snapshot(x::xid8, $1::text::pg_snapshot) as seen "
        "from unnest($2::text[]) with ordinality as t (x, n) order by n",
        text,
        [str(xid) for xid in xids],
    )
    assert [snapshot.sees(xid) for xid in xids] == [row["seen"] for row in rows]
    await transaction.rollback()
    await holder.close()
    await connection.close()
