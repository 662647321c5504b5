"""A queue of notifications that a stranger fills: no write and no DDL fails."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import closing

import asyncpg
import psycopg2
import pytest
from psycopg2.extensions import connection as Connection

from pgwamp import migrations
from pgwamp.checks import Finding
from pgwamp.checks.events import check_queue
from pgwamp.dev.postgres import Postgres
from pgwamp.settings import Settings
from tests.servers import FAST, postgres_bin, server_folder

from .conftest import connect, notified, query


@pytest.fixture
def url() -> Iterator[str]:
    """The database of a server whose queue is as small as it can be."""
    options = {**FAST, "max_notify_queue_pages": "64"}
    with server_folder() as folder:
        server = Postgres(folder / "data", bin=postgres_bin(), options=options)
        try:
            server.start()
        except Exception as error:
            if "max_notify_queue_pages" in str(error):
                pytest.skip("the queue has a size of its own from PostgreSQL 17")
            raise
        migrations.upgrade(server.url())
        yield server.url()
        server.stop("immediate")


def check(url: str) -> str:
    """What ``pgwamp check`` says of the queue."""

    async def ask() -> list[Finding]:
        connection = await asyncpg.connect(url)
        try:
            return await check_queue(Settings(), connection)
        finally:
            await connection.close()

    (finding,) = asyncio.run(ask())
    return finding.problem


def fill(connection: Connection, share: float) -> None:
    """Notify until so much of the queue is full."""
    number = 0
    while query(connection, "select pg_notification_queue_usage()") < [(share,)]:
        number += 1
        query(connection, f"select pg_notify('other', '{number}' || repeat('x', 7000))")


def test_writes_and_ddl_go_on_and_the_sleeper_hears_again_afterwards(url: str) -> None:
    with (
        closing(connect(url)) as writer,
        closing(connect(url)) as idle,
        closing(connect(url)) as sequencer,
        closing(connect(url)) as stranger,
    ):
        query(writer, "create table item (id int primary key)")
        query(writer, "select wamp.watch('item')")
        # The sequencer sleeps.
        query(writer, "select setval('wamp.signal', 1)")
        query(idle, "listen nothing")
        query(idle, "begin")
        query(idle, "select 1")
        fill(stranger, 0.6)
        for statement in (
            "insert into item values (1)",
            "insert into item select generate_series(2, 9)",
            "select wamp.publish('a.b')",
            "select wamp.refresh('item')",
        ):
            query(writer, statement)
        assert f"end the session {idle.info.backend_pid} (of postgres, in" in check(url)
        with pytest.raises(psycopg2.Error, match="too many notifications"):
            fill(stranger, 1.1)
        for statement in (
            "insert into item values (10)",
            "update item set id = id + 100",
            "select wamp.publish('a.b')",
            "alter table item add column n int",
        ):
            query(writer, statement)
        assert "the queue of notifications is more than half full" in writer.notices[-1]
        written = "select string_agg(op::text, '' order by place, n) from wamp.raw"
        assert query(writer, written) == [("w" + "i" * 9 + "pl" + "i" + "u" * 10 + "pl",)]

        query(idle, "rollback")
        for channel in ("pgwamp", "wamp.raw"):
            query(sequencer, f'listen "{channel}"')
        query(writer, "insert into item values (11, 1)")
        query(writer, "alter table item drop column n")
        # With equal text in a channel a transaction tells once; the second one tells of both.
        assert sorted(notified(sequencer)) == ["", "", "reload"]
