"""The events of tables of every kind, and of tables that change while they are watched."""

from __future__ import annotations

from typing import Any

import psycopg2
import pytest

from pgwamp import migrations

from .conftest import Database, Server
from .watching import fold, watch


@pytest.fixture
def followed(wamp_database: Database, server: Server) -> Database:
    """A database with event triggers."""
    migrations.upgrade(server.url(wamp_database.name))
    return wamp_database


def changes(database: Database) -> list[tuple[str, str | None, Any]]:
    """Operation, table and key of each event."""
    return [(event.op, event.table, event.body.get("key")) for event in database.log()]


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
        "price": "1.50",
        "pairs": [{"a": 1, "b": "x"}, None],
        "span": {"lower": "1", "upper": "3", "bounds": "[)"},
        "spans": [
            {"lower": "1", "upper": "2", "bounds": "[)"},
            {"lower": "4", "upper": "5", "bounds": "[)"},
        ],
        "bits": "101",
        "doubled": 8,
        "weight": 4,
        "facts": {"a": 2},
        "data": b"\xde\xad",
        "lasts": "P1D",
        "net": "::1/64",
        "at": "2023-12-31T22:00:00+00:00",
        "grid": [[1, 2], [3, 4]],
        "x": "NaN",
        "note": '𝄞 "q" \\ ',
    }
    assert updated["changed"] == ["doubled", "weight", "facts"]
    assert updated["old"] == inserted["new"]


def test_columns_that_are_computed_when_read_count_like_others(wamp_database: Database) -> None:
    if wamp_database.value("select current_setting('server_version_num')::int") < 180000:
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
        wamp_database.skip()
        wamp_database.query("insert into item values (1, 1), (2, 2)")
        wamp_database.query("update item set n = n + 1")
        wamp_database.query("delete from item where id = 1")
        *_, last = fold(wamp_database).values()
        assert [row['dou"ble'] for row in last.values() if row] == [6]
        wamp_database.query("delete from item")
        assert not fold(wamp_database)
    events = wamp_database.log()
    assert [event.topic for event in events] == [
        *("x.inserted.u2", "x.inserted.u2", "x.deleted.u2", "x.inserted.u3"),
        *("x.deleted.u2", "x.deleted.u3"),
    ]
    assert events[-1].options == {"eligible_authid": ["u3"]}


def test_a_table_keeps_its_watch_under_another_name(wamp_database: Database) -> None:
    wamp_database.query("create table item (id int primary key, v text, who text)")
    watch(wamp_database, "item", topic="x.{op}.{who}", columns=["id", "v"])
    wamp_database.query("create schema other")
    wamp_database.query("alter table item rename to thing")
    wamp_database.query("alter table thing set schema other")
    wamp_database.query("select wamp.refresh('other.thing')")
    wamp_database.query("insert into other.thing values (1, 'a', 'ann')")

    [event] = wamp_database.log()
    assert (event.topic, event.schema, event.table) == ("x.inserted.ann", "other", "thing")
    assert event.body["new"] == {"id": 1, "v": "a"}


@pytest.mark.parametrize(
    "options",
    [
        {"columns": ["v", "who"]},
        {"topic": "x.{who}"},
        {"eligible_authid": "who"},
        {"when": "who is not null"},
    ],
)
def test_without_event_triggers_a_column_that_the_options_name_goes_and_no_write_fails(
    wamp_database: Database, options: dict[str, Any]
) -> None:
    wamp_database.query("create table item (id int primary key, v text, who text)")
    watch(wamp_database, "item", **options)
    wamp_database.query("alter table item drop column who")
    wamp_database.query("insert into item values (1, 'a')")

    [event] = wamp_database.log()
    assert event.op == "insert"
    if "eligible_authid" in options:
        # Nobody knows whom it concerned: it goes to nobody.
        assert event.options == {"eligible_authid": []}
    watch(wamp_database, "item")
    wamp_database.skip()
    wamp_database.query("insert into item values (2, 'b')")
    assert wamp_database.events()[0][1]["new"] == {"id": 2, "v": "b"}


@pytest.mark.parametrize("option", ["publish", "batch"])
def test_options_for_publishing_stand_with_the_events(wamp_database: Database, option: str) -> None:
    wamp_database.query("create table item (id int primary key)")
    watch(wamp_database, "item", **{option: option == "batch"})
    wamp_database.query("insert into item values (1)")
    wamp_database.query("truncate item")

    flags = [(event.silent, event.batched) for event in wamp_database.log()]
    # All subscribers are told of a TRUNCATE at once, each for itself.
    expected = (
        [(True, False), (True, False)] if option == "publish" else [(False, True), (False,) * 2]
    )
    assert flags == expected


def test_a_detached_partition_is_watched_no_longer(followed: Database) -> None:
    for statement in (
        "create table stock (id int primary key) partition by range (id)",
        "create table stock_1 partition of stock for values from (0) to (10)",
        "create table stock_2 partition of stock for values from (10) to (20)",
    ):
        followed.query(statement)
    watch(followed, "stock")
    followed.query("alter table stock detach partition stock_1")
    followed.skip()
    followed.query("insert into stock_1 values (1)")
    followed.query("truncate stock_1")
    followed.query("insert into stock values (11)")
    assert changes(followed) == [("insert", "stock", {"id": 11})]

    watch(followed, "stock_1", old="none")
    followed.skip()
    followed.query("insert into stock_1 values (2)")
    assert changes(followed) == [("insert", "stock_1", {"id": 2})]


@pytest.mark.parametrize(
    "options",
    [
        {"columns": ["v", "who"]},
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


@pytest.mark.parametrize(
    ("size", "told"),
    [
        # Nobody can read again what the event is of.
        (300_000_000, {"truncated": True}),
        (20_000_000, {"key": {"id": 1}, "truncated": True}),
    ],
)
def test_half_a_gigabyte_fails_no_write(
    wamp_database: Database, size: int, told: dict[str, Any]
) -> None:
    wamp_database.query("create table item (id int primary key, v text)")
    watch(wamp_database, "item", old="full", columns=["v"])
    wamp_database.query("insert into item values (1, repeat('\"', %s))", size)
    wamp_database.query("delete from item")

    assert wamp_database.events() == [("insert", told), ("delete", told)]
