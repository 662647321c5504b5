"""``make soak``: the oracle for minutes, with a seed that can be given again."""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import sys
from dataclasses import asdict

from pgwamp import logs
from pgwamp.settings import LogSettings
from tests.events.oracle.run import run


def main() -> None:
    """Run, and print the report; exit code 1 with what was found wrong."""
    parser = argparse.ArgumentParser(prog="python -m tests.events.oracle", description=__doc__)
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("--seed", type=int, default=random.randrange(10**6))
    parser.add_argument("--json", action="store_true", help="print the report as JSON")
    options = parser.parse_args()
    # That its connections are lost is what it is about.
    logs.configure(LogSettings(level="error"))
    try:
        report = asyncio.run(run(options.minutes * 60, options.seed, _say, gap=5))
    except AssertionError as error:
        raise SystemExit(str(error)) from None
    print(json.dumps(asdict(report)) if options.json else report)


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
