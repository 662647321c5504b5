"""The rights of followers while events flow: asked again at most a second old.

A notification tells of GRANT and REVOKE, but not of a role membership that is revoked, and nothing
tells where event triggers are missing. So the answer has an age, too. All followers of one role
share it: the database is asked once, however many they are.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from pgwamp.replay.event_filter import EventFilter

#: Seconds for which an answer holds.
RIGHTS_SECONDS = 1.0

#: The path of the subject, and the role.
Key = tuple[str, str | None]


@dataclass(frozen=True, slots=True)
class _Answer:
    wanted: EventFilter
    schema: int
    asked_at: float


class Rights:
    """The newest answers of an instance."""

    def __init__(self) -> None:
        self._answers: dict[Key, _Answer] = {}
        self._asking: dict[Key, asyncio.Lock] = {}

    async def wanted(
        self, key: Key, schema: int, ask: Callable[[], Awaitable[EventFilter]]
    ) -> EventFilter:
        """The events that a role may have, by an answer that still holds.

        :param schema: the number of the schema as it is now; an answer of another one is over.
        :raises NotAuthorized: as ``ask`` does; that is not kept.
        """
        if (known := self._holding(key, schema)) is not None:
            return known
        async with self._asking.setdefault(key, asyncio.Lock()):
            if (known := self._holding(key, schema)) is not None:
                return known
            # As old as the question: what is revoked after it may not be in the answer.
            asked_at = asyncio.get_running_loop().time()
            self._answers.pop(key, None)
            wanted = await ask()
            self._answers[key] = _Answer(wanted, schema, asked_at)
            return wanted

    def _holding(self, key: Key, schema: int) -> EventFilter | None:
        answer = self._answers.get(key)
        now = asyncio.get_running_loop().time()
        if answer is None or answer.schema != schema or now - answer.asked_at >= RIGHTS_SECONDS:
            return None
        return answer.wanted
