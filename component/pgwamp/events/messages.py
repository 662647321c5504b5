"""From events of the log to what is published of them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from pgwamp.eventlog.log import LoggedEvent
from pgwamp.events.topics import Topics
from pgwamp.replay.change import (
    UNBROKEN_BYTES,
    Shows,
    change_kwargs,
    read_options,
    read_values,
    without_values,
)

#: Changes that travel in one message of a table that is watched with ``batch``, at most.
BATCH_EVENTS = 500
#: Bytes that an event counts as beside its own.
_EVENT_BYTES = 100
#: What the changes of a batch have in common.
_COMMON = ("schema", "table", "op")


@dataclass(frozen=True, slots=True)
class Message:
    """One WAMP event, ready to publish.

    :ivar id: of the event, for the log.
    :ivar kwargs: of a change: ``id cursor schema table op key new old changed at xid``; of several
        in one message ``id cursor schema table op rows``.
    :ivar is_change: whether it is of a watched table, and not of ``wamp.publish`` or a channel.
    :ivar refused: why it cannot be published, if it cannot: it is passed over.
    """

    id: str
    topic: str
    args: list[Any] | None
    kwargs: dict[str, Any] | None
    options: Mapping[str, Any]
    is_change: bool = False
    refused: str | None = None

    def smaller(self) -> list[Message]:
        """The same in messages that take less, or none if there is nothing to leave out.

        Several changes are sent in two messages, and one comes without the row's values, marked
        ``truncated``: it can be read by its key.
        """
        if not self.is_change or self.kwargs is None or "truncated" in self.kwargs:
            return []
        rows: list[dict[str, Any]] | None = self.kwargs.get("rows")
        if rows is None:
            return [replace(self, kwargs=without_values(self.kwargs))]
        if len(rows) > 1:
            middle = len(rows) // 2
            parts = [rows[:middle], rows[middle:]]
        elif "truncated" in rows[0]:
            return []
        else:
            parts = [[without_values(rows[0])]]
        return [self.of_rows(part) for part in parts]

    def of_rows(self, rows: list[dict[str, Any]]) -> Message:
        """A message of these changes, which have what they have in common with this one."""
        assert self.kwargs is not None
        last = rows[-1]["id"]
        common = {name: self.kwargs[name] for name in _COMMON}
        return replace(self, id=last, kwargs={"id": last, "cursor": last, **common, "rows": rows})


async def messages(events: Iterable[LoggedEvent], topics: Topics) -> AsyncIterator[Message]:
    """The messages of events in order, several changes in one where asked.

    Calls go on in between.
    """
    rows: list[dict[str, Any]] = []
    first: Message | None = None
    left = UNBROKEN_BYTES
    for event in events:
        topic = topics.of(event)
        if topic is None:
            continue
        left -= _EVENT_BYTES + event.size
        if left < 0:
            # Before the event is sent, which takes time too.
            await asyncio.sleep(0)
            left = UNBROKEN_BYTES
        shows = topics.shows(event)
        if event.size > UNBROKEN_BYTES:
            message = await asyncio.to_thread(_message, event, topic, shows)
        else:
            message = _message(event, topic, shows)
        if first is not None and (not _alike(first, message) or len(rows) == BATCH_EVENTS):
            yield _batch(first, rows)
            first, rows = None, []
        if not event.batched or message.refused is not None:
            yield message
        else:
            first = first or message
            rows.append(message.kwargs or {})
    if first is not None:
        yield _batch(first, rows)


def _message(event: LoggedEvent, topic: str, shows: Shows) -> Message:
    options = read_options(event)
    refused = "its options cannot be read" if options is None else None
    cursor = event.position.cursor
    if event.op != "publish":
        kwargs = change_kwargs(event, shows)
        return Message(cursor, topic, None, kwargs, options or {}, True, refused)
    values = read_values(event)
    if "truncated" in values:
        refused = "larger than limits.max_bytes"
    return Message(
        cursor,
        topic,
        values.get("args"),
        values.get("kwargs"),
        options or {},
        refused=refused,
    )


def _alike(first: Message, message: Message) -> bool:
    """Whether both may travel in one message."""
    one, other = first.kwargs or {}, message.kwargs or {}
    return (
        message.is_change
        and message.refused is None
        and first.topic == message.topic
        and first.options == message.options
        and all(one[name] == other[name] for name in _COMMON)
    )


def _batch(first: Message, rows: list[dict[str, Any]]) -> Message:
    said_once = (*_COMMON, "cursor")
    return first.of_rows([{k: v for k, v in row.items() if k not in said_once} for row in rows])
