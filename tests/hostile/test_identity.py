"""The router alone says who a caller is."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from tests.conftest import Database, Serve
from tests.hostile.node import HostileNode
from tests.raw import ERROR, RESULT, RawClient

pytestmark = pytest.mark.parametrize("serializer", ["msgpack", "json", "cbor"])
WHO = (
    "create function who() returns text language sql stable as "
    "$$ select concat_ws(' ', current_setting('wamp.authrole'), current_user) $$"
)
ALICE = {"session": 1, "authid": "alice", "authrole": "user"}


async def answer(client: RawClient, uri: str, **options: Any) -> Any:
    """The value, or the error's URI and message, of a call with such options."""
    client.send_call(uri, options=options)
    async with asyncio.timeout(20):
        message = await client.receive()
    if message[0] == RESULT:
        return message[3][0]
    assert message[0] == ERROR
    return message[4], message[5][0]


@pytest.mark.parametrize("socket", ["anonymous", "strangers"])
async def test_no_caller_says_itself_who_it_is(
    serve: Serve,
    node: HostileNode,
    database: Database,
    roles: list[str],
    prefix: str,
    serializer: str,
    socket: str,
) -> None:
    anonymous, user = roles
    database.execute(WHO)
    await serve(
        router={"url": node.router.component_url},
        access={"roles": {"anonymous": anonymous, "user": user}},
    )
    async with RawClient(node.socket(socket), serializer) as client:
        for claims in ([ALICE], [ALICE, ALICE], [{**ALICE, "authrole": "anonymous"}]):
            uri, message = await answer(client, f"{prefix}.who", forward_for=claims)
            assert uri == "wamp.error.not_authorized"
            # The router hands on nothing of the callers that it does not disclose.
            assert ("forward_for" in message) == (socket == "anonymous")
        for options in ({"caller": 1, "caller_authid": "alice", "caller_authrole": "user"}, {}):
            told = await answer(client, f"{prefix}.who", **options)
            if socket == "anonymous":
                assert told == f"anonymous {anonymous}"
            else:
                assert told[0] == "wamp.error.not_authorized"
