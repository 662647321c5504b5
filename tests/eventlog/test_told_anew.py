"""Tables of which it is not known how their rows read: they are told of anew, and nobody waits."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Any

import pytest

from pgwamp.eventlog import telling as module
from pgwamp.eventlog.body import read_body
from pgwamp.eventlog.telling import Telling
from tests.eventlog.conftest import Log, require_virtual_columns
from tests.eventlog.test_layouts import MARKED, WITHOUT_EVENT_TRIGGERS
from tests.eventlog.test_overlapping import sessions  # noqa: F401

TABLES = (
    "create table item (id int primary key, n text)",
    "create table other (id int primary key)",
    "select wamp.watch('item'), wamp.watch('other')",
)
#: What DDL tells where it cannot be had how a table reads.
LOST = (
    "insert into wamp.raw (turn, xid, place, n, depth, relation, op, new) "
    "select 0, pg_current_xact_id(), pg_current_wal_insert_lsn(), 0, 0, 'item'::regclass, 'l', null"
)
#: For those who make events it takes long to see how one table reads.
SLOW = (
    "do $$ begin execute replace(replace(pg_get_functiondef('wamp.layout'::regproc), "
    "'wamp.layout', 'wamp.quick'), 'layout.relation', 'quick.relation'); end $$",
    "create or replace function wamp.layout(relation regclass) returns jsonb language plpgsql as "
    "$$ begin if current_setting('application_name') like 'pgwamp%' and relation::text ~ 'item' "
    "then perform pg_sleep(60); end if; return wamp.quick(relation); end $$",
)
#: It takes no time any more.
QUICK = (
    "drop function wamp.layout",
    "alter function wamp.quick rename to layout",
    "do $$ begin execute replace(replace(pg_get_functiondef('wamp.layout'::regproc), "
    "'wamp.quick', 'wamp.layout'), 'quick.relation', 'layout.relation'); end $$",
)
#: Seconds in which nobody waits for that.
SOON = 10


async def values(log: Log) -> list[Any]:
    """The new values of each event, or all of it where there are none."""
    bodies = [read_body(event.body or "{}") for event in await log.events()]
    return [body.get("new", body) for body in bodies]


@pytest.fixture
async def item(log: Log) -> None:
    """Two watched tables."""
    await log.execute(*TABLES)
    await log.take()


# --- nobody waits ---------------------------------------------------------------------------------


@pytest.mark.usefixtures("item")
async def test_events_of_others_wait_for_no_table_that_cannot_be_read(log: Log) -> None:
    await log.execute(LOST)
    async with log.sequencing() as sequencing:
        sequencing.telling.ask = lambda _: None  # type: ignore[method-assign]
        await sequencing.look()
    await log.execute(*SLOW)
    async with asyncio.timeout(SOON), log.sequencing() as sequencing:
        await log.execute("insert into other values (1)")
        await sequencing._maintain(busy=False)
        await sequencing.look()
        assert await values(log) == [{"id": 1}]


@pytest.mark.usefixtures("item")
async def test_events_of_others_wait_for_no_table_that_is_not_known_any_more(
    log: Log,
    sessions: tuple[Any, Any],  # noqa: F811
) -> None:
    """It is told anew, and what knows nothing of it is stored meanwhile."""
    first, second = sessions
    await first.execute("begin isolation level repeatable read; select 1")
    await second.execute("alter table item drop column n")
    await first.execute("alter table item add column x int; commit")
    await log.execute(*SLOW, "insert into other values (1)")
    async with asyncio.timeout(SOON), log.sequencing() as sequencing:
        await sequencing.look()
        assert await values(log) == [{"id": 1}]


@pytest.mark.usefixtures("item")
async def test_a_new_composite_is_looked_at_alone(log: Log) -> None:
    await log.execute(
        *SLOW,
        "create type comp as (a int)",
        "alter table item add column v comp",
        "insert into item values (1, 'n', row(2))",
        "insert into other values (1)",
    )
    async with asyncio.timeout(SOON), log.sequencing() as sequencing:
        await sequencing.look()
        assert await values(log) == [{"id": 1, "n": "n", "v": {"a": 2}}, {"id": 1}]


async def test_without_event_triggers_a_table_takes_no_more_than_its_time(log: Log) -> None:
    await log.execute(*WITHOUT_EVENT_TRIGGERS, *TABLES)
    await log.take()
    await log.execute(*SLOW, "alter table item add column m text")
    async with asyncio.timeout(SOON), log.sequencing() as sequencing:
        for number in range(20):
            await log.execute(
                f"insert into item values ({number})", f"insert into other values ({number})"
            )
            await sequencing.look()
        assert (await values(log))[-2:] == [{"truncated": True}, {"id": 19}]


async def test_without_event_triggers_what_takes_longer_is_told_beside(log: Log) -> None:
    await log.execute(*WITHOUT_EVENT_TRIGGERS, *TABLES)
    await log.take()
    # The session that tells of it has a name of its own.
    slow = SLOW[1].replace("like 'pgwamp%'", "= 'pgwamp'")
    await log.execute(SLOW[0], slow, "alter table item add column m text")
    async with asyncio.timeout(SOON), log.sequencing() as sequencing:
        await log.execute("insert into item values (1)")
        await sequencing.look()
        assert await sequencing.telling.ended()
        await log.execute("insert into item values (2)")
        await sequencing.look()
        assert await values(log) == [{"truncated": True}, {"id": 2, "n": None, "m": None}]


async def test_a_locked_table_is_tried_once_however_many_columns_it_has(log: Log) -> None:
    await require_virtual_columns(log)
    columns = ", ".join(f"v{i} int generated always as (id) virtual" for i in range(500))
    await log.execute(f"create table item (id int primary key, {columns})")
    holder = await log.database.connect()
    await holder.execute("begin; lock table item")
    took = []
    for _ in range(3):
        begun = time.monotonic()
        layout = "select wamp.layout('item') -> 'types'"
        assert await log.connection.fetchval(layout) == "null"
        took.append(time.monotonic() - begun)
    await holder.close()
    # Each try takes a thousandth of a second.
    assert min(took) < 0.4


async def test_expressions_that_are_too_long_are_not_written_out(log: Log) -> None:
    await require_virtual_columns(log)
    await log.execute(*TABLES)
    long = f"coalesce(id::text, '{'y' * 1_500_000}')"
    await log.execute(
        f"alter table item add column v text generated always as ({long}) virtual",
        "insert into item values (1)",
        "insert into other values (1)",
    )
    await log.take()
    assert await values(log) == [{"truncated": True}, {"id": 1}]
    await log.execute("alter table item drop column v", "insert into item values (2)")
    await log.take()
    assert (await values(log))[-1] == {"id": 2, "n": None}


async def test_a_table_that_cannot_be_told_of_waits_longer_each_time(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    now, tried = 0.0, []

    async def run(self: Telling) -> None:
        for table in [*self._waiting]:
            tried.append(now)
            self._is_told(table)

    monkeypatch.setattr(module, "_now", lambda: now)
    monkeypatch.setattr(Telling, "_run", run)
    telling = Telling("")

    async def ask_until(end: int, unknown: Callable[[], set[int]]) -> None:
        nonlocal now
        while now < end:
            telling.forget(unknown())
            telling.ask(unknown())
            await telling.ended()
            now += 1

    await ask_until(2000, lambda: {1})
    assert tried == [0, 10, 30, 70, 150, 310, 630, 1230, 1830]
    # What was known for as long as it had to wait is told of at once.
    await ask_until(2500, set)
    del tried[:]
    await ask_until(2520, lambda: {1})
    assert tried == [2500, 2510]


# --- nothing is missing ---------------------------------------------------------------------------

PARTED = (
    *WITHOUT_EVENT_TRIGGERS,
    "create table item (id int primary key, n text) partition by list (id)",
    "create table p1 partition of item for values in (1)",
    "create table p2 (id int primary key, n text)",
    "select wamp.watch('item')",
)
TELLS = {
    "refresh": "select wamp.refresh('item')",
    "watch": "select wamp.watch('item')",
    "watch otherwise": "select wamp.watch('item', '{\"topic\": \"com.example.{op}\"}')",
}


@pytest.mark.parametrize("tell", TELLS.values(), ids=TELLS)
async def test_a_partition_of_which_only_one_of_two_tells_has_rows_of_the_table(
    log: Log,
    sessions: tuple[Any, Any],  # noqa: F811
    tell: str,
) -> None:
    await log.execute(*PARTED)
    await log.take()
    await log.execute("alter table item add column x text", "alter table p2 add column x text")
    first, second = sessions
    await first.execute("begin; select wamp.refresh('item')")
    await second.execute("begin; alter table item attach partition p2 for values in (2)")
    await second.execute(tell)
    await first.execute("commit")
    await log.take()
    await second.execute("insert into p2 values (2, 'n', 'x'); commit")
    await log.take()
    await log.execute("update p2 set n = 'm'")
    await log.take()
    # It is asked for, as the rows say with which columns they were written.
    assert await values(log) == [{"id": 2, "n": "n", "x": "x"}, {"id": 2, "n": "m", "x": "x"}]


async def test_a_partition_that_was_detached_does_not_stay(
    log: Log,
    sessions: tuple[Any, Any],  # noqa: F811
) -> None:
    await log.execute(*PARTED, "alter table item attach partition p2 for values in (2)")
    await log.execute("select wamp.refresh('item')")
    await log.take()
    first, second = sessions
    await second.execute("begin isolation level repeatable read; select 1")
    await first.execute("alter table item add column x text; select wamp.refresh('item')")
    await log.take()
    await second.execute("alter table item detach partition p2; select wamp.refresh('item')")
    await second.execute("commit")
    await log.take()
    told = [(e.op, read_body(e.body or "{}").get("partition")) for e in await log.events()]
    assert told == [("truncate", "public.p2")]
    await log.execute("insert into item values (1)")
    await log.take()
    assert (await values(log))[-1] == {"id": 1, "n": None, "x": None}


OPTIONS = "{\"when\": \"m = ''yes''\"}"
WHEN = f"select wamp.watch('item', '{OPTIONS}')"
ROWS = "insert into item (id, m) values (1, 'yes'), (2, 'no')"


async def test_a_new_condition_beside_a_refresh_hides_rows(
    log: Log,
    sessions: tuple[Any, Any],  # noqa: F811
) -> None:
    await log.execute(
        *WITHOUT_EVENT_TRIGGERS,
        "create table item (id int primary key, m text)",
        "select wamp.watch('item')",
    )
    await log.take()
    await log.execute("alter table item add column x text")
    first, second = sessions
    await first.execute("begin; select wamp.refresh('item')")
    await second.execute(f"begin; {WHEN}")
    await first.execute("commit")
    await log.take()
    await second.execute(f"{ROWS.replace('1', '3').replace('2', '4')}; commit")
    await log.take()
    await log.execute(ROWS)
    await log.take()
    assert [row["id"] for row in await values(log)] == [3, 1]


async def test_a_new_condition_beside_what_is_told_anew_hides_rows(
    log: Log,
    sessions: tuple[Any, Any],  # noqa: F811
) -> None:
    await log.execute("create table item (id int primary key, m text)", "select wamp.watch('item')")
    await log.take()
    _, second = sessions
    await log.execute(LOST)
    async with log.sequencing() as sequencing:
        sequencing.telling.ask = lambda _: None  # type: ignore[method-assign]
        await sequencing.look()
    await second.execute(f"begin; {WHEN}")
    await log.take()
    await second.execute("commit")
    await log.take()
    await log.execute(ROWS)
    await log.take()
    assert await values(log) == [{"id": 1, "m": "yes"}]


async def test_without_event_triggers_rows_before_a_change_keep_their_values(log: Log) -> None:
    await log.execute(
        *WITHOUT_EVENT_TRIGGERS,
        "create table item (id int primary key, n text)",
        "select wamp.watch('item')",
        "insert into item values (1, 'old')",
        "alter table item add column m text",
        "insert into item values (2, 'new', 'm')",
    )
    await log.take()
    assert await values(log) == [{"id": 1, "n": "old"}, {"id": 2, "n": "new", "m": "m"}]


async def test_who_watches_meanwhile_is_not_told_over(
    log: Log,
    sessions: tuple[Any, Any],  # noqa: F811
) -> None:
    """In a database of which only some tables were restored, the start tells of those watched."""
    first, _ = sessions
    await log.execute(*TABLES)
    await log.take()
    # What is told of the table waits until somebody watches it, or waits for it.
    watched = (
        "while not exists (select from wamp.watch where options ? 'when') and not exists (select "
        "from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock') "
        "loop perform pg_sleep(0.01), pg_stat_clear_snapshot(); end loop"
    )
    slow = (statement.replace("perform pg_sleep(60)", watched) for statement in SLOW)
    await log.execute("delete from wamp.layout", "delete from wamp.raw", *slow)
    async with asyncio.timeout(SOON), log.sequencing() as sequencing:
        await first.execute("select wamp.watch('item', '{\"when\": \"n = ''a''\"}')")
        await sequencing.telling.ended()
    await log.take()
    await log.execute("insert into item values (1, 'a'), (2, 'b')", "insert into other values (3)")
    await log.take()
    assert await values(log) == [{"id": 1, "n": "a"}, {"id": 3}]


async def test_rows_before_the_first_telling_come_without_values(log: Log) -> None:
    """In a database of which only some tables were restored."""
    await log.execute(
        "create table item (id int primary key, n text) partition by list (id)",
        "create table part partition of item default",
        "create table other (id int primary key)",
        "select wamp.watch('item', '{\"topic\": \"com.example.{op}\"}'), wamp.watch('other')",
    )
    await log.take()
    await log.execute("delete from wamp.layout", "delete from wamp.raw", *SLOW)
    await log.execute("insert into item values (1, 'a')")
    async with asyncio.timeout(SOON), log.sequencing() as sequencing:
        await log.execute("insert into part values (2, 'b')", "insert into other values (3)")
        await sequencing.look()
    await log.execute(*QUICK)
    await log.take()
    await log.execute("insert into item values (4, 'd')")
    await log.take()
    events = [event for event in await log.events() if event.table == "item"]
    assert [event.topic for event in events] == [None, None, "com.example.inserted"]
    bodies = [read_body(event.body or "{}") for event in events]
    assert [body.get("new", body) for body in bodies] == [MARKED, MARKED, {"id": 4, "n": "d"}]


async def test_tables_that_were_asked_for_before_come_last(
    log: Log, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[int] = []

    async def tell(_: Telling, connection: object, table: int) -> None:
        told.append(table)

    monkeypatch.setattr(Telling, "_tell", tell)
    monkeypatch.setattr(module, "FIRST_DELAY", 0.0)
    telling = Telling(log.database.url)
    telling.ask({2})
    await telling.ended()
    telling._again[2] = 0.0, module.LONGEST_DELAY
    telling.ask({2, 1, 3})
    await telling.ended()
    assert told == [2, 1, 3, 2]
