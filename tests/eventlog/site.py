"""PostgreSQL servers whose histories part: standbys, backups that are put back, and dumps."""

from __future__ import annotations

import subprocess
from contextlib import ExitStack
from pathlib import Path
from typing import Self

import psycopg2

from pgwamp import migrations
from pgwamp.dev import embedded
from pgwamp.dev.account import Account
from pgwamp.dev.postgres import Postgres
from tests.servers import FAST, execute, postgres_bin

NAME = "histories"
#: A watched table.
ITEM = ("create table item (id int primary key, name text)", "select wamp.watch('item')")
#: Commits wait for no standby, but for those of `until_applied`.
OPTIONS = {**FAST, "synchronous_standby_names": "*", "synchronous_commit": "local"}
_APPLIED = """
begin; set local synchronous_commit = remote_apply;
select pg_logical_emit_message(true, 'test', ''); commit
"""


class Site:
    """The servers of a test, in one folder. All of them are stopped when it ends."""

    def __init__(self, folder: Path):
        self._folder = folder
        self._bin = postgres_bin() or embedded.programs()
        self._account = Account.choose()
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def has(self, program: str) -> bool:
        """Whether PostgreSQL came with a program."""
        return (self._bin / program).is_file()

    def server(self, name: str, *, port: int = 0, **options: str) -> Postgres:
        """A server over the data of this name, which is not started."""
        server = Postgres(
            self._folder / name,
            bin=self._bin,
            port=port,
            options={**OPTIONS, **options},
            trust=True,
        )
        self._stack.callback(server.stop, "immediate")
        return server

    def new(self, name: str) -> Postgres:
        """A server with a watched table, started."""
        server = self.server(name)
        server.start()
        execute(server.url(), f"create database {NAME}")
        migrations.upgrade(server.url(NAME))
        execute(server.url(NAME), *ITEM)
        return server

    def copy(self, server: Postgres, name: str) -> None:
        """Copy the data of a server that is stopped."""
        assert not server.running
        # Unlike those of shutil, it keeps the owner.
        subprocess.run(["cp", "-a", server.data, self._folder / name], check=True, timeout=60)

    def base_backup(self, server: Postgres, name: str, *arguments: str) -> None:
        """Copy the data of a server that runs, with the WAL that it needs."""
        data = self._folder / name
        data.mkdir(mode=0o700)
        self._account.own(data)
        backup = ["--checkpoint=fast", "--wal-method=stream", "--no-sync", *arguments]
        self.run("pg_basebackup", f"--dbname={server.url()}", f"--pgdata={data}", *backup)

    def run(self, program: str, *arguments: str, stdin: bytes = b"") -> bytes:
        """What a program of PostgreSQL writes."""
        answer = subprocess.run(
            [self._bin / program, *arguments],
            input=stdin,
            capture_output=True,
            timeout=60,
            cwd=self._folder,
            **self._account.credentials,
        )
        assert answer.returncode == 0, answer.stderr.decode()
        return answer.stdout


def until_applied(primary: Postgres) -> None:
    """Wait until the standby has replayed all that was committed."""
    connection = psycopg2.connect(primary.url(), options="-c statement_timeout=20s")
    connection.autocommit = True
    with connection.cursor() as cursor:
        cursor.execute(_APPLIED)
    assert not connection.notices, "the standby was not waited for"
    connection.close()


def promote(standby: Postgres) -> None:
    """Return when it takes writes."""
    execute(standby.url(), "select pg_promote(true, 30)")


def insert(*numbers: int) -> list[str]:
    """Statements that each insert a row."""
    return [f"insert into item values ({number})" for number in numbers]
