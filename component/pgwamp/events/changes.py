"""``changes``: what a subscriber missed, from its last cursor on."""

from __future__ import annotations

from typing import Any

from pgwamp.database import Database
from pgwamp.errors import InvalidArgument
from pgwamp.events.cursor import decode_cursor
from pgwamp.events.reader import oldest_position
from pgwamp.events.replay import Replay, as_sent
from pgwamp.events.sources import Everything, Table
from pgwamp.query.request import bind, integer
from pgwamp.session import Call, Procedure, Result

_SCHEMAS: dict[str, dict[str, Any]] = {
    "since": {"type": "string", "description": "cursor to go on from; the oldest event kept"},
    "limit": {"type": "integer", "minimum": 1},
    "topic": {"type": "string", "description": "what the topics of the events begin with"},
}


def changes_procedure(
    source: Table | Everything, database: Database, replay: Replay, *, max_rows: int
) -> Procedure:
    """``changes`` of a table or of everything.

    :param max_rows: events of one answer at most.
    """
    arguments = ("since", "limit", *source.narrowing)

    async def handler(call: Call) -> Result:
        request = bind(arguments, call.args, call.kwargs)
        since = request.get("since")
        position = None if since is None else decode_cursor(since, replay.cluster)
        given = request.get("limit")
        limit = max_rows if given is None else integer(given, "limit", minimum=1)
        if limit > max_rows:
            raise InvalidArgument("limit", f"at most {max_rows} (limits.max_rows)")
        # On the primary also when there is a replica: cursors are about its transactions.
        async with database.answering(call.caller) as connection:
            wanted = await source.wanted(database, connection, call.caller, request.get("topic"))
            if position is None:
                position = await oldest_position(connection)
            stretch = await replay.read(connection, position, wanted, replay.parcel(limit))
        return Result(
            as_sent(stretch.changes),
            {"next": stretch.end.encode(replay.cluster), "more": stretch.more},
        )

    uri = f"{source.path}.changes"
    return Procedure(
        uri,
        handler,
        description={
            "uri": uri,
            "kind": "changes",
            **source.description,
            "description": "events after a cursor; kwargs next and more say how to go on",
            "arguments": [
                {"name": name, "required": False, "schema": _SCHEMAS[name]} for name in arguments
            ],
            "result": {"type": "array", "items": {"type": "object"}},
        },
    )
