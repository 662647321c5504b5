"""What ``pgwamp check`` says of sessions and rights of strangers that harm publishing."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from typing import Any

import asyncpg
import pytest

from pgwamp.check import check_all
from pgwamp.settings import Settings
from tests.conftest import Database

MakeSettings = Callable[..., Settings]


@pytest.fixture
async def stranger(database: Database) -> AsyncIterator[asyncpg.Connection[Any]]:
    """A connection of a role that has nothing but CONNECT."""
    role = f"stranger_{database.name}"
    database.execute(f"create role {role} login")
    connection = await asyncpg.connect(database.url.replace("//postgres@", f"//{role}@"))
    yield connection
    await connection.close()
    database.execute(f"drop role {role}")


async def problems(settings: Settings, part: str = "events") -> list[str]:
    """What is wrong, but for facts."""
    found = await check_all(settings)
    return [
        finding.problem for finding in found if finding.part == part and finding.level == "wrong"
    ]


@pytest.mark.parametrize(
    ("key", "harm"), [(1, "no instance can publish"), (3, "the publisher cannot sleep")]
)
async def test_a_stranger_with_a_lock_of_the_publisher_is_named(
    make_settings: MakeSettings,
    database: Database,
    stranger: asyncpg.Connection[Any],
    key: int,
    harm: str,
) -> None:
    publisher = await database.connect()
    await publisher.execute(f"select pg_advisory_lock(20599, {key})")
    assert await problems(make_settings()) == []
    await publisher.close()
    await stranger.execute(f"select pg_advisory_lock(20599, {key})")
    [problem] = await problems(make_settings())

    pid = stranger.get_server_pid()
    assert f'process {pid} of role "stranger_{database.name}"' in problem
    assert harm in problem
    assert problem.endswith(f"select pg_terminate_backend({pid})")


@pytest.mark.parametrize("key", [1, 3])
async def test_a_prepared_transaction_with_a_lock_of_the_publisher_is_named(
    make_settings: MakeSettings, database: Database, stranger: asyncpg.Connection[Any], key: int
) -> None:
    name = f"held {database.name}'s"
    literal = name.replace("'", "''")
    for statement in (
        "begin",
        f"select pg_advisory_xact_lock(20599, {key})",
        f"prepare transaction '{literal}'",
    ):
        await stranger.execute(statement)
    try:
        [problem] = await problems(make_settings())
    finally:
        await stranger.execute(f"rollback prepared '{literal}'")
    assert f'a prepared transaction of role "stranger_{database.name}"' in problem
    assert problem.endswith(f"end it: rollback prepared '{literal}'")


async def test_a_role_that_may_create_in_the_schema_is_named(
    make_settings: MakeSettings, database: Database, stranger: asyncpg.Connection[Any]
) -> None:
    database.execute(f"grant create on schema wamp to stranger_{database.name}")
    [problem] = await problems(make_settings(), "schema")
    database.execute(f"revoke create on schema wamp from stranger_{database.name}")

    assert problem.endswith(f'REVOKE CREATE ON SCHEMA wamp FROM "stranger_{database.name}"')


async def test_row_level_security_on_a_watched_table_is_told_of(
    make_settings: MakeSettings, database: Database
) -> None:
    database.execute(
        "create table letters (id int primary key, owner text)",
        "alter table letters enable row level security",
        "select wamp.watch('letters')",
    )

    async def told() -> bool:
        return any(
            "public.letters has row level" in f.problem for f in await check_all(make_settings())
        )

    assert await told()
    database.execute("""select wamp.watch('letters', '{"eligible_authid": "owner"}')""")
    assert not await told()


async def test_event_triggers_of_an_older_version_are_told_of(
    make_settings: MakeSettings, database: Database
) -> None:
    database.execute("alter function wamp.ddl_changed() security invoker")
    found = [f.problem for f in await check_all(make_settings()) if f.part == "schema"]

    assert found == [
        "watched tables do not follow DDL by others than the owner of the wamp schema: "
        "run 'pgwamp db upgrade' once more as a superuser"
    ]


async def test_a_view_of_a_stranger_that_depends_on_wamp_is_told_of(
    make_settings: MakeSettings, database: Database, stranger: asyncpg.Connection[Any]
) -> None:
    await stranger.execute("create temp view v as select from wamp.event")
    found = await check_all(make_settings())
    [finding] = [f for f in found if "depends on the table wamp.event" in f.problem]

    assert (finding.part, finding.level) == ("schema", "advice")
    assert f'of role "stranger_{database.name}"' in finding.problem
