"""The time that a call has to leave its connection counts from the last thing it has to leave."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import pytest

from pgwamp.access import Caller
from pgwamp.database import pooled
from pgwamp.errors import OutcomeUnknown
from pgwamp.session import Call
from tests.conftest import Database, Observe, Serve

#: Seconds that a call has, and a statement that takes longer.
LEAVING, PAUSE = 1.0, "select pg_sleep(1.5)"
MODULE = f"""
import asyncpg
from pgwamp import register

async def time_out(connection: asyncpg.Connection) -> None:
    try:
        async with connection.transaction():
            await connection.execute("select pg_sleep(60)", timeout=0.1)
    except TimeoutError:
        pass
    else:
        raise AssertionError("it has not timed out")

@register("goes_on")
async def goes_on(connection: asyncpg.Connection) -> bool:
    pid = await connection.fetchval("select pg_backend_pid()")
    for _ in range(2):
        await time_out(connection)
        await connection.execute("{PAUSE}")
    return pid == await connection.fetchval("select pg_backend_pid()")

@register("pid")
async def pid(connection: asyncpg.Connection) -> int:
    return await connection.fetchval("select pg_backend_pid()")

@register("fails")
async def fails(connection: asyncpg.Connection) -> None:
    await time_out(connection)
    await connection.execute("{PAUSE}")
    raise ZeroDivisionError

@register("writes")
async def writes(connection: asyncpg.Connection) -> None:
    await time_out(connection)
    await connection.execute("{PAUSE}")
    await connection.execute("insert into item values (1)")
"""
COMMITS = (
    "exists (select from pg_stat_activity where datname = current_database() "
    "and wait_event = 'PgSleep' and query like '%commit')"
)

Begin = Callable[[str], Coroutine[Any, Any, object]]


@pytest.fixture
async def call(
    serve: Serve,
    prefix: str,
    database: Database,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Begin:
    """Call a procedure of the module."""
    module = "leaving_" + prefix.rpartition(".")[2]
    (tmp_path / f"{module}.py").write_text(MODULE)
    monkeypatch.syspath_prepend(str(tmp_path))
    database.execute(
        "create table item (id int primary key)",
        "create function waits() returns trigger language plpgsql as $$ begin "
        "perform pg_sleep(60); return null; end $$",
        "create constraint trigger waits after insert on item deferrable initially deferred "
        "for each row execute function waits()",
    )
    component = await serve(
        expose={"procedures": [module]}, database={"pool_min": 1, "pool_max": 1}
    )
    monkeypatch.setattr(pooled, "LEAVING_SECONDS", LEAVING)

    async def begin(name: str) -> object:
        procedure = component.exposure.procedures[f"{prefix}.{name}"]
        return await procedure.handler(Call([], {}, Caller("realm1", "a.b")))

    return begin


async def test_a_procedure_whose_statements_time_out_keeps_its_connection(call: Begin) -> None:
    assert await call("goes_on") is True


async def test_a_procedure_that_fails_long_after_a_timeout_gives_its_connection_back(
    call: Begin,
) -> None:
    before = await call("pid")
    with pytest.raises(ZeroDivisionError):
        await call("fails")
    assert await call("pid") == before


async def test_a_cancel_during_a_commit_long_after_a_timeout_is_waited_for(
    call: Begin, observe: Observe
) -> None:
    writing = asyncio.ensure_future(call("writes"))
    await observe(COMMITS)
    writing.cancel()
    try:
        await writing
    except OutcomeUnknown:
        pytest.fail("the server has said that nothing is committed")
    except asyncio.CancelledError:
        pass
    else:
        pytest.fail("it was cancelled")
