"""``pgwamp call``, ``tail`` and ``describe``: the API from a shell.

A command imports what it alone needs when it runs: all together take half a second of each start.
"""

from __future__ import annotations

import difflib
import json
from collections.abc import Mapping
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Any

import typer

from pgwamp.cli.context import dumps, load_settings, outside_prefix, run_async, say
from pgwamp.errors import CallError, SettingsError
from pgwamp.settings import Settings

if TYPE_CHECKING:
    from pgwamp.session import Client


class Match(StrEnum):
    """How a subscription matches topics."""

    exact = "exact"
    prefix = "prefix"
    wildcard = "wildcard"


class Format(StrEnum):
    """Forms of the API's description."""

    json = "json"
    markdown = "markdown"
    typescript = "typescript"


def call(
    uri: Annotated[str, typer.Argument(help="The procedure, as com.example.orders.select.")],
    args: Annotated[
        list[str] | None, typer.Argument(help="Arguments: JSON, or else a string.")
    ] = None,
    keywords: Annotated[
        list[str] | None,
        typer.Option("-k", "--keyword", help="name=value; the value is JSON, or else a string."),
    ] = None,
) -> None:
    """Call a procedure and print its result as JSON.

    Of progressive results each row is a line, and CSV is printed as it is. Keyword results, such as
    the next cursor of changes, go to standard error.
    """
    settings = load_settings(client=True, quiet=True)
    named = dict(_keyword(text) for text in keywords or ())
    result, further, streamed = run_async(
        _call(settings, uri, [_value(a) for a in args or ()], named)
    )
    if result is not None or not streamed:
        _print(result, named)
    if further:
        typer.echo(dumps(further), err=True)


def _print(value: Any, asked: Mapping[str, Any]) -> None:
    """Print a value as JSON on a line, or the text of a file that was asked for as it is."""
    if asked.get("format") == "csv" and isinstance(value, str):
        typer.echo(value, nl=False)
    else:
        typer.echo(dumps(value))


async def _call(
    settings: Settings, uri: str, args: list[Any], kwargs: dict[str, Any]
) -> tuple[Any, dict[str, Any], bool]:
    """The result, its keywords, and whether progressive results came before."""
    from pgwamp.session import Client

    streamed = False

    def on_progress(*parts: Any, **_: Any) -> None:
        nonlocal streamed
        streamed = True
        part = parts[0] if len(parts) == 1 else list(parts)
        # How many rows come together says nothing to a reader.
        for line in part if isinstance(part, list) else [part]:
            _print(line, kwargs)

    async with Client(settings.router) as client:
        try:
            result, further = await client.call_full(uri, args, kwargs, on_progress)
        except CallError as error:
            if error.uri == "wamp.error.no_such_procedure":
                raise await _no_such_procedure(client, settings, uri) from None
            raise outside_prefix(error, settings, "procedures", uri) from None
    return result, further, streamed


async def _no_such_procedure(client: Client, settings: Settings, uri: str) -> CallError:
    """What the router cannot say: which procedure was meant, or that nobody serves."""
    prefix = settings.expose.prefix
    message = f"nobody serves {uri} in this realm: is 'pgwamp run' up, with this prefix?"
    try:
        api = await client.call(f"{prefix}.describe", kwargs={"details": False})
    except CallError:
        return CallError(message, uri="wamp.error.no_such_procedure")
    known = [entry["uri"] for entry in api["procedures"]]
    close = difflib.get_close_matches(uri, known, 1)
    hint = f"did you mean {close[0]}?" if close else "'pgwamp describe' lists what there is"
    return CallError(f"there is no procedure {uri}; {hint}", uri="wamp.error.no_such_procedure")


def tail(
    topic: Annotated[str, typer.Argument(help="A topic; one that ends in a dot is a prefix.")],
    match: Annotated[Match | None, typer.Option(help="How the topic matches.")] = None,
    since: Annotated[
        str | None, typer.Option(help="First print what came after this cursor.")
    ] = None,
    count: Annotated[int | None, typer.Option(help="Stop after so many events.", min=1)] = None,
) -> None:
    """Print events as JSON lines until interrupted.

    After a lost connection, changes of tables are caught up from the last cursor.
    """
    from pgwamp.cli.follow import follow

    settings = load_settings(client=True, quiet=True)
    how = match or (Match.prefix if topic.endswith(".") else Match.exact)
    run_async(
        follow(
            settings,
            topic,
            how.value,
            since,
            count,
            emit=lambda event: typer.echo(dumps(event)),
            listening=lambda: typer.echo(f"listening to {topic} ({how.value})", err=True),
            hint=lambda line: say(line, err=True),
        )
    )


def describe(
    uris: Annotated[
        list[str] | None,
        typer.Argument(help="Beginnings of URIs, as com.example.orders.: print only these."),
    ] = None,
    format: Annotated[Format, typer.Option(help="Form of the description.")] = Format.json,
    index: Annotated[bool, typer.Option("--index", help="Print only what there is.")] = False,
) -> None:
    """Print the API of the configured database, without a router."""
    from pgwamp.component import describe_database
    from pgwamp.describe.parts import Beginnings, index_of, part_of

    if index and format is not Format.json:
        raise SettingsError("--index is JSON: leave out --format")
    settings = load_settings(database=True, quiet=True)
    settings.require_exposure()
    api = run_async(describe_database(settings))
    if uris:
        api = part_of(api, Beginnings(uris))
    if uris and not (api["procedures"] or api["topics"]):
        raise SettingsError(
            f"no URI begins with {' or '.join(uris)}; 'pgwamp describe --index' lists them all"
        )
    typer.echo(_text(index_of(api) if index else api, format), nl=False)


def _text(api: Mapping[str, Any], format: Format) -> str:
    from pgwamp.describe.markdown import markdown
    from pgwamp.describe.typescript import typescript

    match format:
        case Format.json:
            return json.dumps(api, indent=2, ensure_ascii=False) + "\n"
        case Format.markdown:
            return markdown(api)
        case Format.typescript:
            return typescript(api)


def _value(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return text


def _keyword(text: str) -> tuple[str, Any]:
    name, separator, value = text.partition("=")
    if not separator or not name:
        raise SettingsError(f"-k {text}: expected name=value, as in -k limit=10")
    return name, _value(value)
