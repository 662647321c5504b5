"""How rows read when tables change: by DDL of their owners or others, and beside locks."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator
from typing import Any

import asyncpg
import pytest

from pgwamp.checks.captures import stale_captures
from pgwamp.eventlog import sequencing as module
from pgwamp.eventlog import subjects
from pgwamp.eventlog.evaluator import Evaluator
from tests.eventlog.conftest import Log, require_virtual_columns
from tests.eventlog.test_sequencing import ITEM, STAMPS

WITHOUT_EVENT_TRIGGERS = (
    "drop event trigger wamp_ddl_command_end",
    "drop event trigger wamp_sql_drop",
    STAMPS,
)
#: A marked event of a row of which not even the key is known.
MARKED = {"truncated": True}


class Owner:
    """An ordinary role with a schema of its name."""

    def __init__(self, name: str, connection: asyncpg.Connection[Any]):
        self.name = name
        self.connection = connection
        self.warnings: list[str] = []
        connection.add_log_listener(lambda _, message: self.warnings.append(message.message))

    async def execute(self, *statements: str) -> None:
        """Run statements, each in its own transaction; one that waits for a lock fails the test."""
        for statement in statements:
            await self.connection.execute(statement)


async def _owner(log: Log, name: str) -> Owner:
    role = f"{name}_{uuid.uuid4().hex[:8]}"
    await log.execute(
        f"create role {role} login",
        f"create schema {role} authorization {role}",
        f"grant usage on schema {role} to public",
    )
    url = log.database.url.replace("//postgres@", f"//{role}@")
    connection = await asyncpg.connect(url, server_settings={"search_path": role})
    await connection.execute("set statement_timeout = '10s'; set client_min_messages = 'warning'")
    return Owner(role, connection)


@pytest.fixture
async def owners(log: Log) -> AsyncIterator[tuple[Owner, Owner]]:
    """Two owners of tables, of whom the first one may do anything to the second one."""
    found = await _owner(log, "other"), await _owner(log, "self")
    yield found
    for owner in found:
        await owner.connection.close()
        await log.execute(f"drop owned by {owner.name} cascade", f"drop role {owner.name}")


async def watch(log: Log, *tables: str) -> None:
    """Watch tables, each named with its options if it has some."""
    for table in tables:
        name, _, options = table.partition(" ")
        await log.execute(f"select wamp.watch('{name}', '{options or '{}'}')")


async def values(log: Log) -> list[Any]:
    """The new rows of all events, or whatever else their bodies have."""
    async with asyncio.timeout(20):
        return [body.get("new", body) for _, body in await log.told()]


async def stale(log: Log) -> list[str]:
    """What the check says of watched tables."""
    connection = await log.database.connect()
    evaluator = Evaluator(log.database.url)
    try:
        await connection.execute("set search_path = pg_catalog, pg_temp")
        return await stale_captures(connection, evaluator.failure)
    finally:
        evaluator.close()
        await connection.close()


# --- layouts that are long, or unknown ------------------------------------------------------------


@pytest.mark.parametrize("most_rows", [3, 2000])
async def test_a_long_layout_is_taken_over_also_while_much_is_written(
    log: Log, monkeypatch: pytest.MonkeyPatch, most_rows: int
) -> None:
    await log.execute(
        *ITEM,
        "create table part (id int primary key) partition by list (id)",
        "do $$ begin for i in 1..400 loop execute format("
        "'create table part_%s partition of part for values in (%1$s)', i); end loop; end $$",
        "select wamp.watch('part')",
        "insert into part values (1)",
    )
    await log.take()
    monkeypatch.setattr(module, "MOST_ROWS", most_rows)
    await log.execute(
        "insert into item select n, 'a' from generate_series(1, 10) as n",
        "alter table part add column v text",
        "insert into part values (2, 'b')",
    )
    assert (await values(log))[-1] == {"id": 2, "v": "b"}
    await log.execute("insert into part values (3, 'c')")
    assert (await values(log))[-1] == {"id": 3, "v": "c"}


@pytest.mark.parametrize(
    "spoilt", ["'{}'", "layout::jsonb || '{\"types\": null}'", "layout::jsonb || '{\"types\": []}'"]
)
async def test_a_layout_that_cannot_be_read_is_mended_at_the_start(log: Log, spoilt: str) -> None:
    await log.execute(*ITEM, "insert into item values (1, 'a')")
    await log.take()
    await log.execute(
        f"update wamp.layout set layout = {spoilt}", "insert into item values (2, 'b')"
    )
    await log.take()
    await log.execute("insert into item values (3, 'c')")
    told = await values(log)
    assert told[0] == {"id": 1, "name": "a"}
    assert told[1:-1] in ([], [MARKED])
    assert told[-1] == {"id": 3, "name": "c"}


@pytest.mark.parametrize(
    "cure", ["select wamp.refresh('item')", "alter table item add column more int", None]
)
async def test_rows_come_without_values_until_their_layout_is_known_again(
    log: Log, cure: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    await log.execute(*ITEM, "insert into item values (1, 'a')")
    async with log.sequencing() as sequencing:
        # It would be told anew at once.
        monkeypatch.setattr(sequencing.telling, "ask", lambda _: None)
        await sequencing.look()
        await log.execute(
            "alter function wamp.layout rename to hidden",
            "alter table item rename name to former",
            "insert into item values (2, 'b')",
            "alter function wamp.hidden rename to layout",
        )
        await sequencing.look()
        (finding,) = await stale(log)
        assert "how its rows read could not be told" in finding
        assert "select wamp.refresh('public.item')" in finding
        if cure is not None:
            await log.execute(cure, "insert into item (id, former) values (3, 'c')")
        await sequencing.look()
    if cure is None:
        await log.take()
        await log.execute("insert into item values (3, 'c')")
    first, second, third = await values(log)
    assert (first, second) == ({"id": 1, "name": "a"}, MARKED)
    assert (third["id"], third["former"]) == (3, "c")
    assert await stale(log) == []


async def test_a_table_of_too_many_attributes_is_told_of_without_values(log: Log) -> None:
    await log.execute(
        *ITEM,
        "do $$ begin for i in 1..13 loop execute (select format('create type t%s as (%s)', i, "
        "string_agg('a' || n || ' int', ',')) from generate_series(1, 1600) as n); "
        "end loop; end $$",
        "do $$ begin execute (select 'create table wide (id int primary key, ' || "
        "string_agg(format('c%s t%1$s', n), ',') || ')' from generate_series(1, 13) as n); end $$",
        "select wamp.watch('wide')",
        "insert into wide values (1)",
        "insert into item values (1, 'a')",
    )
    assert await values(log) == [MARKED, {"id": 1, "name": "a"}]
    (finding,) = await stale(log)
    assert "too many columns" in finding
    await log.execute("alter table wide drop column c1", "insert into wide values (2)")
    assert (await values(log))[-1]["id"] == 2
    assert await stale(log) == []


async def test_ddl_that_cannot_be_told_of_fails(log: Log) -> None:
    await log.execute(
        "create table item (id int primary key, a text, b text)", "select wamp.watch('item')"
    )
    holder = await log.database.connect()
    await holder.execute("begin; lock table wamp.raw_0, wamp.raw_1, wamp.raw_2")
    swap = (
        "begin; alter table item rename a to c; alter table item rename b to a; "
        "alter table item rename c to b; commit"
    )
    with pytest.raises(asyncpg.LockNotAvailableError, match=r"what becomes of public\.item"):
        await log.execute(swap)
    await log.execute("rollback")
    await holder.close()
    await log.execute(
        "insert into item (id, a) values (1, 'a')", swap, "insert into item (id, b) values (2, 'b')"
    )
    assert await values(log) == [{"id": 1, "a": "a", "b": None}, {"id": 2, "b": "b", "a": None}]


# --- tables of other owners -----------------------------------------------------------------------


async def test_a_locked_table_of_another_hides_no_ddl(
    log: Log, owners: tuple[Owner, Owner]
) -> None:
    other, owner = owners
    await owner.execute("create table orders (id int primary key, shown text, note text)")
    await other.execute(
        f"create table mine (id int primary key, o {owner.name}.orders) partition by list (id)",
        "create table part partition of mine for values in (1)",
    )
    await watch(log, f"{other.name}.mine", f'{owner.name}.orders {{"columns": ["id", "note"]}}')
    await other.execute("insert into mine values (1, '(7,x,y)')")
    await log.take()
    await other.execute("begin; lock table part in access exclusive mode")
    await owner.execute(
        "begin; alter table orders drop column shown; alter table orders add secret text; commit",
        "insert into orders values (2, 'note', 'secret')",
    )
    assert (await values(log))[1:] == [{"id": 2, "note": "note"}]
    await other.execute("rollback", "update mine set o = '(8,z,w)'")
    assert (await values(log))[-1]["o"] == {"id": 8, "note": "z", "secret": "w"}
    assert (owner.warnings, await stale(log)) == ([], [])


async def test_a_row_type_is_followed_through_the_types_of_others(
    log: Log, owners: tuple[Owner, Owner]
) -> None:
    other, owner = owners
    await owner.execute(
        "create table orders (id int primary key, v text)", "create domain word as text"
    )
    await other.execute(
        f"create type t0 as (a {owner.name}.orders)",
        "create domain d as t0[]",
        "create table mine (id int primary key, d d)",
        "create table theirs (id int primary key)",
    )
    await watch(log, f"{other.name}.mine", f"{other.name}.theirs")
    await other.execute("insert into mine values (1, array[row(row(1, 'a'))::t0])")
    await log.take()
    noted = "select count(*), min(relation::text) from wamp.raw where op = 'l'"
    await owner.execute("begin; alter table orders rename v to w; alter table orders add x word")
    await owner.execute("commit")
    # It tells of its own rows only, whatever others have made of them.
    assert tuple(await log.connection.fetchrow(noted)) == (2, f"{owner.name}.orders")
    await other.execute("update mine set d = array[row(row(2, 'b', 'c'))::t0]")
    assert [row["d"] for row in await values(log)] == [
        [{"a": {"id": 1, "v": "a"}}],
        [{"a": {"id": 2, "w": "b", "x": "c"}}],
    ]
    assert await stale(log) == []
    await owner.execute("alter table orders drop w, drop x")
    await log.take()
    assert await stale(log) == []


async def test_a_trigger_of_another_hides_no_dropped_partition(
    log: Log, owners: tuple[Owner, Owner]
) -> None:
    for owner in owners:
        await owner.execute(
            "create table orders (id int primary key) partition by list (id)",
            "create table part partition of orders for values in (1) partition by list (id)",
            "create table leaf partition of part for values in (1)",
            "create table two partition of orders for values in (2)",
        )
        await watch(log, f"{owner.name}.orders")
    other, owner = owners
    await other.execute(
        "create function f() returns trigger language plpgsql as 'begin return null; end'",
        "alter trigger wamp_insert on two rename to zz",
        "create constraint trigger wamp_insert after insert on two for each row "
        "execute function f()",
    )
    await log.take()
    noted = "select count(*) from wamp.raw where op = 'l' and relation = $1::regclass"
    before = await log.connection.fetchval(noted, f"{other.name}.orders")
    await owner.execute("drop table leaf", "drop table two")
    assert await log.told() == [
        ("truncate", {"partition": f"{owner.name}.leaf"}),
        ("truncate", {"partition": f"{owner.name}.two"}),
    ]
    assert await log.connection.fetchval(noted, f"{other.name}.orders") == before
    # Nor does it keep a new partition from its own triggers.
    await owner.execute(
        "create table three partition of orders for values in (3)", "insert into three values (3)"
    )
    assert (await values(log))[-1] == {"id": 3}
    assert owner.warnings == []


async def test_a_typed_table_follows_its_type(log: Log, owners: tuple[Owner, Owner]) -> None:
    other, owner = owners
    await owner.execute(
        "create type t as (id int, a text, b text)",
        "create table typed of t (primary key (id)) partition by list (id)",
        "create table part partition of typed default",
        f"grant usage on type t to {other.name}",
    )
    await other.execute(f"create table pin (id int primary key, v {owner.name}.typed)")
    await watch(log, f"{owner.name}.typed", f"{other.name}.pin")
    await owner.execute(
        "insert into typed values (1, 'a', 'b')",
        "alter type t rename attribute a to c cascade",
        "alter type t rename attribute b to a cascade",
        "insert into typed (id, c, a) values (2, 'c', 'a')",
    )
    await other.execute("insert into pin values (1, '(3,d,e)')")
    assert await values(log) == [
        {"id": 1, "a": "a", "b": "b"},
        {"id": 2, "c": "c", "a": "a"},
        {"id": 1, "v": {"id": 3, "c": "d", "a": "e"}},
    ]
    assert await stale(log) == []
    await watch(log, f'{owner.name}.typed {{"columns": ["id", "a"]}}')
    for change in ("rename attribute a to f", "drop attribute a"):
        with pytest.raises(asyncpg.UndefinedColumnError, match='typed has no column "a"'):
            await owner.execute(f"alter type t {change} cascade")


async def test_options_of_another_table_keep_nobody_from_a_change(
    log: Log, owners: tuple[Owner, Owner]
) -> None:
    other, owner = owners
    await owner.execute(
        "create type mood as enum ('fine')",
        "create table plain (id int primary key)",
        "create table orders (id int primary key) partition by list (id)",
        "create table part partition of orders default",
    )
    await other.execute(f"create table mine (id int primary key, m {owner.name}.mood)")
    await watch(
        log,
        f'{other.name}.mine {{"topic": "com.example.{{m}}"}}',
        f"{owner.name}.plain",
        f"{owner.name}.orders",
    )
    await owner.execute("drop type mood cascade", "drop table part", "drop table plain")
    (warning,) = owner.warnings
    assert 'mine has no column "m"' in warning
    await other.execute("insert into mine values (1)")
    *_, event = (await log.told(), await log.events())[1]
    assert (event.silent, event.topic) == (True, None)


@pytest.mark.parametrize("held", ["part", "whole"])
async def test_without_event_triggers_a_lock_of_an_owner_stops_no_events(
    log: Log, owners: tuple[Owner, Owner], held: str
) -> None:
    other, _ = owners
    await require_virtual_columns(log)
    await log.execute(*WITHOUT_EVENT_TRIGGERS, *ITEM)
    await other.execute(
        "create table whole (id int primary key, n int) partition by list (id)",
        "create table part partition of whole for values in (1)",
        "create table open partition of whole for values in (2)",
    )
    await watch(log, f"{other.name}.whole")
    await log.take()
    await other.execute(
        "alter table whole add v int generated always as (n + 1) virtual",
        "insert into whole values (2, 3)",
        f"begin; lock table {held} in access exclusive mode",
    )
    await log.execute("insert into item values (1, 'a')")
    first, second = await values(log)
    assert first in (MARKED, {"id": 2, "n": 3, "v": 4})
    assert second == {"id": 1, "name": "a"}
    await other.execute("rollback", "insert into open values (2, 3) on conflict do nothing")
    await other.execute("update whole set n = 4")
    assert (await values(log))[-1] == {"id": 2, "n": 4, "v": 5}


@pytest.mark.parametrize("held", ["part", "whole"])
async def test_a_lock_of_an_owner_keeps_no_sequencer_from_its_start(
    log: Log, owners: tuple[Owner, Owner], held: str
) -> None:
    other, _ = owners
    await require_virtual_columns(log)
    await log.execute(*ITEM)
    await other.execute(
        "create table whole (id int primary key, v int generated always as (id + 1) virtual) "
        "partition by list (id)",
        "create table part partition of whole default",
    )
    await watch(log, f"{other.name}.whole")
    await log.take()
    await log.execute("delete from wamp.layout", "truncate wamp.raw", "insert into item values (1)")
    await other.execute(f"begin; lock table {held} in access exclusive mode")
    await values(log)
    await log.execute("insert into item values (2)")
    assert (await values(log))[-1] == {"id": 2, "name": None}
    await other.execute("rollback")
    await log.take()
    await other.execute("insert into whole values (1)")
    assert (await values(log))[-1] == {"id": 1, "v": 2}


# --- composites that change again and again -------------------------------------------------------


@pytest.fixture
def rebuilt(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The layouts that are made anew because of composites."""
    found: list[str] = []
    make = subjects.with_composites

    def spy(text: str, told: Any) -> str:
        found.append(text)
        return make(text, told)

    monkeypatch.setattr(subjects, "with_composites", spy)
    return found


@pytest.fixture
async def composed(log: Log, owners: tuple[Owner, Owner]) -> Owner:
    """The owner of a watched table ``t`` with a composite, and of another watched table."""
    owner, _ = owners
    await owner.execute(
        "create type tiny as (x int)",
        "create table t (id int primary key, v tiny)",
        "create table plain (id int primary key)",
    )
    await watch(log, f"{owner.name}.t", f"{owner.name}.plain")
    await log.take()
    return owner


@pytest.mark.parametrize("most_rows", [3, 2000])
async def test_a_layout_is_made_anew_once_for_many_changes_of_a_type(
    log: Log,
    composed: Owner,
    rebuilt: list[str],
    monkeypatch: pytest.MonkeyPatch,
    most_rows: int,
) -> None:
    monkeypatch.setattr(module, "MOST_ROWS", most_rows)
    await composed.execute(
        "do $$ begin for i in 1..20 loop alter type tiny rename attribute x to y; "
        "alter type tiny rename attribute y to x; insert into plain values (i); end loop; "
        "alter type tiny rename attribute x to z; insert into t values (1, row(7)); end $$"
    )
    told = await values(log)
    assert told == [*({"id": number} for number in range(1, 21)), {"id": 1, "v": {"z": 7}}]
    assert len(rebuilt) == 1


@pytest.mark.parametrize("most_rows", [3, 2000])
async def test_each_row_reads_by_its_type_as_it_was(
    log: Log, composed: Owner, monkeypatch: pytest.MonkeyPatch, most_rows: int
) -> None:
    monkeypatch.setattr(module, "MOST_ROWS", most_rows)
    await composed.execute(
        "create type within as (a int)",
        "begin",
        "insert into t values (1, row(1))",
        "alter type tiny rename attribute x to y",
        "insert into t values (2, row(2))",
        # A type that the table has had for no row yet.
        "alter type tiny add attribute w within",
        "alter type within rename attribute a to b",
        "insert into t values (3, row(3, row(4)))",
        "alter type within rename attribute b to c",
        "alter type tiny drop attribute y",
        "insert into t values (4, row(row(5)))",
        "alter type tiny drop attribute w, add attribute x int",
        "alter type within rename attribute c to d",
        "insert into t values (5, row(6))",
        "alter type within add attribute e int",
        "alter type tiny add attribute w within",
        "insert into t values (6, row(7, row(8, 9)))",
        "commit",
    )
    assert [row["v"] for row in await values(log)] == [
        {"x": 1},
        {"y": 2},
        {"y": 3, "w": {"b": 4}},
        {"w": {"c": 5}},
        {"x": 6},
        {"x": 7, "w": {"d": 8, "e": 9}},
    ]
    assert await stale(log) == []


async def test_a_table_whose_layouts_take_too_long_is_told_of_without_values(
    log: Log, composed: Owner, rebuilt: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(subjects, "BUDGET_SECONDS", 0.0)
        await composed.execute(
            "do $$ begin for i in 1..9 loop "
            "execute format('alter type tiny add attribute a%s int', i); "
            "execute 'insert into t values ($1)' using i; insert into plain values (i); "
            "end loop; end $$"
        )
        first, *others = await values(log)
    assert first["id"] == 1
    assert others == [
        {"id": 1},
        *(row for number in range(2, 10) for row in (MARKED, {"id": number})),
    ]
    assert len(rebuilt) == 1
    await log.execute(f"select wamp.refresh('{composed.name}.t')")
    await composed.execute("insert into t values (10, row(1, 2, 3, 4, 5, 6, 7, 8, 9, 10))")
    assert (await values(log))[-1]["v"]["a9"] == 10
    assert await stale(log) == []


async def test_types_that_grow_after_the_watch_are_not_kept(log: Log, composed: Owner) -> None:
    grown = [f"t{number}" for number in range(13)]
    await composed.execute(
        *(f"create type {name} as (x int)" for name in grown),
        f"alter type tiny {', '.join(f'add attribute {name} {name}' for name in grown)}",
    )
    await log.take()
    for name in grown:
        await composed.execute(
            f"do $$ begin execute (select 'alter type {name} ' || string_agg("
            "'add attribute a' || n || ' int', ',') from generate_series(1, 1590) as n); end $$"
        )
    await composed.execute("insert into t values (1)", "insert into plain values (1)")
    assert await values(log) == [MARKED, {"id": 1}]
    kept = await log.connection.fetchval("select max(length(layout)) from wamp.layout")
    assert kept < 10_000
    (finding,) = await stale(log)
    assert "too many columns" in finding
    await composed.execute("alter type tiny drop attribute t0", "alter table t add n int")
    await composed.execute("insert into t values (2)")
    assert (await values(log))[-1]["id"] == 2
    assert await stale(log) == []


# --- keys -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("how", ["", "concurrently"])
async def test_a_replica_identity_that_goes_is_followed(log: Log, how: str) -> None:
    await log.execute(
        "create table item (id int not null, n int)",
        "create unique index item_id on item (id)",
        "alter table item replica identity using index item_id",
        "select wamp.watch('item')",
        "insert into item values (1, 1)",
        f"drop index {how} item_id",
        "insert into item values (1, 2)",
    )
    assert await log.told() == [
        ("insert", {"key": {"id": 1}, "new": {"id": 1, "n": 1}}),
        ("insert", {"new": {"id": 1, "n": 2}}),
    ]
