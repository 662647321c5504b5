"""Where the ``crossbar`` command is, and an environment for it where there is none.

Crossbar.io pins old versions of over a hundred packages, so it never shares an environment with the
component.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from importlib import metadata
from pathlib import Path

import pgwamp
from pgwamp.errors import StartError

VARIABLE = "PGWAMP_CROSSBAR"
Progress = Callable[[str], None]


def crossbar(progress: Progress | None = None) -> Path:
    """The ``crossbar`` command.

    In this order: what the variable ``PGWAMP_CROSSBAR`` names, the environment ``make`` installs in
    a checkout, the ``PATH``, and an environment of pgwamp's own in the user's data folder, which
    takes a minute to install the first time.

    :param progress: told, one line at a time, what takes long.
    :raises StartError: the variable names no file, or the installation failed.
    """
    named = os.environ.get(VARIABLE)
    if named:
        if not os.access(named, os.X_OK):
            raise StartError(f"{VARIABLE} names {named}, which is no program that can be run")
        return Path(named).absolute()
    root = checkout()
    if root is not None and (root / ".venv-crossbar" / "bin" / "crossbar").exists():
        return root / ".venv-crossbar" / "bin" / "crossbar"
    on_path = shutil.which("crossbar")
    if on_path is not None:
        return Path(on_path)
    return _own(progress or _silence)


def checkout() -> Path | None:
    """The root of the checkout this package runs from; None for one installed from a wheel."""
    root = Path(pgwamp.__file__).resolve().parents[2]
    return root if (root / "crossbar" / "config.yaml").is_file() else None


def shipped(name: str) -> Path:
    """A file of the node directory ``crossbar/``, from the checkout or from the installed wheel.

    :raises StartError: this installation does not have it.
    """
    root = checkout()
    if root is not None:
        return root / "crossbar" / name
    # A wheel's data files go below the environment's prefix; the metadata knows where that is.
    for file in metadata.files("pgwamp") or []:
        if file.parts[-4:] == ("share", "pgwamp", "crossbar", name):
            return Path(str(file.locate())).resolve()
    raise StartError(f"this installation of pgwamp lacks crossbar/{name}: install it again")


def _own(progress: Progress) -> Path:
    import platformdirs

    lock = shipped("requirements.txt")
    # A new lock gets a new folder, so that a running router keeps the files it was started from.
    version = hashlib.sha256(lock.read_bytes()).hexdigest()[:8]
    folder = platformdirs.user_data_path("pgwamp") / f"crossbar-{version}"
    finished = folder / ".finished"
    command = folder / "bin" / "crossbar"
    if finished.exists():
        return command
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "install.log").open("ab") as log:
        # A second program waits here until the first has installed it.
        fcntl.flock(log, fcntl.LOCK_EX)
        if not finished.exists():
            _install(folder, lock, log.fileno(), progress)
            finished.touch()
    return command


def _install(folder: Path, lock: Path, log: int, progress: Progress) -> None:
    python = str(folder / "bin" / "python")
    steps = {
        f"Making an environment for Crossbar in {folder}": [
            *(sys.executable, "-m", "venv", str(folder)),
        ],
        "Installing Crossbar there, about a minute": [
            *(python, "-m", "pip", "install", "--require-hashes", "--no-deps", "-r", str(lock)),
        ],
    }
    for step, command in steps.items():
        progress(f"{step} ...")
        code = subprocess.call(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        if code != 0:
            raise StartError(
                f"Crossbar could not be installed (log: {folder / 'install.log'});"
                f" install it yourself and name it: {VARIABLE}=/path/to/crossbar"
            )


def _silence(line: str) -> None:
    pass
