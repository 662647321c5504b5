"""What reaches one subscriber: single events beside a bare publisher, and batched changes."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import psutil

from bench.events.live import deadline
from bench.events.stand import BATCHED_TOPIC, WATCHED_TOPIC, Effort, Stand, median, ratio
from bench.events.subscriber import subscribed
from bench.processes import Used, ask, running, say


def measure(stand: Stand, effort: Effort) -> dict[str, Any]:
    """Both; batched only where ``wamp.watch`` has options."""
    stand.forget()
    result = {"single": _single(stand, effort)}
    if stand.value("select to_regprocedure('wamp.watch(regclass, jsonb)') is not null"):
        result["batched"] = _batched(stand, effort)
    return result


@contextmanager
def _bare(stand: Stand) -> Iterator[subprocess.Popen[str]]:
    command = [sys.executable, "-m", "bench.events.bare"]
    with running(command, "ready", stdin=subprocess.PIPE, **stand.environment) as child:
        yield child


def _single(stand: Stand, effort: Effort) -> dict[str, Any]:
    """The rows of one large transaction, and as many equal events of a bare publisher."""
    rates: dict[str, list[float]] = {"pgwamp": [], "bare": []}
    cpu: dict[str, list[float]] = {"pgwamp": [], "bare": []}
    with (
        stand.component() as component,
        _bare(stand) as bare,
        subscribed(stand, WATCHED_TOPIC) as subscriber,
    ):
        for turn in range(effort.rounds):
            used = Used(publisher=[component])
            stand.fill("watched", effort.events)
            ours = subscriber.receive(effort.events, deadline(effort.events))
            rates["pgwamp"].append(ours.per_second)
            cpu["pgwamp"].append(_ms_each(used, effort.events))
            used = Used(publisher=[psutil.Process(bare.pid)])
            order = {"topic": WATCHED_TOPIC, "kwargs": ours.last, "number": effort.events}
            ask(bare, order)
            rates["bare"].append(
                subscriber.receive(effort.events, deadline(effort.events)).per_second
            )
            cpu["bare"].append(_ms_each(used, effort.events))
            say(f"single events: round {turn + 1} of {effort.rounds}")
    return {
        "per_second": {side: median(values) for side, values in rates.items()},
        "ratio": ratio(rates["pgwamp"], rates["bare"]),
        "cpu_ms_each": {side: median(values, 3) for side, values in cpu.items()},
    }


def _ms_each(used: Used, number: int) -> float:
    return used.seconds()["publisher CPU seconds"] / number * 1000


def _batched(stand: Stand, effort: Effort) -> dict[str, Any]:
    stand.value("""select wamp.watch('batched', '{"batch": true}')""")
    rates, sizes, cpu = [], [], []
    with stand.component() as component, subscribed(stand, BATCHED_TOPIC) as subscriber:
        for turn in range(effort.rounds):
            used = Used(publisher=[component])
            stand.fill("batched", effort.rows)
            received = subscriber.receive(effort.rows, deadline(effort.rows))
            rates.append(received.per_second)
            sizes.append(received.rows / received.events)
            cpu.append(_ms_each(used, effort.rows))
            say(f"batched changes: round {turn + 1} of {effort.rounds}")
    return {
        "rows_per_second": median(rates),
        "rows_in_an_event": median(sizes),
        "cpu_ms_each": median(cpu, 3),
    }


def lines(result: dict[str, Any]) -> Iterator[str]:
    """For a person."""
    single = result["single"]
    rates, cpu = single["per_second"], single["cpu_ms_each"]
    yield (
        f"single events to one subscriber: {rates['pgwamp']}/s, a bare publisher {rates['bare']}/s,"
        f" ratio {single['ratio']}; CPU of the publishing process {cpu['pgwamp']} ms and"
        f" {cpu['bare']} ms an event"
    )
    if batched := result.get("batched"):
        yield (
            f"batched: {batched['rows_per_second']} row changes/s, "
            f"{batched['rows_in_an_event']} in an event, CPU {batched['cpu_ms_each']} ms a row"
        )
    else:
        yield "batched: not available, wamp.watch takes no options here"
