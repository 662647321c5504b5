"""From a row of ``wamp.event`` to what is published and what ``changes`` answers."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pgwamp.catalog import WatchedRelation
from pgwamp.events.cursor import encode_cursor
from pgwamp.events.reader import Page
from pgwamp.naming import Naming
from pgwamp.pgtypes import Converter, Type, from_json, loads, loads_exact

_UNKNOWN = from_json(Type(0, "json", "json"))
#: What a change carries of its row.
_VALUES = ("new", "old")


@dataclass(frozen=True, slots=True)
class Event:
    """One event, ready to publish.

    :ivar topic: None when the relation's name cannot be part of a topic.
    :ivar kwargs: of a change: ``id cursor schema table op key new old changed at xid``.
    """

    id: int
    topic: str | None
    args: list[Any] | None
    kwargs: dict[str, Any] | None
    options: Mapping[str, Any]
    is_change: bool

    def without_values(self) -> Event:
        """The same event without the row's values, marked ``truncated``."""
        kwargs = {**(self.kwargs or {}), "truncated": True}
        for name in _VALUES:
            kwargs.pop(name, None)
        return Event(self.id, self.topic, None, kwargs, self.options, self.is_change)


class Shapes:
    """How the values of each watched relation become neutral.

    :param load: reads the watched relations again, when an event's table or column is unknown.
    """

    def __init__(
        self,
        naming: Naming,
        load: Callable[[], Awaitable[Sequence[WatchedRelation]]],
        *,
        bigint_as_string: bool = False,
    ):
        self._naming = naming
        self._load = load
        self._big = bigint_as_string
        self._columns: dict[tuple[str, str], dict[str, Converter]] = {}

    def use(self, relations: Sequence[WatchedRelation]) -> None:
        """Take over the watched relations of a freshly loaded catalog."""
        self._columns = {
            (relation.schema, relation.name): {
                column.name: from_json(column.type, bigint_as_string=self._big)
                for column in relation.columns
            }
            for relation in relations
        }

    async def events(self, page: Page, cluster: str) -> list[Event]:
        """The events of a page."""
        head = f"{cluster}/{page.start.seen}/"
        parsed = [
            (record, loads_exact(record["kwargs"]) if record["op"] else None)
            for record in page.records
        ]
        if any(self._lacks(record, change) for record, change in parsed if change is not None):
            self.use(await self._load())
        return [
            self._published(record)
            if change is None
            else self._change(record, change, encode_cursor(head, page.polling, record["id"]))
            for record, change in parsed
        ]

    def _lacks(self, record: Mapping[str, Any], change: Mapping[str, Any]) -> bool:
        known = self._columns.get((record["relation_schema"], record["relation"]))
        if known is None:
            return True
        return any(column not in known for name in _VALUES for column in (change.get(name) or ()))

    def _published(self, record: Mapping[str, Any]) -> Event:
        """An event of ``wamp.publish``, as it was given."""
        return Event(
            id=record["id"],
            topic=record["topic"],
            args=loads(record["args"]) if record["args"] else None,
            kwargs=loads(record["kwargs"]) if record["kwargs"] else None,
            options=loads(record["options"]) if record["options"] else {},
            is_change=False,
        )

    def _change(self, record: Mapping[str, Any], change: dict[str, Any], cursor: str) -> Event:
        schema, table, op = record["relation_schema"], record["relation"], record["op"]
        columns = self._columns.get((schema, table), {})
        kwargs: dict[str, Any] = {
            "id": record["id"],
            "cursor": cursor,
            "schema": schema,
            "table": table,
            "op": op,
        }
        for name in ("key", *_VALUES):
            row = change.get(name)
            if row is not None:
                # A column dropped since is given as its JSON reads.
                kwargs[name] = {c: columns.get(c, _UNKNOWN)(v) for c, v in row.items()}
        if "changed" in change:
            kwargs["changed"] = change["changed"]
        kwargs["at"] = record["created_at"]
        kwargs["xid"] = record["xid"]
        topic = record["topic"] or self._naming.topic(schema, table, op)
        return Event(record["id"], topic, None, kwargs, {}, is_change=True)
