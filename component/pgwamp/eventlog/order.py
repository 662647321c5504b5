"""The order in which the rows of one transaction have changed.

Statements do not end in the order in which they change rows (:mod:`pgwamp.eventlog.statements`).
The images say what came first: each old one is the new one of the change before. So the changes of
keys that belong together are put in an order in which each finds the image that it has changed,
and which is not against what is certain of their statements.

Mostly there is one. Otherwise the net change is told, of each key from what was there before to
what is there after: which these are follows from the images alone, whatever the order was. A key
has been left as it was if its changes lead from one image to the next and back again. If one may
begin at more than one of them, every order but the right one may lead to another end, so that
nothing is told of it, which is right in any case. With deferrable keys two rows can share a key for
a while, and one of them may not change at all: then only the net change is told.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Container, Hashable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

from pgwamp.capture import RawRow
from pgwamp.eventlog.statements import Statement, counted, outer_first, statements

#: Changes of keys that belong together that are tried in any order, and tries. Of more, only the
#: net change is told, unless they chain as they were written, and no other order is possible.
MOST_SEARCHED, MOST_TRIES = 100, 2_000


class Records(Protocol):
    """How the records of watched tables read."""

    def table_of(self, relation: int) -> int:
        """The watched table of a partition, or of itself."""
        ...

    def is_deferrable(self, relation: int) -> bool:
        """Whether the key is checked when the transaction ends."""
        ...

    def key_of(self, relation: int, record: str) -> Hashable | None:
        """The table and key of a record; None without a key."""
        ...

    def arranged(self, row: RawRow) -> RawRow:
        """The row as one of its table, whose columns a partition can have in another order."""
        ...


#: The image of each key that is known: None where there is no row.
_State = dict[Hashable, str | None]


def in_order(changes: Iterable[RawRow], records: Records) -> list[RawRow]:
    """Order the changes of one transaction so that applying them by key gives what it has left.

    Changes of keys that have only one are in the order of statements, outer ones before those that
    their triggers have run.

    :param changes: with op ``i``, ``u`` or ``d``, or ``p`` of ``wamp.publish``.
    """
    written = (counted(change, records.table_of(change.relation)) for change in changes)
    keyed = [
        _Keyed.of(change, statement, records)
        for statement in outer_first(statements(written))
        for change in statement.rows
    ]
    result: list[Sequence[RawRow]] = [[item.change] for item in keyed]
    for positions in _belonging_together(keyed):
        items = [keyed[position] for position in positions]
        order = [] if records.is_deferrable(items[0].change.relation) else _chain(items)
        chained = [item.change for item in order] or _net(items)
        for position in positions:
            result[position] = []
        if len(chained) == len(positions):
            for position, change in zip(positions, chained, strict=True):
                result[position] = [change]
        else:
            result[positions[-1]] = chained
    return [change for found in result for change in found]


@dataclass(frozen=True, slots=True)
class _Keyed:
    """A change with its statement, and the keys that it concerns."""

    change: RawRow
    statement: Statement
    old_key: Hashable | None
    new_key: Hashable | None

    @classmethod
    def of(cls, change: RawRow, statement: Statement, records: Records) -> _Keyed:
        change = records.arranged(change)
        return cls(change, statement, *keys_of(change, records))

    @property
    def keys(self) -> set[Hashable]:
        return {self.old_key, self.new_key} - {None}

    @property
    def written(self) -> tuple[int, int]:
        return self.statement.index, self.change.number

    def is_before(self, other: _Keyed) -> bool:
        """Whether it came before one that was written after it, for certain."""
        return self.statement is other.statement or self.statement.is_before(other.statement)


def keys_of(change: RawRow, records: Records) -> tuple[Hashable | None, Hashable | None]:
    """The keys of a row before and after a change; None where there is no row."""
    # An operation of wamp.publish says other things there.
    if change.op not in "iud?":
        return None, None
    old, new, relation = change.old, change.new, change.relation
    return (
        None if old is None else records.key_of(relation, old),
        None if new is None else records.key_of(relation, new),
    )


def _belonging_together(keyed: Sequence[_Keyed]) -> Iterator[list[int]]:
    """Positions of changes that have keys in common, one with another, where there are several."""
    having: dict[Hashable, list[int]] = defaultdict(list)
    for position, item in enumerate(keyed):
        for key in item.keys:
            having[key].append(position)
    seen: set[int] = set()
    for start in range(len(keyed)):
        if start in seen:
            continue
        seen.add(start)
        group = [start]
        # The group grows while it is gone through.
        for position in group:
            for key in keyed[position].keys:
                for other in having.pop(key, ()):
                    if other not in seen:
                        seen.add(other)
                        group.append(other)
        if len(group) > 1:
            yield sorted(group)


def _chain(items: Sequence[_Keyed]) -> Sequence[_Keyed]:
    """Order changes that belong together; empty if there is no order, or not only one begin."""
    before, after = _images(items)
    known: _State = {**dict.fromkeys(dict(after)), **dict(before)}
    if len(dict(before)) < len(before):
        return []
    written = sorted(items, key=lambda item: item.written)
    unclear = _unclear(written, known)
    if not unclear:
        for order in (items, written):
            state = dict(known)
            if all(_apply(item, state) for item in order):
                return order
    return _search(items, known, unclear) if len(items) <= MOST_SEARCHED else []


def _unclear(written: Sequence[_Keyed], known: Collection[Hashable]) -> set[Hashable]:
    """Keys that were left as they were, and may have been changed in more than one order."""
    last: dict[Hashable, _Keyed] = {}
    unclear = set()
    for item in written:
        for key in item.keys - set(known):
            if key in last and not last[key].is_before(item):
                unclear.add(key)
            last[key] = item
    return unclear


def _images(
    items: Sequence[_Keyed],
) -> tuple[list[tuple[Hashable, str]], list[tuple[Hashable, str]]]:
    """The images that were there before, and those that are there after, each with its key.

    Without those that were there before and are there again.
    """
    images: Counter[tuple[Hashable, str]] = Counter()
    for item in items:
        if item.change.old is not None and item.old_key is not None:
            images[item.old_key, item.change.old] += 1
        if item.change.new is not None and item.new_key is not None:
            images[item.new_key, item.change.new] -= 1
    return list((+images).elements()), list((-images).elements())


def _apply(item: _Keyed, state: _State) -> bool:
    """Change the state; False, and the state is of no more use, if the change cannot come now.

    Of a key that the state does not have, the change says what was there.
    """
    old, new = item.change.old, item.change.new
    if item.old_key is not None:
        if state.get(item.old_key, old) != old:
            return False
        state[item.old_key] = None
    if item.new_key is not None:
        if state.get(item.new_key) is not None:
            return False
        state[item.new_key] = new
    return True


def _search(items: Sequence[_Keyed], known: _State, unclear: Container[Hashable]) -> list[_Keyed]:
    """Find an order in which all changes can come, and see that all others begin as it does.

    Empty if there is none, or another begin, or it takes too long.

    :param unclear: keys of which nobody knows yet what was there before, and is there again.
    """
    befores = [
        sum(1 << n for n, other in enumerate(items) if _is_before(other, item)) for item in items
    ]
    tries = 0
    found: tuple[list[int], _State] | None = None
    #: Chosen changes, the state after them, and what was there before of keys that are unclear.
    waiting: list[tuple[list[int], _State, _State]] = [([], known, {})]
    seen = set()
    while waiting:
        chosen, state, begin = waiting.pop()
        if found is not None and begin == found[1]:
            continue
        if len(chosen) == len(items):
            if found is not None:
                return []
            found = chosen, begin
            if not unclear:
                break
        taken = sum(1 << n for n in chosen)
        for n in range(len(items) - 1, -1, -1):
            if taken >> n & 1 or befores[n] & ~taken:
                continue
            tries += 1
            if tries > MOST_TRIES:
                return []
            after, begun = dict(state), _begun(items[n], state, begin, unclear)
            came = taken | 1 << n, frozenset(begun.items())
            if came not in seen and _apply(items[n], after):
                seen.add(came)
                waiting.append(([*chosen, n], after, begun))
    return [] if found is None else [items[n] for n in found[0]]


def _is_before(item: _Keyed, other: _Keyed) -> bool:
    return item.written < other.written and item.is_before(other)


def _begun(item: _Keyed, state: _State, begin: _State, unclear: Container[Hashable]) -> _State:
    """The images that were there before, as the first change of each key says."""
    begun = dict(begin)
    for key in item.keys:
        if key in unclear and key not in state:
            begun[key] = item.change.old if key == item.old_key else None
    return begun


def _net(items: Sequence[_Keyed]) -> list[RawRow]:
    """Tell for each key what was there before and what is there after."""
    before, after = (dict(images) for images in _images(items))
    found = []
    for key in dict.fromkeys([*before, *after]):
        old, new = before.get(key), after.get(key)
        op = "i" if old is None else "d" if new is None else "u"
        found.append(replace(items[-1].change, op=op, old=old, new=new))
    return found
