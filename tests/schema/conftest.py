"""A PostgreSQL server for the tests of the schema, and databases of an ordinary role on it."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from typing import Any, NamedTuple, Protocol

import psycopg2
import pytest
from psycopg2 import sql
from psycopg2.extensions import connection as Connection

from pgwamp import migrations
from pgwamp.dev.postgres import Postgres
from pgwamp.eventlog.body import read_body
from tests.servers import FAST, postgres_bin, server_folder

from .sequenced import sequence

OWNER = "schema_owner"
GUEST = "schema_guest"
TEMPLATE = "schema_template"


class Server(Protocol):
    """What of a PostgreSQL server these tests need."""

    def url(self, database: str = ..., user: str = ...) -> str: ...


def connect(url: str) -> Connection:
    """A connection that commits each statement, until told otherwise."""
    connection = psycopg2.connect(url)
    connection.autocommit = True
    return connection


def query(connection: Connection, statement: str, *parameters: Any) -> list[tuple[Any, ...]]:
    """Execute one statement; its rows, if it has any."""
    with connection.cursor() as cursor:
        cursor.execute(statement, parameters or None)
        if cursor.description:
            return cursor.fetchall()
        # The driver has no description of rows without columns.
        selected = (cursor.statusmessage or "").startswith("SELECT")
        return [()] * cursor.rowcount if selected else []


def notified(listener: Connection) -> list[str]:
    """What the listener has been told; a round trip brings it."""
    query(listener, "select 1")
    listener.poll()
    told = [notification.payload for notification in listener.notifies]
    listener.notifies.clear()
    return told


class Event(NamedTuple):
    """An event of the log."""

    position: int
    op: str
    topic: str | None
    options: dict[str, Any] | None
    schema: str | None
    table: str | None
    silent: bool
    batched: bool
    body: dict[str, Any]


class Database:
    """One database, owned by an ordinary role."""

    def __init__(self, server: Server, name: str, stack: ExitStack):
        self._server = server
        self._stack = stack
        self.name = name
        self.url = server.url(name, OWNER)
        self._own: Connection | None = None
        self._skipped = 0

    def connect(self, user: str = OWNER) -> Connection:
        """A connection that commits each statement, closed when the test ends."""
        return self._stack.enter_context(closing(connect(self._server.url(self.name, user))))

    def close(self) -> None:
        """End the owner's session; the next statement begins another."""
        if self._own is not None:
            self._own.close()
            self._own = None

    def query(self, statement: str, *parameters: Any) -> list[tuple[Any, ...]]:
        """Execute one statement as the owner."""
        if self._own is None:
            self._own = self.connect()
        return query(self._own, statement, *parameters)

    def value(self, statement: str, *parameters: Any) -> Any:
        """The first column of the first row."""
        return self.query(statement, *parameters)[0][0]

    def log(self) -> list[Event]:
        """The events of what is committed, the oldest first, since :meth:`skip`."""
        sequence(self.url)
        return [
            Event(*values, read_body(body or "{}"))
            for *values, body in self.query(
                "select position, op, topic, options::json, relation_schema, relation_name, "
                "silent, batched, body from wamp.log where op not in ('era', 'watched', "
                "'forgotten') and position > %s order by position",
                self._skipped,
            )
        ]

    def skip(self) -> None:
        """Leave out the events of what is committed so far."""
        self._skipped = max((event.position for event in self.log()), default=self._skipped)

    def events(self, table: str | None = None) -> list[tuple[str, dict[str, Any]]]:
        """Operation and values of the events, since :meth:`skip`."""
        return [(event.op, event.body) for event in self.log() if table in (None, event.table)]

    def changes(self, relation: str | None = None) -> list[tuple[str, str | None, str | None]]:
        """Operation, old and new record of the captured changes, the oldest first."""
        return self.query(
            "select op::text, old, new from wamp.raw "
            "where op in ('i', 'u', 'd', 't', 'I', 'U', 'D') "
            "and relation = coalesce(%s::regclass, relation) order by place, n",
            relation,
        )

    def told(self, relation: str) -> list[tuple[str, Any]]:
        """What the sequencer is told of a table: operation and value, the oldest first.

        Under which snapshot, and because of what, is left out.
        """
        return self.query(
            "select op::text, (new::jsonb - '{snapshot,altered}'::text[])::json from wamp.raw "
            "where op in ('w', 'l', 'x', 'f') and relation = %s::regclass order by place, n",
            relation,
        )

    def published(self) -> list[tuple[Any, Any]]:
        """Topic and options, then args and kwargs, of wamp.publish, the oldest first."""
        return self.query(
            "select old::json, new::json from wamp.raw where op = 'p' order by place, n"
        )


@pytest.fixture(scope="session")
def server() -> Iterator[Server]:
    """One PostgreSQL server, of the version in PGWAMP_TEST_POSTGRES, else the embedded one."""
    with server_folder() as folder:
        postgres = Postgres(folder / "data", bin=postgres_bin(), options=FAST, trust=True)
        postgres.start()
        yield postgres
        postgres.stop("immediate")


@pytest.fixture(scope="session")
def administrator(server: Server) -> Iterator[Connection]:
    """The superuser's connection, and the two ordinary roles."""
    with closing(connect(server.url())) as connection:
        for role in (OWNER, GUEST):
            query(connection, f"create role {role} login")
        yield connection


@pytest.fixture(scope="session")
def numbers() -> Iterator[int]:
    """For names that nobody else has."""
    return itertools.count(1)


@pytest.fixture(scope="session")
def template(server: Server, administrator: Connection) -> str:
    """A database that has the wamp schema, to copy."""
    query(administrator, f"create database {TEMPLATE} owner {OWNER}")
    migrations.upgrade(server.url(TEMPLATE, OWNER))
    return TEMPLATE


@pytest.fixture
def new_database(
    server: Server, administrator: Connection, numbers: Iterator[int]
) -> Iterator[Callable[[str], Database]]:
    """Makes databases; they go with the server, which is quicker than one by one."""
    with ExitStack() as stack:

        def make(template: str) -> Database:
            name = f"schema_{next(numbers)}"
            statement = sql.SQL("create database {} owner {} template {}").format(
                sql.Identifier(name), sql.Identifier(OWNER), sql.Identifier(template)
            )
            query(administrator, statement.as_string(administrator))
            return Database(server, name, stack)

        yield make


@pytest.fixture
def empty_database(new_database: Callable[[str], Database]) -> Database:
    """A database without the wamp schema."""
    return new_database("template1")


@pytest.fixture
def wamp_database(new_database: Callable[[str], Database], template: str) -> Database:
    """A database with the wamp schema at its head."""
    return new_database(template)
