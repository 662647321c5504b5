"""``pgwamp db``: creating a database, and undoing migrations."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg2
import pytest

from tests.cli.conftest import Run, one_line
from tests.conftest import Database
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
