"""Where the crossbar command is looked for, and its installation where there is none."""

from __future__ import annotations

import hashlib
import subprocess
import zipfile
from pathlib import Path

import pytest

from pgwamp.dev import environment
from pgwamp.errors import StartError


@pytest.fixture
def bare(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A machine without Crossbar: no variable, no checkout, an empty PATH, an empty home."""
    monkeypatch.delenv(environment.VARIABLE, raising=False)
    monkeypatch.setattr(environment, "checkout", lambda: None)
    monkeypatch.setenv("PATH", str(tmp_path / "nothing"))
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "home" / "share"))
    return tmp_path


def program(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("#!/bin/sh\n")
    path.chmod(0o755)
    return path


def a_lock_of_one_package(folder: Path, *, right_hash: bool = True) -> Path:
    """A lock file that names a tiny package with a `crossbar` command, from a file."""
    wheel = folder / "crossbar-1.0-py3-none-any.whl"
    info = "crossbar-1.0.dist-info"
    with zipfile.ZipFile(wheel, "w") as archive:
        archive.writestr("crossbar.py", "def main():\n    print('a crossbar')\n")
        archive.writestr(
            f"{info}/METADATA", "Metadata-Version: 2.1\nName: crossbar\nVersion: 1.0\n"
        )
        archive.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nTag: py3-none-any\n")
        archive.writestr(
            f"{info}/entry_points.txt", "[console_scripts]\ncrossbar = crossbar:main\n"
        )
        archive.writestr(f"{info}/RECORD", "")
    digest = hashlib.sha256(wheel.read_bytes()).hexdigest() if right_hash else "0" * 64
    lock = folder / "requirements.txt"
    lock.write_text(f"crossbar @ {wheel.as_uri()} --hash=sha256:{digest}\n")
    return lock


def test_the_variable_comes_first(bare: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    chosen = program(bare / "chosen")
    monkeypatch.setenv("PATH", str(program(bare / "bin" / "crossbar").parent))
    monkeypatch.setenv(environment.VARIABLE, str(chosen))
    assert environment.crossbar() == chosen


def test_a_variable_that_names_no_program_is_an_error(
    bare: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(environment.VARIABLE, str(bare / "missing"))
    with pytest.raises(StartError, match=f"PGWAMP_CROSSBAR names {bare}/missing"):
        environment.crossbar()


def test_the_environment_of_a_checkout_comes_before_the_path(
    bare: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    on_path = program(bare / "bin" / "crossbar")
    monkeypatch.setenv("PATH", str(on_path.parent))
    monkeypatch.setattr(environment, "checkout", lambda: bare)
    assert environment.crossbar() == on_path
    of_the_checkout = program(bare / ".venv-crossbar" / "bin" / "crossbar")
    assert environment.crossbar() == of_the_checkout


@pytest.mark.slow
def test_without_any_it_installs_its_own_once(bare: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lock = a_lock_of_one_package(bare)
    monkeypatch.setattr(environment, "shipped", lambda name: lock)
    told: list[str] = []
    command = environment.crossbar(told.append)
    assert command.is_relative_to(bare / "home")
    assert subprocess.check_output([command], text=True) == "a crossbar\n"
    assert len(told) == 2
    assert environment.crossbar(told.append) == command
    assert len(told) == 2


@pytest.mark.slow
def test_a_package_that_is_not_the_locked_one_is_not_installed(
    bare: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lock = a_lock_of_one_package(bare, right_hash=False)
    monkeypatch.setattr(environment, "shipped", lambda name: lock)
    for _ in range(2):
        with pytest.raises(StartError, match=r"could not be installed \(log: .*install\.log\)"):
            environment.crossbar()


@pytest.mark.parametrize("name", ["config.yaml", "requirements.txt"])
def test_a_checkout_ships_the_nodes_files(name: str) -> None:
    assert environment.shipped(name).is_file()
