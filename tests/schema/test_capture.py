"""The events of watched tables: what writers do is what readers of the log are told."""

from __future__ import annotations

import io

import psycopg2
import pytest

from .conftest import GUEST, Database, query


@pytest.fixture
def orders(wamp_database: Database) -> Database:
    """A database with a watched table ``orders``."""
    wamp_database.query("create table orders (id int primary key, status text, total int)")
    wamp_database.query("select wamp.watch('orders')")
    return wamp_database


def test_an_insert_of_several_rows_is_one_event_per_row_in_order(orders: Database) -> None:
    orders.query("insert into orders values (2, 'open', 5), (1, 'new', null)")

    assert orders.events() == [
        ("insert", {"key": {"id": 2}, "new": {"id": 2, "status": "open", "total": 5}}),
        ("insert", {"key": {"id": 1}, "new": {"id": 1, "status": "new", "total": None}}),
    ]


def test_an_event_names_relation_transaction_and_moment_but_no_topic(orders: Database) -> None:
    orders.query("insert into orders values (1)")

    xid = orders.value("select xmin::text from orders")
    [event] = orders.log()
    assert (event.schema, event.table) == ("public", "orders")
    assert (event.topic, event.options, event.silent, event.batched) == (None, None, False, False)
    assert orders.query(
        "select xid::text, at between now() - interval '1 minute' and clock_timestamp() "
        "from wamp.log where op = 'insert'"
    ) == [(xid, True)]


def test_an_update_says_what_changed_and_what_it_was(orders: Database) -> None:
    orders.query("insert into orders values (1, 'new', 5), (2, 'new', 6), (3, 'done', 7)")
    orders.query("update orders set status = 'open', total = total where id < 3")

    assert orders.events()[3:] == [
        (
            "update",
            {
                "key": {"id": number},
                "new": {"id": number, "status": "open", "total": total},
                "old": {"status": "new"},
                "changed": ["status"],
            },
        )
        for number, total in ((1, 5), (2, 6))
    ]


def test_an_update_that_changes_nothing_has_no_old_values(orders: Database) -> None:
    orders.query("insert into orders values (1, 'new', 5)")
    orders.query("update orders set total = total")

    assert orders.events()[1][1]["changed"] == []
    assert orders.events()[1][1]["old"] == {}


def test_a_write_of_one_row_takes_no_transaction_id_of_its_own(orders: Database) -> None:
    """More than 64 of them would make all snapshots slow: each looks up what belongs to what."""
    writer = orders.connect()
    query(writer, "begin")
    for statement in (
        "insert into orders values (1, 'new', 5)",
        "update orders set total = 6",
        "update orders set id = 2",
        "delete from orders",
    ):
        query(writer, statement)

    query(writer, "commit")

    # A row names whatever wrote it, in the block that catches errors its subtransaction.
    raw = "select xmin::text = xid::text from wamp.raw where op <> 'w'"
    assert orders.query(raw) == [(True,)] * 4
    assert [event for event, _ in orders.events()] == ["insert", "update", "update", "delete"]


def test_no_error_is_raised_on_the_way(orders: Database) -> None:
    """This setting makes all errors end the session, also those that are caught."""
    writer = orders.connect()
    for statement in (
        "set exit_on_error = on",
        "insert into orders values (1, 'new', 5), (2, 'new', 6)",
        "update orders set total = 7 where id = 1",
        "update orders set total = 8",
        "update orders set total = 9 where id = 3",
        "insert into orders select where false",
        "delete from orders",
    ):
        query(writer, statement)

    assert [event for event, _ in orders.events()] == ["insert"] * 2 + ["update"] * 3 + [
        "delete"
    ] * 2


def test_a_delete_has_the_whole_old_row(orders: Database) -> None:
    orders.query("insert into orders values (1, 'new', 5), (2, 'new', 6)")
    orders.query("delete from orders where id = 2")

    assert orders.events()[2:] == [
        ("delete", {"key": {"id": 2}, "old": {"id": 2, "status": "new", "total": 6}})
    ]


def test_a_truncate_is_one_event(orders: Database) -> None:
    orders.query("insert into orders values (1), (2)")
    orders.query("truncate orders")

    assert orders.events()[2:] == [("truncate", {})]


@pytest.mark.parametrize(
    "statement",
    [
        "insert into orders select 1 where false",
        "update orders set total = 1 where id = 9",
        "delete from orders where id = 9",
    ],
)
def test_a_statement_without_rows_is_no_event(orders: Database, statement: str) -> None:
    orders.query("insert into orders values (1)")
    orders.query(statement)

    assert [op for op, _ in orders.events()] == ["insert"]


def test_a_thousand_shuffled_key_updates_keep_old_and_new_together(orders: Database) -> None:
    orders.query(
        "insert into orders select g, 'row ' || g, g from generate_series(1, 1000) as g "
        "order by random()"
    )
    # In another physical order than that of the keys, and moved through an index.
    orders.query("update orders set total = total + 1 where id % 3 = 0")
    orders.skip()
    orders.query("update orders set id = 5000 - id, total = -total")

    events = orders.events()
    assert len(events) == 1000
    for op, kwargs in events:
        new, old = kwargs["new"], kwargs["old"]
        assert op == "update"
        assert kwargs["key"] == {"id": new["id"]}
        assert new["status"] == f"row {old['id']}"
        assert new["id"] == 5000 - old["id"]
        assert new["total"] == -old["total"]
        assert sorted(kwargs["changed"]) == ["id", "total"]


def test_a_large_update_is_never_paired_in_a_nested_loop(orders: Database) -> None:
    orders.query("insert into orders select g from generate_series(1, 20000) as g")
    # The plan of the session is made for two rows.
    orders.query("update orders set total = 1 where id < 3")
    # It takes about a second; in a nested loop it would take a minute.
    orders.query("set statement_timeout = '15s'")
    orders.query("update orders set total = 2")

    assert orders.value("select count(*) from wamp.raw where op = 'u'") == 20002


def test_an_upsert_is_an_insert_or_an_update(orders: Database) -> None:
    orders.query("insert into orders values (1, 'new', 5)")
    orders.query(
        "insert into orders values (2, 'x', 1), (1, 'y', 2) "
        "on conflict (id) do update set status = excluded.status"
    )

    assert sorted((op, kwargs["key"]["id"]) for op, kwargs in orders.events()[1:]) == [
        ("insert", 2),
        ("update", 1),
    ]


def test_merge_is_captured_as_what_it_did(orders: Database) -> None:
    if orders.value("select current_setting('server_version_num')::int") < 150000:
        pytest.skip("MERGE exists from PostgreSQL 15")
    orders.query("insert into orders values (1, 'a', 1), (2, 'b', 2), (3, 'c', 3)")
    orders.query(
        "merge into orders as o using (values (1), (2), (4)) as s (id) on o.id = s.id "
        "when matched and o.id = 1 then delete "
        "when matched then update set total = 20 "
        "when not matched then insert values (s.id, 'd', 4)"
    )

    changes = [(op, kwargs["key"], kwargs.get("old")) for op, kwargs in orders.events()[3:]]
    assert sorted(changes, key=str) == [
        ("delete", {"id": 1}, {"id": 1, "status": "a", "total": 1}),
        ("insert", {"id": 4}, None),
        ("update", {"id": 2}, {"total": 2}),
    ]


def test_copy_is_an_insert(orders: Database) -> None:
    with orders.connect().cursor() as cursor:
        cursor.copy_expert("copy orders (id, status) from stdin csv", io.StringIO("1,a\n2,b\n"))

    assert [(op, kwargs["key"]["id"]) for op, kwargs in orders.events()] == [
        ("insert", 1),
        ("insert", 2),
    ]


def test_cascades_of_a_foreign_key_are_captured(orders: Database) -> None:
    orders.query(
        "create table item (id int primary key, o int references orders on delete cascade)"
    )
    orders.query("select wamp.watch('item')")
    orders.query("insert into orders values (1), (2)")
    orders.query("insert into item values (10, 1), (11, 2), (12, 2)")
    orders.query("delete from orders")

    assert sorted(k["key"]["id"] for op, k in orders.events("item") if op == "delete") == [
        10,
        11,
        12,
    ]


def test_a_composite_key_is_kept_in_full(wamp_database: Database) -> None:
    wamp_database.query('create table line (n int, "Order" int, v int, primary key ("Order", n))')
    wamp_database.query("select wamp.watch('line')")
    wamp_database.query("insert into line values (1, 7, 0)")
    wamp_database.query("update line set n = 2")

    assert [kwargs["key"] for _, kwargs in wamp_database.events()] == [
        {"Order": 7, "n": 1},
        {"Order": 7, "n": 2},
    ]
    assert wamp_database.events()[1][1]["old"] == {"n": 1}


def test_columns_named_like_parts_of_the_trigger_are_just_columns(wamp_database: Database) -> None:
    names = ["n", "o", "r", "d", "c", "old", "new", "old_rows", "new_rows", "position", "key"]
    names += ["pair", "slot", "current_slot", "key_columns", "tg_op", "value"]
    columns = ", ".join(f'"{name}" int default 0' for name in names)
    wamp_database.query(f"create table odd (id int primary key, {columns})")
    wamp_database.query("select wamp.watch('odd')")
    wamp_database.query("insert into odd values (1)")
    wamp_database.query("update odd set n = 1, o = 1")
    wamp_database.query("delete from odd")

    row = {"id": 1} | dict.fromkeys(names, 0)
    changed = row | {"n": 1, "o": 1}
    assert wamp_database.events() == [
        ("insert", {"key": {"id": 1}, "new": row}),
        (
            "update",
            {"key": {"id": 1}, "new": changed, "old": {"n": 0, "o": 0}, "changed": ["n", "o"]},
        ),
        ("delete", {"key": {"id": 1}, "old": changed}),
    ]


@pytest.fixture
def parts(wamp_database: Database) -> Database:
    """A watched table ``stock`` in two partitions."""
    wamp_database.query(
        "create table stock (id int, place int, v text, primary key (id, place)) "
        "partition by list (place)"
    )
    for place in (1, 2):
        wamp_database.query(
            f"create table stock_{place} partition of stock for values in ({place})"
        )
    # Another order of columns than in its parent.
    wamp_database.query("create table stock_3 (v text, place int not null, id int not null)")
    wamp_database.query("alter table stock attach partition stock_3 for values in (3)")
    wamp_database.query("select wamp.watch('stock')")
    return wamp_database


def test_changes_of_a_partitioned_table_are_captured_through_it(parts: Database) -> None:
    parts.query("insert into stock values (1, 1, 'a'), (2, 2, 'b'), (3, 3, 'c')")
    parts.query("update stock set v = v || '!'")
    parts.query("delete from stock where place = 3")

    assert parts.events()[2] == (
        "insert",
        {"key": {"id": 3, "place": 3}, "new": {"id": 3, "place": 3, "v": "c"}},
    )
    assert [(op, k["new"]["v"], k["old"]) for op, k in parts.events()[3:6]] == [
        ("update", "a!", {"v": "a"}),
        ("update", "b!", {"v": "b"}),
        ("update", "c!", {"v": "c"}),
    ]
    assert [(op, k["key"]["id"]) for op, k in parts.events()[6:]] == [("delete", 3)]


def test_a_row_that_moves_to_another_partition_is_an_update(parts: Database) -> None:
    parts.query("insert into stock select g, 1, 'row ' || g from generate_series(1, 5) as g")
    parts.query("update stock set place = 2 where id % 2 = 0")

    assert [(op, k["key"], k["old"]) for op, k in parts.events()[5:]] == [
        ("update", {"id": 2, "place": 2}, {"place": 1}),
        ("update", {"id": 4, "place": 2}, {"place": 1}),
    ]


def test_rows_that_a_partition_refuses_do_not_shift_the_others(parts: Database) -> None:
    parts.query(
        "create function refuse() returns trigger language plpgsql as "
        "$$ begin if new.id = 2 then return null; end if; return new; end $$"
    )
    parts.query(
        "create trigger refuse before insert on stock_2 for each row execute function refuse()"
    )
    parts.query("insert into stock select g, 1, 'row ' || g from generate_series(1, 3) as g")
    parts.query("insert into stock values (9, 2, 'stays')")
    parts.skip()
    parts.query("update stock set place = 2, v = v || '!'")

    table = {(1, 1): "row 1", (2, 1): "row 2", (3, 1): "row 3", (9, 2): "stays"}
    for op, kwargs in parts.events():
        key = (kwargs["key"]["id"], kwargs["key"]["place"])
        if op == "delete":
            assert table.pop(key) == kwargs["old"]["v"]
        else:
            if op == "update":
                assert kwargs["old"] == {"v": table[key]}
            table[key] = kwargs["new"]["v"]
    rows = parts.query("select id, place, v from stock")
    assert table == {(number, place): v for number, place, v in rows}


def test_columns_added_or_dropped_after_watch_are_followed(orders: Database) -> None:
    orders.query("insert into orders values (1, 'a', 1)")
    orders.query("alter table orders drop column status, add column note text default 'n'")
    orders.query("update orders set total = 2")

    assert orders.events()[1][1] == {
        "key": {"id": 1},
        "new": {"id": 1, "total": 2, "note": "n"},
        "old": {"total": 1},
        "changed": ["total"],
    }


def test_a_key_that_changed_is_followed_after_watching_again(orders: Database) -> None:
    orders.query("alter table orders drop constraint orders_pkey, add primary key (status)")
    orders.query("select wamp.watch('orders')")
    orders.query("insert into orders values (1, 'a', 1)")

    assert orders.events() == [
        ("insert", {"key": {"status": "a"}, "new": {"id": 1, "status": "a", "total": 1}})
    ]


def test_a_rollback_leaves_no_event(orders: Database) -> None:
    writer = orders.connect()
    writer.autocommit = False
    query(writer, "insert into orders values (1)")
    assert query(writer, "select count(*) from wamp.raw where op = 'i'") == [(1,)]
    writer.rollback()

    assert orders.events() == []


def test_a_savepoint_rolled_back_leaves_no_event_and_the_rest_has_one_xid(orders: Database) -> None:
    writer = orders.connect()
    writer.autocommit = False
    query(writer, "insert into orders values (1)")
    query(writer, "savepoint s")
    query(writer, "insert into orders values (2)")
    query(writer, "rollback to s")
    query(writer, "savepoint t")
    query(writer, "insert into orders values (3)")
    [(xid,)] = query(writer, "select pg_current_xact_id()::text")
    writer.commit()

    assert [kwargs["key"]["id"] for _, kwargs in orders.events()] == [1, 3]
    assert orders.query("select distinct xid::text from wamp.log where op = 'insert'") == [(xid,)]


def test_a_prepared_transaction_publishes_when_it_commits(orders: Database) -> None:
    writer = orders.connect()
    # Nobody is woken: a transaction that notifies cannot be prepared.
    query(writer, "begin")
    query(writer, "insert into orders values (1)")
    query(writer, "prepare transaction 'order'")
    assert orders.events() == []
    query(writer, "commit prepared 'order'")

    assert [op for op, _ in orders.events()] == ["insert"]


def test_a_writer_needs_no_rights_on_the_events(orders: Database) -> None:
    orders.query(f"grant insert, update, delete, truncate, select on orders to {GUEST}")
    guest = orders.connect(GUEST)
    query(guest, "insert into orders values (1)")
    query(guest, "update orders set total = 1")
    query(guest, "delete from orders")
    query(guest, "truncate orders")

    assert [op for op, _ in orders.events()] == ["insert", "update", "delete", "truncate"]
    with pytest.raises(psycopg2.errors.InsufficientPrivilege):
        query(guest, "select from wamp.log")
    with pytest.raises(psycopg2.errors.InsufficientPrivilege):
        query(guest, "insert into wamp.raw (turn) values (0)")


def test_functions_of_the_writer_do_not_stand_in_for_those_of_the_system(orders: Database) -> None:
    orders.query(f"grant insert, select, update on orders to {GUEST}")
    orders.query(f"grant create on database {orders.name} to {GUEST}")
    guest = orders.connect(GUEST)
    query(guest, "create schema theirs")
    query(guest, "grant usage on schema theirs to public")
    query(
        guest,
        "create function theirs.jsonb_each(jsonb, out key text, out value jsonb) "
        """returns setof record language sql as $$ select 'forged', '"forged"'::jsonb $$""",
    )
    query(guest, "set search_path = theirs, public, pg_catalog")
    query(guest, "insert into orders values (1)")
    query(guest, "update orders set total = 2")

    assert orders.events()[1][1]["changed"] == ["total"]


def test_settings_of_the_writer_do_not_change_what_is_stored(wamp_database: Database) -> None:
    wamp_database.query(
        "create table moment (id int primary key, at timestamptz, day date, lasts interval, "
        "data bytea, x float8, span tstzrange)"
    )
    wamp_database.query("select wamp.watch('moment')")
    values = (
        "'2024-05-06 07:08:09.1+00', '2024-05-06', '1 day 02:03:04', '\\xdeff', 0.1::float8 + 0.2, "
        "'[2024-05-06 07:00+00,2024-05-06 08:00+00)'"
    )
    wamp_database.query(f"insert into moment values (1, {values})")
    writer = wamp_database.connect()
    for setting in (
        "timezone = 'Asia/Kathmandu'",
        "datestyle = 'German'",
        "intervalstyle = 'postgres_verbose'",
        "bytea_output = 'escape'",
        "extra_float_digits = -3",
    ):
        query(writer, f"set {setting}")
    query(writer, "insert into moment select 2, at, day, lasts, data, x, span from moment")

    first, second = (kwargs["new"] for _, kwargs in wamp_database.events())
    assert {**second, "id": 1} == first
    assert first["at"] == "2024-05-06T07:08:09.1+00:00"
    assert first["lasts"] == "P1DT2H3M4S"
    assert first["data"] == b"\xde\xff"
    assert first["x"] == 0.30000000000000004
    # And the session keeps its own.
    assert query(writer, "show timezone") == [("Asia/Kathmandu",)]
