"""Upgrades of a database of the first revision, which an ordinary owner restores from a dump."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from contextlib import closing
from typing import Any

import pytest

from pgwamp import migrations
from pgwamp.checks import check_all
from pgwamp.errors import CallError
from tests.conftest import Connect, Database, Events, MakeSettings, Serve
from tests.servers import EVENTS, Addresses, execute

from .baseline import COMMAND, FILE, PREFIX, REVISION, cursors
from .conftest import connect as connect_as
from .conftest import query
from .test_migrations import CONTENTS

#: The file grows old: its events are kept, whenever it was made.
KEPT = {"retain": "30000d"}


@pytest.fixture
def database(addresses: Addresses) -> Iterator[Database]:
    """The database of the file, as psql restores it for an owner who is no superuser."""
    name = f"t_{uuid.uuid4().hex[:12]}"
    admin = addresses.database("postgres")
    execute(admin, f"create database {name} owner {EVENTS}")
    execute(addresses.database(name, EVENTS), FILE.read_text(encoding="utf-8"))
    yield Database(addresses.database(name), name)
    execute(admin, f"drop database {name} with (force)")


@pytest.fixture
def prefix() -> str:
    """The one that the database was published under."""
    return PREFIX


def upgrade(database: Database, addresses: Addresses) -> None:
    """As its owner; then as a superuser, for the event triggers."""
    migrations.upgrade(addresses.database(database.name, EVENTS))
    migrations.upgrade(database.url)


def contents(database: Database) -> list[tuple[Any, ...]]:
    """All that is in the schema."""
    with closing(connect_as(database.url)) as connection:
        return query(connection, CONTENTS)


def test_an_upgraded_baseline_has_the_schema_of_a_new_database(
    database: Database, addresses: Addresses
) -> None:
    owner = addresses.database(database.name, EVENTS)
    assert migrations.current(owner) == REVISION
    upgrade(database, addresses)
    assert migrations.current(owner) == migrations.head()

    name = f"t_{uuid.uuid4().hex[:12]}"
    admin = addresses.database("postgres")
    execute(admin, f"create database {name} owner {EVENTS}")
    try:
        upgrade(new := Database(addresses.database(name), name), addresses)
        assert contents(database) == contents(new), f"as long as nothing is released: {COMMAND}"
    finally:
        execute(admin, f"drop database {name} with (force)")


async def test_an_upgraded_baseline_goes_on(
    database: Database,
    addresses: Addresses,
    make_settings: MakeSettings,
    serve: Serve,
    connect: Connect,
    events: Events,
) -> None:
    upgrade(database, addresses)
    client = await connect()
    await client.subscribe(PREFIX, events, match="prefix")
    await serve(events=KEPT)
    database.execute("insert into item values (5, 'e', null)", "delete from task where id = 1")
    await events.count(5)

    # What was published stays so. What was no event yet comes first.
    assert [topic.removeprefix(f"{PREFIX}.") for topic, _, _ in events.received] == [
        "item.inserted", "hello", "task.inserted", "item.inserted", "task.deleted",
    ]  # fmt: skip
    keys = [kwargs.get("key") for _, _, kwargs in events.received]
    assert keys == [
        {"id": 3}, None, {"id": 2, "day": "2026-01-02"}, {"id": 5}, {"id": 1, "day": "2026-01-02"},
    ]  # fmt: skip

    good, lost = cursors("cursor"), cursors("lost")
    assert (len(good), len(lost)) == (5, 4)
    for number, cursor in enumerate(good, 1):
        following, _ = await client.call_full(f"{PREFIX}.changes", [], {"since": cursor})
        assert [event["cursor"] for event in following[: 5 - number]] == good[number:]
        assert len(following) == 10 - number
    for cursor in lost:
        with pytest.raises(CallError) as caught:
            await client.call(f"{PREFIX}.changes", [], {"since": cursor})
        assert caught.value.uri == "pgwamp.error.cursor_expired"

    findings = await check_all(make_settings(events=KEPT))
    assert [finding.problem for finding in findings if finding.level != "fact"] == []
