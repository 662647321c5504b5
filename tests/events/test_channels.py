"""Plain LISTEN channels: names, payloads, and what is lost of them."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest
from structlog.testing import capture_logs

from pgwamp.component import Component
from pgwamp.events import channels
from pgwamp.events.channels import parse_payload
from tests.conftest import Connect, Database, Events, Serve

DEEP = "[" * 100 + "]" * 100
TOO_DEEP = f"[{DEEP}]"


@pytest.mark.parametrize(
    ("payload", "expected"),
    [
        (' \n{"a": 1}', (None, {"a": 1})),
        ('{"options": {"acknowledge": 1}, "topic": null}', None),
        ('{"a": 1, "a": 2}', (None, {"a": 2})),
        ('["\\ud83d\\ude00", "\\u00fc"]', (["😀", "ü"], None)),
        ("[18446744073709551616, 1e999, -5]", (["18446744073709551616", "1e999", -5], None)),
        (f"[{'9' * 5000}]", (["9" * 5000], None)),
        (DEEP, (json.loads(DEEP), None)),
    ],
)
def test_json_is_read_as_in_calls(payload: str, expected: Any) -> None:
    assert parse_payload(payload) == (expected or (None, json.loads(payload)))


@pytest.mark.parametrize(
    "payload",
    [
        TOO_DEEP,
        "[" * 3990 + "]" * 3990,
        '{"a": ' * 1000 + "1" + "}" * 1000,
        '["\\ud800"]',
        '{"\\udc00": 1}',
        '["\\u0000"]',
        "[NaN]",
        '{"a": -Infinity}',
        "[1,",
        "{'a': 1}",
        '{"a": 1} {"b": 2}',
        '"text"',
        "null",
        " ",
    ],
)
def test_what_is_no_json_that_travels_stays_the_text_it_is(payload: str) -> None:
    assert parse_payload(payload) == ([payload], None)


async def leading(component: Component) -> None:
    async with asyncio.timeout(10):
        await component.publisher.leading.wait()


@pytest.mark.parametrize("serializer", ["cbor", "msgpack", "json"])
async def test_payloads_of_all_kinds_reach_every_serializer(
    serve: Serve,
    connect: Connect,
    database: Database,
    prefix: str,
    serializer: str,
) -> None:
    component = await serve(
        router={"serializer": serializer}, events={"channels": {"legacy": f"{prefix}.legacy"}}
    )
    readers = {name: Events() for name in ("cbor", "msgpack", "json")}
    for name, events in readers.items():
        await (await connect(name)).subscribe(f"{prefix}.legacy", events)
    await leading(component)
    payloads = [TOO_DEEP, '["\\ud800"]', "[18446744073709551616]", '{"options": 1}', "ü😀", ""]
    connection = await database.connect()
    for payload in payloads:
        await connection.execute("select pg_notify('legacy', $1)", payload)
    await connection.close()
    for events in readers.values():
        await events.count(len(payloads))
        assert [(args, kwargs) for _, args, kwargs in events.received] == [
            ([TOO_DEEP], {}),
            (['["\\ud800"]'], {}),
            (["18446744073709551616"], {}),
            ([], {"options": 1}),
            (["ü😀"], {}),
            ([""], {}),
        ]


@pytest.mark.parametrize("name", ['With "quotes", spaces', "ünï-💧", "x" * 63, "UPPER", "a.b;c--"])
async def test_a_channel_may_have_any_name_that_postgresql_takes(
    serve: Serve, connect: Connect, database: Database, prefix: str, events: Events, name: str
) -> None:
    component = await serve(events={"channels": {name: f"{prefix}.legacy"}})
    await (await connect()).subscribe(f"{prefix}.legacy", events)
    await leading(component)
    connection = await database.connect()
    await connection.execute("select pg_notify($1, 'exact')", name)
    for other in {name[:-1] + "_", name.lower()} - {name}:
        await connection.execute("select pg_notify($1, 'other')", other)
    await connection.execute("select pg_notify($1, 'last')", name)
    await connection.close()
    await events.count(2)
    assert [args for _, args, _ in events.received] == [["exact"], ["last"]]


def counted(component: Component) -> float:
    for line in component.metrics.render().decode().splitlines():
        if line.startswith("pgwamp_notifications_dropped_total "):
            return float(line.split()[1])
    raise AssertionError("the metric is not there")


async def test_a_burst_too_large_is_cut_counted_and_logged_once(
    serve: Serve,
    connect: Connect,
    database: Database,
    prefix: str,
    events: Events,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(channels, "MOST_WAITING", 5)
    component = await serve(events={"channels": {"legacy": f"{prefix}.legacy"}})
    await (await connect()).subscribe(f"{prefix}.legacy", events)
    await leading(component)
    with capture_logs() as logs:
        database.execute("select pg_notify('legacy', n::text) from generate_series(1, 500) as n")
        async with asyncio.timeout(10):
            while counted(component) + len(events.received) < 500:  # noqa: ASYNC110 (no signal)
                await asyncio.sleep(0.01)
        database.execute("notify legacy, 'after'")
        await events.until(lambda received: received[-1:] and received[-1][1] == ["after"])
    arrived = len(events.received)
    problems = [entry for entry in logs if entry["log_level"] == "error"]
    assert 5 < arrived < 500
    assert counted(component) == 501 - arrived
    assert sum(entry.get("number", 0) for entry in problems) == 501 - arrived
    assert len(problems) <= 2 * (arrived // 5 + 1)
    assert len(problems) < 501 - arrived


async def test_how_long_channels_were_not_heard_is_logged(
    serve: Serve, connect: Connect, database: Database, prefix: str, events: Events
) -> None:
    component = await serve(events={"channels": {"legacy": f"{prefix}.legacy"}})
    await (await connect()).subscribe(f"{prefix}.legacy", events)
    await leading(component)
    with capture_logs() as logs:
        database.execute(
            "select pg_terminate_backend(pid) from pg_stat_activity "
            "where application_name = 'pgwamp publisher' and datname = current_database()"
        )
        async with asyncio.timeout(10):
            while not any(  # noqa: ASYNC110 (a log is no signal)
                entry["event"].startswith("channels were not heard") for entry in logs
            ):
                await asyncio.sleep(0.01)
        await leading(component)
    [entry] = [e for e in logs if e["event"].startswith("channels were not heard")]
    assert entry["log_level"] == "error"
    assert entry["channels"] == ["legacy"]
    assert 0 < entry["seconds"] < 10
    database.execute("notify legacy, 'again'")
    await events.count(1)
