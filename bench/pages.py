"""``python -m bench.pages``: what a deep page costs, by keyset and by offset.

A million rows in pages of a hundred: page 1 and page 10,000 by ``after``, and page 10,000 by
``offset`` beside them, interleaved in one run; medians.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import asyncpg

from pgwamp.catalog import Graph, load_catalog
from pgwamp.dev.postgres import Postgres
from pgwamp.query.reads import Page, Reads
from pgwamp.query.scope import Scopes

ROWS, PAGE = 1_000_000, 100
TABLE = f"""
create table event (
    id bigint primary key, kind int not null, at timestamptz not null, note text
);
insert into event
select n, n % 1000, '2024-01-01'::timestamptz + (n / 7) * interval '1 second', 'note ' || n
from generate_series(1, {ROWS}) as n;
create index on event (at desc, id desc);
create index on event (kind, id);
vacuum analyze event
"""
ORDERS = (["id"], ["at.desc"], ["kind", "id.desc"], ["kind"])


async def fetch(connection: asyncpg.Connection[Any], page: Page) -> list[Any]:
    """Run a page's statement."""
    return await connection.fetch(page.bound.statement.sql, *page.bound.parameters)


async def timed(connection: asyncpg.Connection[Any], page: Page) -> float:
    """Milliseconds that a page takes."""
    began = time.perf_counter()
    records = await fetch(connection, page)
    took = (time.perf_counter() - began) * 1000
    assert len(await page.rows(records)) == PAGE
    return took


async def measure(url: str, rounds: int) -> list[dict[str, Any]]:
    """The medians of each order."""
    connection = await asyncpg.connect(url)
    for statement in TABLE.split(";"):
        await connection.execute(statement)
    catalog = await load_catalog(connection, ["public"], watched=False)
    scopes = Scopes(catalog, Graph(catalog, catalog.relations))
    reads = Reads(scopes.of(catalog.relations[0]), max_rows=1000)
    results = []
    for order in ORDERS:
        # The cursor of page 9,999, without walking there.
        before = reads.select(
            {"order": order, "after": None, "offset": ROWS - 2 * PAGE, "limit": PAGE}
        )
        deep = before.next(await fetch(connection, before))
        pages = {
            "first": reads.select({"order": order, "after": None, "limit": PAGE}),
            "deep": reads.select({"order": order, "after": deep, "limit": PAGE}),
            "offset": reads.select({"order": order, "offset": ROWS - PAGE, "limit": PAGE}),
        }
        times: dict[str, list[float]] = {name: [] for name in pages}
        for _ in range(rounds):
            for name, page in pages.items():
                times[name].append(await timed(connection, page))
        medians = {name: statistics.median(values) for name, values in times.items()}
        results.append(
            {
                "order": order,
                "page_1_ms": round(medians["first"], 3),
                "page_10000_ms": round(medians["deep"], 3),
                "page_10000_by_offset_ms": round(medians["offset"], 3),
                "ratio": round(medians["deep"] / medians["first"], 2),
                "offset_ratio": round(medians["offset"] / medians["first"], 1),
            }
        )
        print(f"measured order by {', '.join(order)}", file=sys.stderr)
    await connection.close()
    return results


def main() -> None:
    """Run and print."""
    parser = argparse.ArgumentParser(prog="bench.pages", description=__doc__)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--json", action="store_true", help="one JSON document")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="pgwamp-bench-") as name:
        folder = Path(name)
        folder.chmod(0o755)
        print(f"starting PostgreSQL and writing {ROWS:,} rows ...", file=sys.stderr)
        with Postgres(folder / "postgres", options={"fsync": "off"}) as postgres:
            results = asyncio.run(measure(postgres.url(), options.rounds))
    if options.json:
        print(json.dumps(results, indent=2))
        return
    for r in results:
        print(
            f"order by {', '.join(r['order'])}: page 1 {r['page_1_ms']} ms, "
            f"page 10,000 {r['page_10000_ms']} ms (ratio {r['ratio']}), "
            f"by offset {r['page_10000_by_offset_ms']} ms (ratio {r['offset_ratio']})"
        )


if __name__ == "__main__":
    main()
