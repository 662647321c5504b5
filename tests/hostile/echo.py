"""``python -m tests.hostile.echo``: a plain Autobahn callee, to compare the waits of callers with.

The router has a loop of its own, which the attackers hold as well.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import txaio
from autobahn.asyncio.component import Component

#: The procedure, below the prefix, and what it answers.
ECHO, ECHOED = "plain_echo", "echoed"
READY = "the echo is ready"
_ROOT = Path(__file__).parents[2]


@asynccontextmanager
async def echo(url: str, prefix: str) -> AsyncIterator[None]:
    """Have the echo served, by a process of its own."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "tests.hostile.echo", url, prefix),
        cwd=_ROOT,
        stdout=asyncio.subprocess.PIPE,
        # Ctrl-C is for those who started this.
        start_new_session=True,
    )
    assert process.stdout is not None
    try:
        async with asyncio.timeout(30):
            line = await process.stdout.readline()
        assert line.decode().strip() == READY, f"the echo ended: {line!r}"
        yield
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


def main() -> None:
    """Serve the echo at a router's Unix socket until killed: ``echo URL PREFIX``."""
    url, prefix = sys.argv[1:]
    txaio.start_logging(level="error")  # type: ignore[no-untyped-call]
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
