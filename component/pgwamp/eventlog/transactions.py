"""The changes of a transaction in order, however many there are.

Small transactions are ordered whole (:mod:`pgwamp.eventlog.order`). Of a large one the rows stream
by: a statement that is alone in changing its table, with what its triggers have done to others,
needs no order but its own, where rows that change their key go first and come after all others.
What cannot be ordered within bounds is told by key only: whoever folds the events reads the row
again.
"""

from __future__ import annotations

from collections.abc import Container, Hashable, Iterator, Sequence
from dataclasses import replace

from pgwamp.capture import CONTROL, RawRow
from pgwamp.eventlog.order import KeyOf, in_order

#: Rows of a transaction that are ordered at once, and octets of their texts.
MOST_ROWS, MOST_OCTETS = 5_000, 8_000_000
#: Rows that nothing before or after them goes across.
_BARRIERS = frozenset({*CONTROL, "t", "I", "U", "D"})
#: A change, and place and number of the last raw row before its unit.
Placed = tuple[RawRow, tuple[int, int]]


def segments(rows: Sequence[RawRow]) -> Iterator[list[RawRow]]:
    """Parts of a transaction that are ordered for themselves: what stands between is one row."""
    part: list[RawRow] = []
    for row in sorted(rows, key=lambda row: (row.place, row.number)):
        if row.op == "t":
            part, within = _around_truncate(part, row)
            if part:
                yield part
            yield [row]
            part = within
        elif row.op in _BARRIERS:
            if part:
                yield part
            yield [row]
            part = []
        elif row.op != "-":
            part.append(row)
    if part:
        yield part


def _around_truncate(part: list[RawRow], truncate: RawRow) -> tuple[list[RawRow], list[RawRow]]:
    """The rows before a TRUNCATE, and those of statements that its triggers have run.

    Whether these changed rows of the table before it was emptied (BEFORE) or afterwards, nobody
    knows: of such rows only the key is told.
    """
    begin = len(part)
    while begin and part[begin - 1].depth > truncate.depth:
        begin -= 1
    within = [
        replace(row, op="?") if row.relation == truncate.relation and row.op in "iud" else row
        for row in part[begin:]
    ]
    return part[:begin], within


def ordered(rows: Sequence[RawRow], key_of: KeyOf, deferrable: Container[int]) -> list[RawRow]:
    """A segment in order."""
    unclear = [row for row in rows if row.op == "?"]
    certain = [row for row in rows if row.op != "?"]
    # What is unclear has the last word on its key.
    return [*(in_order(certain, key_of, deferrable) if len(certain) > 1 else certain), *unclear]


class LargeTransaction:
    """Orders a transaction whose rows come by and by.

    A unit is a statement that the client has sent, with all that its triggers have run. Units are
    in order as they come.
    """

    def __init__(self, key_of: KeyOf, deferrable: Container[int], base: tuple[int, int]):
        self._key_of = key_of
        self._deferrable = deferrable
        self._base = base
        self._unit: list[RawRow] = []
        self._octets = 0
        #: Places of the statements of the unit whose rows have gone by, by their tables.
        self._passed: dict[int, int] = {}
        #: Rows of these that have changed their key, by the new one: they come when the unit has
        #: ended; and those of which only the key is told, last of all.
        self._later: dict[Hashable | None, RawRow] = {}
        self._unclear: list[RawRow] = []
        self._before: RawRow | None = None

    def add(self, rows: Sequence[RawRow]) -> list[Placed]:
        """Take some rows; the changes that are certain by now, in order."""
        found: list[Placed] = []
        for row in rows:
            if self._before is not None and self._begins_unit(self._before, row):
                found += self.end()
            found += [(change, self._base) for change in self._add(row)]
            self._before = row
        return found

    def end(self) -> list[Placed]:
        """End the unit; the changes of it that are left, in order."""
        found = [(change, self._base) for change in self._rest()]
        if self._before is not None:
            self._base = self._before.place, self._before.number
        return found

    @property
    def base(self) -> tuple[int, int]:
        """Place and number of the last row before the unit."""
        return self._base

    def _rest(self) -> list[RawRow]:
        found = [*self._later.values(), *self._unclear]
        for segment in segments(self._unit):
            found += ordered(segment, self._key_of, self._deferrable)
        self._unit, self._octets, self._passed = [], 0, {}
        self._later, self._unclear = {}, []
        return found

    def _begins_unit(self, before: RawRow, row: RawRow) -> bool:
        """Whether a row belongs to the next statement of the client."""
        if before.op in _BARRIERS:
            return True
        if row.op in _BARRIERS:
            # What triggers of a TRUNCATE have run has ended before it.
            return row.op != "t" or before.depth <= row.depth
        # Statements that end together, as those of a WITH, have written one after the other.
        together = row.depth == before.depth and row.command == before.command + 1
        return before.depth <= 1 and row.place != before.place and not together

    def _add(self, row: RawRow) -> list[RawRow]:
        if row.op == "-":
            # It counts: it may have been another one when this was ordered before.
            return [row]
        if self._passed:
            return self._pass(row)
        self._unit.append(row)
        self._octets += len(row.old or "") + len(row.new or "")
        if len(self._unit) <= MOST_ROWS and self._octets <= MOST_OCTETS:
            return []
        # Too many to wait for the end of the unit.
        waiting, self._unit, self._octets = self._unit, [], 0
        return [change for waited in waiting for change in self._pass(waited)]

    def _pass(self, row: RawRow) -> list[RawRow]:
        if row.op not in "iud":
            return [row]
        place = self._passed.setdefault(row.relation, row.place)
        if place != row.place or row.relation in self._deferrable:
            self._unclear.append(replace(row, op="?"))
            return []
        old, new = (
            None if text is None else self._key_of(row.relation, text)
            for text in (row.old, row.new)
        )
        if row.old is not None and old in self._later:
            # It has changed its key before, in the same statement: a cascade of its own key.
            self._pass_again(row, self._later.pop(old), new)
            return []
        if row.op == "u" and old != new and row.old is not None and row.new is not None:
            self._later[new] = replace(row, op="i", old=None)
            return [replace(row, op="d", new=None)]
        return [row]

    def _pass_again(self, row: RawRow, pending: RawRow, key: Hashable | None) -> None:
        if pending.new != row.old:
            self._unclear += [replace(pending, op="?"), replace(row, op="?")]
        elif row.new is not None:
            self._later[key] = replace(pending, new=row.new)
