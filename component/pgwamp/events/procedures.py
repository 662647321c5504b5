"""Every ``changes`` and ``follow``: of each exposed table, and of everything under the prefix."""

from __future__ import annotations

from collections.abc import Iterator

from pgwamp.catalog import Catalog, Graph
from pgwamp.database import Database
from pgwamp.events.changes import changes_procedure
from pgwamp.events.feed import Feed
from pgwamp.events.follow import Following
from pgwamp.events.initial import Initial
from pgwamp.events.payload import Shapes
from pgwamp.events.replay import Replay
from pgwamp.events.sources import Everything, Table
from pgwamp.naming import Naming
from pgwamp.query.scope import Scopes
from pgwamp.session import Procedure
from pgwamp.settings import Settings


def event_procedures(
    settings: Settings,
    catalog: Catalog,
    database: Database,
    shapes: Shapes,
    feed: Feed,
    *,
    cluster: str,
) -> Iterator[Procedure]:
    """``changes`` and ``follow``; a table that is watched later has them at once."""
    limits, naming = settings.limits, Naming(settings.expose)
    replay = Replay(shapes, naming, cluster, max_bytes=limits.max_bytes)
    big = settings.expose.bigint == "string"
    initial = Initial(Scopes(catalog, Graph(Catalog(0), ())), bigint_as_string=big)
    following = Following(database, replay, feed, initial, limits)
    for relation in catalog.relations:
        path = naming.exposed_path(relation.schema, relation.name)
        if path is not None and relation.kind == "table":
            table = Table(path, relation.schema, relation.name)
            yield changes_procedure(table, database, replay, max_rows=limits.max_rows)
            yield following.procedure(table, relation)
    everything = Everything(settings.expose.prefix, naming, settings.expose.schemas)
    yield changes_procedure(everything, database, replay, max_rows=limits.max_rows)
    yield following.procedure(everything)
