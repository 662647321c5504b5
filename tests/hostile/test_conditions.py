"""The owner of a function that a condition names gains nothing by it, and stops nobody."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import asyncpg
import pytest

from pgwamp.eventlog import evaluator
from pgwamp.eventlog import sequencer as sequencer_module
from pgwamp.eventlog.sequencer import Sequencer
from tests.conftest import Database
from tests.servers import EVENTS

#: A function of somebody who has nothing else, as it is when the table is watched.
SETUP = """
create schema strange;
grant usage on schema strange to public;
create table strange.loot (what text);
grant insert on strange.loot to public;
create table strange.d (n int);
grant insert on strange.d to public;
create function strange.ok(v text) returns boolean immutable language sql as 'select true';
create table own (id int primary key, v text);
create table other (id int primary key);
select wamp.watch('other');
select wamp.watch('own', '{"when": "strange.ok(v)"}');
"""
REPLACED = """
create or replace function strange.ok(v text) returns boolean volatile language plpgsql as $f$
begin {body} return true; end $f$
"""
STEAL = "insert into strange.loot select current_user || encode(key, 'hex') from wamp.secret"
#: What is made beside the function, and what it does.
ATTACKS = {
    "a deferred trigger": (
        f"create function strange.late() returns trigger language plpgsql as $f$ begin {STEAL}; "
        "return null; end $f$; create constraint trigger c after insert on strange.d "
        "deferrable initially deferred for each row execute function strange.late()",
        "execute 'insert into strange.d values (1)';",
    ),
    "a search path": (
        "create function strange.octet_length(v text) returns int language plpgsql as $f$ begin "
        f"{STEAL}; return 1; end $f$",
        "perform set_config('search_path', 'strange, pg_catalog', false);",
    ),
    "a prepared statement": (
        "create function strange.pwn() returns text language plpgsql as $f$ begin "
        f"{STEAL}; return 'x'; end $f$",
        "declare r record; begin for r in select name from pg_prepared_statements loop "
        "execute format('deallocate %I', r.name); "
        "execute format('prepare %I as select strange.pwn()', r.name); end loop; end;",
    ),
    "all prepared statements": ("select", "execute 'deallocate all';"),
    "no listening": ("select", "execute 'unlisten *';"),
    "an error of the administrator": ("select", "raise exception 'x' using errcode = '57P01';"),
    "an error of the connection": ("select", "raise exception 'x' using errcode = '08006';"),
    "an error that is a warning": ("select", "raise exception 'x' using errcode = '01000';"),
    "an end of the session": ("select", "perform pg_terminate_backend(pg_backend_pid());"),
    "a loop that takes no cancel": (
        "select",
        "loop begin perform pg_sleep(0.1); exception when query_canceled then null; end; end loop;",
    ),
}


@pytest.fixture
async def superuser(database: Database) -> AsyncIterator[asyncpg.Connection[Any]]:
    """A connection that sets the stage."""
    connection = await database.connect()
    await connection.execute(SETUP)
    yield connection
    await connection.close()


@pytest.mark.parametrize("attack", ATTACKS)
async def test_a_condition_gains_nothing_and_stops_nobody(
    superuser: asyncpg.Connection[Any],
    database: Database,
    monkeypatch: pytest.MonkeyPatch,
    attack: str,
) -> None:
    monkeypatch.setattr(evaluator, "SECONDS", 0.5)
    logged = asyncio.Event()
    url = database.url.replace("//postgres@", f"//{EVENTS}@")
    sequencer = Sequencer(url, timedelta(hours=1), logged=logged.set)
    await sequencer.start()
    count = "select count(*) from wamp.log where relation = 'other'::regclass"
    try:
        beside, body = ATTACKS[attack]
        await superuser.execute(beside)
        await superuser.execute(REPLACED.format(body=body))
        for number in range(2):
            await superuser.execute(f"insert into own values ({number}, 'a')")
            await superuser.execute(f"insert into other values ({number})")
            async with asyncio.timeout(20):
                logged.clear()
                while await superuser.fetchval(count) <= number:
                    await logged.wait()
                    logged.clear()
        assert await superuser.fetch("select what from strange.loot") == []
    finally:
        await sequencer.stop()
    # Nothing goes on in the server.
    left = "select count(*) from pg_stat_activity where application_name = 'pgwamp conditions' and "
    async with asyncio.timeout(10):
        while await superuser.fetchval(left + "datname = current_database()"):
            pass


async def test_a_slow_condition_beside_ddl_stops_nobody(
    superuser: asyncpg.Connection[Any], database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The sequencer's own transactions may stand still for 0.2 seconds.
    monkeypatch.setattr(sequencer_module, "LEASE_SECONDS", 1.2)
    logged = asyncio.Event()
    url = database.url.replace("//postgres@", f"//{EVENTS}@")
    sequencer = Sequencer(url, timedelta(hours=1), logged=logged.set)
    await sequencer.start()
    try:
        await superuser.execute(REPLACED.format(body="perform pg_sleep(0.5);"))
        await superuser.execute(
            "begin; alter table own add column z int; insert into own values (1, 'a'); commit"
        )
        await superuser.execute("insert into other values (1)")
        count = (
            "select count(*) from wamp.log where relation in ('own'::regclass, 'other'::regclass)"
        )
        async with asyncio.timeout(20):
            while await superuser.fetchval(count) < 2:
                await logged.wait()
                logged.clear()
    finally:
        await sequencer.stop()
