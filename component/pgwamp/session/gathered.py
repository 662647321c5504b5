"""Results that come one by one and are answered in one message."""

from __future__ import annotations

from typing import Any

from pgwamp.errors import PayloadTooLarge
from pgwamp.neutral import Size
from pgwamp.pgtypes import MOST_PARTS


class Gathered:
    """The results so far, bounded as one answer is.

    :param max_bytes: octets of a message.
    :param cure: ends the message of the error.
    """

    def __init__(self, max_bytes: int, cure: str):
        self.results: list[Any] = []
        self._size = Size()
        self._max_bytes = max_bytes
        self._cure = cure

    def add(self, result: Any) -> None:
        """Keep a further result.

        :raises PayloadTooLarge: all together no message can hold, or writing it would hold the
            event loop.
        """
        self._size.add(result, MOST_PARTS, self._max_bytes)
        if self._size.values > MOST_PARTS:
            most = f"{MOST_PARTS} values, elements and members counted"
        elif self._size.message > self._max_bytes:
            most = f"{self._max_bytes} octets (limits.max_bytes)"
        else:
            self.results.append(result)
            return
        raise PayloadTooLarge(f"the results come to more than {most}; {self._cure}")
