"""Reading on from a cursor: exact, whatever commits in which order."""

from __future__ import annotations

import asyncio
import re
from datetime import datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pgwamp.errors import CallError, InvalidArgument
from pgwamp.eventlog.position import START, Position, parse_cursor
from pgwamp.replay import change
from tests.conftest import Connect, Database, Events, PausesOf, Serve
from tests.replay.appending import append, inserted, until_logged
from tests.servers import CALLS

ITEM = ("create table item (id int primary key)", "select wamp.watch('item')")


async def test_pages_of_changes_are_complete_and_without_repetition(
    serve: Serve, connect: Connect, database: Database, prefix: str
) -> None:
    database.execute(*ITEM, "insert into item select n from generate_series(1, 25) as n")
    await serve()
    await until_logged(database)
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


async def test_an_event_says_when_it_was_captured(
    serve: Serve, connect: Connect, database: Database, prefix: str, events: Events
) -> None:
    database.execute(*ITEM)
    await serve()
    client = await connect()
    await client.subscribe(f"{prefix}.item.", events, "prefix")
    connection = await database.connect()
    await connection.execute("set timezone = 'Asia/Kolkata'; set datestyle = 'SQL, DMY'")
    before = await connection.fetchval("select clock_timestamp()")
    await connection.execute("insert into item values (1)")
    after = await connection.fetchval("select clock_timestamp()")
    await connection.close()
    (event,) = await events.count(1)
    assert re.fullmatch(r"[\d-]{10}T[\d:]{8}(\.\d+)?\+00:00", event["at"])
    assert before <= datetime.fromisoformat(event["at"]) <= after


async def test_the_events_of_a_page_are_made_in_parts(
    serve: Serve, connect: Connect, database: Database, prefix: str, pauses_of: PausesOf
) -> None:
    database.execute(
        "create table doc (id int primary key, body jsonb)",
        "select wamp.watch('doc')",
        "insert into doc select n, to_jsonb(repeat('x', 49000)) from generate_series(1, 20) as n",
    )
    await serve()
    await until_logged(database)
    pauses = pauses_of(change)
    client = await connect()
    events = await client.call(f"{prefix}.doc.changes")
    assert len(events) > 10
    assert len(pauses) >= len(events) // 2


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
    await slow.execute("insert into item values (1)")
    database.execute("insert into item values (2)")
    (first,) = await events.count(1)
    assert first["key"] == {"id": 2}
    await transaction.commit()
    _, second = await events.count(2)
    assert second["key"] == {"id": 1}
    await slow.close()
    # A subscriber that saw only the first event resumes from its cursor.
    missed, _ = await client.call_full(f"{prefix}.item.changes", [first["cursor"]])
    assert [event["key"]["id"] for event in missed] == [1]


async def test_every_cursor_of_a_page_resumes_exactly_there(
    serve: Serve, connect: Connect, database: Database, prefix: str
) -> None:
    database.execute(*ITEM, "insert into item select n from generate_series(1, 8) as n")
    await serve()
    await until_logged(database)
    client = await connect()
    events = await client.call(f"{prefix}.item.changes")
    for position, event in enumerate(events):
        rest = await client.call(f"{prefix}.item.changes", [event["cursor"]])
        assert [e["id"] for e in rest] == [e["id"] for e in events[position + 1 :]]


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
        await until_logged(database)
        client = await connect()
        assert len(await client.call(f"{prefix}.item.changes")) == 1
        for table in ("secret", "mine"):
            with pytest.raises(CallError) as error:
                await client.call(f"{prefix}.{table}.changes")
            assert error.value.uri == "wamp.error.not_authorized"
    finally:
        database.execute(f"drop owned by {role}", f"drop role {role}")


async def test_the_past_of_a_name_is_not_for_a_role_that_may_read_its_new_table(
    serve: Serve, connect: Connect, database: Database, prefix: str
) -> None:
    role = "reader_" + prefix.rpartition(".")[2]
    database.execute(*ITEM, "insert into item values (1)", f"create role {role} role {CALLS}")
    try:
        component = await serve(access={"roles": {"anonymous": role}})
        database.execute(
            "alter table item rename to former",
            *ITEM,
            f"grant select on item to {role}",
            "insert into item values (2)",
        )
        await until_logged(database)
        await component.reload()
        client = await connect()
        for name in ("item.changes", "changes"):
            events = await client.call(f"{prefix}.{name}")
            assert [event["key"] for event in events] == [{"id": 2}], name
        with pytest.raises(CallError) as error:
            await client.call(f"{prefix}.former.changes")
        assert error.value.uri == "wamp.error.not_authorized"
    finally:
        database.execute(f"drop owned by {role}", f"drop role {role}")


async def test_a_cursor_of_an_event_that_is_gone_or_another_one_has_expired(
    serve: Serve, connect: Connect, database: Database, prefix: str
) -> None:
    database.execute(*ITEM, "insert into item values (1)", "insert into item values (2)")
    await serve()
    await until_logged(database)
    client = await connect()
    first, second = await client.call(f"{prefix}.item.changes")
    beyond = Position(10**9, parse_cursor(second["cursor"]).mark).cursor
    # As in a database that was put back, and has gone on with another change.
    database.execute("update wamp.log set mark = '\\x00' where body like '%2%'")
    for cursor in (second["cursor"], beyond):
        with pytest.raises(CallError, match="no longer kept, or the database has lost") as error:
            await client.call(f"{prefix}.item.changes", [cursor])
        assert error.value.uri == "pgwamp.error.cursor_expired"
    assert len(await client.call(f"{prefix}.item.changes", [first["cursor"]])) == 1


async def test_a_cursor_from_before_what_retention_removed_has_expired(
    serve: Serve, connect: Connect, database: Database, prefix: str
) -> None:
    database.execute(*ITEM, "insert into item select n from generate_series(1, 3) as n")
    await serve()
    await until_logged(database)
    client = await connect()
    first, second, _ = await client.call(f"{prefix}.item.changes")
    database.execute(
        "with removed as (delete from wamp.log where body is null or body not like '%3%' "
        "returning position, mark) update wamp.sequencer set (removed_position, removed_mark) = "
        "(select position, mark from removed order by position desc limit 1)"
    )
    with pytest.raises(CallError, match="no longer kept") as error:
        await client.call(f"{prefix}.item.changes", [first["cursor"]])
    assert error.value.uri == "pgwamp.error.cursor_expired"
    for since in (None, second["cursor"]):
        rest = await client.call(f"{prefix}.item.changes", [since])
        assert [event["key"]["id"] for event in rest] == [3]


@given(st.integers(1, 2**63 - 1), st.binary(min_size=9, max_size=9))
def test_a_cursor_survives_its_encoding(number: int, mark: bytes) -> None:
    position = Position(number, mark)
    assert parse_cursor(position.cursor) == position
    assert parse_cursor(START.cursor) == START


@given(st.text(max_size=60))
def test_text_that_is_no_cursor_is_refused(text: str) -> None:
    with pytest.raises(InvalidArgument):
        parse_cursor(text)


@pytest.mark.parametrize(
    "cursor",
    [
        None,
        7,
        "0-AAAAAAAAAAAA",
        "1-",
        "01-AAAAAAAAAAAA",
        "-1-AAAAAAAAAAAA",
        f"{2**63}-AAAAAAAAAAAA",
        "٩-AAAAAAAAAAAA",
        "1-AAAAAAAAAAAA\n",
        "1-AAAAAAAAAAA=",
    ],
)
def test_what_no_event_has_carried_is_refused(cursor: object) -> None:
    with pytest.raises(InvalidArgument, match="since: expected a cursor"):
        parse_cursor(cursor)


async def test_columns_that_are_gone_or_hidden_are_left_out(
    serve: Serve, connect: Connect, database: Database, prefix: str, events: Events
) -> None:
    database.execute(
        "create table item (id int primary key, name text, secret text, former text)",
        """select wamp.watch('item', '{"old": "full"}')""",
    )
    await serve(expose={"exclude": ["secret"]})
    client = await connect()
    await client.subscribe(f"{prefix}.item.updated", events)
    database.execute(
        "insert into item values (1, 'a', 's', 'f')",
        "update item set name = 'b', secret = 't', former = 'g'",
    )
    (published,) = await events.count(1)
    assert published["changed"] == ["name", "former"]
    assert published["new"] == {"id": 1, "name": "b", "former": "g"}
    assert published["old"] == {"id": 1, "name": "a", "former": "f"}
    database.execute(
        "alter table item drop column former",
        "alter table item add column later int",
        "update item set later = 7",
    )
    await until_logged(database)
    for name in ("item.changes", "changes"):
        inserted, updated, last = await client.call(f"{prefix}.{name}")
        assert inserted["new"] == {"id": 1, "name": "a"}
        assert updated["changed"] == ["name"]
        assert updated["new"] == {"id": 1, "name": "b"}
        assert updated["old"] == {"id": 1, "name": "a"}
        assert last["changed"] == ["later"]
        assert last["new"] == {"id": 1, "name": "b", "later": 7}


async def test_an_event_that_is_too_large_to_be_read_has_its_key(
    serve: Serve, connect: Connect, database: Database, prefix: str, events: Events
) -> None:
    database.execute(
        "create table item (id text primary key, n bytea, body text)",
        "select wamp.watch('item')",
    )
    await serve(limits={"max_bytes": 20_000})
    client = await connect()
    await client.subscribe(f"{prefix}.item.", events, "prefix")
    key = "€" * 500 + '"\\'
    database.execute(
        f"insert into item values ('{key}', 'x', repeat('\"', 100000))",
        "update item set n = 'y'",
    )
    published = await events.count(2)
    for event in [*published, *await client.call(f"{prefix}.item.changes")]:
        assert event["key"] == {"id": key}
        assert event["truncated"] is True
        assert not {"new", "old"} & event.keys()


async def test_an_event_that_no_sequencer_has_written_holds_up_no_other(
    serve: Serve, connect: Connect, database: Database, prefix: str, events: Events
) -> None:
    strange = {"relation": "item", "op": "insert"}
    database.execute(
        *ITEM,
        append({**strange, "body": [1]}, {**strange, "body": [2]}),
        "update wamp.log set body = 'no json' where body = '[2]'",
        inserted(2),
    )
    client = await connect()
    await client.subscribe(f"{prefix}.item.", events, "prefix")
    await serve()
    for found in (await events.count(3), await client.call(f"{prefix}.item.changes")):
        assert [event.get("truncated") for event in found] == [True, True, None]
        assert found[2]["new"] == {"id": 2}


async def test_a_connection_that_is_lost_while_changes_reads_is_said_to_be_unavailable(
    serve: Serve, connect: Connect, database: Database, prefix: str
) -> None:
    database.execute(*ITEM)
    await serve()
    client = await connect()
    # The log says where the watch has begun: the call waits for nothing else.
    await until_logged(database)
    holder = await database.connect()
    transaction = holder.transaction()
    await transaction.start()
    await holder.execute("lock table wamp.log in access exclusive mode")
    reading = asyncio.ensure_future(client.call(f"{prefix}.item.changes"))
    # The sequencer waits for the log, too: until the call is answered, whoever waits is ended.
    async with asyncio.timeout(10):
        while not (await asyncio.wait({reading}, timeout=0.05))[0]:
            await holder.execute(
                "select pg_terminate_backend(pid) from pg_stat_activity "
                "where application_name = 'pgwamp' and wait_event_type = 'Lock' "
                "and datname = current_database()"
            )
    with pytest.raises(CallError) as error:
        await reading
    assert error.value.uri == "pgwamp.error.unavailable"
    await holder.close()
