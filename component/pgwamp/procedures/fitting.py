"""Answers that are measured before what they tell of is committed."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from typing import Any

from pgwamp.errors import PayloadTooLarge
from pgwamp.session import OF_A_MESSAGE, Call, Result, measured


async def require_fitting(call: Call, answer: Any) -> None:
    """Refuse an answer that may be too large for a message, in the serializer that takes the most.

    A write commits after this, so that its error has changed nothing. Others have their turn.

    :raises PayloadTooLarge: it may be too large.
    """
    if call.max_bytes is None:
        return
    if isinstance(answer, Result):
        answer = [answer.value, dict(answer.kwargs)]
    whole = 0
    async for _, byte_count in measured(answer):
        whole += byte_count
        if whole > call.max_bytes:
            raise PayloadTooLarge(
                f"the answer may take more than the {call.max_bytes} {OF_A_MESSAGE}; nothing was "
                "changed: ask for fewer rows or columns, or write with returning=false"
            )


async def fitting_parts(call: Call, rows: Sequence[Any]) -> AsyncIterator[Sequence[Any]]:
    """Rows in messages that fit; a single row that does not is one of them."""
    if call.max_bytes is None:
        yield rows
        return
    start = whole = 0
    for index, row in enumerate(rows):
        size = 0
        async for _, byte_count in measured(row):
            size += byte_count
            if size > call.max_bytes:
                break
        if whole + size > call.max_bytes and index > start:
            yield rows[start:index]
            start, whole = index, 0
        whole += size
    yield rows[start:]
