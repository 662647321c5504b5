"""Results that come one by one and are answered in one message."""

from __future__ import annotations

from typing import Any

from pgwamp.errors import PayloadTooLarge
from pgwamp.neutral import Size, most_octets
from pgwamp.pgtypes import MOST_PARTS


class Gathered:
    """The results so far, bounded as one answer is, in the serializer that takes the most.

    :param max_bytes: octets of a message.
    :param cure: ends the message of the error.
    """

    def __init__(self, max_bytes: int, cure: str):
        self.results: list[Any] = []
        self._size = Size()
        self._octets = 0
        self._max_bytes = max_bytes
        self._cure = cure

    def add(self, result: Any) -> None:
        """Keep a further result.

        :raises PayloadTooLarge: all together no message can hold, or writing it would hold the
            event loop.
        """
        self.measure(result)
        self.results.append(result)

    def measure(self, result: Any) -> None:
        """Count what is answered beside the results. Raises as :meth:`add`."""
        self._size.add(result, MOST_PARTS, self._max_bytes)
        if self._size.values > MOST_PARTS:
            raise self._refusal(f"{MOST_PARTS} values, elements and members counted")
        if self._size.octets <= self._max_bytes:
            self._octets += most_octets(result)
        if max(self._size.octets, self._octets) > self._max_bytes:
            raise self._refusal(f"{self._max_bytes} octets (limits.max_bytes)")

    def _refusal(self, most: str) -> PayloadTooLarge:
        return PayloadTooLarge(f"the results come to more than {most}; {self._cure}")
