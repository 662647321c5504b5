"""The changes of a transaction in order, however many there are.

Small transactions are ordered whole (:mod:`pgwamp.eventlog.order`). Of a large one the rows stream
by, in units, of which each is ordered for itself if it is small. The rows of a larger unit are told
as they come. Of a change that may have come before one that was told already, only the key is
told: whoever folds the events reads the row again.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from itertools import pairwise

from pgwamp.capture import CONTROL, RawRow
from pgwamp.capture.raw import SHORT_TEXTS
from pgwamp.eventlog.earlier import Earlier
from pgwamp.eventlog.order import Records, in_order, keys_of
from pgwamp.eventlog.resumed import Base, Placed, Resumed
from pgwamp.eventlog.statements import apart, counted, may_end_together

#: Rows of a transaction that are ordered at once, and bytes of their texts.
MOST_ROWS, MOST_BYTES = 5_000, 8_000_000
#: Rows that nothing before or after them goes across.
_BARRIERS = frozenset({*CONTROL, "t", "I", "U", "D"})


def segments(rows: Iterable[RawRow], records: Records) -> Iterator[list[RawRow]]:
    """Parts of a transaction that are ordered for themselves: what stands between is one row."""
    part: list[RawRow] = []
    #: Members that have told so of tables that were emptied whole, until somebody else writes.
    emptied: dict[int, set[int]] = {}
    for row in sorted(rows, key=lambda row: (row.place, row.number)):
        if row.op == "t":
            part, within = _around_truncate(part, row, records, _is_again(row, emptied, records))
            if part:
                emptied.clear()
                yield part
            yield [row]
            part = within
        elif row.op in _BARRIERS:
            if part:
                yield part
            emptied.clear()
            yield [row]
            part = []
        elif row.op != "-":
            part.append(row)
    if part:
        yield part


def _is_again(truncate: RawRow, emptied: dict[int, set[int]], records: Records) -> bool:
    """Whether a partition tells what its table has told, in the same statement."""
    table = records.table_of(truncate.relation)
    if truncate.relation == table:
        emptied[table] = {table}
        return False
    told = emptied.get(table)
    if told is None or truncate.relation in told:
        emptied.pop(table, None)
        return False
    told.add(truncate.relation)
    return True


def _around_truncate(
    part: list[RawRow], truncate: RawRow, records: Records, is_again: bool
) -> tuple[list[RawRow], list[RawRow]]:
    """The rows before a TRUNCATE, and those of statements that its triggers have run.

    Whether these changed rows of the table before it was emptied (BEFORE) or afterwards, nobody
    knows: of such rows only the key is told.

    :param is_again: the table was emptied before all of these.
    """
    begin = len(part)
    while begin and part[begin - 1].depth > truncate.depth:
        begin -= 1
    if is_again and begin == 0:
        return [], part
    table = records.table_of(truncate.relation)
    within = [
        replace(row, op="?") if row.op in "iud" and records.table_of(row.relation) == table else row
        for row in part[begin:]
    ]
    return part[:begin], within


def ordered(rows: Sequence[RawRow], records: Records) -> list[RawRow]:
    """A segment in order."""
    unclear = [row for row in rows if row.op == "?"]
    certain = [row for row in rows if row.op != "?"]
    # What is unclear has the last word on its key.
    return [*(in_order(certain, records) if len(certain) > 1 else certain), *unclear]


class LargeTransaction:
    """Orders a transaction whose rows come by and by.

    A unit is what may be of one query of the client, with all that its triggers have run: it ends
    before a statement that repeats one of it. Changes depend on what came before their unit only
    if triggers have written there, or if keys are checked at the end of the transaction.

    :param base: place and number of the row up to which all of it was taken.
    :param taken: how many changes of what follows were taken.
    :param published: as :class:`pgwamp.eventlog.resumed.Resumed` has it.
    :ivar last: place and number of the last row that was added.
    """

    def __init__(
        self,
        records: Records,
        base: Base,
        taken: int = 0,
        published: Mapping[datetime, int] | None = None,
    ):
        self._records = records
        self._base = self.last = base
        self._resumed = Resumed(base, taken, published or {})
        self._unit: list[RawRow] = []
        self._byte_count = 0
        self._before: RawRow | None = None
        #: Of the unit: the last row of the client's own statements, how many rows there are up to
        #: it, and relations and operations of these statements.
        self._outer: RawRow | None = None
        self._closed = 0
        self._kinds: set[tuple[int, str]] = set()
        #: A row of each relation whose statements have ended together with the last of these.
        self._ended: dict[int, RawRow] = {}
        #: Whether the unit is too large to be ordered; then the tables that it has changed so far,
        #: with the greatest depth.
        self._is_told = False
        self._changed: dict[int, int] = {}
        self._earlier: Earlier | None = None
        #: Whether the first unit, or so much of it as is ordered at once, is of one statement.
        self._is_single: bool | None = None

    def add(self, rows: Sequence[RawRow]) -> list[Placed]:
        """Take some rows; the changes that are certain by now, in order."""
        found: list[Placed] = []
        for row in rows:
            row = counted(row, self._records.table_of(row.relation))
            self._resumed.see(row)
            if row.op == "-":
                # It counts: it may have been another one when this was ordered before.
                found += self._resumed.placed([row], self._base)
                continue
            is_together = self._is_together(row)
            if self._before is not None and _is_barrier(self._before, row):
                found += self.end()
            elif self._begins_unit(row, is_together):
                found += self._end(self._closed)
            found += self._add(row)
            self._before = row
            if row.depth <= 1:
                if not is_together:
                    self._ended.clear()
                self._ended[row.relation] = row
                self._outer, self._closed = row, len(self._unit)
                self._kinds.add((row.relation, row.op))
            self.last = row.place, row.number
        return found

    def end(self) -> list[Placed]:
        """End the unit; the changes of it that are left, in order."""
        self._outer = self._before
        return self._end(len(self._unit))

    def _begins_unit(self, row: RawRow, is_together: bool) -> bool:
        """Whether a row is of the next query of the client."""
        if row.depth > 1 or row.op == "t" or (row.relation, row.op) not in self._kinds:
            return False
        # Only what foreign keys do is done several times in one query.
        return self._outer is not None and not is_together

    def _is_together(self, row: RawRow) -> bool:
        """Whether a statement of the client may have ended together with its last one."""
        if self._outer is None:
            return False
        if self._outer.place == row.place:
            return True
        return (
            self._outer is self._before
            and may_end_together(self._outer, row)
            and not apart(self._ended.get(row.relation, row), row)
        )

    def _end(self, closed: int) -> list[Placed]:
        unit, self._unit = self._unit[:closed], self._unit[closed:]
        if unit:
            self._look_at_first(unit)
        changes = self._order(unit)
        if self._is_uncertain():
            found = [*self._resumed.keys(unit)]
        else:
            found = [*self._resumed.placed(changes, self._base)]
        # Of a unit that was told as it came, nothing is left for the next one.
        last = self._before if self._is_told else self._outer
        if self._outer is not None and not (self._earlier and self._earlier.is_lasting):
            assert last is not None
            self._earlier, self._base = None, (last.place, last.number)
        if self._earlier is not None:
            self._earlier.begin_unit()
        self._byte_count = sum(map(_byte_count, self._unit))
        self._outer, self._closed, self._kinds, self._ended = None, 0, set(), {}
        self._is_told, self._changed = False, {}
        return found

    def _look_at_first(self, unit: Sequence[RawRow]) -> None:
        if self._is_single is None:
            self._is_single = len({(row.place, row.op) for row in unit}) == 1

    def _is_uncertain(self) -> bool:
        """Whether changes of this unit may have been taken in another order."""
        # If something lasts, other units may have been counted from the same base.
        is_lasting = self._earlier is not None and self._earlier.is_lasting
        is_single = bool(self._is_single) and not is_lasting
        return not is_single and self._resumed.is_uncertain(self._base)

    def _order(self, unit: Sequence[RawRow]) -> list[RawRow]:
        found = []
        for segment in segments(unit, self._records):
            found += ordered(segment, self._records)
        changes = [row for row in unit if row.op in "iud"]
        doubts: dict[object, RawRow] = {}
        if self._earlier is not None:
            for row in changes:
                if self._earlier.may_precede(row, self._earlier.sides(row)):
                    doubts[keys_of(row, self._records)] = replace(row, op="?")
        for row in changes:
            if row.depth > 1 or self._records.is_deferrable(row.relation):
                self._earlier = self._earlier or Earlier(self._records)
                self._earlier.keep(row, self._earlier.sides(row))
        return [*found, *doubts.values()]

    def _add(self, row: RawRow) -> list[Placed]:
        if self._is_told:
            return self._tell(row, self._before)
        self._unit.append(row)
        self._byte_count += _byte_count(row)
        if len(self._unit) <= MOST_ROWS and self._byte_count <= MOST_BYTES:
            return []
        # Too many to wait for the end of the unit.
        self._look_at_first(self._unit)
        waiting, self._unit, self._is_told = self._unit, [], True
        self._earlier = self._earlier or Earlier(self._records)
        return [
            change
            for before, waited in pairwise([None, *waiting])
            if waited is not None
            for change in self._tell(waited, before)
        ]

    def _tell(self, row: RawRow, before: RawRow | None) -> list[Placed]:
        changes = [*self._told(row, before)]
        if self._is_uncertain():
            return [*self._resumed.keys([row])]
        return [*self._resumed.placed(changes, self._base)]

    def _told(self, row: RawRow, before: RawRow | None) -> Iterator[RawRow]:
        """Tell a change as it came, or only its keys."""
        assert self._earlier is not None
        table = self._records.table_of(row.relation)
        if row.op == "t":
            yield row
            if self._changed.get(table, 0) > row.depth:
                # Whether triggers have changed rows of it before or afterwards, nobody knows.
                yield replace(row, op="I")
        elif row.op in "iud":
            self._changed[table] = max(row.depth, self._changed.get(table, 0))
            if before is not None and not may_end_together(before, row):
                self._earlier.begin_end()
            sides = self._earlier.sides(row)
            in_doubt = self._earlier.may_precede_told(row, sides)
            self._earlier.keep_told(row, sides, in_doubt)
            yield replace(row, op="?") if in_doubt else row
        else:
            yield row


def _is_barrier(before: RawRow, row: RawRow) -> bool:
    """Whether no change comes across the border between two rows."""
    if row.op == "t":
        # Those of one TRUNCATE stand together, with what their triggers have run.
        return before.op != "t" and before.depth <= row.depth
    if before.op == "t":
        return before.depth <= 1 and row.depth <= 1
    return before.op in _BARRIERS or row.op in _BARRIERS


def _byte_count(row: RawRow) -> int:
    """The bytes of a row that are held: names stand for texts that have not come with it."""
    return row.size if row.size <= SHORT_TEXTS or row.op not in "iud" else 0
