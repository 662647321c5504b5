"""The whole specification again, in a database where another role waits for its turn.

The role may create things in ``public``, which is on the search path of every call, and has made
operators and functions there that fit better than PostgreSQL's own. All calls run as superuser.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from itertools import product
from pathlib import Path

import asyncpg
import psycopg2.errors
import pytest

from pgwamp.access import Caller
from pgwamp.catalog import load_catalog
from pgwamp.database.connect import session_settings
from pgwamp.database.pooled import PooledConnection
from pgwamp.procedures.queries import read_queries
from pgwamp.session import Call
from tests.servers import Addresses, execute
from tests.spec import test_routines, test_writes
from tests.spec.cases import Case, Refusal, named
from tests.spec.conftest import Desk, fresh_database
from tests.spec.test_router import CASES

#: Types between which PostgreSQL has no operator of its own, or only one that fits less well.
TYPES = (
    "varchar", "bpchar", "text", "int", "bigint", "smallint", "numeric", "mood", "place", "price",
    "color", "text[]", "int[]", "mood[]", "int4range", "json", "jsonb", "float8", "real", "date",
    "timestamptz", "record", "person",
)  # fmt: skip
#: Types that queries about the catalog compare.
CATALOG_TYPES = (
    ("oid", "regclass"), ("oid", "regnamespace"), ("oid", "regtype"), ("name", "varchar"),
    ("smallint", "oid"), ("oid", "bigint"), ("int2vector", "int2vector"),
)  # fmt: skip
OPERATORS = (
    "=", "<>", "<", "<=", ">", ">=", "~~", "~~*", "!~~", "!~~*", "~", "~*", "@@", "@>", "<@", "&&",
    "->", "->>", "?", "?|", "?&", "-|-", "<<", ">>", "&<", "&>",
)  # fmt: skip
FUNCTIONS = (
    "json_agg", "row_to_json", "to_json", "count", "min", "max", "sum", "avg", "unnest",
    "to_tsvector", "to_tsquery", "plainto_tsquery", "phraseto_tsquery", "websearch_to_tsquery",
    "text", "varchar", "numeric", "json", "jsonb", "set_config",
)  # fmt: skip
TRAP = "language plpgsql as $$ begin raise exception 'the trap of %', current_user; end $$"
#: Functions of the specification whose bodies would step into the traps by themselves.
UNSAFE = ("hidden.color_to_json", "total", "sorted")
WRITES = [
    *test_writes.INSERTS, *test_writes.UPDATES, *test_writes.UPSERTS, *test_writes.DELETES,
    *test_routines.WRITES,
]  # fmt: skip


def traps() -> Iterator[str]:
    """Statements of the role that lays them."""
    for left, right in (*product(TYPES, TYPES), *CATALOG_TYPES):
        yield f"create function trap({left}, {right}) returns bool {TRAP}"
        for name in OPERATORS:
            yield (
                f"create operator public.{name} "
                f"(function = public.trap, leftarg = {left}, rightarg = {right})"
            )
    for name, kind in product(FUNCTIONS, TYPES):
        if (name, kind) == ("count", "int"):
            continue  # the specification has one
        yield f"create function public.{name}({kind}) returns text {TRAP}"
    yield f"create function public.unnest(anyarray, anyarray) returns setof record {TRAP}"
    for name in ("text", "json", "numeric", "bool", "int4"):
        yield f"create domain public.{name} as date"


@pytest.fixture(scope="module")
def desk(addresses: Addresses) -> Iterator[Desk]:
    with fresh_database(addresses) as url:
        # Modules run beside each other.
        mallory = f"mallory_{uuid.uuid4().hex[:8]}"
        execute(url, f"create role {mallory}", f"grant create on schema public to {mallory}")
        for name in UNSAFE:
            execute(url, f"alter function {name} set search_path = pg_catalog")
        opened = Desk(url)
        laid = "; ".join(traps())
        execute(url, f"set role {mallory}; {laid}")
        yield opened
        opened.close()
        execute(url, f"drop owned by {mallory}", f"drop role {mallory}")


@pytest.mark.parametrize(
    "sql",
    [
        "select name::varchar = 'Ada'::varchar from person",
        "select from person where mood = 'ok'::mood",
        "select from person where name::varchar like 'A%'::text",
        "select from person where name::varchar in ('A'::text)",
        "select json_agg(p) from person as p",
        "select row_to_json(p) from person as p",
        "select from person where name::varchar between 'A'::text and 'B'::text",
        "select name::varchar is distinct from 'A'::text from person",
    ],
)
def test_plain_sql_steps_into_the_traps(desk: Desk, sql: str) -> None:
    with pytest.raises(psycopg2.errors.RaiseException, match="the trap of postgres"):
        execute(desk.url, sql)


@pytest.mark.parametrize("case", [*CASES, *WRITES], ids=named)
def test_nothing_of_another_role_runs(desk: Desk, case: Case | Refusal) -> None:
    desk.check(case, undo=case in WRITES)


async def test_loading_and_preparing_run_nothing_of_another_role(
    desk: Desk, tmp_path: Path
) -> None:
    (tmp_path / "q.sql").write_text(
        "-- name: people_called\n"
        "select p.name, p.mood, p.home from public.person as p "
        "where p.name operator(pg_catalog.=) :name"
    )
    connection = await asyncpg.connect(
        desk.url,
        server_settings=session_settings(["public"]),
        connection_class=PooledConnection,
    )
    catalog = await load_catalog(connection, ["public"], watched=False)
    assert len(catalog.relations) > 20
    (query,) = read_queries(tmp_path)
    await query.prepare(connection, search_path='"public"', bigint_as_string=False)
    assert query.reads.relations == {("public", "person")}
    _, bound = query.bound(Call([], {"name": "Ada"}, Caller("realm1", "people_called")))
    rows = await bound.rows(await connection.fetch(bound.statement.sql, *bound.parameters))
    assert rows == [{"name": "Ada", "mood": "happy", "home": {"street": "Main St", "zip": 1000}}]
    await connection.close()
