"""What pgwamp check says of watched tables that have changed behind the back of their capture."""

from __future__ import annotations

from collections.abc import Callable

from pgwamp.captures import stale_captures
from pgwamp.check import check_all
from pgwamp.settings import Settings
from tests.conftest import Database

WITHOUT_TRIGGERS = (
    "alter event trigger wamp_sql_drop disable",
    "alter event trigger wamp_ddl_command_end disable",
)


async def stale(database: Database) -> list[str]:
    connection = await database.connect()
    try:
        return await stale_captures(connection)
    finally:
        await connection.close()


async def test_tables_that_fit_their_capture_are_no_finding(database: Database) -> None:
    database.execute(
        *WITHOUT_TRIGGERS,
        'create table "Or\'der" (id int primary key, v text)',
        """select wamp.watch('"Or''der"', '{"when": "v <> ''x''", "topic": "x.{v}"}')""",
        'alter table "Or\'der" add column n int',
    )
    assert await stale(database) == []


async def test_a_key_that_changed_is_found_and_cured(database: Database) -> None:
    database.execute(
        *WITHOUT_TRIGGERS,
        'create table "Or\'der" (id int primary key, v text)',
        """select wamp.watch('"Or''der"')""",
        'alter table "Or\'der" rename id to number',
    )
    cure = """select wamp.refresh('public."Or''der"')"""
    assert await stale(database) == [
        f"""public."Or'der" is watched, but its key or its columns have changed: {cure}"""
    ]
    database.execute(cure)
    assert await stale(database) == []


async def test_a_column_that_options_name_and_is_gone_is_found(database: Database) -> None:
    for options in (
        '{"columns": ["id", "v"]}',
        '{"when": "v is null"}',
        '{"topic": "x.{v}"}',
        '{"eligible_authid": "v"}',
    ):
        database.execute(
            "alter event trigger wamp_ddl_command_end disable",
            "drop table if exists item",
            "create table item (id int primary key, v text)",
            f"select wamp.watch('item', '{options}')",
            "alter table item drop column v",
        )
        [problem] = await stale(database)
        assert '"v"' in problem
        assert problem.endswith("select wamp.watch('public.item', ...)")
    database.execute("select wamp.watch('item')")
    assert await stale(database) == []


async def test_a_partition_without_triggers_is_found_and_cured(
    database: Database, make_settings: Callable[..., Settings]
) -> None:
    database.execute(
        *WITHOUT_TRIGGERS,
        "create table stock (id int primary key) partition by range (id)",
        "create table stock_1 partition of stock for values from (0) to (10)",
        "select wamp.watch('stock')",
        "create table stock_2 partition of stock for values from (10) to (20)",
    )
    problem = (
        "public.stock is watched, but its partition public.stock_2 is not: "
        "select wamp.refresh('public.stock')"
    )
    findings = await check_all(make_settings())
    assert ("events", problem, "wrong") in findings
    database.execute("select wamp.refresh('public.stock')")
    assert await stale(database) == []
