"""The sequencer's position in the raw rows, and the events that it appends: both are stored."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from hashlib import blake2b
from importlib.resources import files
from typing import Any

import asyncpg
import orjson

from pgwamp.capture import RawRow
from pgwamp.eventlog.body import write_body
from pgwamp.eventlog.lease import FENCE, Lease, LeaseLost
from pgwamp.eventlog.making import Draft
from pgwamp.eventlog.position import MARK_BYTES, Position
from pgwamp.eventlog.resumed import FIRST, Base

_STORE, _TOLD_PUBLISHED = (
    (files("pgwamp.eventlog") / "sql" / name).read_text(encoding="utf-8")
    for name in ("store.sql", "told_published.sql")
)
_STATE = """
select seen::text, taking::text, (taken_place - '0/0'::pg_lsn)::bigint as ending,
    taken_xid::text::bigint as xid, taken_rows as rows,
    (taken_after - '0/0'::pg_lsn)::bigint as after, taken_number as number, position, mark,
    (select key from wamp.secret) as key,
    (select name::text from wamp.era order by began desc limit 1) as era
from wamp.progress
"""


@dataclass(frozen=True, slots=True)
class Taken:
    """How far raw rows were made into events.

    :ivar seen: everything that this snapshot shows.
    :ivar taking: of what this one shows beyond it, the transactions that end before place
        ``ending``, and some of transaction ``xid``, which ends there.
    :ivar base: of that transaction the raw rows up to this place and number,
    :ivar rows: and so many changes of those that follow.
    """

    seen: str
    taking: str | None = None
    ending: int = 0
    xid: int = 0
    base: Base = FIRST
    rows: int = 0

    def behind(self, base: Base, rows: int) -> Taken:
        """The position behind a change of the same transaction."""
        return Taken(self.seen, self.taking, self.ending, self.xid, base, rows)


@dataclass(frozen=True, slots=True)
class Entry:
    """A row of the log that has no position yet.

    :ivar xid: and ``at``: of the change.
    """

    xid: int
    at: datetime
    relation: int
    schema: str | None
    table: str | None
    op: str
    topic: str | None
    options: str | None
    body: str | None
    silent: bool
    batched: bool

    @classmethod
    def of(
        cls,
        row: RawRow,
        draft: Draft,
        relation: int,
        schema: str | None,
        table: str | None,
        *,
        silent: bool = False,
        batched: bool = False,
    ) -> Entry:
        """An event that a raw row has told."""
        options = draft.options
        return cls(
            row.xid,
            row.at,
            relation,
            schema,
            table,
            draft.op,
            draft.topic,
            None if options is None else orjson.dumps(options).decode(),
            write_body(draft.body),
            silent,
            batched,
        )


class State:
    """The stored state of the sequencer, on its connection.

    :ivar taken: how far raw rows were made into events.
    :ivar position: of the last event.
    """

    def __init__(self, connection: asyncpg.Connection[Any], lease: Lease):
        self._connection = connection
        self._lease = lease
        self._key = b""
        self._era = b""
        self.taken = Taken("")
        self.position = Position(0, b"")

    async def load(self) -> None:
        """Read it."""
        row = await self._connection.fetchrow(_STATE)
        assert row is not None
        self.taken = Taken(
            row["seen"],
            row["taking"],
            row["ending"] or 0,
            row["xid"] or 0,
            FIRST if row["number"] is None else (row["after"], row["number"]),
            row["rows"] or 0,
        )
        self.position = Position(row["position"], row["mark"])
        self._key = row["key"]
        self._era = (row["era"] or "").encode()

    async def fence(self) -> None:
        """At the begin of a transaction: see to it that nobody takes over before its end.

        :raises LeaseLost: somebody has.
        """
        if not await self._connection.fetch(FENCE, self._lease.name, self._lease.term):
            raise LeaseLost(f"another process has taken the lease {self._lease.name}")

    async def store(self, taken: Taken, entries: Sequence[Entry]) -> None:
        """Append events, and be after them; all or nothing, and on disk when it returns.

        :raises LeaseLost: somebody else has taken over.
        """
        positions = self._positions(entries)
        last = positions[-1] if positions else self.position
        stored = await self._connection.fetchval(
            _STORE,
            self._lease.name,
            self._lease.term,
            taken.seen,
            taken.taking,
            taken.ending,
            str(taken.xid),
            taken.rows,
            *taken.base,
            last.number,
            last.mark,
            [position.number for position in positions],
            [entry.at for entry in entries],
            [entry.xid for entry in entries],
            [entry.relation for entry in entries],
            [entry.schema for entry in entries],
            [entry.table for entry in entries],
            [entry.op for entry in entries],
            [entry.topic for entry in entries],
            [entry.options for entry in entries],
            [entry.body for entry in entries],
            [position.mark for position in positions],
            [entry.silent for entry in entries],
            [entry.batched for entry in entries],
        )
        if stored is None:
            raise LeaseLost(f"another process has taken the lease {self._lease.name}")
        self.taken, self.position = taken, last

    async def told_published(self) -> Counter[datetime]:
        """The times of the calls of ``wamp.publish`` of the transaction that was taken in part."""
        rows = await self._connection.fetch(_TOLD_PUBLISHED, str(self.taken.xid))
        return Counter(row["at"] for row in rows)

    def _positions(self, entries: Sequence[Entry]) -> list[Position]:
        position, positions = self.position, list[Position]()
        for entry in entries:
            position = Position(position.number + 1, self._mark(position, entry))
            positions.append(position)
        return positions

    def _mark(self, before: Position, entry: Entry) -> bytes:
        """A keyed hash: of another event, after any other ones, or in another era it is another."""
        told = f"{before.number} {entry.xid} {entry.at} {entry.relation} {entry.op} {entry.topic} "
        digest = blake2b(told.encode(), digest_size=MARK_BYTES, key=self._key, person=b"event")
        digest.update(before.mark)
        digest.update(self._era)
        digest.update((entry.body or "").encode())
        return digest.digest()
