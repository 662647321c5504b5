"""The top rate: events that reach a subscriber while writers write as fast as they can."""

from __future__ import annotations

from bench.events.load import write
from bench.events.stand import Effort, Stand
from bench.events.subscriber import Subscriber

WRITERS = 4


def top_rate(stand: Stand, subscriber: Subscriber, effort: Effort) -> float:
    """Events per second, of the watched table."""
    written = write(stand, "watched", effort.seconds, WRITERS)
    return subscriber.receive(written.rows, seconds=120).per_second
