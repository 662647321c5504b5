"""A backlog, written while no component ran: memory while it is published, and how fast."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import psutil

from bench.events.live import deadline, flat_out
from bench.events.stand import WATCHED_TOPIC, Effort, Stand, median
from bench.events.subscriber import subscribed
from bench.processes import say

#: Rows of one transaction.
CHUNK = 10_000
_MEGABYTE = 2**20


class Peak:
    """The most memory that a process takes."""

    def __init__(self, process: psutil.Process):
        self._process = process
        self._ended = threading.Event()
        self.bytes = 0

    def _look(self) -> None:
        while True:
            self.bytes = max(self.bytes, self._process.memory_info().rss)
            if self._ended.wait(0.05):
                return

    @contextmanager
    def watched(self) -> Iterator[None]:
        """Look again and again until the context ends."""
        thread = threading.Thread(target=self._look)
        thread.start()
        try:
            yield
        finally:
            self._ended.set()
            thread.join()


def measure(stand: Stand, effort: Effort) -> dict[str, Any]:
    """The backlog meets a component that has just started; live events are measured around it."""
    stand.forget()
    with subscribed(stand, WATCHED_TOPIC) as subscriber:
        with stand.component() as component:
            idle = component.memory_info().rss
            live = [flat_out(stand, subscriber, effort)]
        stand.forget()
        wrote = _write(stand, effort.backlog)
        say("publishing them ...")
        with stand.component() as component:
            peak = Peak(component)
            with peak.watched():
                received = subscriber.receive(effort.backlog, deadline(effort.backlog))
            live.append(flat_out(stand, subscriber, effort))
    return {
        "events": received.rows,
        "seconds_to_write": round(wrote, 1),
        "idle_mb": round(idle / _MEGABYTE, 1),
        "growth_mb": round((peak.bytes - idle) / _MEGABYTE, 1),
        "per_second": round(received.per_second),
        "live_per_second": median(live),
        "ratio": round(received.per_second / median(live), 2),
    }


def _write(stand: Stand, events: int) -> float:
    """Seconds that it took."""
    say(f"writing {events:,} events ...")
    began = time.perf_counter()
    for _ in range(0, events, CHUNK):
        stand.fill("watched", CHUNK)
    return time.perf_counter() - began


def lines(result: dict[str, Any]) -> Iterator[str]:
    """For a person."""
    yield (
        f"backlog of {result['events']:,} events: {result['per_second']}/s, "
        f"live {result['live_per_second']}/s, ratio {result['ratio']}; the component's memory "
        f"grows by {result['growth_mb']} MB from {result['idle_mb']} MB"
    )
