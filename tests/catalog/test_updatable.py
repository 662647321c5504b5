"""Whether views may be written to is found out in bounded time, whatever their owners do."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import closing
from itertools import pairwise
from typing import Any

import asyncpg
import psycopg2
import pytest

from pgwamp.catalog import Catalog, Relation, load_catalog, updatable
from pgwamp.catalog.load import _sql
from pgwamp.catalog.views import MOST_STACKED
from tests.conftest import Database

VIEWS = 6


class Watched:
    """A connection that tells which views PostgreSQL is about to open.

    :ivar questions: the oids of each question.
    """

    def __init__(self, connection: asyncpg.Connection[Any], before: Callable[[list[int]], None]):
        self.questions: list[list[int]] = []
        self._before = before
        self._connection = connection
        self.fetchval, self.transaction = connection.fetchval, connection.transaction

    async def fetch(self, query: str, *args: Any) -> Sequence[Mapping[str, Any]]:
        if query == _sql("updatable"):
            self.questions.append(list(args[0]))
            self._before(list(args[0]))
        rows: Sequence[Mapping[str, Any]] = await self._connection.fetch(query, *args)
        return rows


async def load(
    database: Database,
    lock_timeout: str = "100ms",
    before: Callable[[list[int]], None] = lambda views: None,
) -> tuple[Catalog, Watched]:
    connection = await database.connect()
    try:
        await connection.execute(f"set lock_timeout = '{lock_timeout}'")
        watched = Watched(connection, before)
        async with connection.transaction():
            catalog = await load_catalog(watched, ["public"])
            # The rest of the transaction has the timeouts that it had.
            assert await connection.fetchval("show lock_timeout") == lock_timeout
            assert await connection.fetchval("show statement_timeout") == "0"
        return catalog, watched
    finally:
        await connection.close()


class Stranger:
    """A role that locks its views ``z0`` and so on while PostgreSQL is asked about them."""

    def __init__(self, connection: psycopg2.extensions.connection):
        self._connection = connection

    def lock_first(self, views: Collection[int]) -> None:
        """Lock the first of ``views`` that is this role's, and no other any more."""
        self._connection.rollback()
        with self._connection.cursor() as cursor:
            cursor.execute(
                "select relname from pg_class where oid = any (%s) and relname ^@ 'z' order by oid",
                [list(views)],
            )
            for (name,) in cursor.fetchmany(1):
                cursor.execute(f"lock {name} in access exclusive mode")


@pytest.fixture
def stranger(database: Database) -> Iterator[Stranger]:
    """An old role with views, beside a new one with the view ``free``."""
    old, new = f"old_{database.name}", f"new_{database.name}"
    database.execute(
        f"create role {old}",
        f"create role {new}",
        f"grant create on schema public to {old}, {new}",
        # To lock a view is to lock what it reads: each has a table of its own.
        f"set role {old}; "
        + "; ".join(
            f"create table t{number} (id int primary key); create view z{number} as table t{number}"
            for number in range(VIEWS)
        ),
        f"set role {new}; create table own (id int primary key); create view free as table own",
    )
    with closing(psycopg2.connect(database.url)) as connection:
        yield Stranger(connection)


def by_name(catalog: Catalog) -> dict[str, Relation]:
    return {relation.name: relation for relation in catalog.relations}


LOCKED = tuple(f"public.z{number}" for number in range(VIEWS))


async def test_views_that_are_locked_each_time_they_are_asked_about_may_be_read_only(
    database: Database, stranger: Stranger
) -> None:
    catalog, _ = await load(database, before=stranger.lock_first)
    assert catalog.locked == LOCKED
    found = by_name(catalog)
    assert not any(found[f"z{number}"].insertable for number in range(VIEWS))
    assert found["free"].insertable


async def test_a_view_that_is_locked_while_it_is_asked_about_takes_no_other_with_it(
    database: Database, stranger: Stranger
) -> None:
    def lock_once(views: list[int]) -> None:
        if not locked:
            locked.append(views)
            stranger.lock_first(views)

    locked: list[list[int]] = []
    catalog, watched = await load(database, before=lock_once)
    assert catalog.locked == LOCKED[:1]
    assert [r.name for r in catalog.relations if not r.insertable] == ["z0"]
    # All at once, the halves of the rest, and those of the other role.
    assert len(watched.questions) == 4


async def test_an_owner_whose_views_take_too_long_takes_no_time_from_others(
    database: Database, stranger: Stranger, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(updatable, "OWNER_SECONDS", 0.5)
    # Without an end of its own, the wait for a lock is ended as any long question is.
    catalog, watched = await load(database, "0", before=stranger.lock_first)
    assert catalog.locked == LOCKED
    assert by_name(catalog)["free"].insertable
    assert len(watched.questions) == 2


async def test_beyond_the_time_for_all_nobody_is_asked_about(
    database: Database, stranger: Stranger, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(updatable, "ALL_SECONDS", 0)
    catalog, watched = await load(database)
    assert catalog.locked == ("public.free", *LOCKED)
    assert not watched.questions


async def test_a_high_stack_of_views_is_not_opened(database: Database) -> None:
    names = ["t", *(f"v{number}" for number in range(MOST_STACKED + 20))]
    database.execute(
        "create table t (id int primary key)",
        *(f"create view {view} as table {below}" for below, view in pairwise(names)),
        "create view one as select 1 as id",
        "create view two as table one",
        "create or replace view one as table two",
        "create view itself as select 1 as id",
        "create or replace view itself as table itself",
        # The ways to a view are many, and none is long.
        "create view wide as select * from v0 where id in (select id from v1 natural join v2)",
    )
    catalog, watched = await load(database)
    found = by_name(catalog)
    (asked,) = watched.questions
    low = {"wide", "itself", *(f"v{number}" for number in range(MOST_STACKED))}
    assert {r.name for r in catalog.relations if r.oid in asked} == low
    assert found[f"v{MOST_STACKED - 1}"].insertable
    assert found["wide"].insertable
    assert not found[f"v{MOST_STACKED}"].insertable
    assert not found["two"].insertable
    # It is no matter of locks, to be looked at again.
    assert catalog.locked == ()


async def test_views_that_are_too_much_for_the_server_may_be_read_only(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pgwamp.catalog.views.MOST_STACKED", 10_000)
    names = ["t", *(f"deep.v{number}" for number in range(2500))]
    database.execute(
        "create schema deep",
        "create table t (id int primary key)",
        "; ".join(f"create view {view} as table {below}" for below, view in pairwise(names)),
        *(f"create view shown_{number} as table t" for number in range(5)),
        "create view too_deep as table deep.v2499",
        f"alter database {database.name} set max_stack_depth = '100kB'",
    )
    catalog, watched = await load(database)
    assert [r.name for r in catalog.relations if not r.insertable] == ["too_deep"]
    assert len(watched.questions) > 1


async def test_foreign_tables_that_cannot_be_opened_may_be_read_only(database: Database) -> None:
    broken = [f"broken_{number}" for number in range(5)]
    database.execute(
        "create foreign data wrapper without_handler",
        "create server nowhere foreign data wrapper without_handler",
        *(f"create foreign table {name} (a int) server nowhere" for name in broken),
        "create table t (id int primary key)",
        *(f"create view shown_{number} as table t" for number in range(5)),
        "create view above as table broken_0",
    )
    catalog, _ = await load(database)
    assert {r.name for r in catalog.relations if not r.insertable} == {*broken, "above"}
    assert catalog.locked == ()
