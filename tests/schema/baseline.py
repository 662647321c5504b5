"""A database of the first revision, as a dump: upgrades begin with it.

python -m tests.schema.baseline    makes baseline.sql anew

Its server is that of the tests, see CONTRIBUTING.md; pg_dump has to be beside it. Once the revision
is released the file stays as it is, because then databases of that kind are there.
"""

from __future__ import annotations

import re
import subprocess
from contextlib import closing
from pathlib import Path

from pgwamp import migrations
from pgwamp.dev import embedded
from pgwamp.dev.postgres import Postgres
from pgwamp.eventlog.position import Position
from tests.servers import CALLS, EVENTS, FAST, execute, postgres_bin, server_folder

from .conftest import connect, query
from .sequenced import sequence

COMMAND = "python -m tests.schema.baseline"
FILE = Path(__file__).with_name("baseline.sql")
REVISION = "0101"
#: The one that its component has published under.
PREFIX = "com.example.baseline"
#: What its owner has written before events were made of it, and what after that.
TOLD = (
    "create table item (id int primary key, name text, doc jsonb)",
    "create table task (id int, day date, state text, primary key (id, day)) "
    "partition by range (day)",
    "create table task_2026 partition of task for values from ('2026-01-01') to ('2027-01-01')",
    f"grant select on item, task to {CALLS}",
    "select wamp.watch('item')",
    """select wamp.watch('task', '{"when": "state <> ''draft''", "old": "full"}')""",
    f"select wamp.allow_publish('{PREFIX}', '{{}}', '{{}}')",
    "insert into item values (1, 'a', null), (2, 'b', '{\"n\": [1, null]}')",
    "update item set name = 'c' where id = 1",
    "insert into task values (1, '2026-01-02', 'open'), (2, '2026-01-02', 'draft')",
    f"select wamp.publish('{PREFIX}.hello', '[1]', null)",
)
RAW = (
    "insert into item values (3, 'd', '[]')",
    f"select wamp.publish('{PREFIX}.hello', '[2]', null)",
    "update task_2026 set state = 'open' where id = 2",
)
#: What the database of the dump has gone on with.
LOST = ("insert into item values (4, 'lost', null)",)
_PUBLISHED = """
insert into wamp.publication (realm, prefix, position, mark)
select 'realm1', %s, position, mark from wamp.progress
"""
_EVENTS = """
select position, mark from wamp.log where op in ('insert', 'update', 'delete', 'publish')
order by position
"""
#: What other servers do not know, and other owners may not do.
_LEFT_OUT = re.compile(
    r"^(\\.*|SET transaction_timeout.*|(CREATE|ALTER|COMMENT ON) EVENT TRIGGER [^;]*;)\n", re.M
)
_CURSOR = re.compile(r"^-- (cursor|lost): (\S+)$", re.M)


def cursors(kind: str) -> list[str]:
    """The cursors that were handed out: ``cursor``, or ``lost`` after the dump was made."""
    text = FILE.read_text(encoding="utf-8")
    return [cursor for found, cursor in _CURSOR.findall(text) if found == kind]


def _told(url: str) -> list[str]:
    """Make events of all that is committed; the cursors of all."""
    sequence(url)
    with closing(connect(url)) as connection:
        return [Position(n, bytes(mark)).cursor for n, mark in query(connection, _EVENTS)]


def make(server: Postgres, pg_dump: Path) -> str:
    """The text of the file."""
    execute(
        server.url(),
        f"create role {CALLS} login noinherit",
        f"create role {EVENTS} login",
        f"create database baseline owner {EVENTS}",
    )
    url = server.url("baseline", EVENTS)
    migrations.upgrade(url, REVISION)
    # It makes the event triggers, and the role of conditions.
    migrations.upgrade(server.url("baseline"))
    execute(url, *TOLD)
    good = _told(url)
    with closing(connect(url)) as connection:
        query(connection, _PUBLISHED, PREFIX)
    execute(url, *RAW)
    dump = subprocess.run(
        [pg_dump, "--no-owner", "--inserts", server.url("baseline")],
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    execute(url, *LOST)
    lost = [cursor for cursor in _told(url) if cursor not in good]
    header = [
        f"A database at revision {REVISION}, with events and with raw rows that are none yet.",
        f"Made by: {COMMAND}",
        f"The roles {EVENTS}, who owns it, and {CALLS} have to be there.",
        "Cursors of its events, and those that were handed out after the dump:",
        *(f"cursor: {cursor}" for cursor in good),
        *(f"lost: {cursor}" for cursor in lost),
    ]
    return "".join(f"-- {line}\n" for line in header) + _LEFT_OUT.sub("", dump)


def main() -> None:
    """Write the file."""
    if migrations.head() != REVISION:
        raise SystemExit(f"{REVISION} is not the newest revision any more: the file stays as it is")
    pg_dump = (postgres_bin() or embedded.programs()) / "pg_dump"
    if not pg_dump.is_file():
        raise SystemExit(f"there is no {pg_dump}: set PGWAMP_TEST_POSTGRES to a folder that has it")
    with (
        server_folder() as folder,
        Postgres(folder / "data", bin=postgres_bin(), options=FAST, trust=True) as server,
    ):
        FILE.write_text(make(server, pg_dump), encoding="utf-8")


if __name__ == "__main__":
    main()
