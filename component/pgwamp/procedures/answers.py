"""The rows of an answer, made in parts: other calls go on meanwhile."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from typing import Any

from pgwamp.query.statement import Bound, Row

#: Values of rows, and octets of their text, that are converted without a break: some milliseconds.
PART_VALUES, PART_OCTETS = 5_000, 250_000


async def rows_in_parts(bound: Bound, records: Sequence[Any]) -> list[Row]:
    """Convert fetched records to the rows of an answer, with a break after each part."""
    if len(records) <= 1 or (len(records) * len(records[0]) <= PART_VALUES and not bound.converts):
        return bound.rows(records)
    rows: list[Row] = []
    for part in _parts(records):
        rows += bound.rows(part)
        await asyncio.sleep(0)
    return rows


def _parts(records: Sequence[Any]) -> Iterator[Sequence[Any]]:
    start = values = octets = 0
    for end, record in enumerate(records, 1):
        values += len(record)
        octets += sum(len(value) for value in record.values() if isinstance(value, str | bytes))
        if values >= PART_VALUES or octets >= PART_OCTETS:
            yield records[start:end]
            start, values, octets = end, 0, 0
    if start < len(records):
        yield records[start:]
