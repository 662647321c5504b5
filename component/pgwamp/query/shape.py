"""From fetched records to the rows of an answer, made in parts: other calls go on meanwhile."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

from pgwamp.errors import PayloadTooLarge, TooManyRows
from pgwamp.values import MOST_PARTS, Converter, parse

Row = dict[str, Any]
#: Values of rows that are made, and bytes of values that are read, without a break. Either takes
#: some milliseconds.
PART_VALUES, PART_BYTES = 5_000, 250_000
#: Bytes that take as long to read as the rest of the work on a value, or on a part of JSON.
VALUE_BYTES = PART_BYTES // PART_VALUES
#: Characters of a value that is read in a thread. JSON of 14 MB takes 0.1 seconds, with few parts
#: too.
LONG_TEXT = 2_000_000
#: Parts of all JSON and arrays of an answer, beside those of related rows. Each takes some hundred
#: bytes of memory, and fewer than three of a message.
MOST_ANSWER_PARTS = 500_000


@dataclass(frozen=True, slots=True)
class Related:
    """How the JSON of an ``include`` becomes related rows.

    :ivar most: rows of a list; None for a single row.
    """

    label: str
    shape: Shape
    most: int | None


@dataclass(frozen=True, slots=True)
class Shape:
    """The steps from fetched rows to the answer.

    :ivar conversions: what to do to a value that is not null, by its name.
    :ivar related: values that are related rows, by their names.
    :ivar spreads: values that are rows themselves, and the names that they lend to their parent.
    """

    conversions: tuple[tuple[str, Converter], ...] = ()
    related: tuple[tuple[str, Related], ...] = ()
    spreads: tuple[tuple[str, tuple[str, ...]], ...] = ()

    def __bool__(self) -> bool:
        return bool(self.conversions or self.related or self.spreads)


#: Of rows that are the answer as they were fetched.
UNCHANGED = Shape()


async def rows_of(shape: Shape, records: Sequence[Any], hidden: Sequence[str] = ()) -> list[Row]:
    """Fetched records as portable dicts.

    :param hidden: columns of the records that are not part of the answer.
    :raises TooManyRows: a list of related rows has too many.
    :raises PayloadTooLarge: a value, or all related rows, have more parts than may be made.
    """
    if not records:
        return []
    size = max(1, PART_VALUES // max(1, len(records[0])))
    rows: list[Row] = []
    for start in range(0, len(records), size):
        if start:
            await asyncio.sleep(0)
        part = [dict(record) for record in records[start : start + size]]
        for name in hidden:
            for row in part:
                del row[name]
        rows += part
    return await _Answer().made(shape, rows) if shape else rows


#: Several threads at once would each keep the event loop waiting: reading holds Python's lock.
_ONE_THREAD = ThreadPoolExecutor(1, thread_name_prefix="pgwamp long values")


async def converted(convert: Converter, text: str) -> Any:
    """Convert a value; a long one beside the event loop, one at a time."""
    if len(text) <= LONG_TEXT:
        return convert(text)
    return await asyncio.get_running_loop().run_in_executor(_ONE_THREAD, convert, text)


def _parts(text: str) -> int:
    """The parts of JSON, or of an array, at most: commas within texts count too."""
    return text.count(",") + text.count("[") + text.count("{")


class _Answer:
    """The rows of one answer, and the work until the next break."""

    def __init__(self) -> None:
        self._left = PART_BYTES
        self._related_left = MOST_PARTS
        self._parts_left = MOST_ANSWER_PARTS

    async def made(self, shape: Shape, rows: list[Row]) -> list[Row]:
        """The rows; what is done to them next has a turn of its own if making them took one."""
        rows = await self.finished(shape, rows)
        if self._left < 0:
            await self._pause()
        return rows

    async def finished(self, shape: Shape, rows: list[Row]) -> list[Row]:
        """The rows, converted in place, or new ones where something is spread."""
        for name, convert in shape.conversions:
            for row in rows:
                value = row[name]
                if value is None:
                    continue
                cost = self._cost(name, value) if isinstance(value, str) else VALUE_BYTES
                if cost > self._left:
                    await self._pause()
                self._left -= cost
                if isinstance(value, str) and len(value) > LONG_TEXT:
                    row[name] = await converted(convert, value)
                else:
                    row[name] = convert(value)
        for name, related in shape.related:
            for row in rows:
                if row[name] is not None:
                    row[name] = await self._related(related, row[name])
        return await self._spread(shape, rows) if shape.spreads else rows

    def _cost(self, name: str, text: str) -> int:
        """How long it takes to read a value, in bytes.

        :raises PayloadTooLarge: all values so far have too many parts.
        """
        if len(text) <= VALUE_BYTES:
            return VALUE_BYTES + len(text)
        parts = _parts(text)
        self._parts_left -= parts
        if self._parts_left < 0:
            raise PayloadTooLarge(
                f"{name}: lists, dicts and their members of more than {MOST_ANSWER_PARTS} in one "
                "answer; ask for fewer rows or columns, or for progressive results"
            )
        return VALUE_BYTES * (parts + 1) + len(text)

    async def _related(self, related: Related, value: Any) -> Any:
        """The related rows of one row.

        :param value: parsed already where it was within other related rows.
        """
        if isinstance(value, str):
            value = await self._parsed(related, value)
        self._left -= VALUE_BYTES
        if self._left < 0:
            await self._pause()
        if related.most is None:
            (row,) = await self.finished(related.shape, [value])
            return row
        if len(value) > related.most:
            raise TooManyRows(
                f"include.{related.label}: more than {related.most} rows (limits.max_rows); "
                "give it a limit"
            )
        return await self.finished(related.shape, value) if related.shape else value

    async def _parsed(self, related: Related, text: str) -> Any:
        # Before they are made: a part takes some hundred bytes.
        self._related_left -= _parts(text)
        if self._related_left < 0:
            raise PayloadTooLarge(
                f"include.{related.label}: related rows of more than {MOST_PARTS} parts (rows, and "
                "values in them) in one answer; give limits, or fewer columns"
            )
        if len(text) > self._left:
            await self._pause()
        self._left -= len(text)
        return await converted(parse, text)

    async def _spread(self, shape: Shape, rows: list[Row]) -> list[Row]:
        lent = dict(shape.spreads)
        found = []
        for row in rows:
            spread: Row = {}
            for name, value in row.items():
                if name in lent:
                    spread.update((n, None if value is None else value[n]) for n in lent[name])
                else:
                    spread[name] = value
            found.append(spread)
            self._left -= VALUE_BYTES * len(spread)
            if self._left < 0:
                await self._pause()
        return found

    async def _pause(self) -> None:
        await asyncio.sleep(0)
        self._left = PART_BYTES
