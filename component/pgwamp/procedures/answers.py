"""The rows of an answer, made in parts: other calls go on meanwhile."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

from pgwamp.query.statement import Bound, Row

#: Values of rows that are made, and octets of values that are read, without a break. Either takes
#: some milliseconds.
PART_VALUES, PART_OCTETS = 5_000, 250_000


async def rows_in_parts(bound: Bound, records: Sequence[Any]) -> list[Row]:
    """Convert fetched records to the rows of an answer, with a break after each part.

    :raises PayloadTooLarge: a value has more parts than can be read at once.
    """
    if not records:
        return []
    size = max(1, PART_VALUES // max(1, len(records[0])))
    rows: list[Row] = []
    for start in range(0, len(records), size):
        if start:
            await asyncio.sleep(0)
        rows += bound.unconverted(records[start : start + size])
    shape = bound.statement.shape
    left = PART_OCTETS
    for name, convert in shape.conversions:
        for row in rows:
            value = row[name]
            if value is None:
                continue
            row[name] = convert(value)
            left -= len(value) if isinstance(value, str) else 50
            if left < 0:
                await asyncio.sleep(0)
                left = PART_OCTETS
    return shape.spread_all(rows)
