"""Folding events into rows, and seeing at once when one is missing, wrong or out of order."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from tests.events.oracle.tables import EXTRA, Row, Table

Event = Mapping[str, Any]


class Wrong(AssertionError):
    """An event does not follow from those before it."""


class Fold:
    """What a subscriber of one table knows.

    Each event must fit the row as it is known: what it says was there before must be what the
    events before have made. So whatever is lost or out of order shows with the next change.

    :ivar rows: the rows by key.
    :ivar changes: ``(op, token)`` of each change, as the journal has them.
    :ivar events: different events that came.
    :ivar duplicates: events that came again, and were passed over.
    :ivar unclear: keys of rows that would have to be read again.
    """

    def __init__(self, table: Table, reader: str):
        self._table = table
        self._reader = reader
        self._seen: set[str] = set()
        self.rows: dict[tuple[Any, ...], Row] = {}
        self.changes: set[tuple[str, int]] = set()
        self.unclear: set[tuple[Any, ...]] = set()
        self.events = self.truncates = self.duplicates = 0

    def take(self, event: Event) -> None:
        """Fold one event, unless its id was there before.

        :raises Wrong: it does not follow from those before it.
        """
        if event["id"] in self._seen:
            self.duplicates += 1
            return
        self._seen.add(event["id"])
        self.events += 1
        if event["op"] == "truncate":
            self._truncate(event)
            return
        getattr(self, f"_{event['op']}")(event, self._table.key_of(event["key"]))

    def _truncate(self, event: Event) -> None:
        """All rows are gone, of the table or of a partition: then they count as deleted."""
        partition = event.get("partition")
        if partition is None:
            self.truncates += 1
            self.rows.clear()
            return
        for key, row in list(self.rows.items()):
            if partition == f"public.{self._table.member_of(row)}":
                del self.rows[key]
                self.changes.add(("delete", row["token"]))

    def start_over(self) -> None:
        """Forget all rows and events, but not how many there were."""
        self._seen.clear()
        self.rows.clear()

    def begin_with(self, rows: Iterable[Row]) -> None:
        """Take rows as they are."""
        self.rows |= {self._table.key_of(row): self._table.only(row) for row in rows}

    def begin_without(self, key: Mapping[str, Any]) -> None:
        """Refuse a row that a snapshot cannot tell: no condition of these tables fails."""
        raise Wrong(f"{self._reader} of {self._table.name}: the snapshot cannot tell {key}")

    def _insert(self, event: Event, key: tuple[Any, ...]) -> None:
        self._require(key not in self.rows, event, "the row is there already")
        self._put(event, key)

    def _update(self, event: Event, key: tuple[Any, ...]) -> None:
        new, old = self._table.only(event["new"]), self._table.only(event.get("old", {}))
        known = self.rows.pop(self._table.key_of({**new, **old}), None)
        if known is None:
            raise self._wrong(event, "the row is not there")
        self._require(known.items() >= old.items(), event, f"the row was {known}")
        self._require(key not in self.rows, event, "the new key is taken")
        self._require(
            {c for c in event["changed"] if c not in EXTRA}
            == {c for c in new if new[c] != known[c]},
            event,
            f"what changed is not what differs: the row was {known}",
        )
        if new["token"] != known["token"]:
            self._require(new["version"] == known["version"] + 1, event, "a version is missing")
        self._put(event, key)

    def _delete(self, event: Event, key: tuple[Any, ...]) -> None:
        known = self.rows.pop(key, None)
        if known is None:
            raise self._wrong(event, "the row is not there")
        old = self._table.only(event.get("old", known))
        self._require(known == old, event, f"the row was {known}")
        self.changes.add(("delete", known["token"]))

    def _put(self, event: Event, key: tuple[Any, ...]) -> None:
        row = self._table.only(event["new"])
        self._require(key == self._table.key_of(row), event, "the key is not the row's")
        self.rows[key] = row
        self.changes.add(("write", row["token"]))

    def _require(self, fits: bool, event: Event, problem: str) -> None:
        if not fits:
            raise self._wrong(event, problem)

    def _wrong(self, event: Event, problem: str) -> Wrong:
        return Wrong(f"{self._reader} of {self._table.name}: {problem}, and then came {event}")


class Copy(Fold):
    """What a subscriber of a table knows whose changes nobody notes.

    In a large transaction an event may come that does not fit, if another one of the transaction
    says afterwards that the row has to be read again.

    :ivar marked: events that told the key of a row, and not its values.
    """

    def __init__(self, table: Table, reader: str):
        super().__init__(table, reader)
        self.marked = 0
        self._xid = ""
        #: What did not fit, by the key, in the transaction that is told.
        self._misfits: dict[tuple[Any, ...], Wrong] = {}

    def start_over(self) -> None:
        super().start_over()
        self.unclear.clear()
        self._misfits.clear()

    def begin_without(self, key: Mapping[str, Any]) -> None:
        """Read it again, as after an event without values."""
        self._forget(self._table.key_of(key))

    def require_fit(self) -> None:
        """Raise the first :class:`Wrong` that nothing has cured."""
        for wrong in self._misfits.values():
            raise wrong

    def take(self, event: Event) -> None:
        if event["id"] not in self._seen and event["xid"] != self._xid:
            self.require_fit()
            self._xid = event["xid"]
        if "truncated" in event and event["id"] not in self._seen:
            self._seen.add(event["id"])
            self.marked += 1
            key = self._table.key_of(event["key"])
            self._misfits.pop(key, None)
            self._forget(key)
            return
        super().take(event)

    def _truncate(self, event: Event) -> None:
        super()._truncate(event)
        self.unclear.clear()
        self._misfits.clear()

    def _insert(self, event: Event, key: tuple[Any, ...]) -> None:
        self._become(event, key, "the row is there already")

    def _update(self, event: Event, key: tuple[Any, ...]) -> None:
        self._remove(event, {**event["new"], **event["old"]}, event["old"])
        self._become(event, key, "the new key is taken")

    def _delete(self, event: Event, key: tuple[Any, ...]) -> None:
        self._remove(event, event["old"], event["old"])

    def _remove(self, event: Event, row: Mapping[str, Any], old: Mapping[str, Any]) -> None:
        key = self._table.key_of(row)
        known = self.rows.pop(key, None)
        if key in self.unclear:
            self.unclear.discard(key)
        elif known is None or not known.items() >= old.items():
            self._misfits[key] = self._wrong(event, f"the row was {known}")

    def _become(self, event: Event, key: tuple[Any, ...], problem: str) -> None:
        if key in self.rows:
            self._misfits[key] = self._wrong(event, problem)
        self.unclear.discard(key)
        self.rows[key] = event["new"]

    def _forget(self, key: tuple[Any, ...]) -> None:
        self.rows.pop(key, None)
        self.unclear.add(key)
