"""``follow``: what a subscriber missed, and then what happens, until the caller cancels.

The ways of beginning are those of Debezium and Electric: from a cursor, from now on, or with a
consistent snapshot of the table and on from there without a gap.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, nullcontext
from dataclasses import dataclass, field, replace
from typing import Any

import asyncpg

from pgwamp.access import Caller
from pgwamp.catalog import Relation
from pgwamp.database import Database
from pgwamp.errors import CursorExpired, InvalidArgument, Timeout
from pgwamp.eventlog.log import last_position, require_position
from pgwamp.eventlog.moment import Moment, position_beyond
from pgwamp.eventlog.position import Position, parse_cursor
from pgwamp.eventlog.snapshot import Snapshot
from pgwamp.query.request import bind
from pgwamp.replay.change import Change
from pgwamp.replay.event_filter import OTHER_TABLE, EventFilter
from pgwamp.replay.feed import Feed, Lagged, Subscription
from pgwamp.replay.handover import Handover
from pgwamp.replay.initial_snapshot import InitialSnapshot
from pgwamp.replay.pages import PageReader, ReplayPage, as_sent
from pgwamp.replay.rights import Rights
from pgwamp.replay.subjects import Subject, TableSubject, Watched
from pgwamp.session import Call, Procedure
from pgwamp.settings import LimitSettings
from pgwamp.shares import Party

#: Events of one item, and bytes that several of them may have.
ITEM_EVENTS, ITEM_BYTES = 500, 1_000_000
#: Bytes of events that a follower takes from the feed without a place among those who send.
SMALL_BYTES = 20_000
#: Events looked at for one page while a place is held: others wait for it.
HELD_LOOKED_AT = 2_000
#: Seconds until a caller for whom nothing happened gets a new cursor: the last one would expire.
QUIET_SECONDS = 60.0
#: Seconds between looks whether the log has come as far as a snapshot: mostly it has after a few
#: milliseconds, and may be minutes behind.
FIRST_LOOK_SECONDS, LONGEST_LOOK_SECONDS = 0.01, 1.0
_SCHEMAS: dict[str, dict[str, Any]] = {
    "since": {"type": "string", "description": "cursor to go on from; from now on when missing"},
    "snapshot": {"type": "boolean", "description": "begin with all rows of the table"},
    "topic": {"type": "string", "description": "what the topics of the events begin with"},
}

#: Sends a progressive result, and waits until there is room for the next.
Progress = Callable[[Mapping[str, Any]], Awaitable[None]]


@dataclass(frozen=True)
class Following:
    """What every ``follow`` needs."""

    database: Database
    pages: PageReader
    feed: Feed
    initial: InitialSnapshot
    limits: LimitSettings
    rights: Rights = field(default_factory=Rights)

    def procedure(self, subject: Subject, relation: Relation | None = None) -> Procedure:
        """``follow`` of a table or of everything.

        :param relation: the table, to begin with its rows.
        """
        snapshot = ("snapshot",) if relation is not None else ()
        arguments = ("since", *snapshot, *subject.narrowing)

        async def handler(call: Call) -> None:
            request = bind(arguments, call.args, call.kwargs)
            if call.progress is None:
                raise InvalidArgument(
                    "receive_progress",
                    "follow answers as long as things happen: ask for progressive results, "
                    "or call changes for what has happened until now",
                )
            await _Follow(self, subject, relation, call.caller, call.progress, request).run()

        uri = f"{subject.path}.follow"
        return Procedure(
            uri,
            handler,
            endless=True,
            description={
                "uri": uri,
                "kind": "follow",
                **subject.description,
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
        subject: Subject,
        relation: Relation | None,
        caller: Caller,
        progress: Progress,
        request: Mapping[str, Any],
    ):
        self._common = common
        self._subject = subject
        self._relation = relation
        self._caller = caller
        self._progress = progress
        self._since, self._topic = request.get("since"), request.get("topic")
        # An answer for its role is none for a caller whom access.before may refuse.
        own = common.database.judges_each_caller
        self._rights = Rights() if own else common.rights
        self._filter: EventFilter | None = None
        #: Until the log is beyond the snapshot: what that sees, and then where the log was so.
        self._contained: Snapshot | None = None
        self._beyond: Position | None = None
        self._sent: Position | None = None
        self._subscription: Subscription | None = None
        self._snapshot = request.get("snapshot", False)
        if not isinstance(self._snapshot, bool):
            raise InvalidArgument("snapshot", "expected true or false")
        if self._snapshot and self._since is not None:
            raise InvalidArgument(
                "snapshot", "a snapshot begins anew, since goes on: give one of the two"
            )

    async def run(self) -> None:
        """Send dicts with events and the cursor after them; before them those with rows."""
        common = self._common
        position = None if self._since is None else parse_cursor(self._since)
        async with self._connection() as connection:
            event_filter = self._is_now(await self._ask(connection))
            watched = None
            if self._snapshot and isinstance(self._subject, TableSubject):
                watched = await self._subject.watched(connection)
        if position is not None:
            event_filter.require(position)
        elif watched is None:
            await self._subject.until_begun(self._connection)
        if position is None:
            async with self._connection() as connection:
                # Before the rows are read: what was logged until then is in them.
                position = await last_position(connection)
        self._position = position
        if watched is not None:
            await self._go_beyond(await self._send_rows(watched))
        if self._since is None:
            await self._send([], self._position)
        while True:
            self._subscription = None
            # Before subscribing, so that the queue need not hold what happens meanwhile.
            await self._catch_up()
            async with common.feed.subscribe(self._caller) as subscription:
                self._subscription = subscription
                await self._catch_up()
                handover = Handover(self._position)
                try:
                    await self._live(subscription, handover)
                except Lagged:
                    self._position = handover.position

    async def _send_rows(self, watched: Watched) -> Moment:
        """Send the rows of the table, as the events that it is watched for would make them.

        :returns: when they were so.
        :raises Timeout: a condition or the caller is so slow that it takes longer than a stream.
        """
        common = self._common
        assert self._relation is not None
        initial = common.initial.rows(common.database, self._caller, self._relation, watched)
        seconds = common.limits.stream_timeout
        try:
            # Its transaction keeps VACUUM of the whole database from what it may still see.
            async with asyncio.timeout(seconds) as deadline, initial as (items, moment):
                async for item in items:
                    await self._progress(item)
                    # The next may be long in coming.
                    del item
        except TimeoutError:
            if not deadline.expired():
                raise
            raise Timeout(
                f"the snapshot took longer than {seconds:g} seconds (limits.stream_timeout)"
            ) from None
        return moment

    async def _go_beyond(self, moment: Moment) -> None:
        """Send what came until the log had all changes that the rows have, and be there.

        Before that no cursor stands for these: a failover may lose them, and not the cursor.

        :raises CursorExpired: it has.
        """
        self._contained = moment.snapshot
        self._beyond = await self._logged(moment)
        while self._position != self._beyond:
            await self._send_page()
        self._contained = self._beyond = None

    async def _logged(self, moment: Moment) -> Position:
        """Wait until the log has all from before a moment; where it was then."""
        delay = FIRST_LOOK_SECONDS
        while True:
            async with self._connection() as connection:
                position = await position_beyond(connection, moment)
                # If it is the same table now, what comes after the position is of it, too.
                self._is_now(await self._ask(connection))
            if position is not None:
                return position
            await asyncio.sleep(delay)
            delay = min(delay * 2, LONGEST_LOOK_SECONDS)

    async def _catch_up(self) -> None:
        """Send what came after the position until now; the position is then after it.

        :raises CursorExpired: the position is not in the log any more.
        """
        while await self._send_page():
            pass

    async def _send_page(self) -> bool:
        """Whether there may be further events already."""
        unsent = self._common.feed.unsent
        # A place is only for what is sent, and not for looking for it.
        page = await self._read_page()
        if not page.changes:
            self._position = page.end
            return page.more
        if unsent.has_place(self._caller):
            async with unsent.place(self._caller):
                return await self._send_read(page)
        # It is dropped and read again: there are never more pages than places.
        self._position = page.start
        del page
        async with self._place():
            return await self._send_read(await self._read_page(HELD_LOOKED_AT))

    async def _read_page(self, most: int | None = None) -> ReplayPage:
        """The next page, of events that the caller may have before and after it was read.

        :param most: events that are looked at.
        """
        pages = self._common.pages
        async with self._connection() as connection:
            event_filter = self._is_now(await self._ask(connection))
            batch = pages.batch(ITEM_EVENTS, ITEM_BYTES)
            page = await pages.read(connection, self._position, event_filter, batch, most)
            if self._beyond is not None:
                await require_position(connection, self._beyond)
                page = page.until(self._beyond)
            if not page.changes:
                return page
            # A right may have gone between the question and what was read after it.
            event_filter = self._is_now(await self._ask(connection))
        return replace(page, changes=[change for change in page.changes if change in event_filter])

    async def _send_read(self, page: ReplayPage) -> bool:
        """Send a page; whether there may be further events already."""
        self._position = page.end
        if page.changes:
            await self._send(page.changes, page.end)
        return page.more

    @asynccontextmanager
    async def _place(self) -> AsyncIterator[None]:
        """Wait for a place among those who send; the feed knows of the wait."""
        async with AsyncExitStack() as place:
            with self._subscription.awaiting_place() if self._subscription else nullcontext():
                await place.enter_async_context(self._common.feed.unsent.place(self._caller))
            yield

    async def _live(self, subscription: Subscription, handover: Handover) -> None:
        while True:
            try:
                async with asyncio.timeout(QUIET_SECONDS):
                    await subscription.peek()
            except TimeoutError:
                await self._ask_again()
                if handover.position != self._sent:
                    await self._send([], handover.position)
                continue
            event_filter = await self._ask_again()
            unseen = handover.unseen(await subscription.peek())
            if any(self._subject.begins(change.event, event_filter.relation) for change in unseen):
                # The answer may be from before, and a cursor would be one of the other table.
                async with self._connection() as connection:
                    event_filter = self._is_now(await self._ask(connection))
            byte_count = sum(change.byte_count for change in unseen if change in event_filter)
            # What waits is shared by all; what was taken is each one's own until it was sent.
            del unseen
            if byte_count <= SMALL_BYTES:
                await self._send_batch(subscription, handover, event_filter)
                continue
            async with self._place():
                await self._send_batch(subscription, handover, await self._ask_again())

    async def _send_batch(
        self, subscription: Subscription, handover: Handover, event_filter: EventFilter
    ) -> None:
        """Send what is wanted of the batch that is next."""
        pages = self._common.pages
        unseen = handover.take(await subscription.batch())
        changes = [change for change in unseen if change in event_filter]
        # All others of the batch may go.
        del unseen
        batches = list(pages.batches(changes, ITEM_EVENTS, ITEM_BYTES))
        for part in batches[:-1]:
            await self._send(part, part[-1].event.position)
        if batches:
            await self._send(batches[-1], handover.position)

    async def _ask(self, connection: asyncpg.Connection[Any]) -> EventFilter:
        """Ask what callers of this role may have now."""
        return await self._subject.event_filter(
            self._common.database, connection, self._caller, self._topic, watched=True
        )

    async def _ask_again(self) -> EventFilter:
        """Ask what the caller may have, unless an answer for its role still holds."""
        role = self._common.database.roles.of(self._caller)
        key = self._subject.path, None if role is None else role.name
        # The notification of a REVOKE comes before those of what is written after it.
        schema = self._common.feed.schema
        return self._is_now(
            await self._rights.event_filter(key, schema, self._caller, self._connection, self._ask)
        )

    def _is_now(self, answer: EventFilter) -> EventFilter:
        """Take an answer for the caller's role.

        :raises CursorExpired: it is about another table than the one before.
        """
        before = self._filter
        if before is not None and not answer.is_as(before):
            raise CursorExpired(OTHER_TABLE)
        topic = answer.topic if before is None else before.topic
        self._filter = replace(answer, caller=self._caller, topic=topic, contained=self._contained)
        return self._filter

    async def _send(self, changes: Sequence[Change], position: Position) -> None:
        events = as_sent(changes)
        if self._contained is not None:
            events = [{k: value for k, value in event.items() if k != "cursor"} for event in events]
            await self._progress({"events": events})
            return
        self._sent = position
        await self._progress({"events": events, "cursor": position.cursor})

    @asynccontextmanager
    async def _connection(
        self, party: Party | None = None
    ) -> AsyncIterator[asyncpg.Connection[Any]]:
        """A connection of the primary, for as long as one call may take, when it is our turn.

        :param party: those whose turn it may be too.
        """
        seconds = self._common.limits.call_timeout
        database = self._common.database
        try:
            async with (
                asyncio.timeout(seconds),
                database.answering(self._caller, party) as connection,
            ):
                yield connection
        except TimeoutError:
            raise Timeout(
                f"reading events took longer than {seconds:g} seconds (limits.call_timeout)"
            ) from None
