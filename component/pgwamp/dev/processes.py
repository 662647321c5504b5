"""Finding and ending the processes of a server, also those an earlier run left behind."""

from __future__ import annotations

import contextlib
import os
import signal
import time
from collections.abc import Iterable
from pathlib import Path

import psutil


def at_home_in(folder: Path, name: str) -> list[psutil.Process]:
    """The processes that work in ``folder`` and have ``name`` in their command line.

    Every process of a PostgreSQL server works in its data directory, and every one of a Crossbar
    node in its node directory: that still tells whose they are when their parent is gone and
    the number in a pid file belongs to somebody else.
    """
    home = str(folder.resolve())
    found = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error, OSError):
            if process.cwd() == home and name in " ".join(process.cmdline()):
                found.append(process)
    return found


def in_group(group: int) -> list[psutil.Process]:
    """The living processes of one process group."""
    found = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error, OSError):
            if os.getpgid(process.pid) == group and process.status() != psutil.STATUS_ZOMBIE:
                found.append(process)
    return found


def end(processes: Iterable[psutil.Process], with_signal: int, timeout: float) -> None:
    """Send each process a signal, and SIGKILL to those still there ``timeout`` seconds later."""
    processes = list(processes)
    for process in processes:
        with contextlib.suppress(psutil.Error):
            process.send_signal(with_signal)
    gone_within(processes, timeout)


def gone_within(processes: Iterable[psutil.Process], timeout: float) -> None:
    """Wait until all have ended; after ``timeout`` seconds SIGKILL the rest and wait for that."""
    alive = _alive_after(processes, timeout)
    for process in alive:
        with contextlib.suppress(psutil.Error):
            process.send_signal(signal.SIGKILL)
    _alive_after(alive, 10)


def _alive_after(processes: Iterable[psutil.Process], timeout: float) -> list[psutil.Process]:
    """Those still alive after ``timeout`` seconds, at once when there are none."""
    deadline = time.monotonic() + timeout
    alive = [process for process in processes if _lives(process)]
    while alive and time.monotonic() < deadline:
        time.sleep(0.02)
        alive = [process for process in alive if _lives(process)]
    return alive


def _lives(process: psutil.Process) -> bool:
    # A zombie has ended; where process 1 does not reap, waiting for it would never end.
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.Error:
        return False
