"""``python -m bench.events``: what events cost writers, how late they come, and how many.

``writers``: inserts per second into a plain table, a watched one, and one with the trigger that
notifies for each row. ``latency``: from commit to subscriber, beside a hand-written bridge.
``throughput``: to one subscriber, beside a bare publisher. ``backlog``: a million events written
while no component ran. Everything runs on one machine and shares its processors, with the router
on a Unix socket; the sides take turns, and each figure is the median of the rounds. All of it
takes about half an hour, with ``--quick`` five minutes.
"""

from __future__ import annotations

import argparse
import json
import os
from contextlib import ExitStack
from types import ModuleType

from bench.events import backlog, latency, throughput, writers
from bench.events.stand import QUICK, Effort, beside, stand
from bench.former import export

MEASURES: dict[str, ModuleType] = {
    "writers": writers,
    "latency": latency,
    "throughput": throughput,
    "backlog": backlog,
}


def main() -> None:
    """Run and print."""
    parser = argparse.ArgumentParser(prog="bench.events", description=__doc__)
    parser.add_argument("measure", nargs="+", choices=[*MEASURES, "all"])
    parser.add_argument("--quick", action="store_true", help="shorter rounds, a small backlog")
    parser.add_argument("--durable", action="store_true", help="PostgreSQL waits for the disk")
    parser.add_argument("--json", action="store_true", help="one JSON document")
    parser.add_argument("--against", metavar="REVISION", help="writers beside those of another one")
    options = parser.parse_args()
    chosen = [name for name in MEASURES if {name, "all"} & set(options.measure)]
    effort = QUICK if options.quick else Effort()
    # Other programs on the machine move every figure, and ratios less: say how busy it was.
    machine = {"processors": os.cpu_count(), "load_before": round(os.getloadavg()[0], 1)}
    if options.against and chosen != ["writers"]:
        parser.error("--against is there for writers alone")
    with ExitStack() as stack:
        former = stack.enter_context(export(options.against)) if options.against else None
        made = stack.enter_context(stand(durable=options.durable))
        other = [] if former is None else [beside(made, former)]
        results = {name: MEASURES[name].measure(made, effort, *other) for name in chosen}
    if options.json:
        print(json.dumps({"machine": machine, **results}, indent=2))
        return
    print(f"{machine['processors']} processors, load {machine['load_before']} before the start")
    for name in chosen:
        for line in MEASURES[name].lines(results[name]):
            print(line)


if __name__ == "__main__":
    main()
