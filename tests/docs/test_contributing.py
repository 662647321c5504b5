"""What CONTRIBUTING.md tells people to run is there."""

from __future__ import annotations

import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from tests import matrix
from tests.packaging import release

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "CONTRIBUTING.md").read_text()


def test_every_target_that_it_names_is_among_those_that_make_lists() -> None:
    listed = subprocess.run(["make", "help"], cwd=ROOT, capture_output=True, text=True, check=True)
    named = set(re.findall(r"(?:^    |`)make ([a-z-]+)", TEXT, re.MULTILINE))
    assert {"soak", "soak-hostile"} <= named
    assert named <= set(re.findall(r"^make ([a-z-]+)", listed.stdout, re.MULTILINE))


def test_what_is_supported_is_tried_but_for_what_is_not_here() -> None:
    usual, *others = matrix.cells()
    assert usual.missing is None
    lacking = replace(usual, name="none", python="python2.1")
    outcome = matrix.run(lacking, "", Path("/nowhere"))
    assert (outcome.outcome, outcome.said) == ("not run", "python2.1 is not installed")
    assert {cell.resolution for cell in others} == {"locked", "lowest-direct", "highest"}


def test_a_release_needs_a_section_of_its_version_in_the_changelog() -> None:
    assert release.version() in release.section(release.version())
    with pytest.raises(release.Failure, match="no section of 47"):
        release.section("47.1")


@pytest.mark.parametrize("module", ["tests.hostile", "tests.events.oracle"])
def test_a_soak_says_how_it_is_run(module: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", module, "--help"], cwd=ROOT, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    for option in ("--minutes", "--seed", "--json"):
        assert option in done.stdout
