"""Large answers are measured in parts; others have their turn, and one too large ends it early."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from pgwamp.access import Caller
from pgwamp.errors import PayloadTooLarge
from pgwamp.procedures.fitting import fitting_parts, require_fitting
from pgwamp.session import Call, Gathered, Result
from pgwamp.settings import LimitSettings
from pgwamp.values import portable
from pgwamp.values.portable import PART_CHARACTERS, PART_VALUES, measured_parts, most_bytes

CURE = "ask for less"
CONTROLS = "\x01" * (5 * PART_CHARACTERS)
#: Answers whose measure takes long, and the parts that it is taken in at least.
LARGE: dict[str, tuple[Any, int]] = {
    "numbers": ([[1] * 4_900] * 40, 190_000 // PART_VALUES),
    "dicts": ([{"d": [{"k": 1}] * 1_000}] * 60, 120_000 // PART_VALUES),
    "texts": ([["x" * 99] * 5_000] * 30, 150_000 // PART_VALUES),
    "long texts": ([["x" * 1_000] * 500] * 20, 9),
    "a text": (CONTROLS, 5),
    "a key": ({CONTROLS: 1}, 5),
    "keywords": (Result(1, {"text": CONTROLS}), 5),
}


def call(max_bytes: int) -> Call:
    return Call([], {}, Caller("realm1", "com.example.any"), max_bytes=max_bytes)


async def fits(max_bytes: int, answer: Any) -> None:
    await require_fitting(call(max_bytes), answer)


async def is_gathered(max_bytes: int, answer: Any) -> None:
    gathered = Gathered(call(max_bytes), LimitSettings(), CURE)
    await gathered.add(dict(answer.kwargs) if isinstance(answer, Result) else answer)


async def is_sent_as_a_row(max_bytes: int, answer: Any) -> None:
    row = dict(answer.kwargs) if isinstance(answer, Result) else answer
    async for _ in fitting_parts(call(max_bytes), [row]):
        pass


WAYS = (fits, is_gathered, is_sent_as_a_row)


async def turns_during(work: Awaitable[object]) -> int:
    """How many turns the event loop has had until ``work`` is done."""
    task = asyncio.ensure_future(work)
    turns = 0
    while not task.done():
        await asyncio.sleep(0)
        turns += 1
    await task
    return turns


@pytest.mark.parametrize("name", LARGE)
@pytest.mark.parametrize("way", WAYS)
async def test_others_have_their_turn_while_an_answer_is_measured(
    name: str, way: Callable[[int, Any], Awaitable[None]]
) -> None:
    answer, parts = LARGE[name]
    assert await turns_during(way(10**9, answer)) >= parts


@pytest.mark.parametrize("way", WAYS)
async def test_a_small_answer_is_measured_without_a_break(
    way: Callable[[int, Any], Awaitable[None]],
) -> None:
    assert await turns_during(way(10**9, [{"id": 1, "name": "x"}] * 10)) == 1


async def test_an_answer_that_is_too_large_is_measured_no_further() -> None:
    endless: list[Any] = []
    endless += [endless, endless]
    with pytest.raises(PayloadTooLarge, match="more than the 1000000 bytes"):
        await require_fitting(call(10**6), endless)
    with pytest.raises(PayloadTooLarge, match="200000 values"):
        await Gathered(call(10**9), LimitSettings(), CURE).add(endless)


def test_no_part_takes_longer_than_some_values_or_characters(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    taken: list[int] = []
    byte_count = portable._bytes_in_json

    def measure(text: str) -> int:
        taken.append(len(text))
        return byte_count(text)

    monkeypatch.setattr(portable, "_bytes_in_json", measure)
    for answer, parts in LARGE.values():
        value = dict(answer.kwargs) if isinstance(answer, Result) else answer
        found = list(measured_parts(value))
        assert len(found) >= parts
        assert sum(byte_count for _, byte_count in found) == most_bytes(value)
    assert max(taken) <= max(PART_CHARACTERS, 100 * PART_VALUES)


async def test_rows_are_sent_in_messages_that_fit() -> None:
    rows = [{"text": "x" * 300}] * 10
    size = most_bytes(rows[0])
    parts = [list(part) async for part in fitting_parts(call(3 * size), rows)]
    assert [len(part) for part in parts] == [3, 3, 3, 1]
    assert [row for part in parts for row in part] == rows
    alone = [list(part) async for part in fitting_parts(call(size - 1), rows)]
    assert [len(part) for part in alone] == [1] * 10
