"""Objects of strangers that depend on what the schema wamp has.

PostgreSQL asks for few privileges when an object comes to depend on another.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable

import asyncpg
import psycopg2
import pytest
from psycopg2.extensions import connection as Connection

from pgwamp import migrations
from pgwamp.dependents import MOST_LINES, dependents_of_strangers
from pgwamp.errors import StartError

from .conftest import GUEST, Database, query


@pytest.fixture
def watched(wamp_database: Database) -> Database:
    """A database with two watched tables, and a third one."""
    for name in ("a", "b", "c"):
        wamp_database.query(f"create table {name} (id int primary key)")
    for name in ("a", "b"):
        wamp_database.query("select wamp.watch(%s)", name)
    return wamp_database


@pytest.fixture
def guest(watched: Database) -> Connection:
    """A session of a role with CONNECT, TEMP, a schema of its own and USAGE on wamp."""
    watched.query("create schema theirs")
    watched.query(f"grant usage on schema wamp to {GUEST}")
    watched.query(f"grant usage, create on schema theirs to {GUEST}")
    return watched.connect(GUEST)


def refusal(call: Callable[..., object], *arguments: object) -> str:
    """The one line of the refusal."""
    with pytest.raises(StartError) as caught:
        call(*arguments)
    line = str(caught.value)
    assert "\n" not in line
    return line


async def found(database: Database) -> list[str]:
    """The lines of ``pgwamp check`` about dependents."""
    connection = await asyncpg.connect(database.url)
    try:
        await connection.execute("set search_path = pg_catalog, pg_temp")
        return await dependents_of_strangers(connection)
    finally:
        await connection.close()


@pytest.mark.parametrize("view", ["pg_temp.kept", "theirs.kept"])
def test_a_view_on_the_capture_keeps_no_table_from_being_watched_or_unwatched(
    watched: Database, guest: Connection, view: str
) -> None:
    query(guest, f"create view {view} as select 1 as one where wamp.capture() is null")
    watched.query("select wamp.unwatch('a')")
    watched.query("drop table b")
    watched.query("select wamp.watch('c')")
    for table in ("a", "c"):
        watched.query(f"insert into {table} values (1)")
    assert watched.changes() == [("i", None, "(1)")]
    watched.query("select wamp.unwatch('c')")
    assert watched.query("select from wamp.watched") == []


@pytest.mark.parametrize(
    ("made", "named", "cure"),
    [
        ("temp view v as select from wamp.component", "view pg_temp_", "session"),
        ("view theirs.v as select 1 as x from wamp.component", "view theirs.v", "drop it"),
        ('view theirs."v\n" as select from wamp.component', r'view theirs."v\n"', "drop it"),
        (
            "temp view v as select (null::wamp.component) is null as x",
            "view pg_temp_",
            "session",
        ),
        (
            "function theirs.f() returns bool language sql begin atomic "
            "select exists (select from wamp.component); end",
            "function theirs.f()",
            "drop it",
        ),
    ],
)
def test_a_migration_that_a_dependent_refuses_names_it_and_its_owner(
    watched: Database, guest: Connection, made: str, named: str, cure: str
) -> None:
    query(guest, "create table theirs.innocent (id bigint default nextval('wamp.signal'))")
    query(guest, f"create {made}")
    line = refusal(migrations.downgrade, watched.url, "base")
    assert line.startswith(f"the migration was undone: the {named}")
    assert f'of role "{GUEST}" depends on the table wamp.component, so' in line
    assert cure in line
    assert "innocent" not in line
    assert migrations.current(watched.url) == migrations.head()


def test_a_temporary_dependent_refuses_no_migration_when_its_session_has_ended(
    watched: Database, guest: Connection
) -> None:
    query(guest, "create temp view v as select from wamp.component")
    refusal(migrations.downgrade, watched.url, "base")
    pid = guest.info.backend_pid
    guest.close()
    deadline = time.monotonic() + 30
    while watched.query("select from pg_stat_activity where pid = %s", pid):
        assert time.monotonic() < deadline
    migrations.downgrade(watched.url, "base")
    migrations.upgrade(watched.url)


def test_very_many_dependents_are_counted(watched: Database, guest: Connection) -> None:
    for number in range(5):
        query(guest, f"create view theirs.v{number} as select from wamp.component")
    line = refusal(migrations.downgrade, watched.url, "base")
    assert "view theirs.v2" in line
    assert "view theirs.v3" not in line
    assert line.endswith("; and 2 more")


@pytest.mark.parametrize("element", ["", "[]"])
@pytest.mark.parametrize("relation", ["raw", "log", "log_0", "watch", "watched", "alembic_version"])
def test_nobody_makes_a_column_of_a_row_type_of_wamp(
    watched: Database, guest: Connection, relation: str, element: str
) -> None:
    with pytest.raises(psycopg2.errors.InsufficientPrivilege):
        query(guest, f"create temp table t (x wamp.{relation}{element})")


def test_a_column_of_a_row_type_from_before_is_named(watched: Database, guest: Connection) -> None:
    watched.query("grant usage on type wamp.component to public")
    query(guest, "create temp table t (x wamp.component)")
    line = refusal(migrations.downgrade, watched.url, "base")
    assert line.startswith("the migration was undone: the table pg_temp_")
    assert f'of role "{GUEST}" depends on the table wamp.component' in line


async def test_check_names_the_dependents_of_strangers(
    watched: Database, guest: Connection
) -> None:
    assert await found(watched) == []
    for statement in (
        "create temp view kept as select 1 as one where wamp.capture() is null",
        "create table theirs.t (id bigint default nextval('wamp.signal'))",
        "create table theirs.u (id text constraint short check (wamp.require_topic(id) is null))",
        "create domain theirs.d as text check (wamp.require_topic(value) is null)",
        "create function theirs.f() returns void language sql "
        "begin atomic select wamp.publish('a.b'); end",
    ):
        query(guest, statement)
    lines = [re.sub(r"pg_temp_\d+", "pg_temp", line) for line in await found(watched)]
    depends = f'of role "{GUEST}" depends on the'
    assert [line.partition(", so that")[0] for line in lines] == [
        f"the function theirs.f() {depends} function wamp.publish(text,jsonb,jsonb,jsonb)",
        f"the table theirs.t {depends} sequence wamp.signal",
        f"the table theirs.u {depends} function wamp.require_topic(text)",
        f"the type theirs.d {depends} function wamp.require_topic(text)",
        f"the view pg_temp.kept {depends} function wamp.capture()",
    ]


async def test_check_counts_very_many_dependents(watched: Database, guest: Connection) -> None:
    for number in range(MOST_LINES + 5):
        query(guest, f"create temp view v{number} as select from wamp.watched")
    lines = await found(watched)
    assert len(lines) == MOST_LINES + 1
    assert lines[-1] == "and 5 more that depend on wamp"


async def test_check_names_no_use_that_is_allowed(watched: Database, guest: Connection) -> None:
    watched.query("select wamp.allow_publish('com.example', '{}', %s)", [GUEST])
    query(
        guest,
        "create function theirs.f() returns void language sql "
        "begin atomic select wamp.publish('a.b'); end",
    )
    watched.query("create view listed as select * from wamp.watched")
    assert await found(watched) == []
