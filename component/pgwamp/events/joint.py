"""Where reading by pages ends and the feed begins: nothing is missed there, and nothing twice."""

from __future__ import annotations

from collections.abc import Sequence

from pgwamp.events.change import Change
from pgwamp.events.cursor import Position, cursors
from pgwamp.events.feed import Batch
from pgwamp.eventlog.snapshot import Snapshot


class Joint:
    """Passes over what was read before the feed; :mod:`pgwamp.events.feed` says why that is exact.

    :param replayed: the end of reading by pages; its snapshot was taken after attaching.
    :ivar position: after everything that was taken.
    """

    def __init__(self, replayed: Position, cluster: str):
        assert replayed.polling is None
        # It may last longer than the server does, which then gives transaction ids out again.
        replayed = replayed.durable()
        self.position = replayed
        self._cluster = cluster
        self._replayed = replayed
        self._snapshot: Snapshot | None = Snapshot.parse(replayed.seen)

    def take(self, batch: Batch) -> Sequence[Change]:
        """The changes of a batch that are new, with the cursors of one who has read the others."""
        replayed = self._snapshot
        # A poll from a snapshot that sees all of it brings nothing of it, and so do all later ones.
        if replayed is None or Snapshot.parse(batch.start.seen).covers(replayed):
            self._snapshot = None
            self.position = batch.end
            return batch.changes
        if not Snapshot.parse(batch.polling).covers(replayed):
            return ()
        # Unless the poll has further pages, its end is the same for everybody.
        last = Position(
            self._replayed.seen,
            batch.polling,
            batch.end.last_id,
            max(self._replayed.newest, batch.end.newest),
        )
        self.position = last if batch.end.polling is not None else batch.end
        cursor_of = cursors(last, self._cluster)
        return [
            change.at(cursor_of(change.id))
            for change in batch.changes
            if not replayed.sees(change.xid)
        ]
