"""From changes in order to the rows of the log."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from dataclasses import dataclass, replace

from pgwamp import logs
from pgwamp.capture import RawRow
from pgwamp.errors import PayloadTooLarge
from pgwamp.eventlog.conditions import Conditions
from pgwamp.eventlog.layout import Columns
from pgwamp.eventlog.long_texts import LONGEST, LongTexts
from pgwamp.eventlog.making import UNREADABLE, Draft, Making, Row
from pgwamp.eventlog.state import Entry
from pgwamp.eventlog.subjects import Subjects
from pgwamp.values import loads
from pgwamp.values.portable import Size

log = logs.get(__name__)
#: Bytes of records that are read without a break: of short numbers, they take some milliseconds.
PART_BYTES = 50_000
#: Bytes of the texts of a change of which values are told.
LARGEST = 16 * 1024 * 1024
#: Characters of the body of an event.
MOST_BODY = 2 * LARGEST
#: Elements and members of the values of an event: as many as of an answer of ``select``.
MOST_PARTS = 500_000
_NAMES = {"I": "i", "U": "u", "D": "d"}
_TABLES_TOLD = 100


@dataclass(frozen=True, slots=True)
class _Read:
    """A change whose records were taken apart."""

    row: RawRow
    old: Row | None
    new: Row | None
    is_whole: bool
    #: Whether there is a row of which not even the key is known.
    has_unknown: bool = False


class Entries:
    """Makes entries of changes."""

    def __init__(self, long: LongTexts, conditions: Conditions, subjects: Subjects):
        self._long = long
        self._conditions = conditions
        self._subjects = subjects
        self._told: set[tuple[int, str]] = set()
        #: Tables that have just been emptied, and by which transaction.
        self._emptied: dict[int, int] = {}

    async def of(self, changes: Sequence[RawRow]) -> list[Entry]:
        """The entries of changes of any tables, between which no table changes."""
        read = [await self._read(change) for change in changes]
        found: dict[int, list[Entry]] = {}
        by_table: dict[int, list[int]] = {}
        for number, one in enumerate(read):
            making = self._subjects.making(one.row.relation)
            if one.row.op == "p":
                found[number] = [_published(one.row)]
            elif making is not None and one.row.op != "-":
                by_table.setdefault(making.layout.relation, []).append(number)
        for numbers in by_table.values():
            making = self._subjects.making(read[numbers[0]].row.relation)
            assert making is not None
            evaluated = await self._evaluated(making, [read[number] for number in numbers])
            for number, one in zip(numbers, evaluated, strict=True):
                if one.row.size > PART_BYTES:
                    # Calls go on meanwhile.
                    found[number] = await asyncio.to_thread(self._made, making, one)
                else:
                    found[number] = self._made(making, one)
        left, result = PART_BYTES, []
        for number in sorted(found):
            result += found[number]
            left -= read[number].row.size + 100
            if left < 0:
                await asyncio.sleep(0)
                left = PART_BYTES
        return result

    def of_beginning(self, row: RawRow) -> list[Entry]:
        """The marker of a table that is watched from here on, or has another name."""
        making = self._subjects.making(row.relation)
        assert making is not None
        layout = making.layout
        draft = Draft("watched", None, None, {})
        return [Entry.of(row, draft, layout.relation, layout.schema, layout.name, silent=True)]

    def of_partitions(self, row: RawRow, gone: Sequence[str], come: Sequence[str]) -> list[Entry]:
        """The entries of partitions that a table has lost, and of those that came with rows."""
        making = self._subjects.making(row.relation)
        if making is None:
            return []
        drafts = [*map(making.truncate, gone), *map(making.attached, come)]
        return [self._entry(making, row, draft) for draft in drafts]

    async def _read(self, change: RawRow) -> _Read:
        columns = self._subjects.columns(change.relation)
        if columns is None or change.op not in "iud?":
            return _Read(change, None, None, True)
        if change.size > LONGEST and change.is_long:
            return _Read(change, None, None, False, True)
        texts = await self._long.texts(change)
        rows: list[Row | None] = []
        for text in texts:
            if text is not None and len(text) > PART_BYTES:
                rows.append(await asyncio.to_thread(self._row, change, columns, text))
            else:
                rows.append(None if text is None else self._row(change, columns, text))
        unknown = any(row is None for row, text in zip(rows, texts, strict=True) if text)
        is_whole = not unknown and change.size <= LARGEST and any(rows)
        return _Read(change, rows[0], rows[1], is_whole, unknown or not any(rows))

    def _row(self, change: RawRow, columns: Columns, text: str) -> Row | None:
        try:
            if self._subjects.fits(change):
                return Row(columns, columns.texts(text))
        except ValueError:
            pass
        self._tell(change.relation, "a row does not fit the columns of its table")
        return None

    async def _evaluated(self, making: Making, changes: Sequence[_Read]) -> Sequence[_Read]:
        if not making.has_to_evaluate:
            return changes
        rows = [row for one in changes for row in (one.old, one.new) if row is not None]
        evaluated = iter(await self._conditions.of(making, rows))
        result = []
        for one in changes:
            sides = [None if row is None else next(evaluated) for row in (one.old, one.new)]
            holds = all(
                side is not None
                for side, row in zip(sides, (one.old, one.new), strict=True)
                if row is not None
            )
            if holds:
                result.append(replace(one, old=sides[0], new=sides[1]))
            else:
                result.append(replace(one, is_whole=False))
        return result

    def _made(self, making: Making, one: _Read) -> list[Entry]:
        row, table = one.row, making.layout.relation
        if row.op != "t":
            self._emptied.pop(table, None)
        try:
            if row.op == "t":
                # TRUNCATE of a table fires the triggers of its partitions, too.
                if row.relation != table and self._emptied.get(table) == row.xid:
                    return []
                if row.relation == table:
                    self._emptied[table] = row.xid
                drafts = [making.truncate(self._partition(making, row.relation))]
            elif row.op in _NAMES:
                drafts = making.marked(_NAMES[row.op], None, None, has_unknown=True)
            elif row.op == "?" or not one.is_whole:
                drafts = self._marked(making, one)
            else:
                drafts = list(making.drafts(row.op, one.old, one.new))
                if row.size > MOST_PARTS:
                    _require_few_parts(drafts)
        except UNREADABLE as error:
            self._tell(row.relation, f"a value cannot be read: {type(error).__name__}")
            drafts = self._marked(making, one)
        if any(side and making.has_too_many_eligible(side) for side in (one.old, one.new)):
            self._tell(row.relation, "a row names too many who are eligible: it is for nobody")
        try:
            entries = [self._entry(making, row, draft) for draft in drafts]
            if all(len(entry.body or "") <= MOST_BODY for entry in entries):
                return entries
        except UNREADABLE as error:
            self._tell(row.relation, f"an event cannot be written: {type(error).__name__}")
        return [self._entry(making, row, draft) for draft in self._marked(making, one)]

    @staticmethod
    def _entry(making: Making, row: RawRow, draft: Draft) -> Entry:
        layout = making.layout
        return Entry.of(
            row,
            draft,
            layout.relation,
            layout.schema,
            layout.name,
            silent=making.silent,
            # What has no row travels alone.
            batched=making.batched and row.op in "iud?",
        )

    def _marked(self, making: Making, one: _Read) -> list[Draft]:
        if one.row.op in "iud" and one.row.size <= LARGEST:
            self._tell(one.row.relation, "events come without values")
        return making.marked(one.row.op, one.old, one.new, has_unknown=one.has_unknown)

    @staticmethod
    def _partition(making: Making, relation: int) -> str | None:
        if relation == making.layout.relation:
            return None
        return making.layout.names.get(relation, "")

    def _tell(self, relation: int, problem: str) -> None:
        """Log it once for each table."""
        if (relation, problem) in self._told or len(self._told) >= _TABLES_TOLD:
            return
        self._told.add((relation, problem))
        log.error("events of a watched table are incomplete", relation=relation, problem=problem)


def _require_few_parts(drafts: Sequence[Draft]) -> None:
    for draft in drafts:
        size = Size()
        size.add(draft.body, MOST_PARTS)
        if size.values > MOST_PARTS:
            raise PayloadTooLarge(f"an event has more than {MOST_PARTS} parts")


def _published(row: RawRow) -> Entry:
    """An event of ``wamp.publish``, which has refused what cannot be told."""
    told = json.loads(row.old or "{}")
    try:
        draft = Draft("publish", told["topic"], told["options"], loads(row.new or "{}"))
    except PayloadTooLarge:
        draft = Draft("publish", told["topic"], told["options"], {"truncated": True})
    return Entry.of(row, draft, 0, None, None)
