"""``pgwamp watch``: which tables publish their changes."""

from __future__ import annotations

from typing import Annotated, Any

import asyncpg
import typer

from pgwamp.cli.context import AsJson, connect, dumps, load_settings, run_async
from pgwamp.component import require_schema
from pgwamp.errors import PgwampError
from pgwamp.settings import Settings

app = typer.Typer(help="Which tables publish their changes.", no_args_is_help=True)
Tables = Annotated[list[str], typer.Argument(help="table, or schema.table")]


@app.command()
def add(tables: Tables) -> None:
    """Publish the changes of these tables from now on."""
    run_async(_apply("watch", tables))
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
    """List the watched tables and their keys."""
    rows = run_async(_list())
    if as_json:
        typer.echo(dumps(rows))
        return
    for row in rows:
        typer.echo(f"{row['schema']}.{row['table']} ({', '.join(row['key'] or [])})")


async def _open() -> tuple[Settings, asyncpg.Connection[Any]]:
    settings = load_settings(database=True, quiet=True)
    connection = await connect(settings)
    await require_schema(connection)
    return settings, connection


async def _apply(function: str, tables: list[str]) -> None:
    settings, connection = await _open()
    try:
        schemas = [*settings.expose.schemas, *settings.expose.search_path] or ["public"]
        await connection.execute(
            "select set_config('search_path', (select string_agg(quote_ident(s), ',' "
            "order by n) from unnest($1::text[]) with ordinality as t (s, n)), false)",
            schemas,
        )
        async with connection.transaction():
            for table in tables:
                await _call(connection, function, table)
    finally:
        await connection.close()


async def _call(connection: asyncpg.Connection[Any], function: str, table: str) -> None:
    try:
        if function == "watch":
            await connection.execute("select wamp.watch($1::text::regclass)", table)
        else:
            await connection.execute("select wamp.unwatch($1::text::regclass)", table)
    except asyncpg.UndefinedTableError:
        raise PgwampError(
            f'there is no table "{table}": name it as table or schema.table'
        ) from None
    except asyncpg.PostgresError as error:
        hint = f" {error.hint}" if error.hint else ""
        raise PgwampError(f"{table}: {error.args[0]}.{hint}") from None


async def _list() -> list[dict[str, Any]]:
    _, connection = await _open()
    try:
        rows = await connection.fetch(
            "select relation_schema, relation_name, key_columns from wamp.watched order by 1, 2"
        )
    finally:
        await connection.close()
    return [{"schema": r[0], "table": r[1], "key": r[2]} for r in rows]
