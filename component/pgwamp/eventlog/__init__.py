"""The event log: what has changed, as events in one order, which readers resume by position.

::

    writers ──> wamp.raw ──> sequencer ──> wamp.log ──> publisher ──> topics
      (triggers, in the        (one          (by          (one for each realm and prefix)
       transaction of           process,      position) ─> changes, follow, live queries
       the change)              by lease)

Triggers write *what changed* and nothing else (:mod:`pgwamp.capture`). One process, the
**sequencer**, makes events of it and appends them to the log. Many transactions write at the same
time, and commit in another order than they wrote; the sequencer deals with all that follows from
that, once. Behind it, an event has a number, and every reader has read up to some number.

Changes come into the log exactly once. The publisher sends them at least once; notifications of
plain channels (``events.channels``) go out at most once.

**What holds**

1. Each committed change is processed exactly once, and no other is: events and the sequencer's
   progress in the raw rows are stored in one transaction. A change makes one event; none if the
   condition of the watch does not hold or no column of the watch changed; two if the row changes
   its audience. What no trigger of PostgreSQL sees is told by nobody: a MERGE that moves a row to
   another partition and names no DELETE or no INSERT.
2. Whoever sees an event sees on the primary at least the state that its commit left, also after a
   crash: the sequencer's own commit flushes the WAL of all earlier ones, even of those with
   ``synchronous_commit = off``.
3. Dependent transactions are in commit order: those that change the same row, or of which one
   frees a unique key that the other uses. The order of independent ones is unspecified. The
   events of a transaction stand together. Applied as upserts and deletes by key, they give what
   it left.
4. An event is final, until ``wamp.forget`` erases it. Its values are in the form in which they
   travel, made by the columns and types that the row was written with. Later DDL does not change
   it.
5. No event stops the others. If its values cannot be produced, an event has ``truncated: true``,
   and the key if that is known: the consumer reads the row again. (This mark has nothing to do
   with TRUNCATE, whose events have the operation ``truncate``.)

**Order between transactions.** Raw rows carry ``pg_current_wal_insert_lsn()``, taken when the
trigger fires, after the statement has locked its rows. A row that two transactions change is
locked until the first has committed, and a unique key likewise: so the second one's LSN is higher
than all of the first's. A transaction is placed at the highest LSN of its raw rows. Where a key
is checked at the end of the transaction (DEFERRABLE), a constraint trigger records one more LSN
there.

**Order within a transaction** (:mod:`pgwamp.eventlog.order`). Statement triggers fire when a
statement ends, so with nested triggers, cascades of foreign keys and data-modifying WITH the
order of raw rows is not that of the changes. Changes of one key are chained by their images, each
old one equal to the new one before, in an order that their statements allow
(:mod:`pgwamp.eventlog.statements`). Where there is none, or one that begins elsewhere, the net
change is told, which is none if a row has come and gone. Transactions that are too large to be
held in memory are ordered unit by unit (:mod:`pgwamp.eventlog.transactions`); only the key is told
of changes that may have come before one that was told already.

**Progress** (:mod:`pgwamp.eventlog.sequencing`). Mostly it is one snapshot, ``seen``: everything
that it shows is in the log. A poll that finds little goes on to the next ``seen`` in one
statement. One that finds much stores a second snapshot, ``taking``, and goes on in parts, each a
small transaction. Then the progress is a point in what ``taking`` shows beyond ``seen``: the
transaction, a raw row on which nothing that follows depends, and the number of changes since. A
successor orders what follows again and skips these changes (:mod:`pgwamp.eventlog.resumed`); the
row is never before DDL, so that it finds the same order.
Progress is stored with the last event of each part: a row that changed with each event would be
slow beside an old snapshot, for which PostgreSQL keeps all of its versions.

**Tables** (:mod:`pgwamp.eventlog.subjects`, :mod:`pgwamp.eventlog.layout`). Watching, unwatching
and DDL write raw rows too, in the transaction in which they happen. So the sequencer learns of
them in order: rows before ALTER TABLE are read by the old columns, those after it by the new ones,
and a watch begins and ends exactly at its commit. What it knows at its progress is stored with the
progress. Where a table begins to be watched, or under another name, the log has a marker: cursors
of the table from before are not good any more. Where a relation changes whose rows are values of a
watched table, it tells only of itself, and the sequencer finds the tables: so DDL of one owner
never waits for another. Of many such changes (:mod:`pgwamp.eventlog.composites`) the last one
counts, when rows of the table or the progress need it; how long this may take is bounded
(:mod:`pgwamp.eventlog.budget`). Sessions that have not seen each other can tell in any order: each
layout comes with its snapshot. If others have altered the table unseen, and it is not the same, it
is not known how rows read (:mod:`pgwamp.eventlog.alterations`); then the table is told anew, beside
the sequencer (:mod:`pgwamp.eventlog.telling`). What has to be asked while rows wait, as whether a
new composite was altered before anybody had to know, is bounded (:mod:`pgwamp.eventlog.present`).
While it is not known how rows read, as
when that could not be told, events come without values. Where nobody may create event triggers, raw
rows carry a hash of their columns instead: if it is that of the present columns they are used from
there on; rows with a hash that nobody knows come without values.

**Cursors** (:mod:`pgwamp.eventlog.position`). A cursor is ``NUMBER-HASH``, with a keyed hash of
the event and of the hash before it. It is good as long as the log has that event with that hash:
then all events before it are those that its holder has read, too.

**When something fails**

- *A writer* is rolled back or killed: its raw rows were never visible.
- *The sequencer is killed*: its successor polls again for what was not committed. What was
  committed is not repeated.
- *The sequencer is paused* (SIGSTOP, a paused machine) and resumes after a takeover: it cannot
  store, because the term of its lease has changed (:mod:`pgwamp.eventlog.lease`), and ends.
- *No sequencer runs*: writers are not blocked, and ``wamp.raw`` grows.
- *The database crashes*: all tables are logged, so that committed raw rows and stored events are
  there, and nothing else. The sequencer goes on from the progress that is stored. Of a large
  transaction that was taken in part, the commands are lost by which its statements were ordered:
  what may have been taken is told by its keys, and what was published is told unless the log has it
  (:mod:`pgwamp.eventlog.resumed`).
- *A standby is promoted, or a database is recovered to a point in time*, with or without lost
  transactions: the log goes back together with the tables. The new timeline begins an era
  (:mod:`pgwamp.eventlog.era`), whose name is part of all hashes from then on, so that numbers
  that are given out again have other hashes. Cursors of lost events answer ``cursor_expired``;
  all others go on.
- *A backup or a snapshot of the disk is put back*, and only what the copy has is recovered, which
  keeps the timeline: events that come in place of lost ones have other transactions, times and
  values, and so other hashes; and so have all that follow. What was committed and no event yet
  when the copy was made becomes the same event again, with the same hash if no other is before it.
- *A dump is restored*, in another server or in this one (:mod:`pgwamp.eventlog.moving`): numbers of
  transactions, places in the WAL and oids mean nothing there. Raw rows that were made into events
  already are dropped; all others are new, and come before any change of later transactions. If the
  dump was made while a large transaction was taken, the statement that was being taken comes again.
- *A record does not fit its columns*, a value cannot be read, or a condition fails or takes too
  long: the event comes without values, this is logged once for each table, and the others go on.
- *Retention* empties the oldest partition of the log: a cursor at its last event is still good,
  one before it has expired. What a publisher has not published stays, unless no component of its
  realm and prefix has run for as long as events are kept.
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
