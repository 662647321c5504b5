"""Autobahn's asyncio session with what it lacks.

Each repair names what happens without it; the tests in ``tests/session`` fail without it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import Any

from autobahn.asyncio.wamp import Session
from autobahn.wamp import message
from autobahn.wamp.exception import ApplicationError, ProtocolError, TransportLost
from autobahn.wamp.request import CallRequest, PublishRequest, UnregisterRequest
from autobahn.wamp.types import CallOptions, CloseDetails, PublishOptions, SessionDetails

from pgwamp import logs
from pgwamp.errors import CallError, Canceled, InvalidArgument, NoSuchProcedure, NotAuthorized
from pgwamp.session.codec import Unreadable
from pgwamp.session.sending import error_message, guarded

log = logs.get(__name__)
#: The largest number of WAMP; routers give out random ones.
_NO_REGISTRATION = 2**53


class Lost(Exception):
    """The session ended. ``reason`` is a WAMP URI, ``str()`` of it a line for a person.

    :ivar joined: the router had let us join.
    """

    def __init__(self, reason: str, text: str | None = None, *, joined: bool = False):
        super().__init__(text or reason)
        self.reason = reason
        self.joined = joined

    @property
    def refused(self) -> bool:
        """Whether the router answered and said no, rather than went away."""
        return self.reason.startswith("wamp.error.")


class PublishRefused(Exception):
    """The router refused an event for good: not authorized, or not a valid topic."""


class _Closed:
    """Stands for the transport once it is gone.

    Autobahn calls ``send`` on None when a handler ends after the transport dropped.
    """

    def __bool__(self) -> bool:
        return False

    def send(self, _: object) -> None:
        """Drop a message to nobody."""


class WampSession(Session):
    """One session on one transport; a new one is made for each connect.

    :ivar joined: resolves with the session's details, or fails with :class:`Lost`.
    :ivar closed: resolves with the :class:`Lost` that says why the session ended.
    :ivar room: set while the transport can take more; its buffer has no bounds of its own.
    """

    def __init__(self, config: Any, max_bytes: int):
        super().__init__(config)
        loop = asyncio.get_running_loop()
        self.joined: asyncio.Future[SessionDetails] = loop.create_future()
        self.closed: asyncio.Future[Lost] = loop.create_future()
        self.room = asyncio.Event()
        self.room.set()
        self._max_bytes = max_bytes
        self._router_roles: Mapping[str, Any] | None = None
        self._reason: Lost | None = None
        #: Why the connection ended, in the transport's own words, if it has any.
        self.transport_said: str | None = None
        #: The largest message sent so far, and whether the router closed the connection over one.
        self.largest_sent = 0
        self.sent_too_much = False
        #: Messages that have come, and bytes of the larger ones that were given to the transport.
        self.received = self.sent_bytes = 0
        # An interrupt may cancel a handler before its first step, where nothing can answer it.
        self.define(asyncio.CancelledError, Canceled.uri)  # type: ignore[arg-type]
        # Errors received are all ApplicationErrors; some would be other classes, or CancelledError.
        self._uri_to_ecls.clear()

    @property
    def message_bytes(self) -> int:
        """Bytes of a message at most; RawSocket's handshake may have said less than the setting."""
        return min(self._max_bytes, getattr(self._transport, "max_length_send", self._max_bytes))

    # --- life -----------------------------------------------------------------------------------

    def onOpen(self, transport: Any) -> None:
        """Put the size guard in front of the transport, then go on."""
        transport.send = guarded(transport, self._max_bytes, self._sending)
        super().onOpen(transport)

    def _sending(self, byte_count: int) -> None:
        self.largest_sent = max(self.largest_sent, byte_count)
        self.sent_bytes += byte_count

    def on_join(self, details: SessionDetails) -> None:
        """Tell the link; Autobahn's own join hooks swallow errors."""
        if not self.joined.done():
            self.joined.set_result(details)

    def on_leave(self, details: CloseDetails) -> None:
        """Fail what waits for the router, stop what runs for callers, and disconnect."""
        self._end(Lost(str(details.reason), details.message))
        if self._transport:
            self.disconnect()

    def on_disconnect(self) -> None:
        """The transport is gone, with or without a GOODBYE before."""
        self.lose()

    def onClose(self, was_clean: bool) -> None:
        """Autobahn forgets the transport here, while handlers may still run."""
        super().onClose(was_clean)
        self._transport = _Closed()  # type: ignore[assignment]
        self.lose()

    def lose(self) -> None:
        """The connection is gone; called as often as anybody notices."""
        said = self.transport_said or "the connection to the router was lost"
        self._end(Lost("wamp.close.transport_lost", said))
        if not self.closed.done():
            assert self._reason is not None
            self.closed.set_result(self._reason)

    def _end(self, reason: Lost) -> None:
        if self._reason is None:
            self._reason = reason
        if not self.joined.done():
            self.joined.set_exception(self._reason)
            # Whoever connects reads it; if nobody does any more, nothing is wrong.
            self.joined.exception()
        # asyncio sessions never fail these by themselves: callers would wait for ever.
        self._errback_outstanding_requests(TransportLost(str(self._reason)))  # type: ignore[no-untyped-call]
        # Nothing more goes to this transport: there is nothing to wait for.
        self.room.set()
        # A handler whose caller is gone would go on and keep its connection and locks.
        for invocation in list(self._invocations.values()):
            if not invocation.on_reply.done():
                invocation.on_reply.cancel()

    def onUserError(self, fail: Any, msg: str) -> None:
        """Errors of handlers are answered and logged by ``serving``; the rest is worth a line."""
        if not isinstance(fail.value, ApplicationError | asyncio.CancelledError | TransportLost):
            log.error("session error", problem=msg, error=repr(fail.value))

    def announces(self, role: str, feature: str) -> bool:
        """Whether the router announced a feature of its role ``broker`` or ``dealer``."""
        features = (self._router_roles or {}).get(role)
        return bool(getattr(features, feature, False))

    @property
    def accepted(self) -> int | None:
        """The bytes of a message that the router takes, where it said so in its handshake."""
        return getattr(self._transport, "max_length_send", None)

    # --- messages received ----------------------------------------------------------------------

    def onMessage(self, msg: Any) -> None:
        """Take a message; none that the router sends after the join ends the session.

        Autobahn closes the transport over every exception here, and a caller or publisher can
        bring about many. It passes arguments on as Python keywords, so that one of the name
        ``fun`` was such an exception: handlers get them as one list and one dict.
        """
        self.received += 1
        if self._session_id is None and self.joined.done():
            # The session has ended; the answer to a call that was given up may come still.
            log.debug("message after the end of the session", kind=type(msg).__name__)
        elif self._session_id is None:
            if isinstance(msg, Unreadable):
                raise ProtocolError(msg.problem)
            super().onMessage(msg)
        elif isinstance(msg, Unreadable):
            self._answer(msg.head, msg.problem)
        elif isinstance(msg, message.Invocation) and (problem := self._invocation_problem(msg)):
            self._refuse(msg.request, problem)
        else:
            if isinstance(msg, message.Invocation | message.Event):
                msg.args, msg.kwargs = [list(msg.args or ()), msg.kwargs or {}], None
            reply = self._reply(_head(msg), forget=False)
            try:
                super().onMessage(msg)
            except Exception as error:
                log.warning("message not understood", kind=type(msg).__name__, error=str(error))
                _fail(reply, str(error))

    def _invocation_problem(self, msg: message.Invocation) -> CallError | None:
        """Say why a call cannot even be handed to its procedure."""
        if msg.payload is not None:
            return InvalidArgument("arguments", "one value in bytes; send a list and a dict")
        if msg.registration not in self._registrations:
            # It was on its way when the procedure was unregistered.
            return NoSuchProcedure("there is no such procedure any more")
        if msg.forward_for:
            # Crossbar takes the caller from it, and lets any client send it.
            return NotAuthorized(
                "a call that says by forward_for who its caller is, as one over a link of two "
                "routers does, is not served; call without it"
            )
        return None

    def _answer(self, head: tuple[int, ...], problem: str) -> None:
        """End what a message that cannot be read belongs to: a call of others, or a request."""
        if head[:1] == (message.Invocation.MESSAGE_TYPE,) and len(head) > 1:
            self._refuse(head[1], InvalidArgument("arguments", problem))
            return
        log.warning("message cannot be read", kind=head[:1], problem=problem)
        _fail(self._reply(head, forget=True), problem)

    def _refuse(self, request: int, error: CallError) -> None:
        if request in self._invocations or not self._transport:
            return
        self._transport.send(error_message(request, error))

    def _reply(self, head: tuple[int, ...], *, forget: bool) -> asyncio.Future[Any] | None:
        """Find what waits for this answer of the router.

        :param forget: whether a further answer to the same request is one too many.
        """
        if head[:1] == (message.Error.MESSAGE_TYPE,):
            head = head[1:]
        if len(head) < 2:
            return None
        kind, request = head[:2]
        requests: dict[int, Any] = {
            message.Call.MESSAGE_TYPE: self._call_reqs,
            message.Result.MESSAGE_TYPE: self._call_reqs,
            message.Publish.MESSAGE_TYPE: self._publish_reqs,
            message.Published.MESSAGE_TYPE: self._publish_reqs,
            message.Subscribe.MESSAGE_TYPE: self._subscribe_reqs,
            message.Subscribed.MESSAGE_TYPE: self._subscribe_reqs,
            message.Register.MESSAGE_TYPE: self._register_reqs,
            message.Registered.MESSAGE_TYPE: self._register_reqs,
        }.get(kind, {})
        waiting = requests.pop(request, None) if forget else requests.get(request)
        return None if waiting is None else waiting.on_reply

    # --- messages sent --------------------------------------------------------------------------

    def publish_event(
        self,
        topic: str,
        args: Sequence[Any] | None,
        kwargs: Mapping[str, Any] | None,
        options: Mapping[str, Any],
    ) -> asyncio.Future[Any]:
        """PUBLISH with acknowledgement; the future resolves when the router has taken it.

        Autobahn's ``publish`` takes kwargs as Python keywords, so that an event could have no
        ``options`` among them.

        :raises TransportLost: there is no connection.
        :raises PayloadTooLarge: more than the router would take.
        :raises NotSerializable: it holds a value that the serializer cannot write.
        """
        if not self._transport:
            raise TransportLost()
        request = self._request_id_gen.next()
        reply: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self._publish_reqs[request] = PublishRequest(request, reply, False)
        attributes = PublishOptions(**{**options, "acknowledge": True}).message_attr()
        try:
            self._transport.send(
                # The router drops a session that sends null for the arguments.
                message.Publish(
                    request, topic, args=list(args or ()), kwargs=dict(kwargs or {}), **attributes
                )
            )
        except BaseException:
            del self._publish_reqs[request]
            raise
        return reply

    def call_procedure(
        self,
        procedure: str,
        args: Sequence[Any],
        kwargs: Mapping[str, Any],
        on_progress: Callable[..., Any] | None = None,
    ) -> asyncio.Future[Any]:
        """CALL; for kwargs of any name, as in :meth:`publish_event`.

        Cancelling the future sends CANCEL to the router.
        """
        if not self._transport:
            raise TransportLost()
        request = self._request_id_gen.next()
        reply: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        options = CallOptions(on_progress=on_progress) if on_progress else None
        self._call_reqs[request] = CallRequest(request, procedure, reply, options)
        attributes = options.message_attr() if options else {}
        reply.add_done_callback(lambda done: self._cancel_call(request, done))
        try:
            self._transport.send(
                message.Call(request, procedure, args=list(args), kwargs=dict(kwargs), **attributes)
            )
        except BaseException:
            del self._call_reqs[request]
            raise
        return reply

    async def ask_for_life(self) -> None:
        """Return when the router has answered: that there is no such registration.

        Every router does, and nobody is asked whether we may. RawSocket has no pings in Autobahn.

        :raises TransportLost: the connection is gone.
        """
        if not self._transport:
            raise TransportLost()
        request = self._request_id_gen.next()
        reply: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self._unregister_reqs[request] = UnregisterRequest(request, reply, _NO_REGISTRATION)
        self._transport.send(message.Unregister(request, _NO_REGISTRATION))
        with suppress(ApplicationError):
            await reply

    def _cancel_call(self, request: int, reply: asyncio.Future[Any]) -> None:
        if reply.cancelled() and self._transport and request in self._call_reqs:
            self._transport.send(message.Cancel(request, mode=message.Cancel.KILL))


def _head(msg: Any) -> tuple[int, ...]:
    """The type of an answer of the router, and the request that it answers."""
    if isinstance(msg, message.Error):
        return msg.MESSAGE_TYPE, msg.request_type, msg.request
    return msg.MESSAGE_TYPE, getattr(msg, "request", 0)


def _fail(reply: asyncio.Future[Any] | None, problem: str) -> None:
    if reply is not None and not reply.done():
        reply.set_exception(ApplicationError(ApplicationError.INVALID_PAYLOAD, problem))
