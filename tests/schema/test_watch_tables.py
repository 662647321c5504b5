"""Watched tables of every kind, and what becomes of a watch when its table changes."""

from __future__ import annotations

from typing import Any

import psycopg2
import pytest

from pgwamp import migrations

from .conftest import Database, Server, query
from .watching import fold, watch


@pytest.fixture
def followed(wamp_database: Database, server: Server) -> Database:
    """A database with event triggers."""
    migrations.upgrade(server.url(wamp_database.name))
    return wamp_database


def version(database: Database) -> int:
    return int(database.value("select current_setting('server_version_num')::int / 10000"))


def changes(database: Database) -> list[tuple[str, str, Any]]:
    """Operation, table and key of each change, the oldest first."""
    return database.query(
        "select op, relation, key from wamp.event where op is not null order by id"
    )


def ids(database: Database, table: str = "stock") -> list[tuple[str, Any]]:
    """Operation and id of each change of a table."""
    return [(op, key and key["id"]) for op, name, key in changes(database) if name == table]


# --- columns of every kind ----------------------------------------------------------------------


def test_columns_of_every_kind_are_published_as_they_are_read(wamp_database: Database) -> None:
    for statement in (
        "create type mood as enum ('sad', 'glad')",
        "create domain price as numeric(8, 2)",
        "create type pair as (a int, b text)",
        "create table kinds (id int generated always as identity primary key, mood mood, "
        "price price, pairs pair[], span int4range, spans int4multirange, bits bit(3), "
        "doubled int generated always as (weight * 2) stored, weight int, facts json, "
        "data bytea, lasts interval, net inet, at timestamptz, grid int[][], x float8, note text)",
    ):
        wamp_database.query(statement)
    watch(wamp_database, "kinds", old="full")
    wamp_database.query(
        "insert into kinds (mood, price, pairs, span, spans, bits, weight, facts, data, lasts, "
        "net, at, grid, x, note) values ('glad', 1.5, array[row(1, 'x')::pair, null], '[1,3)', "
        "'{[1,2),[4,5)}', b'101', 4, '{\"a\": 1, \"a\":  2}', '\\xdead', '1 day', '::1/64', "
        "'2024-01-01 00:00+02', '{{1,2},{3,4}}', 'NaN', '𝄞 \"q\" \\ ')"
    )
    wamp_database.query('update kinds set weight = 5, facts = \'{"a": 2, "a": 1}\'')

    [(_, inserted), (_, updated)] = wamp_database.events()
    assert inserted["new"] == {
        "id": 1,
        "mood": "glad",
        "price": 1.5,
        "pairs": [{"a": 1, "b": "x"}, None],
        "span": "[1,3)",
        "spans": "{[1,2),[4,5)}",
        "bits": "101",
        "doubled": 8,
        "weight": 4,
        "facts": {"a": 2},
        "data": "\\xdead",
        "lasts": "P1D",
        "net": "::1/64",
        "at": "2023-12-31T22:00:00+00:00",
        "grid": [[1, 2], [3, 4]],
        "x": "NaN",
        "note": '𝄞 "q" \\ ',
    }
    assert updated["changed"] == ["doubled", "weight", "facts"]
    assert updated["old"] == inserted["new"]
    # As it was written, both values of a key that is there twice.
    assert '{"a": 1, "a":  2}' in wamp_database.value(
        "select new::text from wamp.event where op = 'insert'"
    )


def test_columns_that_are_computed_when_read_count_like_others(wamp_database: Database) -> None:
    if version(wamp_database) < 18:
        pytest.skip("virtual columns exist from PostgreSQL 18")
    wamp_database.query(
        'create table item (id int primary key, n int, "dou""ble" int generated always as (n * 2) '
        "virtual, who text generated always as ('u' || n) virtual)"
    )
    for options in (
        {"columns": ['dou"ble']},
        {"topic": "x.{op}.{who}", "eligible_authid": "who", "when": '"dou""ble" > 2'},
    ):
        watch(wamp_database, "item", old="full", **options)
        wamp_database.query("truncate wamp.event")
        wamp_database.query("insert into item values (1, 1), (2, 2)")
        wamp_database.query("update item set n = n + 1")
        wamp_database.query("delete from item where id = 1")
        *_, last = fold(wamp_database).values()
        assert [row['dou"ble'] for row in last.values() if row] == [6]
        wamp_database.query("delete from item")
        assert not fold(wamp_database)
    assert wamp_database.query("select topic, options from wamp.event order by id limit 2") == [
        ("x.inserted.u2", {"eligible_authid": ["u2"]}),
        ("x.deleted.u2", {"eligible_authid": ["u2"]}),
    ]


@pytest.mark.parametrize("columns", [None, ["v"]])
def test_without_a_key_the_former_row_says_which_it_was(
    wamp_database: Database, columns: list[str] | None
) -> None:
    wamp_database.query("create table log (n int, v text)")
    with pytest.raises(psycopg2.Error, match="log has no primary key"):
        watch(wamp_database, "log")
    wamp_database.query("alter table log replica identity full")
    for old in ("none", "key", "changed"):
        with pytest.raises(psycopg2.Error, match=r'old must be "full": public\.log has no key'):
            watch(wamp_database, "log", old=old)
    watch(wamp_database, "log", columns=columns)
    wamp_database.query("insert into log values (1, 'a'), (1, 'a'), (2, 'b')")
    wamp_database.query("update log set v = 'c' where v = 'a'")
    wamp_database.query("delete from log where v = 'b'")

    def row(n: int, v: str) -> dict[str, Any]:
        return {"v": v} if columns else {"n": n, "v": v}

    assert wamp_database.events()[3:] == [
        ("update", {"new": row(1, "c"), "old": row(1, "a"), "changed": ["v"]}),
        ("update", {"new": row(1, "c"), "old": row(1, "a"), "changed": ["v"]}),
        ("delete", {"old": row(2, "b")}),
    ]


def test_a_unique_index_can_be_the_key(wamp_database: Database) -> None:
    wamp_database.query("create table item (code text not null, v int)")
    wamp_database.query("create unique index codes on item (code) include (v)")
    wamp_database.query("alter table item replica identity using index codes")
    watch(wamp_database, "item", old="none")
    wamp_database.query("insert into item values ('a', 1)")
    wamp_database.query("update item set code = 'b'")

    assert changes(wamp_database) == [
        ("insert", "item", {"code": "a"}),
        ("delete", "item", {"code": "a"}),
        ("insert", "item", {"code": "b"}),
    ]


def test_rows_of_inheriting_tables_are_published_of_statements_on_the_parent(
    wamp_database: Database,
) -> None:
    wamp_database.query("create table base (id int primary key, v text)")
    wamp_database.query("create table child (extra int) inherits (base)")
    watch(wamp_database, "base")
    wamp_database.query("insert into child values (7, 'direct', 1)")
    wamp_database.query("insert into base values (1, 'a')")
    wamp_database.query("update base set v = 'b'")

    assert [(op, k["new"]) for op, k in wamp_database.events()] == [
        ("insert", {"id": 1, "v": "a"}),
        ("update", {"id": 1, "v": "b"}),
        ("update", {"id": 7, "v": "b"}),
    ]


def test_what_cannot_be_watched_is_refused(wamp_database: Database) -> None:
    wamp_database.query("create view looks as select 1 as id")
    wamp_database.query("create temp table passing (id int primary key)")
    for relation, message in (
        ("looks", "looks is not a table"),
        ("passing", "passing is temporary"),
        ("wamp.event", "wamp.event belongs to pgwamp"),
    ):
        with pytest.raises(psycopg2.Error, match=message):
            watch(wamp_database, relation)


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


def test_writes_to_a_partition_are_changes_of_the_whole_table(stock: Database) -> None:
    stock.query("insert into stock_1 values (1, 1, 'a')")
    stock.query("insert into stock_2 values (2, 2, 'b')")
    stock.query("insert into stock_23 values (3, 3, 'c')")
    stock.query("update stock_2 set v = 'd'")
    stock.query("update stock_2 set place = 3, v = 'e' where id = 2")
    stock.query("delete from only stock_23 where id = 3")
    stock.query("delete from stock_1")

    assert [name for _, name, _ in changes(stock)] == ["stock"] * 8
    [seen] = fold(stock).values()
    assert list(seen.values()) == [{"id": 2, "v": "e"}]
    assert stock.query("select distinct relation_schema from wamp.event") == [("public",)]


def test_truncate_of_partitions_deletes_their_rows_once(stock: Database) -> None:
    rows = "insert into stock select g, g % 3 + 1, 'v' from generate_series(1, 6) as g"
    for statement, expected in (
        ("truncate stock_1", [("delete", 3), ("delete", 6)]),
        ("truncate stock_23", [("delete", 2), ("delete", 5)]),
        ("truncate stock_2", [("delete", 1), ("delete", 2), ("delete", 4), ("delete", 5)]),
        ("truncate stock", [("truncate", None)]),
        ("truncate stock_1, stock_23", [("delete", n) for n in (2, 3, 5, 6)]),
    ):
        stock.query("truncate stock")
        stock.query(rows)
        stock.query("truncate wamp.event")
        stock.query(statement)
        assert sorted(ids(stock)) == expected, statement


def test_a_truncate_rolled_back_hides_no_later_one(stock: Database) -> None:
    stock.query("insert into stock values (1, 1, 'a')")
    writer = stock.connect()
    writer.autocommit = False
    query(writer, "savepoint s")
    query(writer, "truncate stock")
    query(writer, "rollback to s")
    query(writer, "truncate stock_1")
    writer.commit()

    assert ids(stock)[1:] == [("delete", 1)]


def test_a_new_partition_is_captured_after_refresh(stock: Database) -> None:
    stock.query("create table stock_4 partition of stock for values in (4)")
    stock.query("insert into stock values (1, 4, 'through the table')")
    stock.query("insert into stock_4 values (2, 4, 'not yet')")
    assert ids(stock) == [("insert", 1)]
    stock.query("select wamp.refresh('stock')")
    stock.query("insert into stock_4 values (3, 4, 'now')")
    stock.query("insert into stock values (4, 4, 'once')")

    assert ids(stock) == [("insert", 1), ("insert", 3), ("insert", 4)]


def test_with_event_triggers_partitions_come_and_go_by_themselves(followed: Database) -> None:
    for statement in (
        "create table stock (id int, place int, primary key (id, place)) partition by list (place)",
        "select wamp.watch('stock')",
        "create table stock_2 partition of stock for values in (2, 3) partition by list (place)",
        "create table stock_23 partition of stock_2 for values in (3)",
        "create table stock_1 (like stock)",
        "alter table stock attach partition stock_1 for values in (1)",
        "insert into stock_1 values (1, 1)",
        "insert into stock_23 values (2, 3)",
        "alter table stock detach partition stock_1",
        "insert into stock_1 values (3, 1)",
        "truncate stock_1",
    ):
        followed.query(statement)

    assert changes(followed) == [
        ("insert", "stock", {"id": 1, "place": 1}),
        ("insert", "stock", {"id": 2, "place": 3}),
    ]


def test_a_detached_partition_is_watched_apart(stock: Database) -> None:
    stock.query("alter table stock detach partition stock_2")
    stock.query("alter table stock detach partition stock_1")
    stock.query("insert into stock_22 values (1, 2, 'nobody sees it')")
    assert changes(stock) == []
    watch(stock, "stock_1", columns=["place"])
    watch(stock, "stock_2")
    for statement in (
        "insert into stock_1 values (1, 1, 'a')",
        "insert into stock_22 values (2, 2, 'b')",
        "create table stock_5 partition of stock for values in (5)",
        "insert into stock values (3, 5, 'c')",
    ):
        stock.query(statement)

    assert [(name, key["id"]) for _, name, key in changes(stock)] == [
        ("stock_1", 1),
        ("stock_2", 2),
        ("stock", 3),
    ]
    # Each with its own options.
    assert [set(kwargs["new"]) for _, kwargs in stock.events()] == [
        {"place"},
        {"id", "place", "v"},
        {"id", "v"},
    ]


def test_a_watched_table_that_becomes_a_partition_belongs_to_the_whole(stock: Database) -> None:
    stock.query("create table stock_4 (id int not null, place int not null, v text)")
    stock.query("alter table stock_4 add primary key (id, place)")
    watch(stock, "stock_4")
    stock.query("alter table stock attach partition stock_4 for values in (4)")
    watch(stock, "stock")
    stock.query("insert into stock_4 values (1, 4, 'a')")

    assert changes(stock) == [("insert", "stock", {"id": 1, "place": 4})]
    assert stock.query("select relation_name from wamp.watched") == [("stock",)]


def test_a_partition_is_neither_watched_nor_unwatched_alone(stock: Database) -> None:
    for partition in ("stock_1", "stock_2", "stock_22"):
        for function in ("watch", "unwatch"):
            with pytest.raises(psycopg2.Error, match=f"{partition} is a partition of"):
                stock.query(f"select wamp.{function}('{partition}')")
    stock.query("insert into stock_1 values (1, 1, 'a')")
    assert ids(stock) == [("insert", 1)]
    stock.query("select wamp.unwatch('stock')")
    assert stock.query("select from pg_trigger where tgname like 'wamp%'") == []


# --- schema changes -----------------------------------------------------------------------------


@pytest.fixture
def item(wamp_database: Database) -> Database:
    """A database with a table ``item`` of which nobody tells when it changes."""
    wamp_database.query("create table item (id int primary key, v text, who text)")
    return wamp_database


def test_a_table_keeps_its_watch_under_another_name(item: Database) -> None:
    watch(item, "item", topic="x.{op}.{who}", columns=["id", "v"])
    item.query("create schema other")
    item.query("alter table item rename to thing")
    item.query("alter table thing set schema other")
    item.query("insert into other.thing values (1, 'a', 'ann')")

    assert item.query("select topic, relation_schema, relation, new from wamp.event") == [
        ("x.inserted.ann", "other", "thing", {"id": 1, "v": "a"})
    ]
    watch(item, "other.thing")
    assert item.value("select count(*) from wamp.watched") == 1


def test_after_a_key_was_renamed_one_event_says_so_and_the_next_are_whole(item: Database) -> None:
    watch(item, "item")
    item.query("insert into item values (1, 'a')")
    writer = item.connect()
    query(writer, "update item set v = 'prepared'")
    item.query("alter table item rename id to number")
    item.query("truncate wamp.event")
    query(writer, "update item set v = 'b'")
    query(writer, "update item set v = 'c'")

    # PostgreSQL's own warning, and no failure.
    assert "without its values: column r.id does not exist" in writer.notices[-1]
    assert item.query("select op, key, size = 2147483647 from wamp.event order by id") == [
        ("update", None, True),
        ("update", {"number": 1}, False),
    ]
    assert item.events()[1][1]["new"] == {"number": 1, "v": "c", "who": None}


@pytest.mark.parametrize("cause", ["alter table item rename id to number", "select 1"])
def test_writers_whose_values_cannot_be_captured_wait_for_nobody(
    item: Database, cause: str
) -> None:
    watch(item, "item", when="1 / length(v) > 0")
    item.query(cause)
    writers = item.connect(), item.connect()
    for number, writer in enumerate(writers):
        query(writer, "set statement_timeout = '2s'")
        query(writer, "begin")
        query(writer, "insert into item values (%s, '')", number)
        assert "without its values" in writer.notices[-1]
    for writer in writers:
        query(writer, "commit")

    assert [op for op, _ in item.events()] == ["insert", "insert"]


def test_refresh_waits_for_no_writer(stock: Database) -> None:
    writer = stock.connect()
    query(writer, "begin")
    query(writer, "insert into stock values (1, 1)")
    stock.query("set lock_timeout = '100ms'")
    stock.query("select wamp.refresh('stock')")
    # Only other options do.
    with pytest.raises(psycopg2.errors.LockNotAvailable):
        watch(stock, "stock", old="none")
    query(writer, "rollback")

    stock.query("drop trigger wamp_delete on stock_1")
    stock.query("alter table stock_1 disable trigger wamp_insert")
    stock.query("select wamp.refresh('stock')")
    stock.query("insert into stock_1 values (2, 1)")
    stock.query("delete from stock_1")
    assert ids(stock) == [("insert", 2), ("delete", 2)]


@pytest.mark.parametrize(
    "options",
    [
        {"columns": ["v", "who"]},
        {"when": "who is not null"},
        {"topic": "x.{who}"},
        {"eligible_authid": "who"},
    ],
)
def test_a_column_that_the_options_name_can_go_without_a_write_failing(
    item: Database, options: dict[str, Any]
) -> None:
    watch(item, "item", **options)
    item.query("alter table item drop column who")
    writer = item.connect()
    query(writer, "insert into item values (1, 'a')")

    assert "without its values" in writer.notices[-1]
    [(op, found, truncated)] = item.query("select op, options, size = 2147483647 from wamp.event")
    # Whom it concerned is not known any more: it goes to nobody.
    expected = {"eligible_authid": []} if "eligible_authid" in options else None
    assert (op, found, truncated) == ("insert", expected, True)
    with pytest.raises(psycopg2.Error, match="who"):
        item.query("select wamp.refresh('item')")
    watch(item, "item")
    query(writer, "insert into item values (2, 'b')")
    assert item.events()[1][1]["new"] == {"id": 2, "v": "b"}


@pytest.mark.parametrize(
    "options",
    [
        {"columns": ["v", "who"]},
        {"when": "who is not null"},
        {"topic": "x.{who}"},
        {"eligible_authid": "who"},
    ],
)
def test_with_event_triggers_such_a_column_stays(
    followed: Database, options: dict[str, Any]
) -> None:
    followed.query("create table item (id int primary key, v text, who text)")
    watch(followed, "item", **options)
    for statement in (
        "alter table item drop column who",
        "alter table item rename who to whom",
        "alter table item drop column who, add column n int",
    ):
        with pytest.raises(psycopg2.errors.UndefinedColumn, match="who"):
            followed.query(statement)
    followed.query("alter table item drop column v" if "columns" not in options else "select 1")
    followed.query("insert into item (id, who) values (1, 'ann')")
    assert changes(followed) == [("insert", "item", {"id": 1})]


def test_with_event_triggers_a_new_key_is_in_the_next_event(followed: Database) -> None:
    followed.query("create table item (id int primary key, v text not null)")
    watch(followed, "item")
    followed.query("alter table item rename id to number")
    followed.query("insert into item values (1, 'a')")
    followed.query("alter table item drop constraint item_pkey, add primary key (v)")
    followed.query("insert into item values (2, 'b')")

    assert [key for _, _, key in changes(followed)] == [{"number": 1}, {"v": "b"}]


def test_half_a_gigabyte_fails_no_write(item: Database) -> None:
    watch(item, "item", old="full", columns=["v"])
    item.query("insert into item values (1, repeat('\"', 300000000))")
    item.query("update item set v = v || 'x'")
    item.query("delete from item")

    rows = (
        "select op, key, new is null and old is null, size > 16777216 from wamp.event order by id"
    )
    # Without values it cannot be said whether the key is the same.
    assert item.query(rows) == [
        ("insert", {"id": 1}, True, True),
        ("delete", {"id": 1}, True, True),
        ("insert", {"id": 1}, True, True),
        ("delete", {"id": 1}, True, True),
    ]
