"""``make bench``: pgwamp against what one writes by hand, and against two web APIs, in one run.

Machines are shared and noisy: an absolute figure means little, the ratio of two figures of the same
run more. The sides take turns in each round, and each figure is the median of several rounds. With
``--against REVISION`` a former revision of pgwamp is one more side.
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Any

from bench import database
from bench.former import NAME, WORTH_NAMING, Former, export
from bench.processes import say
from bench.scenarios import SCENARIOS, SIDES, Scenario
from bench.sides import Side, start, start_former
from pgwamp import migrations
from pgwamp.dev.postgres import Postgres
from pgwamp.dev.router import Router

WARM_UP = 50


def check(scenario: Scenario, sides: list[Side]) -> list[Side]:
    """The sides that can do it; those that must answer the same do."""
    able, answers = [], {}
    for side in sides:
        if scenario.request(side.name) is None:
            continue
        try:
            _, _, answers[side.name] = side.measure(_order(scenario, side, WARM_UP, 8))
        except RuntimeError as error:
            say(f"{scenario.name}: not available from {side.name}: {error}")
        else:
            able.append(side)
    if scenario.same and answers.get(NAME, answers["pgwamp"]) != answers["pgwamp"]:
        say(f"{scenario.name}: the former revision answers something else")
    alike = [answer for name, answer in answers.items() if name not in ("postgraphile", NAME)]
    if scenario.same and any(answer != alike[0] for answer in alike):
        raise SystemExit(f"{scenario.name}: the sides do not answer the same")
    return able


def _order(scenario: Scenario, side: Side, number: int, in_flight: int) -> dict[str, Any]:
    return {
        "request": scenario.request(side.name),
        "number": number,
        "in_flight": in_flight,
        "highest": scenario.highest,
    }


def measure(
    scenario: Scenario, sides: list[Side], in_flight: int, options: argparse.Namespace
) -> dict[str, Any]:
    """The medians of one scenario."""
    number = max(in_flight, int(scenario.number * options.scale))
    rates: dict[str, list[float]] = {side.name: [] for side in sides}
    cpu: dict[str, list[float]] = {side.name: [] for side in sides}
    for turn in range(options.rounds):
        for side in sides if turn % 2 else reversed(sides):
            if scenario.name.startswith("insert"):
                database.empty(side.database)
            rate, work, _ = side.measure(_order(scenario, side, number, in_flight))
            rates[side.name].append(rate)
            cpu[side.name].append(work)
        say(f"{scenario.name}, {in_flight} in flight: round {turn + 1} of {options.rounds}")
    others = [name for name in rates if name != "pgwamp"]
    return {
        "scenario": scenario.name,
        "in_flight": in_flight,
        "per_second": {name: round(statistics.median(each)) for name, each in rates.items()},
        "ratio": {name: _ratio(rates["pgwamp"], rates[name]) for name in others},
        "cpu_ratio": {name: _ratio(cpu["pgwamp"], cpu[name]) for name in others if all(cpu[name])},
    }


def _ratio(ours: list[float], theirs: list[float]) -> float:
    """The median of each round's ratio: what else a shared machine did, it did to both."""
    return round(statistics.median(a / b for a, b in zip(ours, theirs, strict=True)), 2)


def slower(results: list[dict[str, Any]]) -> list[str]:
    """The results in which this revision is slower than the former one."""
    return [
        f"slower than the former revision: {result['scenario']}, {result['in_flight']} in flight: "
        f"{result['ratio'][NAME]}"
        for result in results
        if result["ratio"].get(NAME, 1) < WORTH_NAMING
    ]


def main() -> None:
    """Run and print."""
    parser = argparse.ArgumentParser(prog="bench", description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--scale", type=float, default=1.0, help="share of the calls to make")
    parser.add_argument("--in-flight", type=int, nargs="+", default=[16, 64])
    parser.add_argument("--only", nargs="+", metavar="WORD", help="scenarios with such a word")
    parser.add_argument("--sides", nargs="+", choices=SIDES, default=SIDES)
    parser.add_argument("--against", metavar="REVISION", help="a former revision as one more side")
    parser.add_argument("--uvloop", action="store_true", help="for the hand-written handler too")
    parser.add_argument("--json", action="store_true", help="one JSON document")
    options = parser.parse_args()
    chosen = [s for s in SCENARIOS if not options.only or any(w in s.name for w in options.only)]
    results = []
    with ExitStack() as stack:
        former = stack.enter_context(export(options.against)) if options.against else None
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
        if former is not None:
            say(f"starting {former.revision} ...")
            url = _database_of(former, postgres)
            ours = next(side for side in sides if side.name == "pgwamp")
            sides.append(stack.enter_context(start_former(former, ours, url, router)))
        for scenario in chosen:
            able = check(scenario, sides)
            for in_flight in options.in_flight:
                results.append(measure(scenario, able, in_flight, options))
    print(json.dumps(results, indent=2) if options.json else table(results))
    for line in slower(results):
        say(line)


def _database_of(former: Former, postgres: Postgres) -> str:
    """A database with the same tables, and the schema as the former revision makes it."""
    database.run(postgres.url(), f"create database {NAME}")
    url = postgres.url(NAME)
    database.create(url)
    former.migrate(url)
    return url


def table(results: list[dict[str, Any]]) -> str:
    """The results for a person: calls per second, and pgwamp's share of each other side's."""
    others = [name for name in (*SIDES[1:], NAME) if any(name in r["ratio"] for r in results)]
    lines = [f"{'':28}{'pgwamp':>9}" + "".join(f"{name:>26}" for name in others)]
    for result in results:
        rates = result["per_second"]
        line = f"{result['scenario']}, {result['in_flight']} in flight"
        line = f"{line:28}{rates['pgwamp']:>7}/s"
        for name in others:
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
