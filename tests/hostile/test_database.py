"""A database that hostile hands have made, before pgwamp comes and while it runs."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator, Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import asyncpg
import psycopg2
import pytest
from typer.testing import CliRunner

from pgwamp import logs, migrations
from pgwamp.capture.signal import CHANNEL
from pgwamp.checks import check_all
from pgwamp.cli.app import app
from pgwamp.errors import CallError
from tests.conftest import Connect, Database, Events, MakeSettings, Serve
from tests.hostile_database import HOSTILE, NAMES, literal, odd_objects, quoted
from tests.replay.following import Follower
from tests.servers import CALLS, EVENTS, Addresses, execute


@dataclass(frozen=True)
class Hands:
    """Roles of the hostile, of a caller, and a database that they had first."""

    mallory: str
    caller: str
    template: str


@pytest.fixture(scope="module")
def hands(addresses: Addresses) -> Iterator[Hands]:
    """Objects of a stranger in public, on the search path of everybody, and names of all kinds."""
    unique = uuid.uuid4().hex[:8]
    found = Hands(f"mallory_{unique}", f"caller_{unique}", f"hostile_{unique}")
    admin = addresses.database("postgres")
    execute(
        admin,
        f"create role {found.mallory} login",
        f"create role {found.caller} role {CALLS}",
        f"alter role {found.caller} set search_path = ''",
        f"alter role {found.caller} set standard_conforming_strings = off",
        f"alter role {found.caller} set quote_all_identifiers = on",
        f"create database {found.template} owner {EVENTS}",
        f"alter database {found.template} set search_path = public, pg_catalog",
    )
    url = addresses.database(found.template)
    owner = url.replace("//postgres@", f"//{EVENTS}@")
    execute(url, f"grant create on schema public to {found.mallory}, {EVENTS}")
    execute(owner, *("set search_path = public; " + statement for statement in odd_objects()))
    execute(owner, f"grant all on all tables in schema public to {found.caller}")
    execute(url.replace("//postgres@", f"//{found.mallory}@"), *HOSTILE)
    yield found
    execute(admin, f"drop database {found.template} with (force)")
    execute(admin, f"drop role {found.mallory}", f"drop role {found.caller}")


@pytest.fixture
def empty(addresses: Addresses, hands: Hands) -> Iterator[Database]:
    """That database, without the wamp schema."""
    name = f"t_{uuid.uuid4().hex[:12]}"
    admin = addresses.database("postgres")
    execute(
        admin,
        f"create database {name} template {hands.template} owner {EVENTS}",
        f"alter database {name} set search_path = public, pg_catalog",
    )
    yield Database(addresses.database(name), name)
    execute(admin, f"drop database {name} with (force)")


@pytest.fixture
def database(empty: Database) -> Database:
    """That database, with the wamp schema of its owner and the event triggers of a superuser."""
    migrations.upgrade(empty.url.replace("//postgres@", f"//{EVENTS}@"))
    migrations.upgrade(empty.url)
    return empty


LATE = "create table public.late (id pg_catalog.int4)"


def touched(database: Database) -> list[tuple[str, str]]:
    """Who has run something of the stranger's: role, and what."""
    with closing(psycopg2.connect(database.url)) as connection, connection.cursor() as cursor:
        cursor.execute("select distinct who, what from public.touched")
        return cursor.fetchall()


def test_the_commands_of_the_owner_run_nothing_of_the_stranger(
    empty: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Commands run in this process, whose log belongs to all tests.
    monkeypatch.setattr(logs, "configure", lambda settings: None)
    environment = {
        "DATABASE_URL": empty.url.replace("//postgres@", f"//{EVENTS}@"),
        "PGWAMP_EXPOSE__SCHEMAS": '["public"]',
        "PGWAMP_EXPOSE__PREFIX": "com.example",
        "PGWAMP_ROUTER__URL": "ws://127.0.0.1:1/ws",
    }
    for command in (
        "db upgrade 0101",
        "db upgrade",
        "db current",
        "watch add odd select it's 100%",
        "watch list",
        "check",
        "watch remove odd",
        "db downgrade base",
    ):
        result = CliRunner(env=environment).invoke(app, command.split())
        assert result.exit_code == 0 or command == "check", (command, result.output)
        assert "Traceback" not in result.output
    assert touched(empty) == []


async def test_every_way_works_and_runs_nothing_of_the_stranger(
    serve: Serve,
    connect: Connect,
    database: Database,
    make_settings: MakeSettings,
    hands: Hands,
    events: Events,
    prefix: str,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    (tmp_path / "q.sql").write_text("-- name: odds\nselect o.id, o.kind from public.odd as o\n")
    database.execute("select wamp.watch('public.odd')")
    sections: dict[str, Any] = {
        "access": {"roles": {"anonymous": hands.caller}},
        "expose": {"queries": str(tmp_path)},
        "events": {"publish_roles": [hands.caller]},
    }
    findings = await check_all(make_settings(**sections))
    # The login of calls is a member of the roles of other tests too.
    others = f"the login {CALLS} may also become the role "
    wrong = [f for f in findings if f.level == "wrong" and not f.problem.startswith(others)]
    assert wrong == []
    component = await serve(**sections)
    client = await connect()
    exposed = {uri.removeprefix(f"{prefix}.") for uri in component.exposure.procedures}
    tables = [name for name in NAMES if f"{name}.select" in exposed]
    assert len(tables) > len(NAMES) // 2
    for name in tables:
        database.execute(f"select wamp.watch({literal('public.' + quoted(name))})")
    follower = Follower(client, f"{prefix}.follow")
    await follower.begun()
    live = Follower(client, f"{prefix}.odds.live")
    await live.until(lambda f: f.items)
    await client.subscribe(f"{prefix}.", events, match="prefix")

    async def call(name: str, *args: Any, **kwargs: Any) -> Any:
        return await client.call(f"{prefix}.{name}", args, kwargs)

    for name in tables:
        row = {"id": 1, name: name}
        assert await call(f"{name}.insert", row) == [row]
        assert await call(f"{name}.get", 1) == row
        assert await call(f"{name}.select", where={name: name}, columns=[name]) == [{name: name}]
        assert await call(f"{name}.count", {name: {"like": "_%"}}) == 1
        assert await call(f"{name}.upsert", {"id": 1, name: "x"}) == [{"id": 1, name: "x"}]
        assert await call(f"{name}.update", {name: name}, {"id": 1}) == [row]
        assert await call(f"{name}.delete", {name: [name]}) == [row]
        change = (await call(f"{name}.changes"))[0]
        assert (change["table"], change["new"]) == (name, row)
    for name in NAMES:
        row = {"id": 2, "kind": name, "parts": dict.fromkeys(NAMES, name)}
        row |= dict.fromkeys(NAMES, name)
        assert await call("odd.upsert", row) == [row]
        assert await call("odd.count", {"kind": name, name: name}) == 1
        csv = await call("odd.select", format="csv", columns=["kind"])
        assert csv.startswith("kind\n")
    for name in NAMES:
        if f"{name}_" in exposed:
            assert await call(f"{name}_", name) == name
    for name in ("one", "two", "narcissus"):
        with pytest.raises(CallError, match="infinite recursion"):
            await call(f"{name}.select")
    await follower.until(lambda f: len(f.events) >= 4 * len(tables) + len(NAMES))
    await events.until(lambda got: len(got) >= 4 * len(tables) + len(NAMES))
    assert {event["table"] for event in follower.events} == {*tables, "odd"}

    database.execute('alter table odd add column "late $1" pg_catalog.text', LATE)
    async with asyncio.timeout(10):
        while f"{prefix}.late.select" not in component.exposure.procedures:  # noqa: ASYNC110
            await asyncio.sleep(0.02)
    await call("odd.update", {"late $1": "x"}, {"id": 2})
    await follower.until(lambda f: "late $1" in f.events[-1].get("new", {}))
    await live.until(lambda f: any(NAMES[-1] in str(item) for item in f.items))
    database.execute(
        f"set role {hands.caller}; select wamp.publish('{prefix}.hello', '[1]'::pg_catalog.jsonb)"
    )
    await events.until(lambda got: (f"{prefix}.hello", [1], {}) in got)
    assert {f"{prefix}.odd.select", f"{prefix}.odds"} <= {
        procedure["uri"] for procedure in (await call("describe"))["procedures"]
    }
    live.reply.cancel()
    follower.reply.cancel()
    await component.stop()
    assert touched(database) == []
    assert "Traceback" not in caplog.text


@pytest.fixture
async def mallory(database: Database, hands: Hands) -> AsyncIterator[asyncpg.Connection[Any]]:
    """A connection of the hostile role."""
    connection = await asyncpg.connect(database.url.replace("//postgres@", f"//{hands.mallory}@"))
    yield connection
    await connection.close()


async def test_a_trigger_of_the_stranger_runs_as_the_caller(
    serve: Serve, connect: Connect, database: Database, mallory: Any, hands: Hands, prefix: str
) -> None:
    await mallory.execute(
        "create table public.bait (id int primary key); "
        "create function public.bite() returns trigger language plpgsql as $$ begin "
        "insert into public.touched values (current_user, 'bait'); return new; end $$; "
        "create trigger t before insert on public.bait for each row execute function bite(); "
        f"grant insert, select on public.bait to {hands.caller}"
    )
    await serve(access={"roles": {"anonymous": hands.caller}})
    client = await connect()
    assert await client.call(f"{prefix}.bait.insert", [{"id": 1}]) == [{"id": 1}]
    assert touched(database) == [(hands.caller, "bait")]


async def test_a_stranger_who_holds_what_can_be_held_stops_no_call(
    serve: Serve,
    connect: Connect,
    database: Database,
    mallory: Any,
    hands: Hands,
    prefix: str,
    events: Events,
) -> None:
    """Advisory locks, an open transaction, a long queue."""
    await mallory.execute(
        "select pg_advisory_lock(c, n) from generate_series(20598, 20600) as c, "
        "generate_series(-5, 120) as n"
    )
    await mallory.execute("listen pgwamp; begin isolation level serializable")
    # PostgreSQL locks the partitions of events for it.
    await mallory.execute(
        "select pg_catalog.pg_partition_tree(c.oid) from pg_catalog.pg_class as c "
        "join pg_catalog.pg_namespace as n on n.oid = c.relnamespace "
        "where n.nspname = 'wamp' and c.relname = 'event'"
    )
    database.execute("select wamp.watch('odd')")
    component = await serve(access={"roles": {"anonymous": hands.caller}})
    client = await connect()
    follower = Follower(client, f"{prefix}.odd.follow")
    await follower.begun()
    await client.subscribe(f"{prefix}.odd.inserted", events)
    await client.call(f"{prefix}.odd.insert", [{"id": 1}])
    assert await follower.keys(1) == [1]
    await events.count(1)
    database.execute(LATE)
    async with asyncio.timeout(10):
        while f"{prefix}.late.select" not in component.exposure.procedures:  # noqa: ASYNC110
            await asyncio.sleep(0.02)
    follower.reply.cancel()


async def test_a_flood_of_notifications_by_a_stranger_stops_nothing(
    serve: Serve, connect: Connect, database: Database, mallory: Any, hands: Hands, prefix: str
) -> None:
    database.execute("select wamp.watch('odd')")
    await serve(access={"roles": {"anonymous": hands.caller}})
    client = await connect()
    follower = Follower(client, f"{prefix}.odd.follow")
    await follower.begun()
    for channel in ("pgwamp", CHANNEL):
        await mallory.execute(
            f"do $$ begin for n in 1..2000 loop perform pg_catalog.pg_notify('{channel}', "
            "case n % 4 when 0 then 'reload' when 1 then '' when 2 then '{\"id\": 1}' "
            "else repeat('x', 7000) end || n); end loop; end $$"
        )
    for number in range(5):
        await client.call(f"{prefix}.odd.insert", [{"id": number}])
    assert await follower.keys(5) == list(range(5))
    follower.reply.cancel()
