"""The link to the router: connect, join, register, and do it again when it is lost.

Autobahn's ``Component`` does this too, but never resets its back-off, reconnects after being
stopped, retries a wrong password for ever and hides failed registrations; this loop is small
and does not.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

from autobahn.wamp.exception import ApplicationError, ProtocolError, TransportLost
from autobahn.wamp.types import ComponentConfig, RegisterOptions, SessionDetails

from pgwamp import logs
from pgwamp.errors import StartError
from pgwamp.formats import URI
from pgwamp.session.credentials import authenticator_of
from pgwamp.session.failures import (
    TAKEN,
    ProcedureTaken,
    is_waiting_for_helper,
    not_joined,
    not_registered,
    unreachable,
    will_pass,
)
from pgwamp.session.procedure import Procedure
from pgwamp.session.serving import DETAILS, Serving
from pgwamp.session.transports import CONNECT_TIMEOUT, open_transport
from pgwamp.session.wamp import Lost, PublishRefused, WampSession
from pgwamp.settings import RouterSettings
from pgwamp.tasks import end

log = logs.get(__name__)
#: Back-off between connects, in seconds; reset by every successful join.
FIRST_DELAY, LONGEST_DELAY = 0.1, 5.0
#: A router that just starts may refuse a realm it is about to open; believe it the third time.
REFUSALS = 3
_REGISTERING = 64
#: Options of an event that is not for everybody.
_RESTRICTIONS = tuple(
    f"{kind}{of}" for kind in ("eligible", "exclude") for of in ("", "_authid", "_authrole")
)
#: Seconds between two questions whether a router behind a RawSocket lives, and for the answer.
LIFE_INTERVAL_SECONDS, LIFE_TIMEOUT_SECONDS = 10.0, 10.0
_CLOSE_TIMEOUT = 3.0

OnJoin = Callable[[], Awaitable[None]]


class Link:
    """A session on the realm, kept up.

    :param patience: seconds until :meth:`start` gives up when no router answers; None waits on.
    :param once: the first failure to connect is the end, with its reason.
    :param max_values: values in the arguments of one call; None has no bound.
    :param serving: its procedures are registered after each join. A refusal is fatal.
    :param on_join: awaited after each join, before the link counts as up; subscribing belongs
        there. An error it raises is fatal.
    """

    def __init__(
        self,
        settings: RouterSettings,
        *,
        max_bytes: int,
        max_values: int | None = None,
        serving: Serving | None = None,
        on_join: OnJoin | None = None,
        patience: float | None = None,
        once: bool = False,
    ):
        self._settings = settings
        self._max_bytes = max_bytes
        self._max_values = max_values
        self._serving = serving
        self._on_join = on_join
        self._patience = patience
        self._once = once
        #: Why the last try failed, since the last session.
        self._obstacle: StartError | None = None
        self._session: WampSession | None = None
        self._registrations: dict[str, Any] = {}
        self._has_been_up = False
        self._registering = asyncio.Lock()
        self._up = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._stopping = asyncio.Event()
        self.details: SessionDetails | None = None
        #: Fails with the StartError that ended the link for good.
        self.failed: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    # --- life -----------------------------------------------------------------------------------

    async def start(self) -> None:
        """Connect for the first time. Raises :class:`StartError` if the router refuses us."""
        self._task = asyncio.create_task(self._keep_up(), name="pgwamp link")
        up: asyncio.Future[Any] = asyncio.ensure_future(self._up.wait())
        waited: set[asyncio.Future[Any]] = {up, self.failed}
        try:
            done, _ = await asyncio.wait(
                waited, timeout=self._patience, return_when=asyncio.FIRST_COMPLETED
            )
        finally:
            up.cancel()
        if self.failed.done():
            self.failed.result()
        if not done:
            raise self._obstacle or unreachable(self._settings, TimeoutError())

    async def stop(self, seconds: float | None = None) -> None:
        """Say GOODBYE and disconnect; also ends a reconnect in progress. Idempotent.

        :param seconds: that the router has to say it too; a few by default.
        """
        self._stopping.set()
        self._up.clear()
        session = self._session
        if session is not None and not session.closed.done():
            try:
                session.leave()
                async with asyncio.timeout(min(_CLOSE_TIMEOUT, seconds or _CLOSE_TIMEOUT)):
                    await asyncio.shield(session.closed)
            except (TimeoutError, TransportLost):
                pass
        if self._task is not None:
            await end(self._task)

    @property
    def is_up(self) -> bool:
        """Whether the session is joined and its procedures are registered."""
        return self._up.is_set()

    async def up(self) -> None:
        """Wait until the session is joined and its procedures are registered."""
        await self._up.wait()

    async def down(self) -> Lost:
        """Wait until the current session ends."""
        if self._session is None:
            return Lost("wamp.close.transport_lost")
        return await asyncio.shield(self._session.closed)

    async def _keep_up(self) -> None:
        delay, refusals = FIRST_DELAY, 0
        loop = asyncio.get_running_loop()
        while not self._stopping.is_set():
            obstacle: StartError | None = None
            try:
                began = loop.time()
                reason = await self._one_session()
                refusals = 0
                # A session that ends as soon as it began is no reason to hurry.
                if loop.time() - began > LONGEST_DELAY:
                    delay = FIRST_DELAY
                if not self._stopping.is_set():
                    log.warning(
                        "session lost, joining again", reason=reason.reason, text=str(reason)
                    )
            except StartError as error:
                self._fail(error)
                return
            except Lost as lost:
                obstacle = not_joined(self._settings, lost)
                said_no = lost.refused and not will_pass(lost)
                refusals = refusals + 1 if said_no else 0
                if refusals >= REFUSALS or (self._once and not said_no):
                    self._fail(obstacle)
                    return
            except OSError as error:  # TimeoutError is one
                refusals = 0
                obstacle = unreachable(self._settings, error)
                if self._once:
                    self._fail(obstacle)
                    return
            if obstacle is not None:
                self._tell(obstacle)
            if await self._paused(delay):
                return
            delay = min(delay * 2, LONGEST_DELAY)

    def _tell(self, obstacle: StartError) -> None:
        """Log why a try failed, once while it stays the same.

        Where :meth:`start` is about to give up, its error says the same.
        """
        raised = self._patience is not None and self.details is None
        if not raised and str(obstacle) != str(self._obstacle):
            log.warning("not joined, trying again", problem=str(obstacle))
        self._obstacle = obstacle

    async def _paused(self, delay: float) -> bool:
        """Wait a little, not in step with others; True if we are stopping."""
        try:
            # 0.5 to 1 of the delay: a herd of clients does not come back at once.
            async with asyncio.timeout(delay * random.uniform(0.5, 1)):
                await self._stopping.wait()
        except TimeoutError:
            return False
        return True

    async def _one_session(self) -> Lost:
        """Connect, join, register, and stay until the session ends."""
        session = WampSession(ComponentConfig(self._settings.realm), self._max_bytes)
        authenticator = authenticator_of(self._settings.auth)
        if authenticator is not None:
            session.add_authenticator(authenticator)  # type: ignore[no-untyped-call]
        heart: asyncio.Task[None] | None = None
        transport = await open_transport(self._settings, session, self._max_values)
        try:
            async with asyncio.timeout(CONNECT_TIMEOUT):
                self.details = await asyncio.shield(session.joined)
            try:
                await self._joined(session)
            except (Lost, TransportLost) as error:
                if isinstance(error, Lost) and error.refused:
                    raise
                lost = await session.closed
                raise Lost(lost.reason, str(lost), joined=True) from None
            self._up.set()
            self._has_been_up = True
            self._obstacle = None
            log.info("joined", realm=self._settings.realm, session=self.details.session)
            if self._settings.url.startswith("rs"):
                heart = asyncio.create_task(_abort_if_silent(session, transport))
            return await asyncio.shield(session.closed)
        finally:
            if heart is not None:
                await end(heart)
            self._up.clear()
            self._learn(session)
            if not session.closed.done():
                transport.abort()

    def _learn(self, session: WampSession) -> None:
        """Send less from now on, if the router ended the session over a large message."""
        if not session.sent_too_much or not session.largest_sent:
            return
        # Limits of routers are mostly powers of two.
        self._max_bytes = 1 << (session.largest_sent - 1).bit_length() - 1
        log.warning(
            "the router accepts less than limits.max_bytes",
            byte_count=self._max_bytes,
            refused=session.largest_sent,
            cure="raise max_message_size in the router's configuration, or lower limits.max_bytes",
        )

    async def _joined(self, session: WampSession) -> None:
        """Make the session ours, with everything that belongs to it."""
        async with self._registering:
            self._session = session
            self._registrations = {}
            if self._serving is not None:
                try:
                    await self._register(list(self._serving.procedures))
                except ProcedureTaken as error:
                    if not self._has_been_up:
                        raise
                    # By the session that was lost, perhaps: the router may notice later.
                    raise Lost(TAKEN, str(error)) from None
        if self._on_join is not None:
            await self._on_join()

    def _fail(self, error: StartError) -> None:
        if not self.failed.done():
            self.failed.set_exception(error)
            self.failed.exception()

    # --- callee ---------------------------------------------------------------------------------

    @property
    def registered(self) -> Mapping[str, int]:
        """The procedures registered in this session, each with the router's number for it."""
        return {uri: registration.id for uri, registration in self._registrations.items()}

    async def serve(self, procedures: Mapping[str, Procedure]) -> None:
        """Serve exactly these from now on: register what is new, unregister what is gone.

        What stays is not touched at the router; its next call meets the new definition.

        :raises StartError: the router refused one; the message says which, why and the cure.
            Everything is as it was before.
        :raises Lost: there is no session now, or it ended; everything is as it was before.
        """
        serving = self._serving
        assert serving is not None
        async with self._registering:
            before, serving.procedures = serving.procedures, procedures
            known = self.registered.keys()
            try:
                await self._register([uri for uri in procedures if uri not in known])
            except BaseException as error:
                serving.procedures = before
                await self.unregister(self.registered.keys() - known)
                if isinstance(error, TransportLost):
                    raise Lost("wamp.close.transport_lost", str(error)) from None
                raise
            await self.unregister(self.registered.keys() - procedures.keys())

    async def _register(self, uris: Sequence[str]) -> None:
        session, serving = self.session, self._serving
        assert serving is not None
        registrations = self._registrations
        # Shared, so that a second instance, or we after a half-open connection, can register.
        options = RegisterOptions(invoke="roundrobin", details_arg=DETAILS)

        async def register(uri: str) -> None:
            endpoint = serving.endpoint(uri, session.room.wait, session.message_bytes)
            try:
                # Autobahn forgets a registration whose request was cancelled, and ends the
                # session over a call of it.
                registrations[uri] = await asyncio.shield(
                    session.register(endpoint, uri, options=options)
                )
            except ApplicationError as error:
                refusal = Lost(str(error.error), error.error_message())
                if is_waiting_for_helper(refusal):
                    raise refusal from None
                raise not_registered(uri, error, session) from None

        for batch in _batches(uris):
            # All are waited for, so that a failure leaves no registration that we do not know.
            for failure in await asyncio.gather(*map(register, batch), return_exceptions=True):
                if failure is not None:
                    raise failure

    async def unregister(self, uris: Iterable[str]) -> None:
        """Take procedures back; one that is not registered any more is none the worse."""

        async def unregister(uri: str) -> None:
            registration = self._registrations.pop(uri, None)
            if registration is not None:
                try:
                    await registration.unregister()
                except (ApplicationError, TransportLost) as error:
                    log.debug("unregister failed", procedure=uri, error=str(error))

        for batch in _batches(list(uris)):
            await asyncio.gather(*map(unregister, batch))

    @property
    def accepted(self) -> int | None:
        """The bytes of a message that the router takes, where its transport says so."""
        return self.session.accepted

    # --- publisher ------------------------------------------------------------------------------

    def publish(
        self,
        topic: str,
        args: Sequence[Any] | None,
        kwargs: Mapping[str, Any] | None,
        options: Mapping[str, Any],
    ) -> asyncio.Future[Any]:
        """Send one event; :func:`acknowledged` waits until the router has taken it.

        :raises Lost: there is no session now.
        :raises PublishRefused: the topic or an option is not valid.
        :raises pgwamp.errors.PayloadTooLarge: it is over the limit of a message.
        """
        if not self.is_up:
            raise Lost("wamp.close.transport_lost")
        if not URI.fullmatch(topic):
            # Autobahn would send it, and the router would end the session: again after each join.
            raise PublishRefused("not a valid topic")
        restricted = any(options.get(name) is not None for name in _RESTRICTIONS)
        if restricted and not self.session.announces("broker", "subscriber_blackwhite_listing"):
            raise PublishRefused(
                "the router does not announce subscriber_blackwhite_listing, and would send to "
                "everybody what is for some"
            )
        try:
            return self.session.publish_event(topic, args, kwargs, options)
        except TransportLost as error:
            raise Lost("wamp.close.transport_lost", str(error)) from None
        except (AssertionError, TypeError, ValueError, ProtocolError) as error:
            raise PublishRefused(f"not a valid event: {error}") from None

    @property
    def session(self) -> WampSession:
        """The current session. Raises :class:`Lost` when there is none."""
        if self._session is None or self._session.closed.done():
            raise Lost("wamp.close.transport_lost")
        return self._session


async def _abort_if_silent(session: WampSession, transport: asyncio.Transport) -> None:
    """Abort the connection when the router answers no more, as a WebSocket's pings do.

    One that takes what was sent before, or sends anything, is busy: large answers to many calls may
    keep it for longer than it is waited for.
    """
    while True:
        await asyncio.sleep(LIFE_INTERVAL_SECONDS)
        answer = asyncio.ensure_future(session.ask_for_life())
        try:
            while not answer.done():
                received, taken = session.received, _taken(session, transport)
                await asyncio.wait({answer}, timeout=LIFE_TIMEOUT_SECONDS)
                is_busy = session.received > received or _taken(session, transport) > taken
                if not answer.done() and not is_busy:
                    log.warning("the router answers no more", seconds=LIFE_TIMEOUT_SECONDS)
                    transport.abort()
                    return
            await answer
        except TransportLost:
            return
        finally:
            answer.cancel()


def _taken(session: WampSession, transport: asyncio.Transport) -> int:
    """The bytes that were given to the transport, but for those that wait in it."""
    return session.sent_bytes - transport.get_write_buffer_size()


async def acknowledged(reply: asyncio.Future[Any]) -> None:
    """Wait for the acknowledgement of :meth:`Link.publish`.

    :raises Lost: the session ended first; publish it again.
    :raises PublishRefused: the router will never take it.
    """
    try:
        await reply
    except TransportLost as error:
        raise Lost("wamp.close.transport_lost", str(error)) from None
    except ApplicationError as error:
        raise PublishRefused(f"{error.error}: {error.error_message()}") from None


def _batches(uris: Sequence[str]) -> Iterator[Sequence[str]]:
    """Requests to the router: many in flight, and never without bounds."""
    for start in range(0, len(uris), _REGISTERING):
        yield uris[start : start + _REGISTERING]
