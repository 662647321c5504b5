"""``pgwamp db``: creating a database, and undoing migrations."""

from __future__ import annotations

import shlex
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg2
import pytest

from tests.cli.conftest import Run, one_line
from tests.conftest import Connect, Database, Events
from tests.processes import Pgwamp
from tests.servers import Addresses, execute


async def test_db_create_a_second_time_says_how_to_get_a_password(
    run: Run, addresses: Addresses, database: Database
) -> None:
    admin, name = addresses.database("postgres"), f"{database.name}_made"
    role = f"owner_of_{name}"
    url = addresses.database(name, role)
    arguments = ("db", "create", "--admin-url", admin)
    try:
        code, out, err = await run(*arguments, DATABASE_URL=url)
        assert (code, err) == (0, "")
        assert f"//{role}:" in out
        code, out, err = await run(*arguments, DATABASE_URL=url)
        assert (code, f"//{role}@" in out) == (0, True)
        assert f'DATABASE_URL: "{role}" was there before' in one_line(err)
        assert "\\password in psql" in err
        code, out, err = await run(*arguments, DATABASE_URL=url.replace(role, f"{role}:known"))
        assert (code, err, f"//{role}:known@" in out) == (0, "", True)
    finally:
        execute(admin, f"drop database if exists {name}", f"drop role if exists {role}")


async def test_db_create_reads_the_file_that_config_names(
    run: Run, addresses: Addresses, database: Database, tmp_path: Path
) -> None:
    admin, name = addresses.database("postgres"), f"{database.name}_other"
    role = f"owner_of_{name}"
    other = tmp_path / "other.toml"
    other.write_text(f'[database]\nurl = "{addresses.database(name, role)}"\n')
    other.chmod(0o600)
    arguments = ("--config", str(other), "db", "create", "--admin-url", admin)
    try:
        code, out, err = await run(*arguments, DATABASE_URL="")
        assert (code, err) == (0, "")
        assert f"/{name}" in out
    finally:
        execute(admin, f"drop database if exists {name}", f"drop role if exists {role}")


@pytest.fixture
def made(addresses: Addresses) -> Iterator[str]:
    """A name for a database, its owner and a role, which are dropped at the end."""
    name = f"made_{uuid.uuid4().hex[:8]}"
    yield name
    admin = addresses.database("postgres")
    execute(admin, f"drop database if exists {name}")
    execute(admin, f"drop role if exists {name}", f"drop role if exists web_{name}")


def asked(url: str, question: str) -> list[tuple[Any, ...]]:
    connection = psycopg2.connect(url)
    try:
        with connection, connection.cursor() as cursor:
            cursor.execute(question)
            return cursor.fetchall()
    finally:
        connection.close()


async def test_db_create_of_one_login_gives_it_no_rights_of_mapped_roles(
    run: Run, addresses: Addresses, made: str
) -> None:
    admin, url = addresses.database("postgres"), addresses.database(made, made)
    arguments = ("db", "create", "--admin-url", admin, "--role", f"web_{made}")
    code, _, err = await run(*arguments, DATABASE_URL=url)
    assert (code, err) == (0, "")
    assert asked(admin, f"select rolinherit from pg_roles where rolname = '{made}'") == [(False,)]
    assert asked(url, f"select pg_has_role('web_{made}', 'usage')") == [(False,)]
    # It owns the database, and makes its tables there.
    execute(url, "create table item (id int primary key)")
    code, _, err = await run("db", "upgrade", DATABASE_URL=url)
    assert code == 0, err
    roles = f'{{"anonymous": "web_{made}"}}'
    _, out, _ = await run("check", DATABASE_URL=url, PGWAMP_ACCESS__ROLES=roles)
    assert "NOINHERIT" not in out


async def test_db_downgrade_says_how_to_watch_the_tables_again(
    run: Run, database: Database
) -> None:
    database.execute(
        "create table item (id int primary key)",
        'create table "It\'s" (id int primary key, v text)',
        "select wamp.watch('item')",
        """select wamp.watch('"It\'\'s"', '{"old": "none", "when": "v <> \'\'x\'\'"}')""",
    )
    _, before, _ = await run("watch", "list")
    code, out, err = await run("db", "downgrade", "base")
    assert (code, err) == (0, "")
    said = "not watched any more; to watch it again after 'pgwamp db upgrade': "
    again = [line.removeprefix(said) for line in out.splitlines() if line.startswith(said)]
    assert len(again) == 2
    code, _, err = await run("db", "upgrade")
    assert code == 0, err
    database.execute(*again)
    assert (await run("watch", "list"))[1] == before


async def test_a_schema_that_a_superuser_made_is_given_to_the_login_as_check_says(
    run: Run,
    addresses: Addresses,
    made: str,
    environment: dict[str, str],
    connect: Connect,
    prefix: str,
    events: Events,
    tmp_path: Path,
) -> None:
    admin, url = addresses.database(made), addresses.database(made, made)
    execute(addresses.database("postgres"), f"create role {made} login", f"create database {made}")
    assert (await run("db", "upgrade", DATABASE_URL=admin))[0] == 0
    watch = """select wamp.watch('item', '{"when": "id > 0"}')"""
    execute(admin, "create table item (id int primary key)", watch)
    _, said, _ = await run("check", DATABASE_URL=url)
    line = one_line(said)
    assert "because the schema wamp belongs to the superuser postgres: " in line
    cure = shlex.split(line.partition("run: pgwamp ")[2])
    code, _, err = await run(*cure, DATABASE_URL=url)
    assert code == 3
    assert "name an administrator's URL: a superuser" in one_line(err)
    code, out, err = await run(*cure, DATABASE_URL=url, PGWAMP_DATABASE__EVENTS_URL=admin)
    assert (code, out.strip(), err) == (0, f"the wamp schema belongs to {made}", "")
    code, said, _ = await run("check", DATABASE_URL=url)
    assert code == 0, said
    component = Pgwamp("run", environment={**environment, "DATABASE_URL": url}, folder=tmp_path)
    await component.start()
    try:
        client = await connect()
        await client.subscribe(f"{prefix}.item.inserted", events)
        execute(admin, "insert into item values (0), (1)")
        (event,) = await events.count(1)
        assert event["key"] == {"id": 1}
    finally:
        await component.stop()
    # The next version upgrades it, and so does a superuser who trusts the role.
    assert (await run("db", "upgrade", DATABASE_URL=url))[0] == 0
    execute(admin, f"alter database {made} owner to {made}")
    assert (await run("db", "upgrade", DATABASE_URL=admin))[0] == 0


async def test_the_schema_goes_to_no_role_that_is_not_there(run: Run) -> None:
    code, _, err = await run("db", "owner", "nobody_there")
    assert (code, one_line(err)) == (
        3,
        'pgwamp: there is no role "nobody_there": make it with LOGIN',
    )
