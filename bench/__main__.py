"""``make bench``: pgwamp's calls against a hand-written handler, interleaved in one run.

Machines are shared and noisy: an absolute figure means little, the ratio of two figures of the
same run more. Each figure is the median of several rounds.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Coroutine, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import psutil
import psycopg2

from pgwamp import migrations
from pgwamp.dev.postgres import Postgres
from pgwamp.dev.router import Router
from pgwamp.session import Client
from pgwamp.settings import RouterSettings

IN_FLIGHT = 64
ROWS = 10_000
TABLE = f"""
create table item (
    id int primary key, name text not null, kind text not null, quantity int not null,
    price numeric(10, 2) not null, active bool not null, created timestamptz not null, note text
);
insert into item
select n, 'item ' || n, 'kind ' || n % 7, n % 100, n / 7.0, n % 2 = 0, now(), null
from generate_series(1, {ROWS}) as n;
analyze item
"""
Call = Callable[[int], Coroutine[Any, Any, Any]]


@contextmanager
def process(module: str, *arguments: str, **environment: str) -> Iterator[subprocess.Popen[str]]:
    """A process that says ``ready`` when it is."""
    child = subprocess.Popen(
        [sys.executable, "-m", module, *arguments],
        env={**os.environ, **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    try:
        assert child.stdout is not None
        for line in child.stdout:
            if "ready" in line:
                break
        else:
            raise SystemExit(f"{module} ended before it was ready")
        yield child
    finally:
        child.terminate()
        child.wait(10)


def cpu_seconds(child: subprocess.Popen[str]) -> float:
    """CPU time that a process has used."""
    times = psutil.Process(child.pid).cpu_times()
    return float(times.user + times.system)


async def rate(call: Call, number: int) -> float:
    """Calls per second with a fixed number in flight."""
    pending = iter(range(number))

    async def worker() -> None:
        for index in pending:
            await call(index)

    began = time.perf_counter()
    await asyncio.gather(*(worker() for _ in range(IN_FLIGHT)))
    return number / (time.perf_counter() - began)


async def measure(
    url: str, rounds: int, scale: float, ours: Any, theirs: Any, say: Callable[[str], None]
) -> list[dict[str, Any]]:
    """Each scenario, pgwamp and the handler in turn, as medians and their ratio."""
    async with Client(RouterSettings(url=url)) as client:
        scenarios: list[tuple[str, int, Call, Call]] = [
            (
                "read one row",
                int(2000 * scale),
                lambda i: client.call("com.example.item.get", [i % ROWS + 1]),
                lambda i: client.call("com.example.hand.get", [i % ROWS + 1]),
            ),
            (
                "list 100 rows",
                int(400 * scale),
                lambda _: client.call("com.example.item.select", [], {"order": "id", "limit": 100}),
                lambda _: client.call("com.example.hand.list", [100]),
            ),
        ]
        results = []
        for name, number, pgwamp, hand in scenarios:
            assert await pgwamp(0) == await hand(0), "both must answer the same"
            rates: dict[str, list[float]] = {"pgwamp": [], "hand": []}
            cpu: dict[str, list[float]] = {"pgwamp": [], "hand": []}
            for turn in range(rounds):
                pairs = [("pgwamp", pgwamp, ours), ("hand", hand, theirs)]
                for who, call, child in pairs if turn % 2 else reversed(pairs):
                    used = cpu_seconds(child)
                    rates[who].append(await rate(call, number))
                    cpu[who].append((cpu_seconds(child) - used) / number)
                say(f"{name}: round {turn + 1} of {rounds}")
            result = {who: statistics.median(values) for who, values in rates.items()}
            work = {who: statistics.median(values) for who, values in cpu.items()}
            results.append(
                {
                    "scenario": name,
                    "in_flight": IN_FLIGHT,
                    "pgwamp_per_second": round(result["pgwamp"]),
                    "handwritten_per_second": round(result["hand"]),
                    "ratio": round(result["pgwamp"] / result["hand"], 3),
                    "cpu_ratio": round(work["pgwamp"] / work["hand"], 3),
                }
            )
        return results


def main() -> None:
    """Run and print."""
    parser = argparse.ArgumentParser(prog="bench", description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--scale", type=float, default=1.0, help="share of the calls to make")
    parser.add_argument("--json", action="store_true", help="one JSON document")
    options = parser.parse_args()

    def say(line: str) -> None:
        print(line, file=sys.stderr)

    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="pgwamp-bench-")))
        folder.chmod(0o755)
        say("starting PostgreSQL and Crossbar.io ...")
        postgres = stack.enter_context(Postgres(folder / "postgres", options={"fsync": "off"}))
        router = stack.enter_context(Router(folder / "crossbar", port=0))
        connection = psycopg2.connect(postgres.url())
        with connection, connection.cursor() as cursor:
            cursor.execute(TABLE)
        connection.close()
        migrations.upgrade(postgres.url())
        ours = stack.enter_context(
            process(
                "pgwamp",
                "run",
                DATABASE_URL=postgres.url(),
                PGWAMP_ROUTER__URL=router.component_url,
                PGWAMP_EXPOSE__SCHEMAS='["public"]',
            )
        )
        theirs = stack.enter_context(
            process(
                "bench.handwritten",
                DATABASE_URL=postgres.url(),
                ROUTER_SOCKET=router.component_url.removeprefix("rs+unix://"),
            )
        )
        results = asyncio.run(
            measure(router.component_url, options.rounds, options.scale, ours, theirs, say)
        )
    if options.json:
        print(json.dumps(results, indent=2))
        return
    for r in results:
        print(
            f"{r['scenario']}: pgwamp {r['pgwamp_per_second']}/s, hand-written "
            f"{r['handwritten_per_second']}/s at {r['in_flight']} in flight: "
            f"ratio {r['ratio']}, CPU per call {r['cpu_ratio']} times"
        )


if __name__ == "__main__":
    main()
