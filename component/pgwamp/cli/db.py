"""``pgwamp db``: the wamp schema, by Alembic."""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import Annotated

import typer

from pgwamp import migrations, provisioning
from pgwamp.cli.context import AsJson, connect, discard_output, dumps, load_settings, run_async, say
from pgwamp.errors import SettingsError, StartError, printable
from pgwamp.settings import DatabaseSettings, Settings

app = typer.Typer(help="The wamp schema of the database: migrations.", no_args_is_help=True)


def _dsn() -> str:
    return load_settings(database=True).database.events_dsn()


@app.command()
def upgrade(
    revision: Annotated[str, typer.Argument(help="Where to; the newest by default.")] = "head",
) -> None:
    """Create the wamp schema, or bring it up to date."""
    settings = load_settings(database=True)
    dsn = settings.database.events_dsn()
    reached = migrations.upgrade(dsn, revision, report=say)
    if reached is None:
        typer.echo("what only a superuser may make is in the wamp schema")
        return
    # Only a prefix that somebody chose: that of another component may be meant to come.
    if "prefix" in settings.expose.model_fields_set and reached == migrations.head():
        run_async(_allow_publish(settings))
    typer.echo(f"the wamp schema is at revision {reached}")


async def _allow_publish(settings: Settings) -> None:
    from pgwamp.events import allow_publish

    connection = await connect(settings)
    try:
        await allow_publish(connection, settings, say)
    finally:
        connection.terminate()


@app.command()
def downgrade(
    revision: Annotated[str, typer.Argument(help="Where to, or base to remove everything.")],
) -> None:
    """Undo migrations; events that are not published yet are lost.

    Standard output is a script for psql, which watches the tables again that base leaves unwatched.
    """
    migrations.downgrade(_dsn(), revision, report=partial(say, err=True), script=_print)


def _print(line: str) -> None:
    """Print a line whole, or let what it tells of not happen."""
    try:
        typer.echo(line)
    except OSError as error:
        discard_output()
        raise StartError(
            f"standard output does not take the script that watches the tables again "
            f"({error.strerror}): nothing was removed; write it to a file"
        ) from None


@app.command()
def owner(
    role: Annotated[str, typer.Argument(help="The login of events, which shall own it.")],
) -> None:
    """Give the wamp schema to another role, as a superuser.

    The superuser's URL goes into database.events_url for this one command.
    """
    provisioning.give_schema(_dsn(), role, partial(say, err=True))
    say(f"the wamp schema belongs to {role}")


@app.command()
def current(as_json: AsJson = False) -> None:
    """Show the revision that the database is at."""
    found, head = migrations.current(_dsn(), partial(say, err=True)), migrations.head()
    if as_json:
        typer.echo(dumps({"current": found, "head": head}))
    else:
        state = "newest" if found == head else f"newest is {head}: pgwamp db upgrade"
        typer.echo(f"{found or 'none'} ({state})")


@app.command()
def history(as_json: AsJson = False) -> None:
    """List all revisions, the oldest first."""
    for item in migrations.history():
        if as_json:
            typer.echo(dumps(item._asdict()))
        else:
            typer.echo(f"{item.revision}  {item.description}")


@app.command()
def revision(
    message: Annotated[str, typer.Option("--message", "-m", help="What it changes.")],
    compare: Annotated[
        bool, typer.Option("--autogenerate", help="Compare the models with the database.")
    ] = False,
) -> None:
    """Add a revision to the wamp schema, to develop pgwamp."""
    typer.echo(str(migrations.revision(message, _dsn() if compare else None)))


@app.command()
def create(
    admin_url: Annotated[
        str, typer.Option(help="Address of the server for a user who may create databases.")
    ],
    roles: Annotated[
        list[str] | None,
        typer.Option(
            "--role",
            help="A role of access.roles that the login of calls may become; made if missing.",
        ),
    ] = None,
) -> None:
    """Create the database that DATABASE_URL names.

    Its login is created too, with least privileges. With database.events_url, that is the login
    which owns the database, and the one of DATABASE_URL has no rights of its own; so have those of
    database.logins, which are made too.
    """
    settings = load_settings().database
    if not settings.url.get_secret_value():
        raise SettingsError("set DATABASE_URL to the database to create")
    is_alone = not settings.events_url.get_secret_value()
    _require_one_database(settings)
    # A login of calls has no rights but its own; that of events owns what it uses.
    inherit = not (is_alone and roles)
    # Each password is told as soon as it is made: whatever fails later, it is not lost.
    with _exporting("DATABASE_URL" if is_alone else "PGWAMP_DATABASE__EVENTS_URL") as made:
        owner = provisioning.create_database(
            admin_url,
            settings.events_dsn(),
            inherit=inherit,
            made=made.append,
            report=_waiting,
        )
        made[:] = [owner]
    if is_alone:
        provisioning.grant_roles(admin_url, owner, roles or (), _waiting)
        return
    others = set(roles or ()) - set(settings.logins)
    with _exporting("DATABASE_URL") as made:
        dsn = settings.dsn()
        login = provisioning.create_calls_login(
            admin_url, dsn, others, made=made.append, report=_waiting
        )
        made[:] = [login]
    logins: dict[str, str] = {}
    try:
        for role in sorted(settings.logins):
            logins[role] = provisioning.create_calls_login(
                admin_url,
                settings.login_dsn(role),
                [role],
                made=partial(logins.__setitem__, role),
                report=_waiting,
            )
    finally:
        if logins:
            _export("PGWAMP_DATABASE__LOGINS", json.dumps(logins), *logins.values())


def _require_one_database(settings: DatabaseSettings) -> None:
    """Return if all logins are to be made for one database.

    :raises SettingsError: the URLs name several.
    """
    expected = migrations.parse(settings.dsn()).database
    if migrations.parse(settings.events_dsn()).database != expected:
        raise SettingsError(
            f"{settings.url_setting} and {settings.events_setting} name two different databases: "
            "a component serves one; correct one of them"
        )


def _waiting(line: str) -> None:
    # Standard output is for the shell.
    say(line, err=True)


@contextmanager
def _exporting(variable: str) -> Iterator[list[str]]:
    """Export the URL that is put into the list, also where the rest of the block fails."""
    made: list[str] = []
    try:
        yield made
    finally:
        if made:
            _export(variable, made[0])


def _export(variable: str, value: str, *urls: str) -> None:
    """Print a line for a shell, and on standard error how to get a password that is not known."""
    typer.echo(f"export {variable}={shlex.quote(value)}")
    for url in map(migrations.parse, urls or (value,)):
        if not url.password:
            typer.echo(
                f'{variable}: "{printable(url.username or "")}" was there before, and its password '
                f"is not known: write it into the URL, or set a new one with \\password in psql",
                err=True,
            )
