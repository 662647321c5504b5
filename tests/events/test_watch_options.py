"""The options of wamp.watch, as those meet them who subscribe, follow and ask for changes."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest
from autobahn.wamp.types import SubscribeOptions

from pgwamp.dev.router import Router
from pgwamp.session import Client
from tests.conftest import Connect, Database, Events, Serve
from tests.events.logins import LogIn, logins, ticket_router
from tests.replay.following import Follower

#: authid -> authrole of those who may log in, each with their name as the ticket.
PEOPLE = {"ann": "user", "ben": "staff"}
TABLE = "create table orders (id int primary key, status text, total int, owner text)"
pytestmark = pytest.mark.slow


def watch(database: Database, **options: Any) -> None:
    database.execute(f"select wamp.watch('orders', '{json.dumps(options)}')")


# --- eligibility --------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def router() -> Iterator[Router]:
    """A node whose WebSocket asks for a ticket."""
    with ticket_router(PEOPLE) as router:
        yield router


@pytest.fixture
async def log_in(router: Router) -> AsyncIterator[LogIn]:
    """Join as one of PEOPLE."""
    async with logins(router) as log_in:
        yield log_in


#: Who owns what, and what ann and ben see of it.
STATEMENTS = (
    "insert into orders values (1, 'new', 5, 'ann'), (2, 'new', 6, 'ben'), (3, 'new', 7, null)",
    "update orders set total = 8",
    "update orders set owner = 'ben' where id = 1",
    "update orders set owner = null where id = 2",
    "update orders set owner = 'ann' where id = 3",
    "delete from orders",
)
SEEN = {
    "ann": [("insert", 1), ("update", 1), ("delete", 1), ("insert", 3), ("delete", 3)],
    "ben": [("insert", 2), ("update", 2), ("insert", 1), ("delete", 2), ("delete", 1)],
}


@pytest.mark.parametrize("option", ["eligible_authid", "eligible_authrole"])
async def test_everybody_gets_exactly_their_rows_however_they_ask(
    serve: Serve, router: Router, log_in: LogIn, database: Database, prefix: str, option: str
) -> None:
    database.execute(TABLE)
    watch(database, **{option: "owner"})
    await serve(router={"url": router.component_url})
    heard, followers, clients = {}, {}, {}
    for who in PEOPLE:
        heard[who] = Events()
        clients[who] = await log_in(who)
        await clients[who].subscribe(f"{prefix}.orders.", heard[who], match="prefix")
        followers[who] = await Follower(clients[who], f"{prefix}.orders.follow").begun()
    statements = STATEMENTS
    if option == "eligible_authrole":
        statements = tuple(
            s.replace("'ann'", "'user'").replace("'ben'", "'staff'") for s in STATEMENTS
        )
    # The end of what is to come: everybody gets it.
    database.execute(*statements, "truncate orders")

    for who, seen in SEEN.items():
        expected = [*seen, ("truncate", None)]
        await heard[who].until(lambda got: any(k["op"] == "truncate" for *_, k in got))
        assert [brief(kwargs) for *_, kwargs in heard[who].received] == expected
        follower = await followers[who].until(
            lambda f: any(e["op"] == "truncate" for e in f.events)
        )
        assert [brief(event) for event in follower.events] == expected
        answer = await clients[who].call(f"{prefix}.orders.changes")
        assert [brief(event) for event in answer] == expected
        everywhere = await clients[who].call(f"{prefix}.changes")
        assert [brief(event) for event in everywhere] == expected


def brief(event: dict[str, Any]) -> tuple[str, int | None]:
    """Operation and id."""
    return event["op"], event["key"]["id"] if "key" in event else None


# --- topics -------------------------------------------------------------------------------------


async def test_a_topic_for_each_value_has_its_rows_and_changes_has_all(
    serve: Serve, connect: Connect, database: Database, prefix: str, events: Events
) -> None:
    database.execute(TABLE)
    watch(database, topic=f"{prefix}.of.{{owner}}.{{op}}")
    await serve()
    client = await connect()
    await client.subscribe(f"{prefix}.of.ann.", events, match="prefix")
    database.execute(*STATEMENTS[:-1], "insert into orders values (9, 'last', 0, 'ann')")

    await events.until(lambda got: bool(got) and got[-1][2]["key"] == {"id": 9})
    assert [
        (topic.removeprefix(f"{prefix}.of.ann."), k["key"]["id"]) for topic, _, k in events.received
    ] == [
        ("inserted", 1),
        ("updated", 1),
        ("deleted", 1),
        ("inserted", 3),
        ("inserted", 9),
    ]
    assert len(await client.call(f"{prefix}.orders.changes")) == 13


# --- batches ------------------------------------------------------------------------------------


async def test_the_rows_of_a_statement_are_few_events_with_exact_cursors(
    serve: Serve, connect: Connect, database: Database, prefix: str, events: Events
) -> None:
    database.execute(TABLE)
    watch(database, batch=True, old="none")
    await serve()
    client = await connect()
    await client.subscribe(f"{prefix}.orders.", events, match="prefix")
    rows = "insert into orders select g, 'new', g from generate_series({}, {}) as g"
    database.execute(
        rows.format(1, 50),
        rows.format(51, 1250),
        "update orders set total = 0 where id <= 3",
        "truncate orders",
    )
    await events.until(lambda got: bool(got) and got[-1][2]["op"] == "truncate")

    *batches, truncated = [kwargs for _, _, kwargs in events.received]
    assert set(truncated) == {"id", "cursor", "schema", "table", "op", "at", "xid"}
    inserted = [batch for batch in batches if batch["op"] == "insert"]
    assert [row["key"]["id"] for batch in inserted for row in batch["rows"]] == list(range(1, 1251))
    assert max(len(batch["rows"]) for batch in inserted) == 500
    assert len(inserted) <= 6
    assert [len(batch["rows"]) for batch in batches if batch["op"] == "update"] == [3]
    every = await everything(client, f"{prefix}.orders.changes")
    assert [event["id"] for event in every] == [
        row["id"] for batch in batches for row in batch["rows"]
    ] + [truncated["id"]]
    for batch in batches:
        assert set(batch) == {"id", "cursor", "schema", "table", "op", "rows"}
        assert batch["id"] == batch["rows"][-1]["id"]
        rest = await everything(client, f"{prefix}.orders.changes", batch["cursor"])
        place = [event["id"] for event in every].index(batch["id"]) + 1
        assert rest == every[place:]
        assert [
            {"schema": "public", "table": "orders", "op": batch["op"], "cursor": row["id"], **row}
            for row in batch["rows"]
        ] == every[place - len(batch["rows"]) : place]


async def everything(client: Client, uri: str, since: str | None = None) -> list[dict[str, Any]]:
    """All that ``changes`` answers after a cursor."""
    found: list[dict[str, Any]] = []
    while True:
        page, answer = await client.call_full(uri, [], {"since": since} if since else {})
        found += page
        since = answer["next"]
        if not answer["more"]:
            return found


async def test_a_batch_that_the_router_does_not_take_is_split(
    serve: Serve, connect: Connect, database: Database, prefix: str, events: Events
) -> None:
    database.execute(TABLE)
    watch(database, batch=True)
    await serve()
    client = await connect()
    await client.subscribe(f"{prefix}.orders.inserted", events)
    database.execute(
        "insert into orders select g, repeat('x', 2500000) from generate_series(1, 12) as g"
    )
    rows: list[dict[str, Any]] = []
    await events.until(lambda got: sum(len(kwargs["rows"]) for *_, kwargs in got) >= 12, seconds=30)
    for *_, kwargs in events.received:
        rows += kwargs["rows"]
        assert kwargs["id"] == kwargs["rows"][-1]["id"]
    assert [row["key"]["id"] for row in rows] == list(range(1, 13))
    assert {len(row["new"]["status"]) for row in rows} == {2500000}
    assert 2 < len(events.received) < 13


# --- retained, large ----------------------------------------------------------------------------


async def test_the_last_change_of_each_topic_awaits_who_subscribes_later(
    serve: Serve, connect: Connect, database: Database, prefix: str
) -> None:
    database.execute(TABLE)
    watch(database, retain=True, topic=f"{prefix}.state.{{id}}")
    await serve()
    client = await connect()
    witness, later = Events(), Events()
    await client.subscribe(f"{prefix}.state.", witness, match="prefix")
    database.execute(
        "insert into orders values (1, 'new'), (2, 'new')", "update orders set status = 'open'"
    )
    await witness.count(4)
    await (await connect()).link.session.subscribe(
        lambda args, kwargs: later("", args, kwargs),
        f"{prefix}.state.2",
        options=SubscribeOptions(get_retained=True),
    )
    [found] = await later.count(1)
    assert (found["op"], found["key"], found["new"]["status"]) == ("update", {"id": 2}, "open")


async def test_large_rows_are_whole_while_the_router_takes_them(
    serve: Serve, connect: Connect, database: Database, prefix: str, events: Events
) -> None:
    database.execute(TABLE, "select wamp.watch('orders')")
    await serve()
    client = await connect()
    await client.subscribe(f"{prefix}.orders.inserted", events)
    for number, size in ((1, 10), (2, 20)):
        database.execute(f"insert into orders values ({number}, repeat('x', {size} * 1000000))")
    whole, truncated = await events.count(2, seconds=30)
    assert len(whole["new"]["status"]) == 10_000_000
    assert "truncated" not in whole
    assert truncated["truncated"] is True
    assert truncated["key"] == {"id": 2}
    assert "new" not in truncated
    answer = await client.call(
        f"{prefix}.orders.get", [truncated["key"]["id"]], {"columns": ["id"]}
    )
    assert answer == {"id": 2}
