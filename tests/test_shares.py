"""Shares of places: nobody takes all, and everybody gets a turn."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pgwamp.access import Caller
from pgwamp.errors import Unavailable
from pgwamp.shares import ALWAYS_WAITING, Budget, Party, Shares


def caller(authid: str | None, role: str | None = "anonymous", session: int | None = 1) -> Caller:
    return Caller("realm1", "com.example.x", session, authid, role)


class Crowd:
    """Callers that hold or await places, each told when it may go."""

    def __init__(self, shares: Shares):
        self.shares = shares
        self.order: list[str] = []
        self._ends: list[tuple[asyncio.Event, asyncio.Task[None]]] = []

    def comes(self, name: str, who: Caller | Party) -> asyncio.Task[None]:
        end = asyncio.Event()

        async def stay() -> None:
            async with self.shares.place(who):
                self.order.append(name)
                await end.wait()

        task = asyncio.create_task(stay())
        self._ends.append((end, task))
        return task

    async def settle(self) -> list[str]:
        """Everybody who can have a place now has it."""
        for _ in range(5):
            await asyncio.sleep(0)
        return list(self.order)

    async def goes(self, number: int) -> None:
        end, task = self._ends[number]
        end.set()
        await task
        await self.settle()

    async def close(self) -> None:
        for end, task in self._ends:
            end.set()
            task.cancel()
        await asyncio.gather(*(task for _, task in self._ends), return_exceptions=True)


async def test_one_caller_has_its_share_and_others_have_the_rest() -> None:
    crowd = Crowd(Shares(8, per_session=0.25, reserve=0))
    for number in range(6):
        crowd.comes(f"a{number}", caller("a"))
    crowd.comes("b0", caller("b"))
    assert await crowd.settle() == ["a0", "a1", "b0"]
    await crowd.goes(0)
    assert crowd.order[-1] == "a2"
    await crowd.close()


async def test_one_authrole_leaves_a_reserve_to_the_others() -> None:
    crowd = Crowd(Shares(8, per_session=0.25, reserve=0.25))
    for number in range(10):
        crowd.comes(f"a{number}", caller(f"a{number}"))
    crowd.comes("staff", caller("s", "staff"))
    found = await crowd.settle()
    assert len([name for name in found if name != "staff"]) == 6
    assert "staff" in found
    await crowd.close()


async def test_callers_take_turns_and_not_places_in_one_long_queue() -> None:
    crowd = Crowd(Shares(1, per_session=1, reserve=0))
    for name in ("first", "a1", "a2", "a3", "b1", "c1"):
        crowd.comes(name, caller(name[0]))
    await crowd.settle()
    for number in (0, 1):
        await crowd.goes(number)
    await crowd.goes(4)
    await crowd.goes(5)
    assert crowd.order[:5] == ["first", "a1", "b1", "c1", "a2"]
    await crowd.close()


async def test_all_who_are_not_disclosed_are_one_caller() -> None:
    crowd = Crowd(Shares(8, per_session=0.25, reserve=0))
    for number in range(4):
        crowd.comes(f"n{number}", caller(None, None, None))
    assert await crowd.settle() == ["n0", "n1"]
    await crowd.close()


async def test_sessions_of_one_authid_share_one_share() -> None:
    crowd = Crowd(Shares(8, per_session=0.25, reserve=0))
    for session in range(4):
        crowd.comes(f"s{session}", caller("a", session=session))
    assert len(await crowd.settle()) == 2
    await crowd.close()


async def test_too_many_waiting_calls_of_one_caller_are_refused() -> None:
    crowd = Crowd(Shares(1, per_session=1, reserve=0, waiting=2))
    tasks = [crowd.comes(f"a{number}", caller("a")) for number in range(4)]
    await crowd.settle()
    with pytest.raises(Unavailable, match=r"limits\.waiting"):
        await tasks[3]
    await crowd.close()


async def test_a_caller_may_always_let_some_calls_wait() -> None:
    crowd = Crowd(Shares(1, per_session=1, reserve=0, waiting=8))
    for number in range(60):
        crowd.comes(f"x{number}", caller(f"x{number % 20}"))
    await crowd.settle()
    tasks = [crowd.comes(f"v{number}", caller("v")) for number in range(ALWAYS_WAITING + 1)]
    await crowd.settle()
    assert [task.done() for task in tasks] == [False] * ALWAYS_WAITING + [True]
    with pytest.raises(Unavailable):
        await tasks[-1]
    await crowd.close()


async def test_a_place_now_is_refused_and_not_waited_for() -> None:
    shares = Shares(4, per_session=0.25, reserve=0, name="limits.followers")
    async with AsyncExitStack() as stack:
        stack.enter_context(shares.place_now(caller("a")))
        with pytest.raises(Unavailable, match=r"you have 1 .*limits\.followers"):
            stack.enter_context(shares.place_now(caller("a")))
        stack.enter_context(shares.place_now(caller("b")))


@given(
    st.lists(
        st.tuples(
            st.integers(0, 5), st.sampled_from(["enter", "leave", "cancel"]), st.integers(0, 2)
        ),
        max_size=60,
    ),
    st.integers(1, 6),
)
def test_places_are_neither_lost_nor_given_twice(
    steps: list[tuple[int, str, int]], total: int
) -> None:
    async def run() -> None:
        shares = Shares(total, per_session=0.5, reserve=0.3)
        inside: set[int] = set()
        ends: dict[int, tuple[asyncio.Event, asyncio.Task[None]]] = {}
        tasks: list[asyncio.Task[None]] = []

        async def stay(number: int, end: asyncio.Event, who: Caller) -> None:
            async with shares.place(who):
                inside.add(number)
                assert len(inside) <= total
                try:
                    await end.wait()
                finally:
                    inside.discard(number)

        for number, (who, step, turns) in enumerate(steps):
            if step == "enter":
                end = asyncio.Event()
                person = caller(f"p{who}", f"r{who % 2}")
                tasks.append(asyncio.create_task(stay(number, end, person)))
                ends[number] = (end, tasks[-1])
            elif ends:
                key = sorted(ends)[who % len(ends)]
                end, task = ends.pop(key)
                end.set() if step == "leave" else task.cancel()
            for _ in range(turns):
                await asyncio.sleep(0)
        for end, _ in ends.values():
            end.set()
        # Each one that still waits gets its place now.
        async with asyncio.timeout(5):
            await asyncio.gather(*tasks, return_exceptions=True)
        assert not any(task.exception() for task in tasks if not task.cancelled())
        async with AsyncExitStack() as stack:
            for index in range(total):
                stack.enter_context(shares.place_now(caller(f"q{index}", f"q{index}")))

    asyncio.run(run())


def party_of(*callers: Caller) -> Party:
    party = Party()
    for one in callers:
        party.join(one)
    return party


async def test_a_place_of_a_party_counts_to_a_member_who_may_have_one() -> None:
    crowd = Crowd(Shares(4, per_session=0.25, reserve=0))
    anna, ben = caller("anna"), caller("ben")
    crowd.comes("anna", anna)
    for _ in range(3):
        crowd.comes("anna waits", anna)
    assert await crowd.settle() == ["anna"]
    crowd.comes("both", party_of(ben, anna))
    assert await crowd.settle() == ["anna", "both"]
    # It was that of ben, who has no other.
    crowd.comes("ben", ben)
    assert await crowd.settle() == ["anna", "both"]
    await crowd.goes(4)
    assert await crowd.settle() == ["anna", "both", "ben"]
    await crowd.close()


async def test_a_party_that_has_a_place_waits_for_no_other() -> None:
    shares = Shares(4, per_session=0.25, reserve=0)
    anna, ben, cleo = caller("anna"), caller("ben"), caller("cleo")
    for party in (party_of(anna, ben), party_of(ben, anna)):
        with shares.place_now(anna):
            async with shares.place(party):
                # Whoever waits would come before her.
                with shares.place_now(cleo):
                    pass


async def test_who_joins_a_party_that_waits_brings_it_a_place() -> None:
    crowd = Crowd(Shares(4, per_session=0.25, reserve=0))
    anna, ben, cleo = caller("anna"), caller("ben"), caller("cleo")
    for one in (anna, ben):
        crowd.comes(str(one.authid), one)
    party = party_of(anna)
    crowd.comes("party", party)
    party.join(ben)
    assert await crowd.settle() == ["anna", "ben"]
    party.leave(ben)
    await crowd.goes(1)
    assert await crowd.settle() == ["anna", "ben"]
    party.join(cleo)
    assert await crowd.settle() == ["anna", "ben", "party"]
    # Nothing is left in the queues of the others.
    await crowd.goes(0)
    for one in (anna, ben):
        assert not crowd.comes(str(one.authid), one).done()
    assert await crowd.settle() == ["anna", "ben", "party", "anna", "ben"]
    await crowd.close()


@pytest.mark.parametrize("way", ["cancelled", "late", "in the same moment"])
async def test_a_party_that_gets_no_place_leaves_nothing_behind(way: str) -> None:
    shares = Shares(2, per_session=0.5, reserve=0)
    anna, ben = caller("anna"), caller("ben")
    party = party_of(anna, ben)
    async with AsyncExitStack() as stack:
        for one in (anna, ben):
            stack.enter_context(shares.place_now(one))
        seconds = 0.01 if way == "late" else None
        entering = asyncio.create_task(shares.place(party, seconds).__aenter__())
        await asyncio.sleep(0)
        if way == "late":
            with pytest.raises(Unavailable, match="no turn came in time"):
                await entering
        if way == "cancelled":
            entering.cancel()
            await asyncio.wait({entering})
    entering.cancel()
    await asyncio.wait({entering})
    assert not party.awaited
    for one in (anna, ben):
        with shares.place_now(one):
            pass
    with shares.place_now(anna), shares.place_now(ben):
        pass


def test_a_budget_refuses_what_is_large_and_counts_what_is_small() -> None:
    budget = Budget(1000, per_caller=0.5, small=100)
    anna, ben = caller("a"), caller("b")
    budget.spend(anna, 400)
    for byte_count in (101, 400):
        with pytest.raises(Unavailable, match=r"limits\.argument_bytes"):
            budget.spend(anna, byte_count)
    budget.spend(anna, 100)
    budget.spend(ben, 450)
    # Small ones are let in, and take from what the large ones may have.
    for _ in range(3):
        budget.spend(ben, 100)
    budget.give_back(anna, 400)
    with pytest.raises(Unavailable):
        budget.spend(anna, 400)
    for _ in range(3):
        budget.give_back(ben, 100)
    budget.spend(anna, 400)


def test_small_ones_take_at_most_twice_the_total() -> None:
    budget = Budget(1000, per_caller=0.5, small=100)
    crowd = [caller(None, session=number) for number in range(20)]
    for one in crowd:
        budget.spend(one, 100)
    for one in (crowd[0], caller("a")):
        with pytest.raises(Unavailable, match=r"limits\.argument_bytes"):
            budget.spend(one, 1)
    budget.give_back(crowd[0], 100)
    budget.spend(caller("a"), 100)
