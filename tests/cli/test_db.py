"""``pgwamp db``: creating a database, and undoing migrations."""

from __future__ import annotations

import json
import os
import re
import shlex
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import psycopg2
import pytest

from pgwamp.dev.postgres import Postgres
from tests.cli.conftest import Run, one_line
from tests.conftest import Connect, Database, Events
from tests.processes import Pgwamp
from tests.schema.test_lost_answers import losing
from tests.servers import Addresses, execute

pytestmark = pytest.mark.one_login


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


#: Names of tables, each with a condition; what a line of a terminal would cut or change is in them.
WATCHED = {
    "item": None,
    "It's; \\! \n--\u202e\U0001f600": "v <> 'x'",
    "long": "v <> '" + "x" * 2_500 + "'",
    "quoted": """v <> '"); create table public.taken (); --'""",
    "spaced": "v <> 'a\u00a0b  c\u200d\x7f\\' and v <> E'\\n\t'",
}
ALL_WATCHES = "select relation::text, options, condition from wamp.watch order by 1"


@pytest.mark.parametrize("standard_strings", ["on", "off"])
async def test_the_output_of_db_downgrade_is_a_script_that_watches_the_tables_as_before(
    run: Run, database: Database, tmp_path: Path, standard_strings: str
) -> None:
    for name, condition in WATCHED.items():
        table = '"' + name + '"'
        database.execute(f"create table {table} (id int primary key, v text)")
        with closing(psycopg2.connect(database.url)) as connection, connection:
            options = json.dumps({} if condition is None else {"old": "none", "when": condition})
            connection.cursor().execute("select wamp.watch(%s, %s)", (table, options))
    before = asked(database.url, ALL_WATCHES)
    assert len(before) == len(WATCHED)
    code, script, err = await run("db", "downgrade", "base")
    assert (code, err.count("downgraded from")) == (0, 1)
    assert script.isascii()
    statements = [line for line in script.splitlines() if not line.startswith("-- ")]
    assert len(statements) == len(WATCHED)
    assert all(re.fullmatch(r"select wamp\.watch\(.*\);", line) for line in statements)
    assert asked(database.url, "select to_regnamespace('wamp')") == [(None,)]
    code, _, err = await run("db", "upgrade")
    assert code == 0, err

    (tmp_path / "again.sql").write_text(script)
    code, _, err = await run(
        *("psql", "-X", "--set=ON_ERROR_STOP=1", "--file=again.sql"),
        PGOPTIONS=f"-c standard_conforming_strings={standard_strings}",
    )
    assert (code, err) == (0, "")
    assert asked(database.url, ALL_WATCHES) == before
    assert asked(database.url, "select to_regclass('public.taken')") == [(None,)]


async def test_a_table_that_became_a_partition_is_a_comment_of_the_script(
    run: Run, database: Database
) -> None:
    database.execute(
        'create table "whole\n;" (id int primary key) partition by range (id)',
        "create table part (id int primary key)",
        "select wamp.watch('part')",
        'alter table "whole\n;" attach partition part for values from (0) to (10)',
    )
    _, script, _ = await run("db", "downgrade", "base")
    assert script.splitlines()[-1] == (
        r"""-- a partition of E'public."whole\U0000000A;"' now, watch that instead: """
        "select wamp.watch('public.part');"
    )
    assert all(line.startswith("-- ") for line in script.splitlines())


def test_a_script_that_cannot_be_written_keeps_the_watches(
    environment: dict[str, str], database: Database, tmp_path: Path
) -> None:
    database.execute("create table item (id int primary key)", "select wamp.watch('item')")
    with Path("/dev/full").open("wb") as full:
        ended = subprocess.run(
            [sys.executable, "-m", "pgwamp", "db", "downgrade", "base"],
            env={**os.environ, **environment},
            cwd=tmp_path,
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            timeout=60,
            check=False,
        )
    assert ended.returncode == 3
    assert ended.stderr.splitlines()[-1].startswith(
        "pgwamp: standard output does not take the script that watches the tables again"
    )
    assert asked(database.url, "select relation::text from wamp.watch") == [("item",)]


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


async def test_the_schema_of_an_ordinary_role_goes_to_nobody_else(
    run: Run, addresses: Addresses, made: str
) -> None:
    admin, url = addresses.database(made), addresses.database(made, made)
    execute(
        addresses.database("postgres"),
        f"create role {made} login",
        f"create role web_{made} login",
        f"create database {made} owner {made}",
    )
    assert (await run("db", "upgrade", DATABASE_URL=url))[0] == 0
    execute(url, "create function wamp.own() returns name security definer return current_user")
    code, _, err = await run("db", "owner", f"web_{made}", DATABASE_URL=admin)
    assert code == 3
    assert f'belongs to "{made}", who is no superuser' in one_line(err)
    owners = "select distinct proowner::regrole::text from pg_proc where proname = 'own'"
    assert asked(admin, owners) == [(made,)]
    # A repetition changes nothing.
    assert (await run("db", "owner", made, DATABASE_URL=admin))[0] == 0


async def test_a_name_of_a_role_is_no_statement_of_db_owner(
    run: Run, addresses: Addresses, made: str
) -> None:
    role = f"{made}\n; create table public.taken (); -- :role %(role)s"
    quoted = '"' + role + '"'
    admin = addresses.database(made)
    execute(
        addresses.database("postgres"),
        f"create role {quoted} login",
        f"create database {made}",
    )
    try:
        assert (await run("db", "upgrade", DATABASE_URL=admin))[0] == 0
        code, _, err = await run("db", "owner", role, DATABASE_URL=admin)
        assert (code, err) == (0, "")
        assert asked(admin, "select to_regclass('public.taken')") == [(None,)]
        owner = "select pg_get_userbyid(nspowner) from pg_namespace where nspname = 'wamp'"
        assert asked(admin, owner) == [(role,)]
    finally:
        execute(addresses.database("postgres"), f"drop database {made} with (force)")
        execute(addresses.database("postgres"), f"drop role {quoted}")


async def test_an_error_keeps_the_names_that_are_to_be_pasted(
    run: Run, addresses: Addresses, made: str
) -> None:
    admin = addresses.database(made)
    execute(addresses.database("postgres"), f"create role {made} login", f"create database {made}")
    assert (await run("db", "upgrade", DATABASE_URL=admin))[0] == 0
    function = 'wamp."two  blanks\u00a0and\n"()'
    execute(admin, f"create function {function} returns int return 1")
    execute(admin, f"alter function {function} owner to {made}")
    code, _, err = await run("db", "owner", made, DATABASE_URL=admin)
    assert code == 3
    assert r'ALTER FUNCTION wamp."two  blanks\xa0and\n"() OWNER TO' in one_line(err)


@pytest.fixture
def held(addresses: Addresses, made: str) -> Iterator[str]:
    """A database whose owner keeps its rights locked; answers who does."""
    admin = addresses.database("postgres")
    execute(admin, f"create role {made} login", f"create database {made} owner {made}")
    with closing(psycopg2.connect(addresses.database(made, made))) as holder:
        holder.cursor().execute(f"grant connect on database {made} to pg_monitor")
        yield f'process {holder.info.backend_pid} of role "{made}"'


async def test_db_create_names_who_keeps_it_waiting_and_gives_up(
    run: Run, addresses: Addresses, made: str, held: str
) -> None:
    url = addresses.database(made, made)
    admin = addresses.database("postgres")
    code, out, err = await run("db", "create", "--admin-url", admin, DATABASE_URL=url)
    assert (code, out) == (3, "")
    told, error = err.strip().splitlines()
    assert told == f"waiting: {held} has what is needed"
    assert error.startswith(
        f"pgwamp: making role and database waited too long for {held}: wait until it ends, or "
    )


@pytest.mark.parametrize("command", ["create", "upgrade"])
async def test_an_interrupt_ends_a_wait_at_once(
    environment: dict[str, str],
    addresses: Addresses,
    made: str,
    held: str,
    tmp_path: Path,
    command: str,
) -> None:
    admin, url = addresses.database("postgres"), addresses.database(made, made)
    arguments = ("--admin-url", admin) if command == "create" else ()
    with closing(psycopg2.connect(url)) as other:
        if command == "upgrade":
            other.cursor().execute("create schema wamp")
        waiting = Pgwamp(
            *("db", command, *arguments),
            environment={**environment, "DATABASE_URL": url},
            folder=tmp_path,
        )
        await waiting.start(until="waiting: ")
        began = time.monotonic()
        assert await waiting.interrupt() == 130
    assert time.monotonic() - began < 3
    assert "Traceback" not in "".join(waiting.lines)
    assert "was undone" not in "".join(waiting.lines)


def test_an_interrupt_loses_no_password_of_a_role_that_was_made(
    own_postgres: Postgres, environment: dict[str, str], tmp_path: Path
) -> None:
    """Its commit waits for a standby: who cancels that has committed it."""
    admin = own_postgres.url()
    with closing(psycopg2.connect(admin)) as observer:
        observer.autocommit = True
        cursor = observer.cursor()
        cursor.execute("alter system set synchronous_standby_names = 'nobody'")
        cursor.execute("alter system set synchronous_commit = on")
        cursor.execute("select pg_reload_conf()")
        waiting = subprocess.Popen(
            [sys.executable, "-m", "pgwamp", "db", "create", "--admin-url", admin],
            env={**os.environ, **environment, "DATABASE_URL": own_postgres.url("shop", "shop")},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            cwd=tmp_path,
            # A shell has its commands in the background ignore it, and whatever they start.
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
        )
        try:
            cursor.execute("set statement_timeout = '20s'")
            cursor.execute(
                "do $$ begin while not exists (select from pg_stat_get_activity(null) "
                "where wait_event = 'SyncRep') loop perform pg_stat_clear_snapshot(); "
                "perform pg_sleep(0.01); end loop; end $$"
            )
            waiting.send_signal(signal.SIGINT)
            out, err = waiting.communicate(timeout=20)
        finally:
            waiting.kill()
        assert waiting.returncode == 130
        assert "Traceback" not in err
        told = re.fullmatch(r"export DATABASE_URL=postgresql://shop:([^@]+)@.*/shop\n", out)
        assert told is not None, out
        cursor.execute("select rolcanlogin from pg_roles where rolname = 'shop'")
        assert cursor.fetchall() == [(True,)]


async def test_an_upgrade_that_is_cut_short_after_its_migration_is_no_defect(
    run: Run, database: Database
) -> None:
    with losing(database.url, b"wamp.allow_publish($1") as url:
        code, out, err = await run("db", "upgrade", DATABASE_URL=url)
    assert (code, out) == (3, "")
    assert one_line(err).startswith("pgwamp: no PostgreSQL answers at 127.0.0.1:")


async def test_an_upgrade_says_whom_it_waits_for_after_its_migration(
    run: Run, database: Database
) -> None:
    with closing(psycopg2.connect(database.url)) as holder:
        holder.cursor().execute("lock table wamp.component in exclusive mode")
        code, out, err = await run("db", "upgrade")
    assert code == 3
    assert "waiting: process" in out
    assert one_line(err).startswith("pgwamp: saying what wamp.publish may do waited too long for")


async def test_db_create_takes_several_hosts(run: Run, addresses: Addresses, made: str) -> None:
    admin, url = addresses.database("postgres"), addresses.database(made, f"{made}:known")
    hosts = re.search(r"@([^/]+)/", url)
    assert hosts
    url = url.replace(hosts[1], f"{hosts[1]},{hosts[1]}")
    for _ in range(2):
        code, out, err = await run("db", "create", "--admin-url", admin, DATABASE_URL=url)
        assert (code, err) == (0, "")
        assert out == f"export DATABASE_URL={shlex.quote(url)}\n"
    code, out, _ = await run("db", "current", DATABASE_URL=url)
    assert (code, out.partition(" ")[0]) == (0, "none")


@pytest.mark.parametrize(
    ("admin", "expected"),
    [
        ("postgresql://u@127.0.0.1:1/postgres", "start it, or correct --admin-url ("),
        ("{admin}?foo=1", '--admin-url: invalid connection option "foo"'),
    ],
)
async def test_a_wrong_address_of_the_administrator_is_named(
    run: Run, addresses: Addresses, made: str, admin: str, expected: str
) -> None:
    code, _, err = await run(
        *("db", "create", "--admin-url", admin.format(admin=addresses.database("postgres"))),
        DATABASE_URL=addresses.database(made, made),
    )
    assert code == 3
    assert expected in one_line(err)
    assert "DATABASE_URL" not in err
