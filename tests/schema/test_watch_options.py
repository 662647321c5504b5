"""The options of wamp.watch: what each does to the events of every kind of statement."""

from __future__ import annotations

from typing import Any

import psycopg2
import pytest

from .conftest import Database
from .watching import fold, watch

ROWS = (
    "insert into orders values (1, 'draft', 5, 'ann'), (2, 'open', 6, 'bob'), (3, 'open', 7, null)"
)


@pytest.fixture
def orders(wamp_database: Database) -> Database:
    """A database with a table ``orders`` that is not watched yet."""
    wamp_database.query(
        "create table orders (id int, status text, total int, owner text, "
        "primary key (id) deferrable)"
    )
    return wamp_database


def audiences(database: Database) -> list[tuple[str, str | None, Any, Any]]:
    """Operation, topic, options and key of each change, the oldest first."""
    return [
        (event.op, event.topic, event.options, event.body.get("key")) for event in database.log()
    ]


def since(database: Database, *statements: str) -> list[tuple[str, dict[str, Any]]]:
    """The changes of these statements."""
    database.skip()
    for statement in statements:
        database.query(statement)
    return database.events()


# --- columns ------------------------------------------------------------------------------------


def test_columns_are_all_that_events_carry(orders: Database) -> None:
    watch(orders, "orders", columns=["total", "status"])
    orders.query("insert into orders values (1, 'a', 5, 'ann')")
    orders.query("update orders set status = 'b', owner = 'bob'")
    orders.query("delete from orders")

    key = {"key": {"id": 1}}
    new = {"status": "b", "total": 5}
    assert orders.events() == [
        ("insert", {**key, "new": {"status": "a", "total": 5}}),
        ("update", {**key, "new": new, "old": {"status": "a"}, "changed": ["status"]}),
        ("delete", {**key, "old": new}),
    ]


def test_an_update_of_other_columns_is_not_published(orders: Database) -> None:
    watch(orders, "orders", columns=["status"])
    orders.query(ROWS)

    assert since(orders, "update orders set total = 0, status = status") == []
    # Of several rows only those that changed.
    changed = since(orders, "update orders set status = 'open', total = 1")
    assert [kwargs["key"] for _, kwargs in changed] == [{"id": 1}]


def test_a_key_that_is_no_column_of_them_is_followed_all_the_same(orders: Database) -> None:
    watch(orders, "orders", columns=["status"])
    orders.query("insert into orders values (1, 'a')")

    assert since(orders, "update orders set id = 2") == [
        (
            "update",
            {"key": {"id": 2}, "new": {"status": "a"}, "old": {"id": 1}, "changed": ["id"]},
        )
    ]


# --- old ----------------------------------------------------------------------------------------

WHOLE = {"id": 1, "status": "a", "total": 5, "owner": None}


@pytest.mark.parametrize(
    ("old", "updated", "deleted"),
    [
        ("changed", {"status": "a"}, {**WHOLE, "status": "b"}),
        ("full", WHOLE, {**WHOLE, "status": "b"}),
        ("key", {}, None),
        ("none", None, None),
    ],
)
def test_old_says_what_events_carry_of_the_former_row(
    orders: Database, old: str, updated: Any, deleted: Any
) -> None:
    watch(orders, "orders", old=old)
    orders.query("insert into orders values (1, 'a', 5)")
    orders.query("update orders set status = 'b'")
    orders.query("delete from orders")

    (_, update), (_, delete) = orders.events()[1:]
    assert update.get("old") == updated
    assert update["changed"] == ["status"]
    assert delete["key"] == {"id": 1}
    assert delete.get("old") == deleted


def test_a_new_key_has_the_old_one_beside_it(orders: Database) -> None:
    watch(orders, "orders", old="key")
    orders.query("insert into orders values (1, 'a', 5)")
    orders.query("update orders set id = 2, status = 'b'")

    assert orders.events()[1][1]["old"] == {"id": 1}
    fold(orders)


def test_a_new_key_without_old_is_a_delete_and_an_insert(orders: Database) -> None:
    watch(orders, "orders", old="none")
    orders.query("insert into orders values (1, 'a', 5)")

    assert since(orders, "update orders set id = 2") == [
        ("delete", {"key": {"id": 1}}),
        ("insert", {"key": {"id": 2}, "new": {**WHOLE, "id": 2}}),
    ]


@pytest.mark.parametrize("old", ["none", "key", "changed", "full"])
def test_keys_that_change_hands_lose_no_row(orders: Database, old: str) -> None:
    watch(orders, "orders", old=old)
    for update in (
        "update orders set id = 4 - id",
        "update orders set id = id + 1",
        "update orders set id = id % 3 + 1, total = 0",
        "update orders set id = id + 3 where id < 3",
        "update orders set id = case id when 1 then 2 when 2 then 9 else 1 end",
    ):
        orders.query("delete from orders")
        orders.query(ROWS)
        orders.query(update)

        [seen] = fold(orders).values()
        rows = [(row["id"], row["status"]) for row in seen.values() if row]
        assert sorted(rows) == orders.query("select id, status from orders order by 1"), update


# --- when ---------------------------------------------------------------------------------------


def test_rows_come_into_sight_and_go_out_of_it(orders: Database) -> None:
    watch(orders, "orders", when="status <> 'draft'")
    orders.query(ROWS)
    assert [kwargs["key"]["id"] for _, kwargs in orders.events()] == [2, 3]

    assert since(orders, "update orders set total = 0 where id = 1") == []
    [(op, kwargs)] = since(orders, "update orders set status = 'open' where id = 1")
    assert (op, kwargs["new"]["total"], "old" in kwargs) == ("insert", 0, False)
    [(op, kwargs)] = since(orders, "update orders set status = 'draft', total = 9 where id = 1")
    # What those who see it had.
    assert (op, kwargs["old"]["status"], kwargs["old"]["total"]) == ("delete", "open", 0)
    # Null is not true.
    assert [op for op, _ in since(orders, "update orders set status = null where id = 2")] == [
        "delete"
    ]
    assert [kwargs["key"]["id"] for _, kwargs in since(orders, "delete from orders")] == [3]


CONDITIONS = [
    "status like '%pe%' and total % 2 <> 7",
    "status <> '{op}' -- a comment\n",
    "status <> 'it''s' /* %s %1$s */",
    "\"status\" in ('open', E'dr\\'aft')",
    "total > 0 or false",
    "status = any ('{open}'::text[])",
    "status <> $$draft$$ and status <> $body$x$body$",
]


def test_a_condition_is_taken_as_it_is_written(orders: Database) -> None:
    for when in CONDITIONS:
        orders.query("delete from orders")
        orders.skip()
        watch(orders, "orders", when=when)
        orders.query(ROWS)
        orders.query("update orders set total = total + 1")
        orders.query("update orders set status = 'draft' where id = 3")
        orders.query("delete from orders where id = 2")
        orders.query("insert into orders values (4, 'open', 1)")

        rows = [row["id"] for seen in fold(orders).values() for row in seen.values() if row]
        visible = f"select id from orders as r where ({when}) is true order by 1"
        assert sorted(rows) == [number for (number,) in orders.query(visible)], when
        assert rows


def test_a_wrong_condition_is_refused_at_once(orders: Database) -> None:
    for when, message in (
        ("", "when: syntax error"),
        ("status = 'open';", "when: syntax error"),
        ("status = 'open' --", "when: syntax error"),
        ("status = 'open", "when: unterminated"),
        ("state = 'open'", 'when: column "state" does not exist'),
        ("total", "when: argument of WHERE must be type boolean"),
        ("(select status = 'open')", "when: cannot use subquery"),
        ("r.status = 'open'", 'when: missing FROM-clause entry for table "r"'),
        ("status > now()::text", "when: functions in index predicate must be marked IMMUTABLE"),
        ("random() > 0.5", "when: functions in index predicate must be marked IMMUTABLE"),
        ("status = current_user", "when: functions in index predicate must be marked IMMUTABLE"),
        ("true) or (true", "when: syntax error"),
        ("true then true end, case when true", "when: syntax error"),
        ("true); select (1", "when: syntax error"),
        ("count(*) > 1", "when: aggregate functions are not allowed"),
        ("xmin is null", "when: index creation on system columns"),
        ("is_open(status)", "when: function is_open"),
    ):
        with pytest.raises(psycopg2.Error, match=message):
            watch(orders, "orders", when=when)
    assert orders.query("select from wamp.watched") == []


# --- topic and eligibility ----------------------------------------------------------------------


def test_a_topic_has_the_operation_and_the_values_of_its_row(orders: Database) -> None:
    watch(orders, "orders", topic="x.y.{op}.{owner}.{total}")
    orders.query("insert into orders values (1, 'a', 5, 'Zoë 1.0'), (2, 'b', null, '')")
    orders.query("update orders set status = 'c' where id = 1")
    orders.query("delete from orders where id = 1")
    orders.query("truncate orders")

    assert [(op, topic) for op, topic, _, _ in audiences(orders)] == [
        ("insert", "x.y.inserted.Zo%C3%AB%201%2E0.5"),
        ("insert", "x.y.inserted.-.-"),
        ("update", "x.y.updated.Zo%C3%AB%201%2E0.5"),
        ("delete", "x.y.deleted.Zo%C3%AB%201%2E0.5"),
        ("truncate", None),
    ]


def test_a_row_moves_from_topic_to_topic(orders: Database) -> None:
    watch(orders, "orders", topic="x.{owner}.{op}", old="none")
    orders.query("insert into orders values (1, 'a', 5, 'ann'), (2, 'b', 6, 'ann')")
    orders.skip()
    orders.query("update orders set owner = 'bob', total = 0 where id = 1")

    assert [(op, topic) for op, topic, _, _ in audiences(orders)] == [
        ("delete", "x.ann.deleted"),
        ("insert", "x.bob.inserted"),
    ]


@pytest.mark.parametrize("option", ["eligible_authid", "eligible_authrole"])
def test_a_column_says_who_may_have_the_row(orders: Database, option: str) -> None:
    watch(orders, "orders", **{option: "owner"})
    orders.query(ROWS)
    orders.query("update orders set owner = 'bob' where id = 1")
    orders.query("update orders set owner = null where id = 1")
    orders.query("delete from orders where id = 2")

    assert [(op, options[option], key["id"]) for op, _, options, key in audiences(orders)] == [
        ("insert", ["ann"], 1),
        ("insert", ["bob"], 2),
        ("insert", [], 3),
        ("delete", ["ann"], 1),
        ("insert", ["bob"], 1),
        ("delete", ["bob"], 1),
        ("insert", [], 1),
        ("delete", ["bob"], 2),
    ]


@pytest.mark.parametrize(
    ("type_", "value", "expected"),
    [
        ("text[]", "'{ann,null,bob}'", ["ann", "bob"]),
        ("int[]", "'{7,8}'", ["7", "8"]),
        ("text[]", "null", []),
        ("text[]", "'{{ann,null},{bob,cy}}'", ["ann", "bob", "cy"]),
        ("people", "'{ann}'", ["ann"]),
        ("name", "'ann'", ["ann"]),
        ("varchar(5)[]", "'{ann}'", ["ann"]),
        ("int", "7", ["7"]),
        ("uuid", "'00000000-0000-0000-0000-00000000000a'", [f"{0:08}-0000-0000-0000-{0:011}a"]),
    ],
)
def test_whoever_is_eligible_is_a_list_of_texts(
    wamp_database: Database, type_: str, value: str, expected: list[str]
) -> None:
    wamp_database.query("create domain people as text[]")
    wamp_database.query(f"create table item (id int primary key, who {type_})")
    watch(wamp_database, "item", eligible_authid="who")
    wamp_database.query(f"insert into item values (1, {value})")

    [event] = wamp_database.log()
    assert event.options == {"eligible_authid": expected}


def test_all_options_hold_together(orders: Database) -> None:
    watch(
        orders,
        "orders",
        columns=["id", "total"],
        old="key",
        when="status <> 'draft'",
        topic="x.{op}.{total}",
        eligible_authid="owner",
        eligible_authrole="status",
        batch=True,
    )
    orders.query(ROWS)
    orders.skip()
    orders.query("update orders set status = 'open', owner = 'bob' where id = 1")
    orders.query("update orders set status = 'done' where id = 2")
    orders.query("update orders set owner = 'ann' where id = 3")

    def who(authid: list[str], authrole: str) -> dict[str, list[str]]:
        return {"eligible_authid": authid, "eligible_authrole": [authrole]}

    assert audiences(orders) == [
        ("insert", "x.inserted.5", who(["bob"], "open"), {"id": 1}),
        ("delete", "x.deleted.6", who(["bob"], "open"), {"id": 2}),
        ("insert", "x.inserted.6", who(["bob"], "done"), {"id": 2}),
        ("delete", "x.deleted.7", who([], "open"), {"id": 3}),
        ("insert", "x.inserted.7", who(["ann"], "open"), {"id": 3}),
    ]
    assert orders.events()[0][1]["new"] == {"id": 1, "total": 5}


def test_retained_changes_say_so(orders: Database) -> None:
    watch(orders, "orders", retain=True, topic="x.{id}")
    orders.query("insert into orders values (1)")
    orders.query("truncate orders")

    assert audiences(orders) == [
        ("insert", "x.1", {"retain": True}, {"id": 1}),
        ("truncate", None, {"retain": True}, None),
    ]
    watch(orders, "orders", retain=False)
    orders.query("insert into orders values (1)")
    assert audiences(orders)[2] == ("insert", None, None, {"id": 1})


WRONG = [
    ("[]", "options must be a JSON object"),
    ('{"colums": ["id"]}', 'unknown option "colums"'),
    ('{"columns": "id"}', "columns must be a list"),
    ('{"columns": []}', "columns must be a list"),
    ('{"columns": [1]}', "columns must be a list"),
    ('{"columns": ["ID"]}', 'orders has no column "ID"'),
    ('{"columns": ["xmin"]}', 'orders has no column "xmin"'),
    ('{"old": "all"}', 'old cannot be "all"'),
    ('{"old": true}', "old must be a string"),
    ('{"batch": "yes"}', "batch must be true or false"),
    ('{"retain": 1}', "retain must be true or false"),
    ('{"when": true}', "when must be a string"),
    ('{"topic": "wamp.x"}', 'topic "wamp.x" is not a template'),
    ('{"topic": "wamp"}', 'topic "wamp" is not a template'),
    ('{"topic": ""}', "is not a template"),
    ('{"topic": "x..y"}', "is not a template"),
    ('{"topic": "{owner}.x"}', "is not a template"),
    ('{"topic": "x.{}"}', "is not a template"),
    ('{"topic": "x.{id"}', "is not a template"),
    ('{"topic": "x y"}', "is not a template"),
    ('{"topic": "x.{nobody}"}', 'orders has no column "nobody"'),
    ('{"eligible_authid": "nobody"}', 'orders has no column "nobody"'),
    ('{"eligible_authid": ["owner"]}', "eligible_authid must be a string"),
    ('{"retain": true, "eligible_authid": "owner"}', "exclude each other"),
]


def test_a_wrong_option_is_an_error_that_names_it(orders: Database) -> None:
    for options, message in WRONG:
        with pytest.raises(psycopg2.Error, match=message):
            orders.query("select wamp.watch('orders', %s)", options)
    assert orders.query("select from wamp.watched") == []


def test_null_is_an_option_left_out_and_watching_again_replaces_all(orders: Database) -> None:
    watch(orders, "orders", old="full", when=None, columns=["status"])
    options = "select options from wamp.watched"
    assert orders.value(options) == {"old": "full", "columns": ["status"]}
    watch(orders, "orders", batch=True)
    assert orders.value(options) == {"batch": True}
    orders.query("insert into orders values (1, 'a', 5)")
    assert orders.events()[0][1]["new"] == WHOLE


# --- statements ---------------------------------------------------------------------------------


def test_upsert_and_merge_respect_sight(orders: Database) -> None:
    orders.query("alter table orders drop constraint orders_pkey, add primary key (id)")
    watch(orders, "orders", when="total > 0", topic="x.{op}.{owner}")
    orders.query(
        "insert into orders values (1, 'a', 1, 'ann'), (2, 'a', 0, 'ann'), (3, 'a', 3, 'b')"
    )
    orders.query(
        "insert into orders values (1, 'b', 0, 'ann'), (2, 'b', 2, 'bob'), (4, 'b', 0, 'ann'), "
        "(5, 'b', 5, 'ann') on conflict (id) do update set total = excluded.total, "
        "status = 'c', owner = excluded.owner"
    )
    if orders.value("select current_setting('server_version_num')::int") >= 150000:
        orders.query(
            "merge into orders as o using (values (2), (3), (4), (6)) as s (id) on o.id = s.id "
            "when matched and o.id = 3 then delete "
            "when matched then update set total = o.total + 1, owner = 'cy' "
            "when not matched then insert values (s.id, 'm', s.id, 'ann')"
        )
    expected: dict[str, set[int]] = {}
    for owner, number in orders.query("select owner, id from orders where total > 0"):
        expected.setdefault(f"x..{owner}", set()).add(number)
    found = {
        topic: {row["id"] for row in seen.values() if row}
        for (topic, _), seen in fold(orders).items()
    }
    assert found == expected


def test_composite_keys_change_hands(wamp_database: Database) -> None:
    wamp_database.query(
        'create table line (n int, "O r" text, v int, primary key ("O r", n) deferrable)'
    )
    watch(wamp_database, "line", old="none", columns=["v"])
    wamp_database.query("insert into line values (1, 'a', 1), (2, 'a', 2), (1, 'b', 3)")
    wamp_database.query("update line set n = 3 - n where \"O r\" = 'a'")
    wamp_database.query("update line set \"O r\" = 'c' where v = 3")

    [seen] = fold(wamp_database).values()
    assert seen == {
        '{"O r": "a", "n": 2}': {"v": 1},
        '{"O r": "a", "n": 1}': {"v": 2},
        '{"O r": "c", "n": 1}': {"v": 3},
    }


NAMES = ["r", "n", "o", "when", "position", 'a"b', "%s", "%1$L", "é☃𝄞", "a'b", "\\x", "op", "key"]
NAMES += ["new", "old", "shown", "compared", "visible", "topic", "options", "size", "problem"]
NAMES += ["watched", "table_name", "x" * 63]


def test_names_are_quoted_wherever_they_are_used(wamp_database: Database) -> None:
    def quoted(name: str) -> str:
        return '"' + name.replace('"', '""') + '"'

    columns = ", ".join(f"{quoted(name)} text default 'v'" for name in NAMES)
    wamp_database.query('create schema "Sch""ema %"')
    table = '"Sch""ema %"."t a""b"'
    wamp_database.query(f'create table {table} ({columns}, primary key ("r", {quoted("%s")}))')
    for name in NAMES:
        options: dict[str, Any] = {
            "columns": [name],
            "when": f"{quoted(name)} <> 'hidden'",
            "eligible_authid": name,
        }
        if name != "op" and name.isalnum():
            options["topic"] = f"x.{{op}}.{{{name}}}"
        watch(wamp_database, table, **options)
        wamp_database.skip()
        wamp_database.query(f"insert into {table} default values")
        wamp_database.query(f"update {table} set {quoted(name)} = 'w'")
        wamp_database.query(f"update {table} set {quoted(name)} = 'hidden'")
        wamp_database.query(f"delete from {table}")
        found = [
            (op, kwargs.get("new"), kwargs.get("old")) for op, kwargs in wamp_database.events()
        ]
        assert found == [
            ("insert", {name: "v"}, None),
            ("delete", None, {name: "v"}),
            ("insert", {name: "w"}, None),
            ("delete", None, {name: "w"}),
        ], name
