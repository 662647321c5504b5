"""What writers pay: single-row inserts per second, watched and not."""

from __future__ import annotations

import select
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any

import psutil

from bench.events.load import write
from bench.events.stand import NAIVE, Effort, Stand, median, ratio
from bench.former import WORTH_NAMING
from bench.processes import Used, say

WRITERS = (1, 8, 32)
#: Long enough for the publisher to fall asleep after every insert.
PAUSE_MS = 50


@contextmanager
def _nobody(_stand: Stand) -> Iterator[list[psutil.Process]]:
    yield []


@contextmanager
def _component(stand: Stand) -> Iterator[list[psutil.Process]]:
    """pgwamp publishes on the same machine."""
    with stand.component() as process:
        yield [process, *stand.router_processes()]


@contextmanager
def _listener(stand: Stand) -> Iterator[list[psutil.Process]]:
    """One connection that listens and takes what comes."""
    connection, ended = stand.connect(), threading.Event()

    def listen() -> None:
        while not ended.is_set():
            if select.select([connection], [], [], 0.1)[0]:
                connection.poll()
                connection.notifies.clear()

    with connection.cursor() as cursor:
        cursor.execute(f"listen {NAIVE}")
    thread = threading.Thread(target=listen)
    thread.start()
    try:
        yield []
    finally:
        ended.set()
        thread.join()
        connection.close()


Around = Callable[[Stand], AbstractContextManager[list[psutil.Process]]]
#: Each side's table, and what runs beside the writers.
SIDES: dict[str, tuple[str, Around]] = {
    "plain": ("plain", _nobody),
    "watched": ("watched", _component),
    # As writers find it while a publisher on another machine is awake: they do nothing for it.
    "watched, published elsewhere": ("watched", _nobody),
    "naive": (NAIVE, _listener),
}


#: The same side of a former revision.
FORMER = "watched, former"
Sides = dict[str, tuple[Stand, str, Around]]


def measure(stand: Stand, effort: Effort, former: Stand | None = None) -> dict[str, Any]:
    """Inserts per second of each side, and the milliseconds of one insert now and then.

    :param former: a former revision's, which takes turns with the others.
    """
    sides: Sides = {name: (stand, *side) for name, side in SIDES.items()}
    if former is not None:
        sides[FORMER] = (former, *SIDES["watched"])
    results = [_writing(sides, effort, writers) for writers in WRITERS]
    return {"inserts": results, "insert_to_a_sleeper_ms": _now_and_then(sides, effort)}


def _writing(sides: Sides, effort: Effort, writers: int) -> dict[str, Any]:
    rates: dict[str, list[float]] = {side: [] for side in sides}
    cpu_each: dict[str, list[float]] = {side: [] for side in sides}
    busy: list[float] = []
    for turn in range(effort.rounds):
        for side in sides if turn % 2 else reversed(sides):
            stand, table, around = sides[side]
            stand.forget()
            with around(stand) as beside:
                used = Used(beside=beside)
                written = write(stand, table, effort.seconds, writers)
                rates[side].append(written.per_second)
                cpu_each[side].append(written.cpu_us)
                if beside and side == "watched":
                    spent = used.seconds()
                    busy.append(spent["beside CPU seconds"] / spent["seconds"])
        say(f"{writers} writers: round {turn + 1} of {effort.rounds}")
    against = {}
    if FORMER in sides:
        compared = ratio(rates["watched"], rates[FORMER])
        against = {"of_former": compared, "slower": compared < WORTH_NAMING}
    return {
        "writers": writers,
        **against,
        "per_second": {side: median(values) for side, values in rates.items()},
        "of_plain": {side: ratio(values, rates["plain"]) for side, values in rates.items()},
        "of_naive": {side: ratio(values, rates["naive"]) for side, values in rates.items()},
        "server_cpu_us_each": {side: median(values, 1) for side, values in cpu_each.items()},
        # Of one processor, by component and router while they published what was written.
        "component_and_router_cpu": median(busy, 2),
    }


def _now_and_then(sides: Sides, effort: Effort) -> dict[str, float]:
    """One writer that pauses, so that nearly every insert has to wake the publisher."""
    asleep = [side for side in ("plain", "watched", "naive", FORMER) if side in sides]
    times: dict[str, list[float]] = {side: [] for side in asleep}
    for _ in range(effort.rounds):
        for side, values in times.items():
            stand, table, around = sides[side]
            stand.forget()
            with around(stand):
                values.append(write(stand, table, effort.seconds, pause_ms=PAUSE_MS).statement_ms)
    return {side: median(values, 3) for side, values in times.items()}


def lines(result: dict[str, Any]) -> Iterator[str]:
    """For a person."""
    for figures in result["inserts"]:
        yield f"{figures['writers']} writers, single-row inserts/s:"
        for side, rate in figures["per_second"].items():
            yield (
                f"  {side:30}{rate:>8}/s  {figures['of_plain'][side]:5.2f} of plain"
                f"  {figures['of_naive'][side]:5.2f} of naive"
                f"  {figures['server_cpu_us_each'][side]:>7} us of the server's CPU"
            )
        if "of_former" in figures:
            slower = ": slower" if figures["slower"] else ""
            yield f"  watched is {figures['of_former']:.2f} of the former revision's{slower}"
        cpu = figures["component_and_router_cpu"]
        yield f"  component and router took {cpu} of one processor (watched)"
    paced = ", ".join(f"{side} {ms} ms" for side, ms in result["insert_to_a_sleeper_ms"].items())
    yield f"one insert every {PAUSE_MS} ms, to a publisher that sleeps: {paced}"
