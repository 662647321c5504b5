"""Autobahn's asyncio session with what it lacks.

Each repair names what happens without it; the tests in ``tests/session`` fail without it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from autobahn.asyncio.wamp import Session
from autobahn.exception import Disconnected
from autobahn.wamp import message
from autobahn.wamp.exception import ApplicationError, TransportLost
from autobahn.wamp.request import CallRequest, PublishRequest
from autobahn.wamp.types import CallOptions, CloseDetails, PublishOptions, SessionDetails

from pgwamp import logs
from pgwamp.errors import Canceled, PayloadTooLarge

log = logs.get(__name__)


class Lost(Exception):
    """The session ended. ``reason`` is a WAMP URI, ``str()`` of it a line for a person."""

    def __init__(self, reason: str, text: str | None = None):
        super().__init__(text or reason)
        self.reason = reason


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
        self._reason: Lost | None = None
        # An interrupt may cancel a handler before its first step, where nothing can answer it.
        self.define(asyncio.CancelledError, Canceled.uri)  # type: ignore[arg-type]
        # Errors received are all ApplicationErrors; some would be other classes, or CancelledError.
        self._uri_to_ecls.clear()

    # --- life -----------------------------------------------------------------------------------

    def onOpen(self, transport: Any) -> None:
        """Put the size guard in front of the transport, then go on."""
        transport.send = _guarded(transport, self._max_bytes)
        super().onOpen(transport)

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
        self._end(Lost("wamp.close.transport_lost", "the connection to the router was lost"))
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

    # --- messages -------------------------------------------------------------------------------

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

    def _cancel_call(self, request: int, reply: asyncio.Future[Any]) -> None:
        if reply.cancelled() and self._transport and request in self._call_reqs:
            self._transport.send(message.Cancel(request, mode=message.Cancel.KILL))


def _guarded(transport: Any, max_bytes: int) -> Callable[[Any], None]:
    """``transport.send``, refusing what the router would not take.

    A connection that is just being closed raises Autobahn's own error: it is lost, as any other.

    A message over the router's limit ends the whole session, and one that cannot be serialized
    is dropped without an answer. Messages cache their serialized form, so looking first costs
    nothing.
    """
    unguarded: Callable[[Any], None] = transport.send

    def send(msg: Any) -> None:
        try:
            unguarded(msg)
        except Disconnected as error:
            raise TransportLost(str(error)) from None

    # Autobahn's own send describes each message for a debug line, written or not: a sixth of what
    # an event takes of the processor.
    send_octets: Callable[[bytes], None] | None = getattr(transport, "sendString", None)

    def guarded(msg: Any) -> None:
        if not isinstance(msg, message.Yield | message.Publish | message.Call | message.Error):
            return send(msg)
        data, _ = transport._serializer.serialize(msg)
        if len(data) <= max_bytes:
            if send_octets is None:
                return send(msg)
            if not transport.isOpen():
                raise TransportLost()
            return send_octets(data)
        problem = (
            f"{len(data)} bytes are more than limits.max_bytes ({max_bytes}); "
            "ask for fewer rows or columns"
        )
        if isinstance(msg, message.Yield) and not msg.progress:
            return send(
                message.Error(
                    message.Invocation.MESSAGE_TYPE,
                    msg.request,
                    PayloadTooLarge.uri,
                    args=[f"the result of {problem}, or for progressive results"],
                )
            )
        if isinstance(msg, message.Error):
            return send(
                message.Error(msg.request_type, msg.request, msg.error, args=["error too long"])
            )
        raise PayloadTooLarge(problem)

    return guarded
