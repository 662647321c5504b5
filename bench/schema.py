"""``python -m bench.schema``: a schema of a thousand tables, from catalog to ready, and one more.

Three columns and a foreign key for each table, and half as many functions. The machine may be busy
with other things: CPU seconds say more than those of the clock.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import psutil
import psycopg2
from autobahn.wamp.types import RegisterOptions

from bench.processes import Processes, Used
from pgwamp import migrations
from pgwamp.catalog import load_catalog
from pgwamp.component import Component
from pgwamp.database import connect_directly
from pgwamp.dev import processes
from pgwamp.dev.postgres import Postgres
from pgwamp.dev.router import Router
from pgwamp.errors import CallError
from pgwamp.session import Client, Link, Procedure, Serving
from pgwamp.session.serving import DETAILS
from pgwamp.settings import RouterSettings, Settings

TABLES = 1000
ROUNDS = 5
#: In the scheme to compare with, one wildcard registration each stands for all tables.
VERBS = ("select", "get", "count", "insert", "update", "upsert", "delete", "changes")


def big_schema(tables: int = TABLES) -> list[str]:
    """The statements that make the schema, each table referring to the one before."""
    return [
        *(
            f"create table t{n} (id int primary key, name text not null, "
            f"parent int references t{max(n - 1, 0)})"
            for n in range(tables)
        ),
        *(
            f"create function f{n}(a int, b text default 'b') returns table (id int, name text) "
            f"language sql stable as 'select a, b'"
            for n in range(tables // 2)
        ),
    ]


async def measure(settings: Settings, router: Processes) -> dict[str, Any]:
    """Everything, in turn."""
    own = psutil.Process()
    results: dict[str, Any] = {"catalog": await _catalog(settings.database.dsn(), own)}
    component = Component(settings)
    await component.database.start()
    before = own.memory_info().rss
    used = Used(component=[own])
    await component.load()
    results["catalog and procedures"] = {
        **used.seconds(),
        "MB": round((own.memory_info().rss - before) / 2**20, 1),
    }
    await component.database.stop()
    procedures = component.exposure.procedures
    results["join, exact"] = await _join(settings, procedures, router)
    others = {uri: p for uri, p in procedures.items() if uri.count(".") == 2}
    results["join, wildcard"] = await _join(settings, others, router, VERBS)
    results |= await _process(settings, router)
    return results


async def _catalog(dsn: str, own: psutil.Process) -> dict[str, float]:
    connection = await connect_directly(dsn)
    rounds = []
    try:
        for _ in range(ROUNDS):
            used = Used(component=[own])
            await load_catalog(connection, ["public"])
            rounds.append(used.seconds())
    finally:
        await connection.close()
    return {name: statistics.median(r[name] for r in rounds) for name in rounds[0]}


async def _join(
    settings: Settings,
    procedures: Mapping[str, Procedure],
    router: Processes,
    verbs: Sequence[str] = (),
) -> dict[str, float]:
    """From connecting until everything is registered; ``verbs`` by one wildcard for each."""
    serving = Serving(settings.limits, settings.router.realm, procedures)
    link = Link(settings.router, max_bytes=settings.limits.max_bytes, serving=serving)
    options = RegisterOptions(match="wildcard", invoke="roundrobin", details_arg=DETAILS)
    used = Used(component=[psutil.Process()], router=router)
    await link.start()
    try:
        for verb in verbs:
            uri = f"com.example..{verb}"
            endpoint = serving.endpoint(uri, link.session.room.wait)
            await link.session.register(endpoint, uri, options=options)
        return {"registrations": len(procedures) + len(verbs), **used.seconds()}
    finally:
        await link.stop()


async def _process(settings: Settings, router: Processes) -> dict[str, Any]:
    """``pgwamp run`` as it is: until it is ready, while a table is added, until it has stopped."""
    used = Used(router=router)
    child = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "pgwamp", "run"),
        env={
            **os.environ,
            "DATABASE_URL": settings.database.dsn(),
            "PGWAMP_ROUTER__URL": settings.router.url,
            "PGWAMP_EXPOSE__SCHEMAS": '["public"]',
            "PGWAMP_LOG__LEVEL": "error",
        },
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        assert child.stderr is not None
        line = await child.stderr.readline()
        if b"ready" not in line:
            raise SystemExit(line.decode())
        process = psutil.Process(child.pid)
        megabytes = round(process.memory_info().rss / 2**20, 1)
        results = {
            "pgwamp run until ready": {**used.seconds(), "MB": megabytes},
            "one table more": await _one_more(settings, process),
        }
        used = Used(router=router)
    finally:
        child.terminate()
        await child.wait()
    return {**results, "stop": used.seconds()}


async def _one_more(settings: Settings, process: psutil.Process) -> dict[str, float]:
    """Until a new table can be called, and how long another call took at most meanwhile."""
    connection = await connect_directly(settings.database.dsn())
    longest = 0.0
    async with Client(RouterSettings(url=settings.router.url)) as client:
        await client.call("com.example.f0", [1])
        await connection.execute("create table one_more (id int primary key)")
        used = Used(component=[process])
        while not await _answers(client, "com.example.one_more.count"):
            began = time.perf_counter()
            await client.call("com.example.f0", [1])
            longest = max(longest, time.perf_counter() - began)
        seconds = used.seconds()
    await connection.close()
    return {**seconds, "longest other call, seconds": round(longest, 3)}


async def _answers(client: Client, uri: str) -> bool:
    try:
        await client.call(uri)
    except CallError:
        return False
    return True


def main() -> None:
    """Run and print."""
    parser = argparse.ArgumentParser(prog="bench.schema", description=__doc__)
    parser.add_argument("--tables", type=int, default=TABLES)
    parser.add_argument("--json", action="store_true", help="one JSON document")
    options = parser.parse_args()
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="pgwamp-bench-")))
        folder.chmod(0o755)
        print("starting PostgreSQL and Crossbar.io ...", file=sys.stderr)
        postgres = stack.enter_context(Postgres(folder / "postgres", options={"fsync": "off"}))
        router = stack.enter_context(Router(folder / "crossbar", port=0))
        migrations.upgrade(postgres.url())
        connection = psycopg2.connect(postgres.url())
        with connection, connection.cursor() as cursor:
            for statement in big_schema(options.tables):
                cursor.execute(statement)
        connection.close()
        settings = Settings.load(
            None,
            database={"url": postgres.url()},
            router={"url": router.component_url},
            expose={"schemas": ["public"]},
        )
        node = processes.at_home_in(router.node, "crossbar")
        results = asyncio.run(measure(settings, node))
    if options.json:
        print(json.dumps(results, indent=2))
        return
    for step, figures in results.items():
        print(f"{step}: " + ", ".join(f"{name} {value}" for name, value in figures.items()))


if __name__ == "__main__":
    main()
