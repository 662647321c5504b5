"""Autobahn as everybody uses it, on the router's Unix socket: for what pgwamp is compared with."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Coroutine
from typing import Any

import txaio
from autobahn.asyncio.component import Component
from autobahn.wamp.types import PublishOptions
from uvloop import new_event_loop

ACKNOWLEDGE = PublishOptions(acknowledge=True)
#: Acknowledged publishes under way.
WINDOW = 64


def component() -> Component:
    """A component to be started in the running loop."""
    txaio.config.loop = asyncio.get_running_loop()  # type: ignore[attr-defined]
    return Component(
        transports=[
            {
                "type": "rawsocket",
                "url": "rs://localhost",
                "endpoint": {"type": "unix", "path": os.environ["ROUTER_SOCKET"]},
                "serializer": "cbor",
            }
        ],
        realm="realm1",
    )


def run(main: Coroutine[Any, Any, None], *, uvloop: bool = True) -> None:
    """On uvloop, as ``pgwamp run`` is, or on the loop that Autobahn's ``run`` takes."""
    with asyncio.Runner(loop_factory=new_event_loop if uvloop else None) as runner:
        runner.run(main)
