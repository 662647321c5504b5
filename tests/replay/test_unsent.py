"""Events that were read and not sent yet: bounded, in turn between callers."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Callable, Mapping
from typing import Any

import pytest

from pgwamp.component import Component
from pgwamp.replay import feed as feed_module
from pgwamp.replay import patience as patience_module
from pgwamp.replay.feed import UNSENT_PAGES
from pgwamp.replay.follow import SMALL_BYTES
from pgwamp.shares import Shares
from tests.conftest import Database
from tests.replay.appending import LOGGED, inserted
from tests.replay.conftest import Load
from tests.replay.handlers import Somebody

ITEM = ("create table item (id int primary key)", "select wamp.watch('item')")


def large(number: int) -> dict[str, Any]:
    """The body of an event that is only taken with a place."""
    return {"key": {"id": number}, "new": {"id": number, "text": "x" * SMALL_BYTES}}


class SlowRouter:
    """Takes the cursors that followers begin with, and events when it is told to.

    :ivar holding: callers, once for each of their followers whose events were not taken.
    :ivar keys: that each caller was sent.
    """

    def __init__(self, component: Component):
        self._component = component
        self._takes = asyncio.Event()
        self._followers: list[asyncio.Task[None]] = []
        self.holding: list[str] = []
        self.keys: defaultdict[str, list[int]] = defaultdict(list)

    def follow(self, caller: str, name: str = "item.", **arguments: Any) -> None:
        """Follow as a caller, with an authrole of its own."""

        async def progress(item: Mapping[str, Any]) -> None:
            if not item["events"]:
                return
            self.holding.append(caller)
            await self._takes.wait()
            for _ in range(20):  # turns of the loop in which a router takes it
                await asyncio.sleep(0)
            self.holding.remove(caller)
            self.keys[caller] += [event["key"]["id"] for event in item["events"]]

        somebody = Somebody(self._component, caller, caller)
        self._followers.append(somebody.start_following(name, progress, arguments))

    def take(self, *, everything: bool) -> None:
        """Take all from now on, or nothing."""
        if everything:
            self._takes.set()
        else:
            self._takes.clear()

    async def until(self, *, holding: int, waiting: int) -> None:
        """Wait until so many hold events, and so many await a place to."""
        unsent = self._component.feed.unsent
        await _until(lambda: (len(self.holding), unsent._waiting) == (holding, waiting))

    async def until_subscribed(self, number: int) -> None:
        """Wait until so many follow live, or nearly so."""
        await _until(lambda: len(self._component.feed._subscriptions) == number)

    async def until_sent(self, keys: Mapping[str, list[int]]) -> None:
        """Wait until callers were sent these keys."""
        await _until(lambda: self.keys == keys)

    async def until_read(self) -> None:
        """Wait until all batches of the feed were taken."""
        subscriptions = self._component.feed._subscriptions
        await _until(lambda: not any(s._batches for s in subscriptions))


async def _until(holds: Callable[[], bool]) -> None:
    async with asyncio.timeout(10):
        while not holds():  # noqa: ASYNC110 (nothing tells of it)
            await asyncio.sleep(0.01)


@pytest.fixture
def taken(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The callers who took or awaited a place among those who send."""
    callers: list[str] = []

    class Counted(Shares):
        def place(self, caller: Any, *arguments: Any) -> Any:
            callers.append(caller.authid)
            return super().place(caller, *arguments)

    monkeypatch.setattr(feed_module, "Shares", Counted)
    return callers


async def test_callers_who_catch_up_hold_one_page_each_and_no_more_than_there_are_places(
    load: Load, database: Database
) -> None:
    database.execute(*ITEM, inserted(1, 2, 3))
    router = SlowRouter(await load())
    callers = [f"c{number}" for number in range(UNSENT_PAGES + 1)]
    for caller in callers * 2:
        router.follow(caller, since="0-")
    await router.until(holding=UNSENT_PAGES, waiting=2 * len(callers) - UNSENT_PAGES)
    assert len(set(router.holding)) == UNSENT_PAGES
    router.take(everything=True)
    await router.until_sent({caller: [1, 2, 3] * 2 for caller in callers})


async def test_live_followers_of_one_caller_take_large_events_one_after_the_other(
    load: Load, database: Database
) -> None:
    database.execute(*ITEM)
    router = SlowRouter(await load())
    router.take(everything=True)
    for _ in range(3):
        router.follow("one")
    await router.until_subscribed(3)
    for number in (1, 2):  # the first may be read before they are live
        database.execute(inserted(number), LOGGED)
        await router.until_sent({"one": [n for n in range(1, number + 1) for _ in range(3)]})
    router.take(everything=False)
    database.execute(inserted(3), LOGGED)
    await router.until(holding=3, waiting=0)
    router.take(everything=True)
    await router.until_sent({"one": [1, 1, 1, 2, 2, 2, 3, 3, 3]})
    router.take(everything=False)
    database.execute(inserted(4, body=large(4)), LOGGED)
    await router.until(holding=1, waiting=2)
    router.take(everything=True)
    await router.until_sent({"one": [1, 1, 1, 2, 2, 2, 3, 3, 3, 4, 4, 4]})


async def test_followers_without_wanted_events_take_no_place(
    load: Load, database: Database, taken: list[str]
) -> None:
    database.execute(*ITEM, inserted(*range(1, 4)))
    component = await load()
    router = SlowRouter(component)
    router.take(everything=True)
    topic = f"{component.naming._settings.prefix}.nothing."
    for arguments in ({}, {"since": "0-"}):
        router.follow("nothing", "", topic=topic, **arguments)
    router.follow("one")
    await router.until_subscribed(3)
    for number in (4, 5):  # the first may be read before all are live
        database.execute(inserted(number, body=large(number)), LOGGED)
        await router.until_sent({"one": list(range(4, number + 1))})
    # Those without events of theirs have taken all batches, too.
    await router.until_read()
    assert set(taken) == {"one"}


async def test_the_feed_waits_for_none_that_waits_for_another_of_its_caller(
    load: Load, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(feed_module, "WAITING_EVENTS", 2)
    # Longer than the test: any wait fails it.
    monkeypatch.setattr(patience_module, "SAVED_SECONDS", 3600.0)
    monkeypatch.setattr(patience_module, "PAGE_SECONDS", 3600.0)
    database.execute(*ITEM)
    component = await load()
    router = SlowRouter(component)
    router.take(everything=True)
    for _ in range(3):
        router.follow("slow")
    await router.until_subscribed(3)
    for number in (1, 2):  # the first may be read before they are live
        database.execute(inserted(number), LOGGED)
        await router.until_sent({"slow": [n for n in range(1, number + 1) for _ in range(3)]})
    router.take(everything=False)
    database.execute(inserted(4, body=large(4)), LOGGED)
    await router.until(holding=1, waiting=2)
    async with component.feed.subscribe() as other:
        for number in (5, 6):
            database.execute(inserted(number), LOGGED)
            async with asyncio.timeout(10):
                while number not in [c.kwargs["key"]["id"] for c in await other.next()]:
                    pass
        # The two that waited for the third have lagged.
        assert len(component.feed._subscriptions) == 2
    router.take(everything=True)
    await _until(lambda: sorted(router.keys["slow"]) == sorted([1, 2, 4, 5, 6] * 3))


async def test_a_burst_sends_none_of_several_callers_back_to_pages(
    load: Load, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(feed_module, "WAITING_EVENTS", 100)
    # However slow the machine is.
    monkeypatch.setattr(patience_module, "SAVED_SECONDS", 60.0)
    monkeypatch.setattr(patience_module, "PAGE_SECONDS", 60.0)
    database.execute(*ITEM)
    component = await load(database={"pool_max": 1})
    router = SlowRouter(component)
    router.take(everything=True)
    callers = [f"c{number}" for number in range(8)]
    for caller in callers:
        router.follow(caller)
    await router.until_subscribed(8)
    for number in (0, 1):  # the first may be read before they are live
        database.execute(inserted(number), LOGGED)
        await router.until_sent({caller: list(range(number + 1)) for caller in callers})
    subscribed = set(component.feed._subscriptions)
    database.execute(inserted(*range(2, 3000)), LOGGED)
    await router.until_sent({caller: list(range(3000)) for caller in callers})
    assert component.feed._subscriptions == subscribed
