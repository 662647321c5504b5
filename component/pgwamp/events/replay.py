"""``changes``: what a subscriber missed, from its last cursor on."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from pgwamp.database import Database
from pgwamp.errors import InvalidArgument
from pgwamp.events.cursor import decode_cursor
from pgwamp.events.payload import Event, Shapes
from pgwamp.events.reader import oldest_position, read_page
from pgwamp.query.request import bind, integer
from pgwamp.session import Call, Procedure, Result

ARGUMENTS = ("since", "limit")


def changes_procedures(
    relations: Iterable[tuple[str, str, str]],
    database: Database,
    shapes: Shapes,
    *,
    cluster: str,
    max_rows: int,
) -> Iterator[Procedure]:
    """``changes`` of each relation, given as URI, schema and name."""
    for path, schema, name in relations:
        yield _changes(f"{path}.changes", (schema, name), database, shapes, cluster, max_rows)


def _changes(
    uri: str,
    relation: tuple[str, str],
    database: Database,
    shapes: Shapes,
    cluster: str,
    max_rows: int,
) -> Procedure:
    async def handler(call: Call) -> Result:
        request = bind(ARGUMENTS, call.args, call.kwargs)
        since = request.get("since")
        position = None if since is None else decode_cursor(since, cluster)
        given = request.get("limit")
        limit = max_rows if given is None else integer(given, "limit", minimum=1)
        if limit > max_rows:
            raise InvalidArgument("limit", f"at most {max_rows} (limits.max_rows)")
        events: list[Event] = []
        # On the primary also when there is a replica: cursors are about its transactions.
        async with database.connection(read_only=False) as connection:
            await database.require_select(connection, call.caller, *relation)
            if position is None:
                position = await oldest_position(connection)
            while True:
                page = await read_page(connection, position, limit - len(events), relation)
                events += await shapes.events(page, cluster)
                # After the rest of a poll comes what was committed since.
                finished = page.more or position.polling is None
                position = page.end
                if finished:
                    break
        return Result(
            [event.kwargs for event in events],
            {"next": position.encode(cluster), "more": page.more},
        )

    return Procedure(
        uri,
        handler,
        description={
            "uri": uri,
            "kind": "changes",
            "relation": ".".join(relation),
            "description": "events after a cursor; kwargs next and more say how to go on",
            "arguments": [
                {"name": "since", "required": False, "schema": {"type": "string"}},
                {"name": "limit", "required": False, "schema": {"type": "integer", "minimum": 1}},
            ],
            "result": {"type": "array", "items": {"type": "object"}},
        },
    )
