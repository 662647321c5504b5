"""Answers that are measured before what they tell of is committed."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from typing import Any

from pgwamp.errors import PayloadTooLarge
from pgwamp.neutral import most_octets
from pgwamp.session import Call, Result

#: Rows that are measured without a break.
_ROWS_AT_ONCE = 200


async def require_fitting(call: Call, answer: Any) -> None:
    """Refuse an answer that may be too large for a message, in the serializer that takes the most.

    A write commits after this, so that its error has changed nothing. Others have their turn.

    :raises PayloadTooLarge: it may be too large.
    """
    if call.max_bytes is None:
        return
    values = [answer.value, dict(answer.kwargs)] if isinstance(answer, Result) else [answer]
    octets = 0
    for value in values:
        rows = value if isinstance(value, list) else [value]
        for start in range(0, len(rows), _ROWS_AT_ONCE):
            if start:
                await asyncio.sleep(0)
            octets += most_octets(rows[start : start + _ROWS_AT_ONCE])
            if octets > call.max_bytes:
                raise PayloadTooLarge(
                    f"the answer may take more than the {call.max_bytes} octets that a message "
                    "holds (limits.max_bytes, or less if the router says so); nothing was changed: "
                    "ask for fewer rows or columns, or write with returning=false"
                )


def fitting_parts(call: Call, rows: Sequence[Any]) -> Iterator[Sequence[Any]]:
    """Rows in messages that fit; a single row that does not is one of them."""
    if call.max_bytes is None:
        yield rows
        return
    start = octets = 0
    for index, row in enumerate(rows):
        size = most_octets(row)
        if octets + size > call.max_bytes and index > start:
            yield rows[start:index]
            start, octets = index, 0
        octets += size
    yield rows[start:]
