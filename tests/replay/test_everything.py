"""``changes`` and ``follow`` of everything under the prefix, and who may have which events."""

from __future__ import annotations

import asyncio
import json
import uuid
from collections.abc import Mapping
from typing import Any

import pytest

from pgwamp.errors import CallError
from pgwamp.replay import pages as pages_module
from tests.conftest import Connect, Database, Serve
from tests.replay.appending import ALL_SEEN, LOGGED, append, inserted, until_logged
from tests.replay.conftest import Load
from tests.replay.following import Follower
from tests.replay.handlers import Somebody
from tests.servers import CALLS

TABLES = (
    "create table item (id int primary key)",
    "create table client (id int primary key)",
    "create schema hidden",
    "create table hidden.secret (id int primary key)",
    "select wamp.watch('item'), wamp.watch('client'), wamp.watch('hidden.secret')",
)


def publish(topic: str, **options: Any) -> str:
    return f"select wamp.publish('{topic}', '[1]', '{{\"a\": 2}}', '{json.dumps(options)}')"


def brief(events: list[Mapping[str, Any]]) -> list[Any]:
    return [(e["op"], e.get("table"), e.get("key", {}).get("id"), e.get("topic")) for e in events]


async def test_everything_comes_in_one_order(
    serve: Serve, connect: Connect, database: Database, prefix: str
) -> None:
    database.execute(*TABLES)
    await serve(events={"publish_topics": ["com.example.elsewhere"]})
    client = await connect()
    follower = await Follower(client, f"{prefix}.follow").begun()
    database.execute(
        "insert into item values (1)",
        publish(f"{prefix}.hello"),
        "insert into client values (2)",
        "insert into hidden.secret values (3)",
        publish("com.example.elsewhere"),
        "delete from item",
    )
    expected = [
        ("insert", "item", 1, None),
        ("publish", None, None, f"{prefix}.hello"),
        ("insert", "client", 2, None),
        ("delete", "item", 1, None),
    ]
    await follower.until(lambda f: len(f.events) == 4)
    events, answer = await client.call_full(f"{prefix}.changes")
    assert brief(events) == brief(follower.events) == expected
    assert events == follower.events
    published = events[1]
    assert (published["args"], published["kwargs"]) == ([1], {"a": 2})
    assert set(published) == {"id", "cursor", "op", "topic", "args", "kwargs", "at", "xid"}
    for position, event in enumerate(events):
        rest = await client.call(f"{prefix}.changes", [event["cursor"]])
        assert brief(rest) == expected[position + 1 :]
    assert await client.call(f"{prefix}.changes", [answer["next"]]) == []
    paged: list[Any] = []
    since, more = None, True
    while more:
        page, answer = await client.call_full(f"{prefix}.changes", [since, 1])
        paged += page
        since, more = answer["next"], answer["more"]
    assert brief(paged) == expected


async def test_a_topic_narrows_it(
    serve: Serve, connect: Connect, database: Database, prefix: str
) -> None:
    database.execute(*TABLES)
    await serve()
    client = await connect()
    follower = await Follower(client, f"{prefix}.follow", topic=f"{prefix}.item.").begun()
    database.execute(
        "insert into client values (1)",
        "insert into item values (2)",
        publish(f"{prefix}.item.checked"),
        publish(f"{prefix}.items"),
        "delete from item",
    )
    await follower.until(lambda f: len(f.events) == 3)
    expected = ["insert", "publish", "delete"]
    assert [event["op"] for event in follower.events] == expected
    answered = await client.call(f"{prefix}.changes", [], {"topic": f"{prefix}.item."})
    assert [event["op"] for event in answered] == expected
    deleted = await client.call(f"{prefix}.changes", [], {"topic": f"{prefix}.item.deleted"})
    assert [event["op"] for event in deleted] == ["delete"]
    for wrong in ("com.elsewhere.", f"{prefix}x.", "", 1):
        with pytest.raises(CallError, match=r"^topic: expected what topics begin with"):
            await client.call(f"{prefix}.changes", [], {"topic": wrong})


async def test_a_table_of_later_is_followed_too(
    serve: Serve, connect: Connect, database: Database, prefix: str
) -> None:
    await serve()
    follower = await Follower(await connect(), f"{prefix}.follow").begun()
    database.execute(*TABLES, "insert into item values (1)")
    assert await follower.keys(1) == [1]


async def test_few_events_among_many_are_found_in_bounded_steps(
    serve: Serve,
    connect: Connect,
    database: Database,
    prefix: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(pages_module, "MOST_LOOKED_AT", 100)
    monkeypatch.setattr(pages_module, "PAGE_EVENTS", 50)
    database.execute(
        *TABLES,
        "insert into client select n from generate_series(1, 175) as n",
        "insert into item values (1)",
        "insert into client select n from generate_series(200, 375) as n",
        "insert into item values (2)",
    )
    await serve()
    await until_logged(database)
    client = await connect()
    found, since, more, steps = [], None, True, 0
    while more:
        events, answer = await client.call_full(
            f"{prefix}.changes", [since], {"topic": f"{prefix}.item."}
        )
        found += [event["key"]["id"] for event in events]
        since, more, steps = answer["next"], answer["more"], steps + 1
    assert found == [1, 2]
    assert steps == 4


# --- who may have them --------------------------------------------------------------------------


OPTIONS: dict[str, dict[str, Any]] = {
    "all": {},
    "alice": {"eligible_authid": ["alice"]},
    "either": {"eligible_authid": ["alice", "bob"]},
    "ali": {"eligible_authid": "alice or bob"},
    "staff": {"eligible_authrole": ["staff"]},
    "bob of staff": {"eligible_authid": ["bob"], "eligible_authrole": ["staff"]},
    "not alice": {"exclude_authid": ["alice"]},
    "not staff": {"exclude_authrole": ["staff"]},
    "nobody": {"eligible_authid": []},
    "a session": {"eligible": [7]},
    "not a session": {"exclude": [7]},
}


def published(topic: str, **options: Any) -> dict[str, Any]:
    """An event with options as they may be in the log, whoever wrote them there."""
    body = {"args": [1], "kwargs": {"a": 2}}
    return {"op": "publish", "topic": topic, "body": body, "options": options}


@pytest.mark.parametrize(
    ("authid", "authrole", "expected"),
    [
        ("alice", "user", {"all", "alice", "either", "not staff", "not a session"}),
        ("bob", "staff", {"all", "either", "staff", "bob of staff", "not alice", "not a session"}),
        ("carol", "user", {"all", "not alice", "not staff", "not a session"}),
        (None, None, {"all", "not a session"}),
    ],
)
async def test_events_go_to_whom_they_are_eligible(
    load: Load,
    database: Database,
    prefix: str,
    authid: str | None,
    authrole: str | None,
    expected: set[str],
) -> None:
    database.execute(*TABLES)
    component = await load()
    caller = Somebody(component, authid, authrole)
    following = caller.follow("")
    assert await following.events(0) == []
    database.execute(
        append(
            *(
                published(f"{prefix}.{name.replace(' ', '_')}", **options)
                for name, options in OPTIONS.items()
            )
        ),
        # As of a table that is watched with eligible_authid.
        inserted(1, options={"eligible_authid": ["dave"]}),
        LOGGED,
    )
    for events in (await caller.changes(""), await following.events(len(expected))):
        topics = {event.get("topic", "").rpartition(".")[2].replace("_", " ") for event in events}
        assert topics == expected
    assert await caller.changes("item.") == []
    assert len(await Somebody(component, "dave").changes("item.")) == 1


async def test_a_topic_tells_nothing_of_a_hidden_column(load: Load, database: Database) -> None:
    database.execute("create table item (id int primary key, kind text, secret text)")
    component = await load(expose={"exclude": ["public.item.secret"]})
    prefix = component.naming.prefix
    template = f"{prefix}.item.{{op}}.{{kind}}.{{secret}}.{{id}}"
    database.execute(
        f"select wamp.watch('item', jsonb_build_object('topic', '{template}'))",
        inserted(1, topic=f"{prefix}.item.inserted.a.word.1"),
        inserted(2, topic=f"{prefix}.item.inserted.b.word.2"),
    )
    caller = Somebody(component, "x")

    async def keys(topic: str) -> list[int]:
        return [e["key"]["id"] for e in await caller.changes("", topic=f"{prefix}.{topic}")]

    assert await keys("item.inserted.") == [1, 2]
    assert await keys("item.inserted.a") == [1]
    for guess in ("w", "word", "word.1", "x", "x.2"):
        assert await keys(f"item.inserted.a.{guess}") == [1]
    assert await keys("item.updated.") == []
    database.execute("select wamp.unwatch('item')")
    for guess in ("a.w", "a.x"):
        assert await keys(f"item.inserted.{guess}") == [1, 2]


async def test_pages_for_the_eligible_are_full(load: Load, database: Database) -> None:
    database.execute(
        *TABLES,
        *(
            inserted(number, options={"eligible_authid": ["bob" if number % 100 else "alice"]})
            for number in range(1, 1001)
        ),
    )
    component = await load()
    events = await Somebody(component, "alice").changes("item.", limit=7)
    assert len(events) == 7
    rest = await Somebody(component, "alice").changes("item.", events[-1]["cursor"])
    assert len({event["id"] for event in events + rest}) == len(events) + len(rest) == 10


async def test_with_roles_there_is_what_the_role_may_read(
    load: Load,
    database: Database,
    prefix: str,
) -> None:
    role = f"role_{uuid.uuid4().hex[:8]}"
    database.execute(
        *TABLES,
        "create table own (id int primary key)",
        "alter table own enable row level security",
        "select wamp.watch('own')",
        f"create role {role} role {CALLS}",
        f"grant select on item, own to {role}",
        inserted(1),
        inserted(2, relation="client"),
        inserted(3, relation="own"),
        append(published(f"{prefix}.hello")),
    )
    try:
        component = await load(access={"roles": {"user": role}})
        caller = Somebody(component, "alice", "user")
        assert brief(await caller.changes("")) == [("insert", "item", 1, None)]
        with pytest.raises(CallError, match="may not call"):
            await Somebody(component, "eve", "guest").changes("")
        for name in ("client.", "own."):
            with pytest.raises(CallError, match="only for roles"):
                await caller.follow(name).events(0)
        following = caller.follow("")
        assert await following.events(0) == []
        database.execute(inserted(3, relation="client"), inserted(4), LOGGED)
        assert brief(await following.events(1)) == [("insert", "item", 4, None)]
        granted = f"grant select on client to {role}"
        database.execute(granted, inserted(5, relation="client"), LOGGED)
        assert brief(await following.events(1)) == [("insert", "client", 5, None)]
    finally:
        database.execute(f"drop owned by {role}", f"drop role {role}")


async def test_a_revoked_privilege_ends_a_follow(load: Load, database: Database) -> None:
    role = f"role_{uuid.uuid4().hex[:8]}"
    database.execute(*TABLES, f"create role {role} role {CALLS}", f"grant select on item to {role}")
    try:
        component = await load(access={"roles": {"user": role}})
        following = Somebody(component, "alice", "user").follow("item.")
        assert await following.events(0) == []
        database.execute(
            f"revoke select on item from {role}",
            inserted(1),
            LOGGED,
        )
        with pytest.raises(CallError, match="only for roles"):
            await following.events(1)
    finally:
        database.execute(f"drop owned by {role}", f"drop role {role}")


async def test_no_cursor_is_given_before_the_log_has_what_the_rows_of_a_snapshot_have(
    load: Load, database: Database
) -> None:
    """Changes that are in the rows are passed over, and others come without a cursor."""
    database.execute(*TABLES)
    component = await load()
    writer, early = await database.connect(), await database.connect()
    xids = []
    for number in (1, 2):
        async with writer.transaction():
            await writer.execute("insert into item values ($1)", number)
            xids.append(await writer.fetchval("select pg_current_xact_id()::text"))
    transaction = early.transaction()
    await transaction.start()
    await early.execute("insert into item values (3)")
    open_xid = await early.fetchval("select pg_current_xact_id()::text")
    following = Somebody(component, "alice").follow("item.", snapshot=True)
    # One of the three is logged while the rows are read.
    rows = list((await following.next())["rows"])
    database.execute(inserted(1, xid=xids[0]))
    while len(rows) < 2:
        rows += (await following.next())["rows"]
    assert rows == [{"id": 1}, {"id": 2}]
    await transaction.commit()
    item = asyncio.ensure_future(following.next())
    database.execute(inserted(3, xid=open_xid), inserted(2, xid=xids[1]), ALL_SEEN)
    async with asyncio.timeout(10):
        (event,) = (await item)["events"]
        last = await following.next()
    assert brief([event]) == [("insert", "item", 3, None)]
    assert "cursor" not in event
    assert "cursor" not in await item
    assert last["events"] == []
    database.execute(inserted(4), LOGGED)
    assert brief(await following.events(1)) == [("insert", "item", 4, None)]
    after = await Somebody(component, "alice").changes("item.", last["cursor"])
    assert [event["key"]["id"] for event in after] == [4]
    for connection in (writer, early):
        await connection.close()
