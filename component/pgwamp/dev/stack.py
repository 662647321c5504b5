"""``pgwamp dev``: everything on this machine, from an empty folder to a running component."""

from __future__ import annotations

import os
import secrets
import shlex
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import psycopg2
from psycopg2 import sql
from sqlalchemy import make_url

from pgwamp import migrations, provisioning
from pgwamp.dev.embedded import programs
from pgwamp.dev.postgres import Postgres
from pgwamp.dev.router import Router
from pgwamp.dev_folder import STATE
from pgwamp.errors import StartError
from pgwamp.settings import Settings

#: The login of calls that ``pgwamp dev`` makes where roles are mapped.
CALLS_LOGIN = "pgwamp_calls"
#: Where commands of ``dev.setup`` look for the database.
_ADDRESSES = ("DATABASE_URL", "PGWAMP_DATABASE__URL", "PGWAMP_DATABASE__EVENTS_URL")
Say = Callable[[str], None]


def _is_of_a_database(variable: str) -> bool:
    return variable.upper().startswith(("PGWAMP_DATABASE__", "DATABASE_URL"))


class Stack:
    """PostgreSQL, Crossbar and the application's own schema, ready for the component.

    :param folder: where ``pgwamp.toml`` lies; what is kept goes to ``.pgwamp`` below it.
    :param port: of the router's WebSocket.
    :param postgres_port: preferred for PostgreSQL; a free one is taken when it is not.
    :param say: told each step.
    """

    def __init__(self, settings: Settings, *, port: int, postgres_port: int, say: Say):
        self._say = say
        self._folder = settings.folder
        self._dev = settings.dev
        self._roles = settings.access.roles.values()
        state = settings.folder / STATE
        self.postgres = Postgres(state / "postgres", port=postgres_port)
        self.router = Router(state / "crossbar", port=port, prefix=settings.expose.prefix)
        self._stack = ExitStack()
        #: The login of calls, with its password: the superuser where no roles are mapped.
        self.calls_url = ""

    @property
    def database_url(self) -> str:
        """The application's database, with the password."""
        return self.postgres.url(self._dev.database)

    def psql(self) -> str:
        """A command for a shell that opens the database; the password is read from a file.

        In the command line it would be shown to every user of the machine.
        """
        psql = "psql" if shutil.which("psql") else str(programs() / "psql")
        return f"{self._passfile()} {psql} {self.postgres.public_url(self._dev.database)}"

    def _passfile(self) -> str:
        return f"PGPASSFILE={shlex.quote(str(self.postgres.passfile))}"

    def __enter__(self) -> Stack:
        try:
            self._start()
        except BaseException:
            self._stack.close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self._say("Stopping Crossbar and PostgreSQL ...")
        self._stack.close()

    def _start(self) -> None:
        # Before anything starts that would have to be stopped again.
        self.router.require_port()
        self._stack.callback(self.router.stop)
        with self._step("Starting PostgreSQL"):
            self._stack.enter_context(self.postgres)
        with self._step("Starting Crossbar.io (5 to 20 seconds)"):
            self.router.start(progress=self._say)
        with self._step(f'Migrating the wamp schema of database "{self._dev.database}"'):
            self._create_database()
            migrations.upgrade(self.database_url, replaced=self._say)
        for command in self._dev.setup:
            self._run(command)
        self.calls_url = self._create_calls_login() if self._roles else self.database_url

    @contextmanager
    def _step(self, what: str) -> Iterator[None]:
        self._say(f"{what} ...")
        began = time.monotonic()
        yield
        self._say(f"  done in {time.monotonic() - began:.1f} s")

    def _create_database(self) -> None:
        connection = psycopg2.connect(self.postgres.url())
        try:
            connection.autocommit = True
            with connection.cursor() as cursor:
                cursor.execute(
                    "select 1 from pg_database where datname = %s", (self._dev.database,)
                )
                if cursor.fetchone() is None:
                    name = sql.Identifier(self._dev.database)
                    cursor.execute(sql.SQL("create database {}").format(name))
        finally:
            connection.close()

    def _create_calls_login(self) -> str:
        """The login of calls, as docs/security.md has it, with another password at each start."""
        url = make_url(self.database_url)
        url = url.set(username=CALLS_LOGIN, password=secrets.token_urlsafe(24))
        return provisioning.create_calls_login(
            self.database_url,
            url.render_as_string(hide_password=False),
            self._roles,
            renew_password=True,
        )

    def _run(self, command: str) -> None:
        """One of the application's own set-up commands, its output shown as it comes."""
        self._say(f"$ {command}")
        # The environment that pgwamp runs in comes first, whether or not it is activated.
        own = str(Path(sys.executable).parent)
        # An address in pgwamp.toml or in the shell is another database's, as that of production.
        environment = {
            **{name: value for name, value in os.environ.items() if not _is_of_a_database(name)},
            **dict.fromkeys(_ADDRESSES, self.database_url),
            "PATH": own + os.pathsep + os.environ.get("PATH", ""),
            "PYTHONPATH": str(self._folder),
        }
        code = subprocess.call(command, shell=True, cwd=self._folder, env=environment)
        if code:
            raise StartError(
                f"dev.setup: the command ended with exit code {code}: {command} "
                f"(run it yourself in {self._folder} with {self._passfile()} "
                f"DATABASE_URL={self.postgres.public_url(self._dev.database)})"
            )
