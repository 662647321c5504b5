"""Records while their changes are ordered: in one order of columns, and names for long texts."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import replace
from hashlib import blake2b

from pgwamp.capture import Capture, RawRow
from pgwamp.eventlog.subjects import Subjects
from pgwamp.values import rearranged

#: Bytes of the texts of a change of which not even the key is read.
LONGEST = 64 * 1024 * 1024
#: Characters of a text that has no name: it depends on the text alone, or equal ones would differ.
SHORT = 4096
#: No text of a record begins so.
_NAMED = "\0"


class _Name(str):
    """Stands for a long text: equal names are of equal texts.

    :ivar row: has the text; :ivar is_old: as its old one.
    :ivar text: it, if it came with the row.
    """

    __slots__ = ("is_old", "key", "row", "text")
    row: RawRow
    is_old: bool
    key: Hashable | None
    text: str | None


class LongTexts:
    """Reads long texts one by one, and keeps only their names and keys.

    Equal texts have equal names, so that changes can be chained by them. Implements
    :class:`pgwamp.eventlog.order.Records`.
    """

    def __init__(self, capture: Capture, subjects: Subjects):
        self._capture = capture
        self._subjects = subjects
        self.table_of = subjects.table_of
        self.is_deferrable = subjects.is_deferrable

    async def named(self, row: RawRow) -> RawRow:
        """The row, with names for those of its texts that are long."""
        if row.op not in "iud" or row.size <= SHORT or row.size > LONGEST:
            return row
        old, new = await self._capture.texts(row) if row.is_long else (row.old, row.new)
        return replace(row, old=self._name(row, old, True), new=self._name(row, new, False))

    def arranged(self, row: RawRow) -> RawRow:
        """The row as one of its table, whose columns a partition can have in another order."""
        if row.op not in "iud?" or (row.old is None and row.new is None):
            return row
        if self._subjects.order_of(row) is None:
            return row
        table = self._subjects.table_of(row.relation)
        columns = self._subjects.columns(table)
        return replace(
            row,
            relation=table,
            old=row.old and self._arranged(row, row.old),
            new=row.new and self._arranged(row, row.new),
            stamp=None if columns is None or row.stamp is None else columns.stamp,
        )

    def key_of(self, relation: int, record: str) -> Hashable | None:
        """As :meth:`Subjects.key_of`, also of a name."""
        return record.key if isinstance(record, _Name) else self._subjects.key_of(relation, record)

    async def texts(self, change: RawRow) -> tuple[str | None, str | None]:
        """The old and new text of a change, whatever stands for them."""
        if change.is_long:
            old, new = await self._capture.texts(change)
            return (old if change.op != "i" else None), (new if change.op != "d" else None)
        return await self._text(change.old), await self._text(change.new)

    def _arranged(self, row: RawRow, text: str) -> str:
        """A text of a row with the columns in the order of its table; a name is of such a one."""
        places = self._subjects.order_of(row)
        if places is None or isinstance(text, _Name):
            return text
        try:
            return rearranged(text, places)
        except IndexError:
            # It does not fit its columns, and is told without values.
            return text

    def _name(self, row: RawRow, text: str | None, is_old: bool) -> str | None:
        if text is None or len(text) <= SHORT:
            return text
        key = self._subjects.key_of(row.relation, text)
        text = self._arranged(row, text)
        name = _Name(_NAMED + blake2b(text.encode()).hexdigest())
        name.row, name.is_old, name.key = replace(row, old=None, new=None), is_old, key
        name.text = None if row.is_long else text
        return name

    async def _text(self, text: str | None) -> str | None:
        if not isinstance(text, _Name):
            return text
        if text.text is not None:
            return text.text
        read = (await self._capture.texts(text.row))[0 if text.is_old else 1]
        return None if read is None else self._arranged(text.row, read)
