"""What CONTRIBUTING.md tells people to run is there."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "CONTRIBUTING.md").read_text()


def test_every_target_that_it_names_is_among_those_that_make_lists() -> None:
    listed = subprocess.run(["make", "help"], cwd=ROOT, capture_output=True, text=True, check=True)
    named = set(re.findall(r"(?:^    |`)make ([a-z-]+)", TEXT, re.MULTILINE))
    assert {"soak", "soak-hostile"} <= named
    assert named <= set(re.findall(r"^make ([a-z-]+)", listed.stdout, re.MULTILINE))


@pytest.mark.parametrize("module", ["tests.hostile", "tests.events.oracle"])
def test_a_soak_says_how_it_is_run(module: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", module, "--help"], cwd=ROOT, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    for option in ("--minutes", "--seed", "--json"):
        assert option in done.stdout
