"""The trigger of a captured table writes what has changed, and nothing of its own shows."""

from __future__ import annotations

import asyncio
import re
from importlib.resources import files

import asyncpg
import pytest

from pgwamp.values import record_texts
from tests.capture.conftest import Capturing
from tests.conftest import Database
from tests.servers import EVENTS

SOURCE = (files("pgwamp.schema") / "versions" / "0101" / "capture.sql").read_text(encoding="utf-8")
ITEM = "create table item (id int primary key, name text)"


async def test_rows_are_captured_as_their_records(capturing: Capturing) -> None:
    await capturing.execute(ITEM)
    await capturing.capture("item")
    await capturing.execute(
        "insert into item values (1, 'a b')",
        "insert into item values (2, null), (3, '')",
        "update item set name = 'c' where id = 1",
        "update item set id = id + 10 where id > 1",
        "update item set name = 'd' where false",
        "delete from item where id = 1",
        "delete from item",
        "truncate item",
    )
    assert await capturing.changes() == [
        ("i", None, '(1,"a b")'),
        ("i", None, "(2,)"),
        ("i", None, '(3,"")'),
        ("u", '(1,"a b")', "(1,c)"),
        ("u", "(2,)", "(12,)"),
        ("u", '(3,"")', '(13,"")'),
        ("d", "(1,c)", None),
        ("d", "(12,)", None),
        ("d", '(13,"")', None),
        ("t", None, None),
    ]


async def test_columns_bear_every_name_of_the_function(capturing: Capturing) -> None:
    names = sorted({*re.findall(r"[a-z_]+", SOURCE), "tg_op", "tg_relid", "found", "sqlerrm"})
    columns = ", ".join(f'"{name}" text default {number}' for number, name in enumerate(names))
    await capturing.execute(f"create table odd (nr int primary key, {columns})")
    await capturing.capture("odd")
    await capturing.execute(
        "insert into odd (nr) values (1)",
        "insert into odd (nr) values (2), (3)",
        "update odd set op = 'x' where nr = 1",
        "update odd set old = 'y'",
        "delete from odd where nr = 1",
        "delete from odd",
    )
    changes = await capturing.changes()
    assert [op for op, _, _ in changes] == ["i"] * 3 + ["u"] * 4 + ["d"] * 3
    members = [str(number) for number in range(len(names))]
    assert record_texts(changes[1][2] or "") == ["2", *members]
    members[names.index("op")] = "x"
    assert record_texts(changes[3][2] or "") == ["1", *members]


#: Values whose texts depend on settings.
SETTINGS_SHOW = """
create type mood as enum ('sad', 'ok');
create table shown (
    id int primary key, at timestamptz, ends interval, raw bytea, ratio float8, small real,
    price money, kind regclass, days date, spans tstzrange, many timestamptz[], doc json, mood mood
)
"""
SHOWN_ROW = (
    "insert into public.shown values (1, '2024-02-29 12:00:00.5+05', '1 year 2 mons 03:04:05.6', "
    "decode('deadbeef', 'hex'), 1.5e23, 0.1, 1234.5, 'public.\"Select\"', '2024-02-29', "
    "'[2024-01-01 00:00+00,2024-01-02 00:00+00)', array['2024-01-01 00:00+00'::timestamptz], "
    "'{\"a\": 1}', 'ok')"
)
SHOWN = (
    '(1,"2024-02-29 07:00:00.5+00",P1Y2MT3H4M5.6S,"\\\\xdeadbeef",1.5e+23,0.1,"$1,234.50",'
    '"public.""Select""",2024-02-29,"[""2024-01-01 00:00:00+00"",""2024-01-02 00:00:00+00"")",'
    '"{""2024-01-01 00:00:00+00""}","{""a"": 1}",ok)'
)
#: What would end the session, or the statement, whatever it does.
ENDING = re.compile(
    r"timeout|^transaction_|^default_transaction_|_limit$|^role$|^session_auth|^debug_|^jit"
    r"|^max_stack_depth$|^idle|^exit_on_error$|^temp_tablespaces$|^default_tablespace$"
    r"|^client_encoding$|^local_preload_libraries$|^default_table_access_method$|^seed$"
)
OTHER_VALUES = {
    "bool": ["on", "off"],
    "DateStyle": ["SQL, DMY", "German", "Postgres, YMD"],
    "TimeZone": ["Asia/Tokyo", "America/St_Johns"],
    "search_path": ["nowhere", "public"],
    "extra_float_digits": ["-15", "3"],
    "plpgsql.extra_errors": ["all"],
    "plpgsql.extra_warnings": ["all"],
    "plpgsql.variable_conflict": ["error", "use_column", "use_variable"],
}


async def test_no_setting_of_the_writer_shows(capturing: Capturing, database: Database) -> None:
    await capturing.execute('create table "Select" ()', SETTINGS_SHOW)
    await capturing.capture("shown")
    settings = await capturing.connection.fetch(
        "select name, vartype, enumvals, min_val, max_val from pg_settings "
        "where context in ('user', 'superuser') order by name"
    )
    tried = 0
    for setting in settings:
        name = setting["name"]
        if ENDING.search(name):
            continue
        values = (
            OTHER_VALUES.get(name) or setting["enumvals"] or OTHER_VALUES.get(setting["vartype"])
        )
        if values is None and setting["vartype"] in ("integer", "real"):
            values = [setting["min_val"], setting["max_val"]]
        for value in values or []:
            if name == "session_replication_role" and value == "replica":
                continue  # fires no trigger, for a superuser alone
            # A session of its own: PostgreSQL parses the function in it for the first time.
            writer = await database.connect()
            try:
                try:
                    await writer.execute("select set_config($1, $2, false)", name, value)
                except asyncpg.PostgresError:
                    continue
                await writer.execute(SHOWN_ROW)
            finally:
                await writer.close()
            tried += 1
            assert await capturing.changes() == [("i", None, SHOWN)], (name, value)
            await capturing.execute("delete from shown")
            await capturing.changes()
    assert tried > 150


#: Of those that may end a statement, values with which this one does not end.
LEFT_OUT = {
    "client_encoding": ["LATIN1", "SQL_ASCII", "EUC_JP"],
    "default_table_access_method": ["heap"],
    "default_tablespace": ["pg_default"],
    "default_transaction_deferrable": ["on"],
    "default_transaction_isolation": ["serializable", "repeatable read"],
    "debug_print_parse": ["on"],
    "debug_print_plan": ["on"],
    "debug_print_rewritten": ["on"],
    "from_collapse_limit": ["1"],
    "jit_above_cost": ["0"],
    "join_collapse_limit": ["1"],
    "max_stack_depth": ["100kB"],
    "role": ["pg_monitor"],
    "seed": ["0.5"],
    "temp_file_limit": ["0"],
    "temp_tablespaces": ["pg_default"],
}


async def test_no_setting_shows_that_may_end_a_statement(
    capturing: Capturing, database: Database
) -> None:
    await capturing.execute('create table "Select" ()', SETTINGS_SHOW)
    await capturing.execute("grant insert on shown to pg_monitor")
    await capturing.capture("shown")
    for name, values in LEFT_OUT.items():
        assert ENDING.search(name)
        for value in values:
            writer = await database.connect()
            await writer.execute("select set_config($1, $2, false)", name, value)
            await writer.execute(SHOWN_ROW)
            await writer.close()
            assert await capturing.changes() == [("i", None, SHOWN)], (name, value)
            await capturing.execute("truncate shown", "truncate wamp.raw")


async def test_no_setting_of_the_writer_keeps_a_truncate_to_itself(capturing: Capturing) -> None:
    await capturing.execute(
        "create table stock (id int primary key) partition by range (id)",
        "create table part partition of stock for values from (0) to (10)",
    )
    await capturing.capture("stock", "part")
    for value in (
        "'part'::regclass::oid",
        "'stock'::regclass::oid",
        "concat('stock'::regclass::oid, ',', 'part'::regclass::oid)",
        "array['part'::regclass::oid]",
    ):
        for table, told in (("part", 1), ("stock", 2)):
            async with capturing.connection.transaction():
                await capturing.execute(
                    f"select set_config('wamp.truncating', ({value})::text, true)",
                    f"truncate {table}",
                )
            assert await capturing.changes() == [("t", None, None)] * told, (value, table)


async def test_lastval_and_found_rows_stay_those_of_the_writer(capturing: Capturing) -> None:
    await capturing.execute("create table item (id serial primary key, name text)")
    await capturing.capture("item")
    await capturing.execute("create sequence own", "select nextval('own')")
    assert await capturing.connection.execute("insert into item values (7, 'a')") == "INSERT 0 1"
    assert await capturing.connection.fetchval("select lastval()") == 1
    assert len(await capturing.changes()) == 1


async def test_casts_of_users_do_not_run(capturing: Capturing) -> None:
    await capturing.execute(
        "create type pair as (a int, b int)",
        "create function forged(pair) returns json language plpgsql as "
        "$$ begin raise exception 'ran'; end $$",
        "create cast (pair as json) with function forged(pair) as implicit",
        "create type mood as enum ('ok')",
        "create function forged(mood) returns text language plpgsql as "
        "$$ begin raise exception 'ran'; end $$",
        "create cast (mood as text) with function forged(mood) as implicit",
        "create table item (id int primary key, pair pair, mood mood)",
    )
    await capturing.capture("item")
    await capturing.execute("insert into item values (1, '(1,2)', 'ok')")
    assert await capturing.changes() == [("i", None, '(1,"(1,2)",ok)')]


async def test_a_writer_needs_no_right_in_wamp(capturing: Capturing, database: Database) -> None:
    role = f"writer_{database.name}"
    await capturing.execute(ITEM, f"create role {role}", f"grant insert on item to {role}")
    await capturing.capture("item")
    try:
        await capturing.execute(
            "revoke usage on schema wamp from public",
            f"set role {role}",
            "insert into item values (1, 'a')",
            "reset role",
        )
        assert await capturing.changes() == [("i", None, "(1,a)")]
        # Its function is nobody's to use on a table of his own.
        await capturing.execute(f"grant create on schema public to {role}", f"set role {role}")
        await capturing.execute("create table own (id int)")
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await capturing.capture("own")
        await capturing.execute("reset role")
    finally:
        await capturing.execute("reset role", f"drop owned by {role}", f"drop role {role}")


async def test_a_copy_without_data_captures_nothing(capturing: Capturing) -> None:
    await capturing.execute(ITEM)
    await capturing.capture("item")
    # As pg_dump --schema-only leaves it.
    await capturing.execute(
        "drop sequence wamp.signal",
        "create sequence wamp.signal minvalue 0",
        f"alter sequence wamp.signal owner to {EVENTS}",
    )
    await capturing.execute("insert into item values (1, 'a')", "truncate item")
    assert await capturing.changes() == []


async def test_a_row_that_no_text_can_hold_leaves_a_marker(capturing: Capturing) -> None:
    await capturing.execute("create table item (id int, name text)")
    await capturing.capture("item")
    # Each quote is written twice in a record.
    await capturing.execute(
        "insert into item values (1, repeat('\"', 600000000))",
        "update item set id = 2",
        "insert into item select 3, name from item union all select 4, 'a'",
    )
    assert await capturing.connection.fetchval("select count(*) from item") == 3
    assert await capturing.changes() == [(op, None, None) for op in ("I", "U", "I")]


async def test_a_row_that_a_trigger_keeps_out_of_another_partition_is_deleted(
    capturing: Capturing,
) -> None:
    await capturing.execute(
        "create table parted (id int, name text) partition by list (id)",
        "create table one partition of parted for values in (1)",
        "create table two partition of parted for values in (2)",
        "create function refuse() returns trigger language plpgsql as $$ begin "
        "if new.name = 'no' then return null; end if; return new; end $$",
        "create trigger refuse before insert on two for each row execute function refuse()",
        "insert into parted values (1, 'no'), (1, 'yes')",
    )
    await capturing.capture("parted")
    await capturing.execute("update parted set id = 2")
    assert await capturing.changes() == [
        ("d", "(1,no)", None),
        ("d", "(1,yes)", None),
        ("i", None, "(2,yes)"),
    ]


async def test_a_watched_statement_of_one_row_takes_one_transaction_id(
    capturing: Capturing,
) -> None:
    await capturing.execute(ITEM)
    await capturing.capture("item")
    async with capturing.connection.transaction():
        await capturing.execute("insert into item values (1, 'a')", "update item set name = 'b'")
        own = await capturing.connection.fetchval("select pg_current_xact_id()::text")
        writers = await capturing.connection.fetch("select distinct xmin::text from wamp.raw")
        assert [row["xmin"] for row in writers] == [own]


async def test_only_a_sleeper_is_notified(capturing: Capturing, database: Database) -> None:
    await capturing.execute(ITEM)
    await capturing.capture("item")
    listener = await database.connect()
    heard: asyncio.Queue[str] = asyncio.Queue()
    await listener.add_listener("wamp.raw", lambda *call: heard.put_nowait(call[3]))
    try:
        await capturing.execute("insert into item values (1, 'a')")
        # A writer with an old snapshot sees who sleeps, too.
        async with capturing.connection.transaction(isolation="repeatable_read"):
            await capturing.connection.fetch("select from item")
            await listener.execute("select setval('wamp.signal', 1)")
            await capturing.execute("insert into item values (2, 'a'), (3, 'b')")
        await capturing.execute("notify \"wamp.raw\", 'end'")
        async with asyncio.timeout(20):
            assert [await heard.get(), await heard.get()] == ["", "end"]
    finally:
        await listener.close()
