"""Errors that come to callers with roles as they are: they tell nothing that a call names."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import pytest

from pgwamp.database import committing, pooled
from pgwamp.database.pools import OWN_CONNECTIONS
from pgwamp.errors import OutcomeUnknown, SchemaChanged
from pgwamp.procedures import disclosure
from tests.conftest import Database, Observe
from tests.database.conftest import Calls, Expose

DENIED, INVALID = "wamp.error.not_authorized", "wamp.error.invalid_argument"
#: Waits at the COMMIT.
WAITING = (
    "create table item (id int primary key, day date)",
    "create function waits() returns trigger language plpgsql as "
    "$$ begin perform pg_sleep(60); return null; end $$",
    "create constraint trigger waits after insert on item deferrable initially deferred "
    "for each row execute function waits()",
    "create function adds() returns void language sql as 'insert into item values (1)'",
)
_WAITS = "from pg_stat_activity where datname = current_database() and wait_event = 'PgSleep'"


@asynccontextmanager
async def nobody_to_ask(call: Calls, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[None]:
    """Take every connection that asks for the privileges of who gets an error."""
    monkeypatch.setattr(disclosure, "_PATIENCE", 0.05)
    async with AsyncExitStack() as stack:
        for _ in range(OWN_CONNECTIONS):
            await stack.enter_async_context(call.database.own())
        yield


@pytest.mark.parametrize("meanwhile", ["nothing", "revoked", "nobody to ask"])
@pytest.mark.parametrize(
    ("name", "args"),
    [("item.insert", [{"id": 1}]), ("adds", []), ("batch", [[{"procedure": "adds"}]])],
)
async def test_a_connection_that_is_lost_while_it_commits_leaves_the_outcome_unknown(
    expose: Expose,
    roles: list[str],
    database: Database,
    observe: Observe,
    monkeypatch: pytest.MonkeyPatch,
    name: str,
    args: list[Any],
    meanwhile: str,
) -> None:
    anna, _ = roles
    call = await expose(
        *WAITING, f"grant all on item to {anna}", access={"roles": {"anonymous": anna}}
    )
    writing = asyncio.ensure_future(call.fails(OutcomeUnknown.uri, name, *args))
    await observe(f"exists (select {_WAITS})")
    if meanwhile == "revoked":
        database.execute(f"revoke all on item from {anna}")
    async with AsyncExitStack() as stack:
        if meanwhile == "nobody to ask":
            await stack.enter_async_context(nobody_to_ask(call, monkeypatch))
        database.execute(f"select pg_terminate_backend(pid) {_WAITS}")
        error = await writing
    assert error.message == OutcomeUnknown().message


async def test_a_commit_that_does_not_end_after_a_cancel_leaves_the_outcome_unknown(
    expose: Expose, roles: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    anna, _ = roles
    call = await expose(
        *WAITING, f"grant all on item to {anna}", access={"roles": {"anonymous": anna}}
    )
    begun = asyncio.Event()

    async def wait(*_: Any, **__: Any) -> None:
        begun.set()
        await asyncio.Event().wait()

    monkeypatch.setattr(committing, "commit", wait)
    monkeypatch.setattr(pooled, "LEAVING_SECONDS", 0.05)
    writing = asyncio.ensure_future(call("item.insert", [{"id": 1}, {"id": 2}]))
    await begun.wait()
    writing.cancel()
    with pytest.raises(OutcomeUnknown):
        await writing


CHECKED = (
    "create table item (id int primary key, n int, day date)",
    "create table vault (id int primary key)",
    "create function checked() returns void language plpgsql as $$ begin "
    "if current_setting('wamp.procedure') like '%.insert' then "
    "raise 'not you' using errcode = 'PW001', datatype = 'com.example.error.not_you'; "
    "end if; end $$",
    "grant execute on function checked to public",
    "insert into item values (1, 1)",
)


@pytest.fixture
async def checked(expose: Expose, roles: list[str]) -> Calls:
    """One role, with a function in access.before that refuses inserts."""
    anna, _ = roles
    return await expose(
        *CHECKED,
        f"grant all on item to {anna}",
        access={"before": "checked", "roles": {"anonymous": anna}},
    )


@pytest.mark.parametrize("name", ["item.insert", "vault.insert"])
async def test_what_access_before_raises_in_a_batch_comes_as_it_is(
    checked: Calls, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    steps = [{"procedure": "item.select"}, {"procedure": name, "args": [{"id": 2}]}]
    error = await checked.fails("com.example.error.not_you", "batch", steps)
    assert error.message == "batch[1]: not you"
    async with nobody_to_ask(checked, monkeypatch):
        await checked.fails("com.example.error.not_you", "batch", steps)


async def test_a_change_of_the_schema_is_told_as_it_is_where_nobody_can_be_asked(
    checked: Calls, monkeypatch: pytest.MonkeyPatch, database: Database
) -> None:
    await checked("item.select", {"id": 1})
    database.execute("alter table item alter n type bigint")
    async with nobody_to_ask(checked, monkeypatch):
        error = await checked.fails(SchemaChanged.uri, "item.select", {"id": 1})
    assert isinstance(error, SchemaChanged)


async def test_a_wrong_argument_keeps_its_uri_where_nobody_can_be_asked(
    expose: Expose, roles: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    anna, _ = roles
    call = await expose(
        *CHECKED, f"grant all on item to {anna}", access={"roles": {"anonymous": anna}}
    )
    async with nobody_to_ask(call, monkeypatch):
        error = await call.fails(INVALID, "item.count", {"day": "2024-13-45"})
    assert "2024" not in f"{error.message} {error.details}"


@pytest.mark.parametrize("commits", ["", "commit;"])
async def test_a_wrong_argument_of_a_procedure_is_named_though_it_may_commit(
    expose: Expose, roles: list[str], commits: str
) -> None:
    anna, ben = roles
    call = await expose(
        f"create procedure booked(day date) language plpgsql as $$ begin {commits} end $$",
        "revoke execute on procedure booked from public",
        f"grant execute on procedure booked to {ben}",
        access={"roles": {"anonymous": anna, "reader": ben}},
    )
    error = await call.fails(INVALID, "booked", "2024-13-45", by="reader")
    assert error.message.startswith('day: date/time field value out of range: "2024-13-45"')
    assert error.may_be_committed is error.message.endswith(
        " (the call may have committed before this error)"
    )
    await call.fails(DENIED, "booked", "2024-13-45")
