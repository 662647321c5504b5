"""``pgwamp dev``, ``run`` and ``check``."""

from __future__ import annotations

import asyncio
import gc
import os
import shlex
import shutil
import signal
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated

import typer

from pgwamp.checks import Finding, check_all
from pgwamp.cli.context import CONFIG, AsJson, dumps, load_settings, run_async
from pgwamp.component import Component
from pgwamp.errors import PgwampError, SettingsError
from pgwamp.settings import Settings

if TYPE_CHECKING:
    from pgwamp.dev.stack import Stack  # its packages are an extra

CLIENT_PORT = 8080
POSTGRES_PORT = 54320


def run() -> None:
    """Run the component against the configured database and router, until stopped."""
    settings = load_settings(database=True)
    run_async(
        _serve(settings, lambda component: typer.echo(_ready_line(settings, component), err=True))
    )


async def _serve(settings: Settings, announce: Callable[[Component], None]) -> None:
    """Serve until SIGINT or SIGTERM, then stop in order."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    component = Component(settings)
    starting = asyncio.ensure_future(component.__aenter__())
    stopped = asyncio.ensure_future(stop.wait())
    await asyncio.wait({starting, stopped}, return_when=asyncio.FIRST_COMPLETED)
    if not starting.done():
        starting.cancel()
        await asyncio.gather(starting, return_exceptions=True)
        return
    starting.result()
    # What has been loaded lives on: a full collection that looks at all of it stops every call.
    gc.collect()
    gc.freeze()
    try:
        announce(component)
        served = asyncio.ensure_future(component.run())
        await asyncio.wait({served, stopped}, return_when=asyncio.FIRST_COMPLETED)
        if served.done():
            served.result()
    finally:
        await component.stop()


def _ready_line(settings: Settings, component: Component) -> str:
    return (
        f"pgwamp is ready: {len(component.exposure.procedures)} procedures under "
        f"{settings.expose.prefix} in realm {settings.router.realm}"
    )


def dev(
    port: Annotated[
        int, typer.Option(help="Port of the router's WebSocket.", min=1, max=65535)
    ] = CLIENT_PORT,
    postgres_port: Annotated[
        int, typer.Option(help="Port of PostgreSQL; another when it is taken.", min=1, max=65535)
    ] = POSTGRES_PORT,
) -> None:
    """Start PostgreSQL, Crossbar.io, the application's set-up and the component; Ctrl-C stops."""
    from pgwamp.dev.stack import Stack

    # The point of `dev` is its own servers: what the environment names is not touched.
    os.environ.pop("DATABASE_URL", None)
    settings = load_settings()
    exposed = settings.expose.schemas or ("public",)
    signal.signal(signal.SIGTERM, _interrupt)
    try:
        with Stack(settings, port=port, postgres_port=postgres_port, say=typer.echo) as stack:
            served = Settings.load(
                CONFIG.path,
                database={"url": stack.calls_url, "events_url": stack.database_url},
                router={"url": stack.router.component_url},
                expose={"schemas": exposed},
            )
            served = served.model_copy(update={"database": served.database.local()})
            typer.echo("Starting the component ...")
            run_async(
                _serve(served, lambda component: typer.echo(_banner(served, component, stack)))
            )
    except KeyboardInterrupt:
        pass  # asked for: everything is stopped
    typer.echo("Stopped.")


def _interrupt(_number: int, _frame: object) -> None:
    raise KeyboardInterrupt


def _banner(settings: Settings, component: Component, stack: Stack) -> str:
    prefix, url = settings.expose.prefix, stack.router.url
    command = _own_command()
    if stack.router.port != CLIENT_PORT:
        command = f"PGWAMP_ROUTER__URL={url} {command}"
    example = _example(component)
    lines = [
        "",
        "pgwamp is ready. Ctrl-C stops everything that was started here.",
        "",
        f"  router    {url}  realm {settings.router.realm}",
        f"  database  {stack.psql()}",
        f"  API       {command} call {prefix}.describe",
    ]
    if not settings.access.roles:
        lines += [
            "",
            "Every caller has the rights of a superuser: map roles with access.roles.",
        ]
    if example is not None:
        path, update = example
        lines += [
            "",
            "Try, each in a terminal of its own:",
            "",
            f"  {command} call {path}.select -k limit=3",
            f"  {command} tail {path}.",
            f"  {stack.psql()} -c {shlex.quote(update)}",
        ]
    return "\n".join([*lines, ""])


def _example(component: Component) -> tuple[str, str] | None:
    """A watched relation's URI, and an UPDATE of one of its rows to see an event of."""
    watched = {(w.schema, w.name) for w in component.catalog.watched}
    for relation in component.catalog.relations:
        path = component.naming.exposed_path(relation.schema, relation.name)
        if path is None or (relation.schema, relation.name) not in watched:
            continue
        key = relation.primary_key[0]
        column = next((c.name for c in relation.columns if c.name != key and not c.generated), key)
        update = (
            f'update "{relation.schema}"."{relation.name}" set "{column}" = "{column}" '
            f'where "{key}" = (select min("{key}") from "{relation.schema}"."{relation.name}")'
        )
        return path, update
    return None


def _own_command() -> str:
    """How to call pgwamp from another terminal, whatever its folder is."""
    found = shutil.which("pgwamp")
    if found and os.path.samefile(found, sys.argv[0]):
        return "pgwamp"
    return shlex.quote(os.path.abspath(sys.argv[0]))


def check(as_json: AsJson = False) -> None:
    """Check configuration, database, schema, privileges and router; exit 1 if anything is wrong."""
    try:
        settings = load_settings(quiet=True)
        findings = run_async(check_all(settings))
    except SettingsError as error:
        findings = [Finding("settings", str(error))]
    except PgwampError as error:
        findings = [Finding("start", str(error))]
    wrong = [finding for finding in findings if finding.level == "wrong"]
    if as_json:
        typer.echo(dumps([finding._asdict() for finding in findings]))
    else:
        for finding in findings:
            if wrong and finding.level == "fact":
                continue  # what is to be done stands alone
            part = "advice" if finding.level == "advice" else finding.part
            typer.echo(f"{part}: {finding.problem}")
        if not wrong:
            typer.echo("everything is in order")
    raise typer.Exit(1 if wrong else 0)
