"""``python -m tests.matrix``: the suite with each Python, PostgreSQL and set of dependencies.

Each cell is a clone of the last commit with environments of its own. What this machine has not is
said, and is no failure. The exit code is 1 when a cell fails.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

from pgwamp.dev.embedded import programs

ROOT = Path(__file__).parents[1]
UV = ROOT / ".venv-lock" / "bin" / "uv"
_COUNTS = re.compile(r"\d+ (?:passed|failed|skipped|errors?)")
#: A PostgreSQL of Debian, to test with beside those of the embedded package.
DEBIAN_15 = Path("/usr/lib/postgresql/15/bin")

Resolution = Literal["locked", "lowest-direct", "highest"]


@dataclass(frozen=True)
class Cell:
    """What one run of the suite is made with.

    :ivar postgres: folder of its programs; None for that of ``pgwamp dev``.
    :ivar resolution: which of the versions that ``setup.cfg`` allows.
    """

    name: str
    python: str = "python3.11"
    postgres: Path | None = None
    resolution: Resolution = "locked"

    @property
    def missing(self) -> str | None:
        """What this machine lacks for it."""
        found = shutil.which(self.python)
        if found is None or subprocess.run([found, "--version"], capture_output=True).returncode:
            return f"{self.python} is not installed"
        if self.postgres is not None and not (self.postgres / "postgres").exists():
            return f"there is no {self.postgres}/postgres"
        return None


@dataclass(frozen=True)
class Outcome:
    """How a cell ended.

    :ivar outcome: ``passed``, ``failed``, or ``not run``.
    :ivar said: the counts of pytest, or why it was not run.
    """

    name: str
    outcome: str
    said: str
    seconds: int = 0
    log: str | None = None


def cells() -> list[Cell]:
    """All that is supported, the most usual first."""
    return [
        Cell("python 3.11, postgresql 18"),
        Cell("python 3.12", python="python3.12"),
        Cell("python 3.13", python="python3.13"),
        Cell("postgresql 16", postgres=programs(16)),
        Cell("postgresql 15", postgres=DEBIAN_15),
        Cell("oldest dependencies", resolution="lowest-direct"),
        Cell("newest dependencies", resolution="highest"),
    ]


def run(cell: Cell, arguments: str, logs: Path) -> Outcome:
    """Run the suite in a clone; what it prints goes into a file."""
    if cell.missing:
        return Outcome(cell.name, "not run", cell.missing)
    log = logs / f"{re.sub('[^a-z0-9]+', '-', cell.name)}.log"
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="pgwamp-matrix-") as name, log.open("w") as out:
        clone = Path(name) / "pgwamp"
        environment = {**os.environ}
        if cell.postgres is not None:
            environment["PGWAMP_TEST_POSTGRES"] = str(cell.postgres)

        def do(*command: str | Path, folder: Path = clone) -> bool:
            return not subprocess.run(
                command,
                cwd=folder,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=subprocess.STDOUT,
            ).returncode

        done = do("git", "clone", "--quiet", ROOT, clone, folder=ROOT)
        # The router is a program of its own: it is the same in every cell.
        (clone / ".venv-crossbar").symlink_to(ROOT / ".venv-crossbar")
        if done and cell.resolution != "locked":
            done = do(*_resolve(cell))
        done = done and do("make", "test", f"PYTHON={cell.python}", f"ARGS={arguments}")
    seconds = round(time.monotonic() - began)
    text = log.read_text()
    said = " ".join(_COUNTS.findall(text.rstrip().rpartition("\n")[2])) or text[-300:].strip()
    return Outcome(cell.name, "passed" if done else "failed", said, seconds, str(log))


def _resolve(cell: Cell) -> list[str | Path]:
    """The command that writes another lock file than that of the repository."""
    return [
        UV, "pip", "compile", "--quiet", "--universal", "--generate-hashes", "--strip-extras",
        "--no-emit-index-url", "--no-emit-find-links", "--no-header", "--no-annotate", "--upgrade",
        "--python-version", cell.python.removeprefix("python"), "--resolution", cell.resolution,
        "--extra", "dev", "--extra", "test", "-o", "requirements.txt", "setup.cfg",
    ]  # fmt: skip


def main() -> int:
    """Run the cells one after the other, and say how each ended."""
    parser = argparse.ArgumentParser(prog="tests.matrix", description=__doc__)
    parser.add_argument("--only", action="append", metavar="TEXT", help="cells whose name has it")
    parser.add_argument("--args", default="", help="for pytest, as -k name")
    parser.add_argument("--logs", type=Path, default=Path(tempfile.gettempdir()), metavar="FOLDER")
    parser.add_argument("--json", action="store_true", help="one JSON document")
    options = parser.parse_args()
    outcomes = []
    for cell in cells():
        if options.only and not any(text in cell.name for text in options.only):
            continue
        print(f"{cell.name} ...", file=sys.stderr, flush=True)
        outcome = run(cell, options.args, options.logs)
        outcomes.append(outcome)
        log = f" ({outcome.log})" if outcome.log else ""
        print(f"{outcome.outcome}: {outcome.said}, {outcome.seconds} s{log}", file=sys.stderr)
    if options.json:
        print(json.dumps([asdict(outcome) for outcome in outcomes], indent=2))
    return 1 if any(outcome.outcome == "failed" for outcome in outcomes) else 0


if __name__ == "__main__":
    sys.exit(main())
