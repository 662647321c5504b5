"""A value of PostgreSQL is the same for a client by whatever way it comes, in each serializer."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg2
import pytest

from pgwamp.database.connect import SESSION_SETTINGS
from tests.conftest import Connect, Database, Events, Serve
from tests.procedures.conftest import Api
from tests.replay.following import Follower
from tests.spec.conftest import exact
from tests.values.kinds import SCHEMA, SINGLE, Cell, cells, wrappers

CELLS = list(cells())
#: Columns of one table, arguments of one procedure.
AT_ONCE = 90
PARTS = [CELLS[start : start + AT_ONCE] for start in range(0, len(CELLS), AT_ONCE)]
#: Types of PostgreSQL of which there are no values to store, or that only its own catalog holds.
WITHOUT_VALUES = {
    "aclitem", "gtsvector", "pg_brin_bloom_summary", "pg_brin_minmax_multi_summary",
    "pg_dependencies", "pg_mcv_list", "pg_ndistinct", "pg_node_tree", "refcursor", "xml",
}  # fmt: skip


def statements() -> Iterator[str]:
    """What makes a table of each part, a table above it, and a procedure that sets its values."""
    yield SCHEMA
    yield from wrappers()
    for number, part in enumerate(PARTS):
        columns = ", ".join(f"{cell.column} {cell.type}" for cell in part)
        outs = ", ".join(f"out {cell.column} {cell.type}" for cell in part)
        sets = " ".join(f"{cell.column} := {cell.sql};" for cell in part)
        yield f"create table above_{number} (id int primary key)"
        yield f"insert into above_{number} values (1)"
        yield (
            f"create table kind_{number} "
            f"(id int primary key, above int references above_{number}, {columns})"
        )
        yield f"select wamp.watch('kind_{number}')"
        for commits in (False, True):
            name = f"{'commits' if commits else 'sets'}_{number}"
            yield (
                f"create procedure {name}({outs}) language plpgsql as "
                f"$$ begin {'commit; ' if commits else ''}{sets} end $$"
            )
        yield (
            f"create function makes_{number}({outs}) language plpgsql stable as "
            f"$$ begin {sets} end $$"
        )


def insert(number: int, key: int = 1) -> str:
    """The statement that stores the values."""
    values = ", ".join(cell.sql for cell in PARTS[number])
    return f"insert into kind_{number} values ({key}, 1, {values})"


def expected_of(part: list[Cell], texts: dict[str, str]) -> dict[str, Any]:
    """The values as a client gets them."""
    return {cell.column: _with_text(cell, texts[cell.column]) for cell in part}


def _with_text(cell: Cell, text: str) -> Any:
    if not cell.is_text:
        return cell.expected
    if isinstance(cell.expected, list):
        return [text, None]
    return {"one": text, "several": [text]} if isinstance(cell.expected, dict) else text


def texts_of(url: str, part: list[Cell]) -> dict[str, str]:
    """What PostgreSQL itself writes of each value, in our settings, without any cast."""
    options = " ".join(f"-c {name}={value}" for name, value in SESSION_SETTINGS.items())
    connection = psycopg2.connect(url, options=options)
    texts: dict[str, str] = {}
    with connection.cursor() as cursor:
        for cell in part:
            # The value alone, of whatever it is part of.
            sql = next(c.sql for c in part_cells(cell))
            stream = io.StringIO()
            cursor.copy_expert(f"copy (select {sql}) to stdout (format csv, force_quote *)", stream)
            ((texts[cell.column],),) = csv.reader(io.StringIO(stream.getvalue(), newline=""))
    connection.close()
    return texts


def part_cells(cell: Cell) -> Iterator[Cell]:
    """The cell of the single value that a cell is made of."""
    name = "_".join(cell.column.split("_")[:2])
    return (other for other in CELLS if other.column == name)


async def test_every_type_of_postgresql_is_among_them(database: Database) -> None:
    connection = await database.connect()
    rows = await connection.fetch(
        "select oid, format_type(oid, null) as name from pg_type "
        "where typnamespace = 'pg_catalog'::regnamespace and typtype in ('b', 'r', 'm') "
        "and typcategory <> 'A'"
    )
    known = {
        await connection.fetchval("select $1::text::regtype::oid", kind.type)
        for kind in SINGLE
        if not kind.type.startswith(("place", "mood", "plain_mood", "label", "word_range"))
    }
    await connection.close()
    missing = {row["name"] for row in rows if row["oid"] not in known}
    assert missing == WITHOUT_VALUES


@pytest.mark.parametrize("serializer", ["json", "msgpack", "cbor"])
async def test_a_value_is_the_same_by_every_way(
    serve: Serve,
    connect: Connect,
    database: Database,
    prefix: str,
    tmp_path: Path,
    serializer: str,
) -> None:
    database.execute(*statements())
    queries = (f"-- name: all_{n}\nselect * from kind_{n} order by id;" for n in range(len(PARTS)))
    (tmp_path / "queries.sql").write_text("\n\n".join(queries))
    await serve(expose={"queries": str(tmp_path)})
    call = Api(await connect(serializer), prefix)
    for number, part in enumerate(PARTS):
        expected = expected_of(part, texts_of(database.url, part))
        found = {
            **await _by_events(call, database, number),
            **await _by_calls(call, number),
            **await _by_writes(call, number),
        }
        for way, row in found.items():
            values = {name: value for name, value in row.items() if name not in ("id", "above")}
            for name, value in expected.items():
                assert exact(values[name]) == exact(value), (way, name)
            assert values.keys() == expected.keys(), way


async def _by_events(call: Api, database: Database, number: int) -> dict[str, dict[str, Any]]:
    """The row as events, snapshots and live queries have it."""
    client, uri = call.client, f"{call.prefix}.kind_{number}"
    published = Events()
    await client.subscribe(f"{uri}.", published, "prefix")
    live = Follower(client, f"{call.prefix}.all_{number}.live")
    await live.until(lambda f: f.items)
    database.execute(insert(number))
    (event,) = await published.count(1)
    await live.until(lambda f: len(f.items) == 2)
    begun = Follower(client, f"{uri}.follow", snapshot=True)
    await begun.until(lambda f: f.rows)
    for follower in (live, begun):
        follower.reply.cancel()
    (change,) = await call(f"kind_{number}.changes")
    return {
        "an event": event["new"],
        "changes": change["new"],
        "a snapshot": begun.rows[0],
        "a live query": _live_row(live.items[1]),
    }


def _live_row(item: Any) -> dict[str, Any]:
    row: dict[str, Any] = item["rows"][0] if "rows" in item else item["inserted"][0][1]
    return row


async def _by_calls(call: Api, number: int) -> dict[str, dict[str, Any]]:
    """The row as it is read, by itself and within others, and as routines answer it."""
    name, above = f"kind_{number}", f"above_{number}"
    parts: list[Any] = []
    await call.client.call(f"{call.prefix}.{name}.select", [], {}, parts.append)
    (selected,) = await call(f"{name}.select")
    (listed,) = await call(f"{above}.select", include={name: {}})
    (one,) = await call(
        f"{name}.select", columns=["id"], include={f"up:{above}": {"include": [name]}}
    )
    (queried,) = await call(f"all_{number}")
    return {
        "select": selected,
        "get": await call(f"{name}.get", 1),
        "a part of a select": parts[0][0],
        "a list of related rows": listed[name][0],
        "further down": one["up"][name][0],
        "a named query": queried,
        "a function": await call(f"makes_{number}"),
        "a procedure": await call(f"sets_{number}"),
        "a procedure that commits": await call(f"commits_{number}"),
        "a batch": (await call("batch", [{"procedure": f"{name}.get", "args": [1]}]))[0],
    }


async def _by_writes(call: Api, number: int) -> dict[str, dict[str, Any]]:
    """The row as writes answer it; what was answered, and CSV, are the same when they come back."""
    name = f"kind_{number}"
    row = await call(f"{name}.get", 1)
    # PostgreSQL reads oidvector and int2vector by another text than that of a list.
    given = {name: value for name, value in row.items() if name not in NOT_WRITTEN}
    (inserted,) = await call(f"{name}.insert", {**given, "id": 2})
    for column in NOT_WRITTEN & row.keys():
        inserted[column] = row[column]
    (updated,) = await call(f"{name}.update", {"above": 1}, {"id": 1})
    text = await call(f"{name}.select", {"id": 1}, format="csv")
    head, line = text.split("\n", 1)
    assert line.startswith("1,")
    await call(f"{name}.insert", csv=f"{head}\n3{line[1:]}")
    return {
        "an insert of what was answered": inserted,
        "an update": updated,
        "what CSV has brought": await call(f"{name}.get", 3),
    }


NOT_WRITTEN = {cell.column for cell in CELLS if cell.type in ("int2vector", "oidvector")}
