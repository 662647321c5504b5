"""The log over real histories of a server: nothing is lost or told twice, whatever is put back."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from pgwamp.dev.postgres import Postgres
from tests.eventlog.conftest import Log
from tests.eventlog.histories import Site, good_cursors, keys, log_of, promote, until_applied
from tests.servers import server_folder


@pytest.fixture(scope="module")
def pristine() -> Iterator[Postgres]:
    """A server with a watched table that is stopped, to be copied."""
    with server_folder() as folder, Site(folder) as site:
        if not site.has("pg_basebackup"):
            pytest.skip("this PostgreSQL came without pg_basebackup")
        server = site.new("pristine")
        server.stop()
        yield server


@pytest.fixture
def site(pristine: Postgres) -> Iterator[Site]:
    """A folder with the data of a primary."""
    with server_folder() as folder, Site(folder) as site:
        site.copy(pristine, "primary")
        yield site


@pytest.fixture
def primary(site: Site) -> Postgres:
    """A primary with a watched table."""
    server = site.server("primary")
    server.start()
    return server


def insert(*numbers: int) -> list[str]:
    """Statements that each insert a row."""
    return [f"insert into item values ({number})" for number in numbers]


async def eras(log: Log) -> int:
    """The number of histories that the log was written by."""
    number: int = await log.connection.fetchval("select count(*) from wamp.era")
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
