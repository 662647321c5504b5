"""The sequencer's work while it holds the lease: look, order, make events, store; and sleep.

A look finds what is visible now and was not visible at the last one. Mostly that is little: it is
ordered in memory and stored with the new snapshot, in one statement. What is more is streamed,
transaction after transaction, in many small transactions; until all of it is taken, the state names
both snapshots and how far the second one was taken.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import aclosing
from dataclasses import replace
from datetime import timedelta
from typing import Any

import asyncpg

from pgwamp.capture import CONTROL, Look, RawRow, Signal, TriggerCapture, Turns
from pgwamp.eventlog.conditions import Conditions
from pgwamp.eventlog.entries import Entries
from pgwamp.eventlog.era import begin_era
from pgwamp.eventlog.evaluator import Evaluator
from pgwamp.eventlog.lease import Lease
from pgwamp.eventlog.long_texts import LongTexts
from pgwamp.eventlog.retention import Retention
from pgwamp.eventlog.state import Entry, State, Taken
from pgwamp.eventlog.subjects import Subjects
from pgwamp.eventlog.telling import Telling
from pgwamp.eventlog.transactions import LargeTransaction, ordered, segments

#: Raw rows of a look at most, and bytes of their texts; beyond, they are streamed.
MOST_ROWS, MOST_BYTES = 2_000, 16_000_000
#: Rows that are ordered on the event loop; more are ordered in a thread beside it.
MOST_ON_LOOP = 100
#: Changes that become events at once, and bytes of their texts.
AT_ONCE, BYTES_AT_ONCE = 500, 1_000_000
#: Seconds between looks while there is something each time, and while there is nothing.
FOUND_PAUSE, SHORT_PAUSE, LONG_PAUSE = 0.001, 0.002, 0.02
#: Seconds without anything new until the sequencer falls asleep, and that it sleeps at most.
LINGER, LONGEST_SLEEP = 0.05, 5.0
#: Writers are better not made to notify when so many looks found something within so many seconds,
#: or a look so many rows.
OFTEN, OFTEN_WITHIN, MANY = 8, 0.05, 16
#: Seconds between looks at room and retention.
MAINTENANCE_SECONDS = 10.0


class Sequencing:
    """The sequencer at work.

    :param connection: for all statements; :param streaming: for a long answer beside them.
    :param logged: called when events were appended.
    """

    def __init__(
        self,
        connection: asyncpg.Connection[Any],
        streaming: asyncpg.Connection[Any],
        lease: Lease,
        retain: timedelta,
        *,
        evaluator: Evaluator,
        telling: Telling,
        bigint_as_string: bool,
        logged: Callable[[], None],
    ):
        self._connection = connection
        self._logged = logged
        self._capture = TriggerCapture(connection, streaming)
        self._subjects = Subjects(connection, telling, bigint_as_string=bigint_as_string)
        self._long = LongTexts(self._capture, self._subjects)
        self._evaluator = evaluator
        self.telling = telling
        self.entries = Entries(self._long, Conditions(evaluator), self._subjects)
        self.signal = Signal(connection)
        self.state = State(connection, lease)
        self._turns = Turns(connection, self.signal)
        self._retention = Retention(connection, self.state, retain)
        self._maintain_at = 0.0
        self._finds: deque[float] = deque(maxlen=OFTEN)

    async def start(self) -> None:
        """Read the state, and begin another era if this is another history."""
        await self.signal.start()
        await self.state.load()
        await begin_era(self._connection, self.state)
        await self._subjects.load()
        # Opened now: later, when no connection is left, events would come without values.
        await self._evaluator.open()

    async def run(self, stopping: asyncio.Event) -> None:
        """Make events of what is written, until stopped; then of what was written before."""
        while not stopping.is_set():
            await self._stay_awake(stopping)
            if self.signal.may_sleep:
                await self._sleep(stopping)
        await self.look()

    async def look(self) -> int:
        """Make events of all that is committed and new; the number of raw rows."""
        self._subjects.look()
        if self.state.taken.taking is not None:
            return await self._stream()
        seen = self.state.taken.seen
        look = await self._capture.look(seen, MOST_ROWS)
        if not look.rows:
            # Nothing to store: the next look begins at the same snapshot, or at this one.
            self.state.taken = Taken(look.snapshot)
            return 0
        if len(look.rows) >= MOST_ROWS or sum(row.size for row in look.rows) > MOST_BYTES:
            await self.state.store(Taken(seen, look.snapshot), ())
            return await self._stream()
        await self._take_whole(look)
        return len(look.rows)

    async def _take_whole(self, look: Look) -> None:
        by_xid: dict[int, list[RawRow]] = {}
        for row in look.rows:
            by_xid.setdefault(row.xid, []).append(await self._complete(row))
        transactions = sorted(
            by_xid.values(), key=lambda rows: (max(row.place for row in rows), rows[0].xid)
        )
        # Each part is made when those before it were taken: tables are what these have left.
        parts = (part for rows in transactions for part in segments(rows, self._long))
        controls = any(row.op in CONTROL for row in look.rows)
        if not controls and all(self._subjects.fits(row) for row in look.rows):
            changes = [change for part in parts for change in await self._ordered(part)]
            await self._store(Taken(look.snapshot), await self.entries.of(changes))
            return
        entries: list[Entry] = []
        for part in parts:
            if part[0].op in CONTROL:
                entries += await self._take_control(part[0], len(entries))
                continue
            relations = {row.relation for row in part}
            await self._subjects.settle(relations)
            for row in await self._subjects.outdated(part):
                entries += await self._take_control(row, len(entries))
                await self._subjects.settle(relations)
            entries += await self.entries.of(await self._ordered(part))
        await self._store_with_control(Taken(look.snapshot), entries)

    async def _stream(self) -> int:
        """Take what a look was too small for, or what another sequencer has begun to."""
        begin = self.state.taken
        assert begin.taking is not None
        number, byte_count, changes, here = 0, 0, list[RawRow](), begin
        entries, has_control = list[Entry](), False
        async with aclosing(self._changes(begin)) as found:
            async for change, after in found:
                number += 1
                if change.op in CONTROL:
                    # Stored with what follows: layouts are made anew when rows need them.
                    entries += await self.entries.of(changes)
                    entries += await self._take_control(change, len(entries))
                    changes, has_control = [], True
                else:
                    changes.append(change)
                    byte_count += change.size
                here = after
                if len(entries) + len(changes) >= AT_ONCE or byte_count >= BYTES_AT_ONCE:
                    entries += await self.entries.of(changes)
                    store = self._store_with_control if has_control else self._store
                    await store(here, entries)
                    byte_count, changes, entries, has_control = 0, [], [], False
        entries += await self.entries.of(changes)
        store = self._store_with_control if has_control else self._store
        await store(Taken(begin.taking), entries)
        return number

    async def _changes(self, begin: Taken) -> AsyncGenerator[tuple[RawRow, Taken]]:
        """The changes of all transactions that are left, each with the position after it.

        Of the first one, some were taken before: it is ordered again from its last unit on.
        """
        assert begin.taking is not None
        transaction: LargeTransaction | None = None
        here = begin
        published = await self.state.told_published() if begin.rows else None
        rows = self._capture.stream(begin.seen, begin.taking, begin.ending, begin.xid)
        async with aclosing(rows) as streamed:
            async for part in streamed:
                if transaction is None or (part.ending, part.xid) != (here.ending, here.xid):
                    if transaction is not None:
                        placed = await asyncio.to_thread(transaction.end)
                        for change, base, number in placed:
                            yield change, here.behind(base, number)
                    here = begin
                    if (part.ending, part.xid) != (begin.ending, begin.xid):
                        here = Taken(begin.seen, begin.taking, part.ending, part.xid)
                    transaction = LargeTransaction(self._long, here.base, here.rows, published)
                left = [row for row in part.rows if (row.place, row.number) > here.base]
                while left:
                    fitting, control = await self._until_control(left)
                    left = left[len(fitting) :]
                    placed = await asyncio.to_thread(transaction.add, fitting)
                    if control is not None:
                        placed += await asyncio.to_thread(transaction.end)
                    for change, base, number in placed:
                        here = here.behind(base, number)
                        yield change, here
                    if control is None:
                        continue
                    base = transaction.last
                    if left[0] is control:
                        base = control.place, control.number
                        left = left[1:]
                    here = replace(here, base=base, rows=0)
                    # When it is taken, tables are what they are from there on.
                    yield control, here
                    transaction = LargeTransaction(self._long, base)
        if transaction is not None:
            placed = await asyncio.to_thread(transaction.end)
            for change, base, number in placed:
                yield change, here.behind(base, number)

    async def _until_control(self, rows: Sequence[RawRow]) -> tuple[list[RawRow], RawRow | None]:
        """The rows before the first control row, and that; it is one of them. No more than fits.

        Or what tells of the columns of the first row that says that its table has others by now.
        """
        found: list[RawRow] = []
        byte_count = 0
        for row in rows:
            if row.op in CONTROL:
                return found, row
            await self._subjects.settle([row.relation])
            if not self._subjects.fits(row):
                for control in await self._subjects.outdated([row]):
                    return found, control
            found.append(await self._long.named(await self._complete(row)))
            byte_count += found[-1].size
            if byte_count >= BYTES_AT_ONCE:
                break
        return found, None

    async def _complete(self, row: RawRow) -> RawRow:
        """The row with the texts that are needed whole, however long they are."""
        if not row.is_long or row.op in "iud" or row.op in CONTROL:
            return row
        old, new = await self._capture.texts(row)
        return replace(row, old=old, new=new)

    async def _ordered(self, rows: Sequence[RawRow]) -> list[RawRow]:
        """The changes of a segment in order; names stand for long texts."""
        if len(rows) == 1:
            return list(rows)
        named = [await self._long.named(row) for row in rows]
        if len(rows) <= MOST_ON_LOOP:
            return ordered(named, self._long)
        return await asyncio.to_thread(ordered, named, self._long)

    async def _take_control(self, row: RawRow, before: int) -> list[Entry]:
        """Take over what a table is from now on; it is stored with what follows.

        :param before: entries that have no position yet.
        """
        if row.is_long and self._subjects.concerns(row):
            old, new = await self._capture.texts(row)
            row = replace(row, old=old, new=new)
        gone, come = await self._subjects.note(row, self.state.taken.seen)
        begun = self._subjects.begins(row.relation, self.state.position.number + before + 1)
        return [
            *(self.entries.of_beginning(row) if begun else ()),
            *self.entries.of_partitions(row, gone, come),
        ]

    async def _store_with_control(self, taken: Taken, entries: Sequence[Entry]) -> None:
        """Store entries with what tables are from now on.

        All of it is made before: a condition takes its time, and the transaction must not.
        """
        await self._subjects.settle()
        async with self._connection.transaction():
            await self.state.fence()
            await self._subjects.store()
            await self.state.store(taken, entries)
        self._subjects.tell_unknown()
        self._logged()

    async def _store(self, taken: Taken, entries: Sequence[Entry]) -> None:
        """Store entries in parts, the last one with the position after all of them."""
        await self.state.store(taken, entries)
        if entries:
            self._logged()

    async def _stay_awake(self, stopping: asyncio.Event) -> None:
        """Look without being woken, until there is little for a while."""
        now = asyncio.get_running_loop().time
        await self.signal.stay_awake()
        end, pause = now() + LINGER, SHORT_PAUSE
        while not stopping.is_set():
            number = await self.look()
            if number:
                await asyncio.sleep(FOUND_PAUSE if number < MOST_ROWS else 0)
                pause = SHORT_PAUSE
            if number >= MANY or (number and not self.signal.may_sleep):
                end = now() + LINGER
            elif now() >= end:
                if self.signal.may_sleep:
                    break
                pause = min(pause * 1.5, LONG_PAUSE)
            await self._maintain(busy=number > 0)
            if not number:
                self.signal.clear()
                await self.signal.sleep(pause)
        self._finds.clear()

    async def _sleep(self, stopping: asyncio.Event) -> None:
        """Look when a writer notifies, until that is too often."""
        await self.signal.fall_asleep()
        # Whoever has seen us awake does not notify.
        silent = await self.signal.writing()
        pause = SHORT_PAUSE
        while not stopping.is_set():
            self.signal.clear()
            if silent:
                silent = await self.signal.writing(silent)
            number = await self.look()
            if number >= MANY or (number and self._is_often()):
                return
            await self._maintain(busy=number > 0)
            woken = await self.signal.sleep(pause if silent else LONGEST_SLEEP)
            pause = SHORT_PAUSE if woken or number else min(pause * 1.5, LONG_PAUSE)

    def _is_often(self) -> bool:
        now = asyncio.get_running_loop().time()
        self._finds.append(now)
        return len(self._finds) == OFTEN and now - self._finds[0] < OFTEN_WITHIN

    async def _maintain(self, *, busy: bool) -> None:
        """Look after room, retention and tables that are gone; if busy, only if long overdue."""
        now = asyncio.get_running_loop().time()
        if now >= self._maintain_at + busy * MAINTENANCE_SECONDS:
            self._maintain_at = now + MAINTENANCE_SECONDS
            await self._turns.look_after(self.state.taken.seen)
            await self._retention.look_after()
            await self._subjects.drop_gone(self.state.taken.seen)
            self._subjects.tell_again()
