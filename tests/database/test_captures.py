"""What pgwamp check says of watched tables that have changed behind the back of their capture."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from pgwamp import check
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


@pytest.mark.parametrize(
    ("condition", "change", "said"),
    [
        (
            "s = 'a'::public.mine",
            "alter table item alter s type text; drop type mine",
            "public.mine",
        ),
        ("s::text = 'open'", "alter table item drop s cascade", '"s"'),
        ("s = 'a'", "alter table item alter s type int using 1", '"a"'),
        ("n + 1 > 0", "alter table item alter n type json using null", "json + integer"),
    ],
)
async def test_a_condition_that_its_table_no_longer_allows_is_found(
    database: Database,
    make_settings: Callable[..., Settings],
    condition: str,
    change: str,
    said: str,
) -> None:
    literal = condition.replace("'", "''")
    database.execute(
        "create type mine as enum ('a')",
        "create table item (id int primary key, s mine, n int)",
        "create table other (id int primary key)",
        f"""select wamp.watch('item', '{{"when": "{literal}"}}')""",
        "select wamp.watch('other')",
        *WITHOUT_TRIGGERS,
        change,
        "alter table other rename id to number",
    )
    found = [f.problem for f in await check_all(make_settings()) if "is watched, but" in f.problem]
    assert [problem.partition(" ")[0] for problem in found] == ["public.item", "public.other"]
    assert said in found[0]
    assert found[0].endswith(
        "watch it again with other options: select wamp.watch('public.item', ...)"
    )


async def test_a_locked_table_is_named_and_all_others_are_looked_at(
    database: Database, make_settings: Callable[..., Settings], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(check, "LONGEST_LOCK", "100ms")
    database.execute(
        *WITHOUT_TRIGGERS,
        "create table item (id int primary key)",
        """select wamp.watch('item', '{"when": "id > 0"}')""",
        "create table other (id int primary key)",
        "select wamp.watch('other')",
        "alter table other rename id to number",
    )
    owner = await database.connect()
    async with owner.transaction():
        await owner.execute("lock table item in access exclusive mode")
        found = await check_all(make_settings())
    await owner.close()
    problems = [f.problem for f in found if "is watched, but" in f.problem]
    assert problems[0].startswith("public.item is watched, but another session keeps it locked")
    assert problems[1].startswith("public.other is watched, but its key")


async def test_an_error_in_one_part_of_the_check_is_a_finding_of_that_part(
    database: Database, make_settings: Callable[..., Settings]
) -> None:
    database.execute(
        "alter table wamp.publisher rename column published_at to moved",
        "create table item (id int primary key)",
        "alter table item enable row level security",
        "select wamp.watch('item')",
    )
    found = await check_all(make_settings())
    [broken] = [f for f in found if f.problem.startswith("it cannot be checked")]
    assert broken.part == "events"
    assert "published_at" in broken.problem
    assert any("row level security" in f.problem for f in found)


async def test_a_locked_table_of_wamp_is_no_end_of_the_check(
    database: Database, make_settings: Callable[..., Settings], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(check, "LONGEST_LOCK", "100ms")
    owner = await database.connect()
    async with owner.transaction():
        await owner.execute("lock table wamp.alembic_version in access exclusive mode")
        found = await check_all(make_settings())
    await owner.close()
    [finding] = [f for f in found if f.part == "schema"]
    assert finding.problem.startswith("another session keeps locked what is to be checked")
