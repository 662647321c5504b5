"""The one subscriber of every measurement, in a process of its own, and the handle on it.

``{"rows": ..., "seconds": ...}`` on a line of JSON is answered when so many rows have come since
the last answer, at the latest after that time. ``python -m bench.events.subscriber URL TOPIC...``.
"""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import time
from array import array
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from bench.events import peer
from bench.events.stand import Stand
from bench.processes import ask, running
from pgwamp.session import Client
from pgwamp.settings import RouterSettings


@dataclass(frozen=True)
class Received:
    """What came.

    :ivar per_second: rows, between the first event and the last.
    :ivar p50_ms: from just before the commit; likewise ``p99_ms``.
    :ivar last: kwargs of the last event.
    """

    rows: int
    events: int
    per_second: float
    p50_ms: float
    p99_ms: float
    last: dict[str, Any]


@dataclass(frozen=True)
class Subscriber:
    """The subscriber, as the benchmark asks it."""

    child: subprocess.Popen[str]

    def receive(self, rows: int, seconds: float) -> Received:
        """Wait until ``rows`` have come since the last call."""
        answer = ask(self.child, {"rows": rows, "seconds": seconds})
        if "error" in answer:
            raise SystemExit(answer["error"])
        return Received(**answer)


@contextmanager
def subscribed(stand: Stand, *topics: str) -> Iterator[Subscriber]:
    """A subscriber to some topics, until the context ends."""
    command = [sys.executable, "-m", "bench.events.subscriber", stand.router.component_url]
    with running([*command, *topics], "ready", stdin=subprocess.PIPE) as child:
        yield Subscriber(child)


class Collector:
    """Notes of each row when it was written and when it came."""

    def __init__(self) -> None:
        self._reached = asyncio.Event()
        self._wanted = sys.maxsize
        self._forget()

    def _forget(self) -> None:
        self._latencies = array("d")
        self._events = self._rows_of_first = 0
        self._first = self._last = 0.0
        self._kwargs: dict[str, Any] = {}

    def __call__(self, _topic: str, _args: list[Any], kwargs: dict[str, Any]) -> None:
        """An event: of one row or of several, of pgwamp or of the bridge."""
        now = time.time()
        for event in kwargs.get("rows", (kwargs,)):
            self._latencies.append(now - event.get("new", event)["stamp"])
        if not self._events:
            self._first, self._rows_of_first = now, len(self._latencies)
        self._events += 1
        self._last, self._kwargs = now, kwargs
        if len(self._latencies) >= self._wanted:
            self._reached.set()

    async def receive(self, rows: int, seconds: float) -> dict[str, Any]:
        """Wait for rows, tell about them, and begin anew."""
        self._wanted = rows
        self._reached.clear()
        if len(self._latencies) < rows:
            try:
                await asyncio.wait_for(self._reached.wait(), seconds)
            except TimeoutError:
                came = len(self._latencies)
                return {"error": f"{came} of {rows} rows were received within {seconds:g} s"}
        self._wanted = sys.maxsize
        answer = self._told()
        self._forget()
        return answer

    def _told(self) -> dict[str, Any]:
        ordered = sorted(self._latencies)
        rows, duration = len(ordered), self._last - self._first
        return {
            "rows": rows,
            "events": self._events,
            "per_second": (rows - self._rows_of_first) / duration if duration else 0.0,
            "p50_ms": ordered[rows // 2] * 1000,
            "p99_ms": ordered[rows * 99 // 100] * 1000,
            "last": self._kwargs,
        }


async def main(url: str, *topics: str) -> None:
    """Serve orders until standard input ends."""
    collector = Collector()
    async with Client(RouterSettings(url=url)) as client:
        for topic in topics:
            await client.subscribe(topic, collector)
        print("ready", flush=True)
        while line := await asyncio.to_thread(sys.stdin.readline):
            print(json.dumps(await collector.receive(**json.loads(line))), flush=True)


if __name__ == "__main__":
    peer.run(main(*sys.argv[1:]))
