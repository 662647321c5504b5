"""``pgwamp psql``, and commands in a folder where ``pgwamp dev`` runs."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from pgwamp import dev_folder
from pgwamp.cli import psql
from pgwamp.cli.context import load_settings
from pgwamp.dev_folder import STATE
from pgwamp.errors import SettingsError
from tests.conftest import Database
from tests.processes import Pgwamp

ADDRESS = "postgresql://postgres:secret@127.0.0.1:54329/app"
SERVING = {"database": {"url": ADDRESS}, "expose": {"schemas": ["public"]}}
CALLING = {"router": {"url": "ws://127.0.0.1:8099/ws"}}


@contextmanager
def dev_running(folder: Path) -> Iterator[None]:
    """Say that ``pgwamp dev`` runs in a folder."""
    (folder / STATE).mkdir(exist_ok=True)
    with dev_folder.running(folder, SERVING, CALLING):
        yield


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder, with a blank in its name, in which commands run."""
    folder = tmp_path / "an application"
    folder.mkdir()
    monkeypatch.chdir(folder)
    return folder


def test_commands_use_what_dev_serves_here(here: Path) -> None:
    with pytest.raises(SettingsError, match="no database"):
        load_settings(database=True)
    with dev_running(here):
        settings = load_settings(database=True)
        assert settings.database.url.get_secret_value() == ADDRESS
        assert settings.expose.schemas == ("public",)
        assert load_settings(client=True).router.url == "ws://127.0.0.1:8099/ws"
        with pytest.raises(SettingsError, match="no database"):
            load_settings(database=True, own=True)
    with pytest.raises(SettingsError, match="no database"):
        load_settings(database=True)


def test_a_setting_comes_before_what_dev_serves_here(
    here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DATABASE_URL", "postgresql://me@127.0.0.1/mine")
    monkeypatch.setenv("PGWAMP_ROUTER__URL", "ws://127.0.0.1:9/ws")
    with dev_running(here):
        url = load_settings(database=True).database.url.get_secret_value()
        assert url == "postgresql://me@127.0.0.1/mine"
        assert load_settings(client=True).router.url == "ws://127.0.0.1:9/ws"


def test_a_schema_that_is_set_comes_before_the_one_that_dev_exposes_here(
    here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (here / "pgwamp.toml").write_text('[expose]\nschemas = ["shop"]\n')
    with dev_running(here):
        settings = load_settings(database=True)
        assert settings.expose.schemas == ("shop",)
        assert settings.database.url.get_secret_value() == ADDRESS
        monkeypatch.setenv("PGWAMP_EXPOSE__SCHEMAS", "other")
        assert load_settings(database=True).expose.schemas == ("other",)


def test_both_addresses_of_the_database_are_those_of_dev(
    here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PGWAMP_DATABASE__EVENTS_URL", "postgresql://me@127.0.0.1/mine")
    addresses = {"url": ADDRESS, "events_url": ADDRESS}
    (here / STATE).mkdir()
    with dev_folder.running(here, {"database": addresses}, CALLING):
        settings = load_settings(database=True)
    assert settings.database.events_url.get_secret_value() == ADDRESS


def test_a_folder_with_the_data_of_dev_is_told_to_start_it(here: Path) -> None:
    (here / STATE).mkdir()
    with pytest.raises(SettingsError, match=r"no database: .*, or start `pgwamp dev` in .*an appl"):
        load_settings(database=True)
    with pytest.raises(SettingsError) as caught:
        load_settings(database=True, own=True)
    assert "pgwamp dev" not in str(caught.value)


def test_only_its_user_reads_what_dev_serves_with(here: Path) -> None:
    with dev_running(here):
        (file,) = (here / STATE).iterdir()
        assert file.stat().st_mode & 0o077 == 0


def test_a_dev_that_was_killed_serves_nothing(here: Path) -> None:
    done = subprocess.run([sys.executable, "-c", "import os; print(os.getpid())"],
                          capture_output=True, check=True)  # fmt: skip
    (here / STATE).mkdir()
    told = {"process": int(done.stdout), "serving": SERVING, "calling": CALLING}
    (here / STATE / "running.json").write_text(json.dumps(told))
    assert dev_folder.serving(here) == {}
    with dev_running(here):
        assert dev_folder.serving(here) == SERVING


async def test_psql_runs_what_it_is_given(database: Database, here: Path) -> None:
    environment = {"DATABASE_URL": database.url}
    command = Pgwamp("psql", "-At", "-c", "select 41 + 1", environment=environment, folder=here)
    await command.start("42")
    assert await command.ended() == 0


ADDRESSES = {
    "postgres://me:p%40ss%2Fword@127.0.0.1:5/mine": "p@ss/word",
    "postgres://me:p@ss@127.0.0.1:5/mine": "p@ss",
    "postgres://me@127.0.0.1:5/mine?password=p%40ss%2Fword": "p@ss/word",
    "postgres://me@127.0.0.1:5/mine?password=old&password=p%40ss%2Fword": "p@ss/word",
}


@pytest.mark.parametrize("address", ADDRESSES)
def test_psql_is_told_the_password_in_its_environment(
    monkeypatch: pytest.MonkeyPatch, address: str
) -> None:
    monkeypatch.setenv("DATABASE_URL", address)
    called: list[Any] = []
    monkeypatch.setattr(os, "execve", lambda *arguments: called.append(arguments))
    context: Any = type("Context", (), {"args": ["-l"]})()
    psql.psql(context)
    ((_, arguments, environment),) = called
    assert arguments[1:] == ["postgresql://me@127.0.0.1:5/mine", "-l"]
    assert environment["PGPASSWORD"] == ADDRESSES[address]


def test_psql_is_given_every_host_of_an_address(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATABASE_URL", "postgres://me:secret@one:5,two:6/mine?sslmode=disable")
    called: list[Any] = []
    monkeypatch.setattr(os, "execve", lambda *arguments: called.append(arguments))
    context: Any = type("Context", (), {"args": []})()
    psql.psql(context)
    ((_, arguments, environment),) = called
    assert arguments[1:] == ["postgresql://me@one:5,two:6/mine?sslmode=disable"]
    assert environment["PGPASSWORD"] == "secret"


def test_psql_shows_no_password_of_a_key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATABASE_URL", "postgres://me@127.0.0.1:5/mine?sslpassword=secret")
    context: Any = type("Context", (), {"args": []})()
    with pytest.raises(SettingsError, match="sslpassword"):
        psql.psql(context)


async def test_psql_of_the_embedded_server_is_used_where_there_is_no_other(
    database: Database, here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(here))
    environment = {"DATABASE_URL": database.url, "PATH": str(here)}
    command = Pgwamp("psql", "-At", "-c", "select 41 + 1", environment=environment, folder=here)
    await command.start("42")
    assert await command.ended() == 0
