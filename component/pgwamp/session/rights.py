"""The rights that the router gives a session, found out by using them with names of our own."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import Any

from autobahn.wamp.exception import ApplicationError, TransportLost
from autobahn.wamp.types import CallDetails, RegisterOptions

from pgwamp.session.link import Link
from pgwamp.session.serving import DETAILS
from pgwamp.session.wamp import Lost

#: Seconds until the router has answered.
ANSWER_SECONDS = 10.0


class Rights:
    """What a joined session may do.

    :param prefix: URIs of our own lie below it; nobody else uses them.
    """

    def __init__(self, link: Link, prefix: str):
        self._link = link
        #: A URI of our own.
        self.own = f"{prefix}.pgwamp_check_{secrets.token_hex(8)}"

    async def register(self) -> str | None:
        """Return the error with which the router refuses to register; None if it does not."""
        try:
            registration = await self.answer(
                lambda: self._link.session.register(
                    _nothing, self.own, options=RegisterOptions(details_arg=DETAILS)
                )
            )
        except ApplicationError as error:
            return str(error.error)
        await self.answer(registration.unregister)
        return None

    async def publish(self, topics: Sequence[str]) -> dict[str, str]:
        """Return the topics to which the router refuses to publish, each with its error.

        Nobody receives anything.
        """
        refused = {}
        for topic in topics:
            try:
                await self.answer(partial(self._publish, topic, ()))
            except ApplicationError as error:
                refused[topic] = error.error
        return refused

    async def accepts(self, byte_count: int, topic: str | None = None) -> bool:
        """Whether the router takes a message of so many bytes; else it may end the session."""
        # What is around the payload takes less.
        payload = "x" * max(1, byte_count - 1_000)
        try:
            await self.answer(lambda: self._publish(topic or self.own, (payload,)))
        except Lost:
            return False
        except ApplicationError:
            pass  # it was read, and refused for another reason
        return True

    def _publish(self, topic: str, args: Iterable[Any]) -> asyncio.Future[Any]:
        # An event for this session alone, to which it is not sent.
        session = self._link.session
        options = {"eligible": [session.session_id], "exclude_me": True}
        return session.publish_event(topic, list(args), {}, options)

    async def answer(self, ask: Callable[[], Any]) -> Any:
        """Ask the router, and wait for its answer.

        :param ask: sends the question. It may find the session ended, too.
        :raises Lost: the session ended. :raises TimeoutError: none came in time.
        """
        try:
            async with asyncio.timeout(ANSWER_SECONDS):
                return await ask()
        except TransportLost as error:
            raise Lost("wamp.close.transport_lost", str(error)) from None


async def _nothing(_: list[Any], __: dict[str, Any], details: CallDetails) -> None:
    """Answer nothing."""
