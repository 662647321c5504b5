"""What wamp.publish may do is what the components say that run."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import asyncpg
import psycopg2
import pytest

from pgwamp import migrations
from pgwamp.errors import SettingsError, StartError
from tests.conftest import Connect, Database, Events, MakeSettings, Serve
from tests.schema.test_lost_answers import losing
from tests.servers import EVENTS, Addresses

RIGHT = "select has_function_privilege($1, 'wamp.publish(text, jsonb, jsonb, jsonb)', 'execute')"


@pytest.fixture
def web(database: Database) -> Iterator[str]:
    """A role of the test's own."""
    name = f"web_{database.name}"
    database.execute(f"create role {name}")
    yield name
    database.execute(f"drop owned by {name}", f"drop role {name}")


async def test_a_component_says_at_its_start_where_may_be_published(
    serve: Serve, connect: Connect, database: Database, prefix: str, events: Events
) -> None:
    database.execute("select wamp.publish('org.elsewhere.x')")
    await serve(events={"publish_topics": [f"{prefix}2.", "org.partner"]})
    for topic in ("org.elsewhere.x", f"{prefix}3.x", prefix, "org.partner.x"):
        with pytest.raises(psycopg2.errors.InsufficientPrivilege, match="publishes to"):
            database.execute(f"select wamp.publish('{topic}')")
    client = await connect()
    for topic in (f"{prefix}.x", f"{prefix}2.x"):
        await client.subscribe(topic, events)
        database.execute(f"select wamp.publish('{topic}')", "select wamp.publish('org.partner')")
    await events.count(2)


async def test_components_with_different_prefixes_share_a_database(
    serve: Serve, database: Database, prefix: str
) -> None:
    await serve()
    second = await serve(expose={"prefix": f"{prefix}.other"}, events={"publish_topics": ["a.b"]})
    await second.stop()
    await serve(expose={"prefix": f"{prefix}_other"})
    database.execute(*(f"select wamp.publish('{t}')" for t in (f"{prefix}.x", "a.b")))


async def test_a_role_publishes_while_the_configuration_names_it(
    serve: Serve, database: Database, web: str
) -> None:
    connection = await database.connect()
    for roles in ([], [web], []):
        component = await serve(events={"publish_roles": roles})
        assert await connection.fetchval(RIGHT, web) is bool(roles)
        await component.stop()
    await connection.close()


@pytest.fixture
def member(database: Database, web: str) -> Iterator[str]:
    """A role that can act as the role of conditions, in this database alone."""
    name = f"member_{database.name}"
    database.execute(
        f"create role {name}",
        f"create schema strange authorization {name}",
        f"grant pgwamp_evaluator to {name}",
        f"grant {web} to {name}",
    )
    yield name
    database.execute(f"drop owned by {name} cascade", f"drop role {name}")


async def test_a_start_that_is_refused_has_let_nobody_use_the_schema(
    serve: Serve, database: Database, member: str, web: str
) -> None:
    connection = await database.connect()
    for refused in (True, False):
        if refused:
            with pytest.raises(StartError) as caught:
                await serve(events={"publish_roles": [web]})
            assert f'"{member}" may use the schema wamp, and can become' in str(caught.value)
            cure = str(caught.value).rpartition(": ")[2]
            assert await connection.fetchval(RIGHT, web) is False
            database.execute(cure)
        else:
            await serve(events={"publish_roles": [web]})
            assert await connection.fetchval(RIGHT, web) is True
    await connection.close()


async def test_a_role_of_the_server_that_others_give_away_stops_no_reload(
    serve: Serve, database: Database, member: str, web: str, prefix: str, connect: Connect
) -> None:
    """They need no right in this database for it."""
    database.execute(
        f"revoke pgwamp_evaluator from {member}", "grant usage on schema public to pgwamp_calls"
    )
    component = await serve(events={"publish_roles": [web]})
    database.execute(f"grant pgwamp_evaluator to {member}")
    database.execute("create table made (id int primary key)")
    database.execute("grant select on made to pgwamp_calls")
    await component.reload()
    client = await connect()
    assert await client.call(f"{prefix}.made.select") == []
    # What is in this database is asked about all the same.
    database.execute(f"grant create on schema wamp to {member}")
    with pytest.raises(StartError, match="may create objects in the schema wamp"):
        await component.reload()
    database.execute(f"revoke create on schema wamp from {member}")
    await component.stop()
    with pytest.raises(StartError, match="can become the role pgwamp_evaluator"):
        await serve(events={"publish_roles": [web]})


async def test_a_start_that_loses_its_connection_is_told_so(
    serve: Serve, database: Database, addresses: Addresses
) -> None:
    own = addresses.database(database.name, EVENTS)
    with (
        losing(own, b"wamp.allow_publish($1") as url,
        pytest.raises(StartError, match="no PostgreSQL answers at 127"),
    ):
        await serve(database={"events_url": url})


async def test_a_role_that_is_not_there_ends_the_start(serve: Serve) -> None:
    with pytest.raises(StartError, match='publish_roles: the database has no role "nobody"'):
        await serve(events={"publish_roles": ["nobody"]})


async def test_a_schema_that_is_not_there_ends_the_start(
    serve: Serve, database: Database, addresses: Addresses
) -> None:
    migrations.downgrade(addresses.database(database.name, EVENTS), "base")
    with pytest.raises(StartError, match="run 'pgwamp db upgrade'"):
        await serve()


async def test_a_user_without_the_right_is_told_the_grant(
    serve: Serve, database: Database, web: str
) -> None:
    database.execute(
        f"alter role {web} login",
        f"grant select, update on all tables in schema wamp to {web}",
        f"grant usage on schema wamp to {web}",
        f"grant execute on function wamp.key_columns to {web}",
    )
    url = database.url.replace("//postgres@", f"//{web}@")
    assert web in url
    grant = f"GRANT EXECUTE ON FUNCTION wamp.allow_publish(text,text[],text[]) TO {web}"
    with pytest.raises(StartError) as caught:
        await serve(database={"events_url": url})
    assert grant in str(caught.value)
    database.execute(grant)
    await serve(database={"events_url": url}, events={"publish_roles": [web]})


@pytest.mark.parametrize(
    ("events", "problem"),
    [
        ({"publish_topics": ["org..x"]}, "expected a topic"),
        ({"publish_topics": ["."]}, "expected a topic"),
        ({"publish_topics": ["wamp."]}, "belong to the router"),
        ({"channels": {"legacy": "com.example."}}, "expected a topic"),
        ({"channels": {"legacy": "wamp.legacy"}}, "belong to the router"),
        ({"channels": {"": "com.example.x"}}, "1 to 63 bytes"),
        ({"channels": {"x" * 64: "com.example.x"}}, "1 to 63 bytes"),
        ({"channels": {"ü" * 32: "com.example.x"}}, "1 to 63 bytes"),
        ({"channels": {"pgwamp": "com.example.x"}}, "pgwamp's own"),
    ],
)
def test_a_wrong_topic_or_channel_is_refused_with_its_key(
    make_settings: MakeSettings, events: dict[str, object], problem: str
) -> None:
    with pytest.raises(SettingsError) as caught:
        make_settings(events=events)
    assert problem in str(caught.value)
    assert str(caught.value).startswith(f"events.{next(iter(events))}.")


async def test_a_stranger_with_locks_keeps_no_component_from_its_start(
    serve: Serve, database: Database, addresses: Addresses, web: str
) -> None:
    """One that has no right but to connect, and to make temporary tables."""
    name = f"stranger_{database.name}"
    database.execute(f"create role {name} login")
    stranger = await asyncpg.connect(addresses.database(database.name, name))
    try:
        await stranger.execute("create temp table a (x int, y int); create temp table b (c a)")
        oid = await (await database.connect()).fetchval("select 'wamp.component'::regclass::oid")
        await stranger.execute("begin; savepoint s")
        # It locks a relation before it looks at what that is, and keeps the lock.
        with pytest.raises(asyncpg.WrongObjectTypeError):
            await stranger.execute(f"select nextval({oid}::oid::regclass)")
        await stranger.execute("rollback to s; alter table a drop column y")
        locks = "select mode from pg_locks where relation = $1 and pid = pg_backend_pid()"
        assert [lock["mode"] for lock in await stranger.fetch(locks, oid)] == ["RowExclusiveLock"]
        async with asyncio.timeout(10):
            await serve(events={"publish_roles": [web]})
    finally:
        await stranger.close()
        database.execute(f"drop owned by {name}", f"drop role {name}")
