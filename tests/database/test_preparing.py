"""Named queries are prepared as roles of calls, which may be hostile."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import psycopg2
import pytest

from pgwamp import component
from pgwamp.component import Component
from pgwamp.errors import StartError
from pgwamp.procedures import preparing
from tests.conftest import Database, Serve
from tests.reload.conftest import Reloads
from tests.reload.conftest import reloads as reloads
from tests.servers import Addresses

Start = Callable[..., Awaitable[Component]]
#: Reads a literal of the type ``loud``, whose check says or does something.
HOSTILE = "-- name: hostile\nselect id from item where '{a}'::loud[] is not null;\n"
GOOD = "-- name: good\nselect id from item where id = :id;\n"


def loud(does: str) -> tuple[str, ...]:
    """A type whose check does that."""
    return (
        f"create function heard(t text) returns bool language plpgsql as $$ begin {does}; "
        "return true; end $$",
        "create domain loud as text check (heard(value))",
    )


@pytest.fixture
async def start(serve: Serve, database: Database, roles: list[str], tmp_path: Path) -> Start:
    """Start a component with such named queries, for two roles."""
    anna, ben = roles
    database.execute(
        "create table item (id int primary key, name text)",
        f"grant select on item to {anna}, {ben}",
    )

    async def started(queries: str = GOOD, **sections: Any) -> Component:
        (tmp_path / "all.sql").write_text(queries)
        return await serve(
            access={"roles": {"anonymous": anna, "user": ben}},
            expose={"queries": str(tmp_path)},
            **sections,
        )

    return started


@pytest.mark.parametrize(
    "setting", ["transaction_read_only = off", "transaction_isolation = 'serializable'"]
)
async def test_a_setting_that_belongs_to_a_transaction_stops_no_start(
    start: Start,
    database: Database,
    addresses: Addresses,
    roles: list[str],
    prefix: str,
    setting: str,
) -> None:
    anna = roles[0]
    database.execute(f"alter role {anna} login")
    with closing(psycopg2.connect(addresses.database(database.name, anna))) as session:
        session.autocommit = True
        with session.cursor() as cursor:
            cursor.execute("set default_transaction_isolation = 'serializable'")
            cursor.execute(f"alter role {anna} set {setting}")
    served = await start()
    assert f"{prefix}.good" in served.exposure.procedures


async def test_no_start_waits_for_a_transaction_of_a_stranger(
    start: Start,
    database: Database,
    addresses: Addresses,
    roles: list[str],
    own_login: str,
) -> None:
    database.execute(
        f"alter role {own_login} set default_transaction_isolation = 'serializable'",
        f"alter role {own_login} set default_transaction_deferrable = on",
        # Roles with settings come first.
        f"alter role {roles[0]} set work_mem = '8MB'",
    )
    login = addresses.database(database.name, own_login)
    with closing(psycopg2.connect(database.url)) as stranger, stranger.cursor() as cursor:
        cursor.execute("set transaction isolation level serializable; select txid_current()")
        async with asyncio.timeout(20):
            await start(database={"logins": {roles[0]: login}})


@pytest.mark.parametrize("level", ["notice", "exception"])
async def test_what_a_type_says_is_bounded(
    start: Start, database: Database, monkeypatch: pytest.MonkeyPatch, level: str
) -> None:
    monkeypatch.setattr(preparing, "MOST_BYTES", 100_000)
    says = "perform set_config('client_min_messages', 'notice', true)"
    database.execute(*loud(f"{says}; raise {level} '%', repeat('x', 1000000)"))
    with pytest.raises(StartError, match=r'query "hostile" of .*: .*larger than') as caught:
        await start(GOOD + HOSTILE)
    assert len(str(caught.value)) < 2_000


async def test_the_error_of_a_query_is_cut(start: Start, database: Database) -> None:
    database.execute(*loud("raise '%', repeat('x', 100000)"))
    with pytest.raises(StartError, match=r'query "hostile" of .*: x+$') as caught:
        await start(GOOD + HOSTILE)
    assert len(str(caught.value)) < 2_000


async def test_a_query_that_ends_its_session_is_wrong(start: Start, database: Database) -> None:
    database.execute(*loud("perform pg_terminate_backend(pg_backend_pid())"))
    with pytest.raises(StartError, match=r'query "hostile" of .*: '):
        await start(HOSTILE + GOOD)


async def test_a_refused_login_keeps_only_its_own_queries_from_being_served(
    start: Start,
    reloads: Reloads,
    database: Database,
    addresses: Addresses,
    roles: list[str],
    own_login: str,
    prefix: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(component, "LOOK_AGAIN", 0.1)
    anna = roles[0]
    database.execute(
        "create schema annas",
        "create view annas.seen as select id from item",
        f"grant usage on schema annas to {anna}",
        f"grant select on annas.seen to {anna}",
        f"alter role {own_login} nologin",
        # Roles with settings come first.
        f"alter role {anna} set work_mem = '8MB'",
    )
    login = addresses.database(database.name, own_login)
    served = await start(
        GOOD + "-- name: hers\nselect id from annas.seen;\n", database={"logins": {anna: login}}
    )
    assert f"{prefix}.good" in served.exposure.procedures
    assert f"{prefix}.hers" not in served.exposure.procedures
    database.execute(f"alter role {own_login} login")
    async with asyncio.timeout(20):
        while f"{prefix}.hers" not in served.exposure.procedures:
            await reloads.until(reloads.ended + 1)
