"""From commit to subscriber: pgwamp beside hand-written bridges, through the same router.

Only one of them runs at a time: PostgreSQL wakes every connection that listens to anything, with
each notification.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from bench.events.live import deadline, top_rate
from bench.events.load import write
from bench.events.stand import NAIVE, NAIVE_UVLOOP, Effort, Stand, median, ratio, topic
from bench.events.subscriber import Subscriber, subscribed
from bench.processes import say

CALM = 100.0  # per second
WARMING = 1  # seconds
TABLES = {"pgwamp": "watched", "bridge": NAIVE, "bridge on uvloop": NAIVE_UVLOOP}
OURS, *THEIRS = TABLES
FIGURES = ("p50_ms", "p99_ms")


def measure(stand: Stand, effort: Effort) -> list[dict[str, Any]]:
    """At a calm rate, at half of the top rate, and while a transaction elsewhere stays open."""
    stand.forget()
    with subscribed(stand, *map(topic, TABLES.values())) as subscriber:
        with stand.component():
            half = top_rate(stand, subscriber, effort) / 2
        results = [
            _rounds(stand, subscriber, effort, "at 100/s", CALM),
            _rounds(stand, subscriber, effort, "at half of the top rate", half),
        ]
        with _open_transaction(stand):
            name = "at 100/s, a transaction elsewhere open"
            results.append(_rounds(stand, subscriber, effort, name, CALM))
    return results


@contextmanager
def _publishing(stand: Stand, side: str) -> Iterator[None]:
    with stand.component() if side == OURS else stand.bridge(TABLES[side]):
        yield


@contextmanager
def _open_transaction(stand: Stand) -> Iterator[None]:
    """A transaction that has written something and does not end."""
    connection = stand.connect()
    connection.autocommit = False
    try:
        with connection.cursor() as cursor:
            cursor.execute("create table never (id int)")
            yield
    finally:
        connection.close()


def _rounds(
    stand: Stand, subscriber: Subscriber, effort: Effort, name: str, per_second: float
) -> dict[str, Any]:
    sides = tuple(TABLES)
    took: dict[str, dict[str, list[float]]] = {
        side: {figure: [] for figure in FIGURES} for side in sides
    }
    for turn in range(effort.rounds):
        for side in sides if turn % 2 else reversed(sides):
            with _publishing(stand, side):
                # What has just started is slower at first.
                for seconds in (WARMING, effort.seconds):
                    written = write(stand, TABLES[side], seconds, 2, per_second=per_second)
                    received = subscriber.receive(written.rows, deadline(written.rows))
            for figure, values in took[side].items():
                values.append(getattr(received, figure))
        say(f"latency {name}: round {turn + 1} of {effort.rounds}")
    return {
        "name": name,
        "per_second": round(per_second),
        **{
            side: {figure: median(values, 2) for figure, values in figures.items()}
            for side, figures in took.items()
        },
        "ratio": {
            side: {figure: ratio(took[OURS][figure], took[side][figure]) for figure in FIGURES}
            for side in THEIRS
        },
    }


def lines(result: list[dict[str, Any]]) -> Iterator[str]:
    """For a person."""
    for figures in result:
        yield f"latency {figures['name']} ({figures['per_second']}/s), p50 and p99:"
        for side in TABLES:
            yield f"  {side:20}{figures[side]['p50_ms']:>8} ms {figures[side]['p99_ms']:>8} ms"
        for side, ratios in figures["ratio"].items():
            name = f"ratio to {side}"
            yield f"  {name:25}{ratios['p50_ms']:>3}    {ratios['p99_ms']:>8}"
