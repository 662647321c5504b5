"""An event as it is answered and published, with what it takes to pick it out."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from pgwamp.errors import PayloadTooLarge
from pgwamp.eventlog.body import read_body
from pgwamp.eventlog.log import LoggedEvent
from pgwamp.naming import Naming
from pgwamp.replay.tables import TableNow
from pgwamp.values import loads
from pgwamp.values.portable import Size, most_bytes

#: Members of a body that have values by column.
_ROWS = ("key", "new", "old")
#: Members that are left out of an event that is too large.
_VALUES = frozenset({"new", "old", "args", "kwargs"})
#: Bytes of an event's fixed members.
_FRAME_BYTES = 256
#: No serializer makes more of JSON's text: a float in an array has 9 bytes instead of 4.
_GROWTH = 3
#: Bytes of events that are read without a break: of short numbers, they take some milliseconds.
#: A larger event is read and weighed in a thread.
UNBROKEN_BYTES = 50_000
#: Bytes of an event that is weighed where that matters, each time.
_LIGHT_BYTES = 4_000
#: Bytes that an event counts as beside its own.
_EVENT_BYTES = 100
_DECODER = json.JSONDecoder()

Shows = Callable[[str], bool]


@dataclass(frozen=True, slots=True)
class Change:
    """One event.

    :ivar schema: and ``table``: the names that its table has now, or had if it is gone; both None
        of an event of ``wamp.publish``.
    :ivar topic: None when the table's name cannot be part of a topic.
    :ivar shown_topic: the topic, or its beginning, up to the first value of a hidden column.
    :ivar options: of the publish, such as ``eligible_authid``; None if they cannot be read.
    :ivar shows: which columns are shown.
    :ivar byte_count: of its text.
    :ivar kwargs: as they are answered; empty until :func:`complete` has read them.
    :ivar weight: the bytes that it takes in a message at most; None of a light one.
    :ivar memory: bytes that its text and the kwargs take in memory, about.
    """

    event: LoggedEvent
    schema: str | None
    table: str | None
    topic: str | None
    options: Mapping[str, Any] | None
    shows: Shows
    byte_count: int
    shown_topic: str | None = None
    kwargs: Mapping[str, Any] = field(default_factory=dict)
    weight: int | None = None
    memory: int = 0

    @property
    def estimate(self) -> int:
        """Bytes that no message with its values exceeds; mostly they are far fewer."""
        return _GROWTH * self.byte_count

    def without_values(self) -> Change:
        """The same without the row's values or the arguments, marked ``truncated``."""
        kwargs = without_values(self.kwargs)
        return replace(self, kwargs=kwargs, weight=most_bytes(kwargs))


async def outlines(
    events: Iterable[LoggedEvent], naming: Naming, tables: Mapping[int, TableNow]
) -> list[Change]:
    """Events as :func:`outline` has them; calls go on in between."""
    left, found = UNBROKEN_BYTES, []
    for event in events:
        left -= len(event.options or "")
        if left < 0:
            await asyncio.sleep(0)
            left = UNBROKEN_BYTES
        found.append(outline(event, naming, tables))
    return found


def outline(event: LoggedEvent, naming: Naming, tables: Mapping[int, TableNow]) -> Change:
    """An event without its kwargs: cheap, to pick out what is wanted.

    :param tables: of :func:`pgwamp.replay.tables.read_tables`.
    """
    schema, table = event.schema, event.table
    topic = event.topic
    shows: Shows = _shows_all
    shown_parts: int | None = None
    if schema is not None and table is not None and event.is_of_interest:
        topic = topic or naming.topic(schema, table, event.op)
        now = tables.get(event.relation)
        if now is not None:
            schema, table = now.schema, now.name
            shows, shown_parts = now.columns.__contains__, now.shown_parts
        else:
            shows = shown_columns(naming, schema, table)
            shown_parts = 0 if naming.hides_columns else None
    shown_topic = topic
    if event.topic is not None and shown_parts is not None:
        shown_topic = "".join(f"{part}." for part in event.topic.split(".")[:shown_parts])
    return Change(
        event,
        schema,
        table,
        topic,
        read_options(event),
        shows,
        _FRAME_BYTES + event.size,
        shown_topic,
    )


async def complete(changes: Iterable[Change]) -> AsyncIterator[Change]:
    """Changes, as :func:`outline` answers them, with their kwargs; calls go on in between."""
    left = UNBROKEN_BYTES
    for change in changes:
        size = change.event.size
        if size > UNBROKEN_BYTES:
            yield await asyncio.to_thread(_completed, change)
            continue
        left -= _EVENT_BYTES + size
        if left < 0:
            await asyncio.sleep(0)
            left = UNBROKEN_BYTES
        yield _completed(change)


def _completed(change: Change) -> Change:
    kwargs = _kwargs(change)
    size = Size()
    size.add(kwargs)
    weight = None
    if change.event.size > _LIGHT_BYTES:
        weight = min(change.estimate, most_bytes(kwargs))
    # The text is kept, too.
    return replace(change, kwargs=kwargs, weight=weight, memory=change.event.size + size.memory)


def _kwargs(change: Change) -> Mapping[str, Any]:
    event = change.event
    if event.op != "publish":
        return change_kwargs(event, change.shows)
    values = read_values(event)
    return {
        "id": event.position.cursor,
        "cursor": event.position.cursor,
        "op": event.op,
        "topic": change.topic,
        "args": values.get("args") or [],
        "kwargs": values.get("kwargs") or {},
        **({"truncated": True} if "truncated" in values else {}),
        "at": event.at,
        "xid": str(event.xid),
    }


def change_kwargs(event: LoggedEvent, shows: Shows) -> dict[str, Any]:
    """What subscribers get of a change, and ``changes`` and ``follow`` answer."""
    cursor = event.position.cursor
    return {
        "id": cursor,
        "cursor": cursor,
        "schema": event.schema,
        "table": event.table,
        "op": event.op,
        **_shown(read_values(event), shows),
        "at": event.at,
        "xid": str(event.xid),
    }


def without_values(kwargs: Mapping[str, Any]) -> dict[str, Any]:
    """The kwargs of an event without the values of the row or the arguments."""
    left = {name: value for name, value in kwargs.items() if name not in _VALUES}
    return {**left, "truncated": True}


def read_options(event: LoggedEvent) -> Mapping[str, Any] | None:
    """The options of an event's publish; None if they cannot be read.

    They say who may see it, so without them it is for nobody.
    """
    if event.options is None:
        return {}
    try:
        options = loads(event.options)
    except PayloadTooLarge:
        return None
    return options if isinstance(options, dict) else None


def read_values(event: LoggedEvent) -> dict[str, Any]:
    """The members of an event's body; of one that is too large to be read, the first ones."""
    if event.body is None and event.head is None:
        return {}
    try:
        if event.body is None:
            return without_values(_first_members(event.head or ""))
        values: Any = read_body(event.body)
    except (ValueError, RecursionError):
        values = None
    # The sequencer writes nothing else. But no event may end what reads it, whoever wrote it.
    return values if isinstance(values, dict) else {"truncated": True}


def _first_members(head: str) -> dict[str, Any]:
    """The members that are whole in the first characters of a JSON object without blanks."""
    end, at = 1, 1
    try:
        while True:
            _, colon = _DECODER.raw_decode(head, at)
            _, after = _DECODER.raw_decode(head, colon + 1)
            if head[after] != ",":
                break
            end, at = after, after + 1
    except (ValueError, IndexError):
        pass  # the rest is cut off
    return read_body(head[:end] + "}")


def shown_columns(naming: Naming, schema: str, table: str) -> Shows:
    """Which columns of a table ``expose.exclude`` does not hide."""
    if not naming.hides_columns:
        return _shows_all
    return lambda column: naming.shows_column(schema, table, column)


def _shows_all(_column: str) -> bool:
    return True


def _shown(values: dict[str, Any], shows: Shows) -> dict[str, Any]:
    """The members of a change without the columns that are not shown."""
    if shows is _shows_all:
        return values
    for member in _ROWS:
        row = values.get(member)
        if row is not None and not all(map(shows, row)):
            values[member] = {name: value for name, value in row.items() if shows(name)}
    if "changed" in values:
        values["changed"] = [name for name in values["changed"] if shows(name)]
    return values
