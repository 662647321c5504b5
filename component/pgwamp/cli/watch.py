"""``pgwamp watch``: which tables publish their changes."""

from __future__ import annotations

import json
from enum import StrEnum
from typing import Annotated, Any

import asyncpg
import typer

from pgwamp.checks import require_schema
from pgwamp.cli.context import AsJson, connect, dumps, load_settings, run_async
from pgwamp.database.connect import session_settings
from pgwamp.errors import PgwampError
from pgwamp.settings import Settings

app = typer.Typer(help="Which tables publish their changes.", no_args_is_help=True)
Tables = Annotated[list[str], typer.Argument(help="table, or schema.table")]


class Old(StrEnum):
    """What events carry of the old row."""

    NONE = "none"
    KEY = "key"
    CHANGED = "changed"
    FULL = "full"


Columns = Annotated[
    str | None,
    typer.Option(metavar="NAME,NAME", help="publish only these columns (all when missing)"),
]
OldRow = Annotated[
    Old | None, typer.Option(help="what events carry of the old row (changed when missing)")
]
When = Annotated[
    str | None,
    typer.Option(metavar="SQL", help="only rows for which it holds, as in: status <> 'draft'"),
]
Topic = Annotated[
    str | None,
    typer.Option(metavar="TEMPLATE", help="as in com.example.orders.{op}.{customer_id}"),
]
EligibleAuthid = Annotated[
    str | None, typer.Option(metavar="COLUMN", help="only subscribers with its authid get the row")
]
EligibleAuthrole = Annotated[
    str | None, typer.Option(metavar="COLUMN", help="only those with its authrole get the row")
]
Batch = Annotated[bool, typer.Option("--batch", help="several changes in one event")]
Retain = Annotated[
    bool, typer.Option("--retain", help="the router keeps the last event of each topic")
]
NoPublish = Annotated[
    bool,
    typer.Option("--no-publish", help="for changes, follow and live queries only, on no topic"),
]


@app.command()
def add(
    tables: Tables,
    columns: Columns = None,
    old: OldRow = None,
    when: When = None,
    topic: Topic = None,
    eligible_authid: EligibleAuthid = None,
    eligible_authrole: EligibleAuthrole = None,
    batch: Batch = False,
    retain: Retain = False,
    no_publish: NoPublish = False,
) -> None:
    """Publish the changes of these tables from now on; options replace those of before."""
    given = {
        "columns": None if columns is None else [name.strip() for name in columns.split(",")],
        "old": old,
        "when": when,
        "topic": topic,
        "eligible_authid": eligible_authid,
        "eligible_authrole": eligible_authrole,
        "batch": batch or None,
        "retain": retain or None,
        "publish": False if no_publish else None,
    }
    options = {name: value for name, value in given.items() if value is not None}
    run_async(_apply("watch", tables, json.dumps(options)))
    for table in tables:
        typer.echo(f"watching {table}")


@app.command()
def remove(tables: Tables) -> None:
    """Publish the changes of these tables no longer."""
    run_async(_apply("unwatch", tables))
    for table in tables:
        typer.echo(f"not watching {table}")


@app.command("list")
def list_(as_json: AsJson = False) -> None:
    """List the watched tables, their keys and options."""
    rows = run_async(_list())
    if as_json:
        typer.echo(dumps(rows))
        return
    for row in rows:
        options = "".join(f" {name}={_shown(value)}" for name, value in row["options"].items())
        typer.echo(f"{row['schema']}.{row['table']} ({', '.join(row['key'] or [])}){options}")


def _shown(value: Any) -> str:
    return value if isinstance(value, str) and " " not in value else dumps(value)


async def _open() -> tuple[Settings, asyncpg.Connection[Any]]:
    settings = load_settings(database=True, quiet=True)
    connection = await connect(settings)
    await require_schema(connection)
    return settings, connection


async def _apply(function: str, tables: list[str], *arguments: str) -> None:
    settings, connection = await _open()
    try:
        async with connection.transaction():
            for table, relation in (await _resolve(settings, connection, tables)).items():
                await _call(connection, function, table, relation, *arguments)
    finally:
        await connection.close()


async def _resolve(
    settings: Settings, connection: asyncpg.Connection[Any], tables: list[str]
) -> dict[str, int]:
    """The tables by name, as the search path of the exposed schemas finds them."""
    schemas = [*settings.expose.schemas, *settings.expose.search_path] or ["public"]
    path = session_settings(schemas)["search_path"]
    found = {}
    for table in tables:
        # Others may write to these schemas: nothing but the name is looked up in them.
        await connection.execute(f"set local search_path = {path}")
        try:
            found[table] = await connection.fetchval(
                "select $1::pg_catalog.text::pg_catalog.regclass::pg_catalog.oid", table
            )
        except (asyncpg.UndefinedTableError, asyncpg.InvalidSchemaNameError):
            raise PgwampError(
                f'there is no table "{table}": name it as table or schema.table'
            ) from None
        except asyncpg.PostgresError as error:
            raise PgwampError(f"{table}: {error.args[0]}") from None
    await connection.execute("set local search_path = pg_catalog, pg_temp")
    return found


async def _call(
    connection: asyncpg.Connection[Any], function: str, table: str, relation: int, *arguments: str
) -> None:
    places = "".join(f", ${number}" for number, _ in enumerate(arguments, 2))
    try:
        await connection.execute(
            f"select wamp.{function}($1::oid::regclass{places})", relation, *arguments
        )
    except asyncpg.InsufficientPrivilegeError as error:
        raise PgwampError(
            f"{table}: {error.args[0]}. Tables are watched by those who own them, or may create "
            "triggers on them, and are members of the owner of the schema wamp."
        ) from None
    except asyncpg.PostgresError as error:
        hint = f" {error.hint}" if error.hint else ""
        raise PgwampError(f"{table}: {error.args[0]}.{hint}") from None


async def _list() -> list[dict[str, Any]]:
    _, connection = await _open()
    try:
        rows = await connection.fetch(
            "select relation_schema, relation_name, key_columns, options::text "
            "from wamp.watched order by 1, 2"
        )
    finally:
        await connection.close()
    return [{"schema": r[0], "table": r[1], "key": r[2], "options": json.loads(r[3])} for r in rows]
