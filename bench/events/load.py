"""Writers: pgbench, which lies beside the embedded PostgreSQL and costs little itself."""

from __future__ import annotations

import os
import re
import subprocess
import tempfile
import time
from dataclasses import dataclass

import psutil

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
    :ivar cpu_us: of the server's processor that an insert took: what else the machine does moves
        this least.
    """

    rows: int
    per_second: float
    statement_ms: float
    cpu_us: float


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
    spent = _ended_sessions(stand)
    with tempfile.NamedTemporaryFile("w", suffix=".sql") as file:
        file.write(script)
        file.flush()
        ended = subprocess.run(
            [*command, f"--file={file.name}", stand.postgres.public_url(stand.database)],
            env={**os.environ, "PGPASSFILE": str(stand.postgres.passfile)},
            capture_output=True,
            text=True,
            timeout=seconds + 60,
        )
    if ended.returncode:
        raise SystemExit(f"pgbench failed: {ended.stderr.strip()}")
    rows = int(_number(r"actually processed: (\d+)", ended.stdout))
    return Written(
        rows,
        _number(r"tps = ([\d.]+)", ended.stdout),
        _number(r"([\d.]+)\s+\d+\s+insert into", ended.stdout),
        (_ended_sessions(stand) - spent) / max(rows, 1) * 1e6,
    )


def _ended_sessions(stand: Stand) -> float:
    """CPU seconds of all sessions that have ended, once pgbench's have."""
    deadline = time.monotonic() + 10
    while stand.value("select count(*) from pg_stat_activity where application_name = 'pgbench'"):
        if time.monotonic() > deadline:
            raise SystemExit("sessions of pgbench did not end")
        time.sleep(0.01)
    server = psutil.Process(int((stand.postgres.data / "postmaster.pid").read_text().split()[0]))
    times = server.cpu_times()
    return float(times.children_user + times.children_system)


def _number(pattern: str, output: str) -> float:
    match = re.search(pattern, output)
    if match is None:
        raise SystemExit(f"pgbench says nothing like {pattern}: {output}")
    return float(match[1])
