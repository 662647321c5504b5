"""A publisher that does nothing else, in a process of its own: what the router takes.

``{"topic": ..., "kwargs": {...}, "number": ...}`` on a line of JSON is answered when all are
acknowledged.
"""

from __future__ import annotations

import asyncio
import json
import sys
from collections import deque
from typing import Any

from bench.events import peer


async def publish(session: Any, order: dict[str, Any]) -> None:
    """Publish the same event again and again, acknowledged, in a window."""
    under_way: deque[asyncio.Future[Any]] = deque()
    for _ in range(order["number"]):
        if len(under_way) >= peer.WINDOW:
            await under_way.popleft()
        under_way.append(
            session.publish(order["topic"], **order["kwargs"], options=peer.ACKNOWLEDGE)
        )
    await asyncio.gather(*under_way)


async def main() -> None:
    """Serve orders until killed."""
    component = peer.component()

    @component.on_join  # type: ignore[untyped-decorator]
    async def joined(session: Any, _details: Any) -> None:
        print("ready", flush=True)
        while line := await asyncio.to_thread(sys.stdin.readline):
            await publish(session, json.loads(line))
            print(json.dumps("published"), flush=True)

    await component.start(asyncio.get_running_loop())


if __name__ == "__main__":
    peer.run(main())
