"""Role, claims and settings of a call: there during the call, and gone after it."""

from __future__ import annotations

import asyncio
import gc
from contextlib import suppress
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from pgwamp.errors import CallError, StartError
from tests.conftest import Database
from tests.database.conftest import Calls, Expose
from tests.pooled import lent
from tests.servers import CALLS

DENIED = "wamp.error.not_authorized"
WHO = (
    "create function who() returns text language sql stable as "
    "$$ select concat_ws(' ', current_user, current_setting('wamp.authid', true)) $$",
    "create function slow(seconds float) returns void language sql stable as "
    "$$ select pg_sleep(seconds) $$",
    "create function leaves() returns void language plpgsql as $$ begin "
    "perform set_config('role', 'none', false), set_config('my.own', 'left', false), "
    "set_config('search_path', 'nowhere', false), set_config('statement_timeout', '50000', false); "
    "end $$",
    "create function fails() returns void language plpgsql as $$ begin raise 'no'; end $$",
    "create function found() returns text language sql stable as "
    "$$ select concat_ws(' ', current_user, current_setting('my.own', true), "
    "current_setting('search_path'), current_setting('statement_timeout')) $$",
)
LEFT = (
    "select current_user, session_user, current_setting('wamp.authid', true) as authid, "
    "current_setting('my.own', true) as own, current_setting('search_path') as search_path, "
    "current_setting('statement_timeout') as timeout, current_setting('timezone') as zone"
)


async def state(call: Calls, read_only: bool) -> tuple[Any, ...]:
    """What the component's own use of the only connection finds."""
    # Straight from its pool, reset and nothing else.
    async with lent(call.database, "read" if read_only else "write") as connection:
        row = await connection.fetchrow(LEFT)
    assert row is not None
    return tuple(value or None for value in row)


CLEAN = (CALLS, CALLS, None, None, '"public"', "0", "UTC")


@pytest.mark.parametrize("before", ["", "who"])
async def test_the_components_own_use_never_runs_as_a_caller(
    expose: Expose, roles: list[str], before: str
) -> None:
    anna, _ = roles
    call = await expose(*WHO, access={"roles": {"anonymous": anna}, "before": before})
    for name, read_only in (("who", True), ("leaves", False)):
        await call(name)
        assert await state(call, read_only) == CLEAN
    await call.fails("pgwamp.error.raise_exception", "fails")
    assert await state(call, False) == CLEAN
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.2):
            await call("slow", 30)
    assert await state(call, True) == CLEAN
    async with call.database.transaction(call.caller("x", "anonymous"), read_only=False) as c:
        await c.execute("set role none; set my.own to 'left'")
    assert await state(call, False) == CLEAN
    with pytest.raises(CallError):
        async with call.database.transaction(call.caller("x", "anonymous"), read_only=False) as c:
            await c.execute("select 1 / 0")
    assert await state(call, False) == CLEAN


async def test_a_call_cancelled_at_any_moment_leaves_nothing_behind(
    expose: Expose, roles: list[str]
) -> None:
    anna, _ = roles
    call = await expose(*WHO, access={"roles": {"anonymous": anna}})
    ended = 0
    for step in range(40):
        task = asyncio.ensure_future(call("who"))
        for _ in range(step):
            await asyncio.sleep(0)
        task.cancel()
        ended += not isinstance((await asyncio.gather(task, return_exceptions=True))[0], str)
        assert await state(call, True) == CLEAN
    assert ended
    assert await call("who") == f"{anna} anonymous"


@pytest.mark.parametrize("before", ["", "who"])
async def test_each_call_begins_anew(expose: Expose, roles: list[str], before: str) -> None:
    anna, ben = roles
    mapped = {"anonymous": anna, "user": ben}
    call = await expose(*WHO, access={"roles": mapped, "before": before})
    for _ in range(2):
        assert await call("who") == f"{anna} anonymous"
        assert await call("who", by="user") == f"{ben} user"
        await call("leaves")
    assert await call("found", by="user") == f'{ben} "public" 0'


async def test_a_verb_does_not_see_the_claims_of_an_earlier_call(expose: Expose) -> None:
    call = await expose(
        *WHO,
        "create table note (id int, by text default current_setting('wamp.authid', true))",
        "create function touch() returns text language sql volatile as "
        "$$ select current_setting('wamp.authid', true) $$",
    )
    assert await call("touch", by="user") == "user"
    (row,) = await call("note.insert", {"id": 1}, by="anonymous")
    assert row["by"] == "anonymous"


async def test_behind_a_pooler_role_and_claims_end_with_the_transaction(
    expose: Expose, roles: list[str], database: Database
) -> None:
    anna, _ = roles
    call = await expose(
        *WHO, access={"roles": {"anonymous": anna}}, database={"listen_url": database.url}
    )
    assert await call("who") == f"{anna} anonymous"
    await call("leaves")
    # As a pooler hands the connection to somebody else: nothing is put back before this.
    assert (await state(call, False))[:4] == CLEAN[:4]
    assert await call("found") == f'{anna} "public" 0'


async def test_a_role_brings_its_own_settings(expose: Expose, roles: list[str]) -> None:
    anna, ben = roles
    call = await expose(
        *WHO,
        "create table item (id int)",
        "create function zone() returns text language sql stable as "
        "$$ select current_setting('timezone') $$",
        "create function add() returns void language sql as 'insert into item values (9)'",
        "create function sly() returns void language sql stable as 'select add()'",
        f"grant all on item to {anna}, {ben}",
        f"alter role {anna} set default_transaction_read_only = off",
        f"alter role {anna} set statement_timeout = '200ms'",
        f"alter role {anna} set timezone = 'Asia/Tokyo'",
        f"alter role {anna} set my.own = 'tea'",
        f"alter role {ben} set default_transaction_read_only = on",
        access={"roles": {"anonymous": anna, "user": ben}},
    )
    await call.fails("wamp.error.timeout", "slow", 30)
    await call("slow", 0.5, by="user")
    assert await call("found") == f'{anna} tea "public" 200ms'
    # How values are written stays pgwamp's.
    assert await call("zone") == "UTC"
    await call("item.insert", {"id": 1})
    read_only = "pgwamp.error.read_only_sql_transaction"
    await call.fails(read_only, "item.insert", {"id": 1}, by="user")
    # A role may not open what only reads.
    await call.fails(read_only, "sly")
    assert await state(call, True) == CLEAN


async def test_the_setting_of_a_role_in_this_database_wins(
    expose: Expose, roles: list[str], database: Database
) -> None:
    anna, _ = roles
    call = await expose(
        *WHO,
        f"alter role {anna} set statement_timeout = '1s'",
        f"alter role {anna} in database {database.name} set statement_timeout = '2s'",
        access={"roles": {"anonymous": anna}},
    )
    assert await call("found") == f'{anna} "public" 2s'
    database.execute(f"alter role {anna} in database {database.name} reset statement_timeout")
    await call.database.load_roles()
    assert await call("found") == f'{anna} "public" 1s'


@pytest.mark.parametrize("before", ["", "who"])
async def test_a_role_decides_the_isolation_of_its_transactions(
    expose: Expose, roles: list[str], before: str
) -> None:
    anna, ben = roles
    call = await expose(
        *WHO,
        "create function level() returns text language sql as "
        "$$ select current_setting('transaction_isolation') $$",
        f"alter role {anna} set default_transaction_isolation = 'serializable'",
        access={"roles": {"anonymous": anna, "user": ben}, "before": before},
    )
    for _ in range(2):
        assert await call("level") == "serializable"
        assert await call("level", by="user") == "read committed"
    await call("level")
    async with call.database.transaction(call.caller("x", "user"), read_only=False) as connection:
        assert await connection.fetchval("show transaction_isolation") == "read committed"


async def test_a_role_that_is_not_there_ends_the_start(expose: Expose) -> None:
    with pytest.raises(StartError, match=r'access\.roles: there is no role "nobody_here"'):
        await expose(access={"roles": {"anonymous": "nobody_here"}})


async def test_a_connection_found_dead_before_the_call_began_is_replaced(
    expose: Expose, roles: list[str], database: Database
) -> None:
    anna, _ = roles
    call = await expose(
        "create table item (id int primary key)",
        f"grant all on item to {anna}",
        access={"roles": {"anonymous": anna}},
    )
    await call("item.insert", {"id": 1})
    # Nothing is awaited in between: the driver has not heard of it yet.
    database.execute(
        "select pg_terminate_backend(pid) from pg_stat_activity "
        "where datname = current_database() and pid <> pg_backend_pid()"
    )
    await call("item.insert", {"id": 2})
    assert await call("item.count") == 2


BEFORE = (
    "create table visit (who text, procedure text)",
    "create function check_caller() returns void language plpgsql as $$ begin "
    "if current_setting('wamp.authid') = 'user' then "
    "  raise 'not you' using errcode = '42501'; "
    "elsif current_setting('wamp.procedure') like '%.closed' then "
    "  raise 'come back at noon' using errcode = 'PW001', "
    "  datatype = 'com.example.error.closed', hint = 'noon'; "
    "end if; "
    "insert into visit values (concat_ws(' ', current_user, current_setting('wamp.authid')), "
    "  current_setting('wamp.procedure')); end $$",
    "create function closed() returns void language sql as ''",
    "create function visits() returns setof visit language sql as 'table visit'",
)


async def test_a_transaction_that_a_cancelled_call_left_open_is_rolled_back_and_not_logged(
    expose: Expose,
) -> None:
    # A second cancellation, while asyncpg rolls back, can leave it so.
    call = await expose()
    reported: list[dict[str, Any]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: reported.append(context))
    for wrong in ("", "; select 1 / 0"):
        with suppress(asyncpg.DivisionByZeroError):
            async with lent(call.database, "own") as connection:
                await connection.execute(f"begin{wrong}")
        async with lent(call.database, "own") as connection:
            assert not connection.is_in_transaction()
            assert await connection.fetchval("select 1") == 1
    assert reported == []


async def test_a_call_cancelled_while_it_connects_is_no_error(
    expose: Expose,
) -> None:
    call = await expose(database={"pool_min": 1, "pool_max": 4})
    reported: list[dict[str, Any]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: reported.append(context))

    async def borrow() -> None:
        async with call.database.own():
            pass

    async with call.database.own():
        for steps in range(1, 30):
            connecting = asyncio.create_task(borrow())
            for _ in range(steps):
                await asyncio.sleep(0)
            connecting.cancel()
            await asyncio.wait({connecting})
    gc.collect()
    assert reported == []


async def test_a_function_is_called_before_each_call_and_may_refuse_it(
    expose: Expose, roles: list[str]
) -> None:
    anna, ben = roles
    call = await expose(
        *BEFORE,
        f"grant select, insert on visit to {anna}, {ben}",
        access={"roles": {"anonymous": anna, "user": ben}, "before": "check_caller"},
    )
    refused = await call.fails(DENIED, "visits", by="user")
    assert (refused.message, refused.details["sqlstate"]) == ("not you", "42501")
    closed = await call.fails("com.example.error.closed", "closed")
    assert (closed.message, closed.details["hint"]) == ("come back at noon", "noon")
    assert await call("visits") == [
        {"who": f"{anna} anonymous", "procedure": f"{call.prefix}.visits"}
    ]
    assert await state(call, False) == CLEAN


async def test_raise_names_the_uri_of_its_error(expose: Expose) -> None:
    call = await expose(
        "create function refuse(uri text) returns void language plpgsql as $$ begin "
        "raise 'sold out' using errcode = 'PW001', datatype = uri, detail = 'until May', "
        "table = 'item'; end $$"
    )
    error = await call.fails("com.example.error.sold_out", "refuse", "com.example.error.sold_out")
    told = {name: value for name, value in error.details.items() if value}
    assert error.message == "sold out"
    assert told == {
        "message": "sold out", "detail": "until May", "table": "item", "sqlstate": "PW001",
    }  # fmt: skip
    for uri in ("", "no uri", "sold out.", "Com.Example"):
        error = await call.fails("pgwamp.error.sqlstate_pw001", "refuse", uri)
        assert error.message == (
            "sold out (to name the error, PW001 needs its URI in DATATYPE, such as "
            "com.example.error.sold_out)"
        )


MODULE = """
import asyncpg
from autobahn import wamp

@wamp.register("nests")
async def nests(connection: asyncpg.Connection) -> int:
    await connection.execute("insert into item values (1)")
    try:
        async with connection.transaction():
            await connection.execute("insert into item values (1)")
    except asyncpg.UniqueViolationError:
        pass
    async with connection.transaction():
        await connection.execute("insert into item values (2)")
    return await connection.fetchval("select count(*) from item")

@wamp.register("swallows")
async def swallows(connection: asyncpg.Connection) -> str:
    try:
        await connection.execute("select 1 / 0")
    except asyncpg.PostgresError:
        pass
    return "all is well"
"""


async def test_a_procedure_nests_transactions_and_cannot_lose_one_in_silence(
    expose: Expose, tmp_path: Path, prefix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    module = "nesting_" + prefix.rpartition(".")[2]
    (tmp_path / f"{module}.py").write_text(MODULE)
    monkeypatch.syspath_prepend(str(tmp_path))
    call = await expose("create table item (id int primary key)", expose={"procedures": [module]})
    assert await call("nests") == 2
    assert await call("item.count") == 2
    await call.fails("pgwamp.error.in_failed_sql_transaction", "swallows")
    assert await state(call, False) == CLEAN
