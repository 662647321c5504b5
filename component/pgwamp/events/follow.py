"""``follow``: what a subscriber missed, and then what happens, until the caller cancels.

The ways of beginning are those of Debezium and Electric: from a cursor, from now on, or with a
consistent snapshot of the table and on from there without a gap.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Mapping, Sequence
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass, field, replace
from typing import Any

import asyncpg

from pgwamp.access import Caller
from pgwamp.catalog import Relation
from pgwamp.database import Database
from pgwamp.errors import InvalidArgument, Timeout
from pgwamp.events.change import Change
from pgwamp.events.cursor import Position, decode_cursor
from pgwamp.events.feed import Attachment, Feed, Overrun
from pgwamp.events.initial import Initial
from pgwamp.events.joint import Joint
from pgwamp.events.reader import current_position, flush
from pgwamp.events.replay import Replay, as_sent
from pgwamp.events.rights import Rights
from pgwamp.events.sources import Everything, Table
from pgwamp.events.wanted import Wanted
from pgwamp.query.request import bind
from pgwamp.session import Call, Procedure
from pgwamp.settings import LimitSettings

#: Events of one item, and octets that several of them may have.
ITEM, ITEM_OCTETS = 500, 1_000_000
#: Seconds until a caller for whom nothing happened gets a new cursor: the last one would expire.
QUIET = 60.0
_SCHEMAS: dict[str, dict[str, Any]] = {
    "since": {"type": "string", "description": "cursor to go on from; from now on when missing"},
    "snapshot": {"type": "boolean", "description": "begin with all rows of the table"},
    "topic": {"type": "string", "description": "what the topics of the events begin with"},
}

Item = Mapping[str, Any]


@dataclass(frozen=True)
class Following:
    """What every ``follow`` needs."""

    database: Database
    replay: Replay
    feed: Feed
    initial: Initial
    limits: LimitSettings
    rights: Rights = field(default_factory=Rights)

    def procedure(self, source: Table | Everything, relation: Relation | None = None) -> Procedure:
        """``follow`` of a table or of everything.

        :param relation: the table, to begin with its rows.
        """
        snapshot = ("snapshot",) if relation is not None else ()
        arguments = ("since", *snapshot, *source.narrowing)

        def handler(call: Call) -> AsyncIterator[Item]:
            request = bind(arguments, call.args, call.kwargs)
            if call.progress is None:
                raise InvalidArgument(
                    "receive_progress",
                    "follow answers as long as things happen: ask for progressive results, "
                    "or call changes for what has happened until now",
                )
            return _Follow(self, source, relation, call.caller, request).items()

        uri = f"{source.path}.follow"
        return Procedure(
            uri,
            handler,
            endless=True,
            description={
                "uri": uri,
                "kind": "follow",
                **source.description,
                "description": "progressive: events after a cursor, then live, until cancelled",
                "arguments": [
                    {"name": name, "required": False, "schema": _SCHEMAS[name]}
                    for name in arguments
                ],
                "result": {"type": "null"},
            },
        )


class _Follow:
    """One call of ``follow``."""

    def __init__(
        self,
        common: Following,
        source: Table | Everything,
        relation: Relation | None,
        caller: Caller,
        request: Mapping[str, Any],
    ):
        self._common = common
        self._source = source
        self._relation = relation
        self._caller = caller
        self._since, self._topic = request.get("since"), request.get("topic")
        # An answer for its role is none for a caller whom access.before may refuse.
        own = common.database.judges_each_caller
        self._rights = Rights() if own else common.rights
        self._sent: Position | None = None
        self._snapshot = request.get("snapshot", False)
        if not isinstance(self._snapshot, bool):
            raise InvalidArgument("snapshot", "expected true or false")
        if self._snapshot and self._since is not None:
            raise InvalidArgument(
                "snapshot", "a snapshot begins anew, since goes on: give one of the two"
            )

    async def items(self) -> AsyncGenerator[Item]:
        """Dicts with events and the cursor after them; before them those with rows."""
        common, position = self._common, None
        if self._since is not None:
            position = decode_cursor(self._since, common.replay.cluster)
        async with self._connection() as connection:
            await self._ask(connection)
            options: Mapping[str, Any] = {}
            if isinstance(self._source, Table):
                options = await self._source.options(connection)
            if position is None and not self._snapshot:
                position = await current_position(connection)
        if position is None:
            assert self._relation is not None
            initial = common.initial.rows(common.database, self._caller, self._relation, options)
            async with initial as (rows, position):
                async for chunk in rows:
                    yield {"rows": chunk}
            async with self._connection() as connection:
                await flush(connection)
        if self._since is None:
            yield self._item([], position)
        async with aclosing(self._from(position)) as items:
            async for item in items:
                yield item

    async def _from(self, position: Position) -> AsyncGenerator[Item]:
        """By pages until now, then live; and again, as often as that was too fast."""
        self._position = position
        while True:
            # Before attaching, so that the queue need not hold what happens meanwhile.
            async for item in self._pages():
                yield item
            async with self._common.feed.attach() as attachment:
                async for item in self._pages():
                    yield item
                joint = Joint(self._position, self._common.replay.cluster)
                try:
                    async with aclosing(self._live(attachment, joint)) as items:
                        async for item in items:
                            yield item
                except Overrun:
                    self._position = joint.position.durable()

    async def _pages(self) -> AsyncGenerator[Item]:
        """What came after the position until now; the position is then after it."""
        replay, more = self._common.replay, True
        while more:
            async with self._connection() as connection:
                await self._ask(connection)
                parcel = replay.parcel(ITEM, ITEM_OCTETS)
                stretch = await replay.read(connection, self._position, self._wanted, parcel)
            self._position, more = stretch.end.durable(), stretch.more
            if stretch.changes:
                # A right may have gone between the question and what was read after it.
                await self._ask_again()
                changes = [change for change in stretch.changes if change in self._wanted]
                yield self._item(changes, self._position)

    async def _live(self, attachment: Attachment, joint: Joint) -> AsyncGenerator[Item]:
        while True:
            try:
                async with asyncio.timeout(QUIET):
                    batch = await attachment.batch()
            except TimeoutError:
                if joint.position != self._sent:
                    yield self._item([], joint.position)
                continue
            await self._ask_again()
            changes = [change for change in joint.take(batch) if change in self._wanted]
            replay = self._common.replay
            parcels = [parcel async for parcel in replay.parcels(changes, ITEM, ITEM_OCTETS)]
            for parcel in parcels[:-1]:
                yield {"events": as_sent(parcel), "cursor": parcel[-1].kwargs["cursor"]}
            if parcels:
                yield self._item(parcels[-1], joint.position)

    async def _ask(self, connection: asyncpg.Connection[Any]) -> None:
        """Ask what the caller may have now."""
        self._wanted = await self._source.wanted(
            self._common.database, connection, self._caller, self._topic
        )

    async def _ask_again(self) -> None:
        """Ask what the caller may have, unless an answer for its role still holds."""
        common, role = self._common, self._common.database.roles.of(self._caller)

        async def ask() -> Wanted:
            async with self._connection() as connection:
                await self._ask(connection)
            return self._wanted

        # The notification of a REVOKE comes before those of what is written after it.
        key = self._source.path, None if role is None else role.name
        wanted = await self._rights.wanted(key, common.feed.schema, ask)
        self._wanted = replace(wanted, caller=self._caller, topic=self._wanted.topic)

    def _item(self, changes: Sequence[Change], position: Position) -> Item:
        self._sent = position
        cursor = position.encode(self._common.replay.cluster)
        return {"events": as_sent(changes), "cursor": cursor}

    @asynccontextmanager
    async def _connection(self) -> AsyncIterator[asyncpg.Connection[Any]]:
        """A connection of the primary, for as long as one call may take, when it is our turn."""
        seconds = self._common.limits.call_timeout
        database = self._common.database
        try:
            async with (
                asyncio.timeout(seconds),
                database.answering(self._caller) as connection,
            ):
                yield connection
        except TimeoutError:
            raise Timeout(
                f"reading events took longer than {seconds:g} seconds (limits.call_timeout)"
            ) from None
