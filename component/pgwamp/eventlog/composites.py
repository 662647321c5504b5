"""Composite types, and tables as such, among the values of watched tables: what they are by now."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import Any

#: The layout of a composite: its types, columns, and the composites among these; without types if
#: nobody knows.
Told = Mapping[str, Any]


class Composites:
    """Layouts of composites that were told, for each table that is to be made anew with them.

    Of each composite only the last one counts, however often it was told.
    """

    def __init__(self) -> None:
        #: By table: composites that it is made of, or may be with what it waits for.
        self._of: dict[int, set[int]] = {}
        #: By table: what was told, in the order of the last time.
        self._waiting: dict[int, dict[int, Told]] = {}
        #: Characters of all that was told.
        self.size = 0

    def __bool__(self) -> bool:
        """Whether any table waits."""
        return bool(self._waiting)

    def know(self, table: int, composites: Iterable[int]) -> None:
        """Take over what a table is made of; it waits for nothing."""
        self.forget(table)
        self._of[table] = set(composites)

    def forget(self, table: int) -> None:
        """Forget a table."""
        self._of.pop(table, None)
        self._waiting.pop(table, None)
        if not self._waiting:
            self.size = 0

    def of(self, table: int) -> frozenset[int]:
        """The composites that a table is made of."""
        return frozenset(self._of.get(table, ()))

    def tables(self, composite: int) -> list[int]:
        """The tables with rows of a composite among their values."""
        return [table for table, composites in self._of.items() if composite in composites]

    def wait(self, composite: int, told: Told, size: int) -> None:
        """Have the tables of a composite wait for what it is from now on."""
        self.size += size
        for table in self.tables(composite):
            waiting = self._waiting.setdefault(table, {})
            waiting.pop(composite, None)
            waiting[composite] = told
            self._of[table].update(told["composites"])

    def waiting(self, tables: Collection[int] | None) -> list[tuple[int, Mapping[int, Told]]]:
        """The tables that wait, of some or of all, with what was told."""
        return [
            (table, told)
            for table, told in self._waiting.items()
            if tables is None or table in tables
        ]
