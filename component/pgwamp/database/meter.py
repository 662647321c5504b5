"""A bound on what one statement may send us, enforced while it arrives.

asyncpg holds a whole result before it hands it over, however large it is: a thousand rows may have
a thousand megabytes. No statement can be asked beforehand how large its answer will be, so the
bytes are counted where they come in, and a connection whose answer is too large is closed.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Any, TypeVar

from pgwamp.errors import PayloadTooLarge

#: Bytes that a statement may answer beside what is twice the limit of a message: bytea travels as
#: hex, and rows have heads.
MARGIN = 64 * 1024
Error = TypeVar("Error", bound=BaseException)


class Meter(asyncio.Protocol):
    """Stands between a transport and asyncpg's protocol, and counts.

    :ivar exceeded: the connection was closed because more came than was allowed.
    """

    def __init__(self, protocol: Any, transport: asyncio.Transport):
        self._protocol = protocol
        self._transport = transport
        self._left: int | None = None
        self.exceeded = False
        transport.set_protocol(self)

    def allow(self, byte_count: int | None) -> None:
        """Let so many bytes come from now on; None is without bounds."""
        self._left = byte_count

    def data_received(self, data: bytes) -> None:
        """Count, and hand over."""
        if self._left is not None:
            self._left -= len(data)
            if self._left < 0:
                self.exceeded = True
                self._transport.abort()
                return
        self._protocol.data_received(data)

    def connection_lost(self, error: Exception | None) -> None:
        """Hand over."""
        self._protocol.connection_lost(error)

    def eof_received(self) -> None:
        """Hand over."""
        self._protocol.eof_received()

    def pause_writing(self) -> None:
        """Hand over."""
        self._protocol.pause_writing()

    def resume_writing(self) -> None:
        """Hand over."""
        self._protocol.resume_writing()


@dataclass(frozen=True, slots=True)
class AnswerBound:
    """The bound on what one statement may answer.

    :ivar max_bytes: of a message.
    """

    max_bytes: int

    @property
    def byte_count(self) -> int:
        """Bytes of an answer at most."""
        return 2 * self.max_bytes + MARGIN

    def explained(self, meter: Meter, error: Error) -> Error | PayloadTooLarge:
        """Return the error of a lost connection, perhaps because it brought too much."""
        if not meter.exceeded:
            return error
        return PayloadTooLarge(
            f"the answer is larger than limits.max_bytes ({self.max_bytes}); "
            "ask for fewer rows or columns, or for progressive results"
        )
