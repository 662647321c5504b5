"""Objects that a stranger has made in public: nothing of them runs when an administrator works."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import closing

import pytest
from psycopg2.extensions import connection as Connection
from typer.testing import CliRunner

from pgwamp import logs, migrations
from pgwamp.cli.app import app
from tests.hostile_database import HOSTILE

from .conftest import GUEST, Database, Server, connect, query

TABLES = (
    "create schema shop",
    "create table shop.item (id int primary key, v text)",
    "create table shop.parts (id int primary key) partition by range (id)",
    "create table shop.parts_1 partition of shop.parts for values from (0) to (9)",
)


@pytest.fixture
def administrator_of(
    empty_database: Database, server: Server, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Connection]:
    """A superuser's connection to a database in which a stranger made what they could."""
    # Commands run in this process, whose log belongs to all tests.
    monkeypatch.setattr(logs, "configure", lambda settings: None)
    with closing(connect(server.url(empty_database.name))) as administrator:
        query(administrator, f"grant create on schema public to {GUEST}")
        for statement in TABLES:
            query(administrator, statement)
        guest = empty_database.connect(GUEST)
        for statement in HOSTILE:
            query(guest, statement)
        # As it may be for an application, and worse than the default, which begins with pg_catalog.
        name = empty_database.name
        query(administrator, f"alter database {name} set search_path = public, pg_catalog")
        yield administrator


def pgwamp(url: str, *arguments: str) -> str:
    """The output of a command as an administrator types it."""
    environment = {
        "DATABASE_URL": url,
        "PGWAMP_EXPOSE__SCHEMAS": '["shop"]',
        "PGWAMP_EXPOSE__SEARCH_PATH": '["public", "pg_catalog"]',
        "PGWAMP_EXPOSE__PREFIX": "com.example",
        "PGWAMP_ROUTER__URL": "ws://127.0.0.1:1/ws",
    }
    result = CliRunner(env=environment).invoke(app, arguments)
    assert result.exit_code == 0 or arguments[0] == "check", (arguments, result.output)
    return result.output


def test_nothing_of_a_stranger_runs_as_the_administrator(
    administrator_of: Connection, empty_database: Database, server: Server
) -> None:
    url = server.url(empty_database.name)
    for arguments in (
        ("db", "upgrade"),
        ("db", "current"),
        ("db", "history"),
        ("watch", "add", "item", "shop.parts", "--old", "full"),
        ("watch", "add", "item", "--when", "v is not null", "--topic", "x.{op}.{v}"),
        ("watch", "list"),
        ("check",),
        ("db", "upgrade"),
    ):
        pgwamp(url, *arguments)
    plain = empty_database.connect("postgres")
    for statement in (
        "select wamp.unwatch('shop.parts')",
        "select wamp.watch('shop.parts')",
        "select wamp.refresh('shop.parts')",
        "alter table shop.item add column n pg_catalog.int4",
        "create table shop.parts_2 partition of shop.parts for values from (10) to (19)",
        "insert into shop.item values (1, 'a')",
        "update shop.item set n = 2",
        "select wamp.publish('com.example.hello', '[1]')",
        "select wamp.evaluate('select 1', '[]')",
        "select wamp.forget('shop.parts')",
        "select * from wamp.backlog()",
        "select * from wamp.watched",
    ):
        query(plain, statement)
    listed = json.loads(pgwamp(url, "watch", "list", "--json"))
    assert [row["table"] for row in listed] == ["item", "parts"]
    # No operator here: it would be one of theirs.
    assert {op for (op,) in query(plain, "select op from wamp.raw")} == {*"wlxiupf"}
    for arguments in (("watch", "remove", "item", "parts"), ("db", "downgrade", "base")):
        pgwamp(url, *arguments)

    assert query(plain, "select * from public.touched") == []


def test_the_objects_would_be_used_under_the_search_path_of_the_database(
    administrator_of: Connection, empty_database: Database
) -> None:
    """They are worth the test above."""
    plain = empty_database.connect("postgres")
    query(plain, "select count(*) from pg_catalog.pg_class where relname = 'x'::pg_catalog.name")
    query(plain, "select pg_get_userbyid(10::pg_catalog.oid)")

    assert {what for _, what in query(plain, "select * from public.touched")} >= {
        "name = name",
        "pg_get_userbyid",
    }


def test_migrating_down_and_up_uses_nothing_of_a_stranger(
    administrator_of: Connection, empty_database: Database, server: Server
) -> None:
    url = server.url(empty_database.name)
    migrations.upgrade(url)
    migrations.downgrade(url, "base")
    migrations.upgrade(url)

    assert migrations.current(url) == migrations.head()
    assert query(administrator_of, "select * from public.touched") == []


def test_an_old_schema_is_replaced_with_nothing_of_a_stranger(
    administrator_of: Connection, empty_database: Database, server: Server
) -> None:
    for statement in OLD_SCHEMA:
        query(administrator_of, statement)
    lines: list[str] = []
    migrations.upgrade(server.url(empty_database.name), replaced=lines.append)

    assert len(lines) == 1
    assert query(administrator_of, "select * from public.touched") == []


#: As much of it as its replacement reads.
OLD_SCHEMA = (
    "create schema wamp",
    "create table wamp.alembic_version (version_num pg_catalog.varchar(32))",
    "insert into wamp.alembic_version values ('0010')",
    "create view wamp.watched as select pg_catalog.to_regclass('shop.item') as relation, "
    "'{id}'::pg_catalog.text[] as key_columns, '{\"old\": \"full\"}'::pg_catalog.jsonb as options",
)
