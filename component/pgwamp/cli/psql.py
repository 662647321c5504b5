"""``pgwamp psql``."""

from __future__ import annotations

import os
import shutil

import typer

from pgwamp.cli.context import load_settings
from pgwamp.database_url import as_dsn, parse_database_url
from pgwamp.errors import SettingsError, StartError

#: For typer: what it does not know is for psql.
PASSES_ON = {"allow_extra_args": True, "ignore_unknown_options": True}


def psql(context: typer.Context) -> None:
    """Open psql on the database, that of `pgwamp dev` where one runs here; ARGS are for psql."""
    settings = load_settings(database=True, quiet=True)
    # As the login of events: where there are two, that of calls owns nothing.
    url = parse_database_url(settings.database.events_dsn()).set(drivername="postgresql")
    environment = dict(os.environ)
    # In the command line every user of the machine could read it.
    password = url.password or url.query.get("password")
    if isinstance(password, tuple):
        # Given more than once: libpq takes the last.
        password = password[-1]
    if password:
        environment["PGPASSWORD"] = password
    if "sslpassword" in url.query:
        raise SettingsError(
            "psql would show the sslpassword of the database's address to every user of the "
            "machine: use a key without a password, in a file that only you can read"
        )
    url = url._replace(password=None).difference_update_query(["password"])
    program = shutil.which("psql") or _embedded()
    # The embedded one finds what belongs to it by this path.
    os.execve(program, [program, as_dsn(url), *context.args], environment)


def _embedded() -> str:
    try:
        from pgwamp.dev.embedded import programs
    except StartError:
        raise StartError(
            "no psql is on the path: install PostgreSQL's client, or pip install 'pgwamp[dev]'"
        ) from None
    return str(programs() / "psql")
