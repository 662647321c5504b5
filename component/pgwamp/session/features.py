"""The features of a router that pgwamp needs, found out by using them.

Routers announce their features in WELCOME. Some do more than they announce, and a role may be
allowed less: so each feature is tried where one session can, with URIs of our own.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from functools import partial
from typing import Any, NamedTuple

from autobahn.wamp.exception import ApplicationError, TransportLost
from autobahn.wamp.types import CallDetails, EventDetails, RegisterOptions, SubscribeOptions

from pgwamp.session.link import Link
from pgwamp.session.rights import Rights
from pgwamp.session.serving import DETAILS
from pgwamp.session.wamp import Lost

IDENTIFICATION, LISTING = "caller_identification", "subscriber_blackwhite_listing"
_PROGRESS, _CANCELING = "progressive_call_results", "call_canceling"
_PATTERNS = "pattern_based_subscription"
#: Features by the role of the router that has them, and what becomes of pgwamp without each.
NEEDED: Mapping[tuple[str, str], str] = {
    ("dealer", _PROGRESS): "follow, live queries and progressive results do not work",
    ("dealer", _CANCELING): "a call that its caller cancels goes on until its time is over",
    ("dealer", "shared_registration"): "a second instance is refused, and a component that lost "
    "its connection is refused until the router has noticed",
    ("broker", _PATTERNS): "a subscription to a prefix, as com.example.orders., gets no events",
    ("broker", LISTING): "events with eligible_* or exclude_* are not published",
    ("broker", "event_retention"): "the option retain of watched tables has no effect",
}
#: Seconds until an event has come that a router does send.
EVENT_SECONDS = 3.0
#: No router gives out this number.
_NOBODY = 2**53
_DETAILED = RegisterOptions(details_arg=DETAILS)
_WAIT, _RETURN = "wait", "return"


class Lack(NamedTuple):
    """A feature that a router lacks.

    :ivar lost: what becomes of pgwamp without it.
    :ivar tried: it was used without effect; else the router does not announce it.
    """

    feature: str
    lost: str
    tried: bool


class Features:
    """The features of the router of a joined session.

    :ivar done: by feature, whether the router did it; one that could not be tried is missing.
    :ivar calls_refused: the error with which the router refuses a call of ours.
    """

    def __init__(self, link: Link, rights: Rights):
        self._link = link
        self._own, self._answer = rights.own, rights.answer
        self.done: dict[str, bool] = {}
        self.calls_refused: str | None = None

    def lacking(self) -> list[Lack]:
        """Return the features that the router does not do, or was not tried with and lacks."""
        found = []
        for (role, name), lost in NEEDED.items():
            announced, done = self.announces(role, name), self.done.get(name)
            # What is for some is sent only where the router announces that it can.
            if done is False or (not announced and (done is None or name == LISTING)):
                found.append(Lack(name, lost, tried=done is False))
        return found

    def announces(self, role: str, name: str) -> bool:
        """Whether the router announced a feature."""
        return self._link.session.announces(role, name)

    async def try_calls(self) -> None:
        """Call a procedure of our own: who is said to call, and can it send and be stopped?"""
        session, callee = self._link.session, _Callee()
        registration = await self._answer(
            lambda: session.register(callee.serve, self._own, options=_DETAILED)
        )
        received: list[Any] = []
        try:
            await self._answer(
                lambda: session.call_procedure(
                    self._own, [_RETURN], {}, on_progress=received.append
                )
            )
            self.done |= {IDENTIFICATION: callee.disclosed, _PROGRESS: bool(received)}
            waiting = session.call_procedure(self._own, [_WAIT], {})
            await self._answer(callee.begun.wait)
            waiting.cancel()
            # The interrupt comes before the invocation of this one, if it comes at all.
            await self._answer(lambda: session.call_procedure(self._own, [_RETURN], {}))
            self.done[_CANCELING] = callee.interrupted
        except ApplicationError as error:
            self.calls_refused = str(error.error)
        finally:
            callee.released.set()
            if not session.closed.done():
                await self._answer(registration.unregister)

    async def try_events(self) -> None:
        """Subscribe to a topic of our own and to its prefix, and publish to nobody and to us."""
        session, topic = self._link.session, f"{self._own}.event"
        by_topic: list[int] = []
        by_prefix: list[int] = []
        enough = asyncio.Event()

        def on_event(args: list[Any], _: dict[str, Any], details: EventDetails) -> None:
            by_topic.append(args[0])
            if args[0] == 2:
                enough.set()

        def on_prefix(args: list[Any], _: dict[str, Any], details: EventDetails) -> None:
            by_prefix.append(args[0])

        subscriptions: list[Any] = []
        try:
            for handler, uri, match in (
                (on_prefix, f"{self._own}.", "prefix"),
                (on_event, topic, "exact"),
            ):
                options = SubscribeOptions(match=match, details_arg=DETAILS)
                subscriptions.append(
                    await self._answer(partial(session.subscribe, handler, uri, options=options))
                )
            # Events of one topic come in order: with the last one, those before it have come.
            for number, eligible in enumerate((_NOBODY, session.session_id, session.session_id)):
                to_us = {"eligible": [eligible], "exclude_me": False}
                await self._answer(partial(session.publish_event, topic, [number], {}, to_us))
            async with asyncio.timeout(EVENT_SECONDS):
                await enough.wait()
            self.done |= {_PATTERNS: bool(by_prefix), LISTING: 0 not in by_topic}
        except (ApplicationError, TimeoutError):
            pass  # a session that gets no event of its own tells nothing
        finally:
            if not session.closed.done():
                for subscription in subscriptions:
                    await self._answer(subscription.unsubscribe)

    async def survives_a_caller(self, caller: Link) -> bool:
        """Whether our session lives on when a caller leaves before its answer.

        :param caller: a second session, which leaves.
        """
        session, callee = self._link.session, _Callee()
        try:
            registration = await self._answer(
                lambda: session.register(callee.serve, self._own, options=_DETAILED)
            )
            await self._leave_during_a_call(caller, callee)
            # The answer to nobody is sent before the second of these.
            for _ in range(2):
                await self._answer(lambda: session.call_procedure(self._own, [_RETURN], {}))
            await self._answer(registration.unregister)
        except ApplicationError:
            return True  # what is refused is told elsewhere
        except (Lost, TransportLost):  # the second by sending a call
            return False
        return True

    async def _leave_during_a_call(self, caller: Link, callee: _Callee) -> None:
        calling = caller.session.call_procedure(self._own, [_WAIT], {})
        calling.add_done_callback(_forget)
        begun = asyncio.create_task(callee.begun.wait())
        await asyncio.wait(
            (calling, begun), timeout=EVENT_SECONDS, return_when=asyncio.FIRST_COMPLETED
        )
        begun.cancel()
        await caller.stop()
        callee.released.set()


class _Callee:
    """A procedure that returns, or waits to be interrupted, as its caller says."""

    def __init__(self) -> None:
        self.disclosed = self.interrupted = False
        self.begun, self.released = asyncio.Event(), asyncio.Event()

    async def serve(self, args: list[Any], _: dict[str, Any], details: CallDetails) -> None:
        """Answer; as Autobahn calls an endpoint."""
        self.disclosed = self.disclosed or details.caller is not None
        if args != [_WAIT]:
            if details.progress is not None:
                details.progress(1)
            return
        self.begun.set()
        try:
            await self.released.wait()
        except asyncio.CancelledError:
            self.interrupted = True
            raise


def _forget(call: asyncio.Future[Any]) -> None:
    """Take the error of a call that nobody waits for."""
    if not call.cancelled():
        call.exception()
