"""Raw rows that a crash, a standby or a dump has left tell the same as all others."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence

import pytest

from pgwamp.dev.postgres import Postgres
from pgwamp.eventlog import sequencing as module
from pgwamp.eventlog import transactions
from pgwamp.eventlog.body import read_body
from pgwamp.eventlog.state import Entry, Taken
from tests.eventlog.histories import log_of
from tests.eventlog.site import NAME, Site, promote, until_applied
from tests.eventlog.test_histories import put_dump_back
from tests.servers import execute

TABLES = (
    "create table part (id int primary key, name text) partition by range (id)",
    "create table part_1 partition of part for values from (0) to (100)",
    "create function touch() returns trigger language plpgsql as $$ begin "
    "update touched set name = 'touched' where id = new.id; return null; end $$",
    "create table touched (id int primary key, name text)",
    "create trigger touch after insert on touched for each row execute function touch()",
    "create table node (id int primary key, parent int references node on delete set null)",
    "select wamp.watch('part'), wamp.watch('touched'), wamp.watch('node')",
)
EMPTY = "truncate item, part, touched, node"
#: Of each of them one transaction, whose changes are of one key one after the other.
PARTS = {
    "statements": [
        "begin",
        "insert into item values (1, 'a'), (2, 'b')",
        "delete from item where id = 1",
        "update item set id = 1 where id = 2",
        "delete from item where id = 1",
        "insert into item values (1, 'c')",
        "commit",
    ],
    "script": [
        "begin; insert into item values (1, 'a'), (2, 'b'); delete from item where id = 1;"
        "update item set id = 1 where id = 2; delete from item; insert into item values (1, 'c');"
        "commit"
    ],
    "copy": ["copy item from program 'echo 1,a' csv"],
    "function": [
        "do $$ begin for n in 1..3 loop insert into item values (1, n::text);"
        "update item set id = 2; delete from item; end loop; insert into item values (3, 'd');"
        "delete from item; end $$"
    ],
    "query": [
        "begin",
        "insert into item values (1, 'a'), (2, 'b')",
        "with gone as (delete from item where id = 1), "
        "moved as (update item set id = 4 where id = 2) insert into item values (3, 'c')",
        "with gone as (delete from item where id = 3 returning *) "
        "insert into item select 5, name from gone",
        "insert into item values (5, 'd'), (6, 'e') "
        "on conflict (id) do update set name = excluded.name",
        "delete from item where id > 4",
        "commit",
    ],
    "partitions": [
        "begin",
        "insert into part values (1, 'a'), (2, 'b')",
        "delete from part_1 where id = 1",
        "update part set id = 1 where id = 2",
        "delete from part where id = 1",
        "insert into part_1 values (1, 'c')",
        "commit",
    ],
    "triggers": [
        "begin",
        "insert into touched values (1, 'a'), (2, 'b')",
        "delete from touched where id = 1",
        "insert into touched values (1, 'c')",
        "delete from touched where id = 1",
        "savepoint s",
        "update touched set id = 1",
        "rollback to savepoint s",
        "update touched set id = 3",
        "commit",
    ],
    "foreign keys": [
        "begin",
        "insert into node values (1, null), (2, 1), (3, 2)",
        "delete from node where id = 1",
        "delete from node where id = 2",
        "insert into node values (1, 3)",
        "update node set parent = 1 where id = 3",
        "delete from node where id = 3",
        "commit",
    ],
    "truncate": [
        "begin",
        "insert into item values (1, 'a')",
        "truncate item",
        "insert into item values (1, 'a')",
        "delete from item",
        "insert into item values (1, 'b')",
        "commit",
    ],
}


def recovered(site: Site, server: Postgres) -> Postgres:
    """The server after a crash."""
    server.kill()
    server.start()
    return server


def promoted(site: Site, server: Postgres) -> Postgres:
    """A standby that has taken its place."""
    standby = site.server("standby")
    standby.start()
    until_applied(server)
    server.stop()
    promote(standby)
    return standby


@pytest.fixture(params=["whole", "streamed"])
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """How a transaction is taken."""
    if request.param == "streamed":
        monkeypatch.setattr(module, "MOST_ROWS", 1)
        monkeypatch.setattr(transactions, "MOST_ROWS", 4)
    return str(request.param)


@pytest.mark.usefixtures("way")
@pytest.mark.parametrize("again", [recovered, promoted, put_dump_back])
async def test_what_was_written_is_told_in_its_order(
    site: Site, primary: Postgres, again: Callable[[Site, Postgres], Postgres]
) -> None:
    execute(primary.url(NAME), *TABLES)
    if again is promoted:
        site.base_backup(primary, "standby", "--write-recovery-conf")
    parts = [statement for part in PARTS.values() for statement in [*part, EMPTY]]
    async with log_of(primary) as log:
        await log.execute(*parts)
        expected = await log.told()
        after = (await log.events())[-1].position
        await log.execute(*parts)
        # It is never 0 before: what is lost can be told.
        least = "select min(cmin::text::int) from wamp.raw where op <> 'p'"
        assert await log.connection.fetchval(least) > 0
    async with log_of(again(site, primary)) as log:
        told = await log.told(after)
    assert len(told) == len(expected)
    for number, (one, other) in enumerate(zip(told, expected, strict=True)):
        assert one == other, number


BOOKED = (
    "create table booking (id int primary key)",
    "create table ledger (id int primary key)",
    "create table stock (id int primary key, left_over int)",
    "insert into stock select n, 100 from generate_series(1, 999) as n",
    "create function book() returns trigger language plpgsql as $$ begin "
    "insert into ledger values (new.id); "
    "update stock set left_over = left_over - 1 where id = new.id; return null; end $$",
    "create trigger book after insert on booking for each row execute function book()",
    "select wamp.watch('booking'), wamp.watch('ledger'), wamp.watch('stock')",
)
#: In one message: the tables of which each key is written once.
BOOK = {
    "insert into booking select n from generate_series(1, 999) as n": [
        "booking",
        "ledger",
        "stock",
    ],
    "do $$ begin insert into ledger select generate_series(1, 999); "
    "update stock set left_over = left_over - 1; end $$": ["ledger", "stock"],
}


class Killed(Exception):
    """The sequencer is no more."""


@pytest.mark.parametrize("again", [recovered, promoted])
@pytest.mark.parametrize("statement", BOOK, ids=["trigger", "function"])
async def test_what_was_taken_in_part_is_told_whole(
    site: Site,
    primary: Postgres,
    again: Callable[[Site, Postgres], Postgres],
    statement: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Without commands, the order is another one than that in which some was told."""
    monkeypatch.setattr(module, "MOST_ROWS", 100)
    execute(primary.url(NAME), *BOOKED)
    if again is promoted:
        site.base_backup(primary, "standby", "--write-recovery-conf")
    async with log_of(primary) as log, log.sequencing() as sequencing:
        while await sequencing.look():
            pass
        await log.execute(statement)
        store, count = sequencing.state.store, itertools.count(1)

        async def fails_at_last(taken: Taken, entries: Sequence[Entry]) -> None:
            await store(taken, entries)
            if entries and next(count) == len(BOOK[statement]):
                raise Killed

        monkeypatch.setattr(sequencing.state, "store", fails_at_last)
        with pytest.raises(Killed):
            await sequencing.look()
    async with log_of(again(site, primary)) as log:
        await log.take()
        events = [(event.table, read_body(event.body or "")) for event in await log.events()]
    values = [(table, body["key"]["id"]) for table, body in events if "truncated" not in body]
    keys = {(table, body["key"]["id"]) for table, body in events}
    assert keys == {(table, key) for table in BOOK[statement] for key in range(1, 1000)}
    assert len(values) == len(set(values)) < len(keys)
