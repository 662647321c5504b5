"""The processes of a benchmark: started, waited for, asked by lines of JSON, and watched."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil

ROOT = Path(__file__).parent.parent
#: This checkout's code, whichever the environment was made for.
_CODE = os.pathsep.join((str(ROOT), str(ROOT / "component")))
Processes = Sequence[psutil.Process]


def say(line: str) -> None:
    """Progress, apart from the results."""
    print(line, file=sys.stderr, flush=True)


@contextmanager
def running(
    command: list[str], until: str | None, stdin: int | None = None, **environment: str
) -> Iterator[subprocess.Popen[str]]:
    """A process, which is waited for until it says so."""
    child = subprocess.Popen(
        command,
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": _CODE, **environment},
        stdin=stdin,
        stdout=subprocess.PIPE if until else subprocess.DEVNULL,
        stderr=subprocess.STDOUT if until and stdin is None else None,
        text=True,
    )
    try:
        if until is not None:
            assert child.stdout is not None
            for line in child.stdout:
                if until in line:
                    break
            else:
                raise SystemExit(f"{' '.join(command)} ended before it was ready")
        yield child
    finally:
        child.terminate()
        child.wait(10)


def ask(child: subprocess.Popen[str], order: Any) -> Any:
    """A line of JSON to a process, and the line that it answers."""
    assert child.stdin is not None
    assert child.stdout is not None
    child.stdin.write(json.dumps(order) + "\n")
    child.stdin.flush()
    line = child.stdout.readline()
    if not line:
        raise SystemExit(f"{' '.join(map(str, child.args))} ended before it answered")
    return json.loads(line)


class Used:
    """Seconds of the clock, and of CPU time in given processes, that a step takes."""

    def __init__(self, **watched: Processes):
        self._watched = watched
        self._began = self._now()

    def _now(self) -> dict[str, float]:
        times = {
            f"{name} CPU seconds": sum(sum(process.cpu_times()[:2]) for process in group)
            for name, group in self._watched.items()
        }
        return {"seconds": time.perf_counter(), **times}

    def seconds(self) -> dict[str, float]:
        """So far."""
        return {name: round(now - self._began[name], 3) for name, now in self._now().items()}
