"""What an administrator types wrong, or while others are at work, is told in one line."""

from __future__ import annotations

import json
import re
import uuid
from collections.abc import Iterator
from pathlib import Path

import psycopg2
import pytest

from pgwamp.migration_lock import MIGRATION_LOCK
from tests.cli.conftest import Run, one_line
from tests.conftest import Database
from tests.processes import Pgwamp
from tests.servers import Addresses, execute

pytestmark = pytest.mark.one_login


@pytest.fixture
def made(addresses: Addresses) -> Iterator[str]:
    """A name for a database and two logins, which are dropped at the end."""
    name = f"made_{uuid.uuid4().hex[:8]}"
    yield name
    admin = addresses.database("postgres")
    execute(admin, f"drop database if exists {name}")
    execute(admin, f"drop role if exists {name}, calls_{name}, login_{name}")


async def test_db_owner_says_whom_it_waits_for(
    environment: dict[str, str], database: Database, tmp_path: Path
) -> None:
    holder = await database.connect()
    await holder.fetchval("select pg_advisory_lock($1::int, $2::int)", *MIGRATION_LOCK)
    command = Pgwamp("db", "owner", "pgwamp_events", environment=environment, folder=tmp_path)
    pid = holder.get_server_pid()
    await command.start(until=f'waiting: process {pid} of role "postgres" holds the lock')
    await holder.close()
    assert await command.ended() == 0


async def test_the_schema_goes_to_no_role_by_which_nobody_logs_in(
    run: Run, addresses: Addresses, made: str
) -> None:
    admin = addresses.database(made)
    execute(
        addresses.database("postgres"),
        f"create role {made} nologin",
        f"create role login_{made} login",
        f"create database {made}",
    )
    assert (await run("db", "upgrade", DATABASE_URL=admin))[0] == 0
    code, _, err = await run("db", "owner", made, DATABASE_URL=admin)
    assert code == 3
    assert f'the role "{made}" cannot log in, and no login is a member of it' in one_line(err)
    execute(admin, f"grant {made} to login_{made}")
    assert (await run("db", "owner", made, DATABASE_URL=admin))[0] == 0


@pytest.mark.parametrize("command", ["upgrade", "downgrade"])
async def test_an_empty_revision_is_told_where_revisions_are_listed(run: Run, command: str) -> None:
    code, _, err = await run("db", command, "")
    assert code == 3
    assert "no revision is named: 'pgwamp db history' lists them" in one_line(err)


async def test_check_says_that_wrong_settings_stop_the_start(run: Run) -> None:
    code, out, _ = await run("check", "--json", PGWAMP_EVENTS__RETAIN="soon")
    (finding,) = json.loads(out)
    assert code == 1
    assert (finding["part"], finding["stops"]) == ("settings", True)


async def test_db_create_refuses_two_databases(run: Run, addresses: Addresses) -> None:
    code, out, err = await run(
        *("db", "create", "--admin-url", addresses.database("postgres")),
        DATABASE_URL=addresses.database("one", "calls"),
        PGWAMP_DATABASE__EVENTS_URL=addresses.database("other", "events"),
    )
    assert (code, out) == (2, "")
    named = "DATABASE_URL and database.events_url name two different databases"
    assert named in one_line(err)


@pytest.mark.parametrize("variable", ["DATABASE_URL", "PGWAMP_DATABASE__LOGINS"])
async def test_db_create_tells_each_password_whatever_fails_later(
    run: Run, addresses: Addresses, made: str, variable: str
) -> None:
    """A role that is made as a member of one whose name is reserved fails."""
    events, calls = addresses.database(made, made), addresses.database(made, f"calls_{made}")
    arguments = ["db", "create", "--admin-url", addresses.database("postgres")]
    if variable == "DATABASE_URL":
        arguments += ["--role", "pg_reserved"]
        logins = ""
    else:
        logins = json.dumps({"pg_reserved": addresses.database(made, f"login_{made}")})
    code, out, err = await run(
        *arguments,
        DATABASE_URL=calls,
        PGWAMP_DATABASE__EVENTS_URL=events,
        PGWAMP_DATABASE__LOGINS=logins,
    )
    assert code == 3, out
    assert "pg_reserved" in one_line(err)
    assert f"export {variable}=" in out
    user = f"login_{made}" if logins else f"calls_{made}"
    (url,) = re.findall(rf"postgresql://{user}:[^'\"\s]+", out)
    with psycopg2.connect(url):
        pass
