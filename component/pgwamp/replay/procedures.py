"""Every ``changes`` and ``follow``: of each exposed table, and of everything under the prefix."""

from __future__ import annotations

from collections.abc import Iterator

from pgwamp.catalog import Catalog, Graph
from pgwamp.database import Database
from pgwamp.naming import Naming
from pgwamp.query.scope import Scopes
from pgwamp.replay.changes import changes_procedure
from pgwamp.replay.feed import Feed
from pgwamp.replay.follow import Following
from pgwamp.replay.initial_snapshot import InitialSnapshot
from pgwamp.replay.pages import PageReader
from pgwamp.replay.subjects import PrefixSubject, TableSubject
from pgwamp.session import Procedure
from pgwamp.settings import Settings


def replay_procedures(
    settings: Settings, catalog: Catalog, database: Database, feed: Feed
) -> Iterator[Procedure]:
    """``changes`` and ``follow``; a table that is watched later has them at once."""
    limits, naming = settings.limits, Naming(settings.expose)
    pages = PageReader(naming, max_bytes=limits.max_bytes)
    big = settings.expose.bigint == "string"
    scopes = Scopes(catalog, Graph(Catalog(0), ()))
    dsn = settings.database.events_dsn()
    initial = InitialSnapshot(scopes, naming, dsn, bigint_as_string=big)
    following = Following(database, pages, feed, initial, limits)
    for relation in catalog.relations:
        path = naming.exposed_path(relation.schema, relation.name)
        if path is not None and relation.kind == "table":
            table = TableSubject(path, relation.schema, relation.name)
            yield changes_procedure(table, database, pages, max_rows=limits.max_rows)
            yield following.procedure(table, relation)
    everything = PrefixSubject(settings.expose.prefix, naming, settings.expose.schemas)
    yield changes_procedure(everything, database, pages, max_rows=limits.max_rows)
    yield following.procedure(everything)
