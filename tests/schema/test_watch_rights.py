"""Rights: who may watch, what it takes to write to a watched table, and what nobody gains by it."""

from __future__ import annotations

import json
import re
import subprocess
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from pathlib import Path

import psycopg2
import pytest
from psycopg2.extensions import connection as Connection

from pgwamp import migrations
from pgwamp.dev import embedded
from tests.hostile_database import HOSTILE
from tests.servers import postgres_bin

from .conftest import GUEST, OWNER, Database, Server, connect, query
from .watching import watch

#: Run as the owner of the schema wamp, each of these would say so.
EVIL = "create table if not exists public.proof as select current_user::text as who"

#: Settings that have a statement tell its client how it is planned, with all constants.
PRINTING = ("debug_print_parse", "debug_print_rewritten", "debug_print_plan")


@pytest.fixture
def item(wamp_database: Database) -> Database:
    """A watched table to which the guest may write, and a schema in which they may do anything."""
    wamp_database.query("create table item (id int primary key, v text)")
    watch(wamp_database, "item", when="v is not null")
    wamp_database.query(f"grant insert, select, update, trigger on item to {GUEST}")
    wamp_database.query(f"grant create on database {wamp_database.name} to {GUEST}")
    wamp_database.query(f"grant create on schema public to {GUEST}")
    return wamp_database


@pytest.fixture
def member(item: Database, administrator: Connection) -> Iterator[Connection]:
    """A connection of the guest while it is a member of the owner of the schema."""
    query(administrator, f"grant {OWNER} to {GUEST}")
    yield item.connect(GUEST)
    query(administrator, f"revoke {OWNER} from {GUEST}")


def test_whoever_may_only_create_triggers_watches_again(
    item: Database, administrator: Connection
) -> None:
    """As a role of its own, which may use all of the schema, and no more of the table."""
    other = f"other_{item.name}"
    query(administrator, f"create role {other} role {OWNER}")
    try:
        item.query(f"grant usage on schema wamp to {other}")
        for kind in ("tables", "sequences", "functions"):
            item.query(f"grant all on all {kind} in schema wamp to {other}")
        item.query(f"grant select, trigger on item to {other}")
        item.query(f"set role {other}")
        watch(item, "item", columns=["id"])
        modes = "select mode from pg_locks where relation = 'item'::regclass"
        item.query("begin")
        watch(item, "item", columns=["id", "v"])
        assert ("ShareRowExclusiveLock",) in item.query(modes)
        item.query("rollback")
        item.query("reset role")
        assert item.value("select options -> 'columns' from wamp.watch") == ["id"]
    finally:
        item.query("reset role")
        item.query(f"drop owned by {other}")
        query(administrator, f"drop role {other}")


def test_a_member_of_the_owner_watches_tables_of_its_own(
    item: Database, member: Connection
) -> None:
    query(member, "create table mine (id int primary key)")
    query(member, "select wamp.watch('mine', '{\"old\": \"none\"}')")
    query(member, "insert into mine values (1)")
    query(member, "update mine set id = 2")
    query(member, "select wamp.refresh('mine')")
    query(member, "truncate mine")

    assert [op for op, *_ in item.changes("public.mine")] == ["i", "u", "t"]
    query(member, "select wamp.unwatch('mine')")
    assert query(member, "select relation_name from wamp.watched") == [("item",)]


@pytest.mark.parametrize(
    "call",
    [
        "wamp.watch('mine')",
        "wamp.watch('item')",
        "wamp.unwatch('item')",
        "wamp.refresh('item')",
        "wamp.forget('item')",
        "wamp.create_triggers('mine')",
        "wamp.note('mine', 'w', '{}')",
        "wamp.note_layouts(array['item'::regclass], '{}', '{}')",
        "wamp.evaluate('select 1', '[]')",
        "wamp.watch_options('mine', '{}')",
    ],
)
def test_a_stranger_neither_watches_nor_changes_a_watch(item: Database, call: str) -> None:
    guest = item.connect(GUEST)
    query(guest, "create table mine (id int primary key)")
    with pytest.raises(psycopg2.errors.InsufficientPrivilege) as caught:
        query(guest, f"select {call}")

    assert "permission denied for schema wamp" in str(caught.value)
    # With the right to publish there is no more.
    item.query("select wamp.allow_publish('com.example', '{}', %s)", [GUEST])
    with pytest.raises(psycopg2.errors.InsufficientPrivilege) as caught:
        query(guest, f"select {call}")

    assert "permission denied for function" in str(caught.value)
    assert caught.value.diag.message_hint is None, "no hint tells how to get the right"
    assert item.query("select options from wamp.watched") == [({"when": "v is not null"},)]


def test_a_stranger_makes_no_trigger_of_the_capture(item: Database) -> None:
    guest = item.connect(GUEST)
    query(guest, "create table mine (id int primary key, v text)")
    forged = (
        "create trigger wamp_insert after insert on mine referencing new table as new_rows "
        "for each statement execute function {}()"
    )
    item.query(f"grant usage on schema wamp to {GUEST}")
    with pytest.raises(psycopg2.errors.InsufficientPrivilege, match="for function"):
        query(guest, forged.format("wamp.capture"))
    # One with a function of their own is no watch.
    query(
        guest,
        "create function theirs() returns trigger language plpgsql as $$ begin return null; end $$",
    )
    query(guest, forged.format("theirs"))
    query(guest, "insert into mine values (1)")
    assert item.query("select relation_name from wamp.watched") == [("item",)]
    assert item.changes() == []


# DDL of others, where event triggers are


@pytest.fixture
def followed(item: Database, server: Server) -> Database:
    """The same with event triggers; the guest owns a watched table too."""
    migrations.upgrade(server.url(item.name))
    guest = item.connect(GUEST)
    query(guest, "create table parts (id int primary key, v text) partition by range (id)")
    query(guest, "create table parts_1 partition of parts for values from (0) to (9)")
    with closing(connect(server.url(item.name))) as administrator:
        query(administrator, "select wamp.watch('public.parts')")
    return item


def test_the_watch_follows_ddl_of_an_owner_who_may_not_watch(followed: Database) -> None:
    guest = followed.connect(GUEST)
    for statement in (
        "create table parts_2 partition of parts for values from (10) to (19)",
        "alter table parts rename v to w",
        "insert into parts_2 values (11, 'b')",
    ):
        query(guest, statement)

    assert [op for op, _ in followed.told("public.parts")] == ["w", "l", "l"]
    told, layout = followed.told("public.parts")[-1][1], "select wamp.layout('parts') - 'filled'"
    assert {**told, "filled": None} == {**followed.value(layout), "filled": None}
    assert followed.changes() == [("i", None, "(11,b)")]
    assert guest.notices == []


def test_a_function_of_the_owner_never_runs_with_the_rights_of_the_event_trigger(
    followed: Database,
) -> None:
    noting = "function wamp.note_layouts(regclass[], regclass[], regclass[])"
    followed.query(
        "create or replace function wamp.note_layouts"
        "(changed regclass[], altered regclass[], lost regclass[]) "
        f"returns void language plpgsql as $$ begin {EVIL}; end $$"
    )
    guest = followed.connect(GUEST)
    query(guest, "alter table parts add column n int")
    assert "note_layouts is not as pgwamp made it" in guest.notices[-1]
    assert followed.value("select to_regclass('public.proof')") is None

    followed.query(f"alter {noting} security definer")
    query(guest, "alter table parts add column m int")
    assert followed.value("select who from public.proof") == OWNER


@pytest.mark.parametrize(
    "function", ["wamp.layout(regclass)", 'wamp.note(regclass, "char", jsonb)']
)
def test_what_the_owner_puts_below_the_event_trigger_runs_with_the_rights_of_the_owner(
    followed: Database, function: str
) -> None:
    body = "return null;" if "layout" in function else ""
    result = "jsonb" if "layout" in function else "void"
    arguments = function.replace("(regclass", "(relation regclass").replace('"char"', 'op "char"')
    followed.query(
        f"create or replace function {arguments.replace('jsonb)', 'said jsonb)')} "
        f"returns {result} language plpgsql as $$ begin {EVIL}; {body} end $$"
    )
    guest = followed.connect(GUEST)
    query(guest, "alter table parts add column n int")

    assert followed.query("select who from public.proof") == [(OWNER,)]


def test_the_event_trigger_runs_nothing_that_an_owner_of_a_table_wrote(followed: Database) -> None:
    guest = followed.connect(GUEST)
    for statement in HOSTILE:
        query(guest, statement)
    query(guest, "set search_path = public, pg_catalog")
    query(guest, "alter table parts add column n int")
    query(guest, "create table parts_2 partition of parts for values from (10) to (19)")

    assert followed.query("select * from touched") == []


def test_every_function_of_the_schema_fixes_its_search_path(followed: Database) -> None:
    assert (
        followed.query(
            "select proname from pg_proc where pronamespace = 'wamp'::regnamespace "
            "and not coalesce(proconfig, '{}') && array['search_path=pg_catalog, pg_temp']"
        )
        == []
    )


def test_every_function_with_rights_of_its_own_prints_no_plans(followed: Database) -> None:
    functions = followed.query(
        "select proname, proconfig from pg_proc "
        "where pronamespace = 'wamp'::regnamespace and prosecdef"
    )
    assert {"capture", "ddl_changed", "note_layouts", "publish"} <= {name for name, _ in functions}
    wanted = {f"{setting}=off" for setting in PRINTING}
    assert [name for name, settings in functions if not wanted <= set(settings)] == []


@pytest.mark.parametrize("statement", ["alter table parts drop column v", "update item set v = 1"])
def test_plans_tell_a_stranger_nothing_that_they_may_not_read(
    followed: Database, server: Server, statement: str
) -> None:
    secret = "hidden_4711"
    followed.query("alter table item add column held text")
    followed.query("insert into item values (1, null, %s)", secret)
    followed.query(f"revoke select on item from {GUEST}")
    with closing(connect(server.url(followed.name))) as administrator:
        options = json.dumps({"topic": f"com.{secret}.{{v}}"})
        query(administrator, "select wamp.watch('public.parts', %s)", options)
    guest = followed.connect(GUEST)
    query(guest, "set client_min_messages = log; set debug_pretty_print = off")
    for setting in PRINTING:
        query(guest, f"set {setting} = on")
    # A list would keep the last fifty only.
    printed = guest.notices = deque()
    with suppress(psycopg2.Error):
        query(guest, statement)
    assert any("parse tree" in notice for notice in printed), "of the statement itself"
    # Constants are printed as signed numbers of bytes.
    texts = [
        notice + "".join(chr(int(number) % 256) for number in re.findall(r"-?\d+", notice))
        for notice in printed
    ]
    assert [text for text in texts if secret in text] == []


def test_a_restored_database_captures_on(
    wamp_database: Database, new_database: Callable[[str], Database], tmp_path: Path
) -> None:
    for statement in (
        "create table item (id int primary key, v text)",
        "create table other (id int primary key)",
        "create table stock (id int primary key) partition by range (id)",
        "create table stock_1 partition of stock for values from (0) to (9)",
    ):
        wamp_database.query(statement)
    watch(wamp_database, "item", when=CONDITION, topic="x.{op}.{v}", columns=["id"])
    watch(wamp_database, "stock", old="full")
    wamp_database.query("insert into item values (1, 'a')")
    restored = new_database("template0")
    dump = tmp_path / "dump.sql"
    run("pg_dump", "--file", str(dump), wamp_database.url)
    run("psql", "--quiet", "--set", "ON_ERROR_STOP=1", "--file", str(dump), restored.url)

    options = "select relation_name, options from wamp.watched order by 1"
    assert restored.query(options) == wamp_database.query(options)
    raw = "select op::text, relation::text, old, new from wamp.raw order by place, n"
    assert restored.query(raw) == wamp_database.query(raw)
    before = len(restored.changes())
    watch(restored, "other")
    watch(restored, "stock", old="key")
    for statement in (
        "insert into item values (2, 'b')",
        "insert into stock_1 values (4)",
        "insert into other values (5)",
    ):
        restored.query(statement)
    changes = sorted(new or "" for _, _, new in restored.changes())
    assert (before, changes) == (1, ["(1,a)", "(2,b)", "(4)", "(5)"])


#: With all that quoting could spoil.
CONDITION = r"v <> E'it''s \\ % $1 {op} \u00e9' and v <> $$x$$"


def run(program: str, *arguments: str) -> None:
    """Run a program of the server's version."""
    folder = postgres_bin() or embedded.programs()
    done = subprocess.run([folder / program, *arguments], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
