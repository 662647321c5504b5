"""One attack beside a victim, and its report."""

from __future__ import annotations

import asyncio
import re
import time
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict, dataclass
from typing import Any

import psutil

from tests.hostile.attack import Attack, Tally, passed_on
from tests.hostile.echo import ECHO, ECHOED
from tests.hostile.served import QUIET, UNTOUCHED
from tests.hostile.stack import Target
from tests.hostile.victim import Victim

#: Processor time that one callback may hold the component's loop, in milliseconds: half as much
#: again as a call may take (``bench.hostile``), because a machine of CI is slow.
LONGEST_HOLD_MS = 75
#: Processor time of a full run of the garbage collector, in milliseconds: it looks at all memory.
LONGEST_COLLECTION_MS = 250
#: How much the component may grow, in MB: the arguments and results of the calls under way.
LARGEST_GROWTH_MB = 200
#: How much longer than its calls of the echo 99 of 100 of the victim's calls may take, in seconds.
LATER_THAN_ECHO = 0.5
_SAMPLE_SECONDS = 0.1
_MEGABYTE = 2**20
Say = Callable[[str], None]


@dataclass(frozen=True)
class Waits:
    """How long answers took, in milliseconds."""

    calls: int
    p99: float
    longest: float

    @classmethod
    def of(cls, seconds: list[float]) -> Waits:
        """Of some waits."""
        known = sorted(seconds)
        return cls(
            len(known),
            round(known[int(len(known) * 0.99)] * 1000, 1),
            round(known[-1] * 1000, 1),
        )


@dataclass(frozen=True)
class Report:
    """What an attack has shown.

    :ivar examples: the first call that was answered with each error, by kind and URI.
    :ivar passed_on: calls that have reached the component, which the attackers did not all see.
    :ivar sessions_lost: of the component and of the victim.
    :ivar silent: calls that nobody answered.
    :ivar cut_off: calls whose session the router ended first, as it does with some messages.
    :ivar internal: calls that were answered with ``pgwamp.error.internal``.
    :ivar log: lines of the component's log about what it had not expected.
    """

    seed: int
    seconds: float
    sent: int
    distinct: int
    passed_on: int
    answers: int
    errors: dict[str, int]
    examples: dict[str, str]
    silent: list[str]
    cut_off: int
    internal: list[str]
    log: list[str]
    sessions_lost: int
    victim_calls: int
    victim_failures: list[str]
    victim: Waits
    echo: Waits | None
    largest_mb: int
    grown_mb: int
    longest_hold_ms: float
    longest_collection_ms: float
    holds: list[Any]

    def problems(self) -> list[str]:
        """Name each bound that is broken."""
        found = [f"internal: {call}" for call in self.internal]
        found += [f"log: {line}" for line in self.log]
        found += [f"unanswered: {call}" for call in self.silent]
        found += [f"victim: {failure}" for failure in self.victim_failures]
        if self.sessions_lost:
            found.append(f"{self.sessions_lost} sessions of others were lost")
        if self.longest_hold_ms > LONGEST_HOLD_MS:
            found.append(
                f"a callback held the loop for {self.longest_hold_ms} ms: {self.holds[:3]}"
            )
        if self.longest_collection_ms > LONGEST_COLLECTION_MS:
            found.append(f"collecting garbage held the loop for {self.longest_collection_ms} ms")
        if self.grown_mb > LARGEST_GROWTH_MB:
            found.append(f"the component grew by {self.grown_mb} MB")
        if self.echo and self.victim.p99 > self.echo.p99 + LATER_THAN_ECHO * 1000:
            found.append(f"the victim waited {self.victim.p99} ms, at the echo {self.echo.p99} ms")
        return found

    def __str__(self) -> str:
        shown = {**asdict(self), "holds": self.holds[:5]}
        del shown["examples"]
        lines = []
        for name, value in shown.items():
            if isinstance(value, list):
                lines.append(f"{name:16} {len(value) if name != 'holds' else ''}".rstrip())
                lines += [f"    {item}" for item in value]
            elif isinstance(value, dict):
                lines += [name, *(f"    {key:46} {number}" for key, number in value.items())]
            else:
                lines.append(f"{name:16} {value}")
        return "\n".join(lines)


class Run:
    """An attack of a target, beside a victim that comes over the WebSocket.

    :param echo: whether a plain Autobahn callee runs beside the target, to compare with.
    """

    def __init__(self, target: Target, seed: int, *, echo: bool = False):
        self._target = target
        self._seed = seed
        self._echo = echo
        self._largest = 0
        self._began = 0.0
        self._stop = False
        self.tally = Tally()

    def stop(self) -> None:
        """End the attack early; its report is made of what was done until then."""
        self._stop = True

    async def run(
        self, *, seconds: float | None = None, messages: int | None = None, say: Say | None = None
    ) -> Report:
        """Attack for so long, or with so many calls, and stop the component."""
        target = self._target
        raw = await passed_on(target.node, f"{target.prefix}.describe")
        attack = Attack(target.node, target.prefix, self._seed, raw)
        self.tally = attack.tally
        expected = {f"{target.prefix}.{QUIET}": UNTOUCHED}
        if self._echo:
            expected[f"{target.prefix}.{ECHO}"] = ECHOED
        began = self._largest = target.memory()
        self._began = time.monotonic()

        def goes_on() -> bool:
            if self._stop or not target.component.running:
                return False
            if messages is not None:
                return attack.tally.messages < messages
            return time.monotonic() - self._began < (seconds or 0)

        async with Victim(target.node.router.url, expected) as victim:
            watching = asyncio.create_task(self._watch(victim, say))
            try:
                await attack.run(goes_on)
            finally:
                watching.cancel()
                with suppress(asyncio.CancelledError):
                    await watching
        took = time.monotonic() - self._began
        await target.stop()
        return self._report(victim, began, took)

    async def _watch(self, victim: Victim, say: Say | None) -> None:
        report = time.monotonic()
        while True:
            with suppress(psutil.NoSuchProcess):
                self._largest = max(self._largest, self._target.memory())
            if say is not None and time.monotonic() >= report + 10:
                report = time.monotonic()
                say(
                    f"{report - self._began:5.0f} s: {self.tally.messages} calls sent, "
                    f"victim: {victim.calls} calls, {len(victim.failures)} failures, "
                    f"{self._largest // _MEGABYTE} MB"
                )
            await asyncio.sleep(_SAMPLE_SECONDS)

    def _report(self, victim: Victim, began: int, took: float) -> Report:
        tally, measured = self.tally, self._target.measured
        output = self._target.component.lines
        errors: Counter[str] = Counter()
        for outcome in tally.outcomes.values():
            errors += outcome.errors
        joined = sum('"event": "joined"' in line for line in output)
        waits = list(victim.waits.values())
        holds = measured["holds"]
        return Report(
            seed=self._seed,
            seconds=round(took, 1),
            sent=tally.messages,
            distinct=tally.distinct,
            passed_on=sum(measured["calls"].values()),
            answers=sum(outcome.answers for outcome in tally.outcomes.values()),
            errors=dict(errors.most_common()),
            examples=tally.examples,
            silent=tally.silent,
            cut_off=sum(outcome.lost for outcome in tally.outcomes.values()),
            internal=tally.internal,
            log=[line for line in output if re.search('"level": "error"|Traceback', line)],
            sessions_lost=joined - 1 + victim.is_lost,
            victim_calls=victim.calls,
            victim_failures=victim.failures,
            victim=Waits.of(waits[0]),
            echo=Waits.of(waits[1]) if self._echo else None,
            largest_mb=self._largest // _MEGABYTE,
            grown_mb=(self._largest - began) // _MEGABYTE,
            longest_hold_ms=holds[0][0] if holds else 0.0,
            longest_collection_ms=measured["longest_collection"],
            holds=holds,
        )
