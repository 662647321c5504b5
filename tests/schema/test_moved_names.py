"""The owner of the schema wamp moves names while a superuser's command waits for a lock."""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing

import pytest
from psycopg2.extensions import connection as Connection

from pgwamp import migrations, ownership, provisioning
from pgwamp.errors import StartError
from pgwamp.schema_sql import source

from .conftest import OWNER, Database, Server, connect, query

WAITING = "select from pg_stat_activity where datname = %s and wait_event_type = 'Lock'"
#: Another schema of that name, whose function of the event triggers is another one.
ANOTHER = """
begin; alter schema wamp rename to was; create schema wamp;
create function wamp.ddl_changed() returns event_trigger language plpgsql security definer as
    'begin perform 1; end';
create function wamp.evaluate(text, json) returns json language sql as 'select null::json';
commit
"""
RUN = """
select p.proowner::regrole::text, n.nspname::text, md5(p.prosrc) = %s
from pg_event_trigger as e join pg_proc as p on p.oid = e.evtfoid
join pg_namespace as n on n.oid = p.pronamespace
"""


def until_waiting(
    administrator: Connection, name: str, sessions: int, moved: Future[object]
) -> None:
    """Return when so many sessions wait for a lock, or the move is done."""
    deadline = time.monotonic() + 20
    # A lock has no signal of its own.
    while len(query(administrator, WAITING, name)) < sessions and not moved.done():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def meanwhile(
    database: Database, administrator: Connection, hold: str, move: str, call: Callable[[], object]
) -> object:
    """Call while the owner holds a lock, move names as soon as it waits, and let go."""
    holder, mover = database.connect(), database.connect()
    query(holder, f"begin; {hold}")
    with ThreadPoolExecutor() as pool:
        called = pool.submit(call)
        until_waiting(administrator, database.name, 1, called)
        moved = pool.submit(query, mover, move)
        until_waiting(administrator, database.name, 2, moved)
        query(holder, "rollback")
        try:
            return called.result(30)
        finally:
            moved.result(30)


@pytest.fixture
def event_function(wamp_database: Database) -> Database:
    """A function of the owner's that the superuser's upgrade is to replace."""
    wamp_database.query(
        "create function wamp.ddl_changed() returns event_trigger language plpgsql as 'begin end'"
    )
    return wamp_database


def upgraded(database: Database, administrator: Connection, server: Server) -> object:
    """Upgrade as a superuser, while the owner moves the schema."""
    url = server.url(database.name)
    hold = "alter function wamp.ddl_changed() cost 7"
    return meanwhile(
        database, administrator, hold, ANOTHER, lambda: migrations.upgrade(url, report=print)
    )


def test_event_triggers_run_what_pgwamp_brings_though_the_schema_moves(
    event_function: Database, administrator: Connection, server: Server, template: str
) -> None:
    upgraded(event_function, administrator, server)
    body = source("0101/ddl_changed").split("$$")[1]
    shipped = event_function.value("select md5(%s)", body)
    # The move had to wait until all was done.
    assert event_function.query(RUN, shipped) == [("postgres", "was", True)] * 2


def test_an_upgrade_is_undone_if_event_triggers_would_run_something_else(
    event_function: Database,
    administrator: Connection,
    server: Server,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # The second line of defence, where the first one fails.
    monkeypatch.setattr(ownership, "_HELD", "select 1")
    with pytest.raises(StartError, match="what the event triggers of the schema wamp run"):
        upgraded(event_function, administrator, server)
    assert event_function.query("select from pg_event_trigger") == []


def test_nothing_is_given_to_an_owner_that_owns_it_already(
    wamp_database: Database, administrator: Connection, server: Server
) -> None:
    wamp_database.query("create schema app; create table wamp.valuable ()")
    tables = wamp_database.query(
        "select relname from pg_class where relnamespace = 'wamp'::regnamespace and relkind in "
        "('r', 'p', 'v', 'S') and relname <> 'valuable'"
    )
    for (table,) in tables:
        wamp_database.query(f'create table app."{table}" ()')
    for name, arguments, result in wamp_database.query(
        "select proname, pg_get_function_identity_arguments(oid), pg_get_function_result(oid) "
        "from pg_proc where pronamespace = 'wamp'::regnamespace"
    ):
        wamp_database.query(
            f"create function app.{name}({arguments}) returns {result} language plpgsql as "
            "'begin end'"
        )
    url = server.url(wamp_database.name)
    with closing(connect(url)) as admin:
        query(admin, "create table app.valuable as select rolname, rolpassword from pg_authid")
    meanwhile(
        wamp_database,
        administrator,
        "lock table wamp.raw in access exclusive mode",
        "begin; alter schema wamp rename to was; alter schema app rename to wamp; commit",
        lambda: provisioning.give_schema(url, OWNER),
    )
    owners = "select relowner::regrole::text from pg_class where relname = 'valuable' order by 1"
    assert wamp_database.query(owners) == [("postgres",), (OWNER,)]
