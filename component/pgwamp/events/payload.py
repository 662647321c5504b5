"""From a row of ``wamp.event`` to what is published and what ``changes`` answers."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import cache
from typing import Any

from pgwamp.catalog import WatchedRelation
from pgwamp.errors import PayloadTooLarge
from pgwamp.events.reader import Page
from pgwamp.naming import Naming
from pgwamp.neutral import MAX_DEPTH, is_carried
from pgwamp.pgtypes import (
    Converter,
    Type,
    from_json,
    is_same_in_json,
    loads,
    loads_exact,
    require_convertible,
)
from pgwamp.query.shape import VALUE_OCTETS

_UNKNOWN = from_json(Type(0, "json", "json"))
#: What a change carries of its row, and those that are left out when it is too large.
_ROWS, _VALUES = ("key", "new", "old"), ("new", "old")
#: The texts that are read of a record.
_TEXTS = (*_ROWS, "args", "kwargs")
#: What the changes of a batch have in common.
_COMMON = ("schema", "table", "op")


#: Octets of records that are read without a break: of short numbers, they take some milliseconds.
_PART_OCTETS = 50_000
#: Changes that travel in one event of a table that is watched with ``batch``, at most.
BATCH = 500


@dataclass(frozen=True, slots=True)
class Event:
    """One event, ready to publish.

    :ivar topic: None when the relation's name cannot be part of a topic.
    :ivar kwargs: of a change: ``id cursor schema table op key new old changed at xid``; of several
        in one event ``id cursor schema table op rows``.
    :ivar cursor_of: of a change: makes the cursor after an id of its page.
    :ivar refused: why it cannot be published, if it cannot: it is passed over.
    """

    id: int
    topic: str | None
    args: list[Any] | None
    kwargs: dict[str, Any] | None
    options: Mapping[str, Any]
    cursor_of: Callable[[int], str] | None = None
    refused: str | None = None

    @property
    def is_change(self) -> bool:
        """Whether it is a captured change, and not of ``wamp.publish`` or a channel."""
        return self.cursor_of is not None

    def smaller(self) -> list[Event]:
        """The same in events that take less, or none if there is nothing to leave out.

        Several changes are sent in two events, and one comes without the row's values, marked
        ``truncated``: it can be read by its key.
        """
        if self.cursor_of is None or self.kwargs is None or "truncated" in self.kwargs:
            return []
        rows: list[dict[str, Any]] | None = self.kwargs.get("rows")
        if rows is None:
            return [replace(self, kwargs=_without_values(self.kwargs))]
        if len(rows) > 1:
            middle = len(rows) // 2
            parts = [rows[:middle], rows[middle:]]
        elif "truncated" in rows[0]:
            return []
        else:
            parts = [[_without_values(rows[0])]]
        return [self.of_rows(part) for part in parts]

    def of_rows(self, rows: list[dict[str, Any]]) -> Event:
        """An event of these changes, which have what they have in common with this one."""
        assert self.kwargs is not None
        assert self.cursor_of is not None
        last = rows[-1]["id"]
        common = {name: self.kwargs[name] for name in _COMMON}
        return replace(
            self,
            id=last,
            kwargs={"id": last, "cursor": self.cursor_of(last), **common, "rows": rows},
        )


def _without_values(change: Mapping[str, Any]) -> dict[str, Any]:
    return {k: v for k, v in change.items() if k not in _VALUES} | {"truncated": True}


@dataclass(frozen=True, slots=True)
class _Shape:
    """How the values of one watched relation become neutral; columns not named stay as they are."""

    columns: frozenset[str]
    converters: Sequence[tuple[str, Converter]]
    batch: bool


_NO_SHAPE = _Shape(frozenset(), (), False)


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
        self._load = load
        self._big = bigint_as_string
        self._shapes: dict[tuple[str, str], _Shape] = {}
        self._topic = cache(naming.topic)

    def use(self, relations: Sequence[WatchedRelation]) -> None:
        """Take over the watched relations of a freshly loaded catalog."""
        self._shapes = {
            (relation.schema, relation.name): _Shape(
                frozenset(column.name for column in relation.columns),
                [
                    (column.name, from_json(column.type, bigint_as_string=self._big))
                    for column in relation.columns
                    if not is_same_in_json(column.type, bigint_as_string=self._big)
                ],
                bool(relation.options.get("batch")),
            )
            for relation in relations
        }

    async def events(self, page: Page, cluster: str) -> list[Event]:
        """The events of a page, one by one."""
        return [event async for _, event in self._made(page, cluster)]

    async def batches(self, page: Page, cluster: str) -> AsyncIterator[Event]:
        """The events of a page as they are published: with several changes in one where asked."""
        rows: list[dict[str, Any]] = []
        first: Event | None = None
        async for record, event in self._made(page, cluster):
            if first is not None and (not _alike(first, event) or len(rows) == BATCH):
                yield _batch(first, rows)
                first, rows = None, []
            if event.refused is not None or not self._is_batched(record):
                yield event
            else:
                first = first or event
                rows.append(event.kwargs or {})
        if first is not None:
            yield _batch(first, rows)

    async def _made(
        self, page: Page, cluster: str
    ) -> AsyncIterator[tuple[Mapping[str, Any], Event]]:
        """The records of a page with their events, made in parts: calls go on meanwhile."""
        cursor_of = page.cursors(cluster)
        left = _PART_OCTETS
        for record in page.records:
            event = await self._event(record, cursor_of)
            left -= VALUE_OCTETS + sum(len(record[name] or "") for name in _TEXTS)
            if left < 0:
                # Before the event is sent, which takes time too.
                await asyncio.sleep(0)
                left = _PART_OCTETS
            yield record, event

    def _is_batched(self, record: Mapping[str, Any]) -> bool:
        shape = self._shapes.get((record["relation_schema"], record["relation"]))
        return shape is not None and shape.batch and record["op"] != "truncate"

    async def _event(self, record: Mapping[str, Any], cursor_of: Callable[[int], str]) -> Event:
        if record["op"] is None:
            return self._published(record)
        for names in (_ROWS, ("key",), ()):
            with suppress(*_UNREADABLE):
                event = self._change(record, await self._rows(record, names), cursor_of)
                if names is _ROWS:
                    return event
                return replace(event, kwargs=_without_values(event.kwargs or {}))
        # Without its options it may reach nobody: they say who is to see it.
        event = self._change({**record, "options": None}, {}, cursor_of)
        return replace(
            event, kwargs=_without_values(event.kwargs or {}), refused="its options cannot be read"
        )

    async def _rows(self, record: Mapping[str, Any], names: Sequence[str]) -> dict[str, Any]:
        """Rows of a change by these names, with neutral values.

        :raises RecursionError: JSON in one is nested too deep even to be read.
        :raises PayloadTooLarge: one has more parts than can be read at once.
        :raises _NotCarried: JSON in one is not neutral.
        """
        texts = {name: record[name] for name in names if record[name] is not None}
        rows: dict[str, Any] = {}
        for name, text in texts.items():
            require_convertible(text)
            await _pause_after(text)
            rows[name] = loads_exact(text)
            await _pause_after(text)
        shape = self._shapes.get((record["relation_schema"], record["relation"]))
        if shape is None or not all(shape.columns.issuperset(row) for row in rows.values()):
            self.use(await self._load())
            shape = self._shapes.get((record["relation_schema"], record["relation"]), _NO_SHAPE)
        for name, text in texts.items():
            _convert(rows[name], shape)
            if _may_be_foreign(text) and not is_carried(rows[name]):
                raise _NotCarried
            await _pause_after(text)
        return rows

    def _published(self, record: Mapping[str, Any]) -> Event:
        """An event of ``wamp.publish``, as it was given.

        ``wamp.publish`` refuses what cannot be read here; a row may be older than that.
        """
        try:
            args, kwargs, options = (
                loads(record[name]) if record[name] else None
                for name in ("args", "kwargs", "options")
            )
        except PayloadTooLarge as error:
            return Event(record["id"], record["topic"], None, None, {}, refused=error.message)
        return Event(record["id"], record["topic"], args, kwargs, options or {})

    def _change(
        self,
        record: Mapping[str, Any],
        rows: Mapping[str, dict[str, Any]],
        cursor_of: Callable[[int], str],
    ) -> Event:
        schema, table, op = record["relation_schema"], record["relation"], record["op"]
        kwargs: dict[str, Any] = {
            "id": record["id"],
            "cursor": cursor_of(record["id"]),
            "schema": schema,
            "table": table,
            "op": op,
            **rows,
        }
        if record["changed"] is not None:
            kwargs["changed"] = record["changed"]
        kwargs["at"] = record["created_at"]
        kwargs["xid"] = record["xid"]
        if record["truncated"]:
            kwargs["truncated"] = True
        return Event(
            record["id"],
            record["topic"] or self._topic(schema, table, op),
            None,
            kwargs,
            loads(record["options"]) if record["options"] else {},
            cursor_of,
        )


class _NotCarried(Exception):
    """A value would end the session of a subscriber, or never reach one."""


#: What reading a row may raise. No row may end publishing: it is published without its values.
_UNREADABLE = (
    PayloadTooLarge,
    RecursionError,
    ValueError,
    TypeError,
    LookupError,
    AttributeError,
    ArithmeticError,
    _NotCarried,
)


async def _pause_after(text: str) -> None:
    """Let calls go on after a step of work on a text, if it is long."""
    if len(text) > _PART_OCTETS:
        await asyncio.sleep(0)


def _may_be_foreign(text: str) -> bool:
    """Whether to look closely: few rows have backslashes or so many levels.

    To find one character takes less than to find two among many backslashes.
    """
    return "\\" in text or text.count("[") + text.count("{") > MAX_DEPTH


def _convert(row: dict[str, Any], shape: _Shape) -> None:
    for name, convert in shape.converters:
        value = row.get(name)
        if value is not None:
            row[name] = convert(value)
    if not shape.columns.issuperset(row):
        # A column dropped since is given as its JSON reads.
        for name in row.keys() - shape.columns:
            row[name] = _UNKNOWN(row[name])


def _alike(first: Event, event: Event) -> bool:
    """Whether both may travel in one event."""
    one, other = first.kwargs or {}, event.kwargs or {}
    return (
        event.is_change
        and event.refused is None
        and first.topic == event.topic
        and first.options == event.options
        and all(one[name] == other[name] for name in _COMMON)
    )


def _batch(first: Event, rows: list[dict[str, Any]]) -> Event:
    said_once = (*_COMMON, "cursor")
    return first.of_rows([{k: v for k, v in row.items() if k not in said_once} for row in rows])
