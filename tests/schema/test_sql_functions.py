"""The functions of the wamp schema that people and the component call."""

from __future__ import annotations

from typing import Any

import psycopg2
import pytest
from psycopg2.extensions import connection as Connection

from pgwamp.events.announced import Announcement

from .conftest import Database, notified, query

#: The advisory lock of a publisher that sleeps.
ASLEEP = "(20599, 3)"


def hint(caught: pytest.ExceptionInfo[psycopg2.Error]) -> str:
    return caught.value.diag.message_hint or ""


# publish


def test_publish_stores_an_event_and_returns_its_id(wamp_database: Database) -> None:
    number = wamp_database.value(
        """select wamp.publish('com.example.hello', '["world"]', '{"loud": true}', """
        """'{"exclude_me": false}')"""
    )

    assert wamp_database.query(
        "select id, topic, args, kwargs, options, relation_schema, relation, op from wamp.event"
    ) == [
        (number, "com.example.hello", ["world"], {"loud": True}, {"exclude_me": False}, *[None] * 3)
    ]


def test_publish_needs_only_a_topic_and_equal_publishes_are_two_events(
    wamp_database: Database,
) -> None:
    first = wamp_database.value("select wamp.publish('a.b')")
    second = wamp_database.value("select wamp.publish('a.b')")

    assert second > first
    assert (
        wamp_database.query("select args, kwargs, options from wamp.event")
        == [(None, None, None)] * 2
    )


def test_a_publish_rolled_back_is_none(wamp_database: Database) -> None:
    writer = wamp_database.connect()
    query(writer, "begin")
    query(writer, "select wamp.publish('a.b')")
    query(writer, "rollback")

    assert wamp_database.value("select count(*) from wamp.event") == 0


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
    assert wamp_database.value("select count(*) from wamp.event") == 0


@pytest.mark.parametrize("topic", ["wampum.x", "com.example.order-1", "com.Ünicode.x", "one"])
def test_publish_takes_any_loose_uri(wamp_database: Database, topic: str) -> None:
    wamp_database.query("select wamp.publish(%s)", topic)

    assert wamp_database.query("select topic from wamp.event") == [(topic,)]


# watch, unwatch, watched


def test_watch_lists_the_table_with_its_key_and_can_be_repeated(wamp_database: Database) -> None:
    wamp_database.query("create table orders (a int, b int, primary key (b, a))")
    for _ in range(2):
        wamp_database.query("select wamp.watch('orders')")

    assert wamp_database.query(
        "select relation::text, relation_schema, relation_name, key_columns from wamp.watched"
    ) == [("orders", "public", "orders", ["b", "a"])]
    wamp_database.query("insert into orders values (1, 2)")
    assert len(wamp_database.events()) == 1


def test_a_table_without_primary_key_is_watched_by_its_replica_identity(
    wamp_database: Database,
) -> None:
    wamp_database.query("create table log (n int not null, v int)")
    wamp_database.query("create unique index log_n on log (n) include (v)")
    wamp_database.query("alter table log replica identity using index log_n")
    wamp_database.query("select wamp.watch('log')")
    wamp_database.query("insert into log values (1, 2)")

    assert wamp_database.events() == [("insert", {"key": {"n": 1}, "new": {"n": 1, "v": 2}})]


def test_unwatch_ends_it_and_is_harmless_otherwise(wamp_database: Database) -> None:
    wamp_database.query("create table orders (id int primary key)")
    wamp_database.query("select wamp.unwatch('orders')")
    wamp_database.query("select wamp.watch('orders')")
    wamp_database.query("select wamp.unwatch('orders')")
    wamp_database.query("insert into orders values (1)")
    wamp_database.query("truncate orders")

    assert wamp_database.events() == []
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
    for table in ("wamp.event", "wamp.event_0", "wamp.retention"):
        with pytest.raises(psycopg2.Error, match=f"{table} belongs to pgwamp"):
            wamp_database.query(f"select wamp.watch('{table}')")


# wake


def announced(payloads: list[str]) -> list[dict[str, Any] | None]:
    """The events that notifications carry; None of one that carries none."""
    return [dict(Announcement.parse(text).record) if text else None for text in payloads]


@pytest.fixture
def listener(wamp_database: Database) -> Connection:
    """A connection that leads and listens as a sleeping publisher does."""
    connection = wamp_database.connect()
    query(connection, "listen pgwamp")
    query(connection, f'listen "{wamp_database.value("select channel from wamp.retention")}"')
    query(connection, f"select pg_advisory_lock{ASLEEP}")
    return connection


def test_a_sleeping_publisher_is_woken_once_per_transaction_when_it_commits(
    wamp_database: Database, listener: Connection
) -> None:
    writer = wamp_database.connect()
    query(writer, "begin")
    for _ in range(3):
        query(writer, "select wamp.publish('a.b')")
    assert notified(listener) == []
    query(writer, "commit")

    # The first event is handed over, the others are to be read.
    first, rest = announced(notified(listener))
    assert first is not None
    assert first["topic"] == "a.b"
    assert first["id"] == wamp_database.value("select min(id) from wamp.event")
    assert rest is None


def test_an_awake_publisher_is_not_notified(wamp_database: Database, listener: Connection) -> None:
    wamp_database.query("create table orders (id int primary key)")
    wamp_database.query("select wamp.watch('orders')")
    query(listener, f"select pg_advisory_unlock{ASLEEP}")
    writer = wamp_database.connect()
    query(writer, "select wamp.publish('a.b')")
    query(writer, "insert into orders values (1)")
    assert notified(listener) == []

    query(listener, f"select pg_advisory_lock{ASLEEP}")
    query(writer, "insert into orders values (2)")
    assert [event and event["key"] for event in announced(notified(listener))] == ['{"id" : 2}']


@pytest.mark.parametrize(
    "statements",
    [
        ["insert into orders values (1), (2)"],
        ["insert into orders values (1, repeat('x', 8000))"],
        # Of characters that JSON escapes.
        ["insert into orders values (1, repeat(e'\\x01', 3000))"],
        ["set synchronous_commit = off", "insert into orders values (1)"],
        # It does not see what others have committed since it began.
        ["begin isolation level repeatable read", "insert into orders values (1)", "commit"],
        ["begin isolation level serializable", "select wamp.publish('a.b')", "commit"],
        ["truncate orders"],
    ],
)
def test_what_cannot_be_handed_over_is_only_told(
    wamp_database: Database, listener: Connection, statements: list[str]
) -> None:
    wamp_database.query("create table orders (id int primary key, note text)")
    wamp_database.query("select wamp.watch('orders')")
    writer = wamp_database.connect()
    for statement in statements:
        query(writer, statement)

    assert notified(listener) == [""]


def test_what_is_handed_over_is_what_is_stored(
    wamp_database: Database, listener: Connection
) -> None:
    wamp_database.query("create table orders (id int primary key, note text)")
    wamp_database.query("select wamp.watch('orders', '{\"topic\": \"a.{op}\"}')")
    writer = wamp_database.connect()
    query(writer, "set datestyle = 'german'")
    query(writer, "insert into orders values (1, 'a \U0001f418')")
    query(writer, "update orders set note = 'b'")
    query(writer, "delete from orders")
    query(writer, "select wamp.publish('a.b', '[1]', '{\"a\": 2}', '{\"exclude_me\": false}')")

    stored = wamp_database.query(
        "select json_build_object('id', id, 'xid', xid::text, 'topic', topic, "
        "'created_at', (created_at at time zone 'UTC')::text || '+00', "
        "'relation_schema', relation_schema, "
        "'relation', relation, 'op', op, 'options', options::text, 'changed', changed, "
        "'args', args::text, 'kwargs', kwargs::text, 'key', key::text, 'new', new::text, "
        "'old', old::text, 'truncated', false) from wamp.event order by id"
    )
    events = announced(notified(listener))
    assert [{**(event or {}), "snapshot": None} for event in events] == [
        {**event, "snapshot": None} for (event,) in stored
    ]


def test_a_rolled_back_event_is_not_handed_over(
    wamp_database: Database, listener: Connection
) -> None:
    writer = wamp_database.connect()
    for statement in (
        "begin",
        "savepoint here",
        "select wamp.publish('a.undone')",
        "rollback to here",
        "select wamp.publish('a.done')",
        "commit",
    ):
        query(writer, statement)

    assert [event and event["topic"] for event in announced(notified(listener))] == ["a.done"]


def test_without_a_publisher_nobody_notifies(wamp_database: Database, listener: Connection) -> None:
    query(listener, f"select pg_advisory_unlock{ASLEEP}")
    wamp_database.query("select wamp.publish('a.b')")
    assert notified(listener) == []


def test_waking_leaves_no_lock_behind(wamp_database: Database) -> None:
    writer = wamp_database.connect()
    query(writer, "begin")
    query(writer, "select wamp.publish('a.b')")

    assert wamp_database.value(f"select pg_try_advisory_lock{ASLEEP}")


@pytest.mark.parametrize("write", ["perform wamp.publish('a.b')", "insert into orders values (1)"])
def test_a_cancelled_statement_leaves_no_lock_behind(wamp_database: Database, write: str) -> None:
    wamp_database.query("create table orders (id int)")
    wamp_database.query("alter table orders replica identity full")
    wamp_database.query("select wamp.watch('orders')")
    writer = wamp_database.connect()
    query(writer, "set statement_timeout = 20")
    # Where it is cancelled is chance: of a hundred times several are between the two.
    for _ in range(100):
        with pytest.raises(psycopg2.errors.QueryCanceled):
            query(writer, f"do $$ begin loop {write}; end loop; end $$")

    assert wamp_database.value(f"select pg_try_advisory_lock{ASLEEP}")


def test_a_row_that_only_left_its_partition_wakes(
    wamp_database: Database, listener: Connection
) -> None:
    wamp_database.query("create table stock (id int primary key) partition by range (id)")
    for low in (0, 100):
        wamp_database.query(
            f"create table stock_{low} partition of stock for values from ({low}) to ({low + 100})"
        )
    wamp_database.query(
        "create function refused() returns trigger language plpgsql as 'begin return null; end'"
    )
    wamp_database.query(
        "create trigger refused before insert on stock_100 for each row execute function refused()"
    )
    wamp_database.query("select wamp.watch('stock')")
    wamp_database.query("insert into stock values (1)")
    assert len(notified(listener)) == 1

    wamp_database.query("update stock set id = 101")
    assert notified(listener) == [""]


def test_a_statement_without_events_wakes_nobody(
    wamp_database: Database, listener: Connection
) -> None:
    wamp_database.query("create table orders (id int primary key)")
    wamp_database.query("select wamp.watch('orders')")
    wamp_database.query("delete from orders")
    assert notified(listener) == []

    wamp_database.query("truncate orders")
    assert notified(listener) == [""]


# cluster, key_columns, project


def test_a_cluster_is_named_by_system_and_database(
    wamp_database: Database, empty_database: Database
) -> None:
    system, _, database = wamp_database.value("select wamp.cluster()").partition("-")

    assert int(system, 16) == wamp_database.value(
        "select system_identifier from pg_control_system()"
    )
    assert int(database, 16) == wamp_database.value(
        "select oid::bigint from pg_database where datname = current_database()"
    )


@pytest.mark.parametrize(
    ("value", "part"),
    [
        ("'plain-1_~'", "plain-1_~"),
        ("'a.b c#%'", "a%2Eb%20c%23%25"),
        ("'é😀'", "%C3%A9%F0%9F%98%80"),
        ("''", "-"),
        ("null", "-"),
        ("repeat('x', 300)", "x" * 200),
    ],
)
def test_a_value_becomes_one_part_of_a_uri(wamp_database: Database, value: str, part: str) -> None:
    assert wamp_database.value(f"select wamp.uri_part({value})") == part


# rotate


@pytest.fixture
def due(wamp_database: Database) -> Database:
    """A database in which a turn has passed, and everything is published."""
    wamp_database.query("update wamp.retention set rotated_at = now() - interval '2 hours'")
    wamp_database.query("update wamp.publisher set published = pg_current_snapshot()")
    return wamp_database


def rotate(database: Database) -> int | None:
    """By one turn of two hours."""
    slot: int | None = database.value("select wamp.rotate('4 hours')")
    return slot


def fill(database: Database, slot: int) -> str:
    """An event in a partition; its xid."""
    xid: str = database.value(
        f"insert into wamp.event (slot, topic) values ({slot}, 'a.b') returning xid::text"
    )
    return xid


def published(database: Database) -> None:
    database.query("update wamp.publisher set published = pg_current_snapshot()")


def test_a_turn_lasts_a_quarter_of_the_time_to_keep(due: Database) -> None:
    assert due.value("select wamp.rotate('8 hours 1 minute')") is None
    assert due.value("select slot from wamp.retention") == 0
    assert due.value("select wamp.rotate('7 hours 59 minutes')") == 1
    assert due.value("select wamp.rotate('7 hours 59 minutes')") is None


def test_rotate_empties_the_next_partition_and_remembers_what_was_removed(due: Database) -> None:
    fill(due, 1)
    newest = fill(due, 1)
    kept = fill(due, 2)
    published(due)

    assert rotate(due) == 1
    assert due.query("select xid::text, slot from wamp.event") == [(kept, 2)]
    assert due.query("select slot, pruned::text from wamp.retention") == [(1, newest)]
    due.query("select wamp.publish('c.d')")
    assert due.query("select slot from wamp.event where topic = 'c.d'") == [(1,)]


def test_partitions_take_turns_and_what_was_removed_never_decreases(due: Database) -> None:
    newest = fill(due, 3)
    published(due)
    seen = []
    for _ in range(7):
        due.query("update wamp.retention set rotated_at = now() - interval '2 hours'")
        seen.append(rotate(due))

    assert seen == [1, 2, 3, 4, 5, 0, 1]
    assert due.value("select pruned::text from wamp.retention") == newest


def test_a_partition_with_an_unpublished_event_is_not_emptied(due: Database) -> None:
    fill(due, 1)

    assert rotate(due) is None
    assert due.value("select count(*) from wamp.event") == 1
    assert due.value("select slot from wamp.retention") == 0
    published(due)
    assert rotate(due) == 1


def test_a_partition_in_use_by_an_open_transaction_is_not_emptied(due: Database) -> None:
    reader = due.connect()
    query(reader, "begin")
    query(reader, "select from wamp.event_1")
    assert rotate(due) is None
    assert due.value("select slot from wamp.retention") == 0

    query(reader, "commit")
    assert rotate(due) == 1


def test_an_unfinished_event_is_neither_waited_for_nor_lost(due: Database) -> None:
    writer = due.connect()
    query(writer, "begin")
    query(writer, "insert into wamp.event (slot, topic) values (1, 'a.b')")
    published(due)
    assert rotate(due) is None

    query(writer, "commit")
    assert rotate(due) is None
    assert due.value("select count(*) from wamp.event") == 1


def test_writers_do_not_wait_while_a_partition_is_emptied(due: Database) -> None:
    rotating = due.connect()
    query(rotating, "begin")
    assert query(rotating, "select wamp.rotate('4 hours')") == [(1,)]

    writer = due.connect()
    query(writer, "set lock_timeout = '5s'")
    query(writer, "select wamp.publish('a.b')")
    query(rotating, "commit")
    assert due.query("select slot from wamp.event") == [(0,)]


def test_only_one_of_two_rotates(due: Database) -> None:
    rotating = due.connect()
    query(rotating, "begin")
    assert query(rotating, "select wamp.rotate('4 hours')") == [(1,)]
    assert rotate(due) is None

    query(rotating, "commit")
    assert rotate(due) is None
    assert due.value("select slot from wamp.retention") == 1
