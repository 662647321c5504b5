"""Roles that try what they can in the database: none gains a right, and none stops the service."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Callable, Iterator

import asyncpg
import pytest

from pgwamp.checks import check_all
from pgwamp.settings import Settings
from tests.conftest import Connect, Database, Serve
from tests.replay.following import Follower
from tests.schema.test_rights import RIGHTS
from tests.servers import CALLS, EVENTS

#: What of the schema wamp a role might change or read: each of them is refused.
REFUSED = {
    "the events": "select * from wamp.log",
    "a partition of events": "select * from wamp.log_0",
    "raw rows": "select * from wamp.raw",
    "the key of cursors": "select * from wamp.secret",
    "what is published": "select * from wamp.publication",
    "what is watched": "select * from wamp.watched",
    "an event of its own": "insert into wamp.log (op) values ('insert')",
    "a raw row of its own": "insert into wamp.raw (op) values ('i')",
    "no events": "delete from wamp.log",
    "no raw rows": "truncate wamp.raw",
    "the signal": "select setval('wamp.signal', 1)",
    "the lease": "update wamp.lease set term = term + 1",
    "a lock on events": "do $$ begin lock table wamp.log; end $$",
    "a lock on the lease": "select * from wamp.lease for update",
    "a column for events": "alter table wamp.log add column mine int",
    "a trigger on raw rows": "create trigger t after insert on wamp.raw execute function evil()",
    "the capture for a table of its own": "create temp table t (id int); create trigger t "
    "after insert on t for each statement execute function wamp.capture()",
    "what a table is": "select wamp.note('public.secret', 'l', '{}')",
    "layouts": "select wamp.note_layouts(array['public.secret'::regclass], '{}', '{}')",
    "nothing kept": "select wamp.forget('public.secret')",
    "an evaluation": "select wamp.evaluate('select to_json(1)', '[]')",
    "a table in the schema": "create table wamp.mine (id int)",
    "a function in the schema": "create function wamp.f() returns int language sql as 'select 1'",
    "a queue for a lock on events": "create rule r as on insert to wamp.log do nothing",
    "the schema itself": "alter schema wamp rename to other",
    "no schema": "drop schema wamp cascade",
    "another owner": "alter schema wamp owner to current_user",
    "a right": "grant execute on all functions in schema wamp to public",
    "another watch": "select wamp.watch('public.secret')",
    "no watch": "select wamp.unwatch('public.secret')",
    "a refresh": "select wamp.refresh('public.secret')",
    "publishing for all": "select wamp.allow_publish('com.example', '{}', '{public}')",
    "an event trigger": "create event trigger t on ddl_command_end execute function evil()",
    "no event trigger": "alter event trigger wamp_ddl_command_end disable",
    "the role of events": f"set role {EVENTS}",
    "the session of events": f"set session authorization {EVENTS}",
    "the role of calls": f"set role {CALLS}",
    "membership": f"grant {EVENTS} to current_user",
    "settings of the component": f"alter role {EVENTS} set search_path = public",
    "settings of the database": "alter system set max_notify_queue_pages = 64",
    "the settings that skip triggers": "set session_replication_role = replica",
    "another's table": "select * from secret",
    "another's triggers": "alter table secret disable trigger all",
    "a partition of another's table": "create table mine partition of parts for values in (9)",
    "a child of another's table": "create table mine () inherits (secret)",
    "a view of another's table as a way": "create rule r as on insert to secret do nothing",
    "a reference that locks": "create table mine (id int references secret)",
    "the component's statements": "select wamp.backlog()",
}  # fmt: skip
#: Ends the component's connections.
KILL = (
    "select pg_terminate_backend(pid) from pg_stat_activity "
    f"where datname = '{{database}}' and usename in ('{EVENTS}', '{CALLS}')"
)
#: What the owner of a watched table may do with it, whatever becomes of its own events.
OWN = {
    "no triggers": "alter table own disable trigger user",
    "triggers again": "alter table own enable trigger user",
    "a trigger that fails": "create trigger zz before insert on own execute function evil()",
    "without it": "drop trigger zz on own",
    "a type with a cast": "alter table own add column mood mood",
    "a generated column": "alter table own add twice int generated always as (id * 2) stored",
    "row level security": "alter table own enable row level security",
    "a foreign column name": "alter table own add column \"new.$1'\" text",
    "another key": "alter table own drop constraint own_pkey, add primary key (v)",
    "no key": "alter table own drop constraint own_pkey",
    "another name": "alter table own rename to owned",
    "another of the old name": "create table own (id int primary key, v text)",
    "no table": "drop table owned",
}  # fmt: skip


@pytest.fixture
def role(database: Database) -> Iterator[str]:
    """A role that may log in, and has a schema of its own at the end of its path."""
    name = f"mallory_{uuid.uuid4().hex[:8]}"
    database.execute(
        "create table secret (id int primary key, v text)",
        "create table parts (id int) partition by list (id)",
        "select wamp.watch('secret')",
        f"create role {name} login",
        f"create schema {name} authorization {name}",
        "create function evil() returns trigger language plpgsql as $$ begin raise 'no'; end $$",
        f"alter function evil() owner to {name}",
        "revoke all on secret, parts from public",
    )
    yield name
    database.execute(f"drop owned by {name} cascade", f"drop role {name}")


async def attack(database: Database, role: str, statements: dict[str, str]) -> dict[str, str]:
    """Try each statement as the role; what came of those that no right was missing for."""
    connection = await asyncpg.connect(database.url.replace("//postgres@", f"//{role}@"))
    outcomes = {}
    try:
        for name, statement in statements.items():
            await connection.execute("set search_path = public")
            try:
                outcomes[name] = await connection.execute(statement)
            except asyncpg.InsufficientPrivilegeError:
                pass
            except asyncpg.PostgresError as error:
                outcomes[name] = str(error)
    finally:
        await connection.close()
    return outcomes


async def rights(database: Database) -> list[tuple[object, ...]]:
    """All rights in the schema wamp, and who owns what."""
    connection = await database.connect()
    try:
        found = await connection.fetch(RIGHTS)
        owners = await connection.fetch(
            "select oid::regclass::text, relowner from pg_class "
            "where relnamespace = 'wamp'::regnamespace union all "
            "select oid::regprocedure::text, proowner from pg_proc "
            "where pronamespace = 'wamp'::regnamespace"
        )
    finally:
        await connection.close()
    return sorted(map(tuple, (*found, *owners)), key=repr)


#: The rights that a role has, by the docs.
ROLES = {
    "with nothing but CONNECT": (),
    "with the right to publish": (
        "select wamp.allow_publish('com.example', '{}', array['{role}'])",
    ),
    "with the rights of a migrating role": (
        "grant create, usage on schema public to {role}",
    ),
    "with a watched table of its own": (
        "create table own (id int primary key, v text not null)",
        "alter table own owner to {role}",
        "select wamp.watch('own')",
    ),
}  # fmt: skip


@pytest.mark.parametrize("has", ROLES)
async def test_nothing_of_the_schema_is_for_a_role(database: Database, role: str, has: str) -> None:
    database.execute(*(statement.replace("{role}", role) for statement in ROLES[has]))
    before = await rights(database)
    assert await attack(database, role, REFUSED) == {}
    assert await rights(database) == before


@pytest.mark.parametrize("has", [name for name in ROLES if "publish" not in name])
async def test_a_role_holds_up_neither_writers_nor_retention_nor_a_start(
    serve: Serve, database: Database, role: str, has: str
) -> None:
    database.execute(*(statement.replace("{role}", role) for statement in ROLES[has]))
    url = database.url.replace("//postgres@", f"//{role}@")
    holder, waiter = await asyncpg.connect(url), await asyncpg.connect(url)
    await holder.execute("begin")
    for relation in ("log", "log_1", "raw", "raw_0", "watched", "component", "lease"):
        await holder.execute("savepoint before")
        for session, statement in (
            (holder, "prepare x as select from wamp.{}"),
            (waiter, "create rule r as on insert to wamp.{} do instead nothing"),
        ):
            with pytest.raises(asyncpg.InsufficientPrivilegeError):
                await session.execute(statement.format(relation))
        await holder.execute("rollback to before")
    async with asyncio.timeout(20):
        await serve()
        victim = await database.connect()
        await victim.execute("insert into secret values (1, 'a')")
        # Of the component's own readers each is gone in a moment.
        lock = "begin; lock table wamp.raw_1, wamp.log_1 in access exclusive mode; commit"
        await victim.execute(lock)
    await holder.close()
    await waiter.close()


async def test_who_may_publish_forges_no_change(database: Database, role: str) -> None:
    database.execute(f"select wamp.allow_publish('com.example', '{{}}', array['{role}'])")
    change = '{"id": 1, "cursor": "x", "schema": "public", "table": "secret", "op": "delete"}'
    forged = {
        topic: f"select wamp.publish('{topic}', '[]', '{change}')"
        for topic in (
            "com.example.secret.deleted",
            "com.example.public.secret.inserted",
            "wamp.session.on_join",
        )
    }
    assert await attack(database, role, forged) == {}
    assert await attack(database, role, {"plain": "select wamp.publish('com.example.hello')"})


async def test_who_owns_a_watched_table_stops_no_other_one(
    serve: Serve,
    connect: Connect,
    database: Database,
    make_settings: Callable[..., Settings],
    role: str,
    prefix: str,
) -> None:
    database.execute(
        *(line.replace("{role}", role) for line in ROLES["with a watched table of its own"]),
        "create type mood as enum ('ok')",
        "create function to_json(mood) returns json language plpgsql immutable as "
        "$$ begin raise 'no'; end $$",
        "create cast (mood as json) with function to_json(mood)",
        f"grant create, usage on schema public to {role}",
    )
    component = await serve()
    client = await connect()
    follower = Follower(client, f"{prefix}.secret.follow")
    await follower.begun()
    before = await rights(database)
    killed = await attack(database, role, {"sessions": KILL.format(database=database.name)})
    assert killed == {}
    for number, (name, statement) in enumerate(OWN.items()):
        tried = {name: statement, "write": "insert into own values (1, 'a')"}
        outcome = (await attack(database, role, tried))[name]
        assert outcome.startswith(("ALTER", "CREATE", "DROP")), outcome
        database.execute(f"insert into secret values ({number}, 'a')")
        assert await follower.keys(number + 1) == list(range(number + 1)), name
    assert await rights(database) == before
    assert (await client.call(f"{prefix}.secret.count", [])) == len(OWN)
    assert component.exposure.procedures
    findings = await check_all(make_settings())
    assert [f for f in findings if f.level == "wrong" and "own" not in f.problem] == []
    follower.reply.cancel()
