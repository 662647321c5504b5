"""From one result of a query to a later one: which rows go, and which come where."""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from collections.abc import Hashable, Iterable, Iterator, Sequence
from itertools import takewhile
from typing import Any

from pgwamp.live.digests import split

#: A common subsequence: its last pair of places, and what comes before it.
_Run = tuple[int, int, "_Run | None"]


def difference(
    previous: Sequence[Hashable], present: Sequence[Hashable]
) -> tuple[list[int], list[int]]:
    """Places in ``previous`` that go, and places in ``present`` that come, both ascending.

    Take away the ones, then put in the others in order, each at its place: ``previous`` has become
    ``present``. What stays is as much as possible where no item is there twice: then a longest
    common subsequence is a longest increasing one (Hunt and Szymanski, 1977). Of equal items the
    first stands for the first, the second for the second. It takes O(n log n) for any two lists.
    """
    start = _common(previous, present)
    end = _common(reversed(previous[start:]), reversed(present[start:]))
    gone = dict.fromkeys(range(start, len(previous) - end))
    new = dict.fromkeys(range(start, len(present) - end))
    places = dict(zip(_numbered(previous[place] for place in gone), gone, strict=True))
    # For each length, the run of that length that ends earliest in previous.
    ends: list[int] = []
    runs: list[_Run] = []
    for here, item in zip(new, _numbered(present[place] for place in new), strict=True):
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


class Result:
    """One result of a query, and what leads to it.

    It holds all of the rows, so it is kept only until everybody who listens has got it. Of what
    they were told before, the digests are enough.

    :ivar digests: of each item, as :func:`pgwamp.live.digests.digests` has them.
    :param items: the rows or values, as they are answered.
    """

    def __init__(self, items: Sequence[Any], digests: bytes):
        self.digests = digests
        self._items = items
        # Callers who were told the same before get the same difference.
        self._since: dict[bytes, dict[str, Any] | None] = {}

    def since(self, previous: bytes | None) -> dict[str, Any] | None:
        """What makes this result of a previous one; None if it is the same.

        ``{"removed": [place, ...], "inserted": [[place, row], ...]}``, or the whole result,
        ``{"rows": [...]}``, where that is no more.

        :param previous: the digests of the previous one; None: there is none.
        """
        if previous is None:
            return self._whole()
        if previous not in self._since:
            self._since[previous] = self._difference(previous)
        return self._since[previous]

    def _whole(self) -> dict[str, Any]:
        return {"rows": self._items}

    def _difference(self, previous: bytes) -> dict[str, Any] | None:
        if previous == self.digests:
            return None
        removed, inserted = difference(split(previous), split(self.digests))
        if len(removed) + len(inserted) >= len(self._items):
            return self._whole()
        return {
            "removed": removed,
            "inserted": [[place, self._items[place]] for place in inserted],
        }
