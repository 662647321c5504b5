"""xconn's router: what it does is served as by Crossbar.io, and what it lacks is said."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from pgwamp.checks import check_all
from pgwamp.cli.follow import why_silent
from pgwamp.errors import CallError, StartError, Unavailable
from pgwamp.session import Client
from pgwamp.settings import RouterSettings
from tests.checks.conftest import Said, ask, own_login, roles, said
from tests.conftest import Database, Events, MakeSettings, Observe, Serve
from tests.replay.following import Follower
from tests.routers.conftest import SECRET, Xconn
from tests.servers import Addresses

__all__ = ["own_login", "roles", "said"]
TABLE = (
    "create table item (id int primary key, name text not null, owner text)",
    "select wamp.watch('item')",
    "create function slow() returns int language sql volatile as $$ select 1 from pg_sleep(1) $$",
)

#: In PostgreSQL: a call of ``slow`` is under way.
RUNNING = (
    "exists (select from pg_stat_activity where datname = current_database() "
    "and pid <> pg_backend_pid() and state = 'active' and query ~ 'slow')"
)


@pytest.fixture
async def client(xconn: Xconn) -> AsyncIterator[Client]:
    async with Client(RouterSettings(url=xconn.url)) as client:
        yield client


# --- joining ------------------------------------------------------------------------------------


@pytest.mark.parametrize("method", ["anonymous", "ticket", "wampcra", "cryptosign"])
async def test_every_method_that_both_know_lets_the_component_in(xconn: Xconn, method: str) -> None:
    auth: dict[str, Any] = {"method": method}
    if method != "anonymous":
        auth["authid"] = "component"
        secret = xconn.private_key if method == "cryptosign" else SECRET
        auth["private_key" if method == "cryptosign" else "secret"] = secret
    async with Client(RouterSettings(url=xconn.url, auth=auth)) as client:  # type: ignore[arg-type]
        details = client.link.details
        assert details is not None
        assert details.authrole == ("anonymous" if method == "anonymous" else "component")


#: Settings that this router refuses, or does not answer, and what is said.
REFUSED: dict[str, tuple[dict[str, Any], str]] = {
    "a wrong ticket": (
        {"auth": {"method": "ticket", "authid": "component", "secret": "wrong"}},
        "refused to let us join: correct router.auth",
    ),
    "a wrong secret": (
        {"auth": {"method": "wampcra", "authid": "component", "secret": "wrong"}},
        "refused to let us join: correct router.auth",
    ),
    "a method that it lacks": (
        {"auth": {"method": "scram", "authid": "component", "secret": SECRET}},
        "closes the connection",
    ),
    # It says WELCOME before it looks for the realm.
    "no realm": ({"realm": "nowhere"}, "correct router.realm if it has none of this name"),
    "a path that it lacks": ({"path": "/nowhere"}, "answers HTTP 404"),
}


@pytest.mark.parametrize("name", REFUSED)
async def test_a_refusal_names_its_cure(
    xconn: Xconn, make_settings: MakeSettings, name: str
) -> None:
    router, cure = REFUSED[name]
    path = router.get("path", "/ws")
    given = {key: value for key, value in router.items() if key != "path"}
    settings = make_settings(router={"url": xconn.url.replace("/ws", path), **given})
    async with asyncio.timeout(15):
        (line,) = (f.problem for f in await check_all(settings) if f.part == "router")
    assert cure in line


# --- what it does -------------------------------------------------------------------------------


@pytest.mark.parametrize("serializer", ["json", "msgpack", "cbor"])
async def test_calls_and_events_pass_in_every_serializer(
    xconn: Xconn, serve: Serve, database: Database, events: Events, prefix: str, serializer: str
) -> None:
    database.execute(*TABLE)
    await serve(router={"url": xconn.url, "serializer": serializer})
    uri = f"{prefix}.item"
    settings = RouterSettings(url=xconn.url, serializer=serializer)  # type: ignore[arg-type]
    async with Client(settings) as client:
        await client.subscribe(f"{uri}.inserted", events)
        follower = await Follower(client, f"{uri}.follow").begun()

        rows = [{"id": n, "name": f"Ä{n}"} for n in range(1, 4)]
        assert len(await client.call(f"{uri}.insert", [rows])) == 3
        assert await client.call(f"{uri}.update", [{"name": "B"}, {"id": 1}])
        assert await client.call(f"{uri}.delete", [{"id": 3}])
        assert await client.call(f"{uri}.count") == 2
        assert await client.call(f"{prefix}.slow") == 1
        answer = await client.call(f"{uri}.select", [{}, ["id", "name"]], {"order": "id"})
        assert answer == [{"id": 1, "name": "B"}, {"id": 2, "name": "Ä2"}]
        progressive: list[Any] = []
        await client.call(f"{uri}.select", [{}, ["id"]], {"order": "id"}, progressive.extend)
        assert progressive == [{"id": 1}, {"id": 2}]

        with pytest.raises(CallError) as caught:
            await client.call(f"{uri}.select", [{"nothing": 1}])
        assert caught.value.uri == "wamp.error.invalid_argument"
        assert caught.value.details["argument"] == "where.nothing"
        with pytest.raises(CallError) as caught:
            await client.call(f"{prefix}.nothing")
        assert caught.value.uri == "wamp.error.no_such_procedure"

        assert [event["new"]["id"] for event in await events.count(3)] == [1, 2, 3]
        changes = await client.call(f"{uri}.changes")
        assert [change["op"] for change in changes] == ["insert"] * 3 + ["update", "delete"]
        assert await follower.keys(5) == [1, 2, 3, 1, 3]
        # Left open, it would be answered to nobody, which ends the component's session here.
        follower.reply.cancel()


# --- what it lacks ------------------------------------------------------------------------------


async def test_check_tells_everything_that_it_lacks_and_the_start_goes_on(
    xconn: Xconn, make_settings: MakeSettings
) -> None:
    async with asyncio.timeout(30):
        answers = await ask(make_settings(router={"url": xconn.url}))
    assert answers.start is None
    for text in (
        "the router does not tell who calls, so that all callers together have the share of one "
        "(limits.per_session): choose a router that does caller_identification",
        "the router does not do call_canceling:",
        "the router does not do pattern_based_subscription:",
        "the router does not do subscriber_blackwhite_listing: events with eligible_* or exclude_* "
        "are not published",
        "the router does not announce shared_registration:",
        "the router does not announce event_retention:",
    ):
        assert "choose a router that does" in answers.said(text)
    assert not any("progressive" in line for line in answers.check), "it does, unannounced"
    # Measured by check alone.
    (size, callers) = (line for line in answers.check if line not in answers.logged)
    assert "the router takes messages of about 4194304 bytes only" in size
    assert "every caller can interrupt all others: choose another router" in callers


async def test_mapped_roles_are_named_as_what_cannot_work(
    xconn: Xconn,
    make_settings: MakeSettings,
    client: Client,
    serve: Serve,
    database: Database,
    prefix: str,
    roles: list[str],
    own_login: str,
    addresses: Addresses,
) -> None:
    database.execute(*TABLE)
    sections: dict[str, Any] = {
        "access": {"roles": {"anonymous": roles[0]}},
        "database": {"url": addresses.database(database.name, own_login)},
        "router": {"url": xconn.url},
    }
    answers = await ask(make_settings(**sections))
    answers.said("access.roles refuses every call: choose a router that does caller_identification")
    await serve(**sections)
    with pytest.raises(CallError) as caught:
        await client.call(f"{prefix}.item.select")
    assert caught.value.uri == "wamp.error.not_authorized"


async def test_an_event_for_some_is_sent_to_nobody(
    xconn: Xconn,
    serve: Serve,
    client: Client,
    database: Database,
    events: Events,
    prefix: str,
    said: Said,
) -> None:
    database.execute(*TABLE, "select wamp.watch('item', '{\"eligible_authid\": \"owner\"}')")
    await serve(router={"url": xconn.url})
    for kind in ("inserted", "truncated"):
        await client.subscribe(f"{prefix}.item.{kind}", events)
    database.execute("insert into item values (1, 'secret', 'ann')", "truncate item")
    await events.count(1)
    assert [topic for topic, _, _ in events.received] == [f"{prefix}.item.truncated"]
    entry = await said.until("event refused")
    assert "would send to everybody what is for some" in entry["reason"]


async def test_a_cancelled_call_ends_for_its_caller_and_the_component_goes_on(
    xconn: Xconn, serve: Serve, client: Client, database: Database, observe: Observe, prefix: str
) -> None:
    database.execute(*TABLE)
    component = await serve(router={"url": xconn.url})
    calling = asyncio.create_task(client.call(f"{prefix}.slow"))
    await observe(RUNNING)
    calling.cancel()
    with pytest.raises(asyncio.CancelledError):
        await calling
    # It runs to its end, and its answer to nobody ends neither session.
    await observe(f"not {RUNNING}")
    assert await client.call(f"{prefix}.item.count") == 0
    assert component.link.is_up


async def test_a_second_instance_is_refused_with_the_reason_and_the_first_goes_on(
    xconn: Xconn, serve: Serve, client: Client, database: Database, prefix: str
) -> None:
    database.execute(*TABLE)
    await serve(router={"url": xconn.url})
    with pytest.raises(StartError, match="does not announce shared_registration: run one instance"):
        await serve(router={"url": xconn.url})
    assert await client.call(f"{prefix}.item.count") == 0


async def test_tail_says_that_a_prefix_may_get_nothing(
    xconn: Xconn, make_settings: MakeSettings, client: Client, prefix: str
) -> None:
    line = await why_silent(make_settings(), f"{prefix}.item.", "prefix", client)
    assert line is not None
    assert "name the topic in full" in line


async def test_a_caller_that_leaves_ends_the_session_until_the_router_starts_again(
    own_xconn: Xconn,
    serve: Serve,
    database: Database,
    observe: Observe,
    prefix: str,
    said: Said,
) -> None:
    database.execute(*TABLE)
    component = await serve(router={"url": own_xconn.url})
    async with Client(RouterSettings(url=own_xconn.url)) as caller:
        calling = asyncio.create_task(caller.call(f"{prefix}.slow"))
        await observe(RUNNING)
    with pytest.raises(Unavailable):
        await calling
    # It keeps what the lost session has registered.
    told = await said.until("not joined, trying again")
    assert "restart the router if it keeps the registrations" in told["problem"]
    own_xconn.stop()
    own_xconn.start()
    async with asyncio.timeout(20):
        await component.link.up()
    async with Client(RouterSettings(url=own_xconn.url)) as client:
        assert await client.call(f"{prefix}.item.count") == 0
