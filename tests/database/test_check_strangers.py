"""What ``pgwamp check`` says of sessions and rights of strangers that harm events."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any

import asyncpg
import pytest

from pgwamp.checks import check_all, strangers
from pgwamp.settings import Settings
from tests.conftest import Database
from tests.queueing import queueing

MakeSettings = Callable[..., Settings]


@pytest.fixture
async def stranger(database: Database) -> AsyncIterator[asyncpg.Connection[Any]]:
    """A connection of a role that has nothing but CONNECT."""
    role = f"stranger_{database.name}"
    database.execute(f"create role {role} login")
    connection = await asyncpg.connect(database.url.replace("//postgres@", f"//{role}@"))
    yield connection
    await connection.close()
    database.execute(f"drop owned by {role}", f"drop role {role}")


async def problems(settings: Settings, part: str = "events") -> list[str]:
    """What is wrong, but for facts."""
    found = await check_all(settings)
    return [
        finding.problem for finding in found if finding.part == part and finding.level == "wrong"
    ]


async def test_a_role_that_may_create_in_the_schema_is_named(
    make_settings: MakeSettings, database: Database, stranger: asyncpg.Connection[Any]
) -> None:
    database.execute(f"grant create on schema wamp to stranger_{database.name}")
    [problem] = await problems(make_settings(), "schema")
    database.execute(f"revoke create on schema wamp from stranger_{database.name}")

    assert problem.endswith(f'REVOKE CREATE ON SCHEMA wamp FROM "stranger_{database.name}"')


async def test_row_level_security_on_a_watched_table_is_told_of(
    make_settings: MakeSettings, database: Database
) -> None:
    database.execute(
        "create table letters (id int primary key, owner text)",
        "alter table letters enable row level security",
        "select wamp.watch('letters')",
    )

    async def told() -> bool:
        return any(
            "public.letters has row level" in f.problem for f in await check_all(make_settings())
        )

    assert await told()
    database.execute("""select wamp.watch('letters', '{"eligible_authid": "owner"}')""")
    assert not await told()


async def test_event_triggers_of_an_older_version_are_told_of(
    make_settings: MakeSettings, database: Database
) -> None:
    database.execute("alter function wamp.ddl_changed() security invoker")
    found = [f.problem for f in await check_all(make_settings()) if f.part == "schema"]

    assert found == [
        "watched tables do not follow DDL by others than the owner of the wamp schema: "
        "run 'pgwamp db upgrade' once more as a superuser"
    ]


@pytest.mark.parametrize("state", ["disable", "enable replica"])
async def test_event_triggers_that_are_turned_off_are_told_of_with_the_cure(
    make_settings: MakeSettings, database: Database, state: str
) -> None:
    database.execute(f"alter event trigger wamp_sql_drop {state}")
    found = [f.problem for f in await check_all(make_settings()) if f.part == "schema"]

    cure = "ALTER EVENT TRIGGER wamp_sql_drop ENABLE"
    assert found == [
        f"the API and watched tables do not follow all DDL: as a superuser run: {cure}"
    ]
    database.execute(cure)
    assert [f for f in await check_all(make_settings()) if f.part == "schema"] == []


async def test_conditions_that_run_with_the_rights_of_the_owner_are_told_of(
    make_settings: MakeSettings, database: Database
) -> None:
    async def told() -> list[str]:
        found = await check_all(make_settings())
        return [f.problem for f in found if f.problem.startswith("conditions of watched tables")]

    database.execute(
        "create table item (id int primary key)",
        "select wamp.watch('item', '{\"when\": \"id > 0\"}')",
    )
    assert await told() == []
    database.execute("alter function wamp.evaluate(text, json) owner to pgwamp_events")
    [problem] = await told()
    assert "run 'pgwamp db upgrade' once as a superuser" in problem
    database.execute("drop function wamp.evaluate(text, json)")
    found = [f.problem for f in await check_all(make_settings()) if f.part == "schema"]
    assert [f for f in found if f.startswith("the function wamp.evaluate is missing")] == found
    assert len(found) == 1
    database.execute("select wamp.watch('item')")
    assert await told() == []


async def test_a_view_of_a_stranger_that_depends_on_wamp_is_told_of(
    make_settings: MakeSettings, database: Database, stranger: asyncpg.Connection[Any]
) -> None:
    database.execute(f"grant usage on schema wamp to stranger_{database.name}")
    await stranger.execute("create temp view v as select from wamp.log")
    found = await check_all(make_settings())
    [finding] = [f for f in found if "depends on the table wamp.log" in f.problem]

    assert (finding.part, finding.level) == ("schema", "advice")
    assert f'of role "stranger_{database.name}"' in finding.problem


# locks in wamp


@pytest.fixture
def writer(database: Database, stranger: asyncpg.Connection[Any]) -> asyncpg.Connection[Any]:
    """The stranger, who may write to a watched table."""
    database.execute(
        "create table item (id int primary key)",
        "select wamp.watch('item')",
        f"grant insert on item to stranger_{database.name}",
    )
    return stranger


async def found(settings: Settings) -> list[tuple[str, str]]:
    """Level and text of the findings about locks in wamp."""
    named = await check_all(settings)
    return [(f.level, f.problem) for f in named if "wamp." in f.problem and "end it" in f.problem]


@pytest.mark.parametrize("relation", ["wamp.log", "wamp.alembic_version"])
async def test_strangers_who_queue_for_a_lock_in_wamp_are_named(
    make_settings: MakeSettings,
    database: Database,
    stranger: asyncpg.Connection[Any],
    relation: str,
) -> None:
    role = f"stranger_{database.name}"
    database.execute(f"grant usage on schema wamp to {role}")
    url = database.url.replace("//postgres@", f"//{role}@")
    async with queueing(url, relation) as queue:
        strong, weak = await found(make_settings())
        pid = queue.holder.get_server_pid()

    assert strong == (
        "wrong",
        f'process {queue.pid} of role "{role}" locks {relation} or waits to, and others wait for '
        f"that: end it: select pg_terminate_backend({queue.pid})",
    )
    assert weak == (
        "advice",
        f'process {pid} of role "{role}" uses {relation} in an open transaction, which retention '
        "and upgrades wait for: if it should have ended, end it: "
        f"select pg_terminate_backend({pid})",
    )
    assert await found(make_settings()) == []
    database.execute(f"revoke usage on schema wamp from {role}")


async def test_a_stranger_who_locks_the_partitions_of_events_by_number_is_named(
    make_settings: MakeSettings, database: Database, stranger: asyncpg.Connection[Any]
) -> None:
    await stranger.execute(
        "begin; select pg_partition_tree(oid) from pg_class "
        "where relname = 'log' and relnamespace = "
        "(select oid from pg_namespace where nspname = 'wamp')"
    )
    [(level, problem)] = await found(make_settings())
    assert level == "advice"
    assert f"process {stranger.get_server_pid()} " in problem
    assert "uses wamp.log_0 " in problem


async def test_a_prepared_transaction_that_uses_wamp_is_named(
    make_settings: MakeSettings, database: Database, writer: asyncpg.Connection[Any]
) -> None:
    name = f"used {database.name}"
    await writer.execute("begin; insert into item values (1)")
    await writer.execute(f"prepare transaction '{name}'")
    try:
        [(level, problem)] = await found(make_settings())
    finally:
        await writer.execute(f"rollback prepared '{name}'")
    assert level == "advice"
    assert f'a prepared transaction of role "stranger_{database.name}"' in problem
    assert problem.endswith(f"end it: rollback prepared '{name}'")


async def test_neither_members_nor_who_waits_for_them_are_named(
    make_settings: MakeSettings, database: Database, writer: asyncpg.Connection[Any]
) -> None:
    member = await database.connect()
    await member.execute("begin; lock table wamp.raw in share mode")
    pid = writer.get_server_pid()
    writing = asyncio.create_task(writer.execute("insert into item values (1)"))
    try:
        async with asyncio.timeout(20):
            while not await member.fetchval(
                "select exists (select from pg_locks where pid = $1 and not granted)", pid
            ):
                assert not writing.done()
        assert await found(make_settings()) == []
    finally:
        await member.close()
        await writing


async def test_short_transactions_are_not_named(
    database: Database, writer: asyncpg.Connection[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    async def end_meanwhile(_: float) -> None:
        await writer.execute("commit; begin; insert into item values (2)")

    await writer.execute("begin; insert into item values (1)")
    look = await database.connect()
    with monkeypatch.context() as patch:
        patch.setattr(strangers.asyncio, "sleep", end_meanwhile)
        assert await strangers.locks_of_strangers(look) == []
    assert len(await strangers.locks_of_strangers(look)) == 1


async def test_very_many_strangers_with_locks_are_counted(
    database: Database, writer: asyncpg.Connection[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(strangers, "MOST_LINES", 1)
    monkeypatch.setattr(strangers, "LEAST_SECONDS", 0)
    others = [
        await asyncpg.connect(database.url.replace("//postgres@", f"//stranger_{database.name}@"))
        for _ in range(2)
    ]
    for number, session in enumerate((writer, *others)):
        await session.execute(f"begin; insert into item values ({number})")
    findings = await strangers.locks_of_strangers(await database.connect())
    for session in others:
        await session.close()
    assert len(findings) == 2
    assert findings[-1].problem == "and 2 more that lock relations of wamp"
