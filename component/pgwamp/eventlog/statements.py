"""Statements of one transaction, and what is certain of their order.

The trigger of a statement writes its rows when the statement has ended, so raw rows are in the
order in which statements ended. Three facts say which of two statements has changed its rows
first; "outer" is the one of less depth.

1. The outer one has ended first: then all of it came before the other one.
2. The inner one has ended first: a trigger of the outer one may have run it (BEFORE ROW or AFTER
   ROW, so that it changed its rows after those of the outer one, or in between), or it came before.
   It came before for certain if a statement that is outside of both has ended in between.
3. Both are as deep: they came one after the other, unless they are of one query, as those of a
   WITH, an upsert, MERGE, and foreign keys (ON DELETE CASCADE, SET NULL). Their triggers fire in
   an order of PostgreSQL's own. Statements of one query, and no others, write with successive
   commands, unless another trigger writes in between: then they are taken for two queries. This
   is wrong only if one statement of the query inserts the very image that another one deletes.
   Between statements of one table nothing else has changed rows of it: PostgreSQL fires their
   triggers when all of the query has changed its rows, and they count them.

Commands are lost in a crash, on a standby and in a dump. What the client has sent one after the
other, and the counts, are not. So only statements of different tables, or of a table that has
partitions, are taken for one query where one function, or one message, has run several.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import groupby

from pgwamp.capture import RawRow

#: Statements that end together: rows go before others come in their place.
_REMOVALS_FIRST = "duip"


@dataclass(frozen=True, slots=True)
class Statement:
    """The changes of one operation of a statement; their numbers are in the order of the changes.

    :ivar index: in the order in which statements have ended.
    :ivar end: the same number for statements that have ended together.
    :ivar after: index of the last one before it that is outside of it; -1 without one.
    """

    index: int
    end: int
    after: int
    rows: Sequence[RawRow]

    @property
    def depth(self) -> int:
        """Its depth of triggers."""
        return self.rows[0].depth

    @property
    def kind(self) -> tuple[int, str]:
        """The relation and operation of its trigger: a query fires that again only after it."""
        return self.rows[0].relation, self.rows[0].op

    def is_before(self, other: Statement) -> bool:
        """Whether all of it came before another one that has not ended before it, for certain."""
        if self.end == other.end:
            return self.kind == other.kind
        return self.depth <= other.depth or self.index < other.after


def may_end_together(before: RawRow, row: RawRow) -> bool:
    """Whether the statements of two rows may have ended together, if none ended in between."""
    if before.depth != row.depth:
        return False
    if before.place == row.place:
        return True
    if before.sent != row.sent or apart(before, row):
        return False
    if before.relation == row.relation and before.changed and row.changed:
        return True
    # What is published has a command of its own: the first one of a transaction is 0.
    known = before.command + (before.op == "p" and row.command > 0)
    # Rows of another server, which were moved, have the command that has moved them.
    is_lost = min(known, row.command) <= 0 or before.command == row.command
    return is_lost or row.command == before.command + 1


def apart(before: RawRow, row: RawRow) -> bool:
    """Whether rows of their relation were changed between the ends of their statements."""
    return bool(
        before.relation == row.relation
        and before.changed
        and row.changed
        and before.changed != row.changed
    )


def counted(row: RawRow, table: int) -> RawRow:
    """The row, without what was counted of a partition: others of its table have not been.

    Between two statements of one partition that are apart, one of another can be of either query.
    """
    if row.relation == table or row.changed is None:
        return row
    return replace(row, changed=None)


def statements(changes: Iterable[RawRow]) -> list[Statement]:
    """The statements in the order in which they have ended."""
    written = sorted(changes, key=lambda change: (change.place, change.number))
    found: list[Statement] = []
    #: Depth and index of the last statements, each outside of the next.
    outside: list[tuple[int, int]] = []
    end = 0
    #: A row of each relation in which statements have ended together with the last one.
    ended: dict[int, RawRow] = {}
    # If a partition has refused a row that was to move there, an UPDATE is deletes and inserts.
    for _, group in groupby(written, key=lambda change: (change.place, change.op)):
        rows = list(group)
        if found and not (
            may_end_together(found[-1].rows[0], rows[0])
            and not apart(ended.get(rows[0].relation, rows[0]), rows[0])
        ):
            end += 1
            ended.clear()
        ended[rows[0].relation] = rows[0]
        while outside and outside[-1][0] >= rows[0].depth:
            outside.pop()
        found.append(Statement(len(found), end, outside[-1][1] if outside else -1, rows))
        outside.append((rows[0].depth, found[-1].index))
    return found


def outer_first(ended: Sequence[Statement]) -> Iterator[Statement]:
    """Put statements before those that their triggers have run, which ended before them."""
    #: Statements that ended together, and those within them, which no later one has run.
    open_: list[tuple[list[Statement], list[Statement]]] = []
    for statement in ended:
        if open_ and open_[-1][0][0].end == statement.end:
            open_[-1][0].append(statement)
            continue
        within: list[list[Statement]] = []
        # A call of wamp.publish has no triggers.
        is_outer = statement.kind[1] != "p"
        while is_outer and open_ and open_[-1][0][0].depth > statement.depth:
            outer, inner = open_.pop()
            within.append([*_removals_first(outer), *inner])
        open_.append(([statement], [inner for run in reversed(within) for inner in run]))
    for outer, inner in open_:
        yield from _removals_first(outer)
        yield from inner


def _removals_first(ended: list[Statement]) -> list[Statement]:
    return sorted(ended, key=lambda statement: _REMOVALS_FIRST.index(statement.kind[1]))
