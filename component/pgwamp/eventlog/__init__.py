"""The event log: what has changed, as events in one order that everybody reads by position.

::

    writers ──> wamp.raw ──> sequencer ──> wamp.log ──> publisher ──> topics
      (triggers, in the        (one          (by          (one for each realm and prefix)
       transaction of           process,      position) ─> changes, follow, live queries
       the change)              by lease)

Triggers say *what changed* and nothing else (:mod:`pgwamp.capture`). One process, the
**sequencer**, makes events of it and appends them to the log. Many transactions write at the same
time and commit in another order than they write; all that follows from that is dealt with here,
once. Behind it an event has a number, and every reader is after some number.

**What holds**

1. A change becomes an event exactly once, if and only if its transaction commits: events and the
   sequencer's position in the raw rows are stored in one transaction.
2. Whoever sees an event sees its row on the primary, also after a crash: what was committed
   before the sequencer's own commit is on disk with it, even with ``synchronous_commit = off``.
3. Positions rise in the order of commits as far as that can be told: of two transactions that
   change one row, or hand on one key, the first one's events come first. The events of a
   transaction stand together, and applied by key they leave what the transaction left.
4. An event is final. Its values are in the form in which they travel, made by the columns and
   types that the row was written with. What the table becomes later does not change it.
5. No event stops the others. One whose values cannot be told says so (``truncated``), with its
   key if that is known: whoever keeps a copy reads the row again.

**How the order is found** (:mod:`pgwamp.eventlog.order`, :mod:`pgwamp.eventlog.transactions`)

Raw rows carry the place in the WAL at which their statement wrote them, after its rows were
locked. A row that two transactions change is locked until the first has committed, so the
second's place is higher than all of the first's: a transaction stands where its last statement
wrote. Where keys are checked at the end of the transaction (DEFERRABLE), a trigger writes one
more place there. Within a transaction statements end in another order than rows change (triggers,
cascades, WITH): changes of one key are chained by their images, each old one equal to the new one
before.

**How a look is taken** (:mod:`pgwamp.eventlog.sequencing`)

New is what a snapshot shows and the last one did not. The state is the pair of them and a place::

    seen                            everything that this snapshot shows is in the log
    seen, taking, place, xid, rows  of what ``taking`` shows beyond ``seen``, everything before that
                                    place, and so many changes of the transaction that ends there

A look that finds little goes from ``seen`` to the next ``seen`` in one statement. One that finds
much stores ``taking`` and goes on in parts, each a small transaction; a sequencer that takes over
in the middle orders the transaction again and passes over the changes that are stored.

**What a table is** (:mod:`pgwamp.eventlog.subjects`, :mod:`pgwamp.eventlog.layout`)

Watching, unwatching and DDL write raw rows too, in the transaction in which they happen. So the
sequencer learns of them in order: rows before ALTER TABLE are read by the old columns, those
after it by the new ones, and a watch begins and ends exactly at its commit. What it knows at its
position is stored with the position. Where nobody may create event triggers, raw rows carry a
hash of their columns instead, and one that does not fit is told without values.

**Cursors** (:mod:`pgwamp.eventlog.position`) name a position and the mark of its event, a keyed
hash. Whoever comes with one goes on if that event is there and has this mark.

**When something fails**

- *A writer* is rolled back or killed: its raw rows were never visible.
- *The sequencer* is killed: what it had not stored is looked at again, by the next one. What it
  had stored is in the log once.
- *It is stopped, and goes on after a takeover*: it cannot store, because its term of the lease is
  over (:mod:`pgwamp.eventlog.lease`), and ends.
- *Nobody sequences*: raw rows wait. Writers do not notice.
- *The database crashes*: committed raw rows and stored events are there, others are not. The
  sequencer goes on from the position that is stored, whatever it had looked at.
- *A standby is promoted, or a backup is put back*, with or without lost transactions: the log
  goes back with the tables, to the same moment. Another timeline begins another era
  (:mod:`pgwamp.eventlog.era`), so that numbers that are given out again have other marks. Cursors
  of what was lost answer ``cursor_expired``; all others are good.
- *A dump is restored in another server*: numbers of transactions mean nothing there. All raw rows
  that came along are taken as new, before anything else.
- *A record does not fit* its columns, a value cannot be read, a condition fails or takes too
  long, the table is locked or gone: the event is told without values, is logged once, and the
  others go on.
- *Retention* empties a partition of the log: a cursor at its last event is still good, one before
  it has expired. What a publisher has not published stays.
"""

from pgwamp.eventlog.lease import LeaseLost, Leases
from pgwamp.eventlog.log import LoggedEvent, Page, last_position, oldest_position, read_page
from pgwamp.eventlog.position import START, Position, parse_cursor
from pgwamp.eventlog.sequencer import Sequencer
from pgwamp.eventlog.snapshot import Snapshot

__all__ = [
    "START",
    "LeaseLost",
    "Leases",
    "LoggedEvent",
    "Page",
    "Position",
    "Sequencer",
    "Snapshot",
    "last_position",
    "oldest_position",
    "parse_cursor",
    "read_page",
]
