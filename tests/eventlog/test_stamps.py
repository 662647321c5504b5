"""Without event triggers: raw rows carry a hash of the columns that they were written with."""

from __future__ import annotations

from typing import Any

import pytest

from tests.eventlog.conftest import Log
from tests.eventlog.test_layouts import MARKED, WITHOUT_EVENT_TRIGGERS
from tests.eventlog.test_overlapping import sessions  # noqa: F401
from tests.eventlog.test_told_anew import values

TABLES = {
    "plain": ("create table item (id int primary key, a text, b text)",),
    "partitioned": (
        "create table item (id int primary key, a text, b text) partition by list (id)",
        "create table part partition of item default",
    ),
}
CHANGES = {
    "names swapped": "alter table item rename a to x; alter table item rename b to a; "
    "alter table item rename x to b",
    "dropped and added": "alter table item drop column a; alter table item add column a text",
    "another type": "alter table item alter column a type bytea using a::bytea",
}
INSERT = "insert into item (id, a, b) values (1, '1', '2')"


@pytest.mark.parametrize("isolation", ["repeatable read", "serializable"])
@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
@pytest.mark.parametrize("table", TABLES.values(), ids=TABLES)
async def test_a_transaction_that_sees_the_columns_of_before(
    log: Log,
    sessions: tuple[Any, Any],  # noqa: F811
    table: tuple[str, ...],
    change: str,
    isolation: str,
) -> None:
    """It writes with the columns of now, and its hash would be that of those before."""
    await log.execute(*WITHOUT_EVENT_TRIGGERS, *table, "select wamp.watch('item')")
    await log.take()
    first, second = sessions
    await first.execute(f"begin isolation level {isolation}; select 1")
    await second.execute(f"begin; {change}; commit")
    await first.execute(f"{INSERT}; commit")
    await log.take()
    assert await values(log) == [MARKED]


@pytest.mark.parametrize("table", TABLES.values(), ids=TABLES)
async def test_a_transaction_that_sees_the_columns_of_now(
    log: Log,
    sessions: tuple[Any, Any],  # noqa: F811
    table: tuple[str, ...],
) -> None:
    await log.execute(*WITHOUT_EVENT_TRIGGERS, *table, "select wamp.watch('item')")
    await log.execute("alter table item drop column a", "alter table item add column a text")
    await log.take()
    first, second = sessions
    await first.execute("begin isolation level repeatable read; select 1")
    await second.execute("insert into item (id) values (2)")
    await first.execute(f"{INSERT}; commit")
    await log.take()
    assert await values(log) == [
        {"id": 2, "b": None, "a": None},
        {"id": 1, "b": "2", "a": "1"},
    ]


async def test_a_table_that_is_newer_than_the_transaction(
    log: Log,
    sessions: tuple[Any, Any],  # noqa: F811
) -> None:
    first, _ = sessions
    await first.execute("begin isolation level repeatable read; select 1")
    await log.execute(*WITHOUT_EVENT_TRIGGERS, *TABLES["plain"], "select wamp.watch('item')")
    await log.take()
    await first.execute(f"{INSERT}; commit")
    await log.take()
    assert await values(log) == [MARKED]
