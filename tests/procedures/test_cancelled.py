"""A cancel, a deadline or a stop ends a call, whatever it meets: it is never lost."""

from __future__ import annotations

import asyncio
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import asyncpg
import pytest
from autobahn.wamp.exception import ApplicationError

from pgwamp.access import Caller
from pgwamp.component import Component
from pgwamp.database import committing, pooled
from pgwamp.database.lending import Lender
from pgwamp.database.pooled import PooledConnection
from pgwamp.errors import CallError, Canceled, OutcomeUnknown, SchemaChanged
from pgwamp.session import Call, Procedure, Serving
from pgwamp.settings import LimitSettings
from tests.conftest import Connect, Database, Observe, Serve
from tests.servers import CALLS

SLEEPS = (
    "exists (select from pg_stat_activity where datname = current_database() "
    "and wait_event = 'PgSleep' and query not like 'do %')"
)


#: Details of a call, as the router makes it.
ANNA: Any = SimpleNamespace(
    caller=1, caller_authid="anna", caller_authrole="anonymous", progress=None
)


def waits_at_commit(canceled: str) -> tuple[str, ...]:
    """Have a row of ``item`` wait at its COMMIT.

    :param canceled: the statement that a cancel leads to.
    """
    return (
        "create table item (id int primary key)",
        "create function waits() returns trigger language plpgsql as $$ begin begin "
        f"perform pg_sleep(60); exception when query_canceled then {canceled}; end; "
        "return null; end $$",
        "create constraint trigger waits after insert on item deferrable initially deferred "
        "for each row when (new.id = 1) execute function waits()",
    )


async def room() -> None:
    """There is room in the transport."""


async def refusal(
    component: Component, prefix: str, name: str, *args: Any, **limits: Any
) -> ApplicationError:
    """Return the error of a call that is served as the router's."""
    serving = Serving(LimitSettings(**limits), "realm1", component.exposure.procedures)
    async with asyncio.timeout(10):
        with pytest.raises(ApplicationError) as error:
            await serving.endpoint(f"{prefix}.{name}", room, 1_000_000)(list(args), {}, ANNA)
    return error.value


def begin(component: Component, prefix: str, name: str, *args: Any) -> asyncio.Future[Any]:
    """Call a procedure as its own task."""
    uri = f"{prefix}.{name}"
    handler = component.exposure.procedures[uri].handler
    answer: Any = handler(Call(list(args), {}, Caller("realm1", uri)))
    return asyncio.ensure_future(answer)


@pytest.mark.parametrize("cancels", [1, 2])
async def test_a_write_that_commits_in_spite_of_a_cancel_is_answered(
    serve: Serve, database: Database, prefix: str, observe: Observe, cancels: int
) -> None:
    database.execute(*waits_at_commit("null"))
    component = await serve()
    writing = begin(component, prefix, "item.insert", [{"id": 1}, {"id": 2}])
    await observe(SLEEPS)
    for _ in range(cancels):
        writing.cancel()
        # It takes note of it.
        await asyncio.sleep(0)
    assert await writing == [{"id": 1}, {"id": 2}]


@pytest.mark.parametrize(
    ("name", "args"),
    [
        ("child.insert", [[{"id": 1, "item": 1}, {"id": 2, "item": 1}]]),
        ("adds", []),
        ("batch", [[{"procedure": "adds"}]]),
    ],
)
@pytest.mark.parametrize("pooler", [False, True])
async def test_a_commit_that_waits_is_cancelled_in_the_server_and_changes_nothing(
    serve: Serve,
    database: Database,
    prefix: str,
    observe: Observe,
    name: str,
    args: list[Any],
    pooler: bool,
) -> None:
    database.execute(
        "create table item (id int primary key)",
        "create table child (id int primary key, "
        "item int references item deferrable initially deferred)",
        "insert into item values (1)",
        "create function adds() returns void language sql as 'insert into child values (1, 1)'",
    )
    component = await serve(database={"pooler": pooler})
    other = await database.connect()
    holding = other.transaction()
    await holding.start()
    await other.execute("select from item for update")
    writing = begin(component, prefix, name, *args)
    waits = (
        "exists (select from pg_stat_activity where datname = current_database() "
        "and wait_event_type = 'Lock')"
    )
    await observe(waits)
    writing.cancel()
    with pytest.raises(asyncio.CancelledError):
        await writing
    await observe(f"not {waits}")
    assert component.database.usage()["write"][0] == 0
    await holding.rollback()
    assert await other.fetchval("select count(*) from child") == 0
    await other.close()


async def test_a_cancel_that_meets_the_reset_after_a_commit_leaves_the_outcome_unknown(
    serve: Serve, database: Database, prefix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Behind a pooler both are one message, and the server does not say what was cancelled."""
    database.execute("create table item (id int primary key)")
    component = await serve(database={"pooler": True})
    monkeypatch.setattr(committing, "reset_after_transaction", lambda: "begin; select pg_sleep(60)")
    monkeypatch.setattr(committing, "LEAVING_SECONDS", 0.2)
    begun = asyncio.Event()
    commit = committing.commit

    async def commit_and_tell(*args: Any, **kwargs: Any) -> None:
        begun.set()
        await commit(*args, **kwargs)

    monkeypatch.setattr(committing, "commit", commit_and_tell)
    writing = begin(component, prefix, "item.insert", {"id": 1})
    await begun.wait()
    writing.cancel()
    with pytest.raises(OutcomeUnknown):
        await writing
    connection = await database.connect()
    assert await connection.fetchval("select count(*) from item") == 1
    await connection.close()


async def test_all_that_a_call_waits_for_as_it_leaves_shares_one_time(
    serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    component = await serve()
    caller = Caller("realm1", "a.b")
    async with component.database.transaction(caller, read_only=True) as lent:
        connection: Any = lent._con  # type: ignore[attr-defined]
        monkeypatch.setattr(pooled, "LEAVING_SECONDS", 0.0)
        assert connection.leaving() == 0
        monkeypatch.setattr(pooled, "LEAVING_SECONDS", 10.0)
        assert connection.leaving() == 0
        connection.enter()
        assert connection.leaving() > 0


SAVEPOINT = """
import asyncpg
from pgwamp import register

@register("savepoint")
async def savepoint(connection: asyncpg.Connection) -> int:
    async with connection.transaction():
        return await connection.fetchval("select stubborn()")
"""


async def test_a_savepoint_does_not_wait_for_a_statement_that_takes_no_cancel(
    serve: Serve,
    database: Database,
    prefix: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    database.execute(
        "create function stubborn() returns int language plpgsql as $$ begin loop "
        "begin perform pg_sleep(60); exception when query_canceled then null; end; "
        "end loop; end $$"
    )
    module = "savepoint_" + prefix.rpartition(".")[2]
    (tmp_path / f"{module}.py").write_text(SAVEPOINT)
    monkeypatch.syspath_prepend(str(tmp_path))
    component = await serve(expose={"procedures": [module]})
    monkeypatch.setattr(pooled, "LEAVING_SECONDS", 0.5)
    error = await refusal(component, prefix, "savepoint", call_timeout=0.5)
    assert error.error == "wamp.error.timeout"
    assert component.database.usage()["write"][0] == 0
    database.execute(
        "select pg_terminate_backend(pid) from pg_stat_activity "
        "where datname = current_database() and wait_event = 'PgSleep'"
    )


# --- nothing is tried again once a call is cancelled --------------------------------------------


async def test_a_batch_that_is_cancelled_is_not_begun_again(
    serve: Serve, database: Database, prefix: str, observe: Observe
) -> None:
    """The server answers the cancel with an error that is retried."""
    database.execute(
        *waits_at_commit("raise 'no' using errcode = '40001'"),
    )
    component = await serve()
    step = {"procedure": "item.insert", "args": [[{"id": 1}]]}
    writing = begin(component, prefix, "batch", [step])
    await observe(SLEEPS)
    writing.cancel()
    await asyncio.wait({writing}, timeout=10)
    assert writing.cancelled()


async def test_a_batch_whose_time_is_over_as_it_commits_has_timed_out(
    serve: Serve, database: Database, prefix: str
) -> None:
    database.execute(*waits_at_commit("raise 'no' using errcode = '40001'"))
    component = await serve()
    step = {"procedure": "item.insert", "args": [[{"id": 1}]]}
    error = await refusal(component, prefix, "batch", [step], call_timeout=0.5)
    assert error.error == "wamp.error.timeout"


async def test_a_cancel_that_comes_while_an_error_is_rolled_back_is_raised_after_it(
    serve: Serve, database: Database, prefix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    component = await serve()
    rolling_back, released = asyncio.Event(), asyncio.Event()
    execute = PooledConnection.execute

    async def execute_late(self: PooledConnection, query: str, *args: Any, **kwargs: Any) -> str:
        if query == "rollback":
            rolling_back.set()
            await released.wait()
        return await execute(self, query, *args, **kwargs)

    monkeypatch.setattr(PooledConnection, "execute", execute_late)
    caller = Caller("realm1", f"{prefix}.batch")

    async def fail() -> None:
        async with component.database.batch(caller, "read committed"):
            raise CallError("failed", sqlstate="40001")

    failing = asyncio.ensure_future(fail())
    await rolling_back.wait()
    _, open_before = component.database.usage()["write"]
    failing.cancel()
    await asyncio.sleep(0)
    released.set()
    with pytest.raises(asyncio.CancelledError):
        await failing
    # It has rolled back, and is used again.
    assert component.database.usage()["write"] == (0, open_before)


async def test_a_row_that_is_too_large_to_be_alone_is_not_written_again_after_a_cancel(
    serve: Serve, database: Database, prefix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    database.execute(
        "create table item (id int primary key, n int, name text)",
        "insert into item values (1, 0, repeat('x', 300000))",
    )
    component = await serve()
    failed, released = asyncio.Event(), asyncio.Event()
    fetch = PooledConnection.fetch

    async def fail_late(self: PooledConnection, query: str, *args: Any) -> Any:
        try:
            return await fetch(self, query, *args)
        except asyncpg.PostgresError:
            failed.set()
            await released.wait()
            raise

    monkeypatch.setattr(PooledConnection, "fetch", fail_late)
    writing = begin(component, prefix, "item.update", {"n": 1}, {"id": 1})
    await failed.wait()
    writing.cancel()
    released.set()
    with pytest.raises(asyncio.CancelledError):
        await writing
    looking = await database.connect()
    assert await looking.fetchval("select n from item") == 0
    await looking.close()


async def test_a_read_whose_connection_breaks_as_it_is_cancelled_is_not_tried_again(
    serve: Serve, database: Database, prefix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    database.execute("create table item (id int primary key)")
    component = await serve()
    begun = asyncio.Event()
    fetches: list[str] = []

    async def break_off(self: PooledConnection, query: str, *args: Any) -> Any:
        fetches.append(query)
        begun.set()
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            raise asyncpg.ConnectionDoesNotExistError("lost") from None

    monkeypatch.setattr(PooledConnection, "fetch", break_off)
    reading = begin(component, prefix, "item.select")
    await begun.wait()
    reading.cancel()
    async with asyncio.timeout(10):
        with pytest.raises(asyncio.CancelledError):
            await reading
    assert len(fetches) == 1


async def test_a_cancel_that_comes_with_the_connection_ends_the_call(
    serve: Serve, database: Database, prefix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """asyncpg hides it, so that the connection is not lost."""
    database.execute("create table item (id int primary key)")
    component = await serve()
    acquiring = asyncio.Event()
    acquired = Lender._acquired

    async def acquire(self: Lender) -> Any:
        acquiring.set()
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            return await acquired(self)

    monkeypatch.setattr(Lender, "_acquired", acquire)
    for name, args in (("item.insert", [{"id": 1}]), ("item.insert", [[{"id": 1}]])):
        acquiring.clear()
        writing = begin(component, prefix, name, *args)
        await acquiring.wait()
        writing.cancel()
        with pytest.raises(asyncio.CancelledError):
            await writing
    assert component.database.usage()["write"][0] == 0


async def test_a_call_that_is_cancelled_twice_before_its_transaction_keeps_no_connection(
    serve: Serve, database: Database, prefix: str, observe: Observe
) -> None:
    database.execute(
        "create table item (id int primary key)",
        "create schema guard",
        "create function guard.slow() returns void language plpgsql as $$ begin begin "
        "perform pg_sleep(60); exception when query_canceled then perform pg_sleep(0.5); end; "
        "end $$",
        f"grant usage on schema guard to {CALLS}",
    )
    component = await serve(access={"before": "guard.slow"})
    writing = begin(component, prefix, "item.insert", {"id": 1})
    await observe(SLEEPS)
    for _ in range(2):
        writing.cancel()
        # The rollback waits for the server to take the first.
        for _ in range(5):
            await asyncio.sleep(0)
    with pytest.raises(asyncio.CancelledError):
        await writing
    assert component.database.usage()["write"][0] == 0


async def test_a_call_that_is_cancelled_is_not_done_again_for_a_change_of_the_schema() -> None:
    begun = asyncio.Event()
    calls: list[Call] = []

    async def lose_the_cancel(call: Call) -> None:
        calls.append(call)
        begun.set()
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            raise SchemaChanged() from None

    procedure = Procedure("com.example.lose", lose_the_cancel, description={}, portable=True)
    serving = Serving(LimitSettings(), "realm1", {procedure.uri: procedure})
    calling = asyncio.ensure_future(serving.endpoint(procedure.uri, room, 1_000_000)([], {}, ANNA))
    await begun.wait()
    calling.cancel()
    async with asyncio.timeout(10):
        with pytest.raises(ApplicationError) as error:
            await calling
    assert error.value.error == Canceled.uri
    assert len(calls) == 1


# --- procedures that commit by themselves -------------------------------------------------------

COMMITS = (
    "create table item (id int primary key)",
    "create procedure commits() language plpgsql as $$ begin "
    "insert into item values (1); commit; perform pg_sleep(60); end $$",
)


async def test_a_procedure_that_is_cancelled_after_its_commit_says_so(
    serve: Serve, database: Database, prefix: str, observe: Observe
) -> None:
    database.execute(*COMMITS)
    component = await serve()
    calling = begin(component, prefix, "commits")
    await observe(SLEEPS)
    calling.cancel()
    with pytest.raises(Canceled) as error:
        await calling
    assert error.value.may_be_committed
    await observe("(select count(*) from item) = 1")


async def test_a_procedure_whose_time_is_over_after_its_commit_says_so(
    serve: Serve, database: Database, prefix: str
) -> None:
    database.execute(*COMMITS)
    component = await serve()
    error = await refusal(component, prefix, "commits", call_timeout=0.5)
    assert error.error == "wamp.error.timeout"
    assert "limits.call_timeout" in error.args[0]
    assert error.kwargs["may_be_committed"] is True


async def test_a_cancelled_procedure_does_not_wait_for_its_answer_for_ever(
    serve: Serve,
    database: Database,
    prefix: str,
    observe: Observe,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Its cast takes long, and the cancel has come too late for the procedure."""
    database.execute(
        "create domain slow as text",
        "create function slow_json(slow) returns json language sql as "
        "$$ select to_json(pg_sleep(60)::text) $$",
        "create cast (slow as json) with function slow_json(slow)",
        "create procedure commits(out s slow) language plpgsql as $$ begin "
        "begin perform pg_sleep(60); exception when query_canceled then null; end; "
        "s := 'x'; commit; end $$",
    )
    component = await serve()
    monkeypatch.setattr(pooled, "LEAVING_SECONDS", 0.5)
    calling = begin(component, prefix, "commits")
    await observe(SLEEPS)
    calling.cancel()
    async with asyncio.timeout(10):
        with pytest.raises(OutcomeUnknown):
            await calling
    await observe(f"not {SLEEPS}")


# --- a stop -------------------------------------------------------------------------------------


async def test_a_stop_answers_a_call_whose_commit_does_not_end(
    serve: Serve, database: Database, prefix: str, connect: Connect, observe: Observe
) -> None:
    database.execute(
        "create table item (id int primary key)",
        "create function stubborn() returns trigger language plpgsql as $$ begin loop "
        "begin perform pg_sleep(60); exception when query_canceled then null; end; "
        "end loop; end $$",
        "create constraint trigger stubborn after insert on item deferrable initially deferred "
        "for each row execute function stubborn()",
    )
    component = await serve(limits={"drain_timeout": 0})
    client = await connect()
    writing = asyncio.ensure_future(client.call(f"{prefix}.item.insert", [[{"id": 1}]]))
    await observe(SLEEPS)
    async with asyncio.timeout(20):
        await component.stop()
        with pytest.raises(CallError) as error:
            await writing
    assert error.value.uri == OutcomeUnknown.uri
    database.execute(
        "select pg_terminate_backend(pid) from pg_stat_activity "
        "where datname = current_database() and wait_event = 'PgSleep'"
    )
