"""Relations that another session keeps to itself while the catalog is read."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import psycopg2
import pytest

from pgwamp import component
from pgwamp.component import Component
from pgwamp.procedures import preparing
from tests.conftest import Database, Serve
from tests.reload.conftest import Reloads


@contextmanager
def locking(database: Database, *names: str) -> Iterator[None]:
    """Another session that keeps these relations to itself."""
    with closing(psycopg2.connect(database.url)) as stranger:
        with stranger.cursor() as cursor:
            cursor.execute("".join(f"lock {name} in access exclusive mode;" for name in names))
        yield


async def until_served(served: Component, reloads: Reloads, uri: str) -> None:
    """Wait for the reload that serves a procedure."""
    async with asyncio.timeout(20):
        while uri not in served.exposure.procedures:
            await reloads.until(reloads.ended + 1)


VIEWS = (
    "create table base (id int primary key)",
    "create view inner_view as select id from base",
    "create view outer_view as select id from inner_view",
    "create view other as select id from base",
    "create table alone (id int primary key)",
    "create view of_alone as select id from alone",
)


@pytest.mark.parametrize("locked", ["base", "inner_view"])
async def test_a_locked_view_puts_off_neither_start_nor_reload(
    database: Database,
    serve: Serve,
    reloads: Reloads,
    prefix: str,
    locked: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(component, "LOOK_AGAIN", 0.1)
    database.execute(*VIEWS)
    outer, free = f"{prefix}.outer_view", f"{prefix}.of_alone"
    with locking(database, locked):
        served = await serve()
        uris = served.exposure.procedures.keys()
        assert {f"{outer}.select", f"{free}.insert", f"{prefix}.alone.insert"} <= uris
        # Nobody knows by now what may be written to it.
        assert f"{outer}.insert" not in uris
        assert "public.outer_view" in served.catalog.locked
    await until_served(served, reloads, f"{outer}.insert")
    assert served.catalog.locked == ()
    with locking(database, locked):
        await served.reload()
        # It may be written as it could be before.
        assert f"{outer}.insert" in served.exposure.procedures


async def test_a_view_that_a_prepared_transaction_locks_puts_off_no_start(
    database: Database, serve: Serve, prefix: str
) -> None:
    database.execute(*VIEWS)
    with closing(psycopg2.connect(database.url)) as stranger:
        stranger.tpc_begin(stranger.xid(1, database.name, ""))
        with stranger.cursor() as cursor:
            cursor.execute("lock inner_view in access exclusive mode")
        stranger.tpc_prepare()
        try:
            served = await serve()
        finally:
            stranger.tpc_rollback()
    assert "public.outer_view" in served.catalog.locked
    assert f"{prefix}.of_alone.insert" in served.exposure.procedures


async def test_a_query_that_reads_what_is_locked_is_served_later(
    database: Database,
    serve: Serve,
    reloads: Reloads,
    prefix: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(component, "LOOK_AGAIN", 0.1)
    monkeypatch.setattr(preparing, "LONGEST_LOCK", 1)
    database.execute(*VIEWS)
    (tmp_path / "all.sql").write_text(
        "-- name: of_base\nselect id from base;\n-- name: of_alone_too\nselect id from alone;\n"
    )
    with locking(database, "base"):
        served = await serve(expose={"queries": str(tmp_path)})
        assert f"{prefix}.of_alone_too" in served.exposure.procedures
        assert f"{prefix}.of_base" not in served.exposure.procedures
    await until_served(served, reloads, f"{prefix}.of_base")


async def test_views_policies_and_bodies_of_functions_are_not_opened_to_see_what_they_ask_for(
    database: Database, serve: Serve, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(preparing, "LONGEST_LOCK", 1)
    (tmp_path / "all.sql").write_text("-- name: ones\nselect 1 as one;\n")
    asks = "current_setting('wamp.authid')"
    database.execute(
        "create schema theirs",
        "create table theirs.base (id text)",
        f"create view theirs.shown as select id from theirs.base where id = {asks}",
        f"create function theirs.body() returns text language sql begin atomic "
        f"select id from theirs.base where id = {asks}; end",
        "alter table theirs.base enable row level security",
        f"create policy own on theirs.base using (id = {asks})",
    )
    with locking(database, "theirs.base"):
        served = await serve(expose={"queries": str(tmp_path)})
    assert served.exposure.locked == []
