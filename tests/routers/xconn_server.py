"""xconn's router as a process: ``python -m tests.routers.xconn_server PORT PUBLIC_KEY SECRET``."""

from __future__ import annotations

import asyncio
import sys

from wampproto.auth import (
    CryptoSignRequest,
    IServerAuthenticator,
    Request,
    Response,
    TicketRequest,
    WAMPCRARequest,
    WAMPCRAResponse,
)
from xconn import Router, Server

COMPONENT = Response("component", "component")


class Logins(IServerAuthenticator):  # type: ignore[misc]
    """Lets in everybody as ``anonymous``, and the component by each of the three methods."""

    def __init__(self, public_key: str, secret: str):
        self._public_key, self._secret = public_key, secret

    def methods(self) -> list[str]:
        """Return the methods that it knows."""
        return ["anonymous", "ticket", "wampcra", "cryptosign"]

    def authenticate(self, request: Request) -> Response:
        """Return the role of a login; an exception refuses it."""
        match request:
            case WAMPCRARequest(authid="component"):
                return WAMPCRAResponse("component", "component", self._secret)
            case TicketRequest(authid="component") if request._ticket == self._secret:
                return COMPONENT
            case CryptoSignRequest() if request.public_key == self._public_key:
                return COMPONENT
            case Request(method="anonymous"):
                return Response("anonymous", "anonymous")
        raise ValueError("no such login")


async def serve(port: int, logins: Logins) -> None:
    """Serve ``realm1`` until the process ends."""
    router = Router()
    router.add_realm("realm1")
    await Server(router, logins).start("127.0.0.1", port)
    print("the router listens", flush=True)
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(serve(int(sys.argv[1]), Logins(*sys.argv[2:])))
