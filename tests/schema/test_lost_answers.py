"""A connection that is lost while something is committed: nobody knows whether it was."""

from __future__ import annotations

import re
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from urllib.parse import urlsplit

import pytest
from psycopg2 import sql
from psycopg2.extensions import connection as Connection

from pgwamp import migrations, provisioning
from pgwamp.errors import StartError

from .conftest import OWNER, Database, Server, query


@contextmanager
def losing(url: str, word: bytes) -> Iterator[str]:
    """A URL by which the answer to a statement that has ``word`` in it is lost."""
    target = urlsplit(url)
    listener = socket.create_server(("127.0.0.1", 0))

    def serve(client: socket.socket) -> None:
        server = socket.create_connection((target.hostname or "", target.port or 0))
        with client, server, suppress(OSError):
            back = threading.Thread(target=answer, args=(server, client), daemon=True)
            back.start()
            while sent := client.recv(65536):
                if word in sent:
                    client.shutdown(socket.SHUT_RDWR)
                    server.sendall(sent)
                    # It ends as soon as it has been answered.
                    server.sendall(b"X\x00\x00\x00\x04")
                    break
                server.sendall(sent)
            else:
                server.shutdown(socket.SHUT_RDWR)
            back.join(10)

    def answer(server: socket.socket, client: socket.socket) -> None:
        with suppress(OSError):
            while said := server.recv(65536):
                with suppress(OSError):
                    client.sendall(said)

    def accept() -> None:
        with suppress(OSError):
            while True:
                client, _ = listener.accept()
                serving = threading.Thread(target=serve, args=(client,), daemon=True)
                serving.start()
                served.append(serving)

    served: list[threading.Thread] = []
    thread = threading.Thread(target=accept, daemon=True)
    thread.start()
    try:
        yield target._replace(
            netloc=f"{target.username}@127.0.0.1:{listener.getsockname()[1]}"
        ).geturl()
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        thread.join(10)
        for serving in served:
            serving.join(10)


def said(call: object, *arguments: object) -> str:
    with pytest.raises(StartError) as caught:
        call(*arguments)  # type: ignore[operator]
    line = str(caught.value)
    assert "\n" not in line
    return line


def test_an_upgrade_whose_commit_is_not_answered_says_that_nobody_knows(
    empty_database: Database,
) -> None:
    with losing(empty_database.url, b"COMMIT\0") as url:
        line = said(migrations.upgrade, url)
    assert line.startswith("nobody knows whether the migration was committed")
    assert "'pgwamp db current' says" in line
    assert "undone" not in line
    assert migrations.current(empty_database.url) == migrations.head()


def test_a_downgrade_whose_commit_is_not_answered_says_that_nobody_knows(
    wamp_database: Database,
) -> None:
    with losing(wamp_database.url, b"COMMIT\0") as url:
        line = said(migrations.downgrade, url, "base")
    assert line.startswith("nobody knows whether the migration was committed")
    assert migrations.current(wamp_database.url) is None


def test_what_is_lost_before_its_commit_was_undone(empty_database: Database) -> None:
    with losing(empty_database.url, b"create or replace function wamp.capture()") as url:
        assert said(migrations.upgrade, url).startswith("the migration failed and was undone")
    assert migrations.current(empty_database.url) is None


@pytest.mark.parametrize("lost", [b"COMMIT\0", b"ALTER SCHEMA wamp"])
def test_a_new_owner_that_is_not_answered_for_is_no_lack_of_rights(
    empty_database: Database, server: Server, lost: bytes
) -> None:
    administrator = server.url(empty_database.name)
    migrations.upgrade(administrator)
    with losing(administrator, lost) as url:
        line = said(provisioning.give_schema, url, OWNER)
    assert "name an administrator" not in line
    owner = "select nspowner::regrole::text from pg_namespace where nspname = 'wamp'"
    if lost == b"COMMIT\0":
        assert line.startswith("nobody knows whether the schema wamp has its new owner")
        assert empty_database.value(owner) == OWNER
    else:
        assert line.endswith("; nothing has changed")
        assert empty_database.value(owner) == "postgres"
    provisioning.give_schema(administrator, OWNER)
    assert empty_database.value(owner) == OWNER


def test_a_password_of_a_role_that_may_have_been_made_is_told(
    empty_database: Database,
    server: Server,
    administrator: Connection,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # The driver asks the server how, and lets no other thread of this process run meanwhile.
    monkeypatch.setattr(provisioning, "_verifier", lambda _, url: sql.Literal(url.password))
    role = f"made_{empty_database.name}"
    target = server.url(role, role)
    told: list[str] = []
    try:
        with (
            losing(server.url(), b"CREATE ROLE") as url,
            pytest.raises(StartError) as caught,
        ):
            provisioning.create_database(url, target, made=told.append)
        assert "name an administrator" not in str(caught.value)
        assert "run it again, which leaves what is made already" in str(caught.value)
        [address] = told
        assert urlsplit(address).password
        # With that address it goes on, whether the role was made or not.
        assert provisioning.create_database(server.url(), address) == address
    finally:
        query(administrator, f"drop database if exists {role}")
        query(administrator, f"drop role if exists {role}")


def test_a_question_that_is_not_answered_is_no_defect(wamp_database: Database) -> None:
    with losing(wamp_database.url, b"version_num") as url:
        line = said(migrations.current, url)
    assert re.match(r"the connection to PostgreSQL at 127\.0\.0\.1:\d+ was lost: try again", line)
