"""Triggers that write to the table whose change fired them."""

from __future__ import annotations

from typing import Any

import pytest

from .conftest import Database
from .watching import watch


def rows(database: Database) -> dict[int, Any]:
    """What a subscriber has in the end."""
    found: dict[int, Any] = {}
    for op, kwargs in database.events():
        assert "truncated" not in kwargs
        key, new, old = kwargs["key"], kwargs.get("new"), kwargs.get("old")
        found.pop((old or {}).get("id", key["id"]) if op == "update" else key["id"], None)
        if op != "delete":
            found[key["id"]] = new
    return found


@pytest.mark.parametrize("when", ["for each row", "for each statement"])
@pytest.mark.parametrize(
    "options",
    [
        {},
        {"old": "none"},
        {"old": "key", "columns": ["id", "v", "total"]},
        {"when": "v > 0", "topic": "x.{op}.{v}", "eligible_authid": "v"},
    ],
)
def test_the_last_event_of_a_row_is_what_it_is(
    wamp_database: Database, options: dict[str, Any], when: str
) -> None:
    wamp_database.query("create table item (id int primary key, v int, total int)")
    wamp_database.query(
        """
        create function follow_up() returns trigger language plpgsql as $$
        begin
            update item set total = v * 2 where total is distinct from v * 2;
            update item set id = 20 where id = 2;
            delete from item where v = 3;
            insert into item select 4, 4, 8 where not exists (select from item where id = 4);
            return null;
        end
        $$
        """
    )
    # By its name it comes before those that capture.
    wamp_database.query(
        f"create trigger follow_up after insert or update of v or delete on item {when} "
        "when (pg_trigger_depth() = 0) execute function follow_up()"
    )
    watch(wamp_database, "item", **options)
    wamp_database.query("insert into item values (1, 1), (2, 2), (3, 3)")
    for statement in (
        "update item set v = 5 where id = 1",
        "update item set id = 2 where id = 20",
        "update item set v = v + 1",
        "delete from item where id in (1, 4)",
    ):
        wamp_database.query(statement)

    stored = wamp_database.query("select id, to_json(item) from item")
    assert rows(wamp_database) == dict(stored)


def test_without_such_triggers_nothing_is_said_twice(wamp_database: Database) -> None:
    wamp_database.query("create table item (id int primary key, v int, total int)")
    wamp_database.query("create table log (id int primary key)")
    wamp_database.query(
        "create function note() returns trigger language plpgsql as "
        "$$ begin insert into log values (new.id); return null; end $$"
    )
    wamp_database.query(
        "create trigger note after insert on item for each row execute function note()"
    )
    watch(wamp_database, "item")
    watch(wamp_database, "log")
    wamp_database.query("insert into item values (1), (2)")
    assert [op for op, _ in wamp_database.events()] == ["insert"] * 4


def test_without_a_key_values_are_captured_all_the_same(wamp_database: Database) -> None:
    wamp_database.query("create table item (v int, total int)")
    wamp_database.query("alter table item replica identity full")
    wamp_database.query(
        "create function follow_up() returns trigger language plpgsql as "
        "$$ begin update item set total = v * 2; return null; end $$"
    )
    wamp_database.query(
        "create trigger follow_up after insert on item execute function follow_up()"
    )
    watch(wamp_database, "item", old="full")
    wamp_database.query("insert into item values (1)")
    # By place and depth of their statements: without a key there is nothing to chain rows by.
    assert [(op, kwargs["new"]) for op, kwargs in wamp_database.events()] == [
        ("insert", {"v": 1, "total": None}),
        ("update", {"v": 1, "total": 2}),
    ]
