"""No message ends the session: hostile callers harm their own calls, nobody else's.

The callers write their messages by hand and send them through the real router. The router refuses
some by closing the caller's own connection (``closed``). Others it takes, and then cannot write in
the serializer of the component: it has no answer for that one call (``unanswered``).
"""

from __future__ import annotations

import asyncio
import contextlib
import struct
from collections.abc import AsyncIterator
from typing import Any

import pytest
from autobahn.wamp.exception import ApplicationError

from pgwamp.errors import CallError
from pgwamp.session import Call, Client, Link, Procedure, PublishRefused, Result
from pgwamp.settings import RouterSettings
from tests.conftest import Connect, Events
from tests.hostile.fragments import (
    BAD_KEYS,
    BAD_NUMBERS,
    BAD_TEXTS,
    EMPTY,
    OTHERS,
    shared_references,
)
from tests.raw import RawClient, array, encode, nested
from tests.servers import Addresses
from tests.session.conftest import Callee
from tests.session.router import (
    CALL,
    ERROR,
    EVENT,
    INVOCATION,
    PUBLISH,
    SUBSCRIBE,
    SUBSCRIBED,
    YIELD,
    FakeRouter,
)

SERIALIZERS = ("msgpack", "cbor", "json")
INVALID = "wamp.error.invalid_argument"
#: How the router itself fails a call.
UNANSWERED, CLOSED = "unanswered", "closed"
DEPTHS = (90, 99, 101, 300, 399, 401, 500, 900, 990, 1023, 1100)


async def _echo(call: Call) -> Any:
    return [call.args, call.kwargs]


async def _ping(_: Call) -> int:
    return 1


@contextlib.asynccontextmanager
async def _bystander(client: Client, uri: str) -> AsyncIterator[None]:
    """Call all the time, one call after the other; none may fail."""
    done = False

    async def call() -> int:
        number = 0
        while not done or not number:
            async with asyncio.timeout(20):
                assert await client.call(uri) == 1
            number += 1
        return number

    calling = asyncio.create_task(call())
    try:
        yield
    finally:
        done = True
        assert await calling > 0


@pytest.mark.parametrize("theirs", SERIALIZERS)
@pytest.mark.parametrize("ours", SERIALIZERS)
async def test_no_call_ends_the_session(
    callee: Callee, connect: Connect, addresses: Addresses, prefix: str, ours: str, theirs: str
) -> None:
    echo, ping = f"{prefix}.echo", f"{prefix}.ping"
    link = await callee(Procedure(echo, _echo), Procedure(ping, _ping), serializer=ours)
    session = link.session

    async def answer(arguments: bytes, keywords: bytes | None = None) -> Any:
        async with RawClient(addresses.component, theirs) as caller:
            return await caller.call(echo, arguments, keywords, after=ping)

    hostile = [
        value for values in (BAD_KEYS, BAD_TEXTS, BAD_NUMBERS, OTHERS) for value in values[theirs]
    ]
    async with _bystander(await connect("json"), ping):
        for value in hostile:
            found = await answer(array(theirs, [value]))
            assert _is_failed(found) or _is_changed(found), value
        for depth in DEPTHS:
            found = await answer(nested(theirs, depth))
            if depth <= 101:
                assert isinstance(found, list), depth
            else:
                assert _is_failed(found), depth
        for name in ("fun", "self", "details", "args", "call details"):
            found = await answer(EMPTY[theirs], encode(theirs, {name: 1}))
            assert found == [[], {name: 1}]
    assert link.session is session


def _is_failed(found: Any) -> bool:
    return found in (UNANSWERED, CLOSED) or (isinstance(found, tuple) and found[0] == INVALID)


def _is_changed(found: Any) -> bool:
    """Whether it means something portable, or the router made that of it, as for JSON."""
    changed = (
        [5, "\0AQ=="], [5, b"\1"], {"1": 2}, {"null": 2}, "2E+1", None,
        "2013-03-21T20:04:00.000Z", "1970-01-01T00:00:01.000Z",
    )  # fmt: skip
    return isinstance(found, list) and found[0][0] in changed


@pytest.mark.parametrize("theirs", SERIALIZERS)
@pytest.mark.parametrize("ours", SERIALIZERS)
async def test_arguments_at_the_ends_of_what_is_portable_arrive(
    callee: Callee, addresses: Addresses, prefix: str, ours: str, theirs: str
) -> None:
    await callee(Procedure(f"{prefix}.echo", _echo), serializer=ours)
    values = [2**64 - 1, -(2**63), 1.5, "\U0001f600", "", {"": [None, True]}]
    async with RawClient(addresses.component, theirs) as caller:
        found = await caller.call(f"{prefix}.echo", encode(theirs, values))
    assert found == [values, {}]


@pytest.mark.parametrize("theirs", SERIALIZERS)
@pytest.mark.parametrize("ours", SERIALIZERS)
async def test_a_procedure_can_answer_the_deepest_arguments_within_its_result(
    callee: Callee, addresses: Addresses, prefix: str, ours: str, theirs: str
) -> None:
    await callee(Procedure(f"{prefix}.echo", _echo, portable=False), serializer=ours)
    async with RawClient(addresses.component, theirs) as caller:
        found = await caller.call(f"{prefix}.echo", nested(theirs, 100))
    assert isinstance(found, list)


@pytest.mark.parametrize(
    ("ours", "theirs", "value", "told"),
    [
        ("cbor", "json", b"18446744073709551616", "args[0]: an integer beyond 64 bits; write it"),
        ("json", "cbor", b"\xc2\x49" + b"\xff" * 9, "args[0]: an integer beyond 64 bits; write it"),
        ("cbor", "cbor", b"\x3b" + b"\xff" * 8, "args[0]: an integer beyond 64 bits; write it"),
        ("msgpack", "json", b"NaN", 'args[0]: nan; write it as the string "NaN"'),
        ("msgpack", "cbor", b"\xf9\x7c\x00", 'args[0]: inf; write it as the string "Infinity"'),
        ("msgpack", "msgpack", b"\xa2\0a", "args[0]: text that begins with NUL"),
        ("msgpack", "cbor", b"\xa1\x01\x02", "have text as the keys of a dict"),
        ("cbor", "cbor", b"\xd9\x01\x02\x81\x01", "args[0]: a set; send a list"),
        ("msgpack", "json", b"[" * 400 + b"]" * 400, "args[0]: nested deeper than 100 levels"),
    ],
)
async def test_the_error_names_the_place_and_the_cure(
    callee: Callee,
    addresses: Addresses,
    prefix: str,
    ours: str,
    theirs: str,
    value: bytes,
    told: str,
) -> None:
    await callee(Procedure(f"{prefix}.echo", _echo), serializer=ours)
    async with RawClient(addresses.component, theirs) as caller:
        uri, message = await caller.call(f"{prefix}.echo", array(theirs, [value]))
    assert uri == INVALID
    assert told in message


@pytest.mark.parametrize(
    ("theirs", "value"),
    [
        ("json", b"18446744073709551616"),
        ("json", b'"\\ud800"'),
        ("cbor", b"\xc1\x01"),
        ("cbor", b"\xf7"),
        ("cbor", b"\xd8\x40\x41\x01"),
    ],
    ids=["large integer", "half a character", "date", "undefined", "typed array"],
)
async def test_the_router_has_no_answer_for_what_msgpack_cannot_hold(
    callee: Callee, addresses: Addresses, prefix: str, theirs: str, value: bytes
) -> None:
    """Documented in docs/calls.md; a component on CBOR answers all but half a character."""
    await callee(Procedure(f"{prefix}.echo", _echo), Procedure(f"{prefix}.ping", _ping),
                 serializer="msgpack")  # fmt: skip
    async with RawClient(addresses.component, theirs) as caller:
        found = await caller.call(f"{prefix}.echo", array(theirs, [value]), after=f"{prefix}.ping")
    assert found == UNANSWERED


@pytest.mark.parametrize("ours", ["msgpack", "cbor"])
async def test_too_many_values_are_refused(
    callee: Callee, connect: Connect, addresses: Addresses, prefix: str, ours: str
) -> None:
    link = await callee(Procedure(f"{prefix}.echo", _echo), serializer=ours)
    session = link.session
    million = b"\xdd" + struct.pack("!I", 1_000_000) + b"\x90" * 1_000_000
    for theirs, arguments in (("cbor", shared_references()), ("msgpack", b"\x91" + million)):
        async with RawClient(addresses.component, theirs) as caller:
            uri, message = await caller.call(f"{prefix}.echo", arguments)
        assert uri == INVALID
        assert "limits.max_values" in message
    client = await connect("msgpack")
    assert await client.call(f"{prefix}.echo", [1]) == [[1], {}]
    large = "1,é,2\n" * 1_500_000
    assert (await client.call(f"{prefix}.echo", [large], {"b": b"x"}))[0] == [large]
    assert link.session is session


# --- what the router sends ----------------------------------------------------------------------

#: Deeper than any Python reads.
DEEP = b"[" * 20_000 + b"]" * 20_000


async def _registered(callee: Callee, router: FakeRouter, **limits: Any) -> tuple[Link, int]:
    link = await callee(Procedure("com.example.ping", _ping), url=router.url, **limits)
    return link, next(iter(link.registered.values()))


async def test_an_invocation_that_cannot_be_read_is_answered(
    callee: Callee, fake_router: FakeRouter
) -> None:
    link, registration = await _registered(callee, fake_router)
    session = link.session
    fake_router.send_bytes(b"[68,7,%d,{},%s]" % (registration, DEEP))
    error = await fake_router.until(ERROR)
    assert error[1:3] == [INVOCATION, 7]
    assert error[4] == INVALID
    assert "nest at most 100 levels" in error[5][0]
    fake_router.send([INVOCATION, 8, registration, {}])
    assert (await fake_router.until(YIELD))[1] == 8
    assert link.session is session


async def test_an_invocation_of_too_many_values_is_not_read(
    callee: Callee, fake_router: FakeRouter
) -> None:
    _, registration = await _registered(callee, fake_router, max_values=100)
    for number, request, values in ((1, 7, 101), (2, 8, 100_000)):
        fake_router.send([INVOCATION, request, registration, {}, [0] * values])
        error = await fake_router.until(ERROR, number)
        assert error[2:5] == [request, {}, INVALID]
        assert "limits.max_values" in error[5][0]


@pytest.mark.parametrize(
    "frame",
    [
        b"",
        b"[",
        b"{}",
        b"[]",
        b"[99]",
        b'["a"]',
        b"[36,1,2,{},%s]" % DEEP,
        b"[36,1,2,{}]",
        b"[50,99,{}]",
        b"[17,99,1]",
        b"[8,48,99,{},%s]" % DEEP,
        b"[69,1,{}]",
        b"\xff\xfe",
    ],
)
async def test_a_message_that_is_none_is_dropped(
    callee: Callee, fake_router: FakeRouter, frame: bytes
) -> None:
    link, registration = await _registered(callee, fake_router)
    session = link.session
    fake_router.send_bytes(frame)
    fake_router.send([INVOCATION, 8, registration, {}])
    assert (await fake_router.until(YIELD))[1] == 8
    assert link.session is session


async def test_a_call_of_what_was_unregistered_is_answered(
    callee: Callee, fake_router: FakeRouter
) -> None:
    await _registered(callee, fake_router)
    fake_router.send([INVOCATION, 7, 4711, {}])
    error = await fake_router.until(ERROR)
    assert error[2:5] == [7, {}, "wamp.error.no_such_procedure"]


@pytest.mark.parametrize(
    "answer",
    [
        b'[50,%d,{},[1],{"a":' + DEEP + b"}]",
        b'[50,%d,{},[1],{"self":1}]',
        b'[8,48,%d,{},"a.b",' + DEEP + b"]",
        b'[8,48,%d,{},"a.b",["x"],{"error":1}]',
    ],
    ids=["deep result", "result named self", "deep error", "error named error"],
)
async def test_an_answer_that_cannot_be_read_fails_its_call(
    callee: Callee, fake_router: FakeRouter, answer: bytes
) -> None:
    link, _ = await _registered(callee, fake_router)
    session = link.session
    reply = session.call_procedure("com.example.other", [], {})
    request = (await fake_router.until(CALL))[1]
    fake_router.send_bytes(answer % request)
    with pytest.raises(ApplicationError):
        async with asyncio.timeout(10):
            await reply
    assert link.session is session
    assert not session.closed.done()


async def test_an_event_that_cannot_be_read_is_dropped_and_the_next_arrives(
    fake_router: FakeRouter, events: Events
) -> None:
    fake_router.replies[SUBSCRIBE] = lambda message: [SUBSCRIBED, message[1], 5]
    settings = RouterSettings(url=fake_router.url, serializer="json")
    async with asyncio.timeout(10), Client(settings) as client:
        await client.subscribe("com.example.topic", events)
        fake_router.send_bytes(b"[36,5,1,{},%s]" % DEEP)
        fake_router.send([EVENT, 5, 2, {}, [2], {"fun": 1, "self": 2, "details": 3}])
        await events.until(lambda received: len(received) > 0)
    assert events.received == [
        ("com.example.topic", [2], {"fun": 1, "self": 2, "details": 3}),
    ]


# --- what we send -------------------------------------------------------------------------------

#: Taken as portable by a procedure that promises so, and no serializer writes them.
UNWRITABLE: Any = [object(), {1: 2}, "\ud800", 2**70, float]


@pytest.mark.parametrize("ours", ["msgpack", "json"])
async def test_a_result_that_cannot_be_written_is_an_error(
    callee: Callee, connect: Connect, prefix: str, ours: str
) -> None:
    async def give(call: Call) -> Any:
        return UNWRITABLE[call.args[0]]

    async def beside(call: Call) -> Any:
        return Result(1, {"next": UNWRITABLE[call.args[0]]})

    async def stream(call: Call) -> AsyncIterator[Any]:
        yield UNWRITABLE[call.args[0]]

    async def complain(call: Call) -> Any:
        raise CallError(
            "\0\ud800", uri="com.example.no", hint="\0x", value=UNWRITABLE[call.args[0]]
        )

    async def misname(_: Call) -> Any:
        raise CallError("no", uri="not a uri")

    handlers = {"give": give, "beside": beside, "stream": stream, "misname": misname}
    link = await callee(
        *(Procedure(f"{prefix}.{name}", handler) for name, handler in handlers.items()),
        Procedure(f"{prefix}.complain", complain),
        serializer=ours,
    )
    session = link.session
    client = await connect("json")
    async with asyncio.timeout(20):
        for index in range(len(UNWRITABLE)):
            for name in handlers:
                for on_progress in (None, print):
                    with pytest.raises(CallError) as error:
                        await client.call(f"{prefix}.{name}", [index], on_progress=on_progress)
                    assert error.value.uri == "pgwamp.error.internal"
            with pytest.raises(CallError) as error:
                await client.call(f"{prefix}.complain", [index])
            assert error.value.uri == "com.example.no"
            assert error.value.message == "\\x00\\ud800"
            assert error.value.details["hint"] == "\\x00x"
    assert link.session is session


async def test_an_event_that_cannot_be_written_is_refused(
    callee: Callee, fake_router: FakeRouter
) -> None:
    link, _ = await _registered(callee, fake_router)
    for value in UNWRITABLE:
        with pytest.raises(PublishRefused, match="cannot be serialized"):
            link.publish("com.example.topic", [value], None, {})
    link.publish("com.example.topic", [1], None, {})
    assert (await fake_router.until(PUBLISH))[4] == [1]


async def test_a_call_that_cannot_be_written_fails(connect: Connect, prefix: str) -> None:
    client = await connect("msgpack")
    for value in UNWRITABLE:
        with pytest.raises(CallError, match="cannot be serialized"):
            await client.call(f"{prefix}.any", [value])
