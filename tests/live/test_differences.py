"""Differences lead from any list to any other."""

from __future__ import annotations

import random
import time
from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from pgwamp.live.differences import Result, difference
from pgwamp.live.digests import DIGEST_BYTES
from tests.live.fold import fold

#: Few values, so that many are there twice.
repeating = st.lists(st.integers(0, 5), max_size=12)
unique = st.lists(st.integers(0, 15), max_size=12, unique=True)


def result(items: list[int]) -> Result:
    """A result whose rows have the numbers themselves as digests."""
    digests = b"".join(n.to_bytes(DIGEST_BYTES, "big") for n in items)
    return Result([{"n": n} for n in items], digests)


@given(repeating, repeating)
def test_what_is_said_to_differ_makes_the_one_list_of_the_other(
    former: list[int], latter: list[int]
) -> None:
    removed, inserted = difference(former, latter)
    item = {"removed": removed, "inserted": [[place, latter[place]] for place in inserted]}
    assert fold(former, item) == latter
    assert removed == sorted(set(removed))
    assert inserted == sorted(set(inserted))


@given(unique, unique)
def test_rows_that_are_there_once_stay_if_they_can(former: list[int], latter: list[int]) -> None:
    removed, _ = difference(former, latter)
    assert len(former) - len(removed) == common(former, latter)


def common(a: list[int], b: list[int]) -> int:
    """Length of a longest common subsequence, by the textbook."""
    lengths = [0] * (len(b) + 1)
    for item in a:
        before = list(lengths)
        for place, other in enumerate(b):
            lengths[place + 1] = (
                before[place] + 1 if item == other else max(before[place + 1], lengths[place])
            )
    return lengths[-1]


@given(st.lists(st.integers(0, 4), max_size=12), st.lists(st.integers(0, 4), max_size=12))
def test_an_item_is_never_more_than_the_result(former: list[int], latter: list[int]) -> None:
    item = result(latter).since(result(former).digests)
    if former == latter:
        assert item is None
        return
    assert item is not None
    rows = fold([{"n": n} for n in former], item)
    assert rows == [{"n": n} for n in latter]
    if "rows" not in item:
        assert len(item["removed"]) + len(item["inserted"]) < len(latter)


def test_one_change_in_many_rows_is_one_row() -> None:
    former = list(range(1000))
    latter = [*former[:500], 2000, *former[501:]]
    assert result(latter).since(result(former).digests) == {
        "removed": [500],
        "inserted": [[500, {"n": 2000}]],
    }


def test_equal_rows_stay_too() -> None:
    assert difference([1, 5, 5, 5, 2], [3, 5, 5, 5, 4]) == ([0, 4], [0, 4])


def test_a_hard_case_takes_no_time() -> None:
    """Two values in random order: a quadratic algorithm would need minutes for it."""
    chance = random.Random(1)
    former, latter = ([chance.randint(0, 1) for _ in range(50_000)] for _ in range(2))
    began = time.process_time()
    removed, inserted = difference(former, latter)
    assert time.process_time() - began < 10
    assert Counter(former) - Counter(former[place] for place in removed) == (
        Counter(latter) - Counter(latter[place] for place in inserted)
    )


def test_callers_who_were_told_the_same_get_the_same_item() -> None:
    former, latter = result([1, 2]), result([1, 2, 3])
    again = bytes(bytearray(former.digests))
    assert latter.since(former.digests) is latter.since(again)
    assert latter.since(None) == {"rows": [{"n": 1}, {"n": 2}, {"n": 3}]}
