"""The handler to compare with: what one writes by hand with Autobahn and asyncpg."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from typing import Any

import asyncpg
import txaio
from autobahn.asyncio.component import Component

from bench.queries import ARTISTS_SQL, INSERT_SQL, ITEM_COLUMNS

INSERT_ONE = (
    "insert into entry (name, quantity, price, created) "
    "values ($1, $2, $3::text::numeric, $4::text::timestamptz) returning id"
)


async def main() -> None:
    """Register ``com.example.hand.*`` until killed."""
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
        row = await pool.fetchrow(f"select {ITEM_COLUMNS} from item where id = $1", key)
        assert row is not None
        return dict(row)

    async def select(limit: int) -> list[dict[str, Any]]:
        rows = await pool.fetch(f"select {ITEM_COLUMNS} from item order by id limit $1", limit)
        return [dict(row) for row in rows]

    async def artists(since: int) -> Any:
        return json.loads(await pool.fetchval(ARTISTS_SQL, since))

    async def insert(row: dict[str, Any]) -> int | None:
        return await pool.fetchval(
            INSERT_ONE, row["name"], row["quantity"], row["price"], row["created"]
        )

    async def insert_many(rows: list[dict[str, Any]]) -> int:
        names = ("name", "quantity", "price", "created")
        await pool.execute(INSERT_SQL, *([row[name] for row in rows] for name in names))
        return len(rows)

    @component.on_join  # type: ignore[untyped-decorator]
    async def joined(session: Any, _details: Any) -> None:
        for function in (get, select, artists, insert, insert_many):
            await session.register(function, f"com.example.hand.{function.__name__}")
        print("ready", flush=True)

    await component.start(loop)


if __name__ == "__main__":
    if "--uvloop" in sys.argv:
        import uvloop

        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(main())
    else:
        asyncio.run(main())
