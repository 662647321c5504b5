"""Each requirement, broken on purpose: check and the start tell the same, and its cure cures."""

from __future__ import annotations

import asyncio
import shutil
import socket
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from pgwamp import migrations
from pgwamp.checks import check_all
from pgwamp.checks.local import check_metrics_port
from pgwamp.component import Component
from pgwamp.dev.postgres import Postgres
from pgwamp.errors import StartError
from pgwamp.settings import Settings
from tests.checks.conftest import Answers, Sections, ask, statement
from tests.conftest import Database, MakeSettings
from tests.servers import CALLS, EVENTS, TEMPLATE, Addresses, execute

#: Watched tables whose topics are none, or not to be expected.
WATCHED = ("secret", '"a name"', "other.thing", "other.own")


async def cured(settings: Settings, text: str) -> Answers:
    """Nothing that was wrong is said any more."""
    answers = await ask(settings)
    assert not any(text in line for line in [*answers.check, *answers.logged]), answers
    return answers


async def test_nothing_is_said_where_nothing_is_wrong(
    make_settings: MakeSettings, mapped: Sections
) -> None:
    answers = await ask(make_settings(**mapped))
    assert (answers.check, answers.start, answers.logged) == ([], None, [])


#: Name -> statements that break it, what is said, and how the printed cure begins.
BROKEN = {
    "a mapped role is not granted": (
        ["revoke {anna} from {login}"],
        'access.roles: may not SET ROLE "{anna}"',
        "GRANT ",
    ),
    "a login of calls may do too much": (
        ["alter role {login} bypassrls"],
        "the login of calls, {login}, has BYPASSRLS: ",
        "ALTER ROLE ",
    ),
    "a login of calls may become another role": (
        ["grant {ben} to {login}"],
        "the login {login} may also become the role {ben}",
        "REVOKE ",
    ),
    "a mapped role may do too much": (
        ["alter role {anna} createrole"],
        "the role {anna} of access.roles has CREATEROLE: ",
        "ALTER ROLE ",
    ),
    "the owner of wamp may not see an exposed schema": (
        ["create schema shop", "revoke all on schema shop from pgwamp_events"],
        'expose.schemas: the user lacks USAGE on schema "shop"',
        "GRANT ",
    ),
    "a trigger of a watched table is disabled": (
        [
            "create table item (id int primary key)",
            "select wamp.watch('item')",
            "alter table item disable trigger user",
        ],
        "item is watched, but",
        "select ",
    ),
}


@pytest.mark.parametrize("name", BROKEN)
async def test_what_is_wrong_in_the_database_has_a_statement_that_cures_it(
    make_settings: MakeSettings,
    mapped: Sections,
    database: Database,
    roles: list[str],
    own_login: str,
    name: str,
) -> None:
    names = {"anna": roles[0], "ben": roles[1], "login": own_login}
    broken, said, begin = BROKEN[name]
    if "shop" in said:
        mapped["expose"] = {"schemas": ["public", "shop"]}
    database.execute(*(text.format(**names) for text in broken))
    said = said.format(**names)
    line = (await ask(make_settings(**mapped))).said(said)
    database.execute(statement(line, begin))
    await cured(make_settings(**mapped), said)


async def test_a_membership_that_allows_no_set_role_is_cured(
    make_settings: MakeSettings,
    mapped: Sections,
    database: Database,
    roles: list[str],
    own_login: str,
) -> None:
    connection = await database.connect()
    version = connection.get_server_version().major
    await connection.close()
    if version < 16:
        pytest.skip("a membership has this option from PostgreSQL 16 on")
    database.execute(f"grant {roles[0]} to {own_login} with inherit true, set false")
    line = (await ask(make_settings(**mapped))).said(f'may not SET ROLE "{roles[0]}"')
    database.execute(statement(line, "GRANT "))
    await cured(make_settings(**mapped), "SET ROLE")


async def test_a_mapped_role_that_is_not_there_is_to_be_created(
    make_settings: MakeSettings, mapped: Sections, database: Database, own_login: str
) -> None:
    name = f"nobody_{uuid.uuid4().hex[:8]}"
    mapped["access"]["roles"]["staff"] = name
    line = (await ask(make_settings(**mapped))).said(f'there is no role "{name}"')
    database.execute(statement(line, "CREATE ROLE "))
    try:
        line = (await ask(make_settings(**mapped))).said(f'may not SET ROLE "{name}"')
        database.execute(statement(line, "GRANT "))
        await cured(make_settings(**mapped), name)
    finally:
        database.execute(f"drop role {name}")


async def test_the_function_before_each_call_is_there_and_for_all(
    make_settings: MakeSettings, mapped: Sections, database: Database, roles: list[str]
) -> None:
    mapped["access"]["before"] = "app.checked"
    (await ask(make_settings(**mapped))).said('access.before: there is no function "app"."checked"')
    database.execute(
        "create schema app",
        "create function app.checked() returns void language sql as ''",
        "revoke execute on function app.checked() from public",
    )
    line = (await ask(make_settings(**mapped))).said(f"the role {roles[0]} may not call")
    for cure in statement(line, "GRANT USAGE").split("; "):
        database.execute(cure)
    await cured(make_settings(**mapped), "access.before")


async def test_the_schema_is_there_and_of_the_right_revision(
    make_settings: MakeSettings, database: Database, addresses: Addresses
) -> None:
    settings = make_settings()
    database.execute("update wamp.alembic_version set version_num = '0999'")
    (await ask(settings)).said("at revision 0999, which this version of pgwamp does not know")
    database.execute("delete from wamp.alembic_version")
    (await ask(settings)).said("run 'pgwamp db upgrade'")
    database.execute("drop schema wamp cascade")
    (await ask(settings)).said("the database has no wamp schema: run 'pgwamp db upgrade'")
    migrations.upgrade(addresses.database(database.name, EVENTS))
    migrations.upgrade(database.url)
    await cured(settings, "wamp")


async def test_the_login_of_events_has_the_rights_of_the_owner(
    make_settings: MakeSettings, database: Database, addresses: Addresses, own_login: str
) -> None:
    url = addresses.database(database.name, own_login)
    settings = make_settings(database={"url": url, "events_url": url})
    line = (await ask(settings)).said(f"the user {own_login} may not read wamp.log")
    database.execute(f"alter role {own_login} inherit", statement(line, "GRANT "))
    await cured(settings, "wamp.log")


async def test_an_exposed_schema_is_there(make_settings: MakeSettings, database: Database) -> None:
    settings = make_settings(expose={"schemas": ["public", "shop"]})
    (await ask(settings)).said('the database has no schema "shop"; create it')
    database.execute("create schema shop")
    await cured(settings, "shop")


async def test_roles_that_may_publish_are_there(
    make_settings: MakeSettings, database: Database
) -> None:
    name = f"writer_{uuid.uuid4().hex[:8]}"
    settings = make_settings(events={"publish_roles": [name]})
    (await ask(settings)).said(f'the database has no role "{name}": create it')
    database.execute(f"create role {name}")
    try:
        await cured(settings, name)
    finally:
        database.execute(f"drop owned by {name}", f"drop role {name}")


@pytest.fixture
def other_database(addresses: Addresses) -> Iterator[str]:
    """Another database of the same server, with a schema ``wamp`` of its own."""
    name = f"other_{uuid.uuid4().hex[:8]}"
    admin = addresses.database("postgres")
    execute(admin, f"create database {name} template {TEMPLATE} owner {EVENTS}")
    yield name
    execute(admin, f"drop database {name} with (force)")


@pytest.mark.parametrize("setting", ["replica_url", "listen_url", "events_url"])
async def test_every_address_is_of_the_same_database(
    make_settings: MakeSettings, addresses: Addresses, other_database: str, setting: str
) -> None:
    ours: dict[str, Any] = {"events_url": ""} if setting == "listen_url" else {}
    user = CALLS if setting == "replica_url" else EVENTS
    ours[setting] = addresses.database(other_database, user)
    settings = make_settings(database=ours)
    (await ask(settings)).said(f"database.{setting} is another database than DATABASE_URL")
    name = settings.database.dsn().rpartition("/")[2]
    ours[setting] = addresses.database(name, user)
    await cured(make_settings(database=ours), "another database")


async def test_a_login_has_a_connection_left(
    make_settings: MakeSettings, mapped: Sections, database: Database, own_login: str
) -> None:
    database.execute(f"alter role {own_login} connection limit 0")
    (await ask(make_settings(**mapped))).said("has no connection left for DATABASE_URL: raise")
    database.execute(f"alter role {own_login} connection limit -1")
    await cured(make_settings(**mapped), "connection")


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ("not_there", 'has no database "not_there": create it with'),
        ("?sslmode=require", "speaks no TLS: switch ssl on there, or take sslmode=require out"),
    ],
)
async def test_a_refused_connection_names_its_own_cause(
    make_settings: MakeSettings, addresses: Addresses, database: Database, change: str, said: str
) -> None:
    name = database.name + change if change[0] == "?" else change
    settings = make_settings(database={"url": addresses.database(name, CALLS)})
    answers = await ask(settings)
    line = answers.said(said)
    assert "DATABASE_URL" in line


async def test_a_login_that_may_not_log_in_is_told_from_a_wrong_password(
    make_settings: MakeSettings, mapped: Sections, database: Database, own_login: str
) -> None:
    database.execute(f"alter role {own_login} nologin")
    line = (await ask(make_settings(**mapped))).said(f'the role "{own_login}" may not log in')
    database.execute(statement(line, "ALTER ROLE "))
    await cured(make_settings(**mapped), "log in")


async def test_files_with_secrets_are_closed_to_others(
    make_settings: MakeSettings,
    addresses: Addresses,
    database: Database,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    secret = tmp_path / "database url"
    secret.write_text(addresses.database(database.name, CALLS).replace("@", ":s3cret@") + "\n")
    secret.chmod(0o644)
    configuration = tmp_path / "pgwamp.toml"
    configuration.write_text(f'[database]\nurl = "{secret.read_text().strip()}"\n')
    configuration.chmod(0o640)
    monkeypatch.setenv("DATABASE_URL_FILE", str(secret))
    monkeypatch.setenv("PGWAMP_CONFIG", str(configuration))
    base = make_settings().model_dump(exclude={"database"}, exclude_unset=True)
    events = addresses.database(database.name, EVENTS)
    settings = Settings.load(None, **base, database={"events_url": events, "pool_min": 1})
    answers = await ask(settings)
    for path in (secret, configuration):
        line = answers.said(f"{path} holds a secret, and other users of this machine may read")
        assert "s3cret" not in line
        cure = line[line.index("chmod 600") :]
        process = await asyncio.create_subprocess_shell(cure)
        assert await process.wait() == 0
    await cured(settings, "secret")


@pytest.mark.parametrize("mode", [0o622, 0o620])
async def test_files_that_command_the_component_are_written_by_nobody_else(
    make_settings: MakeSettings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, mode: int
) -> None:
    configuration, queries = tmp_path / "pgwamp.toml", tmp_path / "queries"
    configuration.write_text('[expose]\nqueries = "queries"\n')
    queries.mkdir()
    configuration.chmod(mode)
    queries.chmod(mode | 0o100)
    monkeypatch.setenv("PGWAMP_CONFIG", str(configuration))
    settings = make_settings()
    answers = await ask(settings)
    for path in (configuration, queries):
        line = answers.said(f"other users of this machine may write to {path}")
        process = await asyncio.create_subprocess_shell(line[line.index("chmod go-w") :])
        assert await process.wait() == 0
    await cured(settings, "may write")


async def test_the_port_of_the_metrics_is_free(make_settings: MakeSettings) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        settings = make_settings(metrics={"port": taken.getsockname()[1]})
        (await ask(settings)).said("metrics.port: cannot listen at 127.0.0.1:")
    await cured(settings, "metrics")


async def test_a_port_where_an_instance_serves_its_metrics_is_no_fault(
    make_settings: MakeSettings,
) -> None:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        # Head and body are rarely one packet: the other side reads meanwhile, on the same loop.
        writer.write(b"HTTP/1.0 200 OK\r\n\r\n")
        for _ in range(10):
            await asyncio.sleep(0)
        writer.write(b"pgwamp_calls_total 1\n")
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    async with server:
        port = server.sockets[0].getsockname()[1]
        (finding,) = await check_metrics_port(make_settings(metrics={"port": port}))
    assert finding.level == "fact"


@pytest.mark.parametrize(
    ("expose", "said"),
    [
        ({"queries": "missing"}, "expose.queries: there is no folder"),
        ({"queries": "."}, "broken"),
        ({"procedures": ["no_module_of_this_name"]}, "expose.procedures: no_module_of_this_name: "),
    ],
    ids=["no folder", "a wrong query", "no module"],
)
async def test_queries_and_modules_can_be_served(
    make_settings: MakeSettings,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    expose: dict[str, Any],
    said: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "q.sql").write_text("-- name: broken\nselect nothing from nowhere\n")
    (await ask(make_settings(expose=expose))).said(said)
    shutil.rmtree(tmp_path / "missing", ignore_errors=True)
    (tmp_path / "missing").mkdir()
    (tmp_path / "q.sql").write_text("-- name: broken\nselect 1 as one\n")
    (tmp_path / "no_module_of_this_name.py").write_text("")
    await cured(make_settings(expose=expose), said)


async def test_tables_of_migration_tools_are_not_exposed_by_accident(
    make_settings: MakeSettings, database: Database
) -> None:
    database.execute("create table alembic_version (version_num text primary key)")
    await cured(make_settings(), "alembic_version")
    named = make_settings(expose={"include": ["*", "alembic_version"]})
    (await ask(named)).said("expose.include names public.alembic_version")


async def test_a_watched_table_that_is_not_published_or_not_exposed_is_named(
    make_settings: MakeSettings, database: Database, prefix: str
) -> None:
    database.execute(
        "create schema other",
        *(f"create table {t} (id int primary key)" for t in (*WATCHED, "plain", "quiet")),
        *(f"select wamp.watch('{t}')" for t in (*WATCHED, "plain")),
        "select wamp.watch('quiet', '{\"publish\": false}')",
        f"select wamp.watch('other.own', '{{\"topic\": \"{prefix}.own.{{op}}\"}}')",
    )
    answers = await ask(make_settings(expose={"exclude": ["secret", "quiet"]}))
    answers.said("public.secret is watched, but its changes are not published, because expose.excl")
    answers.said("public.a name is watched, but its changes are not published, because its name")
    # That its verbs have no URI either is told for itself.
    assert len(answers.check) == 3
    facts = [f.problem for f in await check_all(make_settings()) if f.level == "fact"]
    said = "is watched, and not exposed: its changes are published"
    assert [fact for fact in facts if said in fact] == [
        f"other.own {said} to {prefix}.own.{{op}}",
        f"other.thing {said} below {prefix}.other.thing",
    ]


async def test_a_standby_is_told_from_the_primary(own_postgres: Postgres, prefix: str) -> None:
    url = own_postgres.url()
    migrations.upgrade(url)
    settings = Settings.load(
        None, database={"url": url}, expose={"schemas": ["public"], "prefix": prefix}
    )
    own_postgres.stop()
    (own_postgres.data / "standby.signal").touch()
    own_postgres.start()
    problems = [f.problem for f in await check_all(settings) if f.stops and f.part == "database"]
    (line,) = problems
    assert line.startswith("the server is a standby, where no event can be written: name the")
    with pytest.raises(StartError, match="the server is a standby"):
        async with Component(settings, patience=0):
            pass
