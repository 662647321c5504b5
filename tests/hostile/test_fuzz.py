"""Hostile calls of every procedure harm their own caller alone."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.conftest import Database
from tests.hostile.node import HostileNode
from tests.hostile.requests import GOOD
from tests.hostile.run import Run
from tests.hostile.stack import target

pytestmark = pytest.mark.one_login

#: Calls of one run, and calls of each kind that must have reached the component.
MESSAGES, FEWEST = 2000, 80


@pytest.mark.slow
@pytest.mark.parametrize("serializer", ["msgpack", "cbor"])
async def test_a_hostile_caller_harms_nobody_else(
    node: HostileNode, database: Database, tmp_path: Path, prefix: str, serializer: str
) -> None:
    async with target(node, database.url, tmp_path, prefix, serializer) as attacked:
        run = Run(attacked, seed=1)
        report = await run.run(messages=MESSAGES)
    print(run.tally)
    print(report)
    assert report.problems() == []
    assert run.tally.outcomes.keys() == GOOD.keys()
    for kind, outcome in run.tally.outcomes.items():
        assert outcome.answered >= FEWEST, kind
        assert outcome.answers > 0, kind
        assert outcome.errors.total() > 0, kind
    assert report.passed_on >= report.answers + sum(report.errors.values())
    assert report.victim_calls > 0
