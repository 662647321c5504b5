"""Reading on from a cursor: exact, whatever commits in which order."""

from __future__ import annotations

import asyncio
import base64
import json
import random
import zlib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pgwamp.errors import CallError, CursorExpired, InvalidArgument
from pgwamp.events import payload
from pgwamp.events.cursor import Position, decode_cursor
from pgwamp.events.reader import oldest_position, read_page
from tests.conftest import Connect, Database, Events, PausesOf, Serve
from tests.servers import CALLS

ITEM = ("create table item (id int primary key)", "select wamp.watch('item')")


async def test_pages_of_changes_are_complete_and_without_repetition(
    serve: Serve, connect: Connect, database: Database, prefix: str
) -> None:
    database.execute(*ITEM, "insert into item select n from generate_series(1, 25) as n")
    await serve()
    client = await connect()
    ids: list[int] = []
    cursor, more = None, True
    while more:
        events, answer = await client.call_full(
            f"{prefix}.item.changes", [], {"since": cursor, "limit": 10}
        )
        assert len(events) <= 10
        ids += [event["key"]["id"] for event in events]
        cursor, more = answer["next"], answer["more"]
    assert ids == list(range(1, 26))
    events, answer = await client.call_full(f"{prefix}.item.changes", [cursor])
    assert (events, answer["more"]) == ([], False)


async def test_the_events_of_a_page_are_made_in_parts(
    serve: Serve, connect: Connect, database: Database, prefix: str, pauses_of: PausesOf
) -> None:
    database.execute(
        "create table doc (id int primary key, body jsonb)",
        "select wamp.watch('doc')",
        "insert into doc select n, to_jsonb(repeat('x', 300000)) from generate_series(1, 20) as n",
    )
    pauses = pauses_of(payload)
    await serve()
    client = await connect()
    events = await client.call(f"{prefix}.doc.changes")
    assert len(events) > 10
    assert len(pauses) >= len(events) - 1


async def test_a_large_event_is_made_in_parts(
    serve: Serve, connect: Connect, database: Database, prefix: str, pauses_of: PausesOf
) -> None:
    database.execute(
        "create table doc (id int primary key, body text)",
        "select wamp.watch('doc')",
        "insert into doc values (1, repeat('x', 300000))",
        "update doc set body = repeat('y', 300000)",
    )
    pauses = pauses_of(payload)
    await serve()
    client = await connect()
    _, answer = await client.call_full(f"{prefix}.doc.changes", [], {"limit": 1})
    pauses.clear()
    (event,) = await client.call(f"{prefix}.doc.changes", [answer["next"]])
    assert len(event["new"]["body"]) == len(event["old"]["body"]) == 300_000
    assert len(pauses) >= 6, "before reading, before converting and after that, of new and of old"


async def test_a_transaction_that_commits_late_is_not_skipped(
    serve: Serve, connect: Connect, database: Database, prefix: str, events: Events
) -> None:
    database.execute(*ITEM)
    await serve()
    client = await connect()
    await client.subscribe(f"{prefix}.item.", events, "prefix")
    slow = await database.connect()
    transaction = slow.transaction()
    await transaction.start()
    await slow.execute("insert into item values (1)")  # the smaller event id
    database.execute("insert into item values (2)")
    (first,) = await events.count(1)
    assert first["key"] == {"id": 2}
    await transaction.commit()
    _, second = await events.count(2)
    assert second["key"] == {"id": 1}
    assert second["id"] < first["id"]
    await slow.close()
    # A subscriber that saw only the first event resumes from its cursor.
    missed, _ = await client.call_full(f"{prefix}.item.changes", [first["cursor"]])
    assert [event["key"]["id"] for event in missed] == [1]


async def test_every_cursor_of_a_page_resumes_exactly_there(
    serve: Serve, connect: Connect, database: Database, prefix: str
) -> None:
    database.execute(*ITEM, "insert into item select n from generate_series(1, 8) as n")
    await serve()
    client = await connect()
    events = await client.call(f"{prefix}.item.changes")
    for position, event in enumerate(events):
        rest = await client.call(f"{prefix}.item.changes", [event["cursor"]])
        assert [e["id"] for e in rest] == [e["id"] for e in events[position + 1 :]]


async def test_interleaved_transactions_are_read_once_in_any_page_size(
    database: Database,
) -> None:
    database.execute(*ITEM)
    rng = random.Random(7)
    reader: Any = await database.connect()
    writers = [await database.connect() for _ in range(5)]
    open_transactions: dict[int, Any] = {}
    committed: set[int] = set()
    pending: dict[int, list[int]] = {}
    read: list[int] = []
    position = await oldest_position(reader)
    for number in range(1, 400):
        which = rng.randrange(5)
        if which not in open_transactions:
            open_transactions[which] = writers[which].transaction()
            await open_transactions[which].start()
            pending[which] = []
        await writers[which].execute("insert into item values ($1)", number)
        pending[which].append(number)
        if rng.random() < 0.3:
            if rng.random() < 0.3:
                await open_transactions.pop(which).rollback()
            else:
                await open_transactions.pop(which).commit()
                committed.update(pending[which])
        if rng.random() < 0.3:
            page = await read_page(reader, position, rng.randint(1, 6))
            read += [json.loads(r["key"])["id"] for r in page.records]
            position = page.end
    for which, transaction in open_transactions.items():
        await transaction.commit()
        committed.update(pending[which])
    more = True
    while more:
        page = await read_page(reader, position, 5)
        read += [json.loads(r["key"])["id"] for r in page.records]
        more = page.more or position.polling is not None
        position = page.end
    assert sorted(read) == sorted(committed)
    for connection in (reader, *writers):
        await connection.close()


async def test_a_commit_that_did_not_wait_for_the_disk_is_on_disk_before_its_cursor_leaves(
    database: Database,
) -> None:
    database.execute(*ITEM)
    reader: Any = await database.connect()
    await reader.execute("set synchronous_commit = off")
    start = await oldest_position(reader)
    written = "select pg_current_wal_insert_lsn()::text"
    flushed = "select pg_current_wal_flush_lsn() >= $1::text::pg_lsn"
    while True:
        # Now and then the server is quicker than we are.
        await reader.execute("insert into item select coalesce(max(id), 0) + 1 from item")
        lsn = await reader.fetchval(written)
        if not await reader.fetchval(flushed, lsn):
            break
    page = await read_page(reader, start, 1000)
    assert page.records
    assert await reader.fetchval(flushed, lsn)
    await reader.close()


async def test_changes_are_only_for_roles_that_may_read_every_row(
    serve: Serve, connect: Connect, database: Database, prefix: str
) -> None:
    role = "reader_" + prefix.rpartition(".")[2]
    database.execute(
        *ITEM,
        "insert into item values (1)",
        f"create role {role} role {CALLS}",
        "create table secret (id int primary key)",
        "create table mine (id int primary key)",
        "alter table mine enable row level security",
        f"grant select on item, mine to {role}",
    )
    try:
        await serve(access={"roles": {"anonymous": role}})
        client = await connect()
        assert len(await client.call(f"{prefix}.item.changes")) == 1
        for table in ("secret", "mine"):
            with pytest.raises(CallError) as error:
                await client.call(f"{prefix}.{table}.changes")
            assert error.value.uri == "wamp.error.not_authorized"
    finally:
        database.execute(f"drop owned by {role}", f"drop role {role}")


async def test_a_cursor_of_another_database_has_expired(
    serve: Serve, connect: Connect, database: Database, prefix: str
) -> None:
    database.execute(*ITEM)
    await serve()
    client = await connect()
    foreign = Position("100:100:").encode("abc-5")
    with pytest.raises(CallError, match="another database") as error:
        await client.call(f"{prefix}.item.changes", [foreign])
    assert error.value.uri == "pgwamp.error.cursor_expired"


async def test_a_cursor_from_before_what_retention_removed_has_expired(
    serve: Serve, connect: Connect, database: Database, prefix: str, events: Events
) -> None:
    database.execute(*ITEM)
    await serve()
    client = await connect()
    await client.subscribe(f"{prefix}.item.", events, "prefix")
    _, start = await client.call_full(f"{prefix}.item.changes")
    database.execute("insert into item values (1)")
    (event,) = await events.count(1)
    connection = await database.connect()
    # Published is what is stored as published: wait for the publisher to say so.
    while not await connection.fetchval(
        "select pg_visible_in_snapshot($1::text::xid8, published) from wamp.publisher", event["xid"]
    ):
        pass
    # The publisher may take a turn itself.
    while await connection.fetchval("select pruned is null from wamp.retention"):
        await connection.execute("update wamp.retention set rotated_at = now() - interval '1 day'")
        await connection.execute("select wamp.rotate('1 hour')")
    await connection.close()
    with pytest.raises(CallError, match="no longer kept") as error:
        await client.call(f"{prefix}.item.changes", [start["next"]])
    assert error.value.uri == "pgwamp.error.cursor_expired"
    kept, answer = await client.call_full(f"{prefix}.item.changes")
    assert kept == []
    database.execute("insert into item values (2)")
    rest = await client.call(f"{prefix}.item.changes", [answer["next"]])
    assert [e["key"]["id"] for e in rest] == [2]


LONG = "8:212:8,9,10," + ",".join(map(str, range(11, 200)))


@given(st.sampled_from([None, "8:12:", "8:12:8,9", LONG]), st.integers(0, 2**60))
def test_a_cursor_survives_its_encoding(polling: str | None, last_id: int) -> None:
    position = Position("5:9:5,7", polling, last_id if polling else 0, newest=300)
    decoded = decode_cursor(position.encode("6b0-41"), "6b0-41")
    assert (decoded.seen, decoded.polling, decoded.last_id) == (
        position.seen,
        polling,
        position.last_id,
    )


@given(st.integers(1, 30), st.sets(st.integers(1, 29)), st.integers(0, 40))
def test_a_cursor_sees_nothing_beyond_what_is_on_disk(
    xmax: int, running: set[int], newest: int
) -> None:
    running = {x for x in running if x < xmax}
    seen = f"{min(running, default=xmax)}:{xmax}:{','.join(map(str, sorted(running)))}"
    cut = Position(seen, newest=newest).durable().seen
    for xid in range(1, 40):
        before = xid < xmax and xid not in running
        assert visible(xid, cut) == (before and xid <= newest)


def visible(xid: int, snapshot: str) -> bool:
    """As pg_visible_in_snapshot."""
    xmin, xmax, running = snapshot.split(":")
    assert int(xmin) <= int(xmax)
    return xid < int(xmax) and str(xid) not in running.split(",")


@given(st.one_of(st.text(max_size=60), st.binary(max_size=60).map(
    lambda raw: base64.urlsafe_b64encode(raw).decode()
)))  # fmt: skip
def test_whatever_is_no_cursor_is_refused(text: str) -> None:
    with pytest.raises((InvalidArgument, CursorExpired)):
        decode_cursor(text, "6b0-41")


def head(text: str) -> str:
    """A cursor with this text."""
    return base64.urlsafe_b64encode(zlib.compress(text.encode())).decode()


@pytest.mark.parametrize(
    "cursor",
    [
        head("6b0-41/9:5:/"),
        head("6b0-41/5:9:5,9/"),
        head("6b0-41/5:9:4,7/"),
        head("6b0-41/5:9:7,6/"),
        head(f"6b0-41/5:{2**64}:/"),
        head(f"6b0-41/5:{'9' * 5_000}:/"),
        head("6b0-41/5:٩:/"),
        head("6b0-41/5:9:/5:9:") + ".٩",
        head("6b0-41/5:9:/5:9:") + f".{2**63}",
        head("6b0-41/\uff15:\uff19:/"),
        head("6b0-41/5:9:/5:9:") + ".\uff11",
        head("6b0-41/5:9:" + ",".join(["5"] * 100_000) + "/"),
    ],
    ids=lambda cursor: cursor[:12],
)
def test_a_cursor_that_postgresql_could_not_read_is_refused(cursor: str) -> None:
    with pytest.raises(InvalidArgument, match="since: not a cursor"):
        decode_cursor(cursor, "6b0-41")


def test_a_cursor_of_many_transactions_is_short_enough() -> None:
    running = ",".join(str(2**40 + n) for n in range(2_500))
    seen = f"{2**40}:{2**41}:{running}"
    position = Position(seen, seen, 7, newest=2**42)
    assert decode_cursor(position.encode("6b0-41"), "6b0-41").seen == seen


async def test_a_connection_that_is_lost_while_changes_reads_is_said_to_be_unavailable(
    serve: Serve, connect: Connect, database: Database, prefix: str
) -> None:
    database.execute(*ITEM)
    await serve()
    client = await connect()
    holder = await database.connect()
    transaction = holder.transaction()
    await transaction.start()
    await holder.execute("lock table wamp.event in access exclusive mode")
    reading = asyncio.ensure_future(client.call(f"{prefix}.item.changes"))
    async with asyncio.timeout(10):
        while not await holder.fetchval(
            "select count(pg_terminate_backend(pid)) from pg_stat_activity "
            "where application_name = 'pgwamp' and wait_event_type = 'Lock' "
            "and datname = current_database()"
        ):
            assert not reading.done()
    with pytest.raises(CallError) as error:
        await reading
    assert error.value.uri == "pgwamp.error.unavailable"
    await holder.close()
