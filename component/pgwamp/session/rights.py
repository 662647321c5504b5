"""What the router lets a session do, found out by doing it with names of our own."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Iterable, Sequence
from typing import Any

from autobahn.wamp.exception import ApplicationError, TransportLost
from autobahn.wamp.types import CallDetails, RegisterOptions

from pgwamp.session.link import Link
from pgwamp.session.serving import DETAILS
from pgwamp.session.wamp import Lost

#: Seconds until the router has answered.
ANSWER_SECONDS = 10.0
#: Features of a router, as WAMP names them, that something of pgwamp needs.
_NEEDED = {
    "dealer": {
        "caller_identification": "access.roles, which refuses every call then",
        "progressive_call_results": "follow, live queries and progressive results",
        "call_canceling": "follow and live queries, which do not end then",
        "shared_registration": "a second instance, and joining again after a cut connection",
    },
    "broker": {
        "pattern_based_subscription": "subscribers to a prefix, as com.example.orders.",
        "subscriber_blackwhite_listing": "eligible_authid and eligible_authrole of watched tables",
    },
}


class Rights:
    """What a joined session may do.

    :param prefix: URIs of our own lie below it; nobody else uses them.
    """

    def __init__(self, link: Link, prefix: str):
        self._link = link
        #: A URI of our own.
        self.own = f"{prefix}.pgwamp_check_{secrets.token_hex(8)}"

    def lacking(self) -> list[tuple[str, str]]:
        """Return the features that the router does not announce, and what needs each."""
        found: list[tuple[str, str]] = []
        for role, needed in _NEEDED.items():
            features = getattr(self._link.session.router_roles.get(role), "__dict__", {})
            found += [(name, use) for name, use in needed.items() if not features.get(name)]
        return found

    async def register(self) -> str | None:
        """Return the error with which the router refuses to register; None if it does not."""
        try:
            registration = await self._answer(
                self._link.session.register(_nothing, self.own, options=_options())
            )
        except ApplicationError as error:
            return str(error.error)
        await self._answer(registration.unregister())
        return None

    async def publish(self, topics: Sequence[str]) -> dict[str, str]:
        """Return the topics to which the router refuses to publish, each with its error.

        Nobody receives anything.
        """
        refused = {}
        for topic in topics:
            try:
                await self._answer(self._publish(topic, ()))
            except ApplicationError as error:
                refused[topic] = error.error
        return refused

    async def disclosed(self) -> bool | str:
        """Whether the router says who calls; its error if it refuses the call."""
        seen: list[CallDetails] = []

        async def endpoint(_: list[Any], __: dict[str, Any], details: CallDetails) -> None:
            seen.append(details)

        registration = None
        try:
            registration = await self._answer(
                self._link.session.register(endpoint, self.own, options=_options())
            )
            await self._answer(self._link.session.call_procedure(self.own, [], {}))
        except ApplicationError as error:
            return str(error.error)
        finally:
            if registration is not None:
                await self._answer(registration.unregister())
        return any(details.caller is not None for details in seen)

    async def accepts(self, octets: int, topic: str | None = None) -> bool:
        """Whether the router takes a message of so many octets; else it may end the session."""
        # What is around the payload takes less.
        payload = "x" * max(1, octets - 1_000)
        try:
            await self._answer(self._publish(topic or self.own, (payload,)))
        except (Lost, TransportLost):
            return False
        except ApplicationError:
            pass  # it was read, and refused for another reason
        return True

    def _publish(self, topic: str, args: Iterable[Any]) -> asyncio.Future[Any]:
        # An event for this session alone, to which it is not sent.
        session = self._link.session
        options = {"eligible": [session.session_id], "exclude_me": True}
        return session.publish_event(topic, list(args), {}, options)

    async def _answer(self, answer: Any) -> Any:
        async with asyncio.timeout(ANSWER_SECONDS):
            return await answer


async def _nothing(_: list[Any], __: dict[str, Any], details: CallDetails) -> None:
    """Answer nothing."""


def _options() -> RegisterOptions:
    return RegisterOptions(details_arg=DETAILS)
