"""``changes`` and ``follow``: the log, read again from a position on, and then live.

A caller names a *subject*: one table, or everything under the prefix. The *event filter* says which
events of it the caller may have. ``changes`` answers a *replay page*: the events after a cursor, as
many as one message holds. ``follow`` reads such pages until it has caught up, and then takes what
the *feed* reads once for all followers of this instance; the *handover* passes over what both have.

- **A position is verified whenever it is read on from.** An event has its number and its mark;
  after a promotion, a recovery or a restored backup it is gone, or another one. Then ``changes``
  answers CursorExpired, and so does every ``follow`` that has come further than the database now
  is.
- **A cursor stands for all rows and events before it.** So the rows of a snapshot come without one,
  until the log has all that they have: it is behind the tables, and could go on without what a
  failover has lost.
- **Events belong to a table and not to its name.** A table is its oid. A new table of an old name
  has no events of the previous one. Columns that the table no longer has are left out, and so are
  those that ``expose.exclude`` hides.
- **A cursor is of a table under a name.** The sequencer writes a marker into the log where a table
  begins to be watched, or under another name, and its position into ``wamp.layout``. A cursor from
  before is one of what had the name then, or knows nothing of a time without a watch:
  CursorExpired. While the log does not say yet under which name a table is watched, every cursor is
  from before. Whoever begins without one gets none from before.
- **A follow ends when its table does.** Dropped, renamed or unwatched: NotWatched. Another table
  has its name, or it was not watched in between: CursorExpired, so that the caller begins with the
  rows of that one. Where a page of the feed has a marker, this is asked before it is sent.
- **Nobody waits for a slow follower.** It is told that it lags, and reads by pages again.
- **The feed lost its position, or failed**: all are told that they lag. Whoever can go on does, and
  whoever cannot gets the error from the page that it reads.
"""

from pgwamp.replay.feed import Feed
from pgwamp.replay.procedures import replay_procedures

__all__ = ["Feed", "replay_procedures"]
