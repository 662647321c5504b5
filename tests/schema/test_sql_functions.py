"""The functions of the wamp schema that people and the component call."""

from __future__ import annotations

import psycopg2
import pytest
from psycopg2.extensions import connection as Connection

from .conftest import Database, notified, query


def hint(caught: pytest.ExceptionInfo[psycopg2.Error]) -> str:
    return caught.value.diag.message_hint or ""


# publish


def test_publish_writes_down_what_is_to_be_published_and_returns_nothing(
    wamp_database: Database,
) -> None:
    returned = wamp_database.value(
        """select wamp.publish('com.example.hello', '["world"]', '{"loud": true}', """
        """'{"exclude_me": false}')"""
    )

    assert returned == ""
    assert wamp_database.published() == [
        (
            {"topic": "com.example.hello", "options": {"exclude_me": False}},
            {"args": ["world"], "kwargs": {"loud": True}},
        )
    ]


def test_publish_needs_only_a_topic_and_equal_publishes_are_two_events(
    wamp_database: Database,
) -> None:
    for _ in range(2):
        wamp_database.query("select wamp.publish('a.b')")

    assert wamp_database.published() == [({"topic": "a.b", "options": None}, {})] * 2


def test_a_publish_rolled_back_is_none(wamp_database: Database) -> None:
    writer = wamp_database.connect()
    query(writer, "begin")
    query(writer, "select wamp.publish('a.b')")
    query(writer, "rollback")

    assert wamp_database.published() == []


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("null", "topic null is not a WAMP URI"),
        ("''", "topic '' is not a WAMP URI"),
        ("'a..b'", "topic 'a..b' is not a WAMP URI"),
        ("'.a'", "is not a WAMP URI"),
        ("'a.'", "is not a WAMP URI"),
        ("'a b'", "is not a WAMP URI"),
        ("'a#b'", "is not a WAMP URI"),
        ("e'a.b\\n'", "is not a WAMP URI"),
        ("'wamp.session.on_join'", "belongs to the router"),
        ("'wamp'", "belongs to the router"),
        ("""'a.b', '{"x": 1}'""", "args must be a JSON array"),
        ("'a.b', '1'", "args must be a JSON array"),
        ("'a.b', 'null'", "args must be a JSON array"),
        ("'a.b', '[]', '[]'", "kwargs must be a JSON object"),
        ("'a.b', '[]', 'null'", "kwargs must be a JSON object"),
        ("'a.b', options => '[]'", "options must be a JSON object"),
        ("""'a.b', options => '{"retian": true}'""", "option retian is unknown"),
    ],
)
def test_publish_refuses_what_is_no_event(
    wamp_database: Database, arguments: str, message: str
) -> None:
    with pytest.raises(psycopg2.Error) as caught:
        wamp_database.query(f"select wamp.publish({arguments})")

    assert message in (caught.value.diag.message_primary or "")
    assert wamp_database.published() == []


@pytest.mark.parametrize("topic", ["wampum.x", "com.example.order-1", "com.Ünicode.x", "one"])
def test_publish_takes_any_loose_uri(wamp_database: Database, topic: str) -> None:
    wamp_database.query("select wamp.publish(%s)", topic)

    [(told, _)] = wamp_database.published()
    assert told["topic"] == topic


# watch, unwatch, watched


def test_watch_lists_the_table_with_its_key_and_can_be_repeated(wamp_database: Database) -> None:
    wamp_database.query("create table orders (a int, b int, primary key (b, a))")
    for _ in range(2):
        wamp_database.query("select wamp.watch('orders')")

    assert wamp_database.query(
        "select relation::text, relation_schema, relation_name, key_columns from wamp.watched"
    ) == [("orders", "public", "orders", ["b", "a"])]
    wamp_database.query("insert into orders values (1, 2)")
    assert len(wamp_database.changes()) == 1


def test_a_table_without_primary_key_is_watched_by_its_replica_identity(
    wamp_database: Database,
) -> None:
    wamp_database.query("create table log (n int not null, v int)")
    wamp_database.query("create unique index log_n on log (n) include (v)")
    wamp_database.query("alter table log replica identity using index log_n")
    wamp_database.query("select wamp.watch('log')")
    wamp_database.query("insert into log values (1, 2)")

    assert wamp_database.changes() == [("i", None, "(1,2)")]


def test_unwatch_ends_it_and_is_harmless_otherwise(wamp_database: Database) -> None:
    wamp_database.query("create table orders (id int primary key)")
    wamp_database.query("select wamp.unwatch('orders')")
    wamp_database.query("select wamp.watch('orders')")
    wamp_database.query("select wamp.unwatch('orders')")
    wamp_database.query("insert into orders values (1)")
    wamp_database.query("truncate orders")

    assert wamp_database.changes() == []
    assert wamp_database.query("select from wamp.watched") == []


def test_unwatch_leaves_other_triggers_alone(wamp_database: Database) -> None:
    wamp_database.query("create table orders (id int primary key)")
    wamp_database.query("select wamp.watch('orders')")
    wamp_database.query(
        "create trigger mine before update on orders for each row "
        "execute function suppress_redundant_updates_trigger()"
    )
    wamp_database.query("select wamp.unwatch('orders')")

    assert wamp_database.query(
        "select tgname::text from pg_trigger "
        "where tgrelid = 'orders'::regclass and not tgisinternal"
    ) == [("mine",)]


@pytest.mark.parametrize(
    ("definition", "message", "cure"),
    [
        ("create table bad (id int)", "bad has no primary key", "Add a primary key"),
        ("create view bad as select 1 as id", "bad is not a table", "below a view"),
        ("create materialized view bad as select 1 as id", "bad is not a table", "Only tables"),
        ("create sequence bad", "bad is not a table", "Only tables"),
    ],
)
def test_watch_refuses_what_it_cannot_follow(
    wamp_database: Database, definition: str, message: str, cure: str
) -> None:
    wamp_database.query(definition)
    with pytest.raises(psycopg2.Error, match=message) as caught:
        wamp_database.query("select wamp.watch('bad')")

    assert cure in hint(caught)


def test_watch_refuses_the_tables_that_events_are_written_to(wamp_database: Database) -> None:
    for table in ("wamp.raw", "wamp.log_0", "wamp.watch"):
        with pytest.raises(psycopg2.Error, match=f"{table} belongs to pgwamp"):
            wamp_database.query(f"select wamp.watch('{table}')")


# the sequencer's sleep


@pytest.fixture
def listener(wamp_database: Database) -> Connection:
    """A connection that listens as a sequencer does."""
    connection = wamp_database.connect()
    query(connection, 'listen "wamp.raw"')
    return connection


@pytest.mark.parametrize(
    "statement",
    [
        "select wamp.publish('a.b')",
        "insert into orders values (1)",
        "insert into orders values (1), (2)",
        "truncate orders",
        "select wamp.watch('orders', '{\"old\": \"none\"}')",
        "select wamp.refresh('orders')",
        "select wamp.unwatch('orders')",
        "select wamp.forget('orders')",
    ],
)
@pytest.mark.parametrize("turn", [0, 1, 2])
def test_whatever_is_written_down_wakes_the_sequencer_if_it_sleeps(
    wamp_database: Database, listener: Connection, statement: str, turn: int
) -> None:
    wamp_database.query("create table orders (id int primary key)")
    wamp_database.query("select wamp.watch('orders')")
    writer = wamp_database.connect()
    query(writer, "begin")
    query(writer, "select setval('wamp.signal', %s)", turn * 2 + 1)
    query(writer, statement)
    assert notified(listener) == []
    turns = query(writer, "select distinct turn from wamp.raw where xid = pg_current_xact_id()")
    query(writer, "commit")

    assert notified(listener) == [""]
    assert turns == [(turn,)]


@pytest.mark.parametrize(
    "statement",
    ["select wamp.publish('a.b')", "insert into orders values (1)", "delete from orders"],
)
def test_an_awake_sequencer_is_not_notified(
    wamp_database: Database, listener: Connection, statement: str
) -> None:
    wamp_database.query("create table orders (id int primary key)")
    wamp_database.query("select wamp.watch('orders')")
    wamp_database.query(statement)

    assert notified(listener) == []


def test_a_statement_that_changes_nothing_wakes_nobody(
    wamp_database: Database, listener: Connection
) -> None:
    wamp_database.query("create table orders (id int primary key)")
    wamp_database.query("select wamp.watch('orders')")
    wamp_database.query("select setval('wamp.signal', 1)")
    wamp_database.query("delete from orders")

    assert notified(listener) == []


def test_in_a_copy_without_data_publish_and_watch_fail_no_transaction(
    wamp_database: Database,
) -> None:
    wamp_database.query("drop sequence wamp.signal")
    wamp_database.query("create sequence wamp.signal minvalue 0")
    wamp_database.query("create table orders (id int primary key)")
    for statement in (
        "select wamp.watch('orders')",
        "insert into orders values (1)",
        "select wamp.publish('a.b')",
    ):
        wamp_database.query(statement)

    assert wamp_database.query("select turn, op::text from wamp.raw order by place, n") == [
        (0, "w"),
        (0, "p"),
    ]
