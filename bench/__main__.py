"""``make bench``: pgwamp against what one writes by hand, and against two web APIs, in one run.

Machines are shared and noisy: an absolute figure means little, the ratio of two figures of the same
run more. The sides take turns in each round, and each figure is the median of several rounds.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import tempfile
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Any

from bench import database
from bench.scenarios import SCENARIOS, SIDES, Scenario
from bench.sides import Side, start
from pgwamp import migrations
from pgwamp.dev.postgres import Postgres
from pgwamp.dev.router import Router

WARM_UP = 50


def say(line: str) -> None:
    """Progress, apart from the results."""
    print(line, file=sys.stderr, flush=True)


def check(scenario: Scenario, sides: list[Side]) -> list[Side]:
    """The sides that can do it; those that must answer the same do."""
    able, answers = [], {}
    for side in sides:
        if side.name not in scenario.requests:
            continue
        try:
            _, _, answers[side.name] = side.measure(_order(scenario, side, WARM_UP, 8))
        except RuntimeError as error:
            say(f"{scenario.name}: not available from {side.name}: {error}")
        else:
            able.append(side)
    alike = [answer for name, answer in answers.items() if name != "postgraphile"]
    if scenario.same and any(answer != alike[0] for answer in alike):
        raise SystemExit(f"{scenario.name}: the sides do not answer the same")
    return able


def _order(scenario: Scenario, side: Side, number: int, in_flight: int) -> dict[str, Any]:
    return {
        "request": scenario.requests[side.name],
        "number": number,
        "in_flight": in_flight,
        "highest": scenario.highest,
    }


def measure(
    scenario: Scenario, sides: list[Side], in_flight: int, options: argparse.Namespace, url: str
) -> dict[str, Any]:
    """The medians of one scenario."""
    number = max(in_flight, int(scenario.number * options.scale))
    rates: dict[str, list[float]] = {side.name: [] for side in sides}
    cpu: dict[str, list[float]] = {side.name: [] for side in sides}
    for turn in range(options.rounds):
        for side in sides if turn % 2 else reversed(sides):
            if scenario.name.startswith("insert"):
                database.empty(url)
            rate, work, _ = side.measure(_order(scenario, side, number, in_flight))
            rates[side.name].append(rate)
            cpu[side.name].append(work)
        say(f"{scenario.name}, {in_flight} in flight: round {turn + 1} of {options.rounds}")
    per_second = {name: statistics.median(values) for name, values in rates.items()}
    work_each = {name: statistics.median(values) for name, values in cpu.items()}
    ours, ours_work = per_second["pgwamp"], work_each["pgwamp"]
    return {
        "scenario": scenario.name,
        "in_flight": in_flight,
        "per_second": {name: round(value) for name, value in per_second.items()},
        "ratio": {n: round(ours / v, 2) for n, v in per_second.items() if n != "pgwamp"},
        "cpu_ratio": {
            n: round(ours_work / v, 2) for n, v in work_each.items() if n != "pgwamp" and v
        },
    }


def main() -> None:
    """Run and print."""
    parser = argparse.ArgumentParser(prog="bench", description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--scale", type=float, default=1.0, help="share of the calls to make")
    parser.add_argument("--in-flight", type=int, nargs="+", default=[16, 64])
    parser.add_argument("--only", nargs="+", metavar="WORD", help="scenarios with such a word")
    parser.add_argument("--sides", nargs="+", choices=SIDES, default=SIDES)
    parser.add_argument("--uvloop", action="store_true", help="for the hand-written handler too")
    parser.add_argument("--json", action="store_true", help="one JSON document")
    options = parser.parse_args()
    chosen = [s for s in SCENARIOS if not options.only or any(w in s.name for w in options.only)]
    results = []
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="pgwamp-bench-")))
        folder.chmod(0o755)
        say("starting PostgreSQL and Crossbar.io ...")
        postgres = stack.enter_context(Postgres(folder / "postgres", options={"fsync": "off"}))
        router = stack.enter_context(Router(folder / "crossbar", port=0))
        database.create(postgres.url())
        migrations.upgrade(postgres.url())
        begin = partial(start, database=postgres.url(), router=router, uvloop=options.uvloop)
        sides = []
        for name in SIDES:
            if name in options.sides or name == "pgwamp":
                try:
                    sides.append(stack.enter_context(begin(name)))
                except FileNotFoundError as missing:
                    say(str(missing))
        for scenario in chosen:
            able = check(scenario, sides)
            for in_flight in options.in_flight:
                results.append(measure(scenario, able, in_flight, options, postgres.url()))
    print(json.dumps(results, indent=2) if options.json else table(results))


def table(results: list[dict[str, Any]]) -> str:
    """The results for a person: calls per second, and pgwamp's share of each other side's."""
    lines = [f"{'':28}{'pgwamp':>9}" + "".join(f"{name:>26}" for name in SIDES[1:])]
    for result in results:
        rates = result["per_second"]
        line = f"{result['scenario']}, {result['in_flight']} in flight"
        line = f"{line:28}{rates['pgwamp']:>7}/s"
        for name in SIDES[1:]:
            if name in rates:
                cpu = result["cpu_ratio"].get(name, "?")
                line += f"{rates[name]:>8}/s x{result['ratio'][name]:<5} cpu {cpu:<5}"
            else:
                line += f"{'-':>26}"
        lines.append(line)
    lines.append(
        "x: pgwamp's rate by this side's; cpu: CPU of the serving process per call, likewise"
    )
    return "\n".join(lines)


if __name__ == "__main__":
    main()
