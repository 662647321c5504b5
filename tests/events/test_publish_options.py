"""The options of wamp.publish, as subscribers who have logged in at a router meet them."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest
from autobahn.wamp.types import SubscribeOptions

from pgwamp.dev.router import Router
from tests.conftest import Database, Events, Serve
from tests.events.logins import LogIn, logins, ticket_router
from tests.replay.appending import LOGGED, append

#: authid -> authrole of those who may log in, each with their name as the ticket.
PEOPLE = {"alice": "user", "ben": "user", "carol": "staff"}
pytestmark = pytest.mark.slow


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


class Audience:
    """Everybody of PEOPLE, subscribed to one topic."""

    def __init__(self, database: Database, topic: str):
        self._database = database
        self._topic = topic
        self.sessions: dict[str, int] = {}
        self.events = {who: Events() for who in PEOPLE}

    async def come(self, log_in: LogIn) -> None:
        for who, events in self.events.items():
            client = await log_in(who)
            await client.subscribe(self._topic, events)
            assert client.link.details is not None
            self.sessions[who] = client.link.details.session

    async def hears(self, options: dict[str, Any]) -> set[str]:
        """Who receives an event with these options: the next one, without, goes to all."""
        for events in self.events.values():
            events.received.clear()
        self._database.execute(
            f"select wamp.publish('{self._topic}', '[1]', null, '{json.dumps(options)}')",
            f"select wamp.publish('{self._topic}', '[2]')",
        )
        heard = set()
        for who, events in self.events.items():
            await events.until(lambda received: any(args == [2] for _, args, _ in received))
            if any(args == [1] for _, args, _ in events.received):
                heard.add(who)
        return heard


@pytest.fixture
async def audience(
    serve: Serve, router: Router, log_in: LogIn, database: Database, prefix: str
) -> Audience:
    await serve(router={"url": router.component_url})
    audience = Audience(database, f"{prefix}.hello")
    await audience.come(log_in)
    return audience


async def test_options_say_who_receives_an_event(audience: Audience) -> None:
    alice, ben, carol = PEOPLE
    session = audience.sessions
    for options, expected in [
        ({}, {alice, ben, carol}),
        ({"acknowledge": False, "exclude_me": False}, {alice, ben, carol}),
        ({"exclude": session[alice]}, {ben, carol}),
        ({"exclude": [session[alice], session[carol], 5]}, {ben}),
        ({"exclude": []}, {alice, ben, carol}),
        ({"exclude_authid": "ben"}, {alice, carol}),
        ({"exclude_authid": ["ben", "nobody"]}, {alice, carol}),
        ({"exclude_authrole": ["user"]}, {carol}),
        ({"eligible": [session[ben], session[carol]]}, {ben, carol}),
        ({"eligible": 5}, set()),
        ({"eligible_authid": ["alice"]}, {alice}),
        ({"eligible_authid": "nobody"}, set()),
        ({"eligible_authrole": "user"}, {alice, ben}),
        ({"eligible_authrole": "user", "exclude_authid": "alice"}, {ben}),
        ({"eligible_authrole": "user", "eligible": [session[carol]]}, set()),
    ]:
        assert await audience.hears(options) == expected, options


async def test_exclude_me_is_about_the_session_of_the_component(
    serve: Serve, router: Router, database: Database, prefix: str, log_in: LogIn
) -> None:
    component = await serve(router={"url": router.component_url})
    events, everybody = Events(), Events()
    await component.link.session.subscribe(
        lambda args, kwargs: events("", args, kwargs), f"{prefix}.x"
    )
    await (await log_in("alice")).subscribe(f"{prefix}.x", everybody)
    database.execute(
        f"select wamp.publish('{prefix}.x', '[1]')",
        f"""select wamp.publish('{prefix}.x', '[2]', null, '{{"exclude_me": true}}')""",
        f"""select wamp.publish('{prefix}.x', '[3]', null, '{{"exclude_me": false}}')""",
    )
    await everybody.count(3)
    await events.count(1)
    assert [args for _, args, _ in events.received] == [[3]]


async def test_the_last_retained_event_awaits_who_subscribes_later(
    serve: Serve, router: Router, database: Database, prefix: str, log_in: LogIn
) -> None:
    await serve(router={"url": router.component_url})
    topic = f"{prefix}.state"
    witness = Events()
    await (await log_in("alice")).subscribe(topic, witness)
    database.execute(
        f"""select wamp.publish('{topic}', '["old"]', null, '{{"retain": true}}')""",
        f"""select wamp.publish('{topic}', '["last"]', null, '{{"retain": true}}')""",
        f"""select wamp.publish('{topic}', '["passing"]')""",
    )
    await witness.count(3)
    later = Events()
    client = await log_in("ben")
    await client.link.session.subscribe(
        lambda args, kwargs: later(topic, args, kwargs),
        topic,
        options=SubscribeOptions(get_retained=True),
    )
    await later.count(1)
    database.execute(f"""select wamp.publish('{topic}', '["next"]')""")
    await later.count(2)
    assert [args for _, args, _ in later.received] == [["last"], ["next"]]


async def test_the_router_gives_a_retained_event_to_who_was_not_eligible(
    serve: Serve, router: Router, database: Database, prefix: str, log_in: LogIn
) -> None:
    """Why wamp.publish refuses both: if this fails, Crossbar.io has learned it."""
    await serve(router={"url": router.component_url})
    topic = f"{prefix}.secret"
    witness, later = Events(), Events()
    alice = await log_in("alice")
    await alice.subscribe(topic, witness)
    options = {"retain": True, "eligible_authid": ["alice"]}
    body = {"args": [1]}
    database.execute(
        append({"op": "publish", "topic": topic, "body": body, "options": options}), LOGGED
    )
    await witness.count(1)
    ben = await log_in("ben")
    await ben.link.session.subscribe(
        lambda args, kwargs: later(topic, args, kwargs),
        topic,
        options=SubscribeOptions(get_retained=True),
    )
    await later.count(1)
    assert later.received == [(topic, [1], {})]
