"""Shares of something bounded: nobody takes all of it, and whoever waits gets a turn.

Used for the calls under way, the connections of a pool, and the calls without an end. A *caller*
here is an authid, or a session where the router discloses no authid; everybody whom it does not
disclose at all is one caller. Three bounds hold at once: the whole, the share of one caller, and
the share of one authrole, which leaves a reserve to the others. Free places go round: first among
the authroles that wait, then among the callers of each, as in deficit round robin with one call as
the quantum.
"""

from __future__ import annotations

import asyncio
import math
from collections import Counter, deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeAlias

from pgwamp.access import Caller
from pgwamp.errors import Unavailable

#: Calls that a caller may let wait even when many calls of others wait already.
ALWAYS_WAITING = 4
#: Times the bound of one caller that may wait in all.
WAITING_CALLERS = 4
#: Times the total of a budget that may be spent in all, by callers who ask for little.
SMALL_TOTALS = 2

Person = tuple[str, object]
#: A place to come, and then the authrole and the caller that it counts to.
Turn: TypeAlias = "asyncio.Future[tuple[str | None, Person]]"


class Shares:
    """A number of places, and who has and who awaits one.

    :param total: places.
    :param per_session: the share of one caller, 0 to 1; at least one place.
    :param reserve: the share that no single authrole takes, 0 to 1.
    :param waiting: of one caller at most; None: without a bound of its own.
    :param name: of the setting that an error names.
    """

    def __init__(
        self,
        total: int,
        *,
        per_session: float,
        reserve: float,
        waiting: int | None = None,
        name: str = "limits.per_session",
    ):
        self.total = total
        self.per_caller = max(1, math.ceil(total * per_session))
        self.per_role = max(self.per_caller, total - math.ceil(total * reserve))
        self._most_waiting = waiting
        self._name = name
        self._taken = 0
        self._waiting = 0
        self._by_person: dict[Person, int] = {}
        self._by_role: dict[str | None, int] = {}
        self._queues: dict[str | None, dict[Person, deque[Turn]]] = {}

    def place(
        self,
        caller: Caller | Party,
        seconds: float | None = None,
        refusal: Callable[[], str] = lambda: "no turn came in time; try again later",
    ) -> Place | PartyPlace:
        """Wait for a place, and have it: ``async with shares.place(caller)``.

        Entering raises :class:`Unavailable` when too many calls of this caller wait already, or,
        with the text of ``refusal``, when no place comes within ``seconds``.
        """
        if isinstance(caller, Party):
            return PartyPlace(self, caller, seconds, refusal)
        return Place(self, caller, seconds, refusal)

    @contextmanager
    def place_now(self, caller: Caller) -> Iterator[None]:
        """Have a place if there is one at once.

        :raises Unavailable: there is none for this caller; the message says which bound is reached.
        """
        person = person_of(caller)
        if not self.take(caller.authrole, person):
            raise Unavailable(self._refusal(person))
        try:
            yield
        finally:
            self.give_back(caller.authrole, person)

    def has_place(self, caller: Caller) -> bool:
        """Whether a caller who asks for a place now has it at once."""
        return not self._queues and self._has_room(caller.authrole, person_of(caller))

    def is_used_up(self, caller: Caller) -> bool:
        """Whether a caller has its whole share, and waits for more."""
        person = person_of(caller)
        # A place that has come counts before its call goes on.
        waits = person in self._queues.get(caller.authrole, {})
        return waits and self._by_person.get(person, 0) >= self.per_caller

    def _refusal(self, person: Person) -> str:
        if self._by_person.get(person, 0) >= self.per_caller:
            return (
                f"you have {self.per_caller} of these calls under way already "
                f"({self._name}); end some of them, or try again later"
            )
        return (
            f"too many of these calls are under way already ({self._name}); "
            "end some of them, or try again later"
        )

    def take(self, role: str | None, person: Person) -> bool:
        """Take a place, if there is one for them and nobody else waits."""
        if self._queues or not self._has_room(role, person):
            return False
        self._take(role, person)
        return True

    def _has_room(self, role: str | None, person: Person) -> bool:
        return (
            self._taken < self.total
            and self._by_role.get(role, 0) < self.per_role
            and self._by_person.get(person, 0) < self.per_caller
        )

    def _take(self, role: str | None, person: Person) -> None:
        self._taken += 1
        self._by_role[role] = self._by_role.get(role, 0) + 1
        self._by_person[person] = self._by_person.get(person, 0) + 1

    def give_back(self, role: str | None, person: Person) -> None:
        """Give a place back, to whose turn it is."""
        self._taken -= 1
        _decrease(self._by_role, role, 1)
        _decrease(self._by_person, person, 1)
        if self._queues:
            self.hand_out()

    async def turn(self, role: str | None, person: Person) -> None:
        """Wait until a place is ours."""
        self._require_waiting_room(role, person)
        turn: Turn = asyncio.get_running_loop().create_future()
        self.queue(role, person, turn)
        self.hand_out()
        try:
            await turn
        except asyncio.CancelledError:
            # The place may have come in the same moment.
            if turn.done() and not turn.cancelled():
                self.give_back(role, person)
            else:
                self.leave(role, person, turn)
            raise

    def queue(self, role: str | None, person: Person, turn: Turn) -> None:
        """Let a turn come among those of a caller; it may also be among those of others."""
        self._queues.setdefault(role, {}).setdefault(person, deque()).append(turn)
        self._waiting += 1

    def _require_waiting_room(self, role: str | None, person: Person) -> None:
        if self._most_waiting is None:
            return
        waiting = len(self._queues.get(role, {}).get(person, ()))
        crowded = self._waiting >= WAITING_CALLERS * self._most_waiting
        if waiting >= (min(ALWAYS_WAITING, self._most_waiting) if crowded else self._most_waiting):
            raise Unavailable(
                f"{waiting} calls of yours wait for their turn already (limits.waiting); "
                "wait for some of them, or try again later"
            )

    def leave(self, role: str | None, person: Person, turn: Turn) -> None:
        """Let it no longer be among them."""
        # A turn that was cancelled may have come up, and been passed over, in the same moment.
        queue = self._queues.get(role, {}).get(person, ())
        if turn in queue:
            self._queues[role][person].remove(turn)
            self._waiting -= 1
            self._forget_empty(role, person)

    def _forget_empty(self, role: str | None, person: Person) -> None:
        queues = self._queues[role]
        if not queues[person]:
            del queues[person]
        if not queues:
            del self._queues[role]

    def hand_out(self) -> None:
        """Give free places to those whose turn it is."""
        while self._taken < self.total and (next_one := self._next()) is not None:
            role, person = next_one
            queues = self._queues[role]
            turn = queues[person].popleft()
            self._waiting -= 1
            # Both go to the end of their rounds.
            queues[person] = queues.pop(person)
            self._queues[role] = self._queues.pop(role)
            self._forget_empty(role, person)
            if not turn.done():
                self._take(role, person)
                turn.set_result((role, person))

    def _next(self) -> tuple[str | None, Person] | None:
        """Whose turn it is among those who may have a place."""
        for role, queues in self._queues.items():
            if self._by_role.get(role, 0) < self.per_role:
                # At most total / per_caller of them have their whole share: the scan is short.
                for person in queues:
                    if self._by_person.get(person, 0) < self.per_caller:
                        return role, person
        return None


class Place:
    """A place of a caller, from entering to leaving it.

    A class and no generator: each call enters two of them.
    """

    __slots__ = ("_person", "_refusal", "_role", "_seconds", "_shares")

    def __init__(
        self,
        shares: Shares,
        caller: Caller,
        seconds: float | None,
        refusal: Callable[[], str],
    ):
        self._shares = shares
        self._role = caller.authrole
        self._person = person_of(caller)
        self._seconds = seconds
        self._refusal = refusal

    async def __aenter__(self) -> None:
        if self._shares.take(self._role, self._person):
            return
        try:
            async with asyncio.timeout(self._seconds):
                await self._shares.turn(self._role, self._person)
        except TimeoutError:
            raise Unavailable(self._refusal()) from None

    async def __aexit__(self, *_: object) -> None:
        self._shares.give_back(self._role, self._person)


class Party:
    """Callers for whom the same is done: it counts to one of them, to whoever may have it first.

    So nobody keeps it from the others by joining them, however many places it has or awaits. They
    come and go, also while a place is awaited.

    :ivar members: each with how often it has joined; who came last is last.
    """

    def __init__(self) -> None:
        self.members: Counter[tuple[str | None, Person]] = Counter()
        self.awaited: set[PartyPlace] = set()

    def join(self, caller: Caller) -> None:
        """Become a member."""
        member = caller.authrole, person_of(caller)
        self.members[member] += 1
        if self.members[member] == 1:
            for place in self.awaited:
                place.admit(member)

    def leave(self, caller: Caller) -> None:
        """Be a member no longer, once it was left as often as joined."""
        member = caller.authrole, person_of(caller)
        _decrease(self.members, member, 1)
        if member not in self.members:
            for place in self.awaited:
                place.dismiss(member)


class PartyPlace:
    """A place of a party, from entering to leaving it."""

    def __init__(
        self, shares: Shares, party: Party, seconds: float | None, refusal: Callable[[], str]
    ):
        self._shares = shares
        self._party = party
        self._seconds = seconds
        self._refusal = refusal

    async def __aenter__(self) -> None:
        turn: Turn = asyncio.get_running_loop().create_future()
        self._awaited = turn
        self._party.awaited.add(self)
        # What is done is most likely done because of who came last.
        for member in reversed(self._party.members):
            self.admit(member)
        try:
            async with asyncio.timeout(self._seconds):
                self._payer = await turn
        except BaseException as error:
            # The place may have come in the same moment.
            if turn.done() and not turn.cancelled():
                self._shares.give_back(*turn.result())
            if isinstance(error, TimeoutError):
                raise Unavailable(self._refusal()) from None
            raise
        finally:
            self._party.awaited.discard(self)
            for member in self._party.members:
                self.dismiss(member)

    def admit(self, member: tuple[str | None, Person]) -> None:
        """Await it as this member too."""
        self._shares.queue(*member, self._awaited)
        self._shares.hand_out()

    def dismiss(self, member: tuple[str | None, Person]) -> None:
        """Await it as this member no longer."""
        self._shares.leave(*member, self._awaited)

    async def __aexit__(self, *_: object) -> None:
        self._shares.give_back(*self._payer)


def _decrease(counted: dict[Any, int], key: Any, number: int) -> None:
    """Count down; who has nothing any more is forgotten, because sessions come and go."""
    left = counted[key] - number
    if left:
        counted[key] = left
    else:
        del counted[key]


class Budget:
    """Bytes that all callers may have at a time, of which one caller has at most its share.

    :param small: so many are granted up to twice the total: whoever asks for little is not refused
        because others ask for much.
    """

    def __init__(self, total: int, *, per_caller: float, small: int):
        self._total = total
        self._per_caller = int(total * per_caller)
        self._small = small
        self._spent = 0
        self._by_person: dict[Person, int] = {}

    def spend(self, caller: Caller, byte_count: int) -> None:
        """Have so many bytes, until they are given back.

        :raises Unavailable: that would be too many.
        """
        person = person_of(caller)
        spent = self._by_person.get(person, 0) + byte_count
        total = self._spent + byte_count
        too_many = total > self._total or spent > self._per_caller
        if too_many and (byte_count > self._small or total > SMALL_TOTALS * self._total):
            raise Unavailable(
                "the arguments of calls under way are too large in all (limits.argument_bytes); "
                "wait for some of them, or send less at a time"
            )
        self._spent = total
        self._by_person[person] = spent

    def give_back(self, caller: Caller, byte_count: int) -> None:
        """Give back what was spent."""
        self._spent -= byte_count
        _decrease(self._by_person, person_of(caller), byte_count)


def person_of(caller: Caller) -> Person:
    """The one caller that a call counts to."""
    if caller.authid is not None:
        return "authid", caller.authid
    return "session", caller.session
