"""Live queries: a result, and then what becomes of it as long as the caller listens."""

from __future__ import annotations

import asyncio
from collections.abc import (
    AsyncGenerator,
    AsyncIterator,
    Collection,
    Mapping,
    Sequence,
    Set,
)
from contextlib import aclosing, asynccontextmanager
from typing import Any

from aiosql.types import SQLOperationType

from pgwamp import logs
from pgwamp.access import Caller
from pgwamp.catalog import WatchedRelation
from pgwamp.database import Database
from pgwamp.describe.schemas import Schemas
from pgwamp.errors import InvalidArgument, Timeout, TooManyRows, Unavailable
from pgwamp.live.differences import Result
from pgwamp.live.digests import digests
from pgwamp.live.evaluation import Evaluation, Listener, LiveRequest
from pgwamp.naming import Naming
from pgwamp.procedures.caller_scope import Sharing
from pgwamp.procedures.queries import Definition, NamedQuery
from pgwamp.procedures.query_reads import Name, count_scans, read_so_far
from pgwamp.query.request import naming_arguments
from pgwamp.replay import Feed
from pgwamp.replay.change import Change
from pgwamp.session import Call, Procedure
from pgwamp.settings import Settings
from pgwamp.shares import Shares
from pgwamp.tasks import end, is_ending

log = logs.get(__name__)
#: Seconds between tries to follow changes.
FIRST_DELAY, LONGEST_DELAY = 0.1, 5.0
#: Options of a watch that leave changes out.
_LEAVING_OUT = ("columns", "when")
_SELECTS = (
    SQLOperationType.SELECT,
    SQLOperationType.SELECT_ONE,
    SQLOperationType.SELECT_VALUE,
)


class LiveQueries:
    """The evaluations of this instance, and what tells them of changes.

    It follows the feed while there are callers. All evaluations together use at most half of the
    connections that calls may use too.
    """

    def __init__(self, database: Database, settings: Settings, feed: Feed):
        self._database = database
        self._limits = settings.limits
        self._interval = settings.events.live_interval
        self._slots = Shares(
            max(1, settings.database.pool_max // 2),
            per_session=settings.limits.per_session,
            reserve=settings.limits.reserve,
        )
        self._feed = feed
        self._evaluations: dict[object, Evaluation] = {}
        #: Who shares an evaluation of each query.
        self._sharing: dict[Definition, Sharing] = {}
        self._following: asyncio.Task[None] | None = None
        self._subscribed = asyncio.Event()

    @property
    def evaluations(self) -> list[Evaluation]:
        """Those that have callers."""
        return list(self._evaluations.values())

    async def answers(self, request: LiveRequest, caller: Caller) -> AsyncGenerator[dict[str, Any]]:
        """The result, and then how each next one differs from what was answered before.

        :raises Timeout: the first did not come within ``limits.call_timeout``.
        """
        async with self._joined(request, caller) as listener:
            result = await self._first(listener)
            told = None
            while True:
                item, told = result.since(told), result.digests
                # Rows are kept until they are sent, and not until the next ones come.
                del result
                if item is not None:
                    yield item
                del item
                result = await listener.next()

    async def _first(self, listener: Listener) -> Result:
        seconds = self._limits.call_timeout
        try:
            async with asyncio.timeout(seconds):
                return await listener.next()
        except TimeoutError:
            raise Timeout(
                f"no answer came within {seconds:g} seconds (limits.call_timeout); try again later"
            ) from None

    def renew(self, queries: Mapping[Definition, Sharing], locked: Collection[str] = ()) -> None:
        """After a reload: evaluate again what is still defined so, and end the others.

        A change of the schema is no event, and may change what a query answers.

        Anybody who may create something can make SQL seem to ask who calls, and no longer. That
        ends no call: its caller goes on with those who still share. And while a query is listened
        to, it is shared by ever fewer, so that nobody can have callers go to and fro.

        :param queries: who shares an evaluation of each.
        :param locked: names of those of which nobody can say yet whether they have changed; a
            reload follows that can.
        """
        listened = {evaluation.request.query.definition for evaluation in self.evaluations}
        # One that has ended is listed until its last result is sent, and shared by nobody.
        kept = {
            query: sharing
            for query, sharing in self._sharing.items()
            if query in listened and query[0] in locked
        }
        self._sharing = kept | {
            query: sharing | self._sharing.get(query, sharing) if query in listened else sharing
            for query, sharing in queries.items()
        }
        for evaluation in self.evaluations:
            definition = evaluation.request.query.definition
            if definition in kept:
                continue
            if definition in queries:
                self._part(evaluation)
                evaluation.touch(None)
            else:
                evaluation.stop(Unavailable("the query has changed; call it again"))

    async def stop(self) -> None:
        """End every evaluation. Idempotent."""
        for evaluation in self.evaluations:
            evaluation.stop(Unavailable("the component is stopping; call again"))
        if self._following is not None:
            await end(self._following)

    @asynccontextmanager
    async def _joined(self, request: LiveRequest, caller: Caller) -> AsyncIterator[Listener]:
        """A listener of a request's evaluation, which lasts as long as there are any."""
        listener = Listener(caller)
        self._join(listener, request)
        if self._following is None:
            self._subscribed = asyncio.Event()
            self._following = asyncio.create_task(
                self._follow(self._subscribed), name="pgwamp live queries"
            )
        try:
            yield listener
        finally:
            self._leave(listener)
            if not self._evaluations and self._following is not None:
                self._following.cancel()
                self._following = None

    def _join(self, listener: Listener, request: LiveRequest) -> None:
        """Listen to the evaluation that the caller shares now."""
        request = self._shared(request, listener)
        evaluation = self._evaluations.get(request.key)
        if evaluation is None or evaluation.has_failed:
            evaluation = Evaluation(request, self._interval, self._slots)
            self._evaluations[request.key] = evaluation
            evaluation.start(self._ask)
        evaluation.join(listener)

    def _leave(self, listener: Listener) -> None:
        evaluation = listener.evaluation
        assert evaluation is not None
        evaluation.leave(listener)
        if not evaluation.callers:
            evaluation.stop(Unavailable("nobody listens"))
            if self._evaluations.get(evaluation.request.key) is evaluation:
                del self._evaluations[evaluation.request.key]

    def _shared(self, request: LiveRequest, listener: Listener) -> LiveRequest:
        # A call of a previous procedure may come late, and one of the next before it is renewed.
        query = request.query
        sharing = query.sharing | self._sharing.get(query.definition, query.sharing)
        self._sharing[query.definition] = sharing
        return request.shared(listener.caller, sharing)

    def _part(self, evaluation: Evaluation) -> None:
        """Have those who share an evaluation no longer listen to others."""
        if evaluation.has_failed:
            return
        request = evaluation.request
        for listener in evaluation.listeners:
            if self._shared(request, listener).key != request.key:
                self._leave(listener)
                self._join(listener, request)

    async def _ask(self, evaluation: Evaluation) -> tuple[Result | None, Set[Name]]:
        """Evaluate once; None stands for a result that is news to nobody.

        :raises TooManyRows: it has more rows than ``limits.max_rows``.
        """
        # Changes that are committed after this moment are told: none is missed in between.
        await self._subscribed.wait()
        query, bound = evaluation.request.query, evaluation.request.bound
        records, reads = await self._fetch(evaluation)
        if len(records) > self._limits.max_rows:
            raise TooManyRows(
                f"more than {self._limits.max_rows} rows (limits.max_rows); add a LIMIT"
            )
        width = 1 if query.operation is SQLOperationType.SELECT_VALUE else None
        found = await digests(tuple(record)[:width] for record in records)
        if not evaluation.is_news(found):
            return None, reads
        return Result(query.items(await bound.rows(records)), found), reads

    async def _fetch(self, evaluation: Evaluation) -> tuple[list[Any], Set[Name]]:
        """The records of a query, one more than there may be, and what it has read.

        It runs as what the listeners have in common, and its connection counts to one of them.

        :raises Timeout: it took longer than ``limits.call_timeout``.
        """
        request, party = evaluation.request, evaluation.party
        bound = request.bound
        many = request.query.operation is SQLOperationType.SELECT
        seconds = self._limits.call_timeout
        try:
            async with (
                asyncio.timeout(seconds) as deadline,
                self._database.evaluating(request.caller, party) as connection,
            ):
                before = await count_scans(connection)
                with self._database.measured(connection):
                    # To plan it can run functions, whose errors can be of any size.
                    cursor = await connection.cursor(bound.statement.sql, *bound.parameters)
                    records = await cursor.fetch(self._limits.max_rows + 1 if many else 1)
                reads = await read_so_far(connection, before)
        except TimeoutError:
            if not deadline.expired():
                raise Unavailable("the database does not answer; try again") from None
            raise Timeout(
                f"the query took longer than {seconds:g} seconds (limits.call_timeout)"
            ) from None
        return records, reads.relations

    # --- changes --------------------------------------------------------------------------------

    async def _follow(self, subscribed: asyncio.Event) -> None:
        """Tell the evaluations what has changed, until cancelled.

        :param subscribed: set while changes are told; nothing is evaluated otherwise.
        """
        delay = FIRST_DELAY
        while not is_ending():
            try:
                async with self._feed.subscribe() as subscription:
                    subscribed.set()
                    while not is_ending():
                        self._touch(_relations(await subscription.next()))
                        delay = FIRST_DELAY
            except Exception as error:
                log.info("live queries missed changes", error=str(error) or type(error).__name__)
            subscribed.clear()
            self._touch(None)
            await asyncio.sleep(delay)
            delay = min(delay * 2, LONGEST_DELAY)

    def _touch(self, relations: Set[Name] | None) -> None:
        for evaluation in self._evaluations.values():
            evaluation.touch(relations)


def _relations(changes: Sequence[Change]) -> Set[Name]:
    return {
        (change.schema, change.table)
        for change in changes
        if change.schema is not None and change.table is not None
    }


def can_live(query: NamedQuery) -> bool:
    """Whether its answer can be kept up to date: it selects, and neither writes nor locks rows."""
    return query.operation in _SELECTS and not query.reads.writes


def followed(
    query: NamedQuery, watched: Mapping[Name, WatchedRelation], naming: Naming
) -> dict[str, list[str]]:
    """The tables that a query reads, by how its live query takes them; those that are exposed."""
    reads = {name for name in query.reads.relations if naming.is_exposed(*name)}
    partly = {
        name
        for name in reads & watched.keys()
        if any(watched[name].options.get(option) for option in _LEAVING_OUT)
    }
    return {
        "follows": _names(reads & watched.keys() - partly),
        "partly": _names(partly),
        "ignores": _names(reads - watched.keys()),
    }


def _names(relations: Set[Name]) -> list[str]:
    return sorted(".".join(name) for name in relations)


def live_procedure(
    uri: str,
    query: NamedQuery,
    live: LiveQueries,
    tables: Mapping[str, list[str]],
    schemas: Schemas,
) -> Procedure:
    """The procedure ``<query>.live``: progressive results without an end.

    :param uri: of the query itself.
    :param tables: as :func:`followed` has them.
    :param schemas: of what ``describe`` names.
    """

    async def stream(call: Call) -> AsyncIterator[dict[str, Any]]:
        arguments, bound = query.bound(call)
        request = await LiveRequest.of(query, bound, call.caller)
        with naming_arguments(arguments):
            async with aclosing(live.answers(request, call.caller)) as items:
                async for item in items:
                    yield item
                    del item

    def handler(call: Call) -> AsyncIterator[dict[str, Any]]:
        if call.progress is None:
            raise InvalidArgument(
                "receive_progress",
                "a live query answers as long as you listen: call it with receive_progress",
            )
        return stream(call)

    described = _described(query.description(uri, schemas), query.item(schemas), tables)
    return Procedure(f"{uri}.live", handler, endless=True, description=described)


def _described(
    described: Mapping[str, Any], row: Mapping[str, Any], tables: Mapping[str, list[str]]
) -> dict[str, Any]:
    """The description of a query as that of its live query."""
    place = {"type": "integer", "minimum": 0}
    pair = {"type": "array", "prefixItems": [place, row], "minItems": 2, "maxItems": 2}
    whole = {"rows": {"type": "array", "items": row}}
    difference = {
        "removed": {"type": "array", "items": place},
        "inserted": {"type": "array", "items": pair},
    }
    return {
        **{name: described[name] for name in ("description", "arguments")},
        "uri": f"{described['uri']}.live",
        "kind": "live",
        "tables": tables,
        "progress": {
            "oneOf": [
                {"type": "object", "properties": whole, "required": list(whole)},
                {"type": "object", "properties": difference, "required": list(difference)},
            ]
        },
        "result": {"type": "null"},
    }
