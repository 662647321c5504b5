"""``python -m tests.hostile.echo``: a plain Autobahn callee, to compare the waits of callers with.

The router has a loop of its own, which the attackers hold as well.
"""

from __future__ import annotations

import asyncio
import sys
from typing import Any

from autobahn.asyncio.component import Component

#: The procedure, below the prefix, and what it answers.
ECHO, ECHOED = "plain_echo", "echoed"
READY = "the echo is ready"


def main() -> None:
    """Serve the echo at a router's Unix socket until killed: ``echo URL PREFIX``."""
    url, prefix = sys.argv[1:]
    transport = {
        "type": "rawsocket",
        "url": "rs://localhost",
        "endpoint": {"type": "unix", "path": url.removeprefix("rs+unix://")},
        "serializer": "msgpack",
    }
    component = Component(transports=[transport], realm="realm1")

    @component.on_join
    async def joined(session: Any, _: Any) -> None:
        await session.register(lambda: ECHOED, f"{prefix}.{ECHO}")
        print(READY, flush=True)

    loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)
    loop.run_until_complete(component.start(loop=loop))


if __name__ == "__main__":
    main()
