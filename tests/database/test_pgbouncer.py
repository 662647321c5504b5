"""Calls through a real PgBouncer, which gives each transaction any of its connections."""

from __future__ import annotations

import asyncio
import os
import shutil
import socket
import subprocess
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from pgwamp.checks import check_all
from tests.conftest import Connect, Database, MakeSettings, Serve
from tests.servers import CALLS, EVENTS, Addresses

PGBOUNCER = shutil.which("pgbouncer")
pytestmark = pytest.mark.skipif(PGBOUNCER is None, reason="pgbouncer is not installed")
CALLERS = 40
#: Tells what a connection holds of other calls, and leaves something itself.
LEAVES = (
    "create function leaves() returns text language plpgsql as $$ declare found text; begin "
    "found := concat_ws(' ', current_user, current_setting('wamp.authrole', true), "
    "nullif(current_setting('app.left', true), '')); "
    "perform set_config('app.left', 'something', false), set_config('role', 'none', false); "
    "return found; end $$"
)


@pytest.fixture
async def pooler(addresses: Addresses, database: Database, tmp_path: Path) -> AsyncIterator[str]:
    """The test's database as the login of calls, through three connections of a pooler."""
    server = urlsplit(addresses.database(database.name, CALLS))
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    configuration = tmp_path / "pgbouncer.ini"
    configuration.write_text(
        f"[databases]\n{database.name} = host={server.hostname} port={server.port} user={CALLS}\n"
        f"[pgbouncer]\nlisten_addr = 127.0.0.1\nlisten_port = {port}\nunix_socket_dir =\n"
        "auth_type = any\npool_mode = transaction\ndefault_pool_size = 3\n"
    )
    # It does not run as root.
    user = ["-u", "nobody"] if os.geteuid() == 0 else []
    assert PGBOUNCER is not None
    process = await asyncio.create_subprocess_exec(
        PGBOUNCER, *user, str(configuration), stderr=subprocess.PIPE
    )
    assert process.stderr is not None
    async with asyncio.timeout(10):
        while line := await process.stderr.readline():
            if b"process up" in line:
                break
    reading = asyncio.create_task(process.stderr.read())
    yield f"postgresql://{CALLS}@127.0.0.1:{port}/{database.name}"
    process.terminate()
    await process.wait()
    await reading


async def test_each_call_is_its_callers_and_leaves_nothing(
    pooler: str,
    serve: Serve,
    make_settings: MakeSettings,
    connect: Connect,
    database: Database,
    addresses: Addresses,
    roles: list[str],
    prefix: str,
) -> None:
    database.execute(
        LEAVES,
        "create table item (id int primary key, took interval)",
        f"grant all on item to {roles[0]}",
    )
    direct = addresses.database(database.name, EVENTS)
    sections: dict[str, Any] = {
        "database": {"url": pooler, "listen_url": direct, "events_url": direct},
        "access": {"roles": {"anonymous": roles[0]}},
    }
    await serve(**sections)
    client = await connect()

    async def calls(number: int) -> list[Any]:
        row = {"id": number, "took": "P1DT2H"}
        removed = {"procedure": f"{prefix}.item.delete", "args": [{"id": number}]}
        asked = [
            ("item.insert", [row]),
            ("leaves", []),
            ("item.select", [{"id": number}]),
            ("batch", [[removed, {"procedure": f"{prefix}.leaves"}]]),
        ]
        return [await client.call(f"{prefix}.{name}", args) for name, args in asked]

    async with asyncio.timeout(30):
        answers = await asyncio.gather(*(calls(number) for number in range(CALLERS)))
    told = f"{roles[0]} anonymous"
    for number, (inserted, left, selected, (_, left_in_batch)) in enumerate(answers):
        assert inserted == selected == [{"id": number, "took": "P1DT2H"}]
        assert left == left_in_batch == told
    assert await client.call(f"{prefix}.item.count") == 0
    # The login of calls is a member of the roles of other tests too.
    problems = [f for f in await check_all(make_settings(**sections)) if f.part != "access"]
    assert [f for f in problems if f.level == "wrong"] == []
