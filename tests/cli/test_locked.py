"""Commands that meet a lock of another session wait with a bound, and name who has it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager

import pytest

from tests.cli.conftest import Run, one_line
from tests.conftest import Database

pytestmark = pytest.mark.one_login

#: Seconds that a command takes, with a wait of ten.
BOUND = 25
Locked = Callable[[str], AbstractAsyncContextManager[str]]


@pytest.fixture
def locked(database: Database) -> Locked:
    """Lock a relation; answers who has done it, and how that is cured."""

    @asynccontextmanager
    async def lock(relation: str) -> AsyncIterator[str]:
        holder = await database.connect()
        await holder.execute(f"begin; lock table {relation} in access exclusive mode")
        pid = holder.get_server_pid()
        try:
            yield f'process {pid} of role "postgres"'
        finally:
            await holder.close()

    return lock


@pytest.mark.parametrize(
    ("arguments", "subject"),
    [
        (("list",), "looking for the watched tables"),
        (("add", "item"), "watching"),
        (("add", "item", "other"), "watching"),
        (("remove", "--all"), "looking for the watched tables"),
        (("remove", "item"), "unwatching"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else "",
)
async def test_commands_of_watches_name_who_locks_the_watches(
    run: Run, database: Database, locked: Locked, arguments: tuple[str, ...], subject: str
) -> None:
    for name in ("item", "other"):
        database.execute(
            f"create table {name} (id int primary key)", f"select wamp.watch('{name}')"
        )
    async with locked("wamp.watch") as holder, asyncio.timeout(BOUND):
        code, out, err = await run("watch", *arguments)
    told, error = err.strip().splitlines()
    assert (code, out) == (3, "")
    assert told == f"waiting: {holder} uses wamp.watch"
    named = f"pgwamp: {subject} waited too long for {holder}, which uses wamp.watch: wait until it "
    assert error.startswith(named)
    assert "end it: select pg_terminate_backend(" in error


@pytest.mark.parametrize(("command", "subject"), [("add", "watching"), ("remove", "unwatching")])
async def test_a_table_that_is_locked_keeps_no_other_from_being_watched(
    run: Run, database: Database, locked: Locked, command: str, subject: str
) -> None:
    for name in ("held", "item"):
        database.execute(f"create table {name} (id int primary key)")
        if command == "remove":
            database.execute(f"select wamp.watch('{name}')")
    async with locked("held") as holder, asyncio.timeout(BOUND):
        code, out, err = await run("watch", command, "held", "item")
    told, error = err.strip().splitlines()
    assert told == f"waiting: {holder} uses public.held"
    named = f"pgwamp: held: {subject} waited too long for {holder}, which uses public.held: "
    assert error.startswith(named)
    assert "end it: select pg_terminate_backend(" in error
    assert code == 1
    assert out.endswith("watching item\n")


@pytest.mark.parametrize(
    "arguments", [("current",), ("upgrade",), ("downgrade", "base"), ("owner", "pgwamp_events")]
)
async def test_commands_of_the_schema_name_who_has_the_lock_while_they_wait(
    run: Run, locked: Locked, arguments: tuple[str, ...]
) -> None:
    relation = "wamp.raw" if arguments[0] == "owner" else "wamp.alembic_version"
    async with locked(relation) as holder, asyncio.timeout(BOUND):
        code, out, err = await run("db", *arguments)
    told, error = (out + err).strip().splitlines()
    assert code == 3
    assert told == f"waiting: {holder} uses {relation}"
    assert f"waited too long for {holder}, which uses {relation}" in error


@pytest.mark.parametrize("relation", ["wamp.watch", "wamp.publication", "wamp.alembic_version"])
async def test_check_says_in_one_line_who_locks_what_it_looks_at(
    run: Run, database: Database, locked: Locked, relation: str
) -> None:
    database.execute("create table item (id int primary key)", "select wamp.watch('item')")
    async with locked(relation) as holder, asyncio.timeout(BOUND):
        code, out, err = await run("check")
    line = one_line(out)
    assert code == 1
    assert f"the check waited too long for {holder}, which uses {relation}: wait until" in line
    assert "end it: select pg_terminate_backend(" in line
    assert err.strip() in ("", f"waiting: {holder} uses {relation}")


async def test_a_stranger_who_locks_the_watches_is_one_line_of_check(
    run: Run, database: Database
) -> None:
    role = f"stranger_{database.name}"
    database.execute(
        f"create role {role} login",
        f"grant usage on schema wamp to {role}",
        f"grant all on wamp.watch to {role}",
    )
    url = database.url.replace("//postgres@", f"//{role}@")
    stranger = await Database(url, database.name).connect()
    try:
        await stranger.execute("begin; lock table wamp.watch in access exclusive mode")
        async with asyncio.timeout(BOUND):
            code, out, _ = await run("check")
        line = one_line(out)
        assert code == 1
        process = f'process {stranger.get_server_pid()} of role "{role}"'
        assert f"{process} locks wamp.watch or waits to, and others wait for that: " in line
    finally:
        await stranger.close()
        database.execute(f"drop owned by {role}", f"drop role {role}")
