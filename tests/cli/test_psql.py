"""``pgwamp psql``, and the database of the ``pgwamp dev`` that runs in a folder."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from pgwamp.cli import psql
from pgwamp.cli.context import load_settings
from pgwamp.dev_folder import STATE, database_url
from pgwamp.errors import SettingsError
from tests.conftest import Database
from tests.processes import Pgwamp

PID_FILE = "1\n/data\n1700000000\n54329\n/tmp\n127.0.0.1\n123\n{}\n"


def running(folder: Path, status: str = "ready   ") -> None:
    data = folder / STATE / "postgres"
    data.mkdir(parents=True)
    (data / "postmaster.pid").write_text(PID_FILE.format(status))


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder, with a blank in its name, in which commands run."""
    folder = tmp_path / "an application"
    folder.mkdir()
    monkeypatch.chdir(folder)
    return folder


def test_commands_use_the_database_that_dev_runs_here(here: Path) -> None:
    with pytest.raises(SettingsError, match="no database"):
        load_settings(database=True)
    running(here)
    url = load_settings(database=True).database.url.get_secret_value()
    passfile = str(here / STATE / "postgres.pgpass").replace(" ", "%20")
    assert url == f"postgresql://postgres@127.0.0.1:54329/app?passfile={passfile}"
    with pytest.raises(SettingsError, match="no database"):
        load_settings(database=True, own=True)


def test_a_setting_comes_before_the_database_that_dev_runs_here(
    here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    running(here)
    monkeypatch.setenv("DATABASE_URL", "postgresql://me@127.0.0.1/mine")
    url = load_settings(database=True).database.url.get_secret_value()
    assert url == "postgresql://me@127.0.0.1/mine"


def test_a_server_that_is_not_ready_is_none(here: Path) -> None:
    running(here, "starting")
    assert database_url(here, "app") is None


async def test_psql_runs_what_it_is_given(database: Database, here: Path) -> None:
    environment = {"DATABASE_URL": database.url}
    command = Pgwamp("psql", "-At", "-c", "select 41 + 1", environment=environment, folder=here)
    await command.start("42")
    assert await command.ended() == 0


def test_psql_is_told_the_password_in_its_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    secret = "p@ss/word"
    monkeypatch.setenv("DATABASE_URL", "postgres://me:p%40ss%2Fword@127.0.0.1:5/mine")
    called: list[Any] = []
    monkeypatch.setattr(os, "execve", lambda *arguments: called.append(arguments))
    context: Any = type("Context", (), {"args": ["-l"]})()
    psql.psql(context)
    ((_, arguments, environment),) = called
    assert arguments == ["psql", "postgresql://me@127.0.0.1:5/mine", "-l"]
    assert environment["PGPASSWORD"] == secret
