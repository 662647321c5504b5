"""``python -m tests.golden``: write the golden files of tests/query and tests/schema anew.

The server is that of the tests, see CONTRIBUTING.md. Files of what it has not stay as they are.
"""

from __future__ import annotations

from contextlib import closing
from functools import partial

from pgwamp import migrations
from pgwamp.dev.postgres import Postgres
from tests.query import golden_kinds, golden_requests
from tests.query.conftest import Bench
from tests.schema import golden_watches
from tests.schema.conftest import connect, query
from tests.servers import FAST, execute, postgres_bin, server_folder


def write_requests(url: str) -> None:
    """Write the files of tests/query; the database is empty."""
    with closing(Bench(url)) as bench:
        maker = golden_requests.Maker(bench)
        for kind in golden_kinds.KINDS:
            path = golden_requests.FOLDER / f"{kind}.sql"
            path.write_text(maker.file(kind), encoding="utf-8")


def write_watches(url: str) -> None:
    """Write the files of tests/schema; the database is empty."""
    migrations.upgrade(url)
    with closing(connect(url)) as connection:
        version = connection.info.server_version // 10_000
        for name, watch in golden_watches.WATCHES.items():
            path = golden_watches.FOLDER / f"{name}.sql"
            if version < watch.oldest:
                print(f"{path} stays as it is: it needs PostgreSQL {watch.oldest}")
                continue
            path.write_text(golden_watches.made(partial(query, connection), watch), "utf-8")


def main() -> None:
    """Write all files."""
    with (
        server_folder() as folder,
        Postgres(folder / "data", bin=postgres_bin(), options=FAST, trust=True) as server,
    ):
        execute(server.url(), "create database requests", "create database watches")
        write_requests(server.url("requests"))
        write_watches(server.url("watches"))


if __name__ == "__main__":
    main()
