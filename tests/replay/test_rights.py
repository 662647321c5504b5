"""Rights of followers are asked for again: once for each role, and at most a second old."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from pgwamp.access import Caller
from pgwamp.errors import NotAuthorized
from pgwamp.replay import rights as module
from pgwamp.replay.event_filter import EventFilter
from pgwamp.replay.rights import Rights
from tests.conftest import Connect, Database, Serve
from tests.replay.following import Follower
from tests.servers import CALLS

KEY = ("com.example.item", "web_anon")


def asking(asked: list[int], *, refuse: bool = False) -> Callable[[], Awaitable[EventFilter]]:
    async def ask() -> EventFilter:
        asked.append(1)
        await asyncio.sleep(0)
        if refuse:
            raise NotAuthorized("no more")
        return EventFilter(Caller("realm1", "x"))

    return ask


async def test_followers_of_one_role_share_an_answer() -> None:
    rights, asked = Rights(), list[int]()
    await asyncio.gather(*(rights.wanted(KEY, 1, asking(asked)) for _ in range(5)))
    assert len(asked) == 1
    await rights.wanted(("com.example.item", "web_user"), 1, asking(asked))
    assert len(asked) == 2


async def test_an_answer_is_over_when_the_schema_or_its_time_is(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    rights, asked = Rights(), list[int]()
    await rights.wanted(KEY, 1, asking(asked))
    await rights.wanted(KEY, 2, asking(asked))
    assert len(asked) == 2
    monkeypatch.setattr(module, "RIGHTS_SECONDS", 0.0)
    await rights.wanted(KEY, 2, asking(asked))
    assert len(asked) == 3


async def test_a_refusal_is_not_kept() -> None:
    rights, asked = Rights(), list[int]()
    for _ in range(2):
        with pytest.raises(NotAuthorized):
            await rights.wanted(KEY, 1, asking(asked, refuse=True))
    assert len(asked) == 2
    await rights.wanted(KEY, 1, asking(asked))


async def test_a_revoked_membership_ends_a_follow(
    serve: Serve,
    connect: Connect,
    database: Database,
    prefix: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # No event trigger tells of it, so that only the age of the answer does.
    monkeypatch.setattr(module, "RIGHTS_SECONDS", 0.0)
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
        database.execute(f"revoke {readers} from {web}", "insert into item values (2)")
        assert (await following.error()).uri == "wamp.error.not_authorized"
        assert [event["key"] for event in following.events] == [{"id": 1}]
    finally:
        database.execute(f"drop owned by {readers}", f"drop role {readers}", f"drop role {web}")
