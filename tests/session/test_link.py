"""The link joins, registers, notices that it is lost, comes back, and leaves in order."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
from structlog.testing import capture_logs

from pgwamp.errors import StartError, Unavailable
from pgwamp.session import (
    Call,
    Client,
    Link,
    Lost,
    Procedure,
    PublishRefused,
    Serving,
    acknowledged,
    transports,
)
from pgwamp.session import link as link_module
from pgwamp.session.wamp import WampSession
from pgwamp.settings import LimitSettings, RouterAuth, RouterSettings
from tests.servers import Addresses
from tests.session.conftest import Callee
from tests.session.proxy import Proxy
from tests.session.router import (
    ABORT,
    CALL,
    CHALLENGE,
    ERROR,
    GOODBYE,
    HELLO,
    INTERRUPT,
    INVOCATION,
    PUBLISH,
    REGISTER,
    REGISTERED,
    RESULT,
    SUBSCRIBE,
    SUBSCRIBED,
    UNREGISTER,
    WELCOME,
    YIELD,
    FakeRouter,
    loop_errors,
)

LIMITS = LimitSettings()


async def _echo(call: Call) -> Any:
    return call.args[0]


def _never(begun: asyncio.Event) -> Callable[[Call], Any]:
    async def handler(_: Call) -> None:
        begun.set()
        await asyncio.get_running_loop().create_future()

    return handler


@asynccontextmanager
async def _link(url: str, **settings: Any) -> AsyncIterator[Link]:
    patience = settings.pop("patience", 5)
    procedures = settings.pop("procedures", ())

    settings = {"serializer": "json", **settings}
    router = RouterSettings(url=url, **settings)
    serving = Serving(LIMITS, router.realm, {p.uri: p for p in procedures})
    link = Link(router, max_bytes=LIMITS.max_bytes, serving=serving, patience=patience)
    try:
        yield link
    finally:
        await link.stop()


@pytest.fixture
def pauses(monkeypatch: pytest.MonkeyPatch) -> asyncio.Queue[float]:
    """The delays a link would have waited; it does not wait them."""
    delays: asyncio.Queue[float] = asyncio.Queue()

    async def paused(self: Link, delay: float) -> bool:
        delays.put_nowait(delay)
        await asyncio.sleep(0)
        return self._stopping.is_set()

    monkeypatch.setattr(Link, "_paused", paused)
    return delays


# --- what waits for the router ------------------------------------------------------------------


async def test_a_pending_call_fails_when_the_connection_is_cut(
    callee: Callee, client_proxy: Proxy, prefix: str
) -> None:
    begun = asyncio.Event()
    await callee(Procedure(f"{prefix}.never", _never(begun)))
    async with asyncio.timeout(10), Client(RouterSettings(url=client_proxy.url)) as client:
        pending = asyncio.create_task(client.call(f"{prefix}.never"))
        await begun.wait()
        client_proxy.cut()
        with pytest.raises(Unavailable, match="connection to the router was lost"):
            await pending


async def test_a_call_fails_while_the_connection_is_being_closed(
    addresses: Addresses, prefix: str
) -> None:
    async with asyncio.timeout(10), Client(RouterSettings(url=addresses.clients)) as client:
        transport = client.link.session._transport
        assert transport is not None
        transport.abort()
        with pytest.raises(Unavailable, match="connection to the router was lost"):
            await client.call(f"{prefix}.never")


async def test_after_a_rejoin_every_subscription_is_sent_before_any_call(
    fake_router: FakeRouter,
) -> None:
    fake_router.replies[SUBSCRIBE] = lambda message: [SUBSCRIBED, message[1], message[1]]
    rejoined = asyncio.Event()
    settings = RouterSettings(url=fake_router.url, serializer="json")
    async with asyncio.timeout(10), Client(settings, rejoined.set) as client:
        for topic in ("com.example.one", "com.example.two"):
            await client.subscribe(topic, lambda *_: None)
        fake_router.received.clear()
        fake_router.cut()
        await rejoined.wait()
        calling = asyncio.create_task(client.call("com.example.changes"))
        await fake_router.until(SUBSCRIBE, 2)
        await fake_router.until(CALL)
        calling.cancel()
    order = [m[0] for m in fake_router.received if m[0] in (SUBSCRIBE, CALL)]
    assert order == [SUBSCRIBE, SUBSCRIBE, CALL]


async def test_pending_publishes_fail_when_the_connection_is_cut(fake_router: FakeRouter) -> None:
    async with _link(fake_router.url) as link, asyncio.timeout(10):
        await link.start()
        replies = [link.publish("com.example.topic", [n], None, {}) for n in range(3)]
        await fake_router.until(PUBLISH, 3)
        fake_router.cut()
        for reply in replies:
            with pytest.raises(Lost):
                await acknowledged(reply)


async def test_pending_publishes_fail_when_the_router_says_goodbye(
    fake_router: FakeRouter,
) -> None:
    async with _link(fake_router.url) as link, asyncio.timeout(10):
        await link.start()
        reply = link.publish("com.example.topic", None, {"options": 1}, {})
        await fake_router.until(PUBLISH)
        fake_router.send([GOODBYE, {}, "wamp.close.system_shutdown"])
        with pytest.raises(Lost):
            await acknowledged(reply)


async def test_an_event_that_the_router_refuses_is_not_called_lost(
    fake_router: FakeRouter,
) -> None:
    fake_router.replies[PUBLISH] = lambda m: [
        ERROR, PUBLISH, m[1], {}, "wamp.error.not_authorized"
    ]  # fmt: skip
    async with _link(fake_router.url) as link, asyncio.timeout(10):
        await link.start()
        with pytest.raises(PublishRefused, match="not_authorized"):
            await acknowledged(link.publish("com.example.topic", None, None, {}))


async def test_publishing_without_a_session_is_lost_at_once(fake_router: FakeRouter) -> None:
    async with _link(fake_router.url) as link:
        with pytest.raises(Lost):
            link.publish("com.example.topic", None, None, {})


async def test_publish_arguments_are_never_null(fake_router: FakeRouter) -> None:
    async with _link(fake_router.url) as link:
        await link.start()
        link.publish("com.example.topic", None, {"a": 1}, {}).cancel()
        assert (await fake_router.until(PUBLISH))[4] == []


# --- registering --------------------------------------------------------------------------------


async def test_a_registration_that_is_not_allowed_is_fatal_and_named(addresses: Addresses) -> None:
    procedures = [
        Procedure("com.example.allowed_one", _echo),
        Procedure("org.elsewhere.denied", _echo),
    ]
    async with _link(addresses.component, procedures=procedures) as link, asyncio.timeout(5):
        with pytest.raises(StartError) as error:
            await link.start()
        assert not link.is_up
    for part in ("org.elsewhere.denied", "wamp.error.not_authorized", "permission to register"):
        assert part in str(error.value)


async def test_a_procedure_that_exists_already_is_fatal_and_says_the_cure(
    fake_router: FakeRouter,
) -> None:
    fake_router.replies[REGISTER] = lambda m: [
        ERROR, REGISTER, m[1], {}, "wamp.error.procedure_already_exists"
    ]  # fmt: skip
    procedures = [Procedure("com.example.taken", _echo)]
    async with _link(fake_router.url, procedures=procedures) as link, asyncio.timeout(5):
        with pytest.raises(StartError, match=r"com\.example\.taken.*change expose\.prefix"):
            await link.start()


async def test_what_a_lost_session_still_has_is_waited_for(
    fake_router: FakeRouter, pauses: asyncio.Queue[float]
) -> None:
    register = fake_router.replies[REGISTER]
    procedures = [Procedure("com.example.mine", _echo)]
    async with _link(fake_router.url, procedures=procedures) as link, asyncio.timeout(10):
        await link.start()
        fake_router.replies[REGISTER] = lambda m: [
            ERROR, REGISTER, m[1], {}, "wamp.error.procedure_already_exists"
        ]  # fmt: skip
        with capture_logs() as logs:
            fake_router.cut()
            # More often than a router is believed that says no.
            await fake_router.until(REGISTER, 6)
        assert not link.failed.done()
        (told,) = (entry for entry in logs if entry["event"] == "not joined, trying again")
        assert "does not announce shared_registration: run one instance" in told["problem"]
        fake_router.replies[REGISTER] = register
        await link.up()


async def test_a_session_that_ends_as_it_begins_points_to_the_realm(
    fake_router: FakeRouter,
) -> None:
    fake_router.replies[REGISTER] = lambda _: fake_router.cut()
    procedures = [Procedure("com.example.mine", _echo)]
    async with _link(fake_router.url, procedures=procedures, patience=1) as link:
        with pytest.raises(StartError, match=r"let us join and ended .* correct router\.realm"):
            await link.start()


@pytest.mark.parametrize("option", ["eligible", "eligible_authid", "exclude_authrole"])
async def test_an_event_for_some_goes_to_nobody_where_the_router_would_send_it_to_all(
    fake_router: FakeRouter, option: str
) -> None:
    welcome = [WELCOME, 1, {"roles": {"broker": {}, "dealer": {}}}]
    fake_router.replies[HELLO] = lambda _: welcome
    async with _link(fake_router.url) as link, asyncio.timeout(10):
        await link.start()
        with pytest.raises(PublishRefused, match="subscriber_blackwhite_listing"):
            link.publish("com.example.topic", ["secret"], None, {option: []})
        link.publish("com.example.topic", ["for all"], None, {option: None}).cancel()
        assert (await fake_router.until(PUBLISH))[4] == ["for all"]
    welcome[2]["roles"]["broker"] = {"features": {"subscriber_blackwhite_listing": True}}
    async with _link(fake_router.url) as link, asyncio.timeout(10):
        await link.start()
        link.publish("com.example.topic", ["for some"], None, {option: []}).cancel()
        assert (await fake_router.until(PUBLISH, 2))[4] == ["for some"]


async def test_two_instances_share_a_procedure(callee: Callee, prefix: str) -> None:
    procedure = Procedure(f"{prefix}.echo", _echo)
    first = await callee(procedure)
    second = await callee(procedure)
    assert first.registered.keys() == second.registered.keys() == {f"{prefix}.echo"}


async def test_a_connection_lost_while_registering_is_not_fatal(fake_router: FakeRouter) -> None:
    register = fake_router.replies.pop(REGISTER)
    procedures = [Procedure(f"com.example.p{n}", _echo) for n in range(100)]
    async with _link(fake_router.url, procedures=procedures) as link, asyncio.timeout(10):
        starting = asyncio.create_task(link.start())
        await fake_router.until(REGISTER, 10)
        fake_router.replies[REGISTER] = register
        fake_router.cut()
        await starting
        assert len(link.registered) == 100


async def test_a_killed_session_while_registering_is_not_fatal(fake_router: FakeRouter) -> None:
    register = fake_router.replies.pop(REGISTER)
    procedures = [Procedure("com.example.p", _echo)]
    async with _link(fake_router.url, procedures=procedures) as link, asyncio.timeout(10):
        starting = asyncio.create_task(link.start())
        await fake_router.until(REGISTER)
        fake_router.replies[REGISTER] = register
        fake_router.send([GOODBYE, {}, "wamp.close.killed"])
        await starting


def _served(*names: str) -> dict[str, Procedure]:
    return {f"com.example.{name}": Procedure(f"com.example.{name}", _echo) for name in names}


async def test_only_what_is_new_is_registered_and_only_what_is_gone_taken_back(
    fake_router: FakeRouter,
) -> None:
    procedures = _served("a", "b").values()
    async with _link(fake_router.url, procedures=procedures) as link, asyncio.timeout(5):
        await link.start()
        await link.serve(_served("b", "c"))
        assert [message[3] for message in fake_router.of(REGISTER)] == [*_served("a", "b", "c")]
        assert [message[2] for message in fake_router.of(UNREGISTER)] == [
            fake_router.of(REGISTER)[0][1]
        ]
        assert link.registered.keys() == _served("b", "c").keys()


async def test_what_is_served_anew_is_registered_again_after_a_cut(
    fake_router: FakeRouter,
) -> None:
    async with _link(fake_router.url, procedures=_served("a").values()) as link:
        async with asyncio.timeout(10):
            await link.start()
            await link.serve(_served("b"))
            fake_router.cut()
            assert (await fake_router.until(REGISTER, 3))[3] == "com.example.b"


async def test_a_refusal_while_serving_leaves_everything_as_it_was(
    fake_router: FakeRouter,
) -> None:
    accept = fake_router.replies[REGISTER]
    fake_router.replies[REGISTER] = lambda m: (
        [ERROR, REGISTER, m[1], {}, "wamp.error.not_authorized"]
        if m[3] == "com.example.c"
        else accept(m)
    )
    async with _link(fake_router.url, procedures=_served("a").values()) as link:
        async with asyncio.timeout(5):
            await link.start()
            with pytest.raises(StartError, match=r"com\.example\.c.*permission"):
                await link.serve(_served("b", "c", "d"))
            assert link.registered.keys() == {"com.example.a"}
            assert len(fake_router.of(UNREGISTER)) == 2
            fake_router.send([INVOCATION, 7, 1, {}, ["still"]])
            assert await fake_router.until(YIELD) == [YIELD, 7, {}, ["still"]]


async def test_a_connection_lost_while_serving_leaves_everything_as_it_was(
    fake_router: FakeRouter,
) -> None:
    async with _link(fake_router.url, procedures=_served("a").values()) as link:
        async with asyncio.timeout(10):
            await link.start()
            register = fake_router.replies.pop(REGISTER)
            serving = asyncio.create_task(link.serve(_served("b")))
            await fake_router.until(REGISTER, 2)
            fake_router.replies[REGISTER] = register
            fake_router.cut()
            with pytest.raises(Lost):
                await serving
            await link.up()
            assert link.registered.keys() == {"com.example.a"}


async def test_serving_given_up_half_way_keeps_the_session(fake_router: FakeRouter) -> None:
    async with _link(fake_router.url, procedures=_served("a").values()) as link:
        async with asyncio.timeout(5):
            await link.start()
            session = link.session
            fake_router.replies.pop(REGISTER)
            serving = asyncio.create_task(link.serve(_served("a", "b")))
            request = (await fake_router.until(REGISTER, 2))[1]
            serving.cancel()
            await asyncio.wait({serving})
            fake_router.send([REGISTERED, request, 99], [INVOCATION, 7, 99, {}, ["late"]])
            assert (await fake_router.until(ERROR))[4] == "wamp.error.no_such_procedure"
            fake_router.send([INVOCATION, 8, 1, {}, ["still"]])
            assert await fake_router.until(YIELD) == [YIELD, 8, {}, ["still"]]
            assert link.session is session


async def test_a_call_on_its_way_to_what_is_gone_is_told_so(fake_router: FakeRouter) -> None:
    async with _link(fake_router.url, procedures=_served("a").values()) as link:
        async with asyncio.timeout(5):
            await link.start()
            fake_router.replies.pop(UNREGISTER)
            serving = asyncio.create_task(link.serve({}))
            await fake_router.until(UNREGISTER)
            fake_router.send([INVOCATION, 7, 1, {}, ["late"]])
            error = await fake_router.until(ERROR)
            assert error[:3] == [ERROR, INVOCATION, 7]
            assert error[4] == "wamp.error.no_such_procedure"
            serving.cancel()


# --- coming back --------------------------------------------------------------------------------


async def test_after_a_cut_it_joins_again_and_procedures_are_registered_again(
    callee: Callee, make_client: Callable[[], Any], proxy: Proxy, prefix: str
) -> None:
    link = await callee(Procedure(f"{prefix}.echo", _echo), url=proxy.url)
    client = await make_client()
    async with asyncio.timeout(10):
        assert await client.call(f"{prefix}.echo", [1]) == 1
        for number in (2, 3):
            before = link.session
            proxy.cut()
            await link.down()
            await proxy.until_accepted(number)
            await link.up()
            assert link.session is not before
            assert await client.call(f"{prefix}.echo", [number]) == number


@pytest.mark.parametrize("reason", ["wamp.close.normal", "wamp.close.killed", "com.example.why"])
async def test_a_session_that_is_killed_joins_again(fake_router: FakeRouter, reason: str) -> None:
    procedures = [Procedure("com.example.echo", _echo)]
    async with _link(fake_router.url, procedures=procedures) as link, asyncio.timeout(10):
        await link.start()
        fake_router.send([GOODBYE, {}, reason])
        await fake_router.until(REGISTER, 2)
        await link.up()
        assert not link.failed.done()


async def test_a_client_subscribes_again_after_a_cut(
    callee: Callee, client_proxy: Proxy, prefix: str, events: Any
) -> None:
    publisher = await callee()
    rejoined = asyncio.Event()
    settings = RouterSettings(url=client_proxy.url)
    async with asyncio.timeout(10), Client(settings, rejoined.set) as client:
        await client.subscribe(f"{prefix}.topic", events)
        client_proxy.cut()
        await rejoined.wait()
        await client.link.up()
        await acknowledged(publisher.publish(f"{prefix}.topic", None, {"n": 1}, {}))
        assert await events.count(1) == [{"n": 1}]


async def test_the_back_off_grows_to_a_cap(proxy: Proxy, pauses: asyncio.Queue[float]) -> None:
    proxy.refuse()
    async with _link(proxy.url, patience=None) as link, asyncio.timeout(10):
        starting = asyncio.create_task(link.start())
        delays = [await pauses.get() for _ in range(10)]
        starting.cancel()
    assert delays[:3] == [0.1, 0.2, 0.4]
    assert delays[-2:] == [5.0, 5.0]
    assert max(delays) == 5.0


async def test_a_lasting_session_resets_the_back_off_and_a_short_one_does_not(
    fake_router: FakeRouter,
    proxy: Proxy,
    pauses: asyncio.Queue[float],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    loop = asyncio.get_running_loop()
    time, ahead = loop.time, 0.0
    monkeypatch.setattr(loop, "time", lambda: time() + ahead)

    async def end_session() -> float:
        await link.up()
        fake_router.cut()
        await link.down()
        return await pauses.get()

    async with _link(fake_router.url) as link, asyncio.timeout(60):
        await link.start()
        assert [await end_session() for _ in range(4)] == [0.1, 0.2, 0.4, 0.8]
        await link.up()
        ahead += 6
        assert await end_session() == 0.1


async def test_a_connection_closed_before_the_session_opens_is_noticed(proxy: Proxy) -> None:
    proxy.slam = 3
    async with _link(proxy.url) as link, asyncio.timeout(4):
        await link.start()
    assert proxy.accepted == 4


async def test_a_websocket_closed_before_the_session_opens_is_noticed(client_proxy: Proxy) -> None:
    client_proxy.slam = 3
    async with asyncio.timeout(4), Client(RouterSettings(url=client_proxy.url)):
        assert client_proxy.accepted == 4


async def test_a_router_that_never_welcomes_is_tried_again(
    fake_router: FakeRouter, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(link_module, "CONNECT_TIMEOUT", 0.2)
    welcome = fake_router.replies.pop(HELLO)
    async with _link(fake_router.url) as link, asyncio.timeout(10):
        starting = asyncio.create_task(link.start())
        await fake_router.until(HELLO, 2)
        fake_router.replies[HELLO] = welcome
        await starting


async def test_a_stalled_websocket_is_given_up(
    client_proxy: Proxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(transports, "_PING_INTERVAL", 0.7)
    monkeypatch.setattr(transports, "_PING_TIMEOUT", 0.7)
    rejoined = asyncio.Event()
    settings = RouterSettings(url=client_proxy.url)
    async with asyncio.timeout(10), Client(settings, rejoined.set) as client:
        client_proxy.stall()
        await client.link.down()
        client_proxy.cut()
        client_proxy.flow()
        await rejoined.wait()


async def test_a_dead_peer_of_a_rawsocket_is_noticed_by_the_kernel(proxy: Proxy) -> None:
    import socket

    async with _link(proxy.url) as link:
        await link.start()
        sock = link.session._transport.transport.get_extra_info("socket")
        assert sock.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)
        assert sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE) <= 30


# --- being refused ------------------------------------------------------------------------------


async def test_a_wrong_realm_is_named_with_the_cure(addresses: Addresses) -> None:
    async with _link(addresses.component, realm="nowhere") as link, asyncio.timeout(5):
        with pytest.raises(StartError, match=r'no realm "nowhere".*router\.realm'):
            await link.start()


async def test_an_authentication_the_router_does_not_offer_is_named(addresses: Addresses) -> None:
    auth = RouterAuth(method="ticket", authid="me", secret="s3cr3t")  # type: ignore[arg-type]
    async with _link(addresses.component, auth=auth) as link, asyncio.timeout(5):
        with pytest.raises(StartError, match=r"router\.auth \(method ticket") as error:
            await link.start()
    assert "s3cr3t" not in str(error.value)


async def test_a_wrong_ticket_is_named_without_the_ticket(fake_router: FakeRouter) -> None:
    fake_router.replies[HELLO] = lambda _: [CHALLENGE, "ticket", {}]
    fake_router.replies[5] = lambda _: [
        ABORT, {"message": "ticket is invalid"}, "wamp.error.authentication_failed"
    ]  # fmt: skip
    auth = RouterAuth(method="ticket", authid="me", secret="s3cr3t")  # type: ignore[arg-type]
    async with _link(fake_router.url, auth=auth) as link, asyncio.timeout(5):
        with pytest.raises(StartError, match=r"router\.auth .*ticket is invalid") as error:
            await link.start()
    assert "s3cr3t" not in str(error.value)


async def test_a_router_that_refuses_only_while_it_starts_is_joined(
    fake_router: FakeRouter,
) -> None:
    welcome = fake_router.replies[HELLO]
    fake_router.replies[HELLO] = lambda m: (
        [ABORT, {}, "wamp.error.no_such_realm"] if len(fake_router.of(HELLO)) < 2 else welcome(m)
    )
    async with _link(fake_router.url) as link, asyncio.timeout(5):
        await link.start()


async def test_nobody_at_the_address_is_named_after_the_patience(proxy: Proxy) -> None:
    proxy.refuse()
    async with _link(proxy.url, patience=0.2) as link, asyncio.timeout(5):
        with pytest.raises(StartError, match=r"no router answers at rs://.*router\.url"):
            await link.start()


# --- calls whose session is gone ----------------------------------------------------------------


async def _serve_one(fake_router: FakeRouter, link: Link, options: dict[str, Any]) -> None:
    await link.start()
    registered = await fake_router.until(REGISTER)
    fake_router.send([INVOCATION, 9, registered[1], options, [1]])


async def test_a_handler_is_cancelled_when_its_session_is_lost(fake_router: FakeRouter) -> None:
    begun, ended = asyncio.Event(), asyncio.Event()

    async def handler(_: Call) -> None:
        begun.set()
        try:
            await asyncio.get_running_loop().create_future()
        finally:
            ended.set()

    procedures = [Procedure("com.example.p", handler)]
    with loop_errors() as errors:
        async with _link(fake_router.url, procedures=procedures) as link, asyncio.timeout(10):
            await _serve_one(fake_router, link, {})
            await begun.wait()
            fake_router.cut()
            await ended.wait()
            await fake_router.until(HELLO, 2)
    assert errors == []


async def test_a_lost_session_keeps_nobody_waiting_for_room(fake_router: FakeRouter) -> None:
    async with _link(fake_router.url) as link, asyncio.timeout(5):
        await link.start()
        session = link.session
        session.room.clear()
        fake_router.cut()
        await session.room.wait()


@pytest.mark.parametrize("ending", ["result", "error", "progress"])
async def test_a_handler_that_outlives_its_session_does_no_harm(
    fake_router: FakeRouter, ending: str
) -> None:
    begun, release, ended = asyncio.Event(), asyncio.Event(), asyncio.Event()

    async def handler(call: Call) -> Any:
        begun.set()
        while not release.is_set():
            try:
                await release.wait()
            except asyncio.CancelledError:
                continue
        ended.set()
        if ending == "error":
            raise ValueError("too late")
        if ending == "progress":
            assert call.progress is not None
            await call.progress(1)
        return "too late"

    procedures = [Procedure("com.example.p", handler)]
    with loop_errors() as errors:
        async with _link(fake_router.url, procedures=procedures) as link, asyncio.timeout(10):
            await _serve_one(fake_router, link, {"receive_progress": True})
            await begun.wait()
            first = link.session
            fake_router.cut()
            await first.closed
            await fake_router.until(HELLO, 2)
            release.set()
            await ended.wait()
            await fake_router.until(REGISTER, 2)
            await link.up()
    assert errors == []
    assert fake_router.of(YIELD) == []


async def test_an_interrupt_right_behind_its_invocation_is_answered_as_canceled(
    fake_router: FakeRouter,
) -> None:
    procedures = [Procedure("com.example.p", _never(asyncio.Event()))]
    async with _link(fake_router.url, procedures=procedures) as link:
        await link.start()
        registered = await fake_router.until(REGISTER)
        fake_router.send([INVOCATION, 9, registered[1], {}], [INTERRUPT, 9, {}])
        answer = await fake_router.until(ERROR)
    assert answer[:3] == [ERROR, INVOCATION, 9]
    assert answer[4] == "wamp.error.canceled"


async def test_a_ping_of_the_router_is_answered_and_ends_nothing(fake_router: FakeRouter) -> None:
    async with _link(fake_router.url, procedures=[Procedure("com.example.p", _echo)]) as link:
        await link.start()
        fake_router.ping(b"are you there")
        assert await fake_router.until_framed() == (2, b"are you there")
        registered = await fake_router.until(REGISTER)
        fake_router.send([INVOCATION, 9, registered[1], {}, ["x"]])
        assert (await fake_router.until(YIELD))[3] == ["x"]


async def test_a_result_that_the_router_does_not_accept_is_answered_with_an_error() -> None:
    async with FakeRouter(accepts=16_384) as router:
        async with _link(router.url, procedures=[Procedure("com.example.p", _echo)]) as link:
            with loop_errors() as errors:
                await link.start()
                registered = await router.until(REGISTER)
                router.send([INVOCATION, 9, registered[1], {}, ["x" * 20_000]])
                answer = await router.until(ERROR)
        assert answer[4] == "wamp.error.payload_size_exceeded"
        assert "than the router accepts (16384)" in answer[5][0]
        assert errors == []


# --- leaving ------------------------------------------------------------------------------------


async def test_stopping_says_goodbye_and_does_not_join_again(fake_router: FakeRouter) -> None:
    async with _link(fake_router.url) as link, asyncio.timeout(5):
        await link.start()
        await link.stop()
    assert len(fake_router.of(GOODBYE)) == 1
    assert len(fake_router.of(HELLO)) == 1
    assert not link.is_up


async def test_an_answer_that_comes_after_the_goodbye_is_dropped(
    fake_router: FakeRouter, caplog: pytest.LogCaptureFixture
) -> None:
    def part(_: list[Any]) -> None:
        fake_router.send([GOODBYE, {}, "wamp.close.goodbye_and_out"], [RESULT, 1, {}, ["late"]])

    fake_router.replies[GOODBYE] = part
    async with Client(RouterSettings(url=fake_router.url, serializer="json")) as client:
        calling = asyncio.ensure_future(client.call("com.example.slow"))
        await fake_router.until(CALL)
    with pytest.raises(Unavailable, match="lost"):
        await calling
    assert [record.getMessage() for record in caplog.records if record.levelname != "INFO"] == []


async def test_stopping_during_a_reconnect_ends_at_once(
    fake_router: FakeRouter, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(link_module, "FIRST_DELAY", 600.0)
    async with _link(fake_router.url) as link, asyncio.timeout(3):
        await link.start()
        fake_router.cut()
        await link.down()
        await link.stop()
    assert len(fake_router.of(HELLO)) == 1


async def test_stopping_while_a_router_does_not_answer_ends_at_once(
    fake_router: FakeRouter,
) -> None:
    del fake_router.replies[HELLO]
    async with _link(fake_router.url, patience=None) as link, asyncio.timeout(3):
        starting = asyncio.create_task(link.start())
        await fake_router.until(HELLO)
        await link.stop()
        starting.cancel()


async def test_stopping_a_router_that_answers_no_goodbye_ends(
    fake_router: FakeRouter, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(link_module, "_CLOSE_TIMEOUT", 0.1)
    del fake_router.replies[GOODBYE]
    async with _link(fake_router.url) as link, asyncio.timeout(3):
        await link.start()
        await link.stop()


async def test_stopping_twice_or_before_the_start_is_harmless(addresses: Addresses) -> None:
    async with asyncio.timeout(5):
        async with _link(addresses.component) as link:
            await link.stop()
            await link.stop()
        async with _link(addresses.component) as link:
            await link.start()
            await asyncio.gather(link.stop(), link.stop())


async def test_procedures_are_taken_back_one_by_one(fake_router: FakeRouter) -> None:
    procedures = [Procedure(f"com.example.p{n}", _echo) for n in range(3)]
    async with _link(fake_router.url, procedures=procedures) as link, asyncio.timeout(5):
        await link.start()
        await link.unregister([*link.registered, "com.example.unknown"])
        assert link.registered == {}
    assert len(fake_router.of(UNREGISTER)) == 3


async def test_a_cancelled_call_tells_the_router(fake_router: FakeRouter) -> None:
    async with _link(fake_router.url) as link, asyncio.timeout(5):
        await link.start()
        reply = link.session.call_procedure("com.example.p", [], {})
        request = (await fake_router.until(CALL))[1]
        reply.cancel()
        assert await fake_router.until(49) == [49, request, {"mode": "kill"}]


async def test_a_router_behind_a_rawsocket_that_falls_silent_is_noticed(
    addresses: Addresses, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(link_module, "LIFE_INTERVAL_SECONDS", 0.05)
    monkeypatch.setattr(link_module, "LIFE_TIMEOUT_SECONDS", 0.5)
    async with Proxy(addresses.component) as proxy, _link(proxy.url) as link, asyncio.timeout(15):
        await link.start()
        proxy.stall()
        lost = await link.down()
        assert lost.reason == "wamp.close.transport_lost"
        proxy.flow()
        await link.up()


async def test_a_router_that_is_busy_with_what_was_sent_is_left_alone(
    addresses: Addresses, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(link_module, "LIFE_INTERVAL_SECONDS", 0.01)
    monkeypatch.setattr(link_module, "LIFE_TIMEOUT_SECONDS", 0.5)
    asked = asyncio.Event()
    answered = asyncio.Event()

    async def ask_for_life(_: WampSession) -> None:
        asked.set()
        await answered.wait()

    monkeypatch.setattr(WampSession, "ask_for_life", ask_for_life)
    async with _link(addresses.component) as link, asyncio.timeout(10):
        await link.start()
        session = link.session
        await asked.wait()
        # It sends something, and takes something, while it owes the answer.
        for count in (1, 0) * 10:
            session.received += count
            session.sent_bytes += 1 - count
            await asyncio.sleep(0.05)
        assert link.session is session
        lost = await link.down()
        assert lost.reason == "wamp.close.transport_lost"
        answered.set()


async def test_a_router_that_answers_is_left_alone(
    addresses: Addresses, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(link_module, "LIFE_INTERVAL_SECONDS", 0.01)
    answered = asyncio.Semaphore(0)
    ask_for_life = WampSession.ask_for_life

    async def counted(session: WampSession) -> None:
        await ask_for_life(session)
        answered.release()

    monkeypatch.setattr(WampSession, "ask_for_life", counted)
    async with _link(addresses.component) as link, asyncio.timeout(10):
        await link.start()
        session = link.session
        for _ in range(20):
            await answered.acquire()
        assert link.session is session
        assert link.is_up
