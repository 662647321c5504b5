"""The bridge to compare with: what one writes by hand with asyncpg and Autobahn.

It loses what is notified while it is away, and knows nothing of payloads over 8,000 bytes.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
from typing import Any

import asyncpg

from bench.events import peer
from bench.events.stand import NAIVE_UVLOOP, topic


async def publish(session: Any, payloads: asyncio.Queue[str], table: str) -> None:
    """Publish each notification, in order, so many under way at a time."""
    room = asyncio.Semaphore(peer.WINDOW)

    def acknowledged(reply: asyncio.Future[Any]) -> None:
        room.release()
        if not reply.cancelled() and reply.exception():
            print("not published:", reply.exception(), flush=True)

    while True:
        row = json.loads(await payloads.get())
        await room.acquire()
        reply = session.publish(topic(table), **row, options=peer.ACKNOWLEDGE)
        reply.add_done_callback(acknowledged)


async def main(table: str) -> None:
    """Until killed."""
    component = peer.component()

    @component.on_join  # type: ignore[untyped-decorator]
    async def joined(session: Any, _details: Any) -> None:
        payloads: asyncio.Queue[str] = asyncio.Queue()
        connection = await asyncpg.connect(os.environ["DATABASE_URL"])
        await connection.add_listener(
            table, lambda *notification: payloads.put_nowait(notification[3])
        )
        print("ready", flush=True)
        await publish(session, payloads, table)

    await component.start(asyncio.get_running_loop())


if __name__ == "__main__":
    peer.run(main(sys.argv[1]), uvloop=sys.argv[1] == NAIVE_UVLOOP)
