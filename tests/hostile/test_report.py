"""A report names each bound that is broken."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from tests.hostile.run import (
    LARGEST_GROWTH_MB,
    LATER_THAN_ECHO,
    LONGEST_COLLECTION_MS,
    LONGEST_HOLD_MS,
    Report,
    Waits,
)

GOOD = Report(
    seed=1, seconds=1.0, sent=10, distinct=9, passed_on=10, answers=5,
    errors={"wamp.error.invalid_argument": 5}, examples={}, silent=[], cut_off=0, internal=[],
    log=[], sessions_lost=0, victim_calls=3, victim_failures=[],
    victim=Waits(3, LATER_THAN_ECHO * 1000 + 10, 900), echo=Waits(3, 10, 10), largest_mb=100,
    grown_mb=LARGEST_GROWTH_MB, longest_hold_ms=LONGEST_HOLD_MS,
    longest_collection_ms=LONGEST_COLLECTION_MS, holds=[[LONGEST_HOLD_MS, "task"]],
)  # fmt: skip


def test_a_report_within_all_bounds_has_no_problem() -> None:
    assert GOOD.problems() == []


@pytest.mark.parametrize(
    ("broken", "named"),
    [
        ({"internal": ["session 1, call 2"]}, "internal: session 1, call 2"),
        ({"log": ["Traceback"]}, "log: Traceback"),
        ({"silent": ["session 1, call 2"]}, "unanswered: session 1, call 2"),
        ({"victim_failures": ["timeout"]}, "victim: timeout"),
        ({"sessions_lost": 1}, "1 sessions of others were lost"),
        ({"longest_hold_ms": LONGEST_HOLD_MS + 1}, "a callback held the loop"),
        ({"longest_collection_ms": LONGEST_COLLECTION_MS + 1}, "collecting garbage held the loop"),
        ({"grown_mb": LARGEST_GROWTH_MB + 1}, "the component grew"),
        ({"echo": Waits(3, 9, 9)}, "the victim waited"),
    ],
)
def test_a_broken_bound_is_named(broken: dict[str, Any], named: str) -> None:
    (problem,) = replace(GOOD, **broken).problems()
    assert problem.startswith(named)
