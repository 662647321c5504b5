"""Putting together everything that is exposed."""

from __future__ import annotations

import asyncio
from collections.abc import (
    Iterable,
    Iterator,
    Mapping,
    Sequence,
)
from dataclasses import dataclass, field, replace
from itertools import groupby
from typing import Any

import asyncpg

from pgwamp import logs
from pgwamp.catalog import Catalog, Graph, Relation, Routine
from pgwamp.database import Database
from pgwamp.describe.description import describe_api, with_places
from pgwamp.describe.privileges import describe_procedure, describe_uri
from pgwamp.describe.related import Related
from pgwamp.describe.schemas import Schemas
from pgwamp.errors import StartError
from pgwamp.exposure.hidden import HiddenKeys
from pgwamp.exposure.names import shortened, unambiguous, without_uri
from pgwamp.live.queries import LiveQueries, can_live, followed, live_procedure
from pgwamp.naming import EVENT_SUFFIX, Naming
from pgwamp.procedures.admission import for_admitted
from pgwamp.procedures.batch import batch_procedure
from pgwamp.procedures.caller_scope import Sharing
from pgwamp.procedures.preparing import prepare_queries
from pgwamp.procedures.python import python_procedures
from pgwamp.procedures.queries import Definition, NamedQuery, query_procedure
from pgwamp.procedures.relations import RelationProcedures
from pgwamp.procedures.routines import RoutineProcedure
from pgwamp.query.scope import Scopes
from pgwamp.session import Procedure
from pgwamp.settings import Settings

#: Procedures and relations built between two breaths: calls go on while thousands are built anew.
#: A table may have 1,600 columns, and each of its procedures describes them.
BREATH = 10
log = logs.get(__name__)


@dataclass(frozen=True)
class Exposure:
    """All procedures by URI, the API's description, and the named queries among them.

    :ivar queries: with who shares an evaluation of each.
    :ivar locked: names of queries that cannot be prepared now, mostly because another session locks
        what they read; they are not served.
    :ivar left_out: a line for each thing of the database that is not served because of its name.
    """

    procedures: Mapping[str, Procedure]
    description: Mapping[str, Any]
    queries: Mapping[Definition, Sharing] = field(default_factory=dict)
    locked: Sequence[str] = ()
    left_out: Sequence[str] = ()


async def build_exposure(
    settings: Settings,
    catalog: Catalog,
    database: Database,
    connection: asyncpg.Connection[Any],
    further: Sequence[Procedure] = (),
    live: LiveQueries | None = None,
) -> Exposure:
    """Everything that ``settings`` expose of ``catalog``, and ``further`` procedures.

    :param connection: of our own, to read what the application's SQL asks for.
    :param live: evaluates live queries; without it there are none.
    :raises StartError: a query, a Python procedure or a role is wrong, or two of ours have one URI.
    """
    await database.load_roles()
    expose = settings.expose
    naming = Naming(expose)
    database.hides = HiddenKeys(naming, catalog)
    found: dict[str, Procedure] = {}

    def add(procedure: Procedure) -> None:
        if procedure.uri in found or procedure.uri == describe_uri(expose.prefix):
            raise StartError(
                f"two things are called {procedure.uri}: rename the query or the Python procedure"
            )
        found[procedure.uri] = procedure

    queries, locked = await prepare_queries(settings, database)
    for procedure in _from_queries(settings, queries, database):
        add(procedure)
    if live is not None and queries:
        sharing = await Sharing.load(connection, settings.access)
        for procedure in _live_queries(settings, naming, queries, catalog, live, sharing):
            add(procedure)
    for procedure in python_procedures(expose.procedures, settings.folder, expose.prefix, database):
        add(procedure)
    of_tables = []
    for procedure in further:
        if procedure.uri.rpartition(".")[0] == expose.prefix:
            add(procedure)
        else:
            of_tables.append(procedure)
    add(batch_procedure(expose.prefix, found, database, settings.limits))
    exposed = await _exposed_columns(naming, catalog)
    # A query that cannot be served now keeps its name.
    reserved = {f"{expose.prefix}.{name}": "a named query" for name in locked}
    reserved[describe_uri(expose.prefix)] = "pgwamp's own"
    scopes = await _scopes(settings, naming, exposed)
    related = Related.within(exposed, naming, Schemas.of(expose))
    theirs = [*of_tables, *await _from_catalog(settings, naming, scopes, database, related)]
    functions = _functions(naming, exposed)
    named = unambiguous(theirs, found, reserved, functions)
    found.update(named.procedures)
    topics = list(_topics(naming, catalog, related.schemas))
    description = describe_api(expose.prefix, found.values(), topics)
    functions = {uri: of for uri, of in functions.items() if uri in named.procedures}
    describe = describe_procedure(description, functions, related, database)
    found[describe.uri] = describe
    if database.roles or database.judges_each_caller:
        for uri, procedure in found.items():
            found[uri] = for_admitted(procedure, database)
    sharings = {query.definition: query.sharing for query in queries}
    left_out = shortened([*named.left_out, *without_uri(naming, exposed)])
    return Exposure(found, description, sharings, locked, left_out)


async def _scopes(settings: Settings, naming: Naming, catalog: Catalog) -> Scopes:
    reachable = [r for r in catalog.relations if naming.is_exposed(r.schema, r.name)]
    callable_ = [r for r in catalog.routines if naming.is_exposed(r.schema, r.name)]
    return Scopes(catalog, await Graph.build(catalog, reachable, callable_), settings.limits)


async def _from_catalog(
    settings: Settings, naming: Naming, scopes: Scopes, database: Database, related: Related
) -> list[Procedure]:
    """The procedures of relations and functions, without those of a thing that cannot be built.

    Roles that may create in an exposed schema end no start or reload by it.
    """
    made: list[Procedure] = []
    for name, procedures in _built_each(settings, naming, scopes, database, related):
        own: list[Procedure] = []
        try:
            for procedure in procedures:
                own.append(procedure)
                if (len(made) + len(own)) % BREATH == 0:
                    await asyncio.sleep(0)
        except Exception:
            _log_defect(name)
        else:
            made += own
    return made


def _built_each(
    settings: Settings, naming: Naming, scopes: Scopes, database: Database, related: Related
) -> Iterator[tuple[str, Iterator[Procedure]]]:
    """The name of each relation and function, and its procedures, built as they are taken."""
    catalog = scopes.catalog
    for relation in catalog.relations:
        path = naming.exposed_path(relation.schema, relation.name)
        if path is not None:
            yield (
                f"{relation.schema}.{relation.name}",
                _of_relation(relation, path, settings, scopes, database, related),
            )
    for (schema, name), overloads in groupby(catalog.routines, key=lambda r: (r.schema, r.name)):
        path = naming.exposed_path(schema, name)
        if path is not None:
            yield (
                f"{schema}.{name}",
                _of_routine(list(overloads), path, settings, scopes, database, related),
            )


def _of_relation(
    relation: Relation,
    path: str,
    settings: Settings,
    scopes: Scopes,
    database: Database,
    related: Related,
) -> Iterator[Procedure]:
    scope = scopes.of(relation)
    yield from RelationProcedures(scope, path, database, settings, related).procedures()


def _of_routine(
    overloads: Sequence[Routine],
    path: str,
    settings: Settings,
    scopes: Scopes,
    database: Database,
    related: Related,
) -> Iterator[Procedure]:
    yield RoutineProcedure(path, overloads, scopes, database, settings, related).procedure()


def _log_defect(name: str) -> None:
    """Say that a relation or function is left out, and where pgwamp failed on it."""
    log.warning(
        "left out: it cannot be described",
        name=name,
        cure="this is a defect of pgwamp: report it with these lines; until it is mended, "
        "expose.exclude keeps this warning away",
        exc_info=True,
    )


async def _exposed_columns(naming: Naming, catalog: Catalog) -> Catalog:
    """The catalog without the columns that ``expose.exclude`` hides."""
    relations: list[Relation] = []
    for relation in catalog.relations:
        relations.append(_exposed(naming, relation))
        if len(relations) % BREATH == 0:
            await asyncio.sleep(0)
    shown = {r.row_type: r.columns for r in relations if r.whole is not None}
    routines = tuple(
        replace(routine, columns=shown[routine.returns.oid])
        if routine.returns is not None and routine.returns.oid in shown
        else routine
        for routine in catalog.routines
    )
    return replace(catalog, relations=tuple(relations), routines=routines)


def _exposed(naming: Naming, relation: Relation) -> Relation:
    """The relation without the columns that ``expose.exclude`` hides, and without their keys."""
    columns = tuple(
        column
        for column in relation.columns
        if naming.shows_column(relation.schema, relation.name, column.name)
    )
    if len(columns) == len(relation.columns):
        return relation
    names = {column.name for column in columns}
    return replace(
        relation,
        columns=columns,
        primary_key=relation.primary_key if names.issuperset(relation.primary_key) else (),
        unique=tuple(key for key in relation.unique if names.issuperset(key)),
        whole=relation,
    )


def _from_queries(
    settings: Settings, queries: Iterable[NamedQuery], database: Database
) -> Iterator[Procedure]:
    for query in queries:
        uri = f"{settings.expose.prefix}.{query.name}"
        yield query_procedure(uri, query, database, settings)


def _live_queries(
    settings: Settings,
    naming: Naming,
    queries: Iterable[NamedQuery],
    catalog: Catalog,
    live: LiveQueries,
    sharing: Sharing,
) -> Iterator[Procedure]:
    """Of those that read a watched table."""
    schemas = Schemas.of(settings.expose)
    watched = {(relation.schema, relation.name): relation for relation in catalog.watched}
    for query in queries:
        if can_live(query) and query.reads.relations & watched.keys():
            query.sharing = sharing.asking(query.text)
            uri = f"{naming.prefix}.{query.name}"
            tables = followed(query, watched, naming)
            yield live_procedure(uri, query, live, tables, schemas)


def _functions(naming: Naming, catalog: Catalog) -> dict[str, list[Routine]]:
    """URI of each function -> its overloads."""
    found: dict[str, list[Routine]] = {}
    for routine in catalog.routines:
        if path := naming.exposed_path(routine.schema, routine.name):
            found.setdefault(path, []).append(routine)
    return found


def _topics(naming: Naming, catalog: Catalog, schemas: Schemas) -> Iterator[dict[str, Any]]:
    for relation in catalog.watched:
        path, options = naming.path(relation.schema, relation.name), relation.options
        if path is None or naming.is_excluded(relation.schema, relation.name):
            continue
        if options.get("publish") is False:
            continue
        exposed = [
            column
            for column in relation.columns
            if naming.shows_column(relation.schema, relation.name, column.name)
        ]
        names = {column.name for column in exposed}
        watched = options.get("columns") or names
        try:
            row = schemas.row([c for c in exposed if c.name in watched])
            key = schemas.row([c for c in exposed if c.name in relation.key])
        except Exception:
            _log_defect(f"{relation.schema}.{relation.name}")
            continue
        for operation, suffix in EVENT_SUFFIX.items():
            # All rows go together: their values name no topic.
            template = options.get("topic") if operation != "truncate" else None
            topic = (template or f"{path}.{{op}}").replace("{op}", suffix)
            described: dict[str, Any] = {
                "topic": with_places(topic, names) if template else topic,
                "relation": f"{relation.schema}.{relation.name}",
                "op": operation,
                "row": row,
            }
            if relation.key and operation != "truncate":
                described["key"] = key
            if template:
                described["template"] = True
            if options.get("old", "changed") != "changed" and operation in ("update", "delete"):
                described["old"] = options["old"]
            if options.get("batch") and operation != "truncate":
                described["batch"] = True
            yield described
