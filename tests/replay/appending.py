"""Events in the log without a sequencer, and waiting for one that runs."""

from __future__ import annotations

import asyncio
import json
from contextlib import suppress
from typing import Any

from tests.conftest import Database

#: What the sequencer says after each commit.
LOGGED = "notify pgwamp, 'logged'"
#: Everything that is committed was made into events.
ALL_SEEN = "update wamp.sequencer set seen = pg_current_snapshot(), taking = null"
#: The log says that all watched tables have been watched always.
BEGUN = """
insert into wamp.layout (relation, layout, options, watch, began, relation_schema, relation_name)
select w.relation, wamp.layout(w.relation), w.options, w.id, 0, v.relation_schema, v.relation_name
from wamp.watch as w join wamp.watched as v on v.relation = w.relation
on conflict do nothing
"""
_APPEND = """
with entry as (
    select e.* from rows from (json_to_recordset($told${told}$told$) as (
        relation text, op text, topic text, options text, body text, xid text, silent boolean
    )) with ordinality as e (relation, op, topic, options, body, xid, silent, n)
),
appended as (
    insert into wamp.log (slot, position, at, xid, relation, relation_schema, relation_name, op,
        topic, options, body, mark, silent)
    select q.slot, s.position + e.n, now(), coalesce(e.xid::xid8, pg_current_xact_id()),
        coalesce(to_regclass(e.relation), 0), case when e.relation is not null then 'public' end,
        e.relation, e.op, e.topic, e.options, e.body,
        decode(substr(md5(random()::text), 1, 18), 'hex'), coalesce(e.silent, false)
    from wamp.progress as s, wamp.sequencer as q, entry as e
    returning position, mark
)
update wamp.sequencer
set (position, mark) = (select position, mark from appended order by position desc limit 1),
    (seen, taking, taken_place, taken_xid, taken_rows) = (
        select p.seen, p.taking, p.taken_place, p.taken_xid, p.taken_rows from wamp.progress as p)
"""
_WAITING = """
select exists (
    select from wamp.raw as r, wamp.progress as s where not pg_visible_in_snapshot(r.xid, s.seen)
) or (select taking is not null from wamp.progress)
"""


def append(*events: dict[str, Any]) -> str:
    """SQL that appends events to the log, as the sequencer does: columns of ``wamp.log``.

    ``body`` and ``options`` are values.
    """
    told = [
        {
            name: json.dumps(value) if name in ("body", "options") else value
            for name, value in event.items()
        }
        for event in events
    ]
    return f"{BEGUN}; {_APPEND.replace('{told}', json.dumps(told))}"


def inserted(*keys: int, **columns: Any) -> str:
    """SQL that appends an insert into ``item`` for each key."""
    return append(
        *(
            {
                "relation": "item",
                "op": "insert",
                "body": {"key": {"id": key}, "new": {"id": key}},
                **columns,
            }
            for key in keys
        )
    )


async def until_logged(database: Database) -> None:
    """Wait until everything that is committed was made into events by the sequencer that runs."""
    connection = await database.connect()
    signal = asyncio.Event()
    await connection.add_listener("pgwamp", lambda *_: signal.set())
    async with asyncio.timeout(20):
        while await connection.fetchval(_WAITING):
            # What makes no event is not told of.
            with suppress(TimeoutError):
                async with asyncio.timeout(0.05):
                    await signal.wait()
            signal.clear()
    await connection.close()
