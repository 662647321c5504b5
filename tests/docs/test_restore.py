"""The commands that restore a dump without a superuser, as the page has them."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import uuid
from collections.abc import Iterator
from pathlib import Path

import psycopg2
import pytest

from pgwamp import migrations
from pgwamp.dev.embedded import programs
from pgwamp.dev.postgres import Postgres
from tests.conftest import Connect, Events, Serve
from tests.docs.test_commands import ROOT
from tests.servers import Addresses, execute, postgres_bin

PAGE = ROOT / "docs" / "operations.md"


@pytest.fixture
def owner(addresses: Addresses) -> Iterator[str]:
    """An ordinary role, and a database of this name with a watched table, upgraded by both."""
    name, admin = f"shop_{uuid.uuid4().hex[:8]}", addresses.database("postgres")
    execute(admin, f"create role {name} login", f"create database {name} owner {name}")
    migrations.upgrade(addresses.database(name, name))
    migrations.upgrade(addresses.database(name))
    execute(
        addresses.database(name, name),
        "create schema app",
        "create table app.item (id int primary key)",
        """select wamp.watch('app.item', '{"when": "id > 0"}')""",
        "insert into app.item values (0), (1)",
    )
    yield name
    execute(admin, f"drop database {name} with (force)", f"drop role {name}")


def restore(folder: Path, **urls: str) -> None:
    """Run the commands of the page in a folder."""
    (block,) = re.findall(
        r"(?:^    pg_.*\n)+^    pgwamp db upgrade\n", PAGE.read_text(), re.MULTILINE
    )
    own = str(Path(sys.executable).parent), str(postgres_bin() or programs())
    path = os.pathsep.join((*own, os.environ["PATH"]))
    done = subprocess.run(
        ["bash", "-e", "-c", block],
        cwd=folder,
        env={**os.environ, "PATH": path, **urls},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")


async def test_an_ordinary_owner_restores_a_dump(
    addresses: Addresses,
    owner: str,
    own_postgres: Postgres,
    serve: Serve,
    connect: Connect,
    prefix: str,
    events: Events,
    tmp_path: Path,
) -> None:
    execute(own_postgres.url(), f"create role {owner} login", f"create database shop owner {owner}")
    new = own_postgres.url("shop", user=owner)
    restore(tmp_path, OLD_URL=addresses.database(owner, owner), DATABASE_URL=new)
    # Nobody but the owner may use what is restored.
    execute(own_postgres.url(), "create role stranger login")
    with pytest.raises(psycopg2.errors.InsufficientPrivilege):
        execute(own_postgres.url("shop", user="stranger"), "select wamp.publish('a.b')")
    execute(new, "insert into app.item values (2)")
    client = await connect()
    await client.subscribe(f"{prefix}.item.inserted", events)
    await serve(database={"url": new, "events_url": new}, expose={"schemas": ["app"]})
    # The first was written before the dump, and no component was there.
    assert [event["key"]["id"] for event in await events.count(2)] == [1, 2]
