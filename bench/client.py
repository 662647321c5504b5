"""The load, in a process of its own: a line of JSON in, a line of JSON out.

``{"request": ..., "number": ..., "in_flight": ..., "highest": ...}`` is answered with the seconds
that all calls took, and what the first one answered. ``python -m bench.client wamp URL``, or
``http``.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

Call = Callable[[dict[str, Any]], Awaitable[Any]]


@asynccontextmanager
async def wamp(url: str) -> AsyncIterator[Call]:
    """Calls over WAMP."""
    from pgwamp.session import Client
    from pgwamp.settings import RouterSettings

    async with Client(RouterSettings(url=url)) as client:

        async def call(request: dict[str, Any]) -> Any:
            return await client.call(request["procedure"], request["args"], request["kwargs"])

        yield call


@asynccontextmanager
async def http(url: str) -> AsyncIterator[Call]:
    """Calls over HTTP, on connections that are kept."""
    import aiohttp

    async with aiohttp.ClientSession(url, connector=aiohttp.TCPConnector(limit=0)) as session:

        async def call(request: dict[str, Any]) -> Any:
            options = {} if request["body"] is None else {"json": request["body"]}
            async with session.request(request["method"], request["path"], **options) as answer:
                body = await answer.json()
                if answer.status >= 400 or (isinstance(body, dict) and body.get("errors")):
                    raise RuntimeError(f"{answer.status}: {body}")
                return body

        yield call


def numbered(value: Any, number: int) -> Any:
    """A request with the number of the call in place of ``$n``."""
    if value == "$n":
        return number
    if isinstance(value, str):
        return value.replace("$n", str(number))
    if isinstance(value, dict):
        return {key: numbered(item, number) for key, item in value.items()}
    if isinstance(value, list) and len(value) < 100:
        return [numbered(item, number) for item in value]
    return value


async def run(call: Call, order: dict[str, Any]) -> dict[str, Any]:
    """Make the calls of one order, so many at a time."""
    requests = [
        numbered(order["request"], n % order["highest"] + 1) for n in range(order["number"])
    ]
    first = await call(requests[0])
    pending = iter(requests)

    async def worker() -> None:
        for request in pending:
            await call(request)

    began = time.perf_counter()
    await asyncio.gather(*(worker() for _ in range(order["in_flight"])))
    return {"seconds": time.perf_counter() - began, "answer": first}


async def main(kind: str, url: str) -> None:
    """Serve orders until standard input ends."""
    async with {"wamp": wamp, "http": http}[kind](url) as call:
        print(json.dumps("ready"), flush=True)
        while line := await asyncio.to_thread(sys.stdin.readline):
            try:
                answer = await run(call, json.loads(line))
            except Exception as error:  # whatever the side answers is told to who ordered
                answer = {"error": f"{type(error).__name__}: {error}"[:300]}
            print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
