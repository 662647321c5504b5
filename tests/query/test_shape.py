"""Rows are made in parts: the event loop goes on with other calls in between."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from pgwamp.errors import PayloadTooLarge, TooManyRows
from pgwamp.query import shape
from pgwamp.query.shape import PART_BYTES, PART_VALUES, Related, Shape, rows_of
from pgwamp.values import float_from_text, loads

ROWS, WIDTH = 500, 190
NAMES = [f"a{n}" for n in range(WIDTH)]
WIDE = dict.fromkeys(NAMES, "1")


def conversions(convert: Any) -> Shape:
    return Shape(tuple((name, convert) for name in NAMES))


async def breaks(shape: Shape, records: list[dict[str, Any]]) -> tuple[int, list[dict[str, Any]]]:
    """How often others have their turn while rows are made, and the rows."""
    turns = 0

    async def other() -> None:
        nonlocal turns
        while True:
            await asyncio.sleep(0)
            turns += 1

    task = asyncio.create_task(other())
    try:
        rows = await rows_of(shape, records)
    finally:
        task.cancel()
    return turns, rows


@pytest.mark.parametrize("convert", [loads, float_from_text])
async def test_short_values_count_as_values(convert: Any) -> None:
    turns, rows = await breaks(conversions(convert), [WIDE] * ROWS)
    # Once for what is fetched, and once for what is converted.
    assert turns >= 2 * (ROWS * WIDTH // PART_VALUES - 1)
    assert rows[-1]["a189"] == 1


async def test_long_values_count_as_their_bytes() -> None:
    text = json.dumps("x" * PART_BYTES)
    turns, _ = await breaks(Shape((("doc", loads),)), [{"doc": text}] * 20)
    assert turns >= 19


async def test_parts_of_json_count_as_values() -> None:
    text = json.dumps([1] * PART_VALUES)
    turns, _ = await breaks(Shape((("doc", loads),)), [{"doc": text}] * 20)
    assert turns >= 20


async def test_values_of_many_parts_are_bounded_in_all(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shape, "MOST_ANSWER_PARTS", 500)
    made: list[str] = []
    documents = Shape((("doc", made.append),))
    text = json.dumps([1] * 200)
    with pytest.raises(PayloadTooLarge, match=r"^doc: .* more than 500 .* progressive results"):
        await rows_of(documents, [{"doc": text}] * 3)
    assert len(made) == 2


async def test_related_rows_are_made_in_parts_at_each_level() -> None:
    inner = Related("book", conversions(loads), 1000)
    outer = Related("author", Shape(related=(("book", inner),)), None)
    text = json.dumps({"book": [WIDE] * ROWS})
    turns, rows = await breaks(Shape(related=(("author", outer),)), [{"author": text}])
    assert turns >= ROWS * WIDTH // PART_VALUES - 1
    assert rows[0]["author"]["book"][-1]["a189"] == 1


async def test_rows_that_lend_their_columns_are_made_in_parts() -> None:
    one = Related("author", Shape(), None)
    shape = Shape(related=(("author", one),), spreads=(("author", tuple(NAMES)),))
    records = [{"author": json.dumps(WIDE)}] * ROWS
    turns, rows = await breaks(shape, records)
    assert turns >= ROWS * WIDTH // PART_VALUES - 1
    assert rows[-1] == WIDE


async def test_related_rows_are_counted_before_they_are_made(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    parsed: list[str] = []
    monkeypatch.setattr("pgwamp.query.shape.parse", lambda text: parsed.append(text) or [])
    related = Related("book", conversions(loads), 1000)
    # Each row has fewer parts than are allowed, both together have more.
    text = json.dumps([{"a": "1"}] * 60_000)
    with pytest.raises(PayloadTooLarge, match=r"^include\.book: "):
        await rows_of(Shape(related=(("book", related),)), [{"book": text}] * 2)
    assert len(parsed) == 1


async def test_a_list_of_related_rows_has_a_bound_at_each_level() -> None:
    inner = Related("book", Shape(), 2)
    outer = Related("author", Shape(related=(("book", inner),)), None)
    shape = Shape(related=(("author", outer),))
    records = [{"author": json.dumps({"book": [{}] * number})} for number in (2, 3)]
    assert await rows_of(shape, records[:1]) == [{"author": {"book": [{}, {}]}}]
    with pytest.raises(TooManyRows, match=r"^include\.book: more than 2 rows"):
        await rows_of(shape, records)
