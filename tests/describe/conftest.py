"""The example shop, with a table of nasty names, as ``describe`` answers it."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from pgwamp.settings import AccessSettings, Settings
from tests.conftest import Addresses, Database

ROOT = Path(__file__).parents[2]
#: Ends comments, code, table cells and strings of Markdown, TypeScript and HTML.
NASTY = (
    "It ends */ here | `there`\n--- | ---\n===\n# no heading\n- item\n1. one\n\n"
    "```\n<script>\\ ${x} \"'\u2028</script>"
)
TABLE = "*/`|<b>\"'${x}"
COLUMNS = (
    "two words", "quo\"te'd", "back\\slash", "li\nne", "été", "日本", "1st", "class", "__proto__",
    "*/", "a|b", "`tick`", "\\|", "$1",
)  # fmt: skip


#: As many arguments as a function can have, with the first.
MANY = ", ".join(f"a{n} int default {n}" for n in range(99))
#: Watched with options.
PARCELS = ["create table parcels (id int primary key, status text, who text)"]


def quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def literal(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


def nasty_statements() -> list[str]:
    columns = ", ".join(f"{quoted(name)} text" for name in COLUMNS)
    comments = [
        f"comment on column {quoted(TABLE)}.{quoted(name)} is {literal(NASTY)}" for name in COLUMNS
    ]
    return [
        "create type feeling as enum ('*/', 'so ''so''', 'a|b', '`')",
        'create type point3 as (x int, "y*/" text)',
        f"create table {quoted(TABLE)} (id int primary key, feeling feeling, at point3, "
        f"span int4range, spans int4multirange, data bytea, extra jsonb, days date[], {columns})",
        f"comment on table {quoted(TABLE)} is {literal(NASTY)}",
        *comments,
        f"select wamp.watch({literal(quoted(TABLE))})",
        "create function pick(a int) returns int language sql immutable as 'select a'",
        "create function pick(b text, int) returns int language sql immutable as 'select $2'",
        "create function total(variadic amounts numeric[]) returns numeric language sql immutable "
        "as 'select sum(a) from unnest(amounts) as a'",
        f"create function many(first int, {MANY}) returns int language sql immutable "
        "as 'select first'",
        "create function ping() returns void language sql immutable as ''",
        "create function add(int, int) returns int language sql immutable as 'select $1 + $2'",
        "create function twice(int) returns int language sql immutable as 'select 2 * $1'",
        "create function twice(text) returns text language sql immutable as 'select $1 || $1'",
        "create function origin() returns point3 language sql immutable as $$ select 0, 'zero' $$",
        "create function pair() returns record language sql immutable as 'select 1 as x, 2 as y'",
        "create function pairs() returns setof record language sql as 'values (1, 2), (3, 4)'",
        "create function numbers(most int) returns setof int language sql immutable "
        "as 'select generate_series(1, most)'",
        "create function cheap(most numeric) returns setof products language sql stable "
        "as 'select * from products where price <= most'",
        "create function label(products) returns text language sql stable "
        "as $$ select $1.sku || ' ' || $1.name $$",
        f"comment on function ping is {literal(NASTY)}",
    ]


@pytest.fixture
def shop(database: Database, addresses: Addresses, prefix: str, tmp_path: Path) -> Settings:
    """The shop's settings in a database of the test's own, and the nasty table in it."""
    folder = tmp_path / "shop"
    ignored = shutil.ignore_patterns(".pgwamp", "__pycache__")
    shutil.copytree(ROOT / "examples" / "shop", folder, ignore=ignored)
    subprocess.run(
        [sys.executable, "-m", "alembic", "upgrade", "head"],
        cwd=folder,
        env={**os.environ, "DATABASE_URL": database.url},
        check=True,
        capture_output=True,
    )
    # The tutorial gives orders a note.
    database.execute(*nasty_statements(), *PARCELS, "alter table orders add note text")
    options = {"columns": ["id", "status"], "batch": True, "topic": f"{prefix}.of.{{who}}.{{op}}"}
    database.execute(f"select wamp.watch('parcels', {literal(json.dumps(options))})")
    sections: Mapping[str, Any] = {
        "database": {"url": database.url, "pool_min": 1, "pool_max": 5},
        "router": {"url": addresses.component},
        "expose": {"prefix": prefix},
    }
    settings = Settings.load(folder / "pgwamp.toml", **sections)
    # Its programs use everything, which the shop's callers may not.
    return settings.model_copy(update={"access": AccessSettings()})
