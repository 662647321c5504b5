"""The oracle, shortly: everything is killed once. ``make soak`` runs it for minutes."""

from __future__ import annotations

import random

import pytest

from tests.events.oracle.run import run


@pytest.mark.slow
@pytest.mark.timeout(300)
async def test_whoever_folds_the_events_has_the_tables_although_everything_is_killed() -> None:
    report = await run(seconds=0, seed=random.randrange(10**6), say=print, gap=0.7)
    print(f"\n{report}")
    assert len(report.kills) == 10
    assert report.transactions > 100
    assert report.resumed > 0, "no subscriber was ever cut off: the test shows too little"
