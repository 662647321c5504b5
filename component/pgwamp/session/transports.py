"""Opening a transport to the router: WebSocket or RawSocket, TCP, TLS or unix socket."""

from __future__ import annotations

import asyncio
import socket
import ssl
import struct
from typing import Any
from urllib.parse import urlsplit

import txaio

txaio.use_asyncio()

from autobahn.asyncio.rawsocket import (  # noqa: E402
    RawSocketProtocol,
    WampRawSocketClientFactory,
)
from autobahn.asyncio.websocket import WampWebSocketClientFactory  # noqa: E402

from pgwamp.errors import StartError  # noqa: E402
from pgwamp.session.codec import MessageSerializer  # noqa: E402
from pgwamp.session.wamp import WampSession  # noqa: E402
from pgwamp.settings import RouterSettings, RouterTls  # noqa: E402

CONNECT_TIMEOUT = 10.0
_RAWSOCKET_PORT, _RAWSOCKET_TLS_PORT = 8081, 8443
#: A half-open connection is noticed within this time, else its registrations stay behind.
_PING_INTERVAL, _PING_TIMEOUT, _PING_SIZE = 10.0, 5.0, 12
#: The code of a WebSocket that is closed over a message which is larger than the peer takes.
_TOO_BIG = 1009
#: The type of a RawSocket frame that answers a ping.
_PONG = 2


async def open_transport(
    settings: RouterSettings, session: WampSession, max_values: int | None
) -> asyncio.Transport:
    """Connect and hand the transport to ``session``; its ``closed`` resolves when it is lost.

    :param max_values: values in the arguments of one call; None has no bound.
    :raises OSError: nobody answers. :raises TimeoutError: not within ten seconds.
    :raises StartError: a file of ``router.tls`` cannot be used.
    """
    loop = asyncio.get_running_loop()
    # Autobahn keeps the loop it saw last; a closed one breaks the next.
    txaio.config.loop = loop  # type: ignore[attr-defined]
    url = urlsplit(settings.url)
    factory = _factory(settings, session, MessageSerializer(settings.serializer, max_values))
    async with asyncio.timeout(CONNECT_TIMEOUT):
        if url.scheme == "rs+unix":
            transport, protocol = await loop.create_unix_connection(factory, url.path)
        else:
            secure = url.scheme in ("wss", "rss")
            transport, protocol = await loop.create_connection(
                factory,
                url.hostname or "",
                url.port or _default_port(url.scheme),
                ssl=_tls(settings.tls) if secure else None,
            )
            _keep_alive(transport)
    _watch(protocol, session)
    return transport


def _tls(settings: RouterTls) -> ssl.SSLContext:
    setting: object = "router.tls.ca"
    try:
        context = ssl.create_default_context(cafile=settings.ca)
        setting = "router.tls.certificate and key"
        if settings.certificate:
            context.load_cert_chain(settings.certificate, settings.key)
    except OSError as error:
        raise StartError(f"{setting}: {error.strerror or error}: correct the path") from None
    return context


def _default_port(scheme: str) -> int:
    return {"ws": 80, "wss": 443, "rs": _RAWSOCKET_PORT, "rss": _RAWSOCKET_TLS_PORT}[scheme]


def _factory(settings: RouterSettings, session: WampSession, serializer: MessageSerializer) -> Any:
    if settings.url.startswith("rs"):
        return WampRawSocketClientFactory(lambda: session, serializer=serializer)
    factory = WampWebSocketClientFactory(
        lambda: session, url=settings.url, serializers=[serializer]
    )
    factory.setProtocolOptions(
        openHandshakeTimeout=CONNECT_TIMEOUT,
        closeHandshakeTimeout=2,
        tcpNoDelay=True,
        autoPingInterval=_PING_INTERVAL,
        autoPingTimeout=_PING_TIMEOUT,
        autoPingSize=_PING_SIZE,
    )
    return factory


def _keep_alive(transport: Any) -> None:
    """RawSocket has no pings in Autobahn; let the kernel notice a dead peer."""
    sock: socket.socket | None = transport.get_extra_info("socket")
    if sock is None:
        return
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for option, value in (("TCP_KEEPIDLE", 10), ("TCP_KEEPINTVL", 5), ("TCP_KEEPCNT", 3)):
        if hasattr(socket, option):
            sock.setsockopt(socket.IPPROTO_TCP, getattr(socket, option), value)


def _answer_pings(protocol: Any) -> None:
    """Answer as RawSocket has it: Autobahn raises, which ends the session."""

    def pong(data: bytes) -> None:
        header = struct.pack("!I", _PONG << 24 | len(data))
        protocol.transport.write(header + data)

    protocol.ping = pong
    protocol.pong = lambda _: None


def _watch(protocol: Any, session: WampSession) -> None:
    """Tell the session what Autobahn's protocols keep to themselves, or do not hear at all."""
    original = protocol.connection_lost

    def connection_lost(error: Exception | None) -> None:
        if not isinstance(protocol, RawSocketProtocol):
            session.transport_said = protocol.wasNotCleanReason
            session.sent_too_much = protocol.remoteCloseCode == _TOO_BIG
        # Lost before the session was opened, it is told to nobody else.
        original(error)
        session.lose()

    def protocol_error(said: str) -> None:
        session.transport_said = said
        protocol.transport.close()

    protocol.connection_lost = connection_lost
    if isinstance(protocol, RawSocketProtocol):
        protocol.protocol_error = protocol_error  # type: ignore[method-assign]
        _answer_pings(protocol)
    protocol.pause_writing = session.room.clear
    protocol.resume_writing = session.room.set
