"""Counters and durations of a running component, in Prometheus' form.

The only module that knows Prometheus: parts call the hooks of :class:`Metrics`, which cost a few
microseconds, whether anybody looks or not.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import NamedTuple

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4
from prometheus_client.process_collector import ProcessCollector

from pgwamp.backlog import Backlog

CONTENT_TYPE = CONTENT_TYPE_PLAIN_0_0_4
#: Seconds from sending an event until the router has taken it.
_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
#: Of a call: limits.call_timeout is 30 seconds, and a follow lasts for as long as it likes.
_CALL_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)


class _Calls(NamedTuple):
    """The series of one kind of procedure; to look them up costs more than to count."""

    in_flight: Gauge
    answered: Counter
    failed: Counter
    seconds: Histogram


class Metrics:
    """The observations of one component; each has a registry of its own."""

    def __init__(self, version: str = "") -> None:
        registry = self._registry = CollectorRegistry()

        def counter(name: str, text: str, *labels: str) -> Counter:
            return Counter(f"pgwamp_{name}", text, labels, registry=registry)

        def gauge(name: str, text: str, *labels: str) -> Gauge:
            return Gauge(f"pgwamp_{name}", text, labels, registry=registry)

        ProcessCollector(registry=registry)
        self._published = counter("events_published", "Events that the router has taken")
        self._refused = counter("events_refused", "Events that nobody can receive")
        self._truncated = counter("events_truncated", "Events published without values: too large")
        self._dropped = counter("notifications_dropped", "NOTIFYs of a channel never published")
        self._latency = Histogram(
            "pgwamp_publish_seconds",
            "From sending an event until the router has taken it",
            buckets=_SECONDS,
            registry=registry,
        )
        self._leading = gauge("leading", "Whether this instance publishes")
        self._leader = gauge("leader", "Whether any instance publishes")
        self._waiting = gauge("backlog_events", "Events committed and not published yet")
        self._oldest = gauge("backlog_seconds", "Age of the oldest event not published yet")
        self._bytes = gauge("events_bytes", "What the kept events take on disk")
        self._calls = counter("calls", "Calls answered, by kind of procedure", "kind")
        self._failed = counter("calls_failed", "Calls answered with an error", "kind")
        self._in_flight = gauge("calls_in_flight", "Calls under way or waiting their turn", "kind")
        self._seconds = Histogram(
            "pgwamp_call_seconds",
            "From the arrival of a call until its answer, its wait for a turn included",
            ["kind"],
            buckets=_CALL_SECONDS,
            registry=registry,
        )
        self._joined = gauge("joined", "Whether this instance is in the realm, and serves")
        build = gauge("build_info", "The version, as a label; always 1", "version")
        build.labels(version).set(1)
        self._kinds: dict[str, _Calls] = {}
        self._pool_used = gauge("pool_connections_in_use", "Connections that calls have", "pool")
        self._pool_size = gauge("pool_connections", "Connections that are open", "pool")

    # --- events ---------------------------------------------------------------------------------

    def event_published(self, seconds: float) -> None:
        """The router has taken an event, so long after it was sent."""
        self._published.inc()
        self._latency.observe(seconds)

    def event_refused(self) -> None:
        """An event was passed over for good."""
        self._refused.inc()

    def event_truncated(self) -> None:
        """An event goes without its values."""
        self._truncated.inc()

    def notifications_dropped(self, number: int = 1) -> None:
        """Notifications of a channel will not be published."""
        self._dropped.inc(number)

    def watch_leading(self, leading: Callable[[], bool]) -> None:
        """Ask ``leading`` whenever somebody looks."""
        self._leading.set_function(leading)

    def watch_joined(self, joined: Callable[[], bool]) -> None:
        """Ask ``joined`` whenever somebody looks."""
        self._joined.set_function(joined)

    def backlog(self, backlog: Backlog | None) -> None:
        """How publishing stands; None if nobody can tell now."""
        unknown = math.nan
        self._leader.set(backlog.leader if backlog else unknown)
        self._waiting.set(backlog.events if backlog else unknown)
        self._oldest.set(backlog.oldest if backlog else unknown)
        self._bytes.set(backlog.bytes if backlog else unknown)

    # --- calls ----------------------------------------------------------------------------------

    def call_began(self, kind: str) -> None:
        """A call arrived; ``kind`` is its procedure's, as ``describe`` says."""
        self._of(kind).in_flight.inc()

    def call_ended(self, kind: str, seconds: float, *, failed: bool) -> None:
        """It was answered, so long after it arrived."""
        calls = self._of(kind)
        calls.in_flight.dec()
        calls.answered.inc()
        calls.seconds.observe(seconds)
        if failed:
            calls.failed.inc()

    def _of(self, kind: str) -> _Calls:
        calls = self._kinds.get(kind)
        if calls is None:
            series = (self._in_flight.labels(kind), self._calls.labels(kind))
            calls = self._kinds[kind] = _Calls(
                *series, self._failed.labels(kind), self._seconds.labels(kind)
            )
        return calls

    def pools(self, pools: Mapping[str, tuple[int, int]]) -> None:
        """Connections in use and open, by the pool's name."""
        for name, (used, size) in pools.items():
            self._pool_used.labels(name).set(used)
            self._pool_size.labels(name).set(size)

    def render(self) -> bytes:
        """All of it, in the text form of :data:`CONTENT_TYPE`."""
        return generate_latest(self._registry)
