"""From one result of a query to a later one: which rows go, and which come where."""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from collections.abc import Hashable, Iterable, Iterator, Sequence
from itertools import takewhile
from typing import Any
from weakref import WeakKeyDictionary

#: A common subsequence: its last pair of places, and what comes before it.
_Run = tuple[int, int, "_Run | None"]


def difference(
    former: Sequence[Hashable], latter: Sequence[Hashable]
) -> tuple[list[int], list[int]]:
    """Places in ``former`` that go, and places in ``latter`` that come, both ascending.

    Take away the ones, then put in the others in order, each at its place: ``former`` has become
    ``latter``. What stays is as much as possible where no item is there twice: then a longest
    common subsequence is a longest increasing one (Hunt and Szymanski, 1977). Of equal items the
    first stands for the first, the second for the second. It takes O(n log n) for any two lists.
    """
    start = _common(former, latter)
    end = _common(reversed(former[start:]), reversed(latter[start:]))
    gone = dict.fromkeys(range(start, len(former) - end))
    new = dict.fromkeys(range(start, len(latter) - end))
    places = dict(zip(_numbered(former[place] for place in gone), gone, strict=True))
    # For each length, the run of that length that ends earliest in former.
    ends: list[int] = []
    runs: list[_Run] = []
    for here, item in zip(new, _numbered(latter[place] for place in new), strict=True):
        there = places.get(item)
        if there is None:
            continue
        length = bisect_left(ends, there)
        ends[length : length + 1] = [there]
        runs[length : length + 1] = [(there, here, runs[length - 1] if length else None)]
    run = runs[-1] if runs else None
    while run is not None:
        there, here, run = run
        del gone[there], new[here]
    return list(gone), list(new)


def _common(a: Iterable[Hashable], b: Iterable[Hashable]) -> int:
    """How many items both begin with."""
    return sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], zip(a, b, strict=False)))


def _numbered(items: Iterable[Hashable]) -> Iterator[tuple[Hashable, int]]:
    """Each item with how many equal ones came before it."""
    seen: Counter[Hashable] = Counter()
    for item in items:
        yield item, seen[item]
        seen[item] += 1


class State:
    """One result of a query, and what leads to it.

    :param items: the rows or values, as they are answered.
    :param keys: one for each item; equal items have equal keys.
    """

    def __init__(self, items: Sequence[Any], keys: Sequence[Hashable]):
        self._items = items
        self._keys = keys
        # Callers who saw the same result before get the same difference. Those who are behind
        # keep what they saw alive, and nobody else does.
        self._since: WeakKeyDictionary[State, dict[str, Any] | None] = WeakKeyDictionary()

    def has(self, keys: Sequence[Hashable]) -> bool:
        """Whether the items with these keys are the same result."""
        return self._keys == keys

    def whole(self) -> dict[str, Any]:
        """The result by itself: ``{"rows": [...]}``."""
        return {"rows": self._items}

    def since(self, former: State) -> dict[str, Any] | None:
        """What makes this result of a former one; None if it is the same.

        ``{"removed": [place, ...], "inserted": [[place, row], ...]}``, or the whole result where
        that is no more.
        """
        if former not in self._since:
            self._since[former] = self._difference(former)
        return self._since[former]

    def _difference(self, former: State) -> dict[str, Any] | None:
        if self.has(former._keys):
            return None
        removed, inserted = difference(former._keys, self._keys)
        if len(removed) + len(inserted) >= len(self._keys):
            return self.whole()
        return {
            "removed": removed,
            "inserted": [[place, self._items[place]] for place in inserted],
        }
