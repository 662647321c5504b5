"""Transactions as PostgreSQL runs them: queries of several statements, cascades, and triggers."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from random import Random

from pgwamp.capture import RawRow

TABLE = 1
AT = datetime(2026, 1, 1, tzinfo=UTC)
KEYS = "abcd"
#: Key -> image; an image is its key and what else the row holds.
Rows = dict[str, str]


def key_of(image: str) -> str:
    """The key of an image."""
    return image.partition(":")[0]


def change(old: str | None, new: str | None, place: int = 0, depth: int = 1) -> RawRow:
    """A raw row of a statement that changes one row."""
    op = "i" if old is None else "d" if new is None else "u"
    # No other command of one transaction has the place of the next.
    return RawRow(1, AT, place, 1, 2 * place + 1, depth, TABLE, op, old, new, 0, (0, "(0,1)"))


def recovered(rows: Iterable[RawRow]) -> list[RawRow]:
    """Raw rows as they are after a crash: without their commands."""
    return [replace(row, command=0) for row in rows]


def applied(changes: Iterable[RawRow], rows: Rows, after: Rows) -> Rows:
    """Apply changes as a subscriber does who keeps a copy by key.

    :param after: the rows that are left, in which one is looked up of which only the key is told.
    """
    copy = dict(rows)
    for item in changes:
        keys = {key_of(image) for image in (item.old, item.new) if image is not None}
        if item.op == "?":
            copy = {key: row for key, row in copy.items() if key not in keys}
            copy |= {key: row for key, row in after.items() if key in keys}
            continue
        if item.old is not None:
            copy.pop(key_of(item.old), None)
        if item.new is not None:
            copy[key_of(item.new)] = item.new
    return copy


class Records:
    """How the images read: all relations are members of one table."""

    def __init__(self, *, deferrable: bool = False):
        self._deferrable = deferrable

    def table_of(self, _: int) -> int:
        """The one table."""
        return TABLE

    def is_deferrable(self, _: int) -> bool:
        """Whether two rows may have one key for a while."""
        return self._deferrable

    def key_of(self, _: int, record: str) -> str:
        """The key of an image."""
        return key_of(record)

    def arranged(self, row: RawRow) -> RawRow:
        """The row itself: all members have the same columns."""
        return row


@dataclass
class _Part:
    """A statement of a query: its changes, and what it is named."""

    op: str
    relation: int
    changes: list[tuple[str | None, str | None]] = field(default_factory=list)

    @property
    def keys(self) -> set[str]:
        """The keys that it has changed."""
        return {key_of(image) for images in self.changes for image in images if image}


class Transaction:
    """Runs random queries on rows, and writes raw rows as triggers do.

    :param is_plain: the table has no partitions, so that all statements name it.
    :ivar before: and ``after``: the rows.
    :ivar written: raw rows, as their statements ended.
    """

    def __init__(
        self, random: Random, *, versions: int = 3, queries: int = 3, is_plain: bool = False
    ):
        self._random = random
        self._versions = versions
        self._is_plain = is_plain
        self._changed = 0
        self._sent = AT
        self._command = 1
        self._place = 0
        #: Row versions that are there, by key, with their images.
        self._rows: dict[str, tuple[int, str]] = {}
        self._number = 0
        self.written: list[RawRow] = []
        for key in KEYS:
            if random.random() < 0.5:
                self._put(self._image(key))
        self.before = self._images()
        for _ in range(random.randint(1, queries)):
            # Or another statement of one function.
            self._sent += timedelta(seconds=random.randint(0, 1))
            self._query(1)
        self.after = self._images()

    def _images(self) -> Rows:
        return {key: image for key, (_, image) in self._rows.items()}

    def _image(self, key: str) -> str:
        return f"{key}:{self._random.randrange(self._versions)}"

    def _put(self, image: str) -> None:
        self._number += 1
        self._rows[key_of(image)] = self._number, image

    def _happens(self, probability: float) -> bool:
        return self._random.random() < probability

    def _query(self, depth: int) -> None:
        """Run a query: BEFORE triggers run between its changes, and AFTER triggers at its end."""
        random = self._random
        self._command += 1
        visible = {number for number, _ in self._rows.values()}
        ops = random.choices("iud", k=random.choice([1, 1, 1, 2, 3]))
        parts = [_Part(op, TABLE + n) for n, op in enumerate(ops)]
        if self._is_plain:
            # Those of one operation have one trigger.
            parts = [_Part(op, TABLE) for op in dict.fromkeys(ops)]
        is_apart = self._happens(0.5)
        for part in random.choices(parts, k=random.randint(1, 2 * len(parts))):
            self._trigger(depth, 0.15)
            others = {key for p in parts if p is not part for key in p.keys} if is_apart else set()
            self._change(part, visible, others)
        cascades: list[_Part] = []
        random.shuffle(parts)
        if not is_apart:
            self._after_rows(parts, depth, cascades, set())
        for part in parts:
            if is_apart:
                keys = {key for one in parts for key in one.keys}
                self._after_rows([part], depth, cascades, keys)
            self._write(part, depth, is_apart)
        for cascade in cascades:
            self._write(cascade, depth, is_apart)
        self._trigger(depth, 0.1)

    def _after_rows(
        self, parts: list[_Part], depth: int, cascades: list[_Part], others: set[str]
    ) -> None:
        """Fire the row triggers of statements, those of foreign keys among them."""
        for part in parts:
            for _ in part.changes:
                self._trigger(depth, 0.25)
            if self._happens(0.15) and not self._is_plain:
                # They see all rows; what they change is told after all others.
                cascade = _Part(self._random.choice("ud"), 100 + len(cascades))
                self._change(cascade, {number for number, _ in self._rows.values()}, others)
                cascades.append(cascade)

    def _trigger(self, depth: int, probability: float) -> None:
        if depth < 3 and self._happens(probability):
            self._query(depth + 1)

    def _change(self, part: _Part, visible: set[int], others: set[str]) -> None:
        """Change a row that is visible to the query, or insert one, but for some keys."""
        old, key = None, self._random.choice(KEYS)
        if part.op != "i":
            rows = [image for number, image in self._rows.values() if number in visible]
            if not rows:
                return
            old = self._random.choice(rows)
            if not self._happens(0.3):
                key = key_of(old)
        if part.op != "d" and key in self._rows and (old is None or key != key_of(old)):
            return
        if {key, key_of(old or key)} & others:
            return
        if old is not None:
            del self._rows[key_of(old)]
        self._changed += 1
        new = None if part.op == "d" else self._image(key)
        if new is not None:
            self._put(new)
        part.changes.append((old, new))

    def _write(self, part: _Part, depth: int, is_apart: bool) -> None:
        """Fire the triggers of a statement: that of the capture, and sometimes one that writes."""
        if is_apart:
            # To a table that nobody watches.
            self._command += self._random.randint(0, 1)
            self._trigger(depth, 0.1)
        if not part.changes:
            return
        self._place += 1
        self.written += [
            RawRow(
                1, AT, self._place, n, self._command, depth, part.relation, part.op, old, new, 0,
                (0, "(0,1)"), None, self._sent, self._changed if self._is_plain else None,
            )
            for n, (old, new) in enumerate(part.changes, 1)
        ]  # fmt: skip
        self._command += 1
