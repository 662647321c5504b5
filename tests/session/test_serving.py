"""Calls are answered whatever happens: too many, too long, too large, given up, or wrong."""

from __future__ import annotations

import asyncio
import datetime
import sys
from collections.abc import AsyncIterator, Callable
from types import SimpleNamespace
from typing import Any

import pytest

from pgwamp.errors import CallError
from pgwamp.session import Call, Client, Procedure, Result, Serving
from pgwamp.settings import LimitSettings, RouterSettings
from tests.conftest import Connect, Database, Observe, Serve
from tests.servers import Addresses
from tests.session.conftest import Callee, MakeClient, ServeModule
from tests.session.proxy import Proxy

NAP = (
    "create function nap(seconds float8) returns int language sql volatile "
    "as 'select 1 from pg_sleep(seconds)'"
)
_NAPPING = (
    "select from pg_stat_activity where datname = current_database() and state = 'active' "
    "and query ilike '%nap%' and pid <> pg_backend_pid() and query not ilike 'do %'"
)
NAPPING, AWAKE = f"exists ({_NAPPING})", f"not exists ({_NAPPING})"
INTERNAL = "pgwamp.error.internal"


async def _echo(call: Call) -> Any:
    return call.args[0]


async def _error(call: Any) -> CallError:
    with pytest.raises(CallError) as error:
        async with asyncio.timeout(10):
            await call
    return error.value


# --- given up -----------------------------------------------------------------------------------


async def test_a_call_over_its_time_is_a_timeout_and_its_statement_is_cancelled(
    database: Database, serve: Serve, connect: Connect, prefix: str, observe: Observe
) -> None:
    database.execute(NAP)
    await serve(limits={"call_timeout": 0.5})
    client = await connect()
    error = await _error(client.call(f"{prefix}.nap", [600.0]))
    assert error.uri == "wamp.error.timeout"
    assert "limits.call_timeout" in error.message
    await observe(AWAKE)
    assert await client.call(f"{prefix}.nap", [0.0]) == 1


async def test_a_cancelled_call_is_answered_and_its_statement_is_cancelled(
    database: Database, serve: Serve, connect: Connect, prefix: str, observe: Observe
) -> None:
    database.execute(NAP)
    await serve()
    client = await connect()
    reply = client.link.session.call_procedure(f"{prefix}.nap", [600.0], {})
    await observe(NAPPING)
    reply.cancel()
    await observe(AWAKE)
    assert await client.call(f"{prefix}.nap", [0.0]) == 1


async def test_the_statement_of_a_caller_who_left_is_cancelled(
    database: Database,
    serve: Serve,
    connect: Connect,
    make_client: MakeClient,
    prefix: str,
    observe: Observe,
) -> None:
    database.execute(NAP)
    await serve()
    leaving, staying = await make_client(), await connect()
    pending = asyncio.ensure_future(leaving.call(f"{prefix}.nap", [600.0]))
    await observe(NAPPING)
    await leaving.link.stop()
    await asyncio.wait({pending}, timeout=5)
    await observe(AWAKE)
    assert await staying.call(f"{prefix}.nap", [0.0]) == 1


async def test_slots_come_back_after_timeouts_and_callers_who_leave(
    callee: Callee, connect: Connect, make_client: MakeClient, prefix: str
) -> None:
    begun: asyncio.Queue[None] = asyncio.Queue()

    async def never(_: Call) -> None:
        begun.put_nowait(None)
        await asyncio.get_running_loop().create_future()

    await callee(
        Procedure(f"{prefix}.never", never),
        Procedure(f"{prefix}.echo", _echo),
        concurrency=2,
        per_session=1,
        reserve=0,
        call_timeout=0.5,
    )
    client = await connect()
    async with asyncio.timeout(20):
        errors = await asyncio.gather(*(_error(client.call(f"{prefix}.never")) for _ in range(2)))
        assert {error.uri for error in errors} == {"wamp.error.timeout"}
        for _ in range(3):
            leaving = await make_client()
            pending = [asyncio.ensure_future(leaving.call(f"{prefix}.never")) for _ in range(2)]
            await begun.get()
            await leaving.link.stop()
            await asyncio.wait(pending)
        answers = [client.call(f"{prefix}.echo", [n]) for n in range(5)]
        assert await asyncio.gather(*answers) == [0, 1, 2, 3, 4]


async def test_no_more_calls_run_at_a_time_than_the_limit(
    callee: Callee, connect: Connect, prefix: str
) -> None:
    running, most = 0, 0
    release = asyncio.Event()

    async def count(_: Call) -> None:
        nonlocal running, most
        running += 1
        most = max(most, running)
        if running == 2:
            release.set()
        await release.wait()
        await asyncio.sleep(0)
        running -= 1

    await callee(Procedure(f"{prefix}.count", count), concurrency=2, per_session=1, reserve=0)
    client = await connect()
    async with asyncio.timeout(10):
        await asyncio.gather(*(client.call(f"{prefix}.count") for _ in range(20)))
    assert most == 2


async def test_a_stream_ends_when_its_whole_time_is_over(
    callee: Callee, connect: Connect, prefix: str
) -> None:
    async def forever(_: Call) -> AsyncIterator[int]:
        number = 0
        while True:
            yield number
            number += 1

    await callee(Procedure(f"{prefix}.forever", forever), call_timeout=5, stream_timeout=0.3)
    client = await connect()
    received: list[int] = []
    with pytest.raises(CallError, match=r"limits\.stream_timeout") as caught:
        async with asyncio.timeout(10):
            await client.call(f"{prefix}.forever", on_progress=received.append)
    assert caught.value.uri == "wamp.error.timeout"
    assert received[:3] == [0, 1, 2]


async def test_too_many_waiting_calls_of_a_caller_are_refused(
    callee: Callee, connect: Connect, prefix: str
) -> None:
    release = asyncio.Event()

    async def hold(_: Call) -> None:
        await release.wait()

    await callee(
        Procedure(f"{prefix}.hold", hold), concurrency=1, per_session=1, reserve=0, waiting=2
    )
    client, other = await connect(), await connect()
    # The router keeps the order of one session's calls.
    calls = [asyncio.ensure_future(client.call(f"{prefix}.hold")) for _ in range(4)]
    async with asyncio.timeout(10):
        error = await _error(calls[3])
    assert error.uri == "pgwamp.error.unavailable"
    assert "limits.waiting" in error.message
    waiting = asyncio.ensure_future(other.call(f"{prefix}.hold"))
    release.set()
    async with asyncio.timeout(10):
        await asyncio.gather(*calls[:3], waiting)


async def test_large_arguments_of_all_calls_are_bounded_and_small_ones_pass(
    callee: Callee, connect: Connect, prefix: str
) -> None:
    release, begun = asyncio.Event(), asyncio.Event()

    async def hold(_: Call) -> None:
        begun.set()
        await release.wait()

    await callee(
        Procedure(f"{prefix}.hold", hold),
        Procedure(f"{prefix}.echo", _echo),
        argument_bytes=1_000_000,
    )
    client = await connect()
    holding = asyncio.ensure_future(client.call(f"{prefix}.hold", ["x" * 400_000]))
    async with asyncio.timeout(10):
        await begun.wait()
        error = await _error(client.call(f"{prefix}.echo", ["x" * 400_000]))
        assert error.uri == "pgwamp.error.unavailable"
        assert "limits.argument_bytes" in error.message
        assert await client.call(f"{prefix}.echo", ["x" * 60_000]) == "x" * 60_000
        release.set()
        await holding
        assert await client.call(f"{prefix}.echo", ["x" * 400_000]) == "x" * 400_000


async def test_stopping_answers_the_calls_under_way(
    database: Database, serve: Serve, connect: Connect, prefix: str, observe: Observe
) -> None:
    database.execute(NAP)
    component = await serve()
    client = await connect()
    pending = asyncio.ensure_future(client.call(f"{prefix}.nap", [1.0]))
    await observe(NAPPING)
    async with asyncio.timeout(10):
        await component.stop()
        assert await pending == 1
        await component.stop()


@pytest.mark.parametrize("end", ["drain_timeout", "a second signal"])
async def test_a_call_that_lasts_longer_than_the_stop_waits_is_answered(
    database: Database,
    serve: Serve,
    connect: Connect,
    prefix: str,
    observe: Observe,
    end: str,
) -> None:
    database.execute(NAP)
    limits = {"call_timeout": 600.0}
    component = await serve(limits={**limits, "drain_timeout": 0} if "_" in end else limits)
    client = await connect()
    pending = asyncio.ensure_future(client.call(f"{prefix}.nap", [600.0]))
    await observe(NAPPING)
    if end == "a second signal":
        component.hurry()
    async with asyncio.timeout(20):
        await component.stop()
    error = await _error(pending)
    assert error.uri == "pgwamp.error.unavailable"
    assert "the component is stopping" in error.message
    await observe(AWAKE)


def test_the_stop_waits_as_long_as_a_call_may_take() -> None:
    assert LimitSettings(call_timeout=45).drain_seconds == 45
    assert LimitSettings(call_timeout=45, drain_timeout=5).drain_seconds == 5


# --- progressive results ------------------------------------------------------------------------

STREAM = """
import asyncpg
from autobahn import wamp

@wamp.register("count_to")
async def count_to(number: int):
    for n in range(number):
        yield n

@wamp.register("from_rows")
async def from_rows(number: int, connection: asyncpg.Connection):
    async for row in connection.cursor("select generate_series(1, $1) as n", number):
        yield {"n": row["n"]}

@wamp.register("fail_after")
async def fail_after(number: int):
    for n in range(number):
        yield n
    raise ValueError("s3cr3t")
"""


async def test_an_async_generator_sends_progress_or_a_list(
    serve_module: ServeModule, connect: Connect, prefix: str
) -> None:
    await serve_module(STREAM)
    client = await connect()
    for name, expected in (("count_to", [0, 1, 2]), ("from_rows", [{"n": n} for n in (1, 2, 3)])):
        seen: list[Any] = []
        async with asyncio.timeout(10):
            assert await client.call(f"{prefix}.{name}", [3]) == expected
            assert await client.call(f"{prefix}.{name}", [3], on_progress=seen.append) is None
            assert await client.call(f"{prefix}.{name}", [0]) == []
        assert seen == expected


async def test_an_async_generator_that_fails_is_answered(
    serve_module: ServeModule, connect: Connect, prefix: str
) -> None:
    await serve_module(STREAM)
    client = await connect()
    seen: list[Any] = []
    error = await _error(client.call(f"{prefix}.fail_after", [2], on_progress=seen.append))
    assert (seen, error.uri) == ([0, 1], INTERNAL)
    assert "s3cr3t" not in f"{error.message} {error.details}"


async def test_a_list_of_results_is_bounded_but_progress_is_not(
    serve_module: ServeModule, connect: Connect, prefix: str
) -> None:
    await serve_module(STREAM, limits={"max_rows": 10})
    client = await connect()
    error = await _error(client.call(f"{prefix}.count_to", [11]))
    assert error.uri == "pgwamp.error.too_many_rows"
    assert "progressive" in error.message
    seen: list[Any] = []
    await client.call(f"{prefix}.count_to", [500], on_progress=seen.append)
    assert seen == list(range(500))


async def test_a_generator_left_early_is_closed_before_the_answer(
    callee: Callee, connect: Connect, prefix: str
) -> None:
    closed, made = asyncio.Event(), []

    async def many() -> AsyncIterator[int]:
        try:
            for n in range(100):
                yield n
        finally:
            closed.set()

    def handler(_: Call) -> AsyncIterator[int]:
        # Referred to from here, it is not collected.
        made.append(many())
        return made[-1]

    await callee(Procedure(f"{prefix}.many", handler), max_rows=10)
    client = await connect()
    error = await _error(client.call(f"{prefix}.many"))
    assert error.uri == "pgwamp.error.too_many_rows"
    assert closed.is_set()


@pytest.mark.parametrize(
    ("item", "told"),
    [("x" * 6000, "bytes that a message holds"), ([1] * 120_000, "200000 values")],
)
async def test_a_list_of_results_is_no_larger_than_one_result(
    callee: Callee, connect: Connect, prefix: str, item: Any, told: str
) -> None:
    made: list[Any] = []

    async def many(_: Call) -> AsyncIterator[Any]:
        while len(made) < 100:
            made.append(item)
            yield item

    max_bytes = 10_000 if isinstance(item, str) else 10_000_000
    await callee(Procedure(f"{prefix}.many", many), max_bytes=max_bytes)
    client = await connect()
    error = await _error(client.call(f"{prefix}.many"))
    assert error.uri == "wamp.error.payload_size_exceeded"
    assert told in error.message
    assert len(made) == 2


async def test_a_generator_given_up_is_closed(
    callee: Callee, connect: Connect, prefix: str
) -> None:
    closed = asyncio.Event()

    async def forever(_: Call) -> AsyncIterator[int]:
        try:
            yield 1
            await asyncio.get_running_loop().create_future()
        finally:
            closed.set()

    await callee(Procedure(f"{prefix}.forever", forever), call_timeout=0.3)
    client = await connect()
    assert (await _error(client.call(f"{prefix}.forever"))).uri == "wamp.error.timeout"
    async with asyncio.timeout(5):
        await closed.wait()


async def test_a_stream_may_end_with_the_result_of_the_call(
    callee: Callee, connect: Connect, prefix: str
) -> None:
    async def rows(_: Call) -> AsyncIterator[Any]:
        yield 1
        yield 2
        yield Result("done", {"count": 2})

    await callee(Procedure(f"{prefix}.rows", rows, portable=False))
    client = await connect()
    seen: list[Any] = []
    uri = f"{prefix}.rows"
    assert await client.call_full(uri, on_progress=seen.append) == ("done", {"count": 2})
    assert seen == [1, 2]
    assert await client.call_full(uri) == ([1, 2], {"count": 2})


async def test_a_handler_may_send_progress_itself(
    callee: Callee, connect: Connect, prefix: str
) -> None:
    async def work(call: Call) -> str:
        for n in range(3):
            if call.progress is not None:
                await call.progress(n)
        return "done"

    await callee(Procedure(f"{prefix}.work", work))
    client = await connect()
    seen: list[Any] = []
    assert await client.call(f"{prefix}.work", on_progress=seen.append) == "done"
    assert seen == [0, 1, 2]
    assert await client.call(f"{prefix}.work") == "done"


async def test_a_stream_has_its_time_for_each_item(
    callee: Callee, connect: Connect, prefix: str
) -> None:
    async def slow(call: Call) -> AsyncIterator[int]:
        for n in range(call.args[0]):
            await asyncio.sleep(call.args[1])
            yield n

    await callee(Procedure(f"{prefix}.slow", slow), call_timeout=0.5)
    client = await connect()
    seen: list[Any] = []
    assert await client.call(f"{prefix}.slow", [4, 0.2], on_progress=seen.append) is None
    assert seen == [0, 1, 2, 3]
    assert (await _error(client.call(f"{prefix}.slow", [4, 0.2]))).uri == "wamp.error.timeout"
    late = client.call(f"{prefix}.slow", [2, 5], on_progress=seen.append)
    assert (await _error(late)).uri == "wamp.error.timeout"
    assert seen == [0, 1, 2, 3]


ROWS = """
import asyncio

import asyncpg
from autobahn import wamp

ENDED = asyncio.Queue()

@wamp.register("rows")
async def rows(connection: asyncpg.Connection):
    try:
        async for row in connection.cursor("select generate_series(1, 100000000) as n"):
            yield row["n"]
    finally:
        ENDED.put_nowait(await connection.fetchval("select 'in its transaction'"))
"""
_STREAMING = (
    "select from pg_stat_activity where datname = current_database() "
    "and query ilike '%generate_series%' and state <> 'idle' "
    "and pid <> pg_backend_pid() and query not ilike 'do %'"
)


@pytest.mark.parametrize("how", ["cancels", "leaves"])
async def test_a_caller_who_gives_up_a_stream_ends_it_at_once(
    serve_module: ServeModule, make_client: MakeClient, prefix: str, observe: Observe, how: str
) -> None:
    component = await serve_module(ROWS)
    [module] = component._settings.expose.procedures
    client = await make_client()
    flowing = asyncio.Event()
    reply = client.link.session.call_procedure(f"{prefix}.rows", [], {}, lambda _: flowing.set())
    async with asyncio.timeout(10):
        await flowing.wait()
    await observe(f"exists ({_STREAMING})")
    async with asyncio.timeout(1):
        if how == "cancels":
            reply.cancel()
        else:
            await client.link.stop()
        await observe(f"not exists ({_STREAMING})")
        # The server may have begun this statement while its answer is still on the way.
        assert await sys.modules[module].ENDED.get() == "in its transaction"


async def test_a_stream_waits_while_the_router_does_not_read(
    callee: Callee, connect: Connect, proxy: Proxy, prefix: str
) -> None:
    made = 0

    async def large(_: Call) -> AsyncIterator[str]:
        nonlocal made
        for _n in range(300):
            made += 1
            yield "x" * 100_000

    link = await callee(Procedure(f"{prefix}.large", large), url=proxy.url)
    client = await connect()
    got: list[int] = []
    flowing = asyncio.Event()

    def take(item: str) -> None:
        got.append(len(item))
        flowing.set()

    async with asyncio.timeout(30):
        call = asyncio.ensure_future(client.call(f"{prefix}.large", on_progress=take))
        await flowing.wait()
        proxy.stall()
        # What was on its way when the proxy stopped may still make room for some.
        before = 0
        while before < made or link.session.room.is_set():
            before = made
            for _ in range(1000):
                await asyncio.sleep(0)
        assert made < 300
        proxy.flow()
        assert await call is None
    assert got == [100_000] * 300


async def test_results_that_a_full_transport_does_not_take_wait_in_turn_between_callers() -> None:
    sent: list[str] = []
    room = asyncio.Event()

    async def large(call: Call) -> AsyncIterator[str]:
        yield str(call.caller.authid)

    def progress(item: str) -> None:
        # Each fills the transport.
        sent.append(item)
        room.clear()

    serving = Serving(LimitSettings(), "realm1", {"com.example.large": Procedure("", large)})
    endpoint = serving.endpoint("com.example.large", room.wait, 1_000_000)
    calls = [
        asyncio.create_task(endpoint([], {}, details(authid, progress)))
        for authid in ("anna", "anna", "anna", "anna", "ben")
    ]
    await settle()
    for number in range(1, 6):
        room.set()
        await settle()
        assert len(sent) == number
    assert sent.index("ben") <= 2
    room.set()
    await asyncio.wait_for(asyncio.gather(*calls), 10)


async def test_no_call_begins_while_a_full_transport_takes_no_answers() -> None:
    begun: list[str] = []
    room = asyncio.Event()

    async def large(call: Call) -> str:
        begun.append(str(call.caller.authid))
        # Its answer fills the transport.
        room.clear()
        return ""

    serving = Serving(LimitSettings(), "realm1", {"com.example.large": Procedure("", large)})
    endpoint = serving.endpoint("com.example.large", room.wait, 1_000_000)
    calls = [
        asyncio.create_task(endpoint([], {}, details(authid, None)))
        for authid in (*["anna"] * 30, "ben")
    ]
    for number in range(5):
        await settle()
        assert len(begun) == number
        room.set()
    assert "ben" in begun
    while not all(call.done() for call in calls):
        room.set()
        await settle()


def details(authid: str, progress: Callable[[Any], None] | None) -> Any:
    """What Autobahn tells of a call."""
    return SimpleNamespace(
        caller=1, caller_authid=authid, caller_authrole="anonymous", progress=progress
    )


async def settle() -> None:
    """Let everything go as far as it can."""
    for _ in range(50):
        await asyncio.sleep(0)


@pytest.mark.parametrize("role", ["component", "clients"], ids=["rawsocket", "websocket"])
async def test_a_session_knows_when_its_transport_is_full(addresses: Addresses, role: str) -> None:
    async with (
        asyncio.timeout(20),
        Proxy(getattr(addresses, role)) as proxy,
        Client(RouterSettings(url=proxy.url)) as client,
    ):
        session = client.link.session
        assert session.room.is_set()
        proxy.stall()
        while session.room.is_set():
            session.call_procedure("com.example.nobody", ["x" * 100_000], {}).cancel()
            await asyncio.sleep(0)
        proxy.flow()
        await session.room.wait()


# --- results that cannot leave ------------------------------------------------------------------


@pytest.mark.parametrize("serializer", ["json", "msgpack", "cbor"])
@pytest.mark.parametrize(
    "value",
    [datetime.datetime(2024, 1, 1), {1}, float("nan"), {1: 2}, "\0x", {"\0x": 1}, 2**70, "\ud800"],
    ids=["datetime", "set", "nan", "int-key", "nul", "nul-key", "big-int", "surrogate"],
)
async def test_a_result_that_is_not_portable_is_an_error_and_no_hang(
    callee: Callee, connect: Connect, prefix: str, serializer: str, value: Any
) -> None:
    async def give(_: Call) -> Any:
        return value

    async def give_beside(_: Call) -> Any:
        return Result(1, {"next": value})

    async def stream(_: Call) -> AsyncIterator[Any]:
        yield value

    link = await callee(
        Procedure(f"{prefix}.give", give, portable=False),
        Procedure(f"{prefix}.beside", give_beside, portable=False),
        Procedure(f"{prefix}.stream", stream, portable=False),
        Procedure(f"{prefix}.echo", _echo),
        serializer="cbor",
    )
    client = await connect(serializer)
    before = link.session
    for name in ("give", "beside", "stream"):
        assert (await _error(client.call(f"{prefix}.{name}"))).uri == INTERNAL
    progress = client.call(f"{prefix}.stream", on_progress=print)
    assert (await _error(progress)).uri == INTERNAL
    assert await client.call(f"{prefix}.echo", [1]) == 1
    assert link.session is before


async def test_a_result_over_the_limit_is_an_error_with_advice(
    callee: Callee, connect: Connect, prefix: str
) -> None:
    async def large(_: Call) -> str:
        return "x" * 20_000

    async def stream(_: Call) -> AsyncIterator[str]:
        yield "x" * 20_000

    async def complain(_: Call) -> None:
        raise CallError("x" * 20_000, uri="com.example.error")

    link = await callee(
        Procedure(f"{prefix}.large", large),
        Procedure(f"{prefix}.stream", stream),
        Procedure(f"{prefix}.complain", complain),
        Procedure(f"{prefix}.echo", _echo),
        max_bytes=10_000,
    )
    client = await connect()
    before = link.session
    for call in (
        client.call(f"{prefix}.large"),
        client.call(f"{prefix}.stream"),
        client.call(f"{prefix}.stream", on_progress=print),
    ):
        error = await _error(call)
        assert error.uri == "wamp.error.payload_size_exceeded"
        assert "limits.max_bytes" in error.message
        assert "fewer rows" in error.message
    assert (await _error(client.call(f"{prefix}.complain"))).uri == "com.example.error"
    assert await client.call(f"{prefix}.echo", [1]) == 1
    assert link.session is before


# --- errors -------------------------------------------------------------------------------------

FAILING = """
from autobahn import wamp

@wamp.register("raises")
async def raises():
    raise ValueError("s3cr3t select 1 from passwords")

@wamp.register("half")
async def half(number: int) -> float:
    return number / 2
"""


async def test_the_details_of_an_error_are_keyword_arguments(
    callee: Callee, connect: Connect, prefix: str
) -> None:
    async def fail(_: Call) -> None:
        details: dict[str, Any] = {"hint": "do", "none": None, "callee": 5, "enc_algo": "x"}
        raise CallError("no", uri="com.example.error", **details)

    await callee(Procedure(f"{prefix}.fail", fail))
    error = await _error((await connect()).call(f"{prefix}.fail"))
    assert (error.uri, error.message) == ("com.example.error", "no")
    assert error.details == {"hint": "do"}


async def test_an_error_holds_no_traceback_secret_or_statement(
    database: Database, serve_module: ServeModule, connect: Connect, prefix: str
) -> None:
    database.execute(
        "create function fails() returns int language plpgsql as "
        "$$ begin perform 's3cr3t' as passwords, 1 / 0; return 1; end $$"
    )
    await serve_module(FAILING)
    client = await connect()
    raised = await _error(client.call(f"{prefix}.raises"))
    failed = await _error(client.call(f"{prefix}.fails"))
    wrong = await _error(client.call(f"{prefix}.half", ["many"]))
    assert raised.uri == INTERNAL
    assert (failed.uri, failed.message) == ("pgwamp.error.division_by_zero", "division by zero")
    assert (wrong.uri, wrong.details) == ("wamp.error.invalid_argument", {"argument": "number"})
    for error in (raised, failed, wrong):
        text = f"{error.uri} {error.message} {error.details}".lower()
        for word in ("s3cr3t", "passwords", "traceback", "select", ".py"):
            assert word not in text


async def test_arguments_of_any_name_go_into_one_positional_dict(
    database: Database, serve: Serve, connect: Connect, prefix: str
) -> None:
    database.execute(
        "create function join_all(options text, procedure text, details text) returns text "
        "language sql immutable as 'select concat_ws(''-'', options, procedure, details)'"
    )
    await serve()
    client = await connect()
    named = {"options": "a", "procedure": "b", "details": "c"}
    assert await client.call(f"{prefix}.join_all", [named]) == "a-b-c"
    assert await client.call(f"{prefix}.join_all", [], named) == "a-b-c"
