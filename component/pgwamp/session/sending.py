"""Sending: no message that the router would refuse, or that cannot be written, reaches it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from autobahn.exception import Disconnected
from autobahn.wamp import message
from autobahn.wamp.exception import TransportLost

from pgwamp import logs
from pgwamp.errors import CallError, Internal, PayloadTooLarge
from pgwamp.formats import URI
from pgwamp.values.portable import find_unportable, portable_text

log = logs.get(__name__)
Send = Callable[[Any], None]


class NotSerializable(ValueError):
    """A CALL or PUBLISH holds a value that the serializer cannot write; nothing was sent."""


def guarded(transport: Any, max_bytes: int, sending: Callable[[int], None]) -> Send:
    """``transport.send``, refusing what would end the session or leave a caller waiting.

    A message over the router's limit ends the whole session, and one that cannot be serialized
    is dropped without an answer. Messages cache their serialized form, so looking first costs
    nothing. A result is answered with an error instead; every other message raises.

    A connection that is just being closed raises Autobahn's own error: it is lost, as any other.

    :param max_bytes: bytes of a message; less where the router said so in RawSocket's handshake.
    :param sending: told the bytes of each message right before it is sent.
    """
    unguarded: Send = transport.send
    bound = f"limits.max_bytes ({max_bytes})"
    accepted: int = getattr(transport, "max_length_send", max_bytes)
    if accepted < max_bytes:
        log.warning("the router accepts less than limits.max_bytes", byte_count=accepted)
        max_bytes, bound = accepted, f"the router accepts ({accepted})"

    def send(msg: Any) -> None:
        try:
            unguarded(msg)
        except Disconnected as error:
            raise TransportLost(str(error)) from None

    # Autobahn's own send describes each message for a debug line, written or not: a sixth of what
    # an event takes of the processor.
    send_bytes: Callable[[bytes], None] | None = getattr(transport, "sendString", None)

    def guarded_send(msg: Any) -> None:
        if not isinstance(msg, message.Yield | message.Publish | message.Call | message.Error):
            return send(msg)
        if isinstance(msg, message.Error):
            msg = _portable_error(msg)
        try:
            data, _ = transport._serializer.serialize(msg)
        except Exception as error:
            return _refuse_unserializable(msg, error, send)
        if len(data) > max_bytes:
            return _refuse_large(msg, f"{len(data)} bytes are more than {bound}", send)
        sending(len(data))
        if send_bytes is None:
            return send(msg)
        if not transport.isOpen():
            raise TransportLost()
        return send_bytes(data)

    return guarded_send


def _refuse_unserializable(msg: Any, error: Exception, send: Send) -> None:
    if not isinstance(msg, message.Yield):
        raise NotSerializable(f"it cannot be serialized: {error}") from None
    log.error("result cannot be serialized", error=repr(error))
    if msg.progress:
        raise Internal() from None
    send(error_message(msg.request, Internal()))


def _refuse_large(msg: Any, problem: str, send: Send) -> None:
    problem = f"{problem}; ask for fewer rows or columns"
    if isinstance(msg, message.Error):
        return send(
            message.Error(msg.request_type, msg.request, msg.error, args=["error too long"])
        )
    if isinstance(msg, message.Yield) and not msg.progress:
        problem = f"the result of {problem}, for progressive results, or for a uri of describe"
        return send(error_message(msg.request, PayloadTooLarge(problem)))
    raise PayloadTooLarge(problem)


def error_message(request: int, error: CallError) -> message.Error:
    """ERROR for a call that is not handed to its procedure, or whose result cannot be sent."""
    return message.Error(
        message.Invocation.MESSAGE_TYPE,
        request,
        error.uri,
        args=[error.message],
        kwargs=error.details,
    )


def _portable_error(msg: message.Error) -> message.Error:
    """The same error without what no session carries: it holds texts of callers and procedures."""
    args, kwargs = list(msg.args or ()), dict(msg.kwargs or {})
    if URI.fullmatch(msg.error) and find_unportable([args, kwargs]) is None:
        return msg
    return message.Error(
        msg.request_type,
        msg.request,
        msg.error if URI.fullmatch(msg.error) else Internal.uri,
        args=[portable_text(value) if isinstance(value, str) else repr(value) for value in args],
        kwargs={
            key: portable_text(value) if isinstance(value, str) else value
            for key, value in kwargs.items()
            if isinstance(value, str) or find_unportable({key: value}) is None
        },
    )
