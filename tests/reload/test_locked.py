"""Relations that another session keeps to itself while the catalog is read."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import psycopg2
import pytest

from pgwamp import component
from pgwamp.component import Component
from pgwamp.database import blockers
from pgwamp.errors import Blocked, StartError
from pgwamp.procedures import preparing
from pgwamp.settings import Settings
from tests.conftest import Connect, Database, Events, Serve
from tests.queueing import queueing
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


# relations of wamp


@pytest.fixture
def stranger(database: Database) -> Iterator[str]:
    """A role that may name what is in the schema wamp, and nothing else."""
    role = f"stranger_{database.name}"
    database.execute(f"create role {role} login", f"grant usage on schema wamp to {role}")
    yield role
    database.execute(f"drop owned by {role}", f"drop role {role}")


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Waits for locks that are soon over, with looks for who has them in between."""
    monkeypatch.setattr(blockers, "LONGEST_LOCK_SECONDS", 2)
    monkeypatch.setattr(blockers, "LOOK_PAUSE_SECONDS", 0.05)


@pytest.mark.usefixtures("impatient")
@pytest.mark.parametrize(
    ("relation", "subject"),
    [
        ("wamp.watched", "reading the catalog"),
        ("wamp.component", "saying what wamp.publish may do"),
    ],
)
async def test_a_start_waits_for_a_lock_in_wamp_with_a_bound_and_names_who_has_it(
    database: Database,
    make_settings: Callable[..., Settings],
    stranger: str,
    relation: str,
    subject: str,
) -> None:
    url = database.url.replace("//postgres@", f"//{stranger}@")
    async with queueing(url, relation) as queue:
        holder = f'process {queue.pid} of role "{stranger}"'
        expected = re.escape(f"{subject} waited too long for {holder}, which uses {relation}: ")
        with pytest.raises(StartError, match=f"^{expected}") as caught:
            async with asyncio.timeout(20), Component(make_settings(), patience=5):
                pass
        assert str(caught.value).endswith(f"end it: select pg_terminate_backend({queue.pid})")
    async with Component(make_settings(), patience=5):
        pass


@pytest.mark.usefixtures("impatient")
async def test_a_reload_names_who_locks_the_view_of_watched_tables(
    database: Database, serve: Serve, stranger: str
) -> None:
    served = await serve()
    url = database.url.replace("//postgres@", f"//{stranger}@")
    async with queueing(url, "wamp.watched") as queue:
        with pytest.raises(Blocked, match=f"process {queue.pid} .*, which uses wamp.watched"):
            async with asyncio.timeout(20):
                await served.reload()
    await served.reload()


@pytest.mark.usefixtures("impatient")
async def test_without_another_connection_a_wait_has_a_bound_all_the_same(
    database: Database, serve: Serve, stranger: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def refuse(_: str) -> None:
        raise ConnectionRefusedError

    served = await serve()
    monkeypatch.setattr(blockers, "connect_directly", refuse)
    url = database.url.replace("//postgres@", f"//{stranger}@")
    async with queueing(url, "wamp.watched"):
        with pytest.raises(Blocked, match="waited too long for a lock: try again when"):
            await served.reload()


@pytest.mark.usefixtures("impatient")
async def test_events_of_a_new_table_come_although_the_view_of_watched_tables_is_locked(
    database: Database,
    serve: Serve,
    connect: Connect,
    events: Events,
    stranger: str,
    prefix: str,
) -> None:
    await serve()
    client = await connect()
    await client.subscribe(f"{prefix}.item.inserted", events)
    database.execute("create table item (id int primary key)", "select wamp.watch('item')")
    url = database.url.replace("//postgres@", f"//{stranger}@")
    async with queueing(url, "wamp.watched"):
        database.execute("insert into item values (1)")
        await events.count(1)
