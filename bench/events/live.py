"""Rates of live events: as fast as writers can, and as fast as they come without falling behind."""

from __future__ import annotations

from bench.events.load import write
from bench.events.stand import Effort, Stand
from bench.events.subscriber import Subscriber
from bench.processes import say

WRITERS = 4
#: Events per second; slower, and a measurement fails.
SLOWEST = 200
#: Milliseconds from commit to subscriber for half of the events; with more, they fall behind: a
#: hundredth too many of them makes it more within a round of five seconds.
BEHIND_MS = 25.0
#: Of the search for the top rate: each halves what is uncertain.
STEPS = 6


def deadline(events: int) -> float:
    """Seconds until so many events must have come."""
    return 30 + events / SLOWEST


def flat_out(stand: Stand, subscriber: Subscriber, effort: Effort) -> float:
    """Events per second that reach the subscriber until the last one has come.

    Writers write as fast as they can, which is faster; then they are silent, and leave the
    processors to those who publish.
    """
    written = write(stand, "watched", effort.seconds, WRITERS)
    return subscriber.receive(written.rows, deadline(written.rows)).per_second


def top_rate(stand: Stand, subscriber: Subscriber, effort: Effort) -> float:
    """Events per second that can be written while as many reach the subscriber."""
    low, high = 0.0, flat_out(stand, subscriber, effort)
    for step in range(STEPS):
        rate = (low + high) / 2
        written = write(stand, "watched", effort.seconds, WRITERS, per_second=rate)
        received = subscriber.receive(written.rows, deadline(written.rows))
        if received.p50_ms < BEHIND_MS:
            low = rate
        else:
            high = rate
        say(f"top rate: step {step + 1} of {STEPS}, between {low:.0f}/s and {high:.0f}/s")
    return low
