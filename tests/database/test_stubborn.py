"""Functions that go on when their statement is cancelled."""

from __future__ import annotations

import asyncio
import sys
import uuid
from collections.abc import Iterator

import pytest

from pgwamp.errors import CallError
from tests.conftest import Connect, Database, Serve
from tests.servers import Addresses

STUBBORN = (
    "create function stubborn() returns int language plpgsql as $$ begin loop "
    "begin perform pg_sleep(0.01); exception when query_canceled then null; end; "
    "end loop; end $$"
)
RUNNING = (
    "select pid from pg_stat_activity where query like '%stubborn%' and state = 'active' "
    "and pid <> pg_backend_pid() and usename = $1"
)


@pytest.fixture
def login(database: Database) -> Iterator[str]:
    """A login of calls whose server processes see that they were left."""
    name = f"login_{uuid.uuid4().hex[:8]}"
    database.execute(
        f"create role {name} login",
        # As docs/security.md has it, but sooner.
        f"alter role {name} set client_connection_check_interval = '100ms'",
    )
    yield name
    database.execute(
        f"select pg_terminate_backend(pid) from pg_stat_activity where usename = '{name}'",
        f"drop owned by {name}",
        f"drop role {name}",
    )


@pytest.mark.skipif(sys.platform != "linux", reason="PostgreSQL sees closed connections on Linux")
@pytest.mark.parametrize("canceled", [False, True], ids=["timed out", "canceled"])
async def test_a_function_that_does_not_stop_keeps_neither_its_caller_nor_its_process(
    login: str,
    serve: Serve,
    connect: Connect,
    database: Database,
    addresses: Addresses,
    prefix: str,
    canceled: bool,
) -> None:
    database.execute(STUBBORN)
    await serve(
        database={"url": addresses.database(database.name, login)},
        limits={"call_timeout": 30 if canceled else 0.5},
    )
    client = await connect()
    watching = await database.connect()
    call = asyncio.ensure_future(client.call(f"{prefix}.stubborn"))
    async with asyncio.timeout(20):
        while not await watching.fetchval(RUNNING, login):
            assert not call.done()
        if canceled:
            call.cancel()
            await asyncio.wait({call})
        else:
            with pytest.raises(CallError) as caught:
                await call
            assert caught.value.uri == "wamp.error.timeout"
        while await watching.fetchval(RUNNING, login):
            pass
    await watching.close()
