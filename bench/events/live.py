"""The top rate of live events: writers write as fast as they can, until the last one has come."""

from __future__ import annotations

from bench.events.load import write
from bench.events.stand import Effort, Stand
from bench.events.subscriber import Subscriber

WRITERS = 4
#: Events per second; slower, and a measurement fails.
SLOWEST = 200


def deadline(events: int) -> float:
    """Seconds until so many events must have come."""
    return 30 + events / SLOWEST


def top_rate(stand: Stand, subscriber: Subscriber, effort: Effort) -> float:
    """Events per second of the watched table that reach the subscriber."""
    written = write(stand, "watched", effort.seconds, WRITERS)
    return subscriber.receive(written.rows, deadline(written.rows)).per_second
