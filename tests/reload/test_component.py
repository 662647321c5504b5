"""The API follows DDL while it serves: what did not change is never touched."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from pgwamp.component import Component
from pgwamp.database.connect import connect_directly
from pgwamp.errors import CallError
from tests.conftest import Connect, Database, Events, MakeSettings, Serve
from tests.reload.conftest import Reloads, eventually, eventually_fails

NO_PROCEDURE = "wamp.error.no_such_procedure"
ITEM = "create table item (id int primary key, name text)"
LISTENER = (
    "select pg_terminate_backend(pid) from pg_stat_activity "
    "where datname = current_database() and application_name = 'pgwamp listener'"
)
SLEEPING = (
    "select exists (select from pg_stat_activity "
    "where datname = current_database() and wait_event = 'PgSleep')"
)
#: Then only NOTIFY is left, or the reload after a lost connection.
DEAF = (
    "alter event trigger wamp_ddl_command_end disable",
    "alter event trigger wamp_sql_drop disable",
)


# --- what changes -------------------------------------------------------------------------------


async def test_a_new_table_is_served_and_a_dropped_one_is_not(
    database: Database, serve: Serve, connect: Connect, prefix: str
) -> None:
    database.execute(ITEM)
    component = await serve()
    client = await connect()

    database.execute("create table more (id int primary key)", "insert into more values (1)")
    assert await eventually(lambda: client.call(f"{prefix}.more.select")) == [{"id": 1}]
    described = await client.call(f"{prefix}.describe")
    assert f"{prefix}.more.select" in [entry["uri"] for entry in described["procedures"]]

    database.execute("drop table item")
    error = await eventually_fails(lambda: client.call(f"{prefix}.item.count"))
    if error.uri != NO_PROCEDURE:  # it met the gap between the drop and the reload
        assert error.uri == "pgwamp.error.undefined_table"
        async with asyncio.timeout(5):
            while error.uri != NO_PROCEDURE:
                error = await eventually_fails(lambda: client.call(f"{prefix}.item.count"))
    assert not [uri for uri in component.link.registered if ".item." in uri]


async def test_a_new_column_is_known_and_a_dropped_one_is_not(
    database: Database, serve: Serve, connect: Connect, prefix: str
) -> None:
    database.execute(ITEM)
    component = await serve()
    client = await connect()
    before = component.link.registered

    database.execute("alter table item add column price numeric default 1.50")
    row = await eventually(
        lambda: client.call(f"{prefix}.item.insert", [{"id": 1, "name": "a", "price": "2.5"}])
    )
    assert row == [{"id": 1, "name": "a", "price": "2.5"}]

    database.execute("alter table item drop column name")
    await eventually_fails(lambda: client.call(f"{prefix}.item.select", [{"name": "a"}]))
    assert await eventually(lambda: client.call(f"{prefix}.item.select")) == [
        {"id": 1, "price": "2.5"}
    ]
    assert component.link.registered == before


async def test_a_statement_prepared_before_the_change_fails_no_call_after_it(
    database: Database, serve: Serve, connect: Connect, prefix: str, reloads: Reloads
) -> None:
    database.execute(
        "create table item (id int primary key)",
        "insert into item values (7)",
        "create function items() returns setof item language sql stable as 'select * from item'",
    )
    await serve()
    client = await connect()

    async def all_connections() -> list[Any]:
        return await asyncio.gather(*(client.call(f"{prefix}.items") for _ in range(20)))

    assert await all_connections() == [[{"id": 7}]] * 20
    database.execute("alter table item alter column id type text")
    await reloads.until(1)
    assert await all_connections() == [[{"id": "7"}]] * 20


async def test_a_comment_and_a_watch_show_in_describe(
    database: Database, serve: Serve, connect: Connect, prefix: str, reloads: Reloads
) -> None:
    database.execute(ITEM)
    await serve()
    client = await connect()
    database.execute("comment on table item is 'what we sell'", "select wamp.watch('item')")
    await reloads.until(1)

    async with asyncio.timeout(5):
        answer = await client.call(f"{prefix}.describe")
        while not answer["topics"]:
            answer = await client.call(f"{prefix}.describe")
    [entry] = [e for e in answer["procedures"] if e["uri"] == f"{prefix}.item.select"]
    assert entry["description"] == "what we sell"


async def test_events_know_a_column_that_is_added(
    database: Database, serve: Serve, connect: Connect, prefix: str, events: Events
) -> None:
    database.execute(ITEM, "select wamp.watch('item')")
    await serve()
    client = await connect()
    await client.subscribe(f"{prefix}.item.", events, "prefix")
    database.execute(
        "alter table item add column price numeric", "insert into item values (1, 'a', 1.50)"
    )
    [event] = await events.count(1)
    assert event["new"] == {"id": 1, "name": "a", "price": "1.50"}


async def test_notify_is_enough_and_reads_the_query_files_again(
    database: Database,
    make_settings: MakeSettings,
    connect: Connect,
    prefix: str,
    tmp_path: Path,
    reloads: Reloads,
) -> None:
    database.execute(*DEAF)
    (tmp_path / "a.sql").write_text("-- name: answer()$\nselect 41;\n")
    settings = make_settings(expose={"queries": str(tmp_path)})
    client = await connect()
    async with Component(settings, patience=5):
        assert await client.call(f"{prefix}.answer") == 41
        (tmp_path / "a.sql").write_text("-- name: answer()$\nselect 42;\n")
        database.execute("notify pgwamp, 'reload'")
        await reloads.until(1)
        assert await client.call(f"{prefix}.answer") == 42


# --- what does not ------------------------------------------------------------------------------


async def test_calls_of_one_table_never_fail_while_others_come_and_go(
    database: Database, serve: Serve, connect: Connect, prefix: str, reloads: Reloads
) -> None:
    database.execute(ITEM, "insert into item values (1, 'a')")
    component = await serve()
    client, other = await connect(), await connect()
    before = component.link.registered
    answers, done = 0, asyncio.Event()

    async def call_without_pause() -> None:
        nonlocal answers
        while not done.is_set():
            assert await client.call(f"{prefix}.item.get", [1]) == {"id": 1, "name": "a"}
            answers += 1

    async with asyncio.TaskGroup() as calling:
        for _ in range(8):
            calling.create_task(call_without_pause())
        for number in range(5):
            name = f"more_{number}"
            database.execute(f"create table {name} (id int primary key)")
            await eventually(lambda n=name: other.call(f"{prefix}.{n}.count"))
            database.execute(f"alter table {name} add column note text")
            await eventually(lambda n=name: other.call(f"{prefix}.{n}.select", [{"note": "x"}]))
            database.execute(f"drop table {name}")
            await eventually_fails(lambda n=name: other.call(f"{prefix}.{n}.count"))
        done.set()
    assert answers > 100
    # The last drop may still be on its way.
    await reloads.until(11)
    after = component.link.registered
    assert {uri: after.get(uri) for uri in before} == before


async def test_a_long_call_of_a_dropped_table_ends_as_it_began(
    database: Database, serve: Serve, connect: Connect, prefix: str, reloads: Reloads
) -> None:
    database.execute(
        "create function slowly() returns int language sql volatile as 'select 1 from pg_sleep(1)'"
    )
    component = await serve()
    client = await connect()
    pending = asyncio.ensure_future(client.call(f"{prefix}.slowly"))
    connection = await database.connect()
    async with asyncio.timeout(5):
        while not await connection.fetchval(SLEEPING):
            pass
    await connection.close()
    database.execute("drop function slowly")
    await reloads.until(1)
    assert not pending.done()
    assert f"{prefix}.slowly" not in component.link.registered
    assert await pending == 1


async def test_many_statements_make_few_reloads(
    database: Database, serve: Serve, connect: Connect, prefix: str, reloads: Reloads
) -> None:
    await serve()
    client = await connect()
    database.execute(*(f"create table t{n} (id int primary key)" for n in range(50)))
    assert await eventually(lambda: client.call(f"{prefix}.t49.count")) == 0
    assert reloads.ended <= 5


async def test_every_instance_follows(
    database: Database, serve: Serve, connect: Connect, prefix: str
) -> None:
    instances = [await serve(), await serve()]
    database.execute(ITEM)
    client = await connect()
    await eventually(lambda: client.call(f"{prefix}.item.count"))
    async with asyncio.timeout(5):
        while not all(f"{prefix}.item.count" in i.link.registered for i in instances):
            await client.call(f"{prefix}.item.count")
    database.execute("drop table item")
    async with asyncio.timeout(5):
        while any(f"{prefix}.item.count" in i.link.registered for i in instances):
            await client.call(f"{prefix}.describe")


# --- what goes wrong ----------------------------------------------------------------------------


async def test_a_reload_follows_when_the_listening_connection_was_lost(
    database: Database, serve: Serve, connect: Connect, prefix: str
) -> None:
    database.execute(*DEAF)
    await serve()
    client = await connect()
    database.execute(ITEM)
    with pytest.raises(CallError, match="item"):
        await client.call(f"{prefix}.item.count")
    for number in range(2):
        database.execute(f"create table more_{number} (id int primary key)", LISTENER)
        assert await eventually(lambda n=number: client.call(f"{prefix}.more_{n}.count")) == 0


async def test_a_reload_that_fails_leaves_the_api_as_it_was(
    database: Database,
    make_settings: MakeSettings,
    connect: Connect,
    prefix: str,
    tmp_path: Path,
    reloads: Reloads,
    caplog: pytest.LogCaptureFixture,
) -> None:
    database.execute(ITEM)
    (tmp_path / "a.sql").write_text("-- name: names\nselect name from item;\n")
    client = await connect()
    async with Component(make_settings(expose={"queries": str(tmp_path)}), patience=5) as component:
        before = component.link.registered
        # The query is wrong now.
        database.execute("alter table item rename column name to label")
        await reloads.until(1)
        assert await client.call(f"{prefix}.item.count") == 0
        (tmp_path / "a.sql").write_text("-- name: names\nselect label from item;\n")
        database.execute("notify pgwamp, 'reload'")
        await reloads.until(2)
        assert await client.call(f"{prefix}.names") == []
        assert await client.call(f"{prefix}.item.insert", [{"id": 1, "label": "a"}])
        assert component.link.registered == before
    assert f'query "names" of {tmp_path.name}/a.sql: column "name" does not exist' in caplog.text
    assert "Traceback" not in caplog.text


async def test_a_database_without_event_triggers_is_no_obstacle(
    database: Database, serve: Serve
) -> None:
    database.execute("drop function wamp.ddl_changed() cascade")
    component = await serve()
    assert component.link.is_up
    listening = "select count(*) from pg_stat_activity where application_name = 'pgwamp listener' "
    connection = await connect_directly(database.url)
    try:
        count = await connection.fetchval(listening + "and datname = current_database()")
    finally:
        await connection.close()
    assert count == 1
