"""The order in which the rows of one transaction have changed.

The trigger of a statement writes its rows when the statement ends, so raw changes are in the order
in which statements ended. Within a transaction that is not always the order in which rows changed:

- A statement that a trigger runs ends before the one that has fired the trigger. Mostly the rows of
  the outer statement had changed before (AFTER ROW), sometimes they change afterwards (BEFORE ROW).
- A WITH that modifies data, and foreign keys (ON DELETE CASCADE, SET NULL), are several statements
  that end together. Their triggers fire in an order of PostgreSQL's own.
- With a deferrable key two rows can share a key for a while, and one of them may not change at all:
  then no order of single changes is right.

The images say what came first: each old one is the new one of the change before. So changes of one
key are chained by their images. Where nothing chains, and with deferrable keys, the difference
between the images before and after is told, which is right whatever the order was. A row that an
INSERT has written and a statement of its triggers has removed may have been there before, and be
there again: of such a row only its key is told.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Container, Hashable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import groupby

from pgwamp.capture import RawRow

#: Changes of keys that belong together that are tried in any order, and tries. Of more, only the
#: difference is told, unless they chain as they were written.
MOST_SEARCHED, MOST_TRIES = 100, 10_000
#: Statements that end together: rows go before others come in their place.
_REMOVALS_FIRST = "duip"


#: The table and key of a record, by the relation and the text of the record; None without a key.
KeyOf = Callable[[int, str], Hashable | None]


def in_order(
    changes: Iterable[RawRow], key_of: KeyOf, deferrable: Container[int] = ()
) -> list[RawRow]:
    """Order the changes of one transaction so that applying them by key gives what it has left.

    Changes of keys that have only one are in the order of statements, outer ones before those that
    their triggers have run.

    :param changes: with op ``i``, ``u`` or ``d``, or ``p`` of ``wamp.publish``.
    :param deferrable: relations whose key is checked when the transaction ends.
    :returns: among them some with op ``?``, of which only the key is certain.
    """
    keyed = [
        _Keyed.of(change, statement.end, key_of)
        for statement in _outer_first(_statements(changes))
        for change in statement.rows
    ]
    result: list[Sequence[RawRow]] = [[item.change] for item in keyed]
    for positions in _belonging_together(keyed):
        items = [keyed[position] for position in positions]
        if items[0].change.relation in deferrable:
            chained = _difference(items)
        else:
            chained = _unclear(items) or _chain(items) or _difference(items)
        for position in positions:
            result[position] = []
        if len(chained) == len(positions):
            for position, change in zip(positions, chained, strict=True):
                result[position] = [change]
        else:
            result[positions[-1]] = chained
    return [change for found in result for change in found]


@dataclass(frozen=True, slots=True)
class _Statement:
    """The changes of a statement.

    :ivar end: the same number for statements that have ended together.
    """

    end: int
    rows: Sequence[RawRow]

    @property
    def depth(self) -> int:
        return self.rows[0].depth


def _statements(changes: Iterable[RawRow]) -> list[_Statement]:
    """The statements in the order in which they have ended."""
    written = sorted(changes, key=lambda change: (change.place, change.number))
    statements: list[_Statement] = []
    last: tuple[int, int] | None = None
    end = 0
    for _, group in groupby(written, key=lambda change: change.place):
        rows = list(group)
        # Of those that end together, no other command has written in between.
        if last != (rows[0].depth, rows[0].command - 1):
            end += 1
        statements.append(_Statement(end, rows))
        last = rows[0].depth, rows[0].command
    statements.sort(
        key=lambda statement: (statement.end, _REMOVALS_FIRST.index(statement.rows[0].op))
    )
    return statements


def _outer_first(statements: Sequence[_Statement]) -> Iterator[_Statement]:
    """Put statements before those that their triggers have run, which ended before them."""
    #: Statements that ended together, and those within them, which no later one has run.
    ended: list[tuple[list[_Statement], list[_Statement]]] = []
    for statement in statements:
        if ended and ended[-1][0][0].end == statement.end:
            ended[-1][0].append(statement)
            continue
        within: list[list[_Statement]] = []
        while ended and ended[-1][0][0].depth > statement.depth:
            outer, inner = ended.pop()
            within.append([*outer, *inner])
        ended.append(([statement], [inner for run in reversed(within) for inner in run]))
    return (statement for outer, inner in ended for statement in (*outer, *inner))


@dataclass(frozen=True, slots=True)
class _Keyed:
    """A change with the end of its statement, and the keys that it concerns."""

    change: RawRow
    end: int
    old_key: Hashable | None
    new_key: Hashable | None

    @classmethod
    def of(cls, change: RawRow, end: int, key_of: KeyOf) -> _Keyed:
        old, new = change.old, change.new
        return cls(
            change,
            end,
            None if old is None else key_of(change.relation, old),
            None if new is None else key_of(change.relation, new),
        )

    @property
    def concerned(self) -> set[Hashable]:
        return {self.old_key, self.new_key} - {None}


def _belonging_together(keyed: Sequence[_Keyed]) -> Iterator[list[int]]:
    """Positions of changes that have keys in common, one with another, where there are several."""
    having: dict[Hashable, list[int]] = defaultdict(list)
    for position, item in enumerate(keyed):
        for key in item.concerned:
            having[key].append(position)
    seen: set[int] = set()
    for start in range(len(keyed)):
        if start in seen:
            continue
        seen.add(start)
        group = [start]
        # The group grows while it is gone through.
        for position in group:
            for key in keyed[position].concerned:
                for other in having.pop(key, ()):
                    if other not in seen:
                        seen.add(other)
                        group.append(other)
        if len(group) > 1:
            yield sorted(group)


def _unclear(items: Sequence[_Keyed]) -> list[RawRow]:
    """Tell only the keys of rows of which nobody knows whether they are there; empty if all do.

    An INSERT and a statement of its triggers that makes the key free again: if BEFORE ROW, the row
    was there before, and is again; if AFTER ROW, it has come and gone.
    """
    written = {
        (item.new_key, item.change.new): item.change.depth
        for item in items
        if item.change.op == "i"
    }
    unclear = [
        item
        for item in items
        if item.old_key != item.new_key
        and item.change.depth > written.get((item.old_key, item.change.old), item.change.depth)
    ]
    if not unclear:
        return []
    keys = {item.old_key: item.change for item in unclear}
    certain = [
        item.change for item in _net(items) if item.old_key not in keys and item.new_key not in keys
    ]
    return [*certain, *(replace(change, op="?", new=change.old) for change in keys.values())]


def _chain(items: Sequence[_Keyed]) -> list[RawRow]:
    """Order changes that belong together; empty if there is no order."""
    # One that was there again may be gone in the end, too: it is one row all the same.
    before = {*_images(items)[0], *_there_again(items)}
    known: _State = dict(before)
    if len(known) < len(before):
        return []
    as_written = sorted(items, key=lambda item: (item.change.place, item.change.number))
    for order in (items, as_written):
        state = dict(known)
        if all(_apply(item, state) for item in order):
            return [item.change for item in order]
    return _search(items, known) if len(items) <= MOST_SEARCHED else []


def _there_again(items: Sequence[_Keyed]) -> _Images:
    """Images that were there before, went, and are there again; each with its key."""
    removed: dict[tuple[Hashable | None, str], _Keyed] = {}
    written: set[tuple[Hashable | None, str]] = set()
    found = []
    for item in items:
        if item.change.old is not None and (item.old_key, item.change.old) not in written:
            removed.setdefault((item.old_key, item.change.old), item)
        if item.change.new is not None:
            image = item.new_key, item.change.new
            remover = removed.pop(image, None) if image not in written else None
            written.add(image)
            if remover is None:
                continue
            # What an update has written, a foreign key can remove in the same statement.
            together = remover is not item and remover.end == item.end
            if not (together and item.change.op == "u"):
                found.append(image)
    return found


#: The image of each key: None, or nothing, where there is no row.
_State = dict[Hashable | None, str | None]
_Images = list[tuple[Hashable | None, str]]


def _images(items: Sequence[_Keyed]) -> tuple[_Images, _Images]:
    """The images that were there before, and those that are there after, each with its key."""
    images: Counter[tuple[Hashable | None, str]] = Counter()
    for item in items:
        if item.change.old is not None:
            images[item.old_key, item.change.old] += 1
        if item.change.new is not None:
            images[item.new_key, item.change.new] -= 1
    return list((+images).elements()), list((-images).elements())


def _apply(item: _Keyed, state: _State) -> bool:
    """Change the state; False, and the state is of no more use, if the change cannot come now."""
    old, new = item.change.old, item.change.new
    if old is not None:
        if state.get(item.old_key) != old:
            return False
        state[item.old_key] = None
    if new is not None:
        if state.get(item.new_key) is not None:
            return False
        state[item.new_key] = new
    return True


def _search(items: Sequence[_Keyed], known: _State) -> list[RawRow]:
    """Find an order in which all changes can come; empty if there is none, or it takes too long."""
    tries = 0
    chosen: list[int] = []
    states, candidates = [known], [list(range(len(items)))]
    while len(chosen) < len(items):
        if not candidates[-1]:
            # Nothing can come next: another one has to come before.
            candidates.pop()
            states.pop()
            if not chosen:
                return []
            chosen.pop()
            continue
        tries += 1
        if tries > MOST_TRIES:
            return []
        position, state = candidates[-1].pop(0), dict(states[-1])
        if position not in chosen and _apply(items[position], state):
            chosen.append(position)
            states.append(state)
            candidates.append([n for n in range(len(items)) if n not in chosen])
    return [items[position].change for position in chosen]


def _difference(items: Sequence[_Keyed]) -> list[RawRow]:
    """Tell for each key what was there before and what is there after."""
    return [item.change for item in _net(items)]


def _net(items: Sequence[_Keyed]) -> list[_Keyed]:
    before, after = (dict(images) for images in _images(items))
    found = []
    for key in dict.fromkeys([*before, *after]):
        old, new = before.get(key), after.get(key)
        op = "i" if old is None else "d" if new is None else "u"
        change = replace(items[-1].change, op=op, old=old, new=new)
        found.append(_Keyed(change, 0, key if old else None, key if new else None))
    return found
