"""The event triggers of hot reload: who gets them, what they tell of, and that they harm nobody."""

from __future__ import annotations

import select
from contextlib import closing

import psycopg2
import pytest

from pgwamp import migrations

from .conftest import GUEST, OWNER, Database, Server, connect, query

TRIGGERS = "select evtname::text from pg_event_trigger order by 1"
BOTH = [("wamp_ddl_command_end",), ("wamp_sql_drop",)]
FUNCTION = "select proowner::regrole::text from pg_proc where proname = 'ddl_changed'"


@pytest.fixture
def followed(wamp_database: Database, server: Server) -> Database:
    """A database of an ordinary role that a superuser has upgraded once."""
    migrations.upgrade(server.url(wamp_database.name))
    return wamp_database


def notifications(database: Database, *statements: str, seconds: float = 5) -> list[str]:
    """What a listener hears of the statements, each a transaction, then of a farewell."""
    listener = database.connect()
    query(listener, "listen pgwamp")
    for statement in statements:
        database.query(statement)
    database.query("notify pgwamp, 'farewell'")
    heard: list[str] = []
    while "farewell" not in heard:
        assert select.select([listener], [], [], seconds)[0], heard
        listener.poll()
        heard += [notification.payload for notification in listener.notifies]
        listener.notifies.clear()
    return heard[:-1]


# --- who gets them ------------------------------------------------------------------------------


def test_a_superuser_gets_them_with_the_schema(empty_database: Database, server: Server) -> None:
    migrations.upgrade(server.url(empty_database.name))

    assert empty_database.query(TRIGGERS) == BOTH


def test_an_ordinary_role_does_without(empty_database: Database) -> None:
    migrations.upgrade(empty_database.url)
    migrations.upgrade(empty_database.url)

    assert empty_database.query(TRIGGERS) == []
    assert empty_database.query(FUNCTION) == []
    assert notifications(empty_database, "create table item (id int)") == []


def test_an_upgrade_as_a_superuser_brings_them_later(followed: Database) -> None:
    assert followed.query(TRIGGERS) == BOTH
    assert notifications(followed, "create table item (id int)") == ["reload"]
    # Harmless for the role that owns the rest.
    migrations.upgrade(followed.url)
    assert followed.query(TRIGGERS) == BOTH


def test_a_trigger_that_was_turned_off_stays_off(followed: Database, server: Server) -> None:
    with closing(connect(server.url(followed.name))) as administrator:
        query(administrator, "alter event trigger wamp_sql_drop disable")
    migrations.upgrade(server.url(followed.name))

    state = "select evtenabled::text from pg_event_trigger where evtname = 'wamp_sql_drop'"
    assert followed.value(state) == "D"


def test_a_schema_that_begins_anew_gets_the_triggers_of_one_that_was_renamed(
    followed: Database, server: Server
) -> None:
    followed.query("alter schema wamp rename to wamp_old")
    migrations.upgrade(followed.url)
    # Nothing tells of DDL yet.
    body = "select prosrc from pg_proc where oid = 'wamp.capture()'::regprocedure"
    assert "its_stamp constant integer := case" in followed.value(body)
    migrations.upgrade(server.url(followed.name))

    run = "select distinct evtfoid = 'wamp.ddl_changed()'::regprocedure from pg_event_trigger"
    assert followed.query(TRIGGERS) == BOTH
    assert followed.query(run) == [(True,)]
    assert migrations.current(followed.url) == migrations.head()
    assert "its_stamp constant integer := null" in followed.value(body)


def test_the_owner_of_the_schema_cannot_change_what_superusers_run(followed: Database) -> None:
    assert followed.value(FUNCTION) == "postgres"
    for statement in (
        "create or replace function wamp.ddl_changed() returns event_trigger "
        "language plpgsql as 'begin end'",
        f"alter function wamp.ddl_changed() owner to {OWNER}",
        "alter function wamp.ddl_changed() set search_path = public",
    ):
        with pytest.raises(psycopg2.errors.InsufficientPrivilege):
            followed.query(statement)


def test_a_superuser_replaces_what_the_owner_had_made(
    wamp_database: Database, server: Server
) -> None:
    wamp_database.query(
        "create function wamp.ddl_changed() returns event_trigger language plpgsql "
        "as 'begin raise exception $$no$$; end'"
    )
    migrations.upgrade(server.url(wamp_database.name))

    assert wamp_database.value(FUNCTION) == "postgres"
    assert notifications(wamp_database, "create table item (id int)") == ["reload"]


def test_the_owner_can_downgrade_and_drop_the_schema(followed: Database) -> None:
    migrations.downgrade(followed.url, "base")
    assert followed.query(TRIGGERS) == []
    assert followed.query(FUNCTION) == []
    followed.query("create table item (id int)")


def test_dropping_the_schema_takes_them_along(followed: Database) -> None:
    followed.query("drop schema wamp cascade")

    assert followed.query(TRIGGERS) == []
    followed.query("create table item (id int)")


# --- what they tell of --------------------------------------------------------------------------


@pytest.mark.parametrize(
    "statement",
    [
        "create table made (id int)",
        "create table made as select 1 as id",
        "alter table item add column more int",
        "alter table item drop column name",
        "alter table item rename to things",
        "drop table item",
        "create unique index on item (name)",
        "create view item_names as select name from item",
        "create function twice(int) returns int language sql as 'select $1 * 2'",
        "drop function once(int)",
        "create type colour as enum ('red')",
        "create schema more",
        "comment on table item is 'things'",
        "comment on column item.name is 'what it is called'",
        f"grant select on item to {GUEST}",
        f"revoke select on item from {GUEST}",
        "select wamp.watch('item')",
    ],
)
def test_a_statement_that_changes_the_api_is_told_of(followed: Database, statement: str) -> None:
    followed.query("create table item (id int primary key, name text)")
    followed.query("create function once(int) returns int language sql as 'select $1'")

    assert notifications(followed, statement) == ["reload"]


@pytest.mark.parametrize(
    "statement",
    [
        "create temp table made (id serial primary key)",
        "create temp table made as select 1 as id",
        "create temp view made as select 1 as id",
        "do 'begin create temp table made (id int unique); drop table made; end'",
        "do 'begin create temp table made (word text); drop table made; end'",
        "create temp table made (id int) on commit drop",
        "refresh materialized view totals",
        "reindex table item",
        "truncate item",
        "analyze item",
        "insert into item values (1)",
        "truncate wamp.raw_1",
        "alter table wamp.log_0 set (fillfactor = 90)",
        "create table wamp.scratch (id int)",
        "drop table wamp.rest",
    ],
)
def test_what_does_not_change_it_is_passed_over(followed: Database, statement: str) -> None:
    followed.query("create table item (id int primary key)")
    followed.query("create materialized view totals as select count(*) from item")
    followed.query("create table wamp.rest (id int)")

    assert notifications(followed, statement) == []


def test_a_transaction_tells_once_and_only_if_it_commits(followed: Database) -> None:
    many = "; ".join(f"create table made_{n} (id int)" for n in range(20))
    assert notifications(followed, f"do $$ begin {many}; end $$") == ["reload"]
    undone = "begin create table undone (id int); raise exception 'no'; exception "
    assert notifications(followed, f"do $$ {undone} when others then null; end $$") == []


def test_ddl_of_any_role_works_and_is_told_of(followed: Database) -> None:
    followed.query(f"grant create on schema public to {GUEST}")
    listener = followed.connect()
    query(listener, "listen pgwamp")
    query(followed.connect(GUEST), "create table theirs (id int)")

    assert select.select([listener], [], [], 5)[0]
    listener.poll()
    assert [notification.payload for notification in listener.notifies] == ["reload"]


def test_a_failure_of_theirs_fails_no_ddl(followed: Database, server: Server) -> None:
    followed.query("create table item (id int primary key)")
    followed.query("select wamp.watch('item')")
    followed.query("drop function wamp.layout cascade")
    writer = followed.connect()
    query(writer, "alter table item add column n int")

    assert "changes of public.item come without values until wamp.refresh" in writer.notices[-1]


# --- where there are none -----------------------------------------------------------------------

STAMPED = "select count(*) from wamp.raw where op = 'i' and stamp = wamp.stamp(relation)"


def test_without_them_raw_rows_say_with_which_columns_they_were_written(
    wamp_database: Database, server: Server
) -> None:
    wamp_database.query("create table item (id int primary key)")
    wamp_database.query("select wamp.watch('item')")
    wamp_database.query("insert into item values (1)")
    wamp_database.query("insert into item values (2), (3)")
    assert wamp_database.value(STAMPED) == 3

    # It costs time.
    migrations.upgrade(server.url(wamp_database.name))
    wamp_database.query("insert into item values (4)")
    assert (
        wamp_database.value("select count(*) from wamp.raw where op = 'i' and stamp is null") == 1
    )

    with closing(connect(server.url(wamp_database.name))) as administrator:
        query(administrator, "alter event trigger wamp_ddl_command_end disable")
    migrations.upgrade(wamp_database.url)
    wamp_database.query("insert into item values (5)")
    assert wamp_database.value(STAMPED) == 4


def test_a_locked_partition_of_another_keeps_nobodys_statement(followed: Database) -> None:
    followed.query("create table elsewhere (id int)")
    followed.query("create table parts (id int primary key) partition by list (id)")
    followed.query("create table part partition of parts default")
    followed.query("select wamp.watch('parts')")
    holder = followed.connect(OWNER)
    holder.autocommit = False
    query(holder, "lock table part in access exclusive mode")
    followed.query("set statement_timeout = '10s'")
    followed.query("alter table elsewhere add column n int")
    followed.query("create table further (id int)")
    holder.rollback()


@pytest.mark.parametrize(
    "options", ['{"eligible_authid": "name"}', '{"when": "id > 0 or length(name) > 3"}']
)
def test_a_column_that_options_name_goes_with_no_cascade(followed: Database, options: str) -> None:
    followed.query("create domain who as text")
    followed.query("create table owned (id int primary key, name who)")
    followed.query("select wamp.watch('owned', %s)", options)
    for change in ("drop domain who cascade", "alter table owned rename name to called"):
        with pytest.raises(psycopg2.errors.UndefinedColumn, match='owned has no column "name"'):
            followed.query(change)
    followed.query("create table elsewhere (id int, other who)")
    followed.query("alter table elsewhere add column n int")


def test_code_of_the_owner_runs_only_where_columns_can_be_of_what_is_changed(
    followed: Database, server: Server
) -> None:
    """As docs/security.md says of a superuser and the owner of wamp."""
    followed.query(
        "create or replace function wamp.note_layouts("
        "changed regclass[], altered regclass[], lost regclass[]) returns void "
        "language plpgsql security definer as "
        "'begin perform pg_catalog.set_config(''mark.ran'', ''yes'', false); end'"
    )
    ran = "select current_setting('mark.ran', true)"
    with closing(connect(server.url(followed.name))) as administrator:
        query(administrator, "create table kept (id int); create table open (id int)")
        query(administrator, "revoke usage on type kept from public")
        with pytest.raises(psycopg2.errors.InsufficientPrivilege, match="type kept"):
            followed.query("create table own (of_kept kept)")
        followed.query("create table own (of_open open[])")
        query(administrator, "alter table kept add column more int")
        query(administrator, "alter table kept drop column more")
        query(administrator, "drop table kept")
        assert query(administrator, ran) == [(None,)]
        query(administrator, "alter table open add column more int")
        assert query(administrator, ran) == [("yes",)]
