"""The command's entry: global options, and errors as one line with an exit code."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from pgwamp import __version__, logs
from pgwamp.cli import client, db, psql, serve, watch
from pgwamp.cli.context import CONFIG, discard_output, dumps, say, write_whole_output
from pgwamp.errors import CallError, PgwampError, printable

#: Details of errors that their messages hold.
_SAID = ("argument", "message")

app = typer.Typer(
    name="pgwamp",
    help="A PostgreSQL database as a full peer on a WAMP realm.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
app.add_typer(db.app, name="db")
app.add_typer(watch.app, name="watch")
app.command()(serve.dev)
app.command()(serve.run)
app.command()(serve.check)
app.command()(client.call)
app.command()(client.tail)
app.command()(client.describe)
app.command(
    context_settings=psql.PASSES_ON,
    options_metavar="[ARGS]...",
    short_help="Open psql on the database.",
)(psql.psql)


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"pgwamp {__version__}")
        raise typer.Exit


@app.callback()
def _global(
    config: Annotated[
        Path | None,
        typer.Option("--config", "-c", help="Configuration file instead of ./pgwamp.toml."),
    ] = None,
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version.")
    ] = False,
) -> None:
    CONFIG.path = config


def main() -> None:
    """Run the command; every error is one line on standard error.

    With ``log.level`` debug the log has the traceback of a defect too, without values.
    """
    write_whole_output()
    logs.begin()
    try:
        app(standalone_mode=True)
    except PgwampError as error:
        _complain(str(error))
        sys.exit(error.exit_code)
    except CallError as error:
        _complain(_on_one_line(f"{error.uri}: {error.message}"))
        if details := {n: v for n, v in error.details.items() if n not in _SAID and v is not None}:
            say(dumps(details), err=True)
        sys.exit(1)
    except KeyboardInterrupt:
        sys.exit(130)
    except BrokenPipeError:
        # The reader of a pipe has had enough, as in `pgwamp tail ... | head`.
        discard_output()
        sys.exit(0)
    except Exception as error:
        logs.get(__name__).debug("unexpected error", exc_info=True)
        problem = _on_one_line(f"unexpected {type(error).__name__}: {error}")
        _complain(f"{problem} (a defect; --help has the options)")
        sys.exit(70)


def _on_one_line(text: str) -> str:
    """Return a text of others for people to read; what is to be pasted would not stay the same."""
    return " ".join(text.split())


def _complain(line: str) -> None:
    line = printable(line)
    if CONFIG.logs_alone:
        logs.get(logs.LIFECYCLE).error("pgwamp ended", problem=line)
    else:
        typer.echo(f"pgwamp: {line}", err=True)
