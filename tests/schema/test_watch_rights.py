"""Who may watch, what it takes to write to a watched table, and what nobody gains by it."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path

import psycopg2
import pytest

from pgwamp.dev import embedded
from tests.servers import postgres_bin

from .conftest import GUEST, OWNER, Database, query
from .watching import watch

#: Run as the owner of the schema wamp, each of these would say so.
EVIL = "create table if not exists public.proof as select current_user::text as who"


@pytest.fixture
def item(wamp_database: Database) -> Database:
    """A watched table to which the guest may write, and a schema in which they may do anything."""
    wamp_database.query("create table item (id int primary key, v text)")
    watch(wamp_database, "item", when="v is not null")
    wamp_database.query(f"grant insert, select, update, trigger on item to {GUEST}")
    wamp_database.query(f"grant create on database {wamp_database.name} to {GUEST}")
    wamp_database.query(f"grant create on schema public to {GUEST}")
    return wamp_database


def capture(database: Database) -> str:
    """The capture function of the only watched table."""
    return str(
        database.value(
            "select tgfoid::regproc::text from pg_trigger "
            "where tgname = 'wamp_insert' and tgrelid = 'item'::regclass"
        )
    )


def test_only_who_may_define_captures_may_watch(item: Database) -> None:
    guest = item.connect(GUEST)
    query(guest, "create table mine (id int primary key)")
    with pytest.raises(psycopg2.Error, match=f"role {GUEST} may not watch tables") as caught:
        query(guest, "select wamp.watch('mine')")
    grant = f"GRANT EXECUTE ON FUNCTION wamp.define_capture(regclass, jsonb, name) TO {GUEST}"
    assert grant in caught.value.diag.message_hint
    item.query(grant)
    query(guest, "select wamp.watch('mine', '{\"old\": \"none\"}')")
    query(guest, "insert into mine values (1)")
    query(guest, "update mine set id = 2")
    query(guest, "select wamp.refresh('mine')")
    query(guest, "truncate mine")

    assert [op for op, _ in item.events("mine")] == ["insert", "delete", "insert", "truncate"]
    query(guest, "select wamp.unwatch('mine')")
    assert query(guest, "select relation_name from wamp.watched") == [("item",)]


def test_making_a_capture_anew_grants_it_to_nobody_else(item: Database) -> None:
    guest = item.connect(GUEST)
    query(guest, "select wamp.redefine_capture('item')")
    item.query("alter table item rename v to w")
    query(guest, "insert into item values (1, 'a')")  # defines it, too

    for user, expected in ((GUEST, False), (OWNER, True), ("public", False)):
        may = "select has_function_privilege(%s, %s, 'execute')"
        assert item.value(may, user, capture(item) + "()") is expected


def test_a_forged_trigger_takes_no_condition_of_a_stranger(item: Database) -> None:
    guest = item.connect(GUEST)
    query(guest, "create table mine (id int primary key, v text)")
    query(
        guest,
        f"create function evil() returns boolean language plpgsql as $$ begin {EVIL}; "
        "return true; end $$",
    )
    query(guest, "select wamp.redefine_capture('item')")
    forged = (
        "create trigger wamp_insert after insert on mine referencing new table as new_rows "
        'for each statement execute function {}(\'{{"when": "public.evil()"}}\')'
    )
    functions = [
        name
        for (name,) in item.query(
            "select oid::regproc::text from pg_proc where pronamespace = 'wamp'::regnamespace "
            "and prorettype = 'trigger'::regtype"
        )
    ]
    assert functions == [capture(item)]
    for name in functions:
        with pytest.raises(psycopg2.errors.InsufficientPrivilege):
            query(guest, forged.format(name))
    # One with a function of their own is no record of a watch.
    query(
        guest,
        "create function theirs() returns trigger language plpgsql as $$ begin return null; end $$",
    )
    query(guest, forged.format("theirs"))
    query(guest, "select wamp.refresh('mine')")
    assert query(guest, "select wamp.redefine_capture('mine')") == [(None,)]
    query(guest, "insert into mine values (1)")
    assert item.value("select to_regclass('proof')") is None


def test_functions_that_make_captures_give_a_guest_nothing(item: Database) -> None:
    guest = item.connect(GUEST)
    query(guest, "create table mine (id int primary key)")
    for call in (
        "wamp.define_capture('mine', '{}', 'schema_guest')",
        "wamp.watch('mine', '{\"when\": \"true\"}')",
        f"wamp.lay_triggers('mine', '{{}}', '{capture(item).partition('.')[2]}')",
        "wamp.lay_triggers('item', '{}', 'wake')",
        "wamp.unwatch('item')",
    ):
        with pytest.raises(psycopg2.Error):
            query(guest, f"select {call}")
    # Harmless: text, nothing that anybody uses, and what is there already.
    for call in (
        "wamp.capture_source('mine', '{\"when\": \"evil()\"}')",
        "wamp.watch_options('mine', '{\"when\": \"evil()\"}')",
        "wamp.drop_captures()",
        "wamp.refresh('mine')",
        "wamp.refresh('item')",
    ):
        query(guest, f"select {call}")
    query(guest, "insert into item values (1, 'a')")
    assert [op for op, _ in item.events()] == ["insert"]
    assert item.query("select options from wamp.watched") == [({"when": "v is not null"},)]


def test_every_function_of_the_schema_fixes_its_search_path_if_it_lends_rights(
    item: Database,
) -> None:
    assert (
        item.query(
            "select proname from pg_proc where pronamespace = 'wamp'::regnamespace and prosecdef "
            "and not coalesce(proconfig, '{}') && array['search_path=pg_catalog, pg_temp']"
        )
        == []
    )


def test_a_partition_that_cannot_be_read_is_truncated_all_the_same(
    wamp_database: Database,
) -> None:
    guest = wamp_database.connect(GUEST)
    wamp_database.query(f"grant create on schema public to {GUEST}")
    wamp_database.query(
        f"grant execute on function wamp.define_capture(regclass, jsonb, name) to {GUEST}"
    )
    query(guest, "create table parts (id int primary key) partition by range (id)")
    query(guest, "create table parts_1 partition of parts for values from (0) to (9)")
    query(guest, "select wamp.watch('parts')")
    query(guest, "insert into parts values (1), (2)")
    query(guest, "truncate parts_1")

    assert "permission denied for table parts_1" in guest.notices[-1]
    # Nobody can say which rows: one event says that there were some.
    assert wamp_database.query("select op, key, size = 2147483647 from wamp.event order by id")[
        2:
    ] == [("delete", None, True)]
    query(guest, f"grant select on parts_1 to {OWNER}")
    query(guest, "insert into parts values (3)")
    query(guest, "truncate parts_1")
    assert [(op, k["key"]) for op, k in wamp_database.events()[3:]] == [
        ("insert", {"id": 3}),
        ("delete", {"id": 3}),
    ]


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
    # As where the functions were restored and the events were not.
    restored.query("alter sequence wamp.event_id_seq restart")
    restored.query("truncate wamp.event")
    functions = "select count(distinct tgfoid) from pg_trigger where tgname = 'wamp_insert'"
    watch(restored, "other")
    assert restored.value(functions) == 3
    watch(restored, "stock", old="key")
    assert restored.value(functions) == 3
    for statement in (
        "insert into item values (2, 'b'), (3, null)",
        "insert into stock_1 values (4)",
        "insert into other values (5)",
    ):
        restored.query(statement)
    assert restored.query("select relation, topic, new from wamp.event order by id") == [
        ("item", "x.inserted.b", {"id": 2}),
        ("stock", None, {"id": 4}),
        ("other", None, {"id": 5}),
    ]


#: With all that quoting could spoil.
CONDITION = r"v <> E'it''s \\ % $1 {op} \u00e9' and v <> $$x$$"


def run(program: str, *arguments: str) -> None:
    """Run a program of the server's version."""
    folder = postgres_bin() or embedded.programs()
    done = subprocess.run([folder / program, *arguments], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
