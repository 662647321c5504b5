"""An answer fits into a message: pages end earlier, and an event alone over it has no values."""

from __future__ import annotations

import json
from typing import Any

import cbor2
import msgpack
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pgwamp.eventlog.log import read_page
from pgwamp.eventlog.position import START
from pgwamp.replay import change as change_module
from pgwamp.replay import pages as pages_module
from pgwamp.values import portable as portable_module
from pgwamp.values.portable import most_bytes
from tests.conftest import Connect, Database, Serve
from tests.replay.appending import inserted, until_logged
from tests.replay.following import Follower

LIMIT = 200_000
ITEM = (
    "create table item (id int primary key, body text, raw bytea, numbers float8[])",
    "select wamp.watch('item')",
)

portable = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text()
    | st.binary(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=30,
)


@given(portable)
def test_no_serializer_takes_more(value: Any) -> None:
    most = most_bytes(value)
    assert len(cbor2.dumps(value)) <= most
    assert len(msgpack.packb(value)) <= most
    text = json.dumps(value, ensure_ascii=False, default=lambda raw: "\0" + _base64(raw))
    assert len(text.encode()) <= most


def test_short_texts_are_measured_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    written: list[str] = []
    byte_count = portable_module._bytes_in_json

    def measure(text: str) -> int:
        written.append(text)
        return byte_count(text)

    monkeypatch.setattr(portable_module, "_bytes_in_json", measure)
    alone = sum(most_bytes(text) for text in ("k€", '"'))
    written.clear()
    assert most_bytes([{"k€": '"'}] * 1_000) == 9 + 1_000 * (2 + 9 + 4 + alone)
    assert len(written) == 1


def _base64(raw: bytes) -> str:
    return "x" * ((len(raw) + 2) // 3 * 4)


@pytest.mark.parametrize("serializer", ["cbor", "json", "msgpack"])
@pytest.mark.parametrize(
    "values",
    [
        "repeat('x', 15000), null, null",
        "repeat('\U0001f600', 4000), null, null",
        "repeat(chr(1), 3000), null, null",
        "null, decode(repeat('ab', 12000), 'hex'), null",
        "null, null, array(select 0.5::float8 from generate_series(1, 4000))",
    ],
    ids=["ascii", "unicode", "control", "bytes", "floats"],
)
async def test_a_page_ends_before_it_is_too_large(
    serve: Serve,
    connect: Connect,
    database: Database,
    prefix: str,
    values: str,
    serializer: str,
) -> None:
    insert = f"insert into item select n, {values} from generate_series(1, 60) as n"
    database.execute(*ITEM, insert)
    await serve(limits={"max_bytes": LIMIT}, router={"serializer": serializer})
    await until_logged(database)
    client = await connect(serializer)
    found: list[int] = []
    since, more, pages = None, True, 0
    while more:
        events, answer = await client.call_full(f"{prefix}.item.changes", [since])
        assert all("truncated" not in event and "new" in event for event in events)
        found += [event["key"]["id"] for event in events]
        since, more, pages = answer["next"], answer["more"], pages + 1
    assert found == list(range(1, 61))
    assert 60 // 13 <= pages < 60


async def test_an_event_over_the_limit_comes_without_values(
    serve: Serve, connect: Connect, database: Database, prefix: str
) -> None:
    database.execute(
        *ITEM,
        "insert into item values (1, 'small')",
        f"insert into item values (2, repeat('x', {LIMIT * 3 // 4}))",
        f"insert into item values (3, repeat('x', {LIMIT}))",
        "insert into item values (4, 'small')",
    )
    await serve(limits={"max_bytes": LIMIT})
    await until_logged(database)
    client = await connect()
    _, answer = await client.call_full(f"{prefix}.item.changes", [], {"limit": 1})
    follower = Follower(client, f"{prefix}.item.follow", since=answer["next"])
    await follower.until(lambda f: len(f.events) == 3)
    events, since, more = [], answer["next"], True
    while more:
        page, answer = await client.call_full(f"{prefix}.item.changes", [since])
        events += page
        since, more = answer["next"], answer["more"]
    for received in (events, follower.events):
        assert [event["key"]["id"] for event in received] == [2, 3, 4]
        assert [event.get("truncated") for event in received] == [None, True, None]
        assert len(received[0]["new"]["body"]) == LIMIT * 3 // 4
        assert "new" not in received[1]
    database.execute(f"insert into item values (5, repeat('x', {LIMIT}))")
    await follower.until(lambda f: len(f.events) == 4)
    assert follower.events[-1]["truncated"] is True


async def test_a_long_key_of_an_event_without_values_is_counted(
    serve: Serve, connect: Connect, database: Database, prefix: str
) -> None:
    key = "k" * 15_000
    body = {"key": {"id": key}, "new": {"id": key, "numbers": [0.5] * 20_000}}
    database.execute(*ITEM, *(inserted(number, body=body) for number in range(20)))
    await serve(limits={"max_bytes": LIMIT})
    client = await connect()
    found, since, more = 0, None, True
    while more:
        events, answer = await client.call_full(f"{prefix}.item.changes", [since])
        assert all(event["truncated"] and event["key"] == {"id": key} for event in events)
        found, since, more = found + len(events), answer["next"], answer["more"]
    assert found == 20


async def test_a_large_event_is_weighed_once_however_many_follow(
    serve: Serve,
    connect: Connect,
    database: Database,
    prefix: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    weighed: list[int] = []

    def weigh(value: Any) -> int:
        byte_count = most_bytes(value)
        weighed.append(byte_count)
        return byte_count

    database.execute(*ITEM)
    await serve()
    client = await connect()
    followers = [Follower(client, f"{prefix}.item.follow") for _ in range(5)]
    for number in (1, 2):  # the first may be read before they are live
        for follower in followers:
            await follower.begun()
        database.execute(f"insert into item values ({number})")
        for follower in followers:
            await follower.keys(number)
    for module in (change_module, pages_module):
        monkeypatch.setattr(module, "most_bytes", weigh)
    numbers = "array(select 0.5::float8 from generate_series(1, 30000))"
    database.execute(f"insert into item values (3, null, null, {numbers})")
    for follower in followers:
        assert await follower.keys(3) == [1, 2, 3]
    assert len(weighed) == 1
    assert weighed[0] > 25 * 30_000


async def test_options_of_events_count_to_a_page(database: Database) -> None:
    options = {"eligible_authid": ["someone"] * 10_000}
    byte_count = len(json.dumps(options))
    database.execute(*ITEM, *(inserted(number, options=options) for number in range(8)))
    connection = await database.connect()
    page = await read_page(connection, START, 200, max_bytes=3 * byte_count)
    assert len([event for event in page.events if event.is_of_interest]) == 3
    assert page.more
    await connection.close()
