"""``changes``: what a subscriber missed, from its last cursor on."""

from __future__ import annotations

from typing import Any

from pgwamp.database import Database
from pgwamp.errors import CursorExpired, InvalidArgument
from pgwamp.eventlog.log import oldest_position
from pgwamp.eventlog.position import parse_cursor
from pgwamp.query.request import bind, integer
from pgwamp.replay.event_filter import OTHER_TABLE
from pgwamp.replay.pages import PageReader, as_sent
from pgwamp.replay.subjects import Subject
from pgwamp.session import Call, Procedure, Result

_SCHEMAS: dict[str, dict[str, Any]] = {
    "since": {"type": "string", "description": "cursor to go on from; the oldest event kept"},
    "limit": {"type": "integer", "minimum": 1},
    "topic": {"type": "string", "description": "what the topics of the events begin with"},
}


def changes_procedure(
    subject: Subject, database: Database, pages: PageReader, *, max_rows: int
) -> Procedure:
    """``changes`` of a table or of everything.

    :param max_rows: events of one answer at most.
    """
    arguments = ("since", "limit", *subject.narrowing)

    async def handler(call: Call) -> Result:
        request = bind(arguments, call.args, call.kwargs)
        since = request.get("since")
        position = None if since is None else parse_cursor(since)
        given = request.get("limit")
        limit = max_rows if given is None else integer(given, "limit", minimum=1)
        if limit > max_rows:
            raise InvalidArgument("limit", f"at most {max_rows} (limits.max_rows)")
        # On the primary also when there is a replica: whoever sees an event sees its row there.
        async with database.answering(call.caller) as connection:
            event_filter = await subject.event_filter(
                database, connection, call.caller, request.get("topic")
            )
        began = None
        if position is None:
            began = await subject.until_begun(lambda: database.answering(call.caller))
        else:
            event_filter.require(position)
        async with database.answering(call.caller) as connection:
            if position is None:
                position = await oldest_position(connection, began)
            page = await pages.read(connection, position, event_filter, pages.batch(limit))
            now = await subject.event_filter(
                database, connection, call.caller, request.get("topic")
            )
            if not now.is_as(event_filter):
                raise CursorExpired(OTHER_TABLE)
        return Result(as_sent(page.changes), {"next": page.end.cursor, "more": page.more})

    uri = f"{subject.path}.changes"
    return Procedure(
        uri,
        handler,
        description={
            "uri": uri,
            "kind": "changes",
            **subject.description,
            "description": "events after a cursor; kwargs next and more say how to go on",
            "arguments": [
                {"name": name, "required": False, "schema": _SCHEMAS[name]} for name in arguments
            ],
            "result": {"type": "array", "items": {"type": "object"}},
        },
    )
