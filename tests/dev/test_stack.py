"""The servers of ``pgwamp dev``, with the data of an earlier version."""

from __future__ import annotations

import socket
import sys
from contextlib import closing
from pathlib import Path

import psycopg2
import pytest

from pgwamp import migrations
from pgwamp.dev.postgres import Postgres
from pgwamp.dev.stack import STATE, Stack
from pgwamp.errors import StartError
from pgwamp.settings import Settings
from tests.schema.test_old_schema import OLD_SCHEMA, WATCHES


def execute(url: str, *statements: str) -> list[tuple[object, ...]]:
    """Run statements; the rows of the last one."""
    with closing(psycopg2.connect(url)) as connection, connection, connection.cursor() as cursor:
        for statement in statements:
            cursor.execute(statement)
        return cursor.fetchall() if cursor.description else []


def test_a_taken_port_is_told_before_postgresql_is_set_up(tmp_path: Path) -> None:
    settings = Settings.load(None).model_copy(update={"folder": tmp_path})
    lines: list[str] = []
    with socket.create_server(("127.0.0.1", 0)) as occupier:
        port = occupier.getsockname()[1]
        stack = Stack(settings, port=port, postgres_port=0, say=lines.append)
        with pytest.raises(StartError, match=f"port {port}, .* another port: --port 8090"), stack:
            pass
    assert lines == []
    assert not (tmp_path / STATE / "postgres").exists()


def test_data_of_before_the_revisions_began_anew_is_moved_and_said_so_in_one_line(
    tmp_path: Path,
) -> None:
    settings = Settings.load(None).model_copy(update={"folder": tmp_path})
    with Postgres(tmp_path / STATE / "postgres", port=0) as postgres:
        with closing(psycopg2.connect(postgres.url())) as connection:
            connection.autocommit = True
            connection.cursor().execute(f'create database "{settings.dev.database}"')
        execute(postgres.url(settings.dev.database), *OLD_SCHEMA, WATCHES)
    lines: list[str] = []
    for _ in range(2):
        with Stack(settings, port=0, postgres_port=0, say=lines.append) as stack:
            assert migrations.current(stack.database_url) == migrations.head()
            watched = execute(
                stack.database_url, "select relation_name from wamp.watched order by 1"
            )
            assert watched == [('Or"ders',), ("item",), ("log",)]
    said = [line for line in lines if "was replaced" in line]
    assert len(said) == 1
    assert "watches 3 tables again" in said[0]


def test_commands_of_the_set_up_reach_the_database_that_was_started_and_no_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    elsewhere = "postgresql://owner@127.0.0.1:1/production"
    (tmp_path / "pgwamp.toml").write_text(
        f'[database]\nurl = "{elsewhere}"\nevents_url = "{elsewhere}"\n[dev]\nsetup = ["'
        f'{sys.executable} -m pgwamp db current", "{sys.executable} -m pgwamp watch list"]\n'
    )
    monkeypatch.setenv("PGWAMP_DATABASE__EVENTS_URL", elsewhere)
    monkeypatch.setenv("PGWAMP_DATABASE__LISTEN_URL", elsewhere)
    settings = Settings.load(tmp_path / "pgwamp.toml")
    monkeypatch.setenv("DATABASE_URL_FILE", str(tmp_path / "elsewhere"))
    lines: list[str] = []
    with Stack(settings, port=0, postgres_port=0, say=lines.append):
        pass
    assert sum(line.startswith("$ ") for line in lines) == 2
