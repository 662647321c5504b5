"""The handler to compare with: what one writes by hand with Autobahn and asyncpg."""

from __future__ import annotations

import asyncio
import os
from typing import Any

import asyncpg
import txaio
from autobahn.asyncio.component import Component

COLUMNS = "id, name, kind, quantity, price::text, active, created::text, note"


async def main() -> None:
    """Register ``com.example.hand.get`` and ``.list`` until killed."""
    loop = asyncio.get_running_loop()
    txaio.config.loop = loop  # type: ignore[attr-defined]
    pool = await asyncpg.create_pool(os.environ["DATABASE_URL"], min_size=2, max_size=10)
    component = Component(
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

    async def get(key: int) -> dict[str, Any]:
        row = await pool.fetchrow(f"select {COLUMNS} from item where id = $1", key)
        assert row is not None
        return dict(row)

    async def select(limit: int) -> list[dict[str, Any]]:
        rows = await pool.fetch(f"select {COLUMNS} from item order by id limit $1", limit)
        return [dict(row) for row in rows]

    @component.on_join  # type: ignore[untyped-decorator]
    async def joined(session: Any, _details: Any) -> None:
        await session.register(get, "com.example.hand.get")
        await session.register(select, "com.example.hand.list")
        print("ready", flush=True)

    await component.start(loop)


if __name__ == "__main__":
    asyncio.run(main())
