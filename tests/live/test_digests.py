"""Digests are equal for what is equal, and take little time and memory."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pgwamp.live import digests as module
from pgwamp.live.digests import DIGEST_BYTES, digests, split
from pgwamp.query.shape import PART_BYTES

scalars = st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.binary()
rows = st.lists(scalars | st.lists(scalars, max_size=3), max_size=4)


def digest(*values: Any) -> bytes:
    return asyncio.run(digests([values]))


@given(rows, rows)
def test_rows_have_one_digest_if_they_are_the_same(one: list[Any], other: list[Any]) -> None:
    # repr tells 1, 1.0 and true apart, and -0.0 and 0.0.
    assert (digest(*one) == digest(*other)) == (repr(one) == repr(other))


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ((1,), (True,)),
        ((1,), (1.0,)),
        (("a",), (b"a",)),
        (("ab", "c"), ("a", "bc")),
        (([1], 2), ([1, 2],)),
        ((None,), ()),
        (("é" * PART_BYTES + "a",), ("é" * PART_BYTES + "b",)),
        (("a" * (PART_BYTES + 1),), (b"a" * (PART_BYTES + 1),)),
        (("a" * (PART_BYTES + 1), "b"), ("a" * (PART_BYTES + 1) + "b", "")),
    ],
)
def test_what_differs_has_another_digest(one: Sequence[Any], other: Sequence[Any]) -> None:
    assert digest(*one) == digest(*one)
    assert digest(*one) != digest(*other)


def test_each_row_has_its_own() -> None:
    found = asyncio.run(digests([("a",), ("b",), ("a",)]))
    a, b, again = split(found)
    assert a == again != b
    assert len(found) == 3 * DIGEST_BYTES


def test_one_process_has_other_digests_than_another(monkeypatch: pytest.MonkeyPatch) -> None:
    """So nobody knows two texts that have the same."""
    before = digest("a")
    monkeypatch.setattr(module, "_KEY", b"another")
    assert digest("a") != before


@pytest.mark.parametrize("row", [("\x01é" * 4_000_000,), (b"\0" * 4_000_000,), ("é",) * 100_000])
async def test_others_go_on_while_a_large_row_is_read(row: Sequence[Any]) -> None:
    turns = 0
    working = asyncio.create_task(digests([row]))
    while not working.done():
        turns += 1
        await asyncio.sleep(0)
    assert turns >= 10
