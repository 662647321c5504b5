"""What the commands share: the settings, and output for people or machines."""

from __future__ import annotations

import io
import json
import os
import sys
from collections.abc import Callable, Coroutine
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, TypeVar

import asyncpg
import typer

from pgwamp import dev_folder, logs
from pgwamp.database import connect_directly
from pgwamp.database.connect import CONNECTION_ERRORS, connection_problem
from pgwamp.errors import CallError, SettingsError, printable
from pgwamp.settings import Settings

Answer = TypeVar("Answer")
AsJson = Annotated[bool, typer.Option("--json", help="Machine-readable output.")]


@dataclass
class _Config:
    #: Of the global option --config.
    path: Path | None = None
    #: Everything that the command says is a line of the log, which programs read.
    logs_alone: bool = False


CONFIG = _Config()
#: Control characters that JSON may have as they are, and that steer a terminal.
_CONTROLS = {number: f"\\u{number:04x}" for number in range(0x7F, 0xA0)}


def load_settings(
    *,
    database: bool = False,
    client: bool = False,
    own: bool = False,
    quiet: bool = False,
    **overrides: Any,
) -> Settings:
    """The settings of this run, with logging set up.

    :param database: whether the command needs one: without a setting, that of the ``pgwamp dev``
        which runs here.
    :param client: whether it calls: without a setting, at the router of that ``pgwamp dev``.
    :param own: only what settings name.
    :param quiet: for commands with output of their own: log what is wrong only.
    """
    settings = Settings.load(CONFIG.path, **overrides)
    here: dev_folder.Sections = {}
    if database and not own and not settings.database.url.get_secret_value():
        here = dev_folder.serving(settings.folder)
    elif client and "url" not in settings.router.model_fields_set:
        here = dev_folder.calling(settings.folder)
    if here:
        settings = Settings.load(CONFIG.path, **{**_not_set(settings, here), **overrides})
    log = settings.log
    if quiet and log.level == "info":
        log = log.model_copy(update={"level": "warning"})
    logs.configure(log)
    if database:
        _require_database(settings, starts_dev=not own)
    return settings


def _require_database(settings: Settings, *, starts_dev: bool) -> None:
    """Raise :class:`SettingsError` unless a database is named.

    :param starts_dev: the command takes that of a ``pgwamp dev`` in this folder.
    """
    try:
        settings.require_database()
    except SettingsError as error:
        if starts_dev and (settings.folder / dev_folder.STATE).is_dir():
            raise SettingsError(f"{error}, or start `pgwamp dev` in {settings.folder}") from None
        raise


def _not_set(settings: Settings, here: dev_folder.Sections) -> dict[str, dict[str, Any]]:
    """Return the settings of the ``pgwamp dev`` that runs here, without those that are set.

    Its addresses of the database belong together: a command must not mix them with another server.
    """
    return {
        section: {
            key: value
            for key, value in keys.items()
            if section == "database" or key not in getattr(settings, section).model_fields_set
        }
        for section, keys in here.items()
    }


async def connect(settings: Settings) -> asyncpg.Connection[Any]:
    """A direct connection; raises :class:`~pgwamp.errors.StartError` with the cure."""
    dsn = settings.database.events_dsn()
    try:
        return await connect_directly(dsn)
    except (*CONNECTION_ERRORS, asyncpg.PostgresError) as error:
        raise connection_problem(error, dsn, settings.database.events_setting)[0] from None


def outside_prefix(error: CallError, settings: Settings, kind: str, uri: str) -> CallError:
    """Return the error of the router about a URI, with the prefix that may have been forgotten.

    :param kind: of which it is one, such as ``topics``.
    """
    head = f"{settings.expose.prefix}."
    if error.uri != "wamp.error.not_authorized" or uri.startswith(head):
        return error
    cure = f"{kind} here begin with {head}: did you mean {head}{uri}?"
    return CallError(f"{error.message}; {cure}", uri=error.uri)


def run_async(main: Coroutine[Any, Any, Answer]) -> Answer:
    """Run on the fastest loop there is."""
    import asyncio

    loop_factory: Callable[[], asyncio.AbstractEventLoop] | None = None
    with suppress(ImportError):  # not on Windows
        from uvloop import new_event_loop

        loop_factory = new_event_loop
    with asyncio.Runner(loop_factory=loop_factory) as runner:
        return runner.run(main)


def say(line: str, *, err: bool = False) -> None:
    """Print a line for people; names in it may hold what steers a terminal."""
    typer.echo(printable(line), err=err)


def write_whole_output() -> None:
    """Have Python go on where a write to a pipe was cut short.

    With PYTHONUNBUFFERED it does not, and the rest of a long output was lost.
    """
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if isinstance(getattr(stream, "buffer", None), io.RawIOBase):
            # A file of its own: whether that one can seek may have been asked of another.
            raw = io.FileIO(stream.fileno(), "w", closefd=False)
            buffered = io.BufferedWriter(raw)
            whole = io.TextIOWrapper(buffered, stream.encoding, stream.errors, line_buffering=True)
            setattr(sys, name, whole)


def discard_output() -> None:
    """Let nothing fail any more because standard output takes nothing."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def dumps(value: Any) -> str:
    """JSON on one line; bytes as PostgreSQL's hex form."""
    return json.dumps(value, ensure_ascii=False, default=_encode).translate(_CONTROLS)


def _encode(value: Any) -> Any:
    if isinstance(value, bytes):
        return "\\x" + value.hex()
    # Other values of CBOR and msgpack, in the events and results of others.
    return str(value)
