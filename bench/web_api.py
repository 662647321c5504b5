"""The web API to compare with: FastAPI and asyncpg, as one writes it by hand."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import asyncpg
from fastapi import FastAPI, Response
from fastapi.responses import JSONResponse
from pydantic import BaseModel

from bench.queries import ARTISTS_SQL, INSERT_SQL, ITEM_COLUMNS


class Entry(BaseModel):
    """A row to insert."""

    name: str
    quantity: int
    price: str
    created: str


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    """Hold a pool while the server runs."""
    async with asyncpg.create_pool(os.environ["DATABASE_URL"], min_size=2, max_size=10) as pool:
        app.state.pool = pool
        yield


app = FastAPI(lifespan=lifespan)


@app.get("/items/{key}")
async def get(key: int) -> JSONResponse:
    """One row."""
    sql = f"select {ITEM_COLUMNS} from item where id = $1"
    return JSONResponse(dict(await app.state.pool.fetchrow(sql, key)))


@app.get("/items")
async def select(limit: int) -> JSONResponse:
    """Some rows."""
    sql = f"select {ITEM_COLUMNS} from item order by id limit $1"
    return JSONResponse([dict(row) for row in await app.state.pool.fetch(sql, limit)])


@app.get("/artists")
async def artists(since: int) -> Response:
    """Three levels."""
    text = await app.state.pool.fetchval(ARTISTS_SQL, since)
    return Response(text, media_type="application/json")


@app.post("/entries")
async def insert(entry: Entry) -> int:
    """Insert a row."""
    columns = ([entry.name], [entry.quantity], [entry.price], [entry.created])
    key: int = await app.state.pool.fetchval(f"{INSERT_SQL} returning id", *columns)
    return key


@app.post("/entries/many")
async def insert_many(entries: list[Entry]) -> int:
    """Insert rows."""
    columns: Any = zip(*((e.name, e.quantity, e.price, e.created) for e in entries), strict=True)
    await app.state.pool.execute(INSERT_SQL, *map(list, columns))
    return len(entries)
