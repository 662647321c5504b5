"""The lock files: every package pinned with its hashes, nothing of the machine they came from."""

from __future__ import annotations

import configparser
import re
from pathlib import Path

import pytest
from packaging.requirements import Requirement

ROOT = Path(__file__).parents[2]
LOCKS = ["requirements.txt", "crossbar/requirements.txt", "bench/requirements.txt"]


def entries(lock: str) -> dict[str, list[str]]:
    """Each requirement of a lock file with its hashes."""
    found: dict[str, list[str]] = {}
    logical = (ROOT / lock).read_text().replace("\\\n", " ")
    for line in logical.splitlines():
        requirement, *hashes = line.split(" --hash=")
        if requirement.strip():
            found[requirement.strip()] = [hash.strip() for hash in hashes]
    return found


def canonical(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


@pytest.mark.parametrize("lock", LOCKS)
def test_every_requirement_is_pinned_and_hashed(lock: str) -> None:
    assert len(entries(lock)) > 20
    for text, hashes in entries(lock).items():
        requirement = Requirement(text)
        (specifier,) = requirement.specifier
        assert specifier.operator == "==", text
        assert hashes, text
        assert all(re.fullmatch(r"sha256:[0-9a-f]{64}", hash) for hash in hashes), text


@pytest.mark.parametrize("lock", LOCKS)
def test_no_index_and_no_machine_is_named(lock: str) -> None:
    text = (ROOT / lock).read_text()
    assert "://" not in text
    assert " @ " not in text
    for line in text.splitlines():
        assert not re.match(r"\s*(--(?!hash=)|-[a-z])", line), line
        assert not re.search(r"(^|\s)[./~]\S*/", line), line


def test_what_setup_cfg_asks_for_is_locked() -> None:
    config = configparser.ConfigParser(interpolation=None)
    config.read(ROOT / "setup.cfg")
    wanted = [config["options"]["install_requires"], *config["options.extras_require"].values()]
    locked: dict[str, list[Requirement]] = {}
    for entry in entries("requirements.txt"):
        requirement = Requirement(entry)
        locked.setdefault(canonical(requirement.name), []).append(requirement)
    lines = [line for block in wanted for line in block.splitlines() if line and line[0] != "#"]
    assert len(lines) > 20
    for line in lines:
        requirement = Requirement(line)
        pins = [next(iter(pin.specifier)).version for pin in locked[canonical(requirement.name)]]
        assert all(requirement.specifier.contains(pin) for pin in pins), (line, pins)


def test_the_router_is_locked_apart_from_the_component() -> None:
    component = {canonical(Requirement(entry).name) for entry in entries("requirements.txt")}
    router = {Requirement(entry).name: entry for entry in entries("crossbar/requirements.txt")}
    assert "crossbar" not in component
    assert router["crossbar"] == "crossbar==26.10.1"
