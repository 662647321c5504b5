"""Rights of followers are asked for again: once for each role, and at most a second old."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

import pytest

import pgwamp.database
from pgwamp.access import Caller
from pgwamp.errors import NotAuthorized
from pgwamp.replay import rights as module
from pgwamp.replay.event_filter import EventFilter
from pgwamp.replay.rights import Key, Rights
from pgwamp.shares import Party, Shares
from pgwamp.tasks import end
from tests.conftest import Connect, Database, Serve
from tests.replay.following import Follower
from tests.servers import CALLS

KEY = ("com.example.item", "web_anon")


WEB = Caller("realm1", "x", session=1, authrole="anonymous")


class Asked:
    """A database that is asked, with connections that are shared out.

    :ivar asked: how often it was asked.
    """

    def __init__(self, places: Shares | None = None, *, refuse: bool = False):
        self.asked = 0
        self.refuse = refuse
        self._places = places or Shares(4, per_session=0.25, reserve=0.25)
        self.begun, self.answering = asyncio.Event(), asyncio.Event()
        self.answering.set()

    @asynccontextmanager
    async def connect(self, party: Party) -> AsyncIterator[Any]:
        async with self._places.place(party):
            yield None

    async def ask(self, _connection: Any) -> EventFilter:
        self.asked += 1
        self.begun.set()
        await self.answering.wait()
        if self.refuse:
            raise NotAuthorized("no more")
        return EventFilter(Caller("realm1", "x"))

    async def by(self, rights: Rights, key: Key = KEY, schema: int = 1, of: Caller = WEB) -> None:
        """Ask as a caller."""
        async with asyncio.timeout(10):
            await rights.event_filter(key, schema, of, self.connect, self.ask)


async def test_followers_of_one_role_share_an_answer() -> None:
    rights, database = Rights(), Asked()
    await asyncio.gather(*(database.by(rights) for _ in range(5)))
    assert database.asked == 1
    await database.by(rights, ("com.example.item", "web_user"))
    assert database.asked == 2


async def test_an_answer_is_over_when_the_schema_or_its_time_is(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    rights, database = Rights(), Asked()
    await database.by(rights)
    await database.by(rights, schema=2)
    assert database.asked == 2
    monkeypatch.setattr(module, "RIGHTS_SECONDS", 0.0)
    await database.by(rights, schema=2)
    assert database.asked == 3


async def test_a_refusal_is_not_kept() -> None:
    rights, database = Rights(), Asked(refuse=True)
    for _ in range(2):
        with pytest.raises(NotAuthorized):
            await database.by(rights)
    assert database.asked == 2
    database.refuse = False
    await database.by(rights)


async def test_a_caller_without_a_share_left_holds_up_no_follower_of_its_role() -> None:
    places = Shares(4, per_session=0.25, reserve=0.25)
    rights, database = Rights(), Asked(places)
    busy = replace(WEB, session=2, authrole="attacker")
    async with places.place(busy):
        waiting = asyncio.create_task(database.by(rights, of=busy))
        await asyncio.sleep(0)
        assert database.asked == 0
        await database.by(rights)
        await waiting
    assert database.asked == 1


async def test_a_question_ends_with_the_last_who_awaits_it() -> None:
    rights, database = Rights(), Asked()
    database.answering.clear()
    one, two = (asyncio.create_task(database.by(rights)) for _ in range(2))
    await database.begun.wait()
    await end(one)
    database.answering.set()
    await two
    assert database.asked == 1
    database.answering.clear()
    database.begun.clear()
    last = asyncio.create_task(database.by(rights, schema=2))
    await database.begun.wait()
    await end(last)
    assert not {task for task in asyncio.all_tasks() if task.get_name() == "pgwamp rights"}


async def test_an_answer_that_was_asked_before_the_schema_changed_is_for_nobody_later() -> None:
    rights, database = Rights(), Asked()
    database.answering.clear()
    before = asyncio.create_task(database.by(rights))
    await database.begun.wait()
    after = asyncio.create_task(database.by(rights, schema=2))
    await asyncio.sleep(0)
    database.answering.set()
    await asyncio.gather(before, after)
    assert database.asked == 2


async def test_events_come_to_others_while_a_follower_has_no_connection_left(
    serve: Serve,
    connect: Connect,
    database: Database,
    prefix: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    callers: list[Caller] = []
    answering = pgwamp.database.Database.answering

    def noted(self: Any, caller: Caller, *rest: Any) -> Any:
        callers.append(caller)
        return answering(self, caller, *rest)

    monkeypatch.setattr(pgwamp.database.Database, "answering", noted)
    database.execute("create table item (id int primary key)", "select wamp.watch('item')")
    component = await serve(database={"pool_max": 10})
    uri = f"{prefix}.item.follow"
    busy_client, client = await connect(), await connect()
    busy = [await Follower(busy_client, uri).begun() for _ in range(5)]
    other = await Follower(client, uri).begun()
    for number in range(2):  # the first may be read before they are live
        database.execute(f"insert into item values ({number})")
        for follower in (*busy, other):
            await follower.keys(number + 1)
    # From now on each event asks.
    monkeypatch.setattr(module, "RIGHTS_SECONDS", 0.0)
    async with answering(component.database, callers[0]):
        database.execute("insert into item values (2)")
        for follower in (*busy, other):
            assert await follower.keys(3, 5) == [0, 1, 2]


#: Ways to take a right, and whether there are event triggers to tell of DDL.
REVOKES = {
    # No event trigger tells of it, so that only the age of the answer does.
    "a membership": ("revoke {readers} from {web}", True),
    "a membership without event triggers": ("revoke {readers} from {web}", False),
    "a privilege without event triggers": ("revoke select on item from {readers}", False),
}


@pytest.mark.parametrize("what", REVOKES)
async def test_a_revoked_right_that_nothing_tells_of_ends_a_follow(
    serve: Serve,
    connect: Connect,
    database: Database,
    prefix: str,
    monkeypatch: pytest.MonkeyPatch,
    what: str,
) -> None:
    revoke, has_event_triggers = REVOKES[what]
    monkeypatch.setattr(module, "RIGHTS_SECONDS", 0.0)
    if not has_event_triggers:
        database.execute(
            "alter event trigger wamp_ddl_command_end disable",
            "alter event trigger wamp_sql_drop disable",
        )
    readers, web = (f"{name}_{database.name}" for name in ("readers", "web"))
    database.execute(
        "create table item (id int primary key)",
        "select wamp.watch('item')",
        f"create role {readers}",
        f"grant select on item to {readers}",
        f"create role {web} in role {readers} role {CALLS}",
    )
    try:
        await serve(access={"roles": {"anonymous": web}})
        following = Follower(await connect(), f"{prefix}.item.follow")
        await following.begun()
        database.execute("insert into item values (1)")
        assert await following.keys(1) == [1]
        database.execute(revoke.format(readers=readers, web=web), "insert into item values (2)")
        assert (await following.error()).uri == "wamp.error.not_authorized"
        assert [event["key"] for event in following.events] == [{"id": 1}]
    finally:
        database.execute(f"drop owned by {readers}", f"drop role {readers}", f"drop role {web}")
