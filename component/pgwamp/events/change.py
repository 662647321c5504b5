"""What ``changes`` and ``follow`` answer: an event with what it takes to pick it out."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from pgwamp.events.payload import Event, Shapes
from pgwamp.events.reader import Page
from pgwamp.naming import Naming
from pgwamp.pgtypes import loads

#: What is left out of an event that alone is too large.
_VALUES = ("new", "old", "args", "kwargs")
#: Octets of an event's fixed members, its cursor apart.
_FRAME = 256


@dataclass(frozen=True, slots=True)
class Change:
    """One event of a page.

    :ivar schema: and ``table`` of a change; both None of an event of ``wamp.publish``.
    :ivar op: ``insert``, ``update``, ``delete``, ``truncate`` or ``publish``.
    :ivar topic: None when the relation's name cannot be part of a topic.
    :ivar options: of the publish, such as ``eligible_authid``.
    :ivar kwargs: what is answered; empty until the page is made into events.
    :ivar octets: of its values' text, and about as many of the rest.
    """

    id: int
    xid: int
    schema: str | None
    table: str | None
    op: str
    topic: str | None
    options: Mapping[str, Any]
    octets: int
    kwargs: Mapping[str, Any] = field(default_factory=dict)

    def without_values(self) -> Change:
        """The same without the row's values or the arguments, marked ``truncated``."""
        left = {name: value for name, value in self.kwargs.items() if name not in _VALUES}
        return replace(self, kwargs={**left, "truncated": True}, octets=_FRAME)

    def at(self, cursor: str) -> Change:
        """The same with another cursor: of somebody who has read something else before it."""
        return replace(self, kwargs={**self.kwargs, "cursor": cursor})


def outline(record: Mapping[str, Any], naming: Naming) -> Change:
    """A row of ``wamp.event`` as a change without kwargs: cheap, to pick out what is wanted."""
    schema, table, op = record["relation_schema"], record["relation"], record["op"]
    topic = record["topic"] or naming.topic(schema, table, op)
    options = record["options"]
    texts = (record[name] for name in ("key", "new", "old", "args", "kwargs"))
    return Change(
        id=record["id"],
        xid=int(record["xid"]),
        schema=schema,
        table=table,
        op=op or "publish",
        topic=topic,
        options=loads(options) if options else {},
        octets=_FRAME + sum(_octets(text) for text in texts if text),
    )


async def complete(
    page: Page, changes: Sequence[Change], shapes: Shapes, cluster: str
) -> list[Change]:
    """Changes of a page, as :func:`outline` answers them, with their kwargs."""
    chosen = {change.id for change in changes}
    records = [record for record in page.records if record["id"] in chosen]
    events = await shapes.events(replace(page, records=records), cluster)
    cursor_of = page.cursors(cluster)
    return [
        replace(change, kwargs=_kwargs(change, event, record, cursor_of))
        for change, event, record in zip(changes, events, records, strict=True)
    ]


def _kwargs(
    change: Change, event: Event, record: Mapping[str, Any], cursor_of: Callable[[int], str]
) -> Mapping[str, Any]:
    if event.is_change:
        return event.kwargs or {}
    return {
        "id": event.id,
        "cursor": cursor_of(event.id),
        "op": change.op,
        "topic": event.topic,
        "args": event.args or [],
        "kwargs": event.kwargs or {},
        **({"truncated": True} if event.refused is not None else {}),
        "at": record["created_at"],
        "xid": record["xid"],
    }


def _octets(text: str) -> int:
    return len(text) if text.isascii() else len(text.encode())
