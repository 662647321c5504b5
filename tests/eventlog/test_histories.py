"""The log over real histories of a server: nothing is lost or told twice, whatever is put back."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from pgwamp import migrations
from pgwamp.database.connect import CONNECTION_ERRORS
from pgwamp.dev.postgres import Postgres
from pgwamp.errors import StartError
from pgwamp.eventlog import sequencing
from pgwamp.eventlog.body import read_body
from pgwamp.eventlog.log import LoggedEvent
from pgwamp.eventlog.position import START
from tests.eventlog.conftest import Log
from tests.eventlog.histories import good_cursors, keys, log_of
from tests.eventlog.site import NAME, Site, insert, promote, until_applied
from tests.servers import execute


async def eras(log: Log) -> int:
    """The number of histories that the log was written by."""
    number: int = await log.connection.fetchval("select count(*) from wamp.era where began > 0")
    return number


async def test_a_clean_switchover_loses_nothing_and_expires_no_cursor(
    site: Site, primary: Postgres
) -> None:
    site.base_backup(primary, "standby", "--write-recovery-conf")
    standby = site.server("standby")
    standby.start()
    async with log_of(primary) as log:
        await log.execute(
            *insert(1, 2), "begin; insert into item values (9); prepare transaction 'later'"
        )
        await log.take()
        await log.execute(*insert(3))
        await log.take()
        told = await log.events()
        await log.execute(*insert(4))
    until_applied(primary)
    primary.stop()
    promote(standby)
    async with log_of(standby) as log:
        assert keys(told) == [1, 2, 3]
        await log.take()
        assert await good_cursors(log, told) == 3
        assert await eras(log) == 2
        await log.execute("commit prepared 'later'", *insert(5))
        await log.take()
        assert await good_cursors(log, told) == 3
        assert keys(await log.events()) == [1, 2, 3, 4, 9, 5]


async def test_a_standby_that_was_cut_off_expires_the_cursors_of_what_it_has_lost(
    site: Site, primary: Postgres
) -> None:
    site.base_backup(primary, "standby", "--write-recovery-conf")
    standby = site.server("standby")
    standby.start()
    async with log_of(primary) as log:
        await log.execute(*insert(1, 2, 3))
        await log.take()
        await log.execute(*insert(4))
        until_applied(primary)
        standby.stop()
        await log.take()
        await log.execute(*insert(5, 6))
        await log.take()
        told = await log.events()
        await log.execute(*insert(7))
    primary.kill()
    standby.start()
    promote(standby)
    async with log_of(standby) as log:
        assert keys(told) == [1, 2, 3, 4, 5, 6]
        assert await good_cursors(log, told) == 3
        # All numbers are given out again, and more.
        await log.execute(*insert(5, 6, 7, 8))
        await log.take()
        assert await good_cursors(log, told) == 3
        assert keys(await log.events()) == [1, 2, 3, 4, 5, 6, 7, 8]
        assert await eras(log) == 2


@pytest.mark.parametrize("backup", ["cold copy", "base backup"])
async def test_a_backup_that_is_put_back_keeps_its_timeline_and_no_cursor_of_what_came_later(
    site: Site, primary: Postgres, backup: str
) -> None:
    async with log_of(primary) as log:
        await log.execute(*insert(1, 2))
        await log.take()
        # Not an event yet when the copy is made; the second one is not even committed.
        await log.execute(
            *insert(3), "begin; insert into item values (9); prepare transaction 'later'"
        )
    if backup == "cold copy":
        primary.stop()
        site.copy(primary, "backup")
        primary.start()
    else:
        site.base_backup(primary, "backup")
    async with log_of(primary) as log:
        await log.execute(*insert(4))
        await log.take()
        await log.execute("commit prepared 'later'", *insert(5))
        await log.take()
        told = await log.events()
    primary.kill()
    restored = site.server("backup")
    restored.start()
    async with log_of(restored) as log:
        assert keys(told) == [1, 2, 3, 4, 9, 5]
        assert await good_cursors(log, told) == 2
        # It is made into the same event as before.
        await log.take()
        assert await good_cursors(log, told) == 3
        # The prepared transaction comes with the same values and to the same place, after another.
        await log.execute(*insert(10))
        await log.take()
        await log.execute("commit prepared 'later'", *insert(11))
        await log.take()
        assert keys(await log.events()) == [1, 2, 3, 10, 9, 11]
        assert await good_cursors(log, told) == 3
        assert await eras(log) == 1


async def test_a_recovery_to_a_point_in_time_expires_the_cursors_of_what_came_later(
    site: Site, primary: Postgres
) -> None:
    site.base_backup(primary, "backup")
    async with log_of(primary) as log:
        await log.execute(*insert(1, 2))
        await log.take()
        await log.execute(*insert(3), "select pg_create_restore_point('here')", *insert(4))
        await log.take()
        told = await log.events()
    primary.stop()
    recovered = recover(site, primary.data / "pg_wal", "backup")
    async with log_of(recovered) as log:
        assert keys(told) == [1, 2, 3, 4]
        assert await good_cursors(log, told) == 2
        await log.execute(*insert(5, 6))
        await log.take()
        assert await good_cursors(log, told) == 2
        assert keys(await log.events()) == [1, 2, 3, 5, 6]
        assert await eras(log) == 2


async def test_a_dump_goes_on_in_another_server(site: Site, primary: Postgres) -> None:
    age(site, primary)
    async with log_of(primary) as log:
        await log.execute(*insert(1, 2))
        await log.take()
        told = await log.events()
        await log.execute(*insert(3, 4))
    other = put_dump_back(site, primary)
    async with log_of(other) as log:
        assert await good_cursors(log, told) == 2
        await log.execute(*insert(5))
        async with log.sequencing() as sequencer:
            await log.execute(*insert(6))
            await sequencer.look()
        assert await good_cursors(log, told) == 2
        assert keys(await log.events()) == [1, 2, 3, 4, 5, 6]
        assert await eras(log) == 2


async def test_a_dump_goes_on_in_another_database_of_the_server(
    site: Site, primary: Postgres
) -> None:
    async with log_of(primary) as log:
        await log.execute(*insert(1))
        await log.take()
        told = await log.events()
        await log.execute(*insert(2))
        copy_database(site, primary, primary.url(), "copy")
        await log.execute(*insert(3))
        await log.take()
        told_there = await log.events()
    async with log_of(primary, "copy") as log:
        await log.execute(*insert(4))
        await log.take()
        assert keys(await log.events()) == [1, 2, 4]
        assert keys(told_there) == [1, 2, 3]
        assert await good_cursors(log, told_there) == await good_cursors(log, told) == 1


async def test_a_copy_that_keeps_its_oids_begins_no_era(site: Site, primary: Postgres) -> None:
    async with log_of(primary) as log:
        await log.execute(*insert(1))
        await log.take()
        told = await log.events()
    execute(primary.url(), f"create database copy template {NAME}")
    async with log_of(primary, "copy") as log:
        await log.execute(*insert(2))
        await log.take()
        assert await good_cursors(log, told) == 1
        assert keys(await log.events()) == [1, 2]
        assert await eras(log) == 1


async def test_a_dump_keeps_how_rows_read(site: Site, primary: Postgres) -> None:
    async with log_of(primary) as log:
        await log.execute(
            "create table reading (id int primary key, n int) partition by range (id)",
            # Its columns are in another order.
            "create table low (n int, id int primary key)",
            "alter table reading attach partition low for values from (0) to (10)",
            "create table high partition of reading for values from (10) to (20)",
            "select wamp.watch('reading')",
        )
        await log.take()
        await log.execute(
            "insert into reading values (1, 100), (11, 200)",
            "alter table reading add column more text",
            "insert into low values (300, 2, 'x')",
            "alter table high rename to upper",
            "insert into upper values (12, 400, 'y')",
        )
    other = put_dump_back(site, primary)
    async with log_of(other) as log:
        await log.execute("insert into reading values (3, 500, 'z')", "truncate upper")
        await log.take()
        bodies = [read_body(event.body or "") for event in await log.events()]
    assert [body.get("new") for body in bodies] == [
        {"id": 1, "n": 100},
        {"id": 11, "n": 200},
        {"id": 2, "n": 300, "more": "x"},
        {"id": 12, "n": 400, "more": "y"},
        {"id": 3, "n": 500, "more": "z"},
        None,
    ]
    assert bodies[-1] == {"partition": "public.upper"}


async def test_a_dump_repeats_no_statement_but_the_one_that_was_being_taken(
    site: Site, primary: Postgres, monkeypatch: pytest.MonkeyPatch
) -> None:
    age(site, primary)
    monkeypatch.setattr(sequencing, "MOST_ROWS", 1)
    monkeypatch.setattr(sequencing, "AT_ONCE", 10)
    store = sequencing.Sequencing._store
    async with log_of(primary) as log:
        await log.execute(*insert(1))
        await log.take()
        await log.execute(
            *insert(2),
            "begin; insert into item select generate_series(11, 30);"
            "insert into item select generate_series(31, 60); commit",
            *insert(100),
        )
        left = 4

        async def stumbling(self: sequencing.Sequencing, *arguments: Any) -> None:
            nonlocal left
            left -= 1
            if left < 0:
                raise ConnectionError
            await store(self, *arguments)

        monkeypatch.setattr(sequencing.Sequencing, "_store", stumbling)
        with pytest.raises(ConnectionError):
            await log.take()
        monkeypatch.undo()
        told = await log.events()
    assert keys(told) == [1, 2, *range(11, 50)]
    other = put_dump_back(site, primary)
    async with log_of(other) as log:
        assert await good_cursors(log, told) == len(told)
        await log.take()
        assert keys(await log.events()) == [1, 2, *range(11, 50), *range(31, 61), 100]


async def test_a_dump_of_what_no_component_has_served_goes_on(
    site: Site, primary: Postgres
) -> None:
    age(site, primary)
    async with log_of(primary) as log:
        await log.execute(*insert(1, 2))
    other = put_dump_back(site, primary)
    async with log_of(other) as log, log.sequencing() as sequencer:
        await log.execute(*insert(3))
        for _ in range(3):
            await sequencer.look()
        assert keys(await log.events()) == [1, 2, 3]


async def test_a_dump_of_the_schema_alone_takes_writes_and_an_upgrade_begins_it(
    site: Site, primary: Postgres
) -> None:
    execute(primary.url(), "create database copy")
    dump = site.run("pg_dump", "--schema-only", primary.url(NAME))
    site.run("psql", "--quiet", "--set=ON_ERROR_STOP=1", primary.url("copy"), stdin=dump)
    async with log_of(primary, "copy") as log:
        await log.execute(*insert(1))
        assert migrations.current(log.database.url) is None
        with pytest.raises(StartError, match="'pgwamp db upgrade' makes it whole first"):
            migrations.downgrade(log.database.url, "base")
        migrations.upgrade(log.database.url)
        assert migrations.current(log.database.url) == migrations.head()
        # What is watched is data.
        await log.execute(*insert(2), "select wamp.watch('item')", *insert(3))
        await log.take()
        assert keys(await log.events()) == [3]


@pytest.mark.parametrize("goes_on", ["the primary", "the standby"])
async def test_a_crash_amid_writers_that_wait_for_no_disk(
    site: Site, primary: Postgres, goes_on: str
) -> None:
    site.base_backup(primary, "standby", "--write-recovery-conf")
    standby = site.server("standby")
    standby.start()
    until_applied(primary)
    told: list[LoggedEvent] = []
    async with asyncio.TaskGroup() as writing, log_of(primary) as log:
        for begin in range(0, 4_000_000, 1_000_000):
            writing.create_task(write(primary, begin))
        async with log.sequencing() as sequencer:
            while len(told) < 200:
                await sequencer.look()
                told += await log.events(told[-1].position if told else START)
            primary.kill()
    survivor = primary if goes_on == "the primary" else standby
    survivor.start()
    if survivor is standby:
        promote(standby)
    async with log_of(survivor) as log:
        # Nobody has to wait for the sequencer that was lost.
        await log.execute("update wamp.lease set renewed_at = 'epoch'")
        await log.take()
        good = await good_cursors(log, told)
        # A crash loses no event, whatever was lost of what no event was made of.
        assert good == len(told) or survivor is standby
        rows = await log.connection.fetch("select id from item")
        assert sorted(keys(await log.events())) == sorted(row["id"] for row in rows)


#: A transaction whose commit does not wait for the disk.
UNSAFE = {
    "set before the write": "set local synchronous_commit = off; insert into item values (1)",
    "set after the write": "insert into item values (1); set local synchronous_commit = off",
}


@pytest.mark.parametrize("how", UNSAFE)
async def test_a_crash_undoes_no_commit_that_an_event_was_made_of(site: Site, how: str) -> None:
    # Nothing is written to the disk meanwhile but by a commit that waits for it.
    primary = site.server("primary", wal_writer_delay="10s")
    primary.start()
    async with log_of(primary) as log, log.sequencing() as sequencer:
        await log.execute(f"begin; {UNSAFE[how]}; commit")
        await sequencer.look()
        told = await log.events()
        primary.kill()
    primary.start()
    async with log_of(primary) as log:
        await log.execute("update wamp.lease set renewed_at = 'epoch'", *insert(2))
        await log.take()
        assert keys(told) == [1]
        assert await good_cursors(log, told) == 1
        assert keys(await log.events()) == [1, 2]
        assert await log.connection.fetchval("select array_agg(id) from item") == [1, 2]


async def write(server: Postgres, begin: int) -> None:
    """Insert one row after the other until the server is gone."""
    connection = await asyncpg.connect(server.url(NAME))
    with suppress(*CONNECTION_ERRORS):
        await connection.execute("set synchronous_commit = off")
        for number in range(begin, begin + 1_000_000):
            await connection.execute(f"insert into item values ({number})")
    connection.terminate()


def age(site: Site, server: Postgres) -> None:
    """Make it a server that has written much: transactions and WAL have high numbers."""
    server.stop()
    wal = "--next-wal-file=000000010000000F00000000"
    site.run("pg_resetwal", "--epoch=3", wal, str(server.data))
    server.start()


def put_dump_back(site: Site, server: Postgres) -> Postgres:
    """Restore a dump in a new server."""
    roles = site.run("pg_dumpall", "--roles-only", f"--dbname={server.url()}")
    other = site.server("other")
    other.start()
    site.run("psql", "--quiet", other.url(), stdin=roles)
    copy_database(site, server, other.url(), NAME)
    return other


def copy_database(site: Site, server: Postgres, to: str, name: str) -> None:
    """Restore a dump in a new database of a server."""
    dump = site.run("pg_dump", "--format=custom", server.url(NAME))
    execute(to, f"create database {name}")
    into = f"--dbname={to.rpartition('/')[0]}/{name}"
    site.run("pg_restore", "--exit-on-error", into, stdin=dump)


def recover(site: Site, wal: Path, name: str) -> Postgres:
    """Recover a base backup to the restore point ``here``."""
    options = {
        "restore_command": f"cp {wal}/%f %p",
        "recovery_target_name": "here",
        "recovery_target_action": "promote",
        # It lets nobody in before it is promoted.
        "hot_standby": "off",
    }
    server = site.server(name, **options)
    (server.data / "recovery.signal").touch()
    server.start()
    return server
