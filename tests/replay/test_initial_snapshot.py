"""The condition of a watch says which rows a snapshot has, and its code gains nothing there."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Iterator
from typing import Any

import pytest

from pgwamp.eventlog import evaluator
from pgwamp.replay import initial_snapshot
from tests.conftest import Connect, Database, Observe, Serve
from tests.replay.following import Follower

WITHOUT_EVENT_TRIGGERS = (
    "alter event trigger wamp_sql_drop disable",
    "alter event trigger wamp_ddl_command_end disable",
)


@pytest.fixture
def names(database: Database) -> Iterator[tuple[str, str, str]]:
    """Roles: of anonymous callers, of users, and of somebody who owns a function."""
    names = tuple(f"{kind}_{uuid.uuid4().hex[:8]}" for kind in ("anon", "user", "owner"))
    anonymous, user, owner = names
    database.execute(
        *(f"create role {name} nologin" for name in names),
        f"grant {anonymous}, {user} to pgwamp_calls",
        f"grant usage on schema public to {anonymous}, {user}",
    )
    yield anonymous, user, owner
    database.execute(
        f"drop owned by {', '.join(names)} cascade", *(f"drop role {name}" for name in names)
    )


async def test_a_function_of_the_condition_does_not_run_as_the_caller(
    serve: Serve, connect: Connect, database: Database, prefix: str, names: tuple[str, str, str]
) -> None:
    anonymous, user, owner = names
    database.execute(
        "create table item (id int primary key, state varchar)",
        f"grant select on item to {anonymous}",
        "create table orders (id int primary key)",
        f"grant select, delete on orders to {user}",
        "insert into orders values (1)",
        "create schema lib",
        "grant usage on schema lib to public",
        f"grant create on schema lib to {owner}",
        f"set role {owner}; create function lib.is_open(varchar) returns boolean immutable "
        "language plpgsql as $$ begin return $1 = 'open'; end $$; reset role",
        """select wamp.watch('item', '{"when": "lib.is_open(state)"}')""",
        "insert into item values (1, 'open'), (2, 'closed')",
        # Its owner replaces it when nobody looks.
        f"set role {owner}; create or replace function lib.is_open(varchar) returns boolean "
        "volatile language plpgsql as $$ begin "
        f"begin set role none; set role {user}; delete from public.orders; "
        "exception when others then null; end; return $1 = 'open'; end $$; reset role",
        "revoke execute on function lib.is_open(varchar) from public",
        "grant execute on function lib.is_open(varchar) to pgwamp_evaluator",
    )
    await serve(access={"roles": {"anonymous": anonymous, "user": user}})
    follower = await Follower(await connect(), f"{prefix}.item.follow", snapshot=True).begun()
    assert follower.rows == [{"id": 1, "state": "open"}]
    connection = await database.connect()
    assert await connection.fetchval("select count(*) from orders") == 1
    await connection.close()


async def test_a_function_of_a_stranger_does_not_stand_in_for_a_builtin(
    serve: Serve, connect: Connect, database: Database, prefix: str
) -> None:
    database.execute(
        "create table item (id int primary key, state varchar)",
        """select wamp.watch('item', $${"when": "lower(state) = 'open'"}$$)""",
        "create function public.lower(varchar) returns text immutable language plpgsql as "
        "$$ begin raise exception 'caught %', $1; end $$",
        "insert into item values (1, 'OPEN'), (2, 'closed')",
    )
    await serve()
    follower = await Follower(await connect(), f"{prefix}.item.follow", snapshot=True).begun()
    assert follower.rows == [{"id": 1, "state": "OPEN"}]


async def test_a_condition_reads_names_of_objects_as_it_does_for_events(
    serve: Serve, connect: Connect, database: Database, prefix: str
) -> None:
    database.execute(
        "create table item (id int primary key, about regclass, many regtype[])",
        """select wamp.watch('item', $${"when": "about = 'public.item'::regclass"}$$)""",
        "insert into item values (1, 'item', '{item,int}'), (2, 'pg_class', null)",
    )
    await serve()
    follower = await Follower(await connect(), f"{prefix}.item.follow", snapshot=True).begun()
    assert follower.rows == [{"id": 1, "about": "public.item", "many": ["public.item", "integer"]}]
    assert not any("truncated" in item for item in follower.items)


async def test_a_row_whose_condition_fails_comes_as_its_key_alone(
    serve: Serve, connect: Connect, database: Database, prefix: str
) -> None:
    database.execute(
        "create table item (id int primary key, name text, note text)",
        """select wamp.watch('item', $${"when": "note::int < 10"}$$)""",
        "insert into item select n, 'x', n from generate_series(1, 700) as n",
        "update item set note = 'my secret: 4711' where id in (5, 650)",
    )
    await serve(expose={"exclude": ["public.item.note"]})
    follower = await Follower(await connect(), f"{prefix}.item.follow", snapshot=True).begun()
    assert sorted(row["id"] for row in follower.rows) == [1, 2, 3, 4, 6, 7, 8, 9]
    assert follower.rows[0] == {"id": 1, "name": "x"}
    truncated = [key for item in follower.items for key in item.get("truncated", ())]
    assert sorted(truncated, key=lambda key: key["id"]) == [{"id": 5}, {"id": 650}]
    assert "secret" not in str(follower.items)


async def test_after_some_rows_whose_condition_fails_no_other_is_tried_alone(
    serve: Serve, connect: Connect, database: Database, prefix: str
) -> None:
    database.execute(
        "create table item (id int primary key, amount int)",
        """select wamp.watch('item', $${"when": "10 / amount > 1"}$$)""",
        "insert into item select n, 0 from generate_series(1, 50) as n",
    )
    await serve()
    follower = await Follower(await connect(), f"{prefix}.item.follow", snapshot=True).begun()
    truncated = [key["id"] for item in follower.items for key in item.get("truncated", ())]
    assert follower.rows == []
    assert truncated == list(range(1, 51))


async def test_a_condition_that_takes_too_long_ends_the_snapshot(
    serve: Serve,
    connect: Connect,
    database: Database,
    prefix: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(evaluator, "SECONDS", 0.2)
    database.execute(
        "create function slow(int) returns boolean immutable language plpgsql as $$ begin "
        "perform pg_sleep(60); return true; end $$",
        "create table item (id int primary key)",
        """select wamp.watch('item', '{"when": "public.slow(id)"}')""",
        "insert into item values (1)",
    )
    await serve()
    error = await Follower(await connect(), f"{prefix}.item.follow", snapshot=True).error()
    assert error.uri == "pgwamp.error.unavailable"
    assert error.message == "the condition that item is watched with takes too long"


@pytest.mark.parametrize("options", ["", """, '{"when": "n >= 0"}'"""], ids=["all", "when"])
@pytest.mark.parametrize("partitioned", [False, True])
@pytest.mark.parametrize(
    "change",
    ["add column made timestamptz default clock_timestamp()", "alter column n type bigint"],
)
async def test_a_table_that_is_just_rewritten_is_not_empty(
    serve: Serve,
    connect: Connect,
    database: Database,
    observe: Observe,
    prefix: str,
    change: str,
    partitioned: bool,
    options: str,
) -> None:
    database.execute(
        "create table item (id int primary key, n int)"
        + (" partition by range (id)" if partitioned else ""),
        *(["create table part partition of item default"] if partitioned else ()),
        f"select wamp.watch('item'{options})",
        "insert into item select n, n from generate_series(1, 5) as n",
    )
    await serve()
    session = await connect()
    writer = await database.connect()
    try:
        await writer.execute("begin")
        await writer.execute(f"alter table item {change}")
        follower = Follower(session, f"{prefix}.item.follow", snapshot=True)
        await observe(
            "exists (select from pg_locks where not granted and relation = 'item'::regclass)"
        )
        await writer.execute("commit")
        if "type" in change and options:
            # The text of the column is asked for by its type.
            error = await follower.error()
            assert error.uri == "pgwamp.error.unavailable"
            assert error.message == "item or its columns have just changed; try again"
        else:
            await follower.begun()
            assert sorted(row["id"] for row in follower.rows) == [1, 2, 3, 4, 5]
    finally:
        await writer.close()


@pytest.mark.parametrize(
    ("change", "value"),
    [
        ("add column new int[] default '{1,2}'", {"new": [1, 2], "old": "{1}"}),
        ("alter column old type int[] using old::int[]", {"old": [1]}),
        ("alter column old type bytea using '\\x00'", {"old": b"\0"}),
        ("alter column old type timestamptz using '2026-01-01'",
         {"old": "2026-01-01T00:00:00+00:00"}),
        ("add column at timestamptz default '2026-01-01', add column mood mood default 'ok'",
         {"old": "{1}", "at": "2026-01-01T00:00:00+00:00", "mood": "ok"}),
        ("rename column old to new", {"new": "{1}"}),
        ("drop column old", {}),
    ],
)  # fmt: skip
async def test_rows_have_the_columns_that_the_table_has_before_the_reload(
    serve: Serve,
    connect: Connect,
    database: Database,
    prefix: str,
    change: str,
    value: dict[str, Any],
) -> None:
    database.execute(
        "create table item (id int primary key, old text, hidden text)",
        "select wamp.watch('item')",
        "insert into item values (1, '{1}', 'x')",
        # The component reads the catalog at its start, and not again.
        *WITHOUT_EVENT_TRIGGERS,
    )
    await serve(expose={"exclude": ["public.item.hidden"]})
    database.execute("set client_min_messages = error; create domain mood as text")
    database.execute(f"alter table item {change}")
    database.execute("alter table item add hidden_too text; alter table item drop hidden_too")
    follower = await Follower(await connect(), f"{prefix}.item.follow", snapshot=True).begun()
    assert follower.rows == [{"id": 1, **value}]


@pytest.mark.parametrize("column", ["pair", "pair[]"])
async def test_composites_have_the_members_that_the_type_has_before_the_reload(
    serve: Serve, connect: Connect, database: Database, prefix: str, column: str
) -> None:
    value = "('A', 7)" if column == "pair" else "array[('A', 7)::pair]"
    database.execute(
        "create type pair as (a text, b text)",
        f"create table item (id int primary key, pair {column})",
        "select wamp.watch('item')",
        *WITHOUT_EVENT_TRIGGERS,
    )
    await serve()
    database.execute(
        "alter type pair drop attribute b",
        "alter type pair add attribute c int",
        f"insert into item values (1, {value})",
    )
    follower = await Follower(await connect(), f"{prefix}.item.follow", snapshot=True).begun()
    pair = {"a": "A", "c": 7}
    assert follower.rows == [{"id": 1, "pair": pair if column == "pair" else [pair]}]


async def test_watching_again_waits_for_whoever_writes(
    database: Database, observe: Observe
) -> None:
    """Else a change is told by the old options, and its row is in a snapshot by the new ones."""
    database.execute("create table item (id int primary key)", "select wamp.watch('item')")
    writer, watcher = await database.connect(), await database.connect()
    try:
        await writer.execute("begin; insert into item values (1)")
        watching = asyncio.create_task(
            watcher.execute("""select wamp.watch('item', '{"when": "id > 5"}')""")
        )
        await observe(
            "exists (select from pg_locks where not granted and relation = 'item'::regclass)"
        )
        await writer.execute("commit")
        await watching
    finally:
        await writer.close()
        await watcher.close()


async def test_who_watches_again_just_after_another_waits_for_whoever_writes_too(
    database: Database, observe: Observe
) -> None:
    database.execute("create table item (id int primary key)", "select wamp.watch('item')")
    first, second = await database.connect(), await database.connect()
    try:
        await first.execute("begin")
        await first.execute("""select wamp.watch('item', '{"when": "id > 5"}')""")
        await second.execute("begin")
        # As committed by now, these are no other options.
        watching = asyncio.create_task(second.execute("select wamp.watch('item')"))
        await observe(
            "exists (select from pg_stat_activity "
            "where wait_event_type = 'Lock' and datname = current_database())"
        )
        await first.execute("commit")
        await watching
        assert await second.fetchval(
            "select exists (select from pg_locks where pid = pg_backend_pid() "
            "and relation = 'item'::regclass and mode = 'ShareRowExclusiveLock')"
        )
    finally:
        await first.close()
        await second.close()


@pytest.mark.parametrize("is_told", [True, False], ids=["told of DDL", "not told"])
async def test_a_table_that_has_the_name_since_the_last_reload_is_not_empty(
    serve: Serve,
    connect: Connect,
    database: Database,
    observe: Observe,
    prefix: str,
    is_told: bool,
) -> None:
    database.execute(
        "create table item (id int primary key)",
        "select wamp.watch('item')",
        *([] if is_told else WITHOUT_EVENT_TRIGGERS),
    )
    await serve()
    session = await connect()
    writer = await database.connect()
    try:
        await writer.execute(
            "begin; alter table item rename to item_old; create table item (id int primary key); "
            "insert into item select generate_series(1, 5); select wamp.watch('item'); commit"
        )
        await writer.execute("begin; alter table item add made timestamptz default now() + '1 s'")
        await writer.execute("alter table item alter made type text")
        follower = Follower(session, f"{prefix}.item.follow", snapshot=True)
        await observe(
            "exists (select from pg_locks where not granted and relation = 'item'::regclass)"
        )
        await writer.execute("commit")
        await follower.begun()
        assert sorted(row["id"] for row in follower.rows) == [1, 2, 3, 4, 5]
    finally:
        await writer.close()


async def test_a_table_that_is_rewritten_again_and_again_ends_the_snapshot(
    serve: Serve,
    connect: Connect,
    database: Database,
    prefix: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(initial_snapshot, "_IS_REWRITTEN", "select $1::pg_catalog.oid is not null")
    database.execute("create table item (id int primary key)", "select wamp.watch('item')")
    await serve()
    error = await Follower(await connect(), f"{prefix}.item.follow", snapshot=True).error()
    assert error.uri == "pgwamp.error.unavailable"
    assert error.message == "item is rewritten again and again; try again later"


async def test_a_snapshot_takes_no_longer_than_a_stream(
    serve: Serve, connect: Connect, database: Database, observe: Observe, prefix: str
) -> None:
    database.execute(
        "create function slow(int) returns boolean immutable language plpgsql as $$ begin "
        "perform pg_sleep(1); return true; end $$",
        "create table item (id int primary key)",
        """select wamp.watch('item', '{"when": "public.slow(id)"}')""",
        "insert into item select generate_series(1, 1000)",
    )
    await serve(limits={"stream_timeout": 1.5})
    error = await Follower(await connect(), f"{prefix}.item.follow", snapshot=True).error()
    assert error.uri == "wamp.error.timeout"
    assert error.message == "the snapshot took longer than 1.5 seconds (limits.stream_timeout)"
    # Its view is gone: VACUUM waits for nobody.
    await observe(
        "not exists (select from pg_stat_activity where datname = current_database() "
        "and pid <> pg_backend_pid() and backend_xmin is not null)"
    )


async def test_rows_have_the_key_of_the_replica_identity(
    serve: Serve, connect: Connect, database: Database, prefix: str
) -> None:
    database.execute(
        "create table item (code text not null, part int not null, note text)",
        "create unique index item_code on item (code)",
        "alter table item replica identity using index item_code",
        """select wamp.watch('item', '{"columns": ["note"], "when": "10 / part > 1"}')""",
        "insert into item values ('a', 1, 'one'), ('b', 0, 'fails')",
    )
    await serve()
    follower = await Follower(await connect(), f"{prefix}.item.follow", snapshot=True).begun()
    assert follower.items[0]["rows"] == [{"code": "a", "note": "one"}]
    truncated = [key for item in follower.items for key in item.get("truncated", ())]
    assert truncated == [{"code": "b"}]
