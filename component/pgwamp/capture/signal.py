"""The sequence ``wamp.signal``: which partition is written, and whether the reader sleeps."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from importlib.resources import files
from typing import Any

import asyncpg

#: Writers notify here, without a payload.
CHANNEL = "wamp.raw"
_WRITING = (files("pgwamp.capture") / "sql" / "writing.sql").read_text(encoding="utf-8")
_SET = "select setval('wamp.signal', $1)"
# A prepared transaction cannot have notified: where there can be any, nobody is asked to.
_STATE = """
select pg_sequence_last_value('wamp.signal') as signal,
    current_setting('max_prepared_transactions')::int = 0 as may_sleep
"""


class Signal:
    """The signal of the one reader, on its connection.

    :ivar may_sleep: whether writers can be made to notify.
    """

    def __init__(self, connection: asyncpg.Connection[Any]):
        self._connection = connection
        self._turn = 0
        self._is_asleep = False
        self._woken = asyncio.Event()
        self._closed = asyncio.Event()
        self.may_sleep = False

    async def start(self) -> None:
        """Listen; from here on no notification is missed. Nobody is asked to notify yet."""
        self._connection.add_termination_listener(self._on_closed)
        await self._connection.add_listener(CHANNEL, self._on_notify)
        state = await self._connection.fetchrow(_STATE)
        assert state is not None
        # In a copy of the schema without data nothing was captured until now.
        self._turn = (state["signal"] or 0) // 2
        self.may_sleep = state["may_sleep"]
        await self._set()

    @property
    def turn(self) -> int:
        """The number of the turn: of its partition, it is the rest by three."""
        return self._turn

    async def set_turn(self, turn: int) -> None:
        """Have writers write to the partition of a later turn."""
        self._turn = turn
        await self._set()

    async def fall_asleep(self) -> None:
        """Have writers notify from now on; then look at what those :meth:`writing` leave."""
        self._is_asleep = True
        await self._set()

    async def stay_awake(self) -> None:
        """Have writers not notify."""
        if self._is_asleep:
            self._is_asleep = False
            await self._set()

    async def _set(self) -> None:
        await self._connection.execute(_SET, self._turn * 2 + self._is_asleep)

    async def writing(self, among: Sequence[str] | None = None) -> list[str]:
        """The open transactions that have written rows, or those of ``among`` that still are."""
        writing: list[str] = await self._connection.fetchval(_WRITING, among)
        return writing

    def wake(self) -> None:
        """End a sleep from within."""
        self._woken.set()

    def clear(self) -> None:
        """Forget the wake-ups so far; look, and then sleep."""
        if not self._closed.is_set():
            self._woken.clear()

    async def sleep(self, seconds: float) -> bool:
        """Whether a wake-up came within that time."""
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._woken.wait()
        return self._woken.is_set()

    async def lost(self) -> None:
        """Wait until the connection is lost.

        :raises asyncpg.ConnectionDoesNotExistError: always, then.
        """
        await self._closed.wait()
        raise asyncpg.ConnectionDoesNotExistError("the connection was lost")

    def _on_notify(self, _connection: Any, _pid: int, _channel: str, _payload: object) -> None:
        self._woken.set()

    def _on_closed(self, _connection: Any) -> None:
        self._closed.set()
        self._woken.set()
