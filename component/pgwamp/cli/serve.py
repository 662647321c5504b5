"""``pgwamp dev``, ``run`` and ``check``."""

from __future__ import annotations

import asyncio
import gc
import os
import shlex
import shutil
import signal
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Annotated, Any

import typer

from pgwamp import dev_folder, logs
from pgwamp.cli.context import CONFIG, AsJson, dumps, load_settings, run_async, say
from pgwamp.errors import PgwampError, SettingsError, StartError, printable
from pgwamp.settings import Settings
from pgwamp.tasks import race

if TYPE_CHECKING:
    from pgwamp.component import Component
    from pgwamp.dev.stack import Stack  # its packages are an extra

log = logs.get(logs.LIFECYCLE)
CLIENT_PORT = 8080
#: The authrole of callers that do not log in, on the router of `dev`.
ANONYMOUS = "anonymous"
POSTGRES_PORT = 54320
#: What `dev` exposes where nothing is named: what people try first is theirs alone.
DEV_SCHEMAS = ("public",)
#: Seconds between two tries of `dev` to start the component.
TRY_AGAIN_SECONDS = 2.0


def run() -> None:
    """Run the component until it is stopped.

    It serves the configured database on the realm of the configured router.
    """
    settings = load_settings(database=True, own=True)
    CONFIG.logs_alone = not logs.is_console(settings.log)

    def announce(component: Component) -> None:
        if CONFIG.logs_alone:
            _log_ready(settings, component)
        else:
            typer.echo(_ready_line(settings, component), err=True)

    run_async(_serve(settings, announce))


async def _serve(settings: Settings, announce: Callable[[Component], None]) -> None:
    """Serve until a signal, then stop gracefully; a second one ends calls under way."""
    from pgwamp.component import Component

    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    component = Component(settings)

    def asked() -> None:
        if stop.is_set():
            component.hurry()
        stop.set()

    for number in _ending_signals():
        loop.add_signal_handler(number, asked)
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
        await race(component.run(), stop.wait())
    finally:
        await component.stop()


def _ready_line(settings: Settings, component: Component) -> str:
    return (
        f"pgwamp is ready: {len(component.exposure.procedures)} procedures under "
        f"{settings.expose.prefix} in realm {settings.router.realm}"
    )


def _log_ready(settings: Settings, component: Component, **further: str) -> None:
    log.info(
        "pgwamp is ready",
        procedures=len(component.exposure.procedures),
        prefix=settings.expose.prefix,
        realm=settings.router.realm,
        **further,
    )


def dev(
    port: Annotated[
        int, typer.Option(help="Port of the router's WebSocket.", min=1, max=65535)
    ] = CLIENT_PORT,
    postgres_port: Annotated[
        int, typer.Option(help="Port of PostgreSQL; another when it is taken.", min=1, max=65535)
    ] = POSTGRES_PORT,
) -> None:
    """Start everything here: PostgreSQL, router and component.

    The application's own set-up, dev.setup, runs before the component. Ctrl-C stops all of it.
    """
    from pgwamp.dev.stack import Stack

    # The point of `dev` is its own servers: what the environment names is not touched.
    for variable in ("DATABASE_URL", "DATABASE_URL_FILE"):
        os.environ.pop(variable, None)
    settings = load_settings()
    CONFIG.logs_alone = not logs.is_console(settings.log)
    exposed = settings.expose.schemas
    if not exposed:
        exposed = DEV_SCHEMAS
        _say(
            f"expose.schemas names none: dev exposes {', '.join(exposed)}. Commands in this folder "
            f"know that while dev runs; for `pgwamp run`, or elsewhere, set "
            f"PGWAMP_EXPOSE__SCHEMAS={','.join(exposed)}, or expose.schemas in pgwamp.toml."
        )
    _interrupt_at_signals()
    try:
        with Stack(settings, port=port, postgres_port=postgres_port, say=_say) as stack:
            sections: dict[str, Any] = {
                "database": {"url": stack.calls_url, "events_url": stack.database_url},
                "router": {"url": stack.router.component_url},
                "expose": {"schemas": exposed},
            }
            served = Settings.load(CONFIG.path, **sections)
            served = served.model_copy(update={"database": served.database.local()})
            _say("Starting the component ...")
            clients = {"router": {"url": stack.router.url}}
            with dev_folder.running(settings.folder, sections, clients):
                try:
                    _serve_when_it_can(served, stack)
                finally:
                    # A shell that ends says so once more, and the servers have to be stopped.
                    for number in _ending_signals()[2:]:
                        signal.signal(number, signal.SIG_IGN)
    except KeyboardInterrupt:
        pass  # asked for: everything is stopped
    _say("Stopped.")


def _say(line: str) -> None:
    """Say a line to people, or log it where programs read."""
    if CONFIG.logs_alone:
        log.info(line)
        return
    # A terminal that was closed is no reason to leave servers behind.
    with suppress(OSError):
        typer.echo(line)


def _serve_when_it_can(settings: Settings, stack: Stack) -> None:
    """Serve; the servers stay while something keeps the component from starting.

    A named query that does not fit the database yet must not stop the migration that makes it fit.
    """
    said = ""

    def announce(component: Component) -> None:
        if CONFIG.logs_alone:
            _log_ready(settings, component, router=stack.router.url, database=stack.psql())
        else:
            typer.echo(_banner(settings, component, stack))

    while True:
        try:
            run_async(_serve(settings, announce))
        except StartError as error:
            if str(error) != said:
                said = str(error)
                _say(f"The component does not start: {printable(said)}")
                _say(f"Trying again until it does; the database is there: {stack.psql()}")
            # The loop has put back what signals do by themselves: to leave the servers behind.
            _interrupt_at_signals()
            time.sleep(TRY_AGAIN_SECONDS)
        else:
            return


def _ending_signals() -> list[signal.Signals]:
    """The signals to stop at: also that of a terminal that is closed, unless `nohup` is wanted."""
    numbers = [signal.SIGINT, signal.SIGTERM]
    hangup = getattr(signal, "SIGHUP", None)  # not on Windows
    if hangup is not None and signal.getsignal(hangup) is not signal.SIG_IGN:
        numbers.append(hangup)
    return numbers


def _interrupt_at_signals() -> None:
    for number in _ending_signals():
        signal.signal(number, _interrupt)


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
    lines += ["", _rights(settings)]
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


def _rights(settings: Settings) -> str:
    """Return what the commands of the banner may do: they call without logging in."""
    roles = settings.access.roles
    if not roles:
        return "Every caller has the rights of a superuser: map roles with access.roles."
    if (role := roles.get(ANONYMOUS)) is None:
        return f'access.roles has no role for "{ANONYMOUS}", as these commands call: map it first.'
    return f'These commands call as "{ANONYMOUS}", with the rights of {role} alone.'


def _example(component: Component) -> tuple[str, str] | None:
    """A watched relation's URI, and an UPDATE of one of its rows to see an event of."""
    watched = {(w.schema, w.name) for w in component.catalog.watched}
    for relation in component.catalog.relations:
        path = component.naming.exposed_path(relation.schema, relation.name)
        if path is None or (relation.schema, relation.name) not in watched:
            continue
        key = relation.primary_key
        names = [c.name for c in relation.columns if not c.generated]
        column = next((name for name in names if name not in key), None) or next(iter(names), None)
        if column is None:
            continue
        table, value = f"{_quoted(relation.schema)}.{_quoted(relation.name)}", _quoted(column)
        row = ", ".join(map(_quoted, key)) or "ctid"
        update = f"update {table} set {value} = {value} where ({row}) = "
        return path, f"{update}(select {row} from {table} limit 1)"
    return None


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _own_command() -> str:
    """How to call pgwamp from another terminal, whatever its folder is."""
    found = shutil.which("pgwamp")
    if found and os.path.samefile(found, sys.argv[0]):
        return "pgwamp"
    return shlex.quote(os.path.abspath(sys.argv[0]))


def check(as_json: AsJson = False) -> None:
    """Check settings, database, privileges and router.

    The exit code is 1 if anything is wrong.
    """
    from pgwamp.checks import Finding, check_all

    try:
        settings = load_settings(database=True, quiet=True)
        findings = run_async(check_all(settings, partial(say, err=True)))
    except SettingsError as error:
        findings = [Finding("settings", str(error), stops=True)]
    except PgwampError as error:
        findings = [Finding("start", str(error), stops=True)]
    wrong = [finding for finding in findings if finding.level == "wrong"]
    if as_json:
        typer.echo(dumps([finding._asdict() for finding in findings]))
    else:
        for finding in findings:
            if wrong and finding.level == "fact":
                continue  # what is to be done stands alone
            part = "advice" if finding.level == "advice" else finding.part
            say(f"{part}: {finding.problem}")
        if not wrong:
            typer.echo("everything is in order")
    raise typer.Exit(1 if wrong else 0)
