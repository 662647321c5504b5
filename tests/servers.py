"""The servers of a test run: one PostgreSQL and one Crossbar.io, started once.

Under pytest-xdist the controller starts them and tells the workers their addresses.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import psycopg2
import yaml

from pgwamp import migrations
from pgwamp.dev.environment import shipped
from pgwamp.dev.postgres import Postgres
from pgwamp.dev.router import Router

#: Databases to copy. In the second one the schema wamp belongs to the superuser.
TEMPLATE, SUPERUSERS_TEMPLATE = "pgwamp_template", "pgwamp_superusers_template"
#: A realm beside the shipped one, like it in all.
OTHER_REALM = "realm2"
#: The two logins of a component: that of calls has no rights of its own but to the tables of tests,
#: that of events owns the schema wamp.
CALLS, EVENTS = "pgwamp_calls", "pgwamp_events"
_LOGINS = (
    f"create role {CALLS} login noinherit",
    # The administrator trusts it: the event triggers are made beside its functions.
    f"create role {EVENTS} login role postgres",
    f"grant create on database {TEMPLATE} to {EVENTS}",
)
#: What the tests' superuser makes is for both, as docs/security.md grants it.
_GRANTS = (
    f"alter default privileges grant usage on schemas to {CALLS}, {EVENTS}",
    f"alter default privileges grant all on tables to {CALLS}",
    f"alter default privileges grant all on sequences to {CALLS}",
    f"alter default privileges grant select on tables to {EVENTS}",
)
#: Speed: the data of a test run need not survive a crash of the machine.
FAST = {
    "fsync": "off",
    "full_page_writes": "off",
    "max_connections": "300",
    "autovacuum_naptime": "60",
    "max_prepared_transactions": "10",
}


def postgres_bin() -> Path | None:
    """Another server's programs to test with, as ``/usr/lib/postgresql/15/bin``."""
    named = os.environ.get("PGWAMP_TEST_POSTGRES")
    return Path(named) if named else None


@dataclass(frozen=True)
class Addresses:
    """Where the servers of this run are; passed to workers as plain strings."""

    postgres: str
    clients: str
    component: str
    #: PostgreSQL's log.
    log: str

    def database(self, name: str, user: str = "postgres") -> str:
        """The URL of a database on the server."""
        return f"{self.postgres.replace('postgres@', f'{user}@')}/{name}"


#: Where Linux keeps files in memory, and the free bytes from which on servers are put there.
MEMORY, ENOUGH_MEMORY = Path("/dev/shm"), 12 * 2**30


def _fastest() -> Path | None:
    """Where a test's database is copied fastest; None for where temporary files are.

    On a disk, copying the template takes a fifth of the processor time of a whole run.
    """
    if not MEMORY.is_dir() or not os.access(MEMORY, os.W_OK):
        return None
    return MEMORY if shutil.disk_usage(MEMORY).free >= ENOUGH_MEMORY else None


@contextmanager
def server_folder() -> Iterator[Path]:
    """A folder for a server's data.

    Short, because of the unix socket, and open to PostgreSQL's own user when we are root: pytest
    closes its temporary folders to everybody else.
    """
    with tempfile.TemporaryDirectory(
        prefix="pgwamp-test-", dir=_fastest(), ignore_cleanup_errors=True
    ) as name:
        Path(name).chmod(0o755)
        yield Path(name)


def node_configuration(folder: Path) -> Path:
    """Write the shipped node configuration, with a second realm and one more serializer.

    Clients may speak CBOR too: other routers let them, so the component must answer them.
    """
    config = yaml.safe_load(shipped("config.yaml").read_text())
    worker = config["workers"][0]
    worker["transports"][0]["paths"]["ws"]["serializers"].append("cbor")
    worker["realms"].append({**worker["realms"][0], "name": OTHER_REALM})
    path = folder / "tests.yaml"
    path.write_text(yaml.safe_dump(config))
    return path


class Servers:
    """The servers of one run, in a folder of their own."""

    def __init__(self) -> None:
        self._stack = ExitStack()
        folder = self._stack.enter_context(server_folder())
        self._postgres = Postgres(folder / "postgres", bin=postgres_bin(), options=FAST, trust=True)
        self._router = Router(folder / "crossbar", port=0, config=node_configuration(folder))

    def start(self) -> Addresses:
        """Start both at the same time."""
        with ThreadPoolExecutor() as pool:
            starting = [pool.submit(self._start_postgres), pool.submit(self._router.start)]
            for future in starting:
                future.result()
        return Addresses(
            self._postgres.url("").rstrip("/"),
            self._router.url,
            self._router.component_url,
            str(self._postgres.log),
        )

    def _start_postgres(self) -> None:
        self._postgres.start()
        execute(self._postgres.url(), f"create database {TEMPLATE}")
        execute(self._postgres.url(), *_LOGINS)
        execute(self._postgres.url(TEMPLATE), *_GRANTS)
        execute(self._postgres.url(), f"create database {SUPERUSERS_TEMPLATE} template {TEMPLATE}")
        migrations.upgrade(self._postgres.url(SUPERUSERS_TEMPLATE))
        migrations.upgrade(self._postgres.url(TEMPLATE, user=EVENTS))
        # Event triggers are for superusers.
        migrations.upgrade(self._postgres.url(TEMPLATE))

    def stop(self) -> None:
        """Stop both and remove the folder."""
        self._router.kill()
        self._postgres.stop("immediate")
        self._stack.close()


def execute(url: str, *statements: str) -> None:
    """Run statements, each in its own transaction."""
    # Where PostgreSQL compiles plans, that takes longer than all else.
    connection = psycopg2.connect(url, options="-c jit=off")
    try:
        connection.autocommit = True
        with connection.cursor() as cursor:
            for statement in statements:
                cursor.execute(statement)
    finally:
        connection.close()
