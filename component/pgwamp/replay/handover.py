"""Where reading by pages ends and the feed begins: nothing is missed there, and nothing twice.

Subscribe to the feed first, then read by pages until there is no more. The feed is at most as far
as the pages then are, so its events up to that position are passed over, and all later ones are
new.
"""

from __future__ import annotations

from collections.abc import Sequence

from pgwamp.eventlog.position import Position
from pgwamp.replay.change import Change
from pgwamp.replay.feed import Batch, Lagged


class Handover:
    """Passes over what was read before the feed.

    :ivar position: after everything that was taken.
    """

    def __init__(self, position: Position):
        self.position = position

    def take(self, batch: Batch) -> Sequence[Change]:
        """As :meth:`unseen`, and go on from the end of the batch."""
        changes = self.unseen(batch)
        if batch.end.number >= self.position.number:
            self.position = batch.end
        return changes

    def unseen(self, batch: Batch) -> Sequence[Change]:
        """The changes of a batch that are new.

        :raises Lagged: the position is not where the feed is: the database may have lost it.
        """
        mine = self.position
        if batch.end.number < mine.number:
            # Another history: perhaps it never comes as far as this one has.
            if any(change.event.op == "era" for change in batch.changes):
                raise Lagged
            return ()
        changes = batch.changes
        if batch.start.number != mine.number:
            numbers = [change.event.position.number for change in changes]
            if mine.number not in numbers:
                raise Lagged
            place = numbers.index(mine.number)
            found, changes = changes[place].event.position, changes[place + 1 :]
        else:
            found = batch.start
        if found != mine:
            raise Lagged
        return changes
