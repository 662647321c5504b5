"""Nothing that a call leaves on its connection is met by the next call, whatever way it took."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from pgwamp.errors import CallError
from tests.conftest import Database
from tests.database.conftest import Calls, Expose
from tests.servers import CALLS

#: Leaves whatever a role without any right may leave in a session.
LEAVE = """
create function leave() returns int language plpgsql as $$
begin
    if current_setting('transaction_read_only') = 'off' and to_regclass('left_table') is null then
        create temp table left_table (id int);
        create temp sequence left_sequence;
        perform nextval('left_sequence');
    end if;
    perform pg_advisory_lock(20599, 1), pg_advisory_lock_shared(4711);
    listen left_channel;
    if not exists (select from pg_cursors where name = 'left_cursor') then
        execute 'declare left_cursor cursor with hold for select 1';
    end if;
    if not exists (select from pg_prepared_statements where name = 'left_statement') then
        execute 'prepare left_statement as select 1';
    end if;
    perform set_config('my.left', 'x', false), set_config('work_mem', '1234kB', false),
        set_config('search_path', 'nowhere', false),
        set_config('statement_timeout', '5s', false), set_config('timezone', 'Asia/Tokyo', false);
    return 1;
end $$
"""
#: All that a session shows of it, from a function that runs in either kind of transaction.
FOUND = """
create function found(out name text, out value text) returns setof record language plpgsql as $$
begin
    return query select 'temporary', c.relname::text from pg_class as c
        where c.relnamespace = pg_my_temp_schema();
    return query select 'lock', l.objid::text from pg_locks as l
        where l.locktype = 'advisory' and l.pid = pg_backend_pid();
    return query select 'channel', c from pg_listening_channels() as c;
    return query select 'cursor', c.name from pg_cursors as c where c.name like 'left%';
    return query select 'statement', s.name from pg_prepared_statements as s where s.from_sql;
    return query select 'setting', concat_ws(' ', s.name, s.setting) from pg_settings as s
        where s.setting <> s.reset_val and s.name not in ('transaction_isolation',
            'transaction_read_only', 'transaction_deferrable', 'role');
    return query select 'setting', s from current_setting('my.left', true) as s where s <> '';
    begin
        return query select 'lastval', lastval()::text;
    exception when object_not_in_prerequisite_state then
        null;
    end;
end $$
"""
SCHEMA = (
    LEAVE,
    FOUND,
    "create function found_stable() returns jsonb language sql stable as "
    "$$ select jsonb_agg(f) from public.found() as f $$",
    "create table item (id int primary key default leave(), name text)",
    "create function item_left() returns trigger language plpgsql as "
    "$$ begin perform public.leave(); return coalesce(new, old); end $$",
    "create trigger t before insert or update or delete on item "
    "for each row execute function item_left()",
    "create table plain (id int primary key, name text)",
    "insert into plain values (1, 'a')",
    "create domain careful as int check (leave() = 1)",
    "create table checked (id careful primary key)",
    "create table secured (id int primary key)",
    "alter table secured enable row level security, force row level security",
    "create policy p on secured using (leave() = 1)",
    "insert into secured values (1)",
    "create view seen as select id, public.leave() as l from plain",
    "create function computed(plain) returns int language sql as 'select public.leave()'",
    "create function leave_and_fail() returns int language plpgsql as "
    "$$ begin perform public.leave(); raise 'no'; end $$",
    "create function leave_and_sleep() returns int language plpgsql as "
    "$$ begin perform public.leave(), set_config('statement_timeout', '0', false), "
    "pg_sleep(30); return 1; end $$",
    "create function leave_set() returns setof plain language sql as "
    "'select public.leave(); select * from public.plain'",
    "create function deferred_left() returns trigger language plpgsql as "
    "$$ begin perform public.leave(); return null; end $$",
    "create table late (id int primary key)",
    "create constraint trigger t after insert on late deferrable initially deferred "
    "for each row execute function deferred_left()",
    "create function nothing() returns void language sql as ''",
    "create function seed() returns void language sql as 'select setseed(0.5)'",
    "create function draw() returns float language sql as 'select random()'",
    "create procedure leave_and_commit() language plpgsql as "
    "$$ begin perform public.leave(); commit; perform public.leave(); end $$",
)
QUERIES = "-- name: asked\nselect public.leave()\n"
MODULE = """
import asyncpg
from autobahn import wamp

@wamp.register("pythonic")
async def pythonic(connection: asyncpg.Connection) -> int:
    return await connection.fetchval("select public.leave()")

@wamp.register("pythonic_error")
async def pythonic_error(connection: asyncpg.Connection) -> int:
    await connection.fetchval("select public.leave()")
    raise LookupError

@wamp.register("codec")
async def codec(connection: asyncpg.Connection) -> int:
    await connection.set_type_codec(
        "int4", schema="pg_catalog", encoder=str, decoder=lambda text: 666, format="text"
    )
    return await seven(connection)

@wamp.register("seven")
async def seven(connection: asyncpg.Connection) -> int:
    return await connection.fetchval("select 7")
"""


async def _sink(_: Any) -> None:
    pass


async def _streamed(call: Calls, name: str, **kwargs: Any) -> None:
    async for _ in call.streamed(name, _sink, **kwargs):
        pass


async def _dropped_stream(call: Calls) -> None:
    stream = call.streamed("leave_set", _sink)
    await anext(stream)
    await stream.aclose()  # type: ignore[attr-defined]


async def _cancelled(call: Calls) -> None:
    with suppress(TimeoutError):
        async with asyncio.timeout(0.15):
            await call("leave_and_sleep")


Way = Callable[[Calls], Awaitable[Any]]
_STEP = {"procedure": "leave"}
WAYS: Mapping[str, Way] = {
    "function": lambda call: call("leave"),
    "function that fails": lambda call: call("leave_and_fail"),
    "function that times out": _cancelled,
    "set": lambda call: call("leave_set"),
    "set as CSV": lambda call: call("leave_set", format="csv"),
    "stream": lambda call: _streamed(call, "leave_set"),
    "stream as CSV": lambda call: _streamed(call, "leave_set", format="csv"),
    "stream that its caller leaves": _dropped_stream,
    "SQL procedure": lambda call: call("leave_and_commit"),
    "named query": lambda call: call("asked"),
    "stream of a named query": lambda call: _streamed(call, "asked"),
    "trigger of insert": lambda call: call("item.insert", {"id": 1}),
    "trigger of CSV": lambda call: call("item.insert", csv="id,name\n2,b\n"),
    "trigger of upsert": lambda call: call("item.upsert", {"id": 1, "name": "c"}),
    "trigger of CSV upsert": lambda call: call("item.upsert", csv="id,name\n2,c\n"),
    "trigger of update": lambda call: call("item.update", {"name": "d"}, {"id": 1}),
    "trigger that is rolled back": lambda call: call("item.delete", {"id": 1}, max_affected=0),
    "deferred trigger": lambda call: call("late.insert", {"id": 1}),
    "trigger of delete": lambda call: call("item.delete", {"id": [1, 2]}),
    "domain": lambda call: call("checked.select", where={"id": 7}),
    "domain in a key": lambda call: call("checked.get", 7),
    "row level security": lambda call: call("secured.select"),
    "view": lambda call: call("seen.select"),
    "view as CSV": lambda call: call("seen.select", format="csv"),
    "stream of a view": lambda call: _streamed(call, "seen.select"),
    "count of a view": lambda call: call("seen.count", {"l": 1}),
    "planned count": lambda call: call("seen.count", {"l": 1}, mode="planned"),
    "computed column": lambda call: call("plain.select", columns=["computed"]),
    "condition on a computed column": lambda call: call("plain.count", {"computed": 1}),
    "order by a computed column": lambda call: call("plain.select", order=["computed"]),
    "batch": lambda call: call("batch", [_STEP, _STEP]),
    "batch that fails": lambda call: call("batch", [_STEP, {"procedure": "leave_and_fail"}]),
    "Python": lambda call: call("pythonic"),
    "Python that fails": lambda call: call("pythonic_error"),
}  # fmt: skip
MODES = ("plain", "roles", "before", "pooler")


@pytest.fixture
async def left(
    expose: Expose,
    roles: list[str],
    database: Database,
    tmp_path: Path,
    prefix: str,
    monkeypatch: pytest.MonkeyPatch,
    mode: str,
) -> Calls:
    """Procedures that leave something, called in one of the ways to use a connection."""
    module = f"left_{mode}_" + prefix.rpartition(".")[2]
    (tmp_path / f"{module}.py").write_text(MODULE)
    (tmp_path / "q.sql").write_text(QUERIES)
    monkeypatch.syspath_prepend(str(tmp_path))
    mapped = {"roles": {"anonymous": roles[0], "user": roles[1]}}
    access = {"roles": mapped, "before": {**mapped, "before": "nothing"}}
    return await expose(
        *SCHEMA,
        f"grant all on all tables in schema public to {', '.join(roles)}",
        access=access.get(mode, {}),
        database={"listen_url": database.url} if mode == "pooler" else {},
        expose={"queries": str(tmp_path), "procedures": [module]},
    )


@pytest.mark.parametrize("mode", MODES)
async def test_the_next_call_finds_nothing(left: Calls) -> None:
    # Behind a pooler settings are of the transaction, and so not those of the beginning.
    nothing = {kind: await left(kind, by="user") for kind in ("found", "found_stable")}
    for name, way in WAYS.items():
        with suppress(CallError, LookupError):
            await way(left)
        for kind, expected in nothing.items():
            assert await left(kind, by="user") == expected, name


async def test_what_a_call_leaves_would_be_found(database: Database) -> None:
    database.execute(*SCHEMA)
    connection = await database.connect()
    try:
        await connection.fetch("select leave()")
        found = await connection.fetch("select * from public.found()")
    finally:
        await connection.close()
    assert {name for name, _ in found} == {
        "temporary", "lock", "channel", "cursor", "statement", "setting", "lastval",
    }  # fmt: skip


@pytest.mark.parametrize("mode", MODES)
async def test_the_next_random_numbers_are_not_those_of_a_call(left: Calls) -> None:
    drawn = []
    for _ in range(3):
        await left("seed")
        drawn.append(await left("draw", by="user"))
    assert len(set(drawn)) == 3


#: Each makes the next reset of its connection slow, or impossible.
SPOIL = {
    "a timeout": "set_config('statement_timeout', '1ms', false)",
    "a timeout of transactions": "set_config('transaction_timeout', '1ms', false)",
    "a timeout of idle sessions": "set_config('idle_session_timeout', '1ms', false)",
    "a statement": "spoil('prepare left_statement as select 1')",
    "no statements": "spoil('deallocate all')",
    "one statement less": "spoil(format('deallocate %I', (select min(name) "
    "from pg_prepared_statements)))",
    "another statement": "spoil(format('deallocate %1$I; prepare %1$I as select 666', "
    "(select min(name) from pg_prepared_statements)))",
    "temporary tables": "set_config('temp_buffers', '800kB', false), "
    "spoil('create temp table one as select generate_series(1, 9999) as id')",
    "other strings": "set_config('standard_conforming_strings', 'off', false), "
    "set_config('backslash_quote', 'off', false), set_config('client_encoding', 'LATIN1', false)",
}
SPOILING = (
    "create function spoil(text) returns int language plpgsql as "
    "$$ begin execute $1; return 1; end $$",
    "create table plain (id int primary key, name text)",
    "insert into plain values (1, 'ä')",
    "create function greet(who text) returns text language sql stable as "
    "$$ select 'hello ' || who $$",
)


@pytest.mark.parametrize("how", SPOIL)
async def test_connections_that_calls_have_spoilt_are_no_error_of_the_next_calls(
    expose: Expose, how: str
) -> None:
    call = await expose(
        *SPOILING,
        # Asleep, it lets the others take connections of their own.
        "create function spoilt() returns int language plpgsql as "
        f"$$ begin perform pg_sleep(0.02); perform {SPOIL[how]}; return 1; end $$",
        database={"pool_max": 4},
        limits={"per_session": 1},
    )

    async def others() -> None:
        for _ in range(8):
            assert await call("plain.select") == [{"id": 1, "name": "ä"}]
            assert await call("greet", "ä") == "hello ä"
            assert await call("plain.update", {"name": "ä"}, {"id": 1}) == [{"id": 1, "name": "ä"}]

    await others()
    for _ in range(3):
        answers = await asyncio.gather(*(call("spoilt") for _ in range(4)), return_exceptions=True)
        # Its own session may end before it is committed.
        assert all(isinstance(answer, int | CallError) for answer in answers), answers
        await others()


async def test_a_reset_that_another_session_holds_up_is_given_up(
    expose: Expose, database: Database
) -> None:
    # A function with an argument of a temporary type is dropped with it.
    call = await expose(
        *SPOILING,
        "create function spoilt() returns void language plpgsql as $$ begin "
        "create temp table one (id int); "
        "create function of_it(pg_temp.one) returns int language sql as 'select 1'; end $$",
        f"grant create on schema public to {CALLS}",
    )
    await call("spoilt")
    stranger = await database.connect()
    try:
        async with stranger.transaction():
            await stranger.execute("comment on function of_it is 'mine'")
            async with asyncio.timeout(8):
                assert await call("plain.update", {"name": "b"}, {"id": 1})
    finally:
        await stranger.close()


async def test_a_reset_waits_for_no_serializable_transaction(
    expose: Expose, database: Database
) -> None:
    call = await expose(
        *SPOILING,
        "create function spoilt() returns void language plpgsql stable as $$ begin perform "
        "set_config('default_transaction_isolation', 'serializable', false), "
        "set_config('default_transaction_deferrable', 'on', false), "
        "set_config('default_transaction_read_only', 'on', false); end $$",
    )
    stranger = await database.connect()
    try:
        async with stranger.transaction(isolation="serializable"):
            await stranger.execute("insert into plain values (2)")
            await call("spoilt")
            async with asyncio.timeout(1):
                assert len(await call("plain.select")) == 1
    finally:
        await stranger.close()


async def test_a_sequence_of_a_plain_insert_is_not_told_to_the_next_call(expose: Expose) -> None:
    call = await expose(
        "create table item (id int primary key generated always as identity, name text)",
        "create function last() returns bigint language sql as 'select lastval()'",
        "create view seen as select name, lastval() as last from item",
    )
    for _ in range(2):
        await call("item.insert", {"name": "pen"})
        # To read a plain table needs no reset, and cannot see it.
        assert len(await call("item.select")) >= 1
        await call.fails("pgwamp.error.object_not_in_prerequisite_state", "last")
        await call("item.insert", {"name": "ink"})


@pytest.mark.parametrize("mode", MODES)
async def test_a_codec_of_a_python_procedure_is_its_own(left: Calls) -> None:
    for _ in range(2):
        assert await left("codec") == 666
        assert await left("seven", by="user") == 7
        await left("codec")
        row = {"id": 1, "name": "a"}
        assert await left("plain.update", {"name": "a"}, {"id": 1}, by="user") == [row]
        await left("codec")
        assert await left("plain.select", by="user") == [row]


async def test_a_table_whose_insert_runs_code_is_known(expose: Expose) -> None:
    trigger = (
        "create function hold() returns trigger language plpgsql as $$ begin "
        "perform set_config('timezone', 'Asia/Tokyo', false); return new; end $$"
    )
    check = (
        "create function fine(text) returns boolean language plpgsql immutable as $$ begin "
        "perform set_config('timezone', 'Asia/Tokyo', false); return true; end $$"
    )
    call = await expose(
        trigger,
        check,
        "create table moment (at timestamptz)",
        "create table fired (id int)",
        "create trigger hold before insert on fired for each row execute function hold()",
        "create table checked (name text check (fine(name)))",
        "create domain word as text check (fine(value))",
        "create table worded (name word)",
        "create table indexed (name text)",
        "create index on indexed (fine(name))",
        "create table defaulted (id int, name boolean default fine('x'))",
        "create schema other",
        "create table other.target (id int primary key)",
        "insert into other.target values (1)",
        "create index on other.target (id) where fine('x')",
        "create table pointing (id int references other.target)",
        "create table other.parted (id int primary key) partition by list (id)",
        "create table other.part partition of other.parted for values in (1)",
        "insert into other.part values (1)",
        "create index on other.part (id) where fine('x')",
        "create table pointing_at_parts (id int references other.parted)",
        "create type mood as enum ('fine')",
        "create function number(mood) returns int language plpgsql immutable as $$ begin "
        "perform set_config('timezone', 'Asia/Tokyo', false); return 1; end $$",
        "create cast (mood as int) with function number(mood) as implicit",
        "create table other.plain (id int primary key)",
        "insert into other.plain values (1)",
        "create table cast_in_key (n int, hidden mood default 'fine' references other.plain)",
        expose={"exclude": ["hidden"]},
    )
    moment = {"at": "2026-01-01T00:00:00Z"}
    before = await call("moment.insert", moment)
    for table, row in {
        "pointing": {"id": 1},
        "pointing_at_parts": {"id": 1},
        "cast_in_key": {"n": 1},
        "fired": {"id": 1},
        "checked": {"name": "a"},
        "worded": {"name": "a"},
        "indexed": {"name": "a"},
        "defaulted": {"id": 1},
    }.items():
        # A number has one form, whatever the code sets.
        await call(f"{table}.insert", row, returning=False)
        # A plain insert first resets what another has left, but not if that is a sequence at most.
        assert await call("moment.insert", moment) == before, table
