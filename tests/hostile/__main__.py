"""``make soak-hostile``: hostile calls for minutes, with a seed that can be given again.

The router has a loop of its own, which hostile calls hold as well. So an echo by a plain Autobahn
callee stands beside pgwamp, and the victim calls both at the same moments. Ctrl-C ends the attack
early, with a report. The exit code is 1 when a bound is broken.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import asdict
from pathlib import Path

from pgwamp import logs, migrations
from pgwamp.dev.postgres import Postgres
from pgwamp.settings import LogSettings
from tests.hostile.echo import echo
from tests.hostile.node import HostileNode
from tests.hostile.run import Report, Run
from tests.hostile.stack import Target, target
from tests.servers import FAST, postgres_bin, server_folder

PREFIX = "com.example"


def main() -> int:
    """Attack, print the report, and say whether all stayed within bounds."""
    parser = argparse.ArgumentParser(prog="python -m tests.hostile", description=__doc__)
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("--seed", type=int, default=random.randrange(10**6))
    parser.add_argument("--serializer", choices=["msgpack", "cbor", "json"], default="msgpack",
                        help="between the component and the router")  # fmt: skip
    parser.add_argument("--json", action="store_true", help="print the report as JSON")
    options = parser.parse_args()
    logs.configure(LogSettings(level="error"))
    try:
        report, table = asyncio.run(_soak(options.minutes * 60, options.seed, options.serializer))
    except KeyboardInterrupt:
        # While the servers start there is nothing to report.
        return 130
    problems = report.problems()
    if options.json:
        print(json.dumps({**asdict(report), "problems": problems}, indent=2))
    else:
        print(f"{table}\n\n{report}")
    for problem in problems:
        _say(f"broken: {problem}")
    return 1 if problems else 0


async def _soak(seconds: float, seed: int, serializer: str) -> tuple[Report, str]:
    _say(f"hostile: seed {seed}, starting PostgreSQL, Crossbar and the component")
    async with _target(serializer) as attacked, echo(attacked.node.router.component_url, PREFIX):
        run = Run(attacked, seed, echo=True)
        for number in (signal.SIGINT, signal.SIGTERM):
            asyncio.get_running_loop().add_signal_handler(number, run.stop)
        return await run.run(seconds=seconds, say=_say), str(run.tally)


@asynccontextmanager
async def _target(serializer: str) -> AsyncIterator[Target]:
    with server_folder() as folder:
        node = HostileNode(folder)
        files = Path(folder) / "component"
        files.mkdir()
        options = {**FAST, "log_min_messages": "fatal"}
        with (
            Postgres(folder / "data", bin=postgres_bin(), options=options, trust=True) as postgres,
            node.router,
        ):
            await asyncio.to_thread(migrations.upgrade, postgres.url())
            async with target(node, postgres.url(), files, PREFIX, serializer) as attacked:
                yield attacked


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
