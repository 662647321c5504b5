"""The rights of followers while events flow: asked again at most a second old.

A notification tells of GRANT and REVOKE, but not of a role membership that is revoked, and nothing
tells where event triggers are missing. So the answer has an age, too. All followers of one role
share it: the database is asked once, however many they are.

A question counts to one of those who await it, to whoever may have a connection first. So nobody
keeps events from others of the same role by having no share left.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Any, TypeAlias

import asyncpg

from pgwamp.access import Caller
from pgwamp.replay.event_filter import EventFilter
from pgwamp.shares import Party
from pgwamp.tasks import end

#: Seconds for which an answer holds.
RIGHTS_SECONDS = 1.0

#: The path of the subject, and the role.
Key = tuple[str, str | None]
#: Lends a connection that counts to one of a party, and asks with it.
Connect: TypeAlias = "Callable[[Party], AbstractAsyncContextManager[asyncpg.Connection[Any]]]"
Ask: TypeAlias = "Callable[[asyncpg.Connection[Any]], Awaitable[EventFilter]]"


@dataclass(frozen=True, slots=True)
class _Answer:
    event_filter: EventFilter
    schema: int
    asked_at: float


class _Question:
    """A question that several await. It ends when nobody does.

    :ivar asked_at: when the database was asked; before that, when the question came up.
    """

    def __init__(self, connect: Connect, ask: Ask):
        self.asked_at = asyncio.get_running_loop().time()
        self._party = Party()
        self._schema = 0
        self._is_asked = False
        self.task = asyncio.create_task(self._run(connect, ask), name="pgwamp rights")

    async def _run(self, connect: Connect, ask: Ask) -> _Answer:
        async with connect(self._party) as connection:
            # As old as the question: what is revoked after it may not be in the answer.
            self.asked_at = asyncio.get_running_loop().time()
            self._is_asked = True
            return _Answer(await ask(connection), self._schema, self.asked_at)

    async def answered(self, caller: Caller, schema: int) -> None:
        """Wait until it has an answer or has failed; it may count to this caller too."""
        self._party.join(caller)
        if not self._is_asked:
            self._schema = max(self._schema, schema)
        try:
            await asyncio.wait([self.task])
        finally:
            self._party.leave(caller)
            if not self._party.members:
                await end(self.task)


class Rights:
    """The newest answers of an instance."""

    def __init__(self) -> None:
        self._answers: dict[Key, _Answer] = {}
        self._questions: dict[Key, _Question] = {}

    async def event_filter(
        self, key: Key, schema: int, caller: Caller, connect: Connect, ask: Ask
    ) -> EventFilter:
        """The events that a role may have, by an answer that still holds.

        :param schema: the number of the schema as it is now; an answer of another one is over.
        :param caller: one of the role.
        :raises NotAuthorized: as ``ask`` does; that is not kept.
        """
        came_at = asyncio.get_running_loop().time()
        while (known := self._holding(key, schema)) is None:
            question = self._question(key, connect, ask)
            await question.answered(caller, schema)
            # One that was asked before may know nothing of what was granted or revoked since.
            if question.asked_at >= came_at:
                return question.task.result().event_filter
        return known

    def _question(self, key: Key, connect: Connect, ask: Ask) -> _Question:
        """The question that is open, or a new one."""
        question = self._questions.get(key)
        if question is None or question.task.cancelling():
            self._answers.pop(key, None)
            question = self._questions[key] = _Question(connect, ask)
            question.task.add_done_callback(lambda task: self._take(key, question, task))
        return question

    def _take(self, key: Key, question: _Question, task: asyncio.Task[_Answer]) -> None:
        if self._questions.get(key) is question:
            del self._questions[key]
        if not task.cancelled() and task.exception() is None:
            self._answers[key] = task.result()

    def _holding(self, key: Key, schema: int) -> EventFilter | None:
        answer = self._answers.get(key)
        now = asyncio.get_running_loop().time()
        if answer is None or answer.schema < schema or now - answer.asked_at >= RIGHTS_SECONDS:
            return None
        return answer.event_filter
