"""Answers that are measured before they are sent, and before what they tell of is committed."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

from pgwamp.errors import PayloadTooLarge
from pgwamp.session.procedure import Call
from pgwamp.settings import LimitSettings
from pgwamp.values import MOST_PARTS
from pgwamp.values.portable import measured_parts, most_bytes

#: Ends what an error says of the bytes of a message.
OF_A_MESSAGE = "bytes that a message holds (limits.max_bytes, or less if the router says so)"

#: Bytes between two results in any serializer, at most.
_SEPARATOR_BYTES = 2


async def measured(value: Any) -> AsyncIterator[tuple[int, int]]:
    """As :func:`~pgwamp.values.portable.measured_parts`; others have a turn between two parts."""
    first = True
    for part in measured_parts(value):
        if not first:
            await asyncio.sleep(0)
        first = False
        yield part


class Gathered:
    """The results so far, bounded as one answer is, in the serializer that takes the most.

    :param call: the answer is its own.
    :param limits: bound a call that is part of another one.
    :param cure: ends the message of the error.
    """

    def __init__(self, call: Call, limits: LimitSettings, cure: str):
        self.results: list[Any] = []
        self._values = 0
        self._octets = most_bytes([])
        self._max_bytes = limits.max_bytes if call.max_bytes is None else call.max_bytes
        self._cure = cure

    async def add(self, result: Any) -> None:
        """Keep a further result.

        :raises PayloadTooLarge: all together no message can hold, or writing it would hold the
            event loop.
        """
        self._octets += _SEPARATOR_BYTES
        await self.measure(result)
        self.results.append(result)

    async def measure(self, result: Any) -> None:
        """Count what is answered beside the results. Raises as :meth:`add`."""
        async for values, byte_count in measured(result):
            self._values += values
            self._octets += byte_count
            if self._values > MOST_PARTS:
                raise self._refusal(f"{MOST_PARTS} values, elements and members counted")
            if self._octets > self._max_bytes:
                raise self._refusal(f"the {self._max_bytes} {OF_A_MESSAGE}")

    def _refusal(self, most: str) -> PayloadTooLarge:
        return PayloadTooLarge(f"the results come to more than {most}; {self._cure}")
