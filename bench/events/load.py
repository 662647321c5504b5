"""Writers: pgbench, which lies beside the embedded PostgreSQL and costs little itself."""

from __future__ import annotations

import re
import subprocess
import tempfile
from dataclasses import dataclass

from bench.events.stand import STAMP, Stand
from pgwamp.dev import embedded

_INSERT = f"""\\set device random(1, 1000)
insert into {{}} (device, value, note, stamp)
values (:device, :device / 7.0, 'a reading of device ' || :device, {STAMP});
"""


@dataclass(frozen=True)
class Written:
    """What the writers of a run did.

    :ivar statement_ms: that an insert took on average.
    """

    rows: int
    per_second: float
    statement_ms: float


def write(
    stand: Stand,
    table: str,
    seconds: int,
    writers: int = 1,
    *,
    per_second: float | None = None,
    pause_ms: int | None = None,
) -> Written:
    """Insert single rows, each in a transaction of its own.

    :param per_second: of all writers together, at random moments; as fast as it goes when missing.
    :param pause_ms: that each writer waits before each insert.
    """
    script = _INSERT.format(table)
    if pause_ms is not None:
        script = f"\\sleep {pause_ms} ms\n{script}"
    command = [str(embedded.programs() / "pgbench"), "--no-vacuum", "--protocol=prepared"]
    command += [f"--client={writers}", f"--jobs={min(writers, 2)}", f"--time={seconds}"]
    command += ["--report-per-command"]
    if per_second is not None:
        command += [f"--rate={per_second:.1f}"]
    with tempfile.NamedTemporaryFile("w", suffix=".sql") as file:
        file.write(script)
        file.flush()
        ended = subprocess.run(
            [*command, f"--file={file.name}", stand.url],
            capture_output=True,
            text=True,
            timeout=seconds + 60,
        )
    if ended.returncode:
        raise SystemExit(f"pgbench failed: {ended.stderr.strip()}")
    return Written(
        int(_number(r"actually processed: (\d+)", ended.stdout)),
        _number(r"tps = ([\d.]+)", ended.stdout),
        _number(r"([\d.]+)\s+\d+\s+insert into", ended.stdout),
    )


def _number(pattern: str, output: str) -> float:
    match = re.search(pattern, output)
    if match is None:
        raise SystemExit(f"pgbench says nothing like {pattern}: {output}")
    return float(match[1])
