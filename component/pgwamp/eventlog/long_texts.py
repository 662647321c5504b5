"""Long texts of records, while their changes are ordered: a name stands for each."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import replace
from hashlib import blake2b

from pgwamp.capture import Capture, RawRow
from pgwamp.eventlog.subjects import Subjects

#: Octets of the texts of a change of which not even the key is read.
LONGEST = 64 * 1024 * 1024
#: Characters of a text that has no name: it depends on the text alone, or equal ones would differ.
SHORT = 4096
#: No text of a record begins so.
_NAMED = "\0"


class LongTexts:
    """Reads long texts one by one, and keeps only their names and keys.

    Equal texts have equal names, so that changes can be chained by them.
    """

    def __init__(self, capture: Capture, subjects: Subjects):
        self._capture = capture
        self._subjects = subjects
        #: Of each name a row that has the text, whether as its old one, and the key.
        self._named: dict[str, tuple[RawRow, bool, Hashable | None]] = {}

    async def named(self, row: RawRow) -> RawRow:
        """The row, with names for those of its texts that are long."""
        if row.op not in "iud" or row.size <= SHORT or row.size > LONGEST:
            return row
        old, new = await self._capture.texts(row) if row.is_long else (row.old, row.new)
        return replace(row, old=self._name(row, old, True), new=self._name(row, new, False))

    def key_of(self, relation: int, text: str) -> Hashable | None:
        """As :meth:`Subjects.key_of`, also of a name."""
        if text.startswith(_NAMED):
            return self._named[text][2]
        return self._subjects.key_of(relation, text)

    async def texts(self, change: RawRow) -> tuple[str | None, str | None]:
        """The old and new text of a change, whatever stands for them."""
        if change.is_long:
            old, new = await self._capture.texts(change)
            return (old if change.op != "i" else None), (new if change.op != "d" else None)
        return await self._text(change.old), await self._text(change.new)

    def forget(self) -> None:
        """Forget all names."""
        self._named.clear()

    def _name(self, row: RawRow, text: str | None, is_old: bool) -> str | None:
        if text is None or len(text) <= SHORT:
            return text
        name = _NAMED + blake2b(text.encode()).hexdigest()
        self._named[name] = row, is_old, self._subjects.key_of(row.relation, text)
        return name

    async def _text(self, text: str | None) -> str | None:
        if text is None or not text.startswith(_NAMED):
            return text
        row, is_old, _ = self._named[text]
        old, new = await self._capture.texts(row) if row.is_long else (row.old, row.new)
        return old if is_old else new
