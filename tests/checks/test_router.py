"""Each thing that a router has to do, refused on purpose: check and the start tell the same."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from pgwamp.checks import check_all
from pgwamp.component import Component
from pgwamp.dev.environment import shipped
from pgwamp.dev.router import Router
from pgwamp.errors import CallError
from pgwamp.session import Client
from pgwamp.settings import RouterSettings, Settings
from tests.checks.conftest import ask
from tests.conftest import Database, Events, MakeSettings, Received
from tests.servers import server_folder

#: The component's roles on the node of these tests, and what each may not do.
ROLES = {
    "not_registering": {"register": False},
    "not_publishing": {"publish": False},
    "not_calling": {"call": False},
    "not_subscribing": {"subscribe": False},
    "hidden": {},
}


def _configuration(folder: Path) -> Path:
    """The shipped node, with a Unix socket for each role."""
    config = yaml.safe_load(shipped("config.yaml").read_text())
    worker = config["workers"][0]
    roles = worker["realms"][0]["roles"]
    component = next(role for role in roles if role["name"] == "component")
    socket = next(t for t in worker["transports"] if t["type"] == "rawsocket")
    for name, refused in ROLES.items():
        role = yaml.safe_load(yaml.safe_dump(component))
        role["name"] = name
        (permission,) = role["permissions"]
        permission["allow"] |= refused
        if name == "hidden":
            del permission["disclose"]
        roles.append(role)
        transport = yaml.safe_load(yaml.safe_dump(socket))
        transport["id"] = name
        transport["endpoint"]["path"] = f"{name}.sock"
        transport["auth"]["anonymous"]["role"] = name
        worker["transports"].append(transport)
    small = yaml.safe_load(yaml.safe_dump(socket))
    small["id"] = "small"
    small["endpoint"]["path"] = "small.sock"
    small["options"]["max_message_size"] = 1_048_576
    worker["transports"].append(small)
    paths = next(t for t in worker["transports"] if t["type"] == "web")["paths"]
    for path, change in {
        "small": {"options": {**paths["ws"]["options"], "max_message_size": 1_048_576}},
        "json": {"serializers": ["json"]},
        "component": {},
    }.items():
        paths[path] = yaml.safe_load(yaml.safe_dump({**paths["ws"], **change}))
        paths[path]["auth"]["anonymous"]["role"] = "component"
    path = folder / "roles.yaml"
    path.write_text(yaml.safe_dump(config))
    return path


@pytest.fixture(scope="module")
def node() -> Iterator[Router]:
    """A node whose transports give out the roles."""
    with (
        server_folder() as folder,
        Router(folder / "node", port=0, config=_configuration(folder)) as router,
    ):
        yield router


def at(node: Router, name: str) -> dict[str, Any]:
    """The settings that join by a transport."""
    return {"url": f"rs+unix://{node.node / name}.sock"}


def web(node: Router, path: str) -> str:
    return node.url.rpartition("/")[0] + "/" + path


async def settled(settings: Settings) -> None:
    """Nothing is said any more."""
    answers = await ask(settings)
    assert (answers.check, answers.start, answers.logged) == ([], None, [])


@pytest.mark.parametrize("serializer", ["msgpack", "cbor", "json"])
async def test_the_shipped_roles_may_do_everything(
    node: Router, make_settings: MakeSettings, database: Database, serializer: str
) -> None:
    database.execute("create table item (id int primary key)", "select wamp.watch('item')")
    await settled(make_settings(router={"url": node.component_url, "serializer": serializer}))


async def test_a_role_that_may_not_register_is_named_with_the_permission(
    node: Router, make_settings: MakeSettings, prefix: str
) -> None:
    answers = await ask(make_settings(router=at(node, "not_registering")))
    (line,) = answers.check
    assert f"the router refuses to register below {prefix}." in line
    assert "`register`" in line
    assert "refused to register" in (answers.start or "")
    assert "permission to register" in (answers.start or "")
    for said in (line, answers.start or ""):
        assert "let router.url (PGWAMP_ROUTER__URL) name the transport that the router has" in said
        assert said.index("component.sock") < said.index("give the component's role")


@pytest.mark.parametrize("role", ["not_calling", "not_subscribing"])
async def test_features_that_a_role_may_not_try_are_believed(
    node: Router, make_settings: MakeSettings, role: str
) -> None:
    await settled(make_settings(router=at(node, role)))


async def test_events_that_the_router_would_refuse_stop_the_start(
    node: Router, make_settings: MakeSettings, database: Database, prefix: str
) -> None:
    settings = make_settings(router=at(node, "not_publishing"))
    answers = await ask(settings)
    line = answers.said(f"the router refuses to publish below {prefix}.")
    assert "`publish`" in line
    assert answers.start is None, "nothing is watched"
    database.execute("create table item (id int primary key)", "select wamp.watch('item')")
    answers = await ask(settings)
    assert answers.start is not None
    answers.said(f"the router refuses to publish to {prefix}.item.inserted and 3 more (")


async def test_a_prefix_that_is_not_ours_is_one_line(
    node: Router, make_settings: MakeSettings, database: Database
) -> None:
    for table in ("item", "part"):
        database.execute(
            f"create table {table} (id int primary key)", f"select wamp.watch('{table}')"
        )
    expose = {"prefix": "com.elsewhere", "schemas": ["public"]}
    answers = await ask(make_settings(router={"url": node.component_url}, expose=expose))
    (line,) = answers.check
    assert line.startswith("the router refuses to register, and to publish, below com.elsewhere. (")
    assert "`register` and `publish` for the prefix com.elsewhere." in line


async def test_topics_of_templates_that_the_router_would_refuse_are_named(
    node: Router, make_settings: MakeSettings, database: Database, prefix: str
) -> None:
    options = {"topic": "com.other.item.{op}"}
    database.execute(
        "create table item (id int primary key, kind text)",
        f"select wamp.watch('item', '{json.dumps(options)}')",
    )
    settings = make_settings(router={"url": node.component_url})
    answers = await ask(settings)
    line = answers.said("the router refuses to publish to com.other.item.inserted and 2 more (")
    assert f"watch the table with a topic below {prefix}." in line
    assert answers.start is not None
    options = {"topic": "com.other.{kind}.{op}"}
    database.execute(f"select wamp.watch('item', '{json.dumps(options)}')")
    answers = await ask(settings)
    answers.said("the router refuses to publish to com.other.-.inserted and 2 more (")
    assert answers.start is None, "there may be no such value"


async def test_nobody_receives_what_the_rights_are_tried_with(
    node: Router, make_settings: MakeSettings, database: Database, prefix: str
) -> None:
    database.execute("create table item (id int primary key)", "select wamp.watch('item')")
    settings = make_settings(router={"url": node.component_url})
    events = Events()
    async with Client(settings.router) as client:
        await client.subscribe(f"{prefix}.", events, match="prefix")
        await ask(settings)
        # The router is done with all of it when it has done this, which comes after.
        async with Client(settings.router) as other:
            await other.link.session.publish_event(f"{prefix}.last", [], None, {})
        await events.until(lambda received: bool(received))
    assert [topic for topic, _, _ in events.received] == [f"{prefix}.last"]


async def test_a_router_that_does_not_tell_who_calls_is_found(
    node: Router, make_settings: MakeSettings, roles: list[str], own_login: str, addresses: Any
) -> None:
    name = make_settings().database.dsn().rpartition("/")[2]
    sections: dict[str, Any] = {
        "access": {"roles": {"anonymous": roles[0]}},
        "database": {"url": addresses.database(name, own_login)},
    }
    hidden = await ask(make_settings(router=at(node, "hidden"), **sections))
    assert "`disclose: caller: true`" in hidden.said("the router does not tell who calls")
    calling = await ask(make_settings(router=at(node, "not_calling"), **sections))
    assert "`call`" in calling.said("whether the router tells who calls cannot be tried")
    await settled(make_settings(router={"url": node.component_url}, **sections))
    (line,) = (await ask(make_settings(router=at(node, "hidden")))).check
    assert "all callers together have the share of one (limits.per_session)" in line


@pytest.mark.parametrize("transport", ["rawsocket", "websocket"])
async def test_a_router_that_takes_less_than_the_component_sends_is_measured(
    node: Router, make_settings: MakeSettings, transport: str
) -> None:
    url = at(node, "small")["url"] if transport == "rawsocket" else web(node, "small")
    (line,) = (await ask(make_settings(router={"url": url}))).check
    assert "the router takes messages of about 1048576 bytes only" in line
    assert "limits.max_bytes is 15000000" in line
    await settled(make_settings(router={"url": url}, limits={"max_bytes": 1_000_000}))


#: Name -> what is wrong with a URL, and what is said; {ws} is the node's WebSocket.
WRONG = {
    "a wrong path": (
        {"url": "{ws}/nowhere"},
        "answers HTTP 404",
        "path in router.url (PGWAMP_ROUTER__URL), which is /ws",
    ),
    "a serializer that is not spoken": (
        {"url": "{ws}/json", "serializer": "msgpack"},
        "400",
        "router.serializer",
    ),
    # The router waits for more.
    "no RawSocket": ({"url": "{rs}"}, "nobody answers at rs://", "correct the scheme"),
    "no TLS": ({"url": "{wss}/ws"}, "nobody answers at wss://", "correct the scheme"),
    "nobody": ({"url": "ws://127.0.0.1:1/ws"}, "no router answers at", "start it, or correct"),
    "no socket": ({"url": "rs+unix:///nowhere.sock"}, "no router answers at", "start it"),
    "no host": ({"url": "ws://no-such-host.invalid/ws"}, "no host for", "correct router.url"),
    "no realm": ({"url": "{ws}/ws", "realm": "nowhere"}, 'has no realm "nowhere"', "router.realm"),
    "no such login": (
        {
            "url": "{ws}/ws",
            "auth": {"method": "ticket", "authid": "me", "secret": "s3cret-word"},
        },
        "refused to let us join",
        "correct router.auth",
    ),
}


@pytest.mark.parametrize("name", WRONG)
async def test_each_cause_has_its_own_cure(
    node: Router, make_settings: MakeSettings, name: str
) -> None:
    wrong, *said = WRONG[name]
    ws = node.url.rpartition("/")[0]
    places = {"ws": ws, "wss": ws.replace("ws:", "wss:"), "rs": ws.replace("ws:", "rs:")}
    url = str(wrong["url"]).format(**places)
    # Proxies take tokens in it.
    router = {**wrong, "url": f"{url}?token=s3cret-word"}
    settings = make_settings(router=router)
    async with asyncio.timeout(20):
        (line,) = (f.problem for f in await check_all(settings) if f.part == "router")
    for part in said:
        assert part in line
    assert "s3cret-word" not in line


@pytest.mark.parametrize("transport", ["rawsocket", "websocket"])
async def test_a_large_event_goes_without_its_values_where_the_router_takes_less(
    node: Router,
    make_settings: MakeSettings,
    database: Database,
    events: Events,
    transport: str,
) -> None:
    database.execute(
        "create table item (id int primary key, body text)", "select wamp.watch('item')"
    )
    url = at(node, "small")["url"] if transport == "rawsocket" else web(node, "small")
    settings = make_settings(router={"url": url})
    item = f"{settings.expose.prefix}.item"
    async with Component(settings), Client(RouterSettings(url=node.url)) as client:
        await client.subscribe(f"{item}.inserted", events)
        # More than the router takes; it learns by the first, and loses none.
        for number, size in enumerate((3_000_000, 10, 2_000_000, 10)):
            database.execute(f"insert into item values ({number}, repeat('x', {size}))")
        received = await events.until(lambda got: {0, 1, 2, 3} <= numbers(got), seconds=30)
        large = [event for _, _, event in received if event["key"]["id"] in (0, 2)]
        assert all("new" not in event or event["new"] is None for event in large), large
        with pytest.raises(CallError) as caught:
            await client.call(f"{item}.select", [{"id": 0}])
        assert caught.value.uri == "wamp.error.payload_size_exceeded"
        assert await client.call(f"{item}.count") == 4


def numbers(received: Received) -> set[int]:
    """The keys of the rows whose events were received."""
    return {event["key"]["id"] for _, _, event in received}
