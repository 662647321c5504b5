"""Watched tables of every kind, and what becomes of a watch when its table changes."""

from __future__ import annotations

from contextlib import closing
from typing import Any

import psycopg2
import pytest

from pgwamp import migrations

from .conftest import GUEST, Database, Server, connect, query
from .watching import watch

FIRED = ("wamp_delete", "wamp_insert", "wamp_truncate", "wamp_update")


@pytest.fixture
def followed(wamp_database: Database, server: Server) -> Database:
    """A database with event triggers."""
    migrations.upgrade(server.url(wamp_database.name))
    return wamp_database


def triggers(database: Database, table: str) -> list[str]:
    """The names of the triggers of ours that a table has, enabled."""
    rows = database.query(
        "select tgname::text from pg_trigger where tgrelid = %s::regclass and tgenabled = 'O' "
        "and tgfoid = 'wamp.capture()'::regprocedure order by 1",
        table,
    )
    return [name for (name,) in rows]


def captured(database: Database) -> list[tuple[str, str, str | None, str | None]]:
    """Operation, table, old and new record of each captured change, the oldest first."""
    return database.query(
        "select op::text, relation::text, old, new from wamp.raw "
        "where op in ('i', 'u', 'd', 't') order by place, n"
    )


def columns(layout: Any) -> list[str]:
    """The names of the columns that a layout tells of the table itself."""
    [of_table, *_] = layout["columns"].values()
    return [name for name, _ in of_table]


# --- tables -------------------------------------------------------------------------------------


def test_a_watched_table_has_four_triggers_and_the_sequencer_is_told_how_it_reads(
    wamp_database: Database,
) -> None:
    wamp_database.query("create type mood as enum ('sad', 'glad')")
    wamp_database.query("create table item (id int primary key, mood mood, many int[])")
    watch(wamp_database, "item", old="full")

    assert tuple(triggers(wamp_database, "item")) == FIRED
    [(op, told)] = wamp_database.told("item")
    assert op == "w"
    assert told["options"] == {"old": "full"}
    assert (told["schema"], told["name"], told["key"]) == ("public", "item", ["id"])
    assert columns(told) == ["id", "mood", "many"]
    # Names of types that others can rename are not told.
    kinds = {(kind.get("name"), kind["kind"]) for kind in told["types"]}
    assert kinds == {("integer", "b"), (None, "e"), ("integer[]", "b")}


def test_a_layout_tells_of_all_types_that_the_columns_are_made_of(wamp_database: Database) -> None:
    for statement in (
        "create type inner_pair as (a int4range, b text)",
        "create domain price as numeric(8, 2)",
        "create type pair as (first inner_pair, second price[])",
        "create table item (id uuid primary key, pairs pair[], spans tstzmultirange)",
        "alter type inner_pair add attribute c money",
    ):
        wamp_database.query(statement)
    layout = wamp_database.value("select wamp.layout('item')")

    oids = wamp_database.query(
        "select oid::bigint, typname::text from pg_type where oid = any (%s::oid[])",
        [kind["oid"] for kind in layout["types"]],
    )
    names = {name for _, name in oids}
    assert names >= {"_pair", "pair", "inner_pair", "int4range", "int4", "text", "money"}
    assert names >= {"uuid", "_price", "price", "numeric", "tstzmultirange", "timestamptz"}
    by_name = {dict(oids)[kind["oid"]]: kind for kind in layout["types"]}
    assert [name for name, _ in by_name["inner_pair"]["fields"]] == ["a", "b", "c"]
    assert by_name["_pair"]["element"] == by_name["pair"]["oid"]
    assert by_name["price"]["base"] == by_name["numeric"]["oid"]


def test_columns_that_are_computed_when_read_are_told_with_their_expressions(
    wamp_database: Database,
) -> None:
    if wamp_database.value("select current_setting('server_version_num')::int") < 180000:
        pytest.skip("virtual columns exist from PostgreSQL 18")
    wamp_database.query(
        "create table item (id int primary key, n int, twice int generated always as (n * 2) "
        "virtual, kept int generated always as (n * 3) stored)"
    )
    watch(wamp_database, "item")

    [(_, told)] = wamp_database.told("item")
    integer = wamp_database.value("select 'int'::regtype::oid::bigint")
    assert told["virtual"] == [["twice", integer, -1, None, "(n * 2)"]]
    assert told["reads"] == [["n", integer, None]]


def test_without_a_key_the_old_row_says_which_it_was(wamp_database: Database) -> None:
    wamp_database.query("create table log (n int, v text)")
    with pytest.raises(psycopg2.Error, match="log has no primary key") as caught:
        watch(wamp_database, "log")
    hint = caught.value.diag.message_hint or ""
    assert "ALTER TABLE public.log REPLICA IDENTITY FULL, and watch it with --old full: " in hint
    cure = """select wamp.watch('public.log', '{"old": "full"}')"""
    assert cure in hint
    wamp_database.query("alter table log replica identity full")
    for old in ("none", "key", "changed"):
        with pytest.raises(
            psycopg2.Error, match=r'old must be "full": public\.log has no key'
        ) as caught:
            watch(wamp_database, "log", old=old)
        assert cure in (caught.value.diag.message_hint or "")
    wamp_database.query(cure)

    [(_, told)] = wamp_database.told("log")
    assert told["key"] is None


@pytest.mark.parametrize("deferrable", [False, True])
def test_a_layout_tells_whether_two_rows_can_share_a_key(
    wamp_database: Database, deferrable: bool
) -> None:
    kind = "deferrable" if deferrable else "not deferrable"
    wamp_database.query(f"create table item (id int primary key {kind})")

    assert wamp_database.value("select wamp.layout('item') -> 'deferrable'") is deferrable


def test_a_unique_index_can_be_the_key(wamp_database: Database) -> None:
    wamp_database.query("create table item (code text not null, v int)")
    wamp_database.query("create unique index codes on item (code) include (v)")
    wamp_database.query("alter table item replica identity using index codes")
    watch(wamp_database, "item")

    assert wamp_database.query("select key_columns from wamp.watched") == [(["code"],)]


def test_what_cannot_be_watched_is_refused(wamp_database: Database) -> None:
    wamp_database.query("create view looks as select 1 as id")
    wamp_database.query("create temp table passing (id int primary key)")
    wamp_database.query("create unlogged table light (id int primary key)")
    wamp_database.query("create table stock (id int primary key) partition by range (id)")
    wamp_database.query(
        "create unlogged table stock_1 partition of stock for values from (0) to (10)"
    )
    for relation, message in (
        ("looks", "looks is not a table"),
        ("passing", "passing is temporary"),
        ("light", "light is unlogged"),
        ("stock", "stock_1 is unlogged"),
        ("wamp.raw", "wamp.raw belongs to pgwamp"),
        ("wamp.log_0", "wamp.log_0 belongs to pgwamp"),
    ):
        with pytest.raises(psycopg2.Error, match=message):
            watch(wamp_database, relation)
    assert wamp_database.query("select from wamp.watch") == []


def test_tables_that_inherit_are_refused(wamp_database: Database) -> None:
    wamp_database.query("create table base (id int primary key, v text)")
    wamp_database.query("create table child (extra int, primary key (id)) inherits (base)")
    for table in ("base", "child"):
        with pytest.raises(
            psycopg2.errors.WrongObjectType, match=f"{table} inherits, or is inherited from"
        ) as caught:
            watch(wamp_database, table)
        assert "use partitions" in (caught.value.diag.message_hint or "")


def test_watching_waits_for_a_writer_and_then_has_all_of_its_next_rows(
    wamp_database: Database,
) -> None:
    wamp_database.query("create table item (id int primary key)")
    writer = wamp_database.connect()
    query(writer, "begin")
    query(writer, "insert into item values (1)")
    wamp_database.query("alter function wamp.watch set lock_timeout = '100ms'")
    with pytest.raises(psycopg2.errors.LockNotAvailable):
        watch(wamp_database, "item")
    query(writer, "commit")
    watch(wamp_database, "item")
    wamp_database.query("insert into item values (2)")

    assert captured(wamp_database) == [("i", "item", None, "(2)")]


@pytest.mark.parametrize("function", ["watch", "unwatch", "refresh"])
def test_what_locks_a_table_gives_up_in_the_end(wamp_database: Database, function: str) -> None:
    settings = wamp_database.value(
        "select proconfig from pg_proc where proname = %s and pronamespace = 'wamp'::regnamespace",
        function,
    )
    assert "lock_timeout=10s" in settings


# The embedded server cannot compile. Where PostgreSQL can, as Debian's, a watch took 1.5 s for it.
@pytest.mark.parametrize("function", ["layout", "backlog"])
def test_expensive_plans_over_the_catalog_are_not_compiled(
    wamp_database: Database, function: str
) -> None:
    settings = wamp_database.value(
        "select proconfig from pg_proc where proname = %s and pronamespace = 'wamp'::regnamespace",
        function,
    )
    assert "jit=off" in settings


# --- unwatch and forget -------------------------------------------------------------------------


def test_unwatching_ends_after_what_was_written_before(wamp_database: Database) -> None:
    wamp_database.query("create table item (id int primary key)")
    watch(wamp_database, "item")
    wamp_database.query("insert into item values (1)")
    wamp_database.query("select wamp.unwatch('item')")
    wamp_database.query("insert into item values (2)")
    wamp_database.query("select wamp.unwatch('item')")

    order = "select op::text from wamp.raw order by place, n"
    assert [op for (op,) in wamp_database.query(order)] == ["w", "i", "x"]
    assert triggers(wamp_database, "item") == []
    assert wamp_database.query("select from wamp.watched") == []


LOGGED = """
insert into wamp.log (slot, position, at, xid, relation, relation_schema, relation_name, op, topic,
    options, body, mark)
select 0, n, now(), '3', table_name::regclass, 'public', table_name, 'insert', 'x.' || table_name,
    '{}', '{"new": {"id": 7}}', '\\x01'
from unnest(array['item', 'other']) with ordinality as t (table_name, n)
"""


def test_forget_erases_what_is_kept_of_a_table_and_keeps_its_places(
    wamp_database: Database,
) -> None:
    for table in ("item", "other"):
        wamp_database.query(f"create table {table} (id int primary key)")
        watch(wamp_database, table)
        wamp_database.query(f"insert into {table} values (7)")
    wamp_database.query(LOGGED)
    wamp_database.query("select wamp.forget('item')")

    assert captured(wamp_database) == [("i", "other", None, "(7)")]
    erased = "select count(*) from wamp.raw where op = '-' and old is null and new is null"
    assert wamp_database.value(erased) == 1
    # The sequencer is told, too: it may have read the raw rows before.
    assert [op for op, _ in wamp_database.told("item")] == ["w", "f"]
    events = wamp_database.query(
        "select position, op, topic, options, body, silent, mark is not null "
        "from wamp.log order by 1"
    )
    assert events == [
        (1, "forgotten", None, None, None, True, True),
        (2, "insert", "x.other", "{}", '{"new": {"id": 7}}', False, True),
    ]


def test_forget_erases_the_rows_of_partitions_too(stock: Database) -> None:
    stock.query("insert into stock_23 values (1, 3, 'secret')")
    stock.query("select wamp.forget('stock')")

    assert stock.query("select from wamp.raw where old like '%secret%'") == []
    assert stock.query("select from wamp.raw where new like '%secret%'") == []


# --- partitions ---------------------------------------------------------------------------------


@pytest.fixture
def stock(wamp_database: Database) -> Database:
    """A watched table in partitions, one of which has partitions itself."""
    for statement in (
        "create table stock (id int, place int, v text, primary key (id, place)) "
        "partition by list (place)",
        "create table stock_1 partition of stock for values in (1)",
        "create table stock_2 partition of stock for values in (2, 3) partition by list (place)",
        "create table stock_22 partition of stock_2 for values in (2)",
        "create table stock_23 partition of stock_2 for values in (3)",
    ):
        wamp_database.query(statement)
    watch(wamp_database, "stock", columns=["id", "v"], old="full")
    return wamp_database


def test_a_write_is_captured_once_whatever_partition_it_names(stock: Database) -> None:
    for statement in (
        "insert into stock values (0, 1, 'z')",
        "insert into stock_2 values (2, 2, 'b')",
        "insert into stock_23 values (3, 3, 'c')",
        "update stock_2 set v = 'd' where id = 2",
        "update stock_2 set place = 3, v = 'e' where id = 2",
        "delete from only stock_23 where id = 3",
        "truncate stock_1",
    ):
        stock.query(statement)

    assert captured(stock) == [
        ("i", "stock", None, "(0,1,z)"),
        ("i", "stock_2", None, "(2,2,b)"),
        ("i", "stock_23", None, "(3,3,c)"),
        ("u", "stock_2", "(2,2,b)", "(2,2,d)"),
        ("u", "stock_2", "(2,2,d)", "(2,3,e)"),
        ("d", "stock_23", "(3,3,c)", None),
        ("t", "stock_1", None, None),
    ]


def test_a_layout_tells_of_partitions_whose_columns_are_in_another_order(stock: Database) -> None:
    stock.query("create table stock_4 (v text, place int not null, id int not null)")
    stock.query("alter table stock attach partition stock_4 for values in (4)")
    layout = stock.value("select wamp.layout('stock')")
    oid = str(stock.value("select 'stock_4'::regclass::oid::int"))

    assert [name for name, _ in layout["columns"][oid]] == ["v", "place", "id"]


def test_a_new_partition_is_captured_after_refresh(stock: Database) -> None:
    stock.query("create table stock_4 partition of stock for values in (4)")
    stock.query("insert into stock values (1, 4, 'through the table')")
    stock.query("insert into stock_4 values (2, 4, 'not yet')")
    stock.query("select wamp.refresh('stock')")
    stock.query("insert into stock_4 values (3, 4, 'now')")
    stock.query("insert into stock values (4, 4, 'once')")

    assert [new for _, _, _, new in captured(stock)] == [
        '(1,4,"through the table")',
        "(3,4,now)",
        "(4,4,once)",
    ]
    assert [op for op, _ in stock.told("stock")] == ["w", "l"]


def test_with_event_triggers_partitions_come_by_themselves(followed: Database) -> None:
    for statement in (
        "create table stock (id int, place int, primary key (id, place)) partition by list (place)",
        "select wamp.watch('stock')",
        "create table stock_2 partition of stock for values in (2, 3) partition by list (place)",
        "create table stock_23 partition of stock_2 for values in (3)",
        "create table stock_1 (place int not null, id int not null)",
        "alter table stock attach partition stock_1 for values in (1)",
        "insert into stock_1 values (1, 1)",
        "insert into stock_23 values (2, 3)",
    ):
        followed.query(statement)

    for table in ("stock", "stock_1", "stock_2", "stock_23"):
        assert tuple(triggers(followed, table)) == FIRED
    assert captured(followed) == [
        ("i", "stock_1", None, "(1,1)"),
        ("i", "stock_23", None, "(2,3)"),
    ]
    [*_, (op, told)] = followed.told("stock")
    assert op == "l"
    # Those of stock_1 are in another order.
    assert sorted(len(list_) for list_ in told["columns"].values()) == [2, 2]


def test_a_watched_table_that_becomes_a_partition_belongs_to_the_whole(stock: Database) -> None:
    stock.query("create table stock_4 (id int not null, place int not null, v text)")
    stock.query("alter table stock_4 add primary key (id, place)")
    watch(stock, "stock_4")
    stock.query("alter table stock attach partition stock_4 for values in (4)")
    watch(stock, "stock")

    assert stock.query("select relation_name from wamp.watched") == [("stock",)]
    assert [op for op, _ in stock.told("stock_4")] == ["w", "x"]
    assert tuple(triggers(stock, "stock_4")) == FIRED


def test_a_partition_is_neither_watched_nor_unwatched_alone(stock: Database) -> None:
    for partition in ("stock_1", "stock_2", "stock_22"):
        for function in ("watch", "unwatch"):
            with pytest.raises(psycopg2.Error, match=f"{partition} is a partition of"):
                stock.query(f"select wamp.{function}('{partition}')")
    stock.query("insert into stock_1 values (1, 1, 'a')")
    assert len(captured(stock)) == 1
    stock.query("select wamp.unwatch('stock')")
    assert stock.query("select from pg_trigger where tgname like 'wamp%'") == []


def test_unwatching_removes_all_triggers_where_ddl_is_followed(followed: Database) -> None:
    followed.query("create table part (id int primary key) partition by range (id)")
    followed.query("create table part_1 partition of part default partition by range (id)")
    followed.query("create table part_11 partition of part_1 default")
    watch(followed, "part")
    followed.query("select wamp.unwatch('part')")
    assert followed.query("select tgname, tgrelid::regclass from pg_trigger") == []


# --- schema changes -----------------------------------------------------------------------------


@pytest.fixture
def item(wamp_database: Database) -> Database:
    """A database with a table ``item`` of which nobody tells when it changes."""
    wamp_database.query("create table item (id int primary key, v text, who text)")
    return wamp_database


def test_a_table_keeps_its_watch_under_another_name(item: Database) -> None:
    watch(item, "item", columns=["id", "v"])
    item.query("create schema other")
    item.query("alter table item rename to thing")
    item.query("alter table thing set schema other")
    item.query("insert into other.thing values (1, 'a', 'ann')")

    assert captured(item) == [("i", "other.thing", None, "(1,a,ann)")]
    watch(item, "other.thing")
    assert item.query("select relation_schema, relation_name from wamp.watched") == [
        ("other", "thing")
    ]


def test_a_dropped_table_is_watched_no_longer(item: Database) -> None:
    watch(item, "item")
    item.query("drop table item")

    assert item.query("select from wamp.watched") == []


@pytest.mark.parametrize(
    "change",
    [
        "alter table item drop column who",
        "alter table item rename id to number",
        "alter table item alter column v type int using 1",
        "alter table item drop constraint item_pkey",
    ],
)
def test_no_write_fails_however_a_watched_table_has_changed(item: Database, change: str) -> None:
    watch(item, "item", columns=["v", "who"], when="who is not null", topic="x.{who}")
    writer = item.connect()
    # Whatever PostgreSQL keeps for a session is of before the change.
    for statement in ("insert into item values (1)", "update item set v = 0", "delete from item"):
        query(writer, statement)
    item.query(change)
    for statement in ("insert into item values (2)", "update item set v = 5", "delete from item"):
        query(writer, statement)

    assert [op for op, *_ in captured(item)] == ["i", "u", "d"] * 2
    assert writer.notices == []


def test_refresh_waits_for_no_writer_while_nothing_is_missing(stock: Database) -> None:
    writer = stock.connect()
    query(writer, "begin")
    query(writer, "insert into stock values (1, 1)")
    stock.query("alter function wamp.refresh set lock_timeout = '100ms'")
    stock.query("alter function wamp.watch set lock_timeout = '100ms'")
    stock.query("select wamp.refresh('stock')")
    # Nor do options that say only how changes are told.
    watch(stock, "stock", columns=["id", "v"], old="none")
    query(writer, "rollback")


@pytest.mark.parametrize("state", ["disable", "enable replica"])
def test_refresh_mends_what_was_dropped_or_disabled(stock: Database, state: str) -> None:
    stock.query("drop trigger wamp_delete on stock_1")
    stock.query(f"alter table stock_1 {state} trigger wamp_insert")
    stock.query("insert into stock_1 values (1, 1)")
    stock.query("select wamp.refresh('stock')")
    stock.query("insert into stock_1 values (2, 1)")
    stock.query("delete from stock_1 where id = 2")

    assert captured(stock) == [
        ("i", "stock_1", None, "(2,1,)"),
        ("d", "stock_1", "(2,1,)", None),
    ]


def test_refresh_of_a_table_that_is_not_watched_does_nothing(item: Database) -> None:
    item.query("select wamp.refresh('item')")

    assert triggers(item, "item") == []
    assert item.told("item") == []


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ("alter table item add column n int", ["id", "v", "who", "pair", "n"]),
        ("alter table item drop column who", ["id", "v", "pair"]),
        ("alter table item rename v to w", ["id", "w", "who", "pair"]),
        ("alter table item alter column v type int using 1", ["id", "v", "who", "pair"]),
    ],
)
def test_with_event_triggers_the_sequencer_is_told_how_rows_read_from_now_on(
    followed: Database, change: str, expected: list[str]
) -> None:
    followed.query("create type pair as (a int, b text)")
    followed.query("create table item (id int primary key, v text, who text, pair pair[])")
    watch(followed, "item")
    followed.query("insert into item (id) values (1)")
    followed.query(change)

    order = "select op::text from wamp.raw where relation = 'item'::regclass order by place, n"
    assert [op for (op,) in followed.query(order)] == ["w", "i", "l"]
    [_, (_, told)] = followed.told("item")
    assert columns(told) == expected
    assert told == followed.value("select wamp.layout('item')")


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ("alter type pair add attribute c int", ["a", "b", "c"]),
        ("alter type pair rename attribute a to z", ["z", "b"]),
        ("alter type pair drop attribute b", ["a"]),
    ],
)
def test_with_event_triggers_the_sequencer_is_told_of_a_composite_alone(
    followed: Database, change: str, expected: list[str]
) -> None:
    followed.query("create type pair as (a int, b text)")
    followed.query("create table item (id int primary key, pair pair[])")
    watch(followed, "item")
    followed.query(change)

    assert [op for op, _ in followed.told("item")] == ["w"]
    ((op, told),) = followed.told("pair")
    assert (op, columns(told)) == ("l", expected)


@pytest.mark.parametrize(
    ("change", "key"),
    [
        ("alter table item rename id to number", ["number"]),
        ("alter table item drop constraint item_pkey, add primary key (v)", ["v"]),
        ("alter table item drop constraint item_pkey", None),
    ],
)
def test_with_event_triggers_the_sequencer_is_told_of_a_new_key(
    followed: Database, change: str, key: list[str] | None
) -> None:
    followed.query("create table item (id int primary key, v text not null)")
    watch(followed, "item")
    followed.query(change)

    [_, (op, told)] = followed.told("item")
    assert (op, told["key"]) == ("l", key)


def test_with_event_triggers_ddl_of_another_table_tells_nothing(followed: Database) -> None:
    followed.query("create table item (id int primary key)")
    followed.query("create table other (id int primary key)")
    watch(followed, "item")
    followed.query("alter table other add column n int")
    followed.query("create table third (id int)")
    followed.query(f"grant select on other to {GUEST}")
    # Nor does a comment, which changes no row.
    followed.query("comment on table item is 'things'")

    assert [op for op, _ in followed.told("item")] == ["w"]


def test_unwatching_a_table_spares_a_partition_that_is_watched_itself(item: Database) -> None:
    watch(item, "item")
    item.query("create table whole (id int primary key, v text, who text) partition by range (id)")
    item.query("alter table whole attach partition item default")
    item.query("select wamp.unwatch('whole')")
    item.query("insert into item values (1, 'a', 'ann')")
    assert captured(item) == [("i", "item", None, "(1,a,ann)")]


def test_a_partition_of_another_owner_keeps_nobody_from_unwatching(
    stock: Database, server: Server
) -> None:
    with closing(connect(server.url(stock.name))) as administrator:
        query(administrator, f"alter table stock_1 owner to {GUEST}")
    stock.query("select wamp.unwatch('stock')")
    assert stock.query("select from wamp.watch") == []
    assert stock.query("select distinct tgrelid::regclass::text from pg_trigger") == [("stock_1",)]
