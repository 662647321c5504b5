"""``pgwamp watch``: which tables publish their changes."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from enum import StrEnum
from functools import partial
from typing import Annotated, Any

import typer

from pgwamp.cli.context import AsJson, connect, dumps, load_settings, run_async, say
from pgwamp.database.connect import CONNECTION_ERRORS, connection_problem
from pgwamp.database_url import place_of
from pgwamp.errors import SettingsError, StartError
from pgwamp.settings import Settings
from pgwamp.watching import Function, Session, apply

app = typer.Typer(help="Which tables publish their changes.", no_args_is_help=True)
Tables = Annotated[
    list[str] | None,
    typer.Argument(help="table, schema.table, or a pattern in quotes, such as 'public.*'"),
]
EveryExposed = Annotated[bool, typer.Option("--all", help="all tables that are exposed")]
EveryWatched = Annotated[bool, typer.Option("--all", help="all tables that are watched")]


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
    tables: Tables = None,
    everything: EveryExposed = False,
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
    """Publish the changes of these tables from now on.

    Options replace those of before; a pattern and --all pass over tables that are watched already.
    Each table is watched for itself: the exit code is 1 if one of them cannot be.
    """
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
    run_async(_apply("watch", "watching", tables, everything, json.dumps(options)))


@app.command()
def remove(tables: Tables = None, everything: EveryWatched = False) -> None:
    """Publish the changes of these tables no longer; says so of each."""
    run_async(_apply("unwatch", "not watching", tables, everything))


@app.command("list")
def list_(as_json: AsJson = False) -> None:
    """List the watched tables, their keys and options."""
    rows = run_async(_list())
    if as_json:
        typer.echo(dumps(rows))
        return
    for row in rows:
        options = "".join(f" {name}={_shown(value)}" for name, value in row["options"].items())
        say(f"{row['schema']}.{row['table']} ({', '.join(row['key'] or [])}){options}")


def _shown(value: Any) -> str:
    return value if isinstance(value, str) and " " not in value else dumps(value)


@asynccontextmanager
async def _open() -> AsyncIterator[tuple[Settings, Session]]:
    """Connect to a database that has the schema.

    :raises StartError: it has none, or the connection was lost.
    """
    from pgwamp.checks import require_schema

    settings = load_settings(database=True, quiet=True)
    database = settings.database
    connection = await connect(settings)
    session = Session(connection, database.events_dsn(), partial(say, err=True))
    try:
        async with session.transaction("looking for the schema wamp"):
            await require_schema(connection)
        yield settings, session
    except TimeoutError:
        # The connection was made, so that a statement timed out.
        raise StartError(
            f"PostgreSQL at {place_of(database.events_dsn())} takes too long to answer: look at "
            "what it does in pg_stat_activity, and try again"
        ) from None
    except CONNECTION_ERRORS as error:
        line, _ = connection_problem(error, database.events_dsn(), database.events_setting)
        raise line from None
    finally:
        connection.terminate()


async def _apply(
    function: Function, done: str, tables: list[str] | None, everything: bool, *arguments: str
) -> None:
    """Watch or unwatch tables, and say of each what became of it.

    :raises typer.Exit: with code 1, if one of them was refused.
    """
    if not tables and not everything:
        raise SettingsError("name tables, patterns such as 'public.*', or --all")
    failed = False
    async with _open() as (settings, session):
        outcomes = apply(
            session,
            settings.expose,
            function,
            tables or [],
            *arguments,
            everything=everything,
        )
        async for outcome in outcomes:
            if outcome.problem is not None:
                failed = True
                say(f"pgwamp: {outcome.table}: {outcome.problem}", err=True)
            elif outcome.is_kept:
                say(f"{outcome.table} is watched already: name it to replace its options")
            else:
                say(f"{done} {outcome.table}")
    if failed:
        raise typer.Exit(1)


async def _list() -> list[dict[str, Any]]:
    async with _open() as (_, session):
        rows = await session.watched()
    return [{"schema": r[0], "table": r[1], "key": r[3], "options": json.loads(r[4])} for r in rows]
