"""Random options and random statements: who folds the events has the rows that they may see."""

from __future__ import annotations

import json
from typing import Any

import psycopg2
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from .conftest import Database
from .watching import Audience, Row, dump, fold, watch

COLUMNS = ("id", "part", "owner", "team", "n")
CONDITIONS = ("n > 1", "owner <> 'ann'", "owner is null or n % 2 = 0", "id + part < 5", "false")
TOPICS = ("x.{op}", "x.{op}.{owner}", "y.{team}", "x.{n}.{team}.{op}", "x.{id}")

numbers = st.integers(0, 4)
owners = st.sampled_from(["'ann'", "'bob'", "null"])
values = st.tuples(numbers, numbers, owners, owners, numbers)
conditions = st.sampled_from(
    ["true", *CONDITIONS, "id = 1", "id > 2", "part = 0", "n is null", "owner = 'ann'"]
)
assignments = st.lists(
    st.sampled_from(
        [
            *("n = n + 1", "n = 0", "n = null", "n = n", "team = owner", "owner = team"),
            *("owner = 'bob'", "owner = null", "owner = case owner when 'ann' then 'bob' end"),
            *("id = 4 - id", "id = id + 1", "id = (id + 1) % 5", "part = (part + 1) % 5"),
            "part = 4 - part",
        ]
    ),
    min_size=1,
    max_size=3,
    unique_by=lambda assignment: assignment.split(" ")[0],
)


def insert(rows: list[tuple[Any, ...]]) -> str:
    return "insert into item values " + ", ".join(
        "(" + ", ".join(map(str, row)) + ")" for row in rows
    )


inserts = st.lists(values, min_size=1, max_size=6, unique_by=lambda row: row[:2]).map(insert)
upserts = st.builds(
    lambda statement, column: (
        f"{statement} on conflict (id, part) do update "
        f"set {column} = excluded.{column}, team = 'new'"
    ),
    inserts,
    st.sampled_from(["owner", "n"]),
)
updates = st.builds(
    lambda assigned, condition: f"update item set {', '.join(assigned)} where {condition}",
    assignments,
    conditions,
)
deletes = conditions.map(lambda condition: f"delete from item where {condition}")
others = st.sampled_from(
    [
        *("truncate item", "truncate item_0", "delete from item_0"),
        "update item set id = part, part = id",
    ]
)
statements = st.lists(
    st.one_of(inserts, upserts, updates, updates, updates, deletes, others),
    min_size=1,
    max_size=10,
)
options = st.fixed_dictionaries(
    {},
    optional={
        "columns": st.lists(st.sampled_from(COLUMNS), min_size=1, unique=True),
        "old": st.sampled_from(["none", "key", "changed", "full"]),
        "when": st.sampled_from(CONDITIONS),
        "topic": st.sampled_from(TOPICS),
        "eligible_authid": st.sampled_from(["owner", "n"]),
        "eligible_authrole": st.just("team"),
        "batch": st.booleans(),
    },
)


@settings(
    max_examples=60,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(chosen=options, executed=statements, partitioned=st.booleans(), deferrable=st.booleans())
@example(
    chosen={"old": "none", "topic": "x.{op}.{owner}", "when": "n > 1"},
    executed=[
        "insert into item values (1, 0, 'ann', null, 2), (2, 0, 'bob', null, 2)",
        "update item set id = 3 - id, owner = 'bob', n = n + 1",
        "update item set part = 1, n = 0 where id = 1",
    ],
    partitioned=True,
    deferrable=True,
)
@example(
    chosen={"when": "n > 1"},
    executed=[
        insert(
            [(1, 0, "'ann'", "'red'", 3), (2, 0, "'bob'", "null", 2), (3, 3, "'bob'", "null", 2)]
        ),
        "truncate item_0",
    ],
    partitioned=True,
    deferrable=False,
)
def test_whoever_folds_the_events_has_the_rows_that_they_may_see(
    wamp_database: Database,
    chosen: dict[str, Any],
    executed: list[str],
    partitioned: bool,
    deferrable: bool,
) -> None:
    make_table(wamp_database, partitioned, deferrable)
    watch(wamp_database, "item", **chosen)
    for statement in [insert([(1, 0, "'ann'", "'red'", 1), (2, 1, "null", "'red'", 2)]), *executed]:
        try:
            wamp_database.query(statement)
        except (
            psycopg2.errors.UniqueViolation,
            psycopg2.errors.NotNullViolation,
            psycopg2.errors.ObjectNotInPrerequisiteState,  # ON CONFLICT with a deferrable key
            psycopg2.errors.CardinalityViolation,
            psycopg2.errors.WrongObjectType,
        ):
            continue

    assert fold(wamp_database, partition_of) == visible(wamp_database, chosen)


def partition_of(key: Row) -> str:
    """The partition that :func:`make_table` has made for a key."""
    return {0: "public.item_0", 1: "public.item_1", 2: "public.item_1"}.get(
        key["part"], "public.item_x"
    )


def make_table(database: Database, partitioned: bool, deferrable: bool) -> None:
    if database.value("select to_regclass('item') is not null"):
        database.query("select wamp.unwatch('item')")
    database.query("drop table if exists item, item_0 cascade")
    database.skip()
    columns = "id int, part int, owner text, team text, n int, primary key (id, part)"
    if deferrable:
        columns += " deferrable"
    if not partitioned:
        database.query(f"create table item ({columns})")
        database.query("create table item_0 (id int)")
        return
    database.query(f"create table item ({columns}) partition by list (part)")
    database.query("create table item_0 partition of item for values in (0)")
    database.query("create table item_1 partition of item for values in (1, 2)")
    database.query("create table item_x partition of item default")


def visible(database: Database, chosen: dict[str, Any]) -> dict[Audience, dict[str, Row | None]]:
    """What each audience may see, by the table itself."""
    condition = chosen.get("when", "true")
    audiences: dict[Audience, dict[str, Row | None]] = {}
    for values in database.query(f"select {', '.join(COLUMNS)} from item where {condition}"):
        row = dict(zip(COLUMNS, values, strict=True))
        topic = chosen.get("topic", "").replace("{op}", "")
        for name, value in row.items():
            topic = topic.replace(f"{{{name}}}", "-" if value is None else str(value))
        eligible = {
            option: [] if row[chosen[option]] is None else [str(row[chosen[option]])]
            for option in ("eligible_authid", "eligible_authrole")
            if option in chosen
        }
        key = dump({"id": row["id"], "part": row["part"]})
        shown = {name: value for name, value in row.items() if name in chosen.get("columns", row)}
        audience = (topic, json.dumps(eligible) if eligible else "")
        audiences.setdefault(audience, {})[key] = shown
    return audiences
