"""What pgwamp check says of watched tables that have changed behind the back of their capture."""

from __future__ import annotations

from collections.abc import Callable

import asyncpg
import pytest

from pgwamp.checks import Finding, addresses, check_all
from pgwamp.checks.captures import stale_captures
from pgwamp.eventlog.evaluator import Evaluator
from pgwamp.settings import Settings
from tests.conftest import Database

WITHOUT_TRIGGERS = (
    "alter event trigger wamp_sql_drop disable",
    "alter event trigger wamp_ddl_command_end disable",
)


async def stale(database: Database) -> list[str]:
    connection = await database.connect()
    evaluator = Evaluator(database.url)
    try:
        await connection.execute("set search_path = pg_catalog, pg_temp")
        return await stale_captures(connection, evaluator.failure)
    finally:
        evaluator.close()
        await connection.close()


async def test_tables_that_fit_their_capture_are_no_finding(database: Database) -> None:
    database.execute(
        *WITHOUT_TRIGGERS,
        'create table "Or\'der" (id int primary key, v text)',
        """select wamp.watch('"Or''der"', '{"when": "v <> ''x'' -- no\\n", "topic": "x.{v}"}')""",
        "create table log (n int)",
        "alter table log replica identity full",
        """select wamp.watch('log', '{"old": "full"}')""",
        "create table stock (id int primary key) partition by range (id)",
        "create table stock_1 partition of stock for values from (0) to (10)",
        "select wamp.watch('stock')",
    )
    assert await stale(database) == []


@pytest.mark.parametrize("partitions", ["", "create table b partition of a default"])
@pytest.mark.parametrize("cure", ["wamp.watch", "wamp.unwatch"])
async def test_triggers_of_a_table_that_nobody_watches_are_found_and_cured(
    database: Database, partitions: str, cure: str
) -> None:
    database.execute(
        f"create table a (id int primary key) {'partition by range (id)' if partitions else ''}",
        *([partitions] if partitions else ()),
        "select wamp.watch('a')",
        # As in a copy without data.
        "delete from wamp.watch",
    )
    (found,) = await stale(database)
    assert found.startswith("public.a is not watched, but has the triggers of watched tables")
    assert f"select {cure}('public.a')" in found
    database.execute(f"select {cure}('public.a')")
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
        'public."Or\'der" is watched, but its columns, their types or its key have changed since: '
        + cure
    ]
    database.execute(cure)
    assert await stale(database) == []


async def test_a_table_without_a_key_whose_whole_rows_are_no_identity_any_more_is_cured(
    database: Database,
) -> None:
    database.execute(
        "create table log (n int)",
        "alter table log replica identity full",
        """select wamp.watch('log', '{"old": "full"}')""",
        "alter table log replica identity default",
    )
    cure = "ALTER TABLE public.log REPLICA IDENTITY FULL"
    assert await stale(database) == [f"public.log is watched, but it has no key any more: {cure}"]
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
            *WITHOUT_TRIGGERS,
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
    assert Finding("events", problem) in findings
    database.execute("select wamp.refresh('public.stock')")
    assert await stale(database) == []


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (
            "alter table item disable trigger all",
            "the trigger wamp_delete of public.item is disabled",
        ),
        (
            "alter table item enable replica trigger wamp_update",
            "the trigger wamp_update of public.item is disabled",
        ),
        ("drop trigger wamp_truncate on item", "it lacks the trigger wamp_truncate"),
        ("alter table item add unique (pair) deferrable", "it lacks the trigger wamp_end"),
        (
            "alter table item add unique (pair) deferrable; select wamp.refresh('item');"
            "alter table item disable trigger wamp_end",
            "the trigger wamp_end of public.item is disabled",
        ),
        (
            "alter table item add column n int",
            "its columns, their types or its key have changed since",
        ),
        (
            "alter type pair add attribute c int",
            "its columns, their types or its key have changed since",
        ),
        (
            "alter table stock_1 disable trigger user",
            "the trigger wamp_delete of public.stock_1 is disabled",
        ),
    ],
)
async def test_what_refresh_cures_is_found_and_cured(
    database: Database, change: str, said: str
) -> None:
    database.execute(
        *WITHOUT_TRIGGERS,
        "create type pair as (a int, b text)",
        "create table item (id int primary key, pair pair)",
        "select wamp.watch('item')",
        "create table stock (id int primary key) partition by range (id)",
        "create table stock_1 partition of stock for values from (0) to (10)",
        "select wamp.watch('stock')",
        change,
    )
    [problem] = await stale(database)
    assert f"is watched, but {said}: select wamp.refresh('public." in problem
    database.execute(problem.rpartition(": ")[2])
    assert await stale(database) == []


async def test_a_table_that_inherits_since_is_found(database: Database) -> None:
    database.execute(
        "create table item (id int primary key)",
        "select wamp.watch('item')",
        "create table more (n int) inherits (item)",
    )
    [problem] = await stale(database)
    assert problem == (
        "public.item is watched, but public.more inherits from public.item, and a write to one of "
        "them can change rows of the other unseen: ALTER TABLE public.more NO INHERIT public.item, "
        "or select wamp.unwatch('public.item')"
    )
    database.execute("alter table public.more no inherit public.item")
    assert await stale(database) == []


async def test_a_table_that_is_unlogged_since_is_found(database: Database) -> None:
    database.execute(
        "create table item (id int primary key)",
        "select wamp.watch('item')",
        "alter table item set unlogged",
    )
    [problem] = await stale(database)
    assert problem == (
        "public.item is watched, but public.item is unlogged, and a crash would empty it untold: "
        "ALTER TABLE public.item SET LOGGED"
    )
    database.execute(problem.rpartition(": ")[2])
    assert await stale(database) == []


async def test_a_table_that_became_a_partition_is_found(database: Database) -> None:
    database.execute(
        "create table stock (id int primary key) partition by range (id)",
        "create table stock_1 (id int primary key)",
        "select wamp.watch('stock_1')",
        "alter table stock attach partition stock_1 for values from (0) to (10)",
    )
    [problem] = await stale(database)
    assert problem == (
        "public.stock_1 is watched, but it is a partition of public.stock now: "
        "watch the whole table: select wamp.watch('public.stock')"
    )
    database.execute("select wamp.watch('public.stock')")
    assert await stale(database) == []


async def test_a_table_without_a_key_any_more_is_found(database: Database) -> None:
    database.execute(
        "create table item (id int primary key)",
        "select wamp.watch('item')",
        "alter table item drop constraint item_pkey",
    )
    [problem] = await stale(database)
    assert problem.endswith("add a primary key, then select wamp.refresh('public.item')")
    database.execute("alter table item add primary key (id)", "select wamp.refresh('public.item')")
    assert await stale(database) == []


@pytest.mark.parametrize("condition", ["public.shown(1)", "p = '(1)'::public.pair"])
async def test_a_condition_is_looked_at_as_a_role_without_rights(
    database: Database, condition: str
) -> None:
    """Its functions can be replaced by others, and check may run as a superuser."""
    literal = condition.replace("'", "''")
    database.execute(
        "create function shown(n int) returns bool language sql immutable as 'select n > 0'",
        "create domain number as int check (public.shown(value))",
        "create type pair as (n number)",
        "create table item (id int primary key, p pair)",
        f"""select wamp.watch('item', '{{"when": "{literal}"}}')""",
        "create or replace function shown(n int) returns bool language plpgsql immutable "
        "as $$ begin perform set_config('role', 'none', false); "
        "raise exception 'ran as %', current_user; "
        "end $$",
    )
    [problem] = await stale(database)
    assert "its condition cannot be evaluated: ran as" not in problem
    assert 'cannot set parameter "role"' in problem


async def test_a_condition_that_ends_its_session_is_found(database: Database) -> None:
    database.execute(
        "create function shown(n int) returns bool language sql immutable as 'select n > 0'",
        "create table item (id int primary key)",
        """select wamp.watch('item', '{"when": "public.shown(1)"}')""",
        "create table other (id int primary key)",
        """select wamp.watch('other', '{"when": "id > 0"}')""",
        "create or replace function shown(n int) returns bool language plpgsql immutable "
        "as $$ begin perform pg_terminate_backend(pg_backend_pid()); return true; end $$",
    )
    [problem] = await stale(database)
    assert problem.startswith("public.item is watched, but its condition cannot be evaluated")


async def test_a_right_that_a_condition_lacks_is_named(database: Database) -> None:
    database.execute(
        "create schema app; create type app.mood as enum ('ok')",
        "grant usage on schema app to pgwamp_evaluator",
        "create table item (id int primary key, m app.mood)",
        """select wamp.watch('item', '{"when": "m is not null"}')""",
        "revoke usage on schema app from pgwamp_evaluator",
    )
    assert await stale(database) == [
        "public.item is watched, but its condition cannot be evaluated: permission denied for "
        "schema app: grant it to pgwamp_evaluator, as which conditions are evaluated"
    ]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ("drop owned by pgwamp_evaluator", "is missing"),
        ("alter function wamp.evaluate(text, json) security invoker", "has been altered"),
        (
            "alter function wamp.evaluate(text, json) set timezone = 'Asia/Tokyo'",
            "has been altered",
        ),
    ],
)
async def test_without_the_function_of_conditions_all_else_is_checked(
    database: Database, make_settings: Callable[..., Settings], change: str, said: str
) -> None:
    database.execute(
        "create table item (id int primary key)",
        """select wamp.watch('item', '{"when": "id > 0"}')""",
        change,
        "alter table item disable trigger wamp_insert",
    )
    [problem] = await stale(database)
    assert "the trigger wamp_insert of public.item is disabled" in problem
    [finding] = [f for f in await check_all(make_settings()) if "wamp.evaluate" in f.problem]
    assert f"the function wamp.evaluate {said}" in finding.problem
    assert "run 'pgwamp db upgrade' once as a superuser" in finding.problem
    assert finding.level == "wrong"
    database.execute("alter table item enable trigger wamp_insert")
    assert await stale(database) == []


@pytest.mark.parametrize("has_virtual", [True, False])
async def test_the_function_is_missed_where_columns_are_virtual(
    database: Database, make_settings: Callable[..., Settings], has_virtual: bool
) -> None:
    connection = await database.connect()
    version = connection.get_server_version()
    await connection.close()
    if has_virtual and version.major < 18:
        pytest.skip("virtual columns exist from PostgreSQL 18")
    kind = "generated always as (1) virtual" if has_virtual else ""
    database.execute(
        f"create table item (id int primary key, n int {kind})",
        "select wamp.watch('item')",
        "drop owned by pgwamp_evaluator",
    )
    found = [f.problem for f in await check_all(make_settings()) if "wamp.evaluate" in f.problem]
    assert len(found) == has_virtual
    assert all(line.startswith("the function wamp.evaluate is missing") for line in found)


async def test_a_watch_that_needs_the_missing_function_says_so(database: Database) -> None:
    connection = await database.connect()
    try:
        await connection.execute("create table item (id int primary key)")
        await connection.execute("drop owned by pgwamp_evaluator")
        with pytest.raises(asyncpg.ObjectNotInPrerequisiteStateError) as caught:
            await connection.execute("""select wamp.watch('item', '{"when": "id > 0"}')""")
        assert "wamp.evaluate is missing, which evaluates" in str(caught.value)
        assert caught.value.hint == "As a superuser run: pgwamp db upgrade"
    finally:
        await connection.close()


async def test_a_type_with_another_name_is_no_finding(database: Database) -> None:
    database.execute(
        "create schema app; create type app.mood as enum ('ok'); create domain app.code as text",
        "create type app.pair as (m app.mood, c app.code)",
        "create table item (id int primary key, m app.mood, p app.pair[])",
        """select wamp.watch('item', '{"when": "id > 0"}')""",
        "alter type app.mood rename to humor; alter domain app.code rename to word",
        "alter type app.pair rename to two; alter schema app rename to own",
    )
    assert await stale(database) == []


@pytest.mark.parametrize(
    ("condition", "change", "said"),
    [
        (
            "s = 'a'::public.mine",
            "alter table item alter s type text; drop type mine",
            "public.mine",
        ),
        ("s is not null", "alter table item drop s cascade", '"s"'),
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
    monkeypatch.setattr(addresses, "LONGEST_LOCK", "100ms")
    owner = await database.connect()
    if owner.get_server_version().major < 18:
        pytest.skip("virtual columns exist from PostgreSQL 18")
    database.execute(
        *WITHOUT_TRIGGERS,
        # To write out an expression PostgreSQL locks its table.
        "create table item (id int primary key, n int generated always as (id) virtual)",
        """select wamp.watch('item', '{"when": "id > 0"}')""",
        "create table other (id int primary key)",
        "select wamp.watch('other')",
        "alter table other rename id to number",
    )
    async with owner.transaction():
        await owner.execute("lock table item in access exclusive mode")
        found = await check_all(make_settings())
    await owner.close()
    problems = [f.problem for f in found if "is watched, but" in f.problem]
    assert problems[0].startswith("public.item is watched, but another session keeps it locked")
    assert problems[1].startswith("public.other is watched, but its columns")


async def test_a_locked_partition_hides_no_finding(
    database: Database, make_settings: Callable[..., Settings], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(addresses, "LONGEST_LOCK", "100ms")
    database.execute(
        *WITHOUT_TRIGGERS,
        "create table item (id int primary key) partition by list (id)",
        "create table part partition of item default",
        "select wamp.watch('item')",
        "create table other (id int primary key)",
        "select wamp.watch('other')",
        "alter table item rename id to number",
        "alter table other rename id to number",
    )
    owner = await database.connect()
    async with owner.transaction():
        await owner.execute("lock table part in access exclusive mode")
        found = await check_all(make_settings())
    await owner.close()
    problems = [f.problem for f in found if "is watched, but its columns" in f.problem]
    assert [problem.split(" ")[0] for problem in problems] == ["public.item", "public.other"]


async def test_an_error_in_one_part_of_the_check_is_a_finding_of_that_part(
    database: Database, make_settings: Callable[..., Settings]
) -> None:
    database.execute(
        "alter table wamp.publication rename column published_at to moved",
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
    monkeypatch.setattr(addresses, "LONGEST_LOCK", "100ms")
    owner = await database.connect()
    async with owner.transaction():
        await owner.execute("lock table wamp.alembic_version in access exclusive mode")
        found = await check_all(make_settings())
    await owner.close()
    [finding] = [f for f in found if f.part == "schema"]
    assert finding.problem.startswith("the check waited too long for a lock")
