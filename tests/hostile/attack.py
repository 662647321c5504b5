"""Sessions that send hostile calls, and the tally of what became of them."""

from __future__ import annotations

import asyncio
import hashlib
import itertools
import random
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from tests.hostile.fragments import BAD_KEYS, BAD_NUMBERS, BAD_TEXTS, OTHERS, shared_references
from tests.hostile.node import ROLES, HostileNode
from tests.hostile.requests import ENDLESS, Request, requests
from tests.hostile.values import HostileValues
from tests.hostile.writing import write
from tests.raw import ERROR, RESULT, RawClient, array, nested

SERIALIZERS = ("json", "msgpack", "cbor")
INTERNAL = "pgwamp.error.internal"
#: Calls of one session, which it sends without waiting for answers.
VOLLEY = 20
#: Seconds until a call counts as unanswered: more than it may take, with the wait for its turn.
PATIENCE = 30
_LEVELS = (90, 101, 300, 390, 500, 900)
#: Bytes of a call that is reported.
_SHOWN = 2000


@dataclass
class Outcome:
    """What became of the calls of one kind.

    :ivar lost: calls whose session the router ended before they were answered.
    """

    sent: int = 0
    answers: int = 0
    errors: Counter[str] = field(default_factory=Counter)
    unanswered: int = 0
    lost: int = 0

    @property
    def answered(self) -> int:
        """Calls that the component has answered."""
        return self.answers + self.errors.total()


@dataclass
class Tally:
    """What became of all calls.

    :ivar internal: calls that no bound and no check had expected.
    :ivar silent: calls that nobody answered.
    :ivar examples: the first call that was answered with each error, by kind and URI.
    """

    outcomes: defaultdict[str, Outcome] = field(default_factory=lambda: defaultdict(Outcome))
    internal: list[str] = field(default_factory=list)
    silent: list[str] = field(default_factory=list)
    examples: dict[str, str] = field(default_factory=dict)
    _known: set[bytes] = field(default_factory=set)

    def sent(self, request: Request, arguments: bytes, keywords: bytes) -> None:
        """Count a call."""
        self.outcomes[request.kind].sent += 1
        whole = b"\0".join((request.name.encode(), arguments, keywords))
        self._known.add(hashlib.blake2b(whole, digest_size=8).digest())

    @property
    def messages(self) -> int:
        """Calls sent."""
        return sum(outcome.sent for outcome in self.outcomes.values())

    @property
    def distinct(self) -> int:
        """Calls that differ from all others."""
        return len(self._known)

    def __str__(self) -> str:
        lines = [f"{'kind':10} {'sent':>6} {'answers':>7} {'errors':>6} {'silent':>6} {'lost':>5}"]
        for kind, outcome in sorted(self.outcomes.items()):
            numbers = (outcome.sent, outcome.answers, outcome.errors.total())
            lines.append(
                "{:10} {:>6} {:>7} {:>6} {:>6} {:>5}".format(
                    kind, *numbers, outcome.unanswered, outcome.lost
                )
            )
            lines += [f"{number:>17} {uri}" for uri, number in outcome.errors.most_common()]
        return "\n".join(lines)


async def passed_on(node: HostileNode, uri: str) -> Mapping[str, Sequence[bytes]]:
    """Find which values, by serializer, a router hands on to the component that serves ``uri``.

    It closes the connection over some, and cannot translate others: they harm nobody else.
    """
    found: dict[str, list[bytes]] = {}
    for serializer in SERIALIZERS:
        tables = (BAD_KEYS, BAD_TEXTS, BAD_NUMBERS, OTHERS)
        values = [value for table in tables for value in table[serializer]]
        values += [nested(serializer, levels) for levels in _LEVELS]
        if serializer == "cbor":
            # Two of the largest in one message are more than the router can send.
            values.append(shared_references(4))
        found[serializer] = [v for v in values if await _is_answered(node, uri, serializer, v)]
    return found


async def _is_answered(node: HostileNode, uri: str, serializer: str, value: bytes) -> bool:
    async with RawClient(node.socket("anonymous"), serializer) as caller:
        answer = await caller.call(uri, array(serializer, [value]), after=uri)
    return answer not in ("closed", "unanswered")


class Attack:
    """Sessions one after the other, of every role and serializer, several at a time.

    The calls of each session follow from the seed and its number alone.
    """

    def __init__(
        self, node: HostileNode, prefix: str, seed: int, raw: Mapping[str, Sequence[bytes]]
    ):
        self.tally = Tally()
        self._node = node
        self._prefix = prefix
        self._seed = seed
        self._raw = raw
        self._numbers = itertools.count()

    async def run(self, goes_on: Callable[[], bool], sessions: int = 4) -> None:
        """Attack with so many sessions at a time for as long as ``goes_on`` says."""

        async def attacker() -> None:
            while goes_on():
                await self._volley(next(self._numbers))

        async with asyncio.TaskGroup() as group:
            for _ in range(sessions):
                group.create_task(attacker())

    async def _volley(self, number: int) -> None:
        rng = random.Random(f"{self._seed} {number}")
        serializer = SERIALIZERS[number % len(SERIALIZERS)]
        socket = rng.choice(list(ROLES))
        values = HostileValues(rng, self._raw[serializer])
        calls = itertools.islice(requests(rng, values), VOLLEY)
        async with RawClient(self._node.socket(socket), serializer) as client:
            await _Volley(client, serializer, self._prefix, self.tally).run(calls, number)


class _Volley:
    """The calls of one session."""

    def __init__(self, client: RawClient, serializer: str, prefix: str, tally: Tally):
        self._client = client
        self._serializer = serializer
        self._prefix = prefix
        self._tally = tally
        self._open: dict[int, tuple[Request, str]] = {}
        self._begun: set[int] = set()

    async def run(self, calls: Iterator[Request], number: int) -> None:
        """Send them all, wait for their answers, and cancel those that have no end."""
        try:
            for index, request in enumerate(calls):
                self._send(request, f"session {number}, call {index}")
                await self._client.drain()
            async with asyncio.timeout(PATIENCE):
                while any(not self._is_served(request) for request in self._open):
                    self._take(await self._client.receive())
                for request_id in self._open:
                    self._client.cancel(request_id)
                while self._open:
                    self._take(await self._client.receive())
        except ConnectionError:
            for request, _ in self._open.values():
                self._tally.outcomes[request.kind].lost += 1
        except TimeoutError:
            for request, shown in self._open.values():
                self._tally.outcomes[request.kind].unanswered += 1
                self._tally.silent.append(shown)

    def _send(self, request: Request, place: str) -> None:
        try:
            arguments = write(self._serializer, request.args)
            keywords = write(self._serializer, request.kwargs)
        except RecursionError:
            # A tree that grew by chance; values that are deep on purpose are written already.
            return
        self._tally.sent(request, arguments, keywords)
        uri = f"{self._prefix}.{request.name}"
        sent = self._client.send_call(uri, arguments, keywords, progress=request.progress)
        values = f"{arguments[:_SHOWN]!r} {keywords[:_SHOWN]!r}"
        shown = f"{place}: {request.name} in {self._serializer}: {values}"
        self._open[sent] = request, shown

    def _is_served(self, request_id: int) -> bool:
        """Whether a call without an end goes on; all others are served when they are answered."""
        return request_id in self._begun and self._open[request_id][0].kind in ENDLESS

    def _take(self, message: Any) -> None:
        if message[0] == RESULT:
            self._result(message)
        elif message[0] == ERROR and message[2] in self._open:
            request, shown = self._open.pop(message[2])
            outcome = self._tally.outcomes[request.kind]
            if message[2] in self._begun and request.kind in ENDLESS:
                outcome.answers += 1
            else:
                outcome.errors[message[4]] += 1
                text = (message[5] if len(message) > 5 else [""])[0]
                self._tally.examples.setdefault(f"{request.kind} {message[4]}", f"{text}: {shown}")
            if message[4] == INTERNAL:
                self._tally.internal.append(shown)

    def _result(self, message: Any) -> None:
        if message[1] not in self._open:
            return
        if message[2].get("progress"):
            self._begun.add(message[1])
            return
        request, _ = self._open.pop(message[1])
        self._tally.outcomes[request.kind].answers += 1
