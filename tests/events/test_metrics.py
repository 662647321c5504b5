"""The page for Prometheus, and what describe says of publishing."""

from __future__ import annotations

import asyncio
import math
import re
from collections.abc import Iterator

import pytest

from pgwamp import __version__
from pgwamp.dev import ports
from pgwamp.errors import CallError, StartError
from tests.conftest import Connect, Database, Events, Serve
from tests.replay.following import Follower
from tests.servers import CALLS

_LINE = re.compile(r"^pgwamp_(\w+)(?:\{(.*)\})? (\S+)$", re.MULTILINE)


async def request(port: int, text: str) -> str:
    """Send an HTTP request as it stands and return the whole answer."""
    async with asyncio.timeout(10):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(text.encode())
        answer = await reader.read()
        writer.close()
    return answer.decode()


async def scrape(port: int) -> dict[str, float]:
    """The values of the page: name, or name and labels, without the prefix."""
    answer = await request(port, "GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n")
    head, _, page = answer.partition("\r\n\r\n")
    assert head.startswith("HTTP/1.1 200 OK\r\nContent-Type: text/plain; version=0.0.4")
    assert f"Content-Length: {len(page.encode())}" in head
    return {
        f"{name}{{{labels}}}" if labels else name: float(value)
        for name, labels, value in _LINE.findall(page)
    }


async def test_calls_and_events_are_counted(
    serve: Serve, connect: Connect, database: Database, prefix: str, events: Events
) -> None:
    port = ports.any_free()
    database.execute("create table item (id int primary key, t text)", "select wamp.watch('item')")
    component = await serve(
        metrics={"port": port},
        limits={"max_bytes": 20_000},
        events={"publish_topics": ["org.elsewhere."]},
    )
    client = await connect()
    await client.subscribe(f"{prefix}.item.", events, "prefix")
    await client.call(f"{prefix}.item.count")
    with pytest.raises(CallError):
        await client.call(f"{prefix}.item.get", [7])
    await client.call(f"{prefix}.describe")
    await client.call(f"{prefix}.item.changes")
    follower = await Follower(client, f"{prefix}.item.follow").begun()
    follower.reply.cancel()
    database.execute(
        "select wamp.publish('org.elsewhere.x')",
        "insert into item values (1, repeat('x', 50000)), (2, 'small')",
    )
    await events.count(2)
    async with asyncio.timeout(10):
        waiting = "backlog_events", 'calls_in_flight{kind="follow"}'
        found = await scrape(port)
        while any(found[name] for name in waiting):
            found = await scrape(port)
    assert found["events_published_total"] == found["publish_seconds_count"] == 2
    assert 0 < found["publish_seconds_sum"] < 10
    assert found["events_refused_total"] == found["events_truncated_total"] == 1
    assert found["leading"] == found["leader"] == 1
    assert found["backlog_seconds"] == 0
    assert found["events_bytes"] > 0
    assert found['calls_total{kind="relation"}'] == 2
    assert found['calls_failed_total{kind="relation"}'] == 1
    assert found['calls_total{kind="describe"}'] == found['calls_total{kind="changes"}'] == 1
    assert found['calls_in_flight{kind="relation"}'] == 0
    assert found['calls_total{kind="follow"}'] == 1
    assert found['calls_failed_total{kind="follow"}'] == 0
    assert found['pool_connections{pool="read"}'] >= 1
    await component.stop()
    with pytest.raises(ConnectionRefusedError):
        await scrape(port)


async def test_the_backlog_is_read_while_calls_hold_every_connection(
    serve: Serve, connect: Connect, database: Database, prefix: str
) -> None:
    port = ports.any_free()
    database.execute(
        "create function hold() returns void language sql as $$ select pg_advisory_lock(1) $$"
    )
    await serve(metrics={"port": port}, database={"pool_max": 1})
    client = await connect()
    holder = await database.connect()
    await holder.execute("select pg_advisory_lock(1)")
    call = asyncio.ensure_future(client.call(f"{prefix}.hold"))
    async with asyncio.timeout(10):
        while not await holder.fetchval("select exists (select from pg_locks where not granted)"):
            pass
    found = await scrape(port)
    assert found['calls_in_flight{kind="function"}'] == 1
    assert found['pool_connections_in_use{pool="write"}'] == 1
    assert found["backlog_events"] == 0
    database.execute("alter function wamp.backlog() rename to gone")
    assert math.isnan((await scrape(port))["backlog_events"])
    database.execute("alter function wamp.gone() rename to backlog")
    await holder.close()
    await call
    found = await scrape(port)
    assert found['calls_in_flight{kind="function"}'] == 0
    assert found["backlog_events"] == 0


async def test_there_is_one_page_and_only_to_read(serve: Serve) -> None:
    port = ports.any_free()
    await serve(metrics={"port": port})
    for text, status in [
        ("GET / HTTP/1.1\r\n\r\n", "404 Not Found"),
        ("POST /metrics HTTP/1.1\r\n\r\n", "405 Method Not Allowed"),
        ("HEAD /metrics HTTP/1.1\r\n\r\n", "200 OK"),
        ("GET /metrics?x=1 HTTP/1.0\r\n\r\n", "200 OK"),
    ]:
        answer = await request(port, text)
        assert answer.startswith(f"HTTP/1.1 {status}\r\n"), text
        assert answer.endswith("\r\n\r\n") == text.startswith("HEAD")
    assert await request(port, "x" * 100_000) == ""
    assert "pgwamp_leading" in await request(port, "GET /metrics HTTP/1.1\r\n\r\n")


async def test_a_port_that_is_taken_is_named(serve: Serve) -> None:
    port = ports.any_free()
    await serve(metrics={"port": port})
    with pytest.raises(StartError, match=f"metrics.port: cannot listen at 127.0.0.1:{port}"):
        await serve(metrics={"port": port})


async def test_describe_says_how_publishing_stands_when_asked(
    serve: Serve, connect: Connect, database: Database, prefix: str
) -> None:
    database.execute(*grants(CALLS))
    component = await serve()
    client = await connect()
    async with asyncio.timeout(10):
        await component.publisher.leading.wait()
    # The sequencer begins with a marker; what comes after it is stored, and nothing else happens.
    connection = await database.connect()
    async with asyncio.timeout(10):
        while not await connection.fetchval(
            "select s.position > 0 and p.position = s.position "
            "from wamp.progress as s, wamp.publication as p"
        ):
            pass
    await connection.close()
    plain = await client.call(f"{prefix}.describe")
    assert "events" not in plain
    answer = await client.call(f"{prefix}.describe", kwargs={"status": True})
    found = answer.pop("events")
    assert found["bytes"] > 0
    assert found == {
        "events": 0,
        "oldest": 0.0,
        "leader": True,
        "bytes": found["bytes"],
        "published_at": await published_at(database),
        "kept_since": None,
    }
    assert answer == plain
    with pytest.raises(CallError) as caught:
        await client.call(f"{prefix}.describe", kwargs={"status": "yes"})
    assert caught.value.uri == "wamp.error.invalid_argument"
    assert "status: true or false" in str(caught.value)


def grants(role: str) -> list[str]:
    return [
        f"grant usage on schema wamp to {role}",
        f"grant execute on function wamp.backlog() to {role}",
    ]


async def published_at(database: Database) -> str:
    connection = await database.connect()
    await connection.execute("set timezone to 'UTC'")
    text: str = await connection.fetchval("select published_at::text from wamp.publication")
    await connection.close()
    return text


@pytest.fixture
def web(database: Database) -> Iterator[str]:
    """A role of the test's own."""
    name = f"web_{database.name}"
    database.execute(f"create role {name} role {CALLS}")
    yield name
    database.execute(f"drop owned by {name}", f"drop role {name}")


async def test_with_roles_the_status_is_for_who_is_granted_it(
    serve: Serve, connect: Connect, database: Database, prefix: str, web: str
) -> None:
    await serve(access={"roles": {"anonymous": web}})
    client = await connect()
    await client.call(f"{prefix}.describe")
    with pytest.raises(CallError) as caught:
        await client.call(f"{prefix}.describe", [True])
    assert caught.value.uri == "wamp.error.not_authorized"
    database.execute(*grants(web))
    answer = await client.call(f"{prefix}.describe", [True])
    assert answer["events"]["leader"] in (True, False)


async def test_the_page_tells_how_long_calls_take_and_whether_it_serves(
    serve: Serve, connect: Connect, database: Database, prefix: str
) -> None:
    port = ports.any_free()
    database.execute("create table item (id int primary key)")
    component = await serve(metrics={"port": port})
    client = await connect()
    for _ in range(3):
        await client.call(f"{prefix}.item.count")
    page = await scrape(port)
    assert page['call_seconds_count{kind="relation"}'] == 3
    assert 0 < page['call_seconds_sum{kind="relation"}'] < 30
    assert page[f'build_info{{version="{__version__}"}}'] == 1
    assert page["joined"] == 1
    await component.link.stop()
    assert (await scrape(port))["joined"] == 0
