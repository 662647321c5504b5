"""Migrations that meet each other, or sessions of others, at the locks that they need."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest
from psycopg2.extensions import connection as Connection

from pgwamp import migration_lock, migrations
from pgwamp.errors import StartError
from pgwamp.migration_lock import MIGRATION_LOCK

from .conftest import GUEST, OWNER, Database, Server, query


def test_two_upgrades_at_once_make_one_schema(empty_database: Database) -> None:
    class_, key = MIGRATION_LOCK
    empty_database.query(f"select pg_advisory_lock({class_}, {key})")
    program = (
        "import sys; from pgwamp import migrations; migrations.upgrade(sys.argv[1], report=print)"
    )
    running = [
        subprocess.Popen(
            [sys.executable, "-c", program, empty_database.url],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for _ in range(2)
    ]
    waiting = f"select count(*) from pg_locks where classid = {class_} and not granted"
    deadline = time.monotonic() + 30
    while empty_database.value(waiting) < 2:
        assert time.monotonic() < deadline, [process.poll() for process in running]
    empty_database.query(f"select pg_advisory_unlock({class_}, {key})")

    outputs = [process.communicate(timeout=30) for process in running]
    assert [process.returncode for process in running] == [0, 0], outputs
    upgraded = sorted(out.count("upgraded to") for out, _ in outputs)
    assert upgraded == [0, len(migrations.history())]


def test_an_upgrade_that_waits_names_the_holder_of_the_lock_and_gives_up(
    empty_database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(migration_lock, "LONGEST_WAIT_SECONDS", 1)
    monkeypatch.setattr(migration_lock, "REPORT_PAUSE_SECONDS", 0.01)
    guest = empty_database.connect(GUEST)
    query(guest, "select pg_advisory_lock(%s, %s)", *MIGRATION_LOCK)
    holder = f'process {guest.info.backend_pid} of role "{GUEST}" holds the lock of migrations'
    lines: list[str] = []
    with pytest.raises(StartError, match=holder) as caught:
        migrations.upgrade(empty_database.url, report=lines.append)

    assert f"pg_terminate_backend({guest.info.backend_pid})" in str(caught.value)
    assert lines
    assert all(line.startswith(f"waiting: {holder}") for line in lines)
    assert migrations.current(empty_database.url) is None


def test_an_upgrade_that_waits_for_a_prepared_transaction_says_so_and_gives_up(
    empty_database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(migration_lock, "LONGEST_WAIT_SECONDS", 1)
    monkeypatch.setattr(migration_lock, "REPORT_PAUSE_SECONDS", 0.01)
    guest = empty_database.connect(GUEST)
    query(guest, "begin")
    query(guest, "select pg_advisory_xact_lock(%s, %s)", *MIGRATION_LOCK)
    query(guest, "prepare transaction 'turn'")
    lines: list[str] = []
    try:
        with pytest.raises(StartError, match="a prepared transaction holds the lock") as caught:
            migrations.upgrade(empty_database.url, report=lines.append)
    finally:
        query(guest, "rollback prepared 'turn'")
    assert "pg_prepared_xacts" in str(caught.value)
    assert lines


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Migrations that give up soon, and look often for who keeps them waiting."""
    monkeypatch.setattr(migration_lock, "LONGEST_LOCK_SECONDS", 2)
    monkeypatch.setattr(migration_lock, "LOOK_PAUSE_SECONDS", 0.01)


@pytest.fixture
def reader(wamp_database: Database) -> Connection:
    """A session of the guest, in a transaction that has read a relation of wamp."""
    wamp_database.query(f"grant usage on schema wamp to {GUEST}")
    wamp_database.query(f"grant select on wamp.watched to {GUEST}")
    reader = wamp_database.connect(GUEST)
    query(reader, "begin")
    query(reader, "select from wamp.watched limit 0")
    return reader


@pytest.mark.usefixtures("impatient")
def test_a_migration_names_the_transaction_that_uses_a_relation_of_wamp_and_gives_up(
    wamp_database: Database, reader: Connection
) -> None:
    uses = f'process {reader.info.backend_pid} of role "{GUEST}", which uses wamp.watched, and'
    with pytest.raises(StartError, match=uses) as caught:
        migrations.downgrade(wamp_database.url, "base")

    assert f"pg_terminate_backend({reader.info.backend_pid})" in str(caught.value)
    assert migrations.current(wamp_database.url) == migrations.head()
    query(reader, "rollback")
    migrations.downgrade(wamp_database.url, "base")


@pytest.mark.usefixtures("impatient")
def test_a_migration_accuses_who_locks_a_watched_table_and_not_an_older_reader_of_wamp(
    wamp_database: Database,
) -> None:
    wamp_database.query("create table item (id int primary key)")
    wamp_database.query("select wamp.watch('item', '{\"when\": \"id > 0\"}')")
    wamp_database.query(f"grant all on item to {GUEST}")
    innocent, guilty = wamp_database.connect(), wamp_database.connect(GUEST)
    for session, statement in (
        (innocent, "select from wamp.publication"),
        (guilty, "lock table item in access exclusive mode"),
    ):
        query(session, "begin")
        query(session, statement)
    uses = f'process {guilty.info.backend_pid} of role "{GUEST}", which uses public.item, and'
    with pytest.raises(StartError, match=uses):
        migrations.downgrade(wamp_database.url, "base")


@pytest.mark.usefixtures("impatient")
def test_a_migration_says_that_a_prepared_transaction_keeps_it_waiting(
    wamp_database: Database, reader: Connection
) -> None:
    query(reader, "prepare transaction 'reading'")
    try:
        with pytest.raises(StartError, match=r"a prepared transaction, which uses wamp\.watched"):
            migrations.downgrade(wamp_database.url, "base")
    finally:
        query(reader, "rollback prepared 'reading'")
    migrations.downgrade(wamp_database.url, "base")


def test_a_migration_that_may_not_look_for_who_keeps_it_waiting_gives_up_all_the_same(
    wamp_database: Database,
    administrator: Connection,
    reader: Connection,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(migration_lock, "LONGEST_LOCK_SECONDS", 0.5)
    monkeypatch.setattr(migration_lock, "LOOK_PAUSE_SECONDS", 0.01)
    wamp_database.close()
    # Its connections end in the server a moment later.
    query(
        administrator,
        "do $$ begin while exists (select from pg_stat_activity where usename = "
        f"'{OWNER}') loop perform pg_sleep(0.01); perform pg_stat_clear_snapshot(); "
        "end loop; end $$",
    )
    query(administrator, f"alter role {OWNER} connection limit 1")
    try:
        with pytest.raises(StartError, match="waited too long for a lock, and was undone"):
            migrations.downgrade(wamp_database.url, "base")
    finally:
        query(administrator, f"alter role {OWNER} connection limit -1")


@pytest.mark.usefixtures("impatient")
@pytest.mark.parametrize("look", [migrations.current, migrations.pending])
def test_looking_for_the_revision_names_who_locks_it_and_gives_up(
    wamp_database: Database, look: Callable[[str], object], monkeypatch: pytest.MonkeyPatch
) -> None:
    # Time enough for a look on a busy machine, after the connection for it was made.
    monkeypatch.setattr(migration_lock, "LONGEST_LOCK_SECONDS", 5)
    holder = wamp_database.connect()
    query(holder, "begin")
    query(holder, "lock table wamp.alembic_version")
    named = (
        f"looking for the revision waited too long for process {holder.info.backend_pid} of role "
        f'"{OWNER}", which uses wamp.alembic_version: '
    )
    with ThreadPoolExecutor() as pool:
        looking = pool.submit(look, wamp_database.url)
        try:
            with pytest.raises(StartError, match=named) as caught:
                looking.result(30)
        finally:
            query(holder, "rollback")
    assert f"pg_terminate_backend({holder.info.backend_pid})" in str(caught.value)
    look(wamp_database.url)


def test_a_role_that_may_not_look_for_the_revision_is_told_so(
    wamp_database: Database, server: Server
) -> None:
    with pytest.raises(StartError, match="may not read the revision of the wamp schema"):
        migrations.current(server.url(wamp_database.name, GUEST))


def test_settings_that_are_meant_for_calls_end_no_upgrade(empty_database: Database) -> None:
    for setting in ("statement_timeout = '5ms'", "idle_in_transaction_session_timeout = '1ms'"):
        empty_database.query(f"alter role {OWNER} in database {empty_database.name} set {setting}")
    migrations.upgrade(empty_database.url)
    assert migrations.current(empty_database.url) == migrations.head()


@pytest.mark.usefixtures("impatient", "reader")
def test_nobody_who_reads_what_is_told_is_no_defect(
    wamp_database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As in `pgwamp db upgrade | true`."""
    monkeypatch.setattr(migration_lock, "TOLD_SECONDS", 0)
    told: list[str] = []
    unhandled: list[object] = []
    monkeypatch.setattr(threading, "excepthook", unhandled.append)

    def tell(line: str) -> None:
        told.append(line)
        if line.startswith("waiting: "):
            raise BrokenPipeError

    with pytest.raises(StartError, match="waited too long for process"):
        migrations.downgrade(wamp_database.url, "base", tell)
    assert any(line.startswith("waiting: ") for line in told)
    assert unhandled == []
