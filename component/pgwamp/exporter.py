"""``GET /metrics`` for Prometheus, where ``metrics.port`` is set."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from http import HTTPStatus

from pgwamp import logs
from pgwamp.errors import StartError
from pgwamp.metrics import CONTENT_TYPE
from pgwamp.settings import MetricsSettings

log = logs.get(__name__)
#: A request is one line and a few headers; seconds and bytes.
_PATIENCE, _LONGEST = 5.0, 16_384


class Exporter:
    """A server of one page.

    :param render: makes the page, at each request.
    """

    def __init__(self, settings: MetricsSettings, render: Callable[[], Awaitable[bytes]]):
        self._settings = settings
        self._render = render
        self._server: asyncio.Server | None = None

    async def start(self) -> None:
        """Listen, if a port is set. Raises :class:`StartError` when it cannot be had."""
        host, port = self._settings.host, self._settings.port
        if not port:
            return
        try:
            self._server = await asyncio.start_server(self._answer, host, port, limit=_LONGEST)
        except OSError as error:
            raise StartError(
                f"metrics.port: cannot listen at {host}:{port} ({error.strerror}): "
                "stop what uses it, or correct metrics.host and metrics.port"
            ) from None
        log.info("metrics", url=f"http://{host}:{port}/metrics")

    async def stop(self) -> None:
        """Stop listening. Idempotent."""
        if self._server is not None:
            self._server.close()

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            async with asyncio.timeout(_PATIENCE):
                head = await reader.readuntil(b"\r\n\r\n")
                status, body = await self._page(head.split(b"\r\n", 1)[0])
                kind = CONTENT_TYPE if status is HTTPStatus.OK else "text/plain; charset=utf-8"
                writer.write(
                    f"HTTP/1.1 {status.value} {status.phrase}\r\nContent-Type: {kind}\r\n"
                    f"Content-Length: {len(body)}\r\nConnection: close\r\n\r\n".encode()
                )
                if not head.startswith(b"HEAD "):
                    writer.write(body)
                await writer.drain()
        except (OSError, TimeoutError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            pass  # no request, or nobody who waits for the answer
        finally:
            writer.close()

    async def _page(self, request: bytes) -> tuple[HTTPStatus, bytes]:
        method, _, rest = request.partition(b" ")
        if method not in (b"GET", b"HEAD"):
            return HTTPStatus.METHOD_NOT_ALLOWED, b"only GET\n"
        if rest.split(b" ")[0].split(b"?")[0] != b"/metrics":
            return HTTPStatus.NOT_FOUND, b"there is only /metrics\n"
        return HTTPStatus.OK, await self._render()
