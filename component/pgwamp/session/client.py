"""A small WAMP client: for the command line, the readiness of ``pgwamp dev``, and tests."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from autobahn.wamp.exception import ApplicationError, TransportLost
from autobahn.wamp.types import CallResult, EventDetails, SubscribeOptions

from pgwamp.errors import CallError, StartError, Unavailable
from pgwamp.formats import URI
from pgwamp.session.link import Link
from pgwamp.session.sending import NotSerializable
from pgwamp.session.wamp import Lost
from pgwamp.settings import RouterSettings

#: The router's own limit of one message.
MAX_MESSAGE = 16 * 2**20
#: Seconds until a router that does not answer is given up.
PATIENCE = 5.0
EventHandler = Callable[[str, list[Any], dict[str, Any]], None]


class Client:
    """A session that calls and subscribes; ``async with Client(settings) as client``.

    It joins again when the connection is lost, and subscribes again to what was subscribed.
    ``on_rejoin`` is called after each join but the first, before any event of the new session:
    events may have been missed in between. What is called from then on is answered when every
    subscription stands, so that nothing happens between an answer and the first event.

    Entering raises :class:`~pgwamp.errors.StartError` when the router refuses.
    """

    def __init__(self, settings: RouterSettings, on_rejoin: Callable[[], None] | None = None):
        self._settings = settings
        self._on_rejoin = on_rejoin
        self._subscriptions: list[tuple[str, str, EventHandler]] = []
        self._joined_before = False

    async def __aenter__(self) -> Client:
        self.link = Link(
            self._settings, max_bytes=MAX_MESSAGE, on_join=self._on_join, patience=PATIENCE
        )
        try:
            await self.link.start()
        except BaseException:
            await self.link.stop()
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.link.stop()

    async def _on_join(self) -> None:
        # All are sent before anybody can call: the router takes them in this order.
        replies = [(wanted[0], self._subscribe(*wanted)) for wanted in self._subscriptions]
        if self._joined_before and self._on_rejoin is not None:
            self._on_rejoin()
        self._joined_before = True
        await asyncio.gather(*(reply for _, reply in replies), return_exceptions=True)
        for topic, reply in replies:
            try:
                await reply
            except ApplicationError as error:
                raise StartError(f"subscribing to {topic}: {error.error}") from None

    def announces(self, role: str, feature: str) -> bool:
        """Whether the router announced a feature; see :meth:`WampSession.announces`."""
        return self.link.session.announces(role, feature)

    async def call(
        self,
        procedure: str,
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
        on_progress: Callable[..., Any] | None = None,
    ) -> Any:
        """Call and return the result's value; see :meth:`call_full`."""
        return (await self.call_full(procedure, args, kwargs, on_progress))[0]

    async def call_full(
        self,
        procedure: str,
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
        on_progress: Callable[..., Any] | None = None,
    ) -> tuple[Any, dict[str, Any]]:
        """Call and return the value and the keyword results.

        :raises CallError: with the URI, message and details that the callee answered.
        """
        if not URI.fullmatch(procedure):
            # Autobahn would send it, and the router would end the session.
            raise CallError(f"{procedure!r} is no URI", uri="wamp.error.invalid_uri")
        try:
            result = await self.link.session.call_procedure(
                procedure, args, kwargs or {}, on_progress
            )
        except ApplicationError as error:
            message = str(error.args[0]) if error.args else error.error
            details = {k: v for k, v in (error.kwargs or {}).items() if k != "uri"}
            details.pop("message", None)
            raise CallError(message, uri=error.error, **details) from None
        except NotSerializable as error:
            raise CallError(str(error), uri="wamp.error.invalid_argument") from None
        except (Lost, TransportLost):
            raise Unavailable("the connection to the router was lost") from None
        if isinstance(result, CallResult):
            value = result.results[0] if len(result.results) == 1 else list(result.results)
            return value, dict(result.kwresults)
        return result, {}

    async def subscribe(self, topic: str, handler: EventHandler, match: str = "exact") -> None:
        """Call ``handler(topic, args, kwargs)`` for each event, also after a rejoin.

        :raises CallError: the router refused the subscription.
        """
        try:
            await self._subscribe(topic, match, handler)
        except ApplicationError as error:
            message = str(error.args[0]) if error.args else error.error
            raise CallError(message, uri=error.error) from None
        self._subscriptions.append((topic, match, handler))

    def _subscribe(self, topic: str, match: str, handler: EventHandler) -> asyncio.Future[Any]:
        def on_event(args: list[Any], kwargs: dict[str, Any], details: EventDetails) -> None:
            handler(details.topic or topic, args, kwargs)

        options = SubscribeOptions(match=match, details_arg="details")
        reply: asyncio.Future[Any] = self.link.session.subscribe(on_event, topic, options=options)
        return reply
