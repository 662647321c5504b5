"""Events that were read and not sent yet: bounded, in turn between callers."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Callable, Mapping
from typing import Any

from pgwamp.component import Component
from pgwamp.replay.feed import UNSENT_PAGES
from pgwamp.replay.follow import SMALL_OCTETS
from tests.conftest import Database
from tests.replay.appending import LOGGED, inserted
from tests.replay.conftest import Load
from tests.replay.handlers import Somebody

ITEM = ("create table item (id int primary key)", "select wamp.watch('item')")
LARGE = {"key": {"id": 4}, "new": {"id": 4, "text": "x" * SMALL_OCTETS}}


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

    def follow(self, caller: str, **arguments: Any) -> None:
        """Follow as a caller, with an authrole of its own."""

        async def progress(item: Mapping[str, Any]) -> None:
            if not item["events"]:
                return
            self.holding.append(caller)
            await self._takes.wait()
            self.holding.remove(caller)
            self.keys[caller] += [event["key"]["id"] for event in item["events"]]

        somebody = Somebody(self._component, caller, caller)
        self._followers.append(somebody.start_following("item.", progress, arguments))

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


async def _until(holds: Callable[[], bool]) -> None:
    async with asyncio.timeout(10):
        while not holds():  # noqa: ASYNC110 (nothing tells of it)
            await asyncio.sleep(0.01)


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
    database.execute(inserted(4, body=LARGE), LOGGED)
    await router.until(holding=1, waiting=2)
    router.take(everything=True)
    await router.until_sent({"one": [1, 1, 1, 2, 2, 2, 3, 3, 3, 4, 4, 4]})
