"""A transaction of which some changes were taken before a restart: which of them are left.

They were counted from a base on, in an order in which the transaction is put again. It is another
order if a crash or a promotion has lost the commands of its rows, by which some statements were
ordered (:mod:`pgwamp.eventlog.statements`). Units do not change places then, but can become one. So
all that was taken is in the units up to the first border behind as many raw rows. Of each row of
these only the key is told, some of it again: whoever folds the events reads the row. An event of
``wamp.publish`` cannot be read again. It is told unless the log has it, which has the time at which
each was called.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from datetime import datetime

from pgwamp.capture import RawRow

#: Place and number of a raw row of a transaction, and that before all of them.
Base = tuple[int, int]
FIRST: Base = (0, -1)
#: A change, the last raw row before all that it depends on, and the number of the change since.
Placed = tuple[RawRow, Base, int]


class Resumed:
    """The changes of a transaction that are left.

    :param base: place and number of the row up to which all was taken.
    :param taken: how many changes were taken since.
    :param published: when ``wamp.publish`` was called, of those of its events that were taken.
    """

    def __init__(self, base: Base, taken: int, published: Mapping[datetime, int]):
        self._begin = self._base = base
        self._taken = taken
        self._published = Counter(published)
        self._is_lost = False
        #: Whether the one row was there that has no command before it: of the first call of all.
        self._is_begun = False
        #: The relation of all rows, if they are counted: then no command is needed to order them.
        self._relation: int | None = None
        self._is_counted = True
        #: Rows since the first base; changes since then, and since the last base.
        self._row_count = self._change_count = self._number = 0
        #: The row behind which the first border is the end of all that was taken.
        self._last: Base | None = None

    def see(self, row: RawRow) -> None:
        """Take note of the next raw row."""
        self._row_count += 1
        if self._row_count == self._taken:
            self._last = row.place, row.number
        is_first = row.op == "p" and row.command == 0 and not self._is_begun
        self._is_begun |= is_first
        # That of a row which somebody has touched is not known either.
        self._is_lost |= row.command <= 0 and not is_first
        self._relation = self._relation or row.relation
        self._is_counted &= bool(row.changed) and row.relation == self._relation

    def is_uncertain(self, base: Base) -> bool:
        """Whether changes of the unit behind a base may have been taken in another order."""
        is_behind = self._last is not None and base >= self._last
        return self._taken > 0 and self._is_lost and not self._is_counted and not is_behind

    def placed(self, changes: Iterable[RawRow], base: Base) -> Iterator[Placed]:
        """The changes that are left of some, by what is certain of their order."""
        for change in changes:
            self._change_count += 1
            self._number = self._number + 1 if base == self._base else 1
            self._base = base
            if base != self._begin or self._number > self._taken:
                yield change, base, self._number

    def keys(self, rows: Iterable[RawRow]) -> Iterator[Placed]:
        """The keys of rows whose changes may have been taken in another order."""
        for row in rows:
            self._change_count += 1
            if row.op == "p":
                is_left = not self._published[row.at]
                self._published[row.at] -= not is_left
            else:
                # Rows that are no changes are borders, and had the same place.
                is_left = row.op in "iud" or self._change_count > self._taken
            if is_left:
                told = replace(row, op="?") if row.op in "iud" else row
                # From this position on, all of them would be told again.
                yield told, self._begin, max(self._taken, self._change_count)
