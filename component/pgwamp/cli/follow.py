"""Following a topic: live events, and what was missed before and in between."""

from __future__ import annotations

import asyncio
import difflib
import shlex
from collections.abc import Callable, Mapping
from typing import Any

from pgwamp.cli.context import outside_prefix
from pgwamp.errors import CallError, SettingsError, Unavailable
from pgwamp.naming import EVENT_SUFFIX
from pgwamp.session import Client
from pgwamp.settings import Settings
from pgwamp.tasks import end

_REMEMBERED = 10_000
#: Seconds between tries while the component is away.
RETRY = 0.5
_NOTHING_ALIKE = (
    "'pgwamp watch add' watches a table, and with access.roles a session is shown those that its "
    "role may select"
)
NO_SUCH_PROCEDURE = "wamp.error.no_such_procedure"
Emit = Callable[[dict[str, Any]], None]


async def follow(
    settings: Settings,
    topic: str,
    match: str,
    since: str | None,
    count: int | None,
    emit: Emit,
    listening: Callable[[], None],
    hint: Callable[[str], None],
) -> None:
    """Give every event to ``emit``, until cancelled or ``count`` were given.

    ``listening`` is called once the subscription stands. With ``since``, and after each rejoin,
    changes of a table are read with its procedure ``changes`` from the last cursor on; an event
    that came both ways is given once. ``hint`` is told if no watched table is known to publish to
    the topic.

    :raises SettingsError: ``since`` with a topic that is not the changes of one table.
    """
    relation = _relation_of(topic, match)
    if since is not None and relation is None:
        raise SettingsError(
            "--since needs the changes of one table, as com.example.orders. or "
            "com.example.orders.updated"
        )
    follower = _Follower(topic, relation, since, count, emit, settings)
    async with Client(settings.router, follower.on_rejoin) as client:

        async def look() -> None:
            if line := await why_silent(settings, topic, match, client):
                hint(line)

        # Beside the events: they do not wait for it.
        looking = asyncio.create_task(look())
        try:
            await follower.run(client, match, listening)
        finally:
            await end(looking)


async def why_silent(settings: Settings, topic: str, match: str, client: Client) -> str | None:
    """Say that nothing may come: a router takes a subscription to any topic.

    With roles the session sees only what its role may select, so that a table may be hidden.
    """
    head = f"{settings.expose.prefix}."
    if match != "exact" and not client.announces("broker", "pattern_based_subscription"):
        return (
            "the router does not announce pattern_based_subscription: if nothing comes, name the "
            "topic in full, as com.example.orders.inserted"
        )
    if match == "wildcard" or not topic.startswith(head):
        return None
    try:
        api = await client.call(f"{head}describe", kwargs={"details": False})
    except CallError:
        return None  # nobody serves it now, or it is not for us
    topics = [entry["topic"].partition("{") for entry in api["topics"]]
    if any(_covers(topic, match, known, bool(place)) for known, place, _ in topics):
        return None
    if line := _not_watched(api, topic):
        return line
    names = [known.removeprefix(head) for known, _, _ in topics]
    tables = [name.rpartition(".")[0] + "." for name in names]
    close = difflib.get_close_matches(topic.removeprefix(head), {*names, *tables}, 1)
    cure = f"did you mean {head}{close[0]}?" if close else _NOTHING_ALIKE
    return f"describe shows no watched table that publishes to {topic}; {cure}"


def _not_watched(api: Mapping[str, Any], topic: str) -> str | None:
    """Say that a topic is that of a table which is there and not watched, if it is."""
    path = topic.rpartition(".")[0]
    own = [entry for entry in api["procedures"] if entry["uri"].rpartition(".")[0] == path]
    relation = next((entry["relation"] for entry in own if "relation" in entry), None)
    watched = {entry["relation"] for entry in api["topics"]}
    if relation is None or relation in watched:
        return None
    return (
        f"{relation} is not watched, as describe shows it: pgwamp watch add {shlex.quote(relation)}"
    )


def _covers(topic: str, match: str, known: str, is_template: bool) -> bool:
    """Whether a subscription may get events of a topic, or of one that begins so."""
    if is_template and topic.startswith(known):
        return True
    return known.startswith(topic) if match == "prefix" else known == topic


class _Follower:
    def __init__(
        self,
        topic: str,
        relation: str | None,
        since: str | None,
        count: int | None,
        emit: Emit,
        settings: Settings,
    ):
        self._settings = settings
        self._topic = topic
        self._relation = relation
        self._cursor = since
        self._left = count
        self._emit = emit
        self._queue: asyncio.Queue[dict[str, Any] | None] = asyncio.Queue()
        self._seen: dict[str, None] = {}
        self._caught_up = since is None

    async def run(self, client: Client, match: str, listening: Callable[[], None]) -> None:
        self._client = client
        try:
            await self._client.subscribe(self._topic, self._on_event, match)
        except CallError as error:
            raise outside_prefix(error, self._settings, "topics", self._topic) from None
        listening()
        if self._cursor is not None:
            await self._catch_up()
        failed: asyncio.Future[Any] = self._client.link.failed
        while self._left is None or self._left > 0:
            next_event = asyncio.ensure_future(self._queue.get())
            waited: set[asyncio.Future[Any]] = {next_event, failed}
            await asyncio.wait(waited, return_when=asyncio.FIRST_COMPLETED)
            if failed.done():
                next_event.cancel()
                failed.result()
            event = next_event.result()
            if event is None:
                await self._catch_up()
            else:
                self._give(event)

    def on_rejoin(self) -> None:
        """Put a mark before the first event of the new session: what was missed comes there."""
        if self._relation and self._cursor:
            self._queue.put_nowait(None)

    def _on_event(self, topic: str, args: list[Any], kwargs: dict[str, Any]) -> None:
        self._queue.put_nowait({"topic": topic, "args": args, "kwargs": kwargs})

    async def _catch_up(self) -> None:
        """Read from the cursor on; live events wait in the queue meanwhile.

        After a rejoin the component may still be on its way back; at the start it must be there.
        """
        patient = self._caught_up
        more = True
        while more:
            try:
                events, answer = await self._client.call_full(
                    f"{self._relation}.changes", [], {"since": self._cursor}
                )
            except CallError as error:
                if patient and error.uri in (NO_SUCH_PROCEDURE, Unavailable.uri):
                    await asyncio.sleep(RETRY)
                    continue
                if error.uri == NO_SUCH_PROCEDURE:
                    problem = f"nobody serves {self._relation}.changes: is 'pgwamp run' up?"
                    raise CallError(problem, uri=error.uri) from None
                raise
            for kwargs in events:
                topic = f"{self._relation}.{EVENT_SUFFIX[kwargs['op']]}"
                if topic.startswith(self._topic):
                    self._give({"topic": topic, "args": [], "kwargs": kwargs})
            self._cursor = answer["next"]
            more = answer["more"]
        self._caught_up = True

    def _give(self, event: dict[str, Any]) -> None:
        if self._left == 0:
            return
        kwargs = event["kwargs"]
        if self._relation and "cursor" in kwargs:
            if kwargs["id"] in self._seen:
                return
            self._remember(kwargs["id"])
            self._cursor = kwargs["cursor"]
        self._emit(event)
        if self._left is not None:
            self._left -= 1

    def _remember(self, event_id: str) -> None:
        """Ids of late; an event can come live and by ``changes`` only around a rejoin."""
        self._seen[event_id] = None
        if len(self._seen) > _REMEMBERED:
            del self._seen[next(iter(self._seen))]


def _relation_of(topic: str, match: str) -> str | None:
    """``com.example.orders`` of a topic that covers only that table's changes."""
    path, _, last = topic.rpartition(".")
    if match == "prefix" and not last:
        return path
    return path if match == "exact" and last in EVENT_SUFFIX.values() else None
