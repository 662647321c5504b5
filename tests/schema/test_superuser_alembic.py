"""A superuser's Alembic runs nothing that an ordinary owner of database or schema has written."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import sqlalchemy
from alembic.migration import MigrationContext
from alembic.operations import Operations
from alembic.util import CommandError

from pgwamp.schema.plugin import pinned_search_path
from tests.traps import Trap, laid

from .conftest import GUEST, OWNER, Database, Server
from .test_migrations import alembic

#: Of the schema's owner, in place of what the operations call.
TRAPS = """
do $do$
declare it record;
begin
    for it in select proname as name, pg_get_function_arguments(oid) as arguments from pg_proc
        where pronamespace = 'wamp'::regnamespace and proname in ('watch', 'unwatch')
    loop
        execute format('create or replace function wamp.%I(%s) returns void language plpgsql as '
            '''begin perform public.trap(); end''', it.name, it.arguments);
    end loop;
end $do$
"""
#: Of the database's owner, in place of what SQLAlchemy asks as it connects.
EARLY_TRAP = """
create schema evil; grant usage on schema evil to public;
create function evil.current_schema() returns name language plpgsql as
    'begin perform public.trap(); return ''public''; end';
"""


@pytest.fixture
def trap(wamp_database: Database) -> Iterator[Trap]:
    with laid() as trap:
        wamp_database.query("create table public.item (id int primary key)")
        wamp_database.query(trap.function)
        yield trap


def operate(url: str, operation: str, **options: object) -> None:
    """Do it as a migration of an application does."""
    engine = sqlalchemy.create_engine(url.replace("postgresql:", "postgresql+psycopg2:"))
    with engine.begin() as connection:
        operations = Operations(MigrationContext.configure(connection))
        getattr(operations, operation)("item", schema="public", **options)
    engine.dispose()


@pytest.mark.parametrize("operation", ["watch_table", "unwatch_table"])
def test_operations_of_a_superuser_call_nothing_of_the_owner(
    wamp_database: Database, server: Server, trap: Trap, operation: str
) -> None:
    wamp_database.query(TRAPS)
    with pytest.raises(CommandError, match=f'connect as "{OWNER}"') as caught:
        operate(server.url(wamp_database.name), operation)
    assert not trap.has_sprung
    assert str(caught.value).startswith(f"cannot {operation.partition('_')[0]} item: ")


@pytest.mark.parametrize("operation", ["watch_table", "unwatch_table"])
def test_operations_call_nothing_of_a_schema_that_others_change(
    wamp_database: Database, operation: str
) -> None:
    wamp_database.query("create table public.item (id int primary key)")
    wamp_database.query(f"grant create on schema wamp to {GUEST}")
    with pytest.raises(CommandError, match="REVOKE CREATE ON SCHEMA wamp"):
        operate(wamp_database.url, operation)
    wamp_database.query(f"revoke create on schema wamp from {GUEST}")
    operate(wamp_database.url, operation)


def test_the_question_takes_no_names_of_the_search_path(
    wamp_database: Database, server: Server, trap: Trap
) -> None:
    wamp_database.query(
        "create schema evil; grant usage on schema evil to public; "
        "create function evil.to_regprocedure(text) returns regprocedure language plpgsql as "
        "'begin perform public.trap(); return null; end'"
    )
    wamp_database.query(f"alter database {wamp_database.name} set search_path = evil, pg_catalog")
    with pytest.raises(CommandError, match=f'connect as "{OWNER}"'):
        operate(server.url(wamp_database.name), "unwatch_table")
    assert not trap.has_sprung


@pytest.mark.parametrize("arguments", [("current",), ("upgrade", "head"), ("check",)], ids=" ".join)
def test_plain_alembic_begins_with_settings_of_its_own(
    wamp_database: Database, server: Server, trap: Trap, arguments: tuple[str, ...]
) -> None:
    wamp_database.query(EARLY_TRAP)
    wamp_database.query(
        f"alter database {wamp_database.name} set search_path = evil, pg_catalog, public"
    )
    done = alembic(server.url(wamp_database.name), *arguments)
    assert not trap.has_sprung
    assert done.returncode != 0
    assert f'connect as "{OWNER}"' in done.stdout
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("each_alone", [False, True], ids=["in a transaction", "autocommit"])
@pytest.mark.parametrize("operation", ["watch_table", "unwatch_table"])
def test_operations_leave_the_search_path_as_it_was(
    wamp_database: Database, operation: str, each_alone: bool
) -> None:
    """A migration for each tenant would go on in the schema of the one before."""
    wamp_database.query("create table public.item (id int primary key)")
    wamp_database.query("create schema tenant")
    shown = sqlalchemy.text("show search_path")
    engine = sqlalchemy.create_engine(
        wamp_database.url.replace("postgresql:", "postgresql+psycopg2:"),
        **({"isolation_level": "AUTOCOMMIT"} if each_alone else {}),
    )
    with engine.connect() as connection:
        before = connection.scalar(shown)
        kind = "" if each_alone else "local"
        connection.execute(sqlalchemy.text(f"set {kind} search_path = tenant, public"))
        operations = Operations(MigrationContext.configure(connection))
        if each_alone:
            # Nothing undoes it after an error, as of a lock.
            with (
                pytest.raises(sqlalchemy.exc.DBAPIError, match="division by zero"),
                pinned_search_path(connection),
            ):
                connection.execute(sqlalchemy.text("select 1 / 0"))
            assert connection.scalar(shown) == "tenant, public"
        getattr(operations, operation)("item", schema="public")
        assert connection.scalar(shown) == "tenant, public"
        connection.commit()
        assert connection.scalar(shown) == ("tenant, public" if each_alone else before)
    engine.dispose()
