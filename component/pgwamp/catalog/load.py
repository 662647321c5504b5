"""Loading the catalog: a dozen queries, whatever the number of relations."""

from __future__ import annotations

import asyncio
import json
from collections import defaultdict
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from importlib.resources import files
from typing import Any, Literal, Protocol, TypeVar

from pgwamp.catalog.model import (
    Aggregate,
    Argument,
    Catalog,
    Column,
    ForeignKey,
    Origin,
    Ownership,
    Relation,
    Routine,
    Volatility,
    WatchedRelation,
)
from pgwamp.catalog.types import build_types
from pgwamp.catalog.updatable import TABLE, UNKNOWN, Updatable, load_updatable
from pgwamp.catalog.views import Views
from pgwamp.values import Representation, Type

_Made = TypeVar("_Made")
_SQL = files("pgwamp.catalog")
_KINDS: dict[str, Literal["table", "view", "materialized view", "foreign table"]] = {
    "r": "table",
    "p": "table",
    "v": "view",
    "m": "materialized view",
    "f": "foreign table",
}
_MODES: dict[str, Literal["in", "out", "inout", "variadic", "table"]] = {
    "i": "in",
    "o": "out",
    "b": "inout",
    "v": "variadic",
    "t": "table",
}
_VOLATILITIES: dict[str, Volatility] = {"i": "immutable", "s": "stable", "v": "volatile"}
#: Names of types that only the parser knows.
_SPELLINGS = {"int": "int4", "float": "float8", "decimal": "numeric", "dec": "numeric"}


class Connection(Protocol):
    """The part of asyncpg's connection that loading needs."""

    async def fetch(self, query: str, *args: Any) -> Sequence[Mapping[str, Any]]: ...

    async def fetchval(self, query: str, *args: Any) -> Any: ...

    def transaction(self) -> AbstractAsyncContextManager[Any]: ...


def _sql(name: str) -> str:
    return (_SQL / f"{name}.sql").read_text(encoding="utf-8")


@asynccontextmanager
async def _own_path(connection: Connection) -> AsyncIterator[None]:
    """Let plain names mean PostgreSQL's own, whatever others have created.

    The names of all other types then come with their schemas.
    """
    before = await connection.fetchval("select pg_catalog.current_setting('search_path')")
    async with connection.transaction():
        await connection.fetchval(_SET_PATH, "pg_catalog, pg_temp")
        yield
        # The setting would outlive a transaction that is part of another one.
        await connection.fetchval(_SET_PATH, before)


_SET_PATH = "select pg_catalog.set_config('search_path', $1, true)"


async def load_catalog(
    connection: Connection,
    schemas: Sequence[str],
    *,
    watched: bool = True,
    before: Catalog | None = None,
) -> Catalog:
    """Read what ``schemas`` hold, and which tables are watched.

    :param watched: False when the ``wamp`` schema is not in the database.
    :param before: what is locked now may be written as it could be then.
    """
    async with _own_path(connection):
        return await _load(connection, list(schemas), watched, before or Catalog(0))


async def _load(
    connection: Connection, names: list[str], watched: bool, before: Catalog
) -> Catalog:
    version = int(await connection.fetchval("select current_setting('server_version_num')"))
    relations = await connection.fetch(_sql("relations"), names)
    oids_of_relations = [row["oid"] for row in relations]
    behind = await _load_behind(connection, names, oids_of_relations)
    asking = {name: _sql(name) for name in ("locked", "updatable")}
    too_high = await behind.views.stacked_too_high()
    others = {row["oid"]: row["owner"] for row in relations if row["kind"] not in ("r", "p")}
    asked = {oid: owner for oid, owner in others.items() if oid not in too_high}
    known, locked = await load_updatable(connection, asking, asked)
    updatable = {
        **dict.fromkeys(others, UNKNOWN),
        **{oid: before.updatable.get(oid, UNKNOWN) for oid in locked},
        **known,
    }
    routines = await connection.fetch(_sql("routines"), names)
    watches = await connection.fetch(_sql("watched")) if watched else []
    aggregates = await connection.fetch(_sql("aggregates"))
    castable = await connection.fetch(_sql("castable"), names)
    searches = await connection.fetch(_sql("searches"), names)
    tables = sorted({*oids_of_relations, *behind.columns})
    keys = await connection.fetch(_sql("foreign_keys"), tables) if tables else []
    owners = await connection.fetch(_sql("owners"), tables) if tables else []
    oids: set[int] = set()
    for row in (*relations, *watches):
        oids.update(column["type"] for column in _columns(row))
        await asyncio.sleep(0)
    for row in routines:
        oids.update(row["argument_types"], [row["returns"]])
    oids.update(row["result"] for row in aggregates)
    oids.update(row["oid"] for row in castable)
    types = await _load_types(connection, oids)
    return Catalog(
        server_version=version,
        relations=await _each(
            relations,
            lambda row: _relation(row, types, behind, updatable.get(row["oid"], TABLE)),
        ),
        updatable=updatable,
        locked=tuple(f"{r['schema']}.{r['name']}" for r in relations if r["oid"] in locked),
        routines=await _each(routines, lambda row: _routine(row, types)),
        watched=await _each(watches, lambda row: _watched(row, types)),
        foreign_keys=await _each(keys, _foreign_key),
        types=types,
        aggregates={
            (row["name"], row["argument"]): Aggregate(row["schema"], types[row["result"]])
            for row in aggregates
        },
        castable=_castable(castable, types),
        searches=_searches(searches),
        owners=_owners(owners),
    )


async def _each(
    rows: Iterable[Mapping[str, Any]], make: Callable[[Mapping[str, Any]], _Made]
) -> tuple[_Made, ...]:
    """Make something of each row; calls go on meanwhile: a relation may have 1,600 columns."""
    made: list[_Made] = []
    for row in rows:
        made.append(make(row))
        await asyncio.sleep(0)
    return tuple(made)


@dataclass(frozen=True)
class _Behind:
    """The tables, keys and expressions that relations are made of.

    :ivar columns: of the tables that views show, the names of columns by number.
    :ivar keys: of tables and materialized views: whether it is the primary key, and its columns.
    :ivar hiding: relations that keep rows from some roles.
    :ivar expressions: tables with expressions that may run code of users: whether reads do, too.
    """

    views: Views
    columns: Mapping[int, Mapping[str, str]]
    keys: Mapping[int, Sequence[tuple[bool, tuple[str, ...]]]]
    hiding: frozenset[int]
    expressions: Mapping[int, bool]


async def _load_behind(
    connection: Connection, names: Sequence[str], relations: Sequence[int]
) -> _Behind:
    views = Views()
    for row in await connection.fetch(_sql("views"), names):
        views.add(row["oid"], row["rule"], row["below"])
        # A rule may have 1 MB, and many schemas many rules: calls go on between them.
        await asyncio.sleep(0)
    shown = sorted(views.tables())
    bases = await connection.fetch(_sql("bases"), shown) if shown else []
    keys: dict[int, list[tuple[bool, tuple[str, ...]]]] = defaultdict(list)
    for row in await connection.fetch(_sql("keys"), sorted({*relations, *shown})):
        keys[row["oid"]].append((row["primary"], tuple(row["columns"])))
    columns = {row["oid"]: json.loads(row["columns"]) for row in bases}
    hiding = await connection.fetch(_sql("hiding"))
    expressions = await connection.fetch(_sql("expressions"), names)
    return _Behind(
        views,
        columns,
        keys,
        frozenset(row["oid"] for row in hiding),
        {row["oid"]: row["reads"] for row in expressions},
    )


def _searches(rows: Iterable[Mapping[str, Any]]) -> Mapping[str, str]:
    """How SQL spells a text search configuration, by its names: as with types."""
    built_in = {row["name"]: row["spelled"] for row in rows if row["built_in"]}
    full = {f"{row['schema']}.{row['name']}": row["spelled"] for row in rows}
    plain: dict[str, list[str]] = defaultdict(list)
    for row in rows:
        plain[row["name"]].append(row["spelled"])
    unique = {name: spelled[0] for name, spelled in plain.items() if len(spelled) == 1}
    return {**unique, **full, **built_in}


def _castable(rows: Iterable[Mapping[str, Any]], types: Mapping[int, Type]) -> Mapping[str, Type]:
    """Types by the name of pg_type (int4), by those of SQL (integer, int) and with their schema.

    PostgreSQL's own types come before all others, and full names before plain ones. A plain name
    that types of exposed schemas share means none of them, so that none passes for the other.
    """
    built_in: dict[str, Type] = {}
    full: dict[str, Type] = {}
    plain: dict[str, list[Type]] = defaultdict(list)
    for row in rows:
        kind = types[row["oid"]]
        names = [row["name"]]
        if kind.form == "array" and not kind.domain:
            names.append(f"{row['name'].removeprefix('_')}[]")
        known = built_in if row["built_in"] else full
        known[kind.domain or kind.name] = kind
        for name in names:
            if row["built_in"]:
                built_in[name] = kind
            else:
                plain[name].append(kind)
    for spelled, name in _SPELLINGS.items():
        built_in[spelled] = built_in[name]
        built_in[f"{spelled}[]"] = built_in[f"{name}[]"]
    unique = {name: kinds[0] for name, kinds in plain.items() if len(kinds) == 1}
    return {**unique, **full, **built_in}


async def load_types(connection: Connection, oids: Iterable[int]) -> dict[int, Type]:
    """The types with these oids, and every type they are made of, by oid."""
    async with _own_path(connection):
        return await _load_types(connection, oids)


async def _load_types(connection: Connection, oids: Iterable[int]) -> dict[int, Type]:
    rows = await connection.fetch(_sql("types"), sorted(set(oids)))
    foreign = [row["oid"] for row in rows if row["schema"] != "pg_catalog" and row["kind"] == "b"]
    operators = await connection.fetch(_sql("operators"), foreign) if foreign else []
    representations: dict[int, dict[str, tuple[str, str]]] = {}
    if any(row["base"] for row in rows):
        for row in await connection.fetch(_sql("representations")):
            by_direction = representations.setdefault(row["domain"], {})
            by_direction[row["direction"]] = (row["schema"], row["name"])
    own = {oid: Representation(**found) for oid, found in representations.items()}
    return build_types(rows, own, operators)


def _columns(row: Mapping[str, Any]) -> list[dict[str, Any]]:
    columns: list[dict[str, Any]] = json.loads(row["columns"] or "[]")
    return columns


def _build_columns(row: Mapping[str, Any], types: Mapping[int, Type]) -> tuple[Column, ...]:
    return tuple(Column(**{**column, "type": types[column["type"]]}) for column in _columns(row))


def _relation(
    row: Mapping[str, Any], types: Mapping[int, Type], behind: _Behind, updatable: Updatable
) -> Relation:
    columns = _build_columns(row, types)
    origins = _origins(row, columns, behind)
    keys = _inherited_keys(origins, behind) if updatable.simple else behind.keys.get(row["oid"], ())
    plain = row["is_plain"] and row["oid"] not in behind.expressions
    return Relation(
        schema=row["schema"],
        name=row["name"],
        kind=_KINDS[row["kind"]],
        columns=columns,
        oid=row["oid"],
        row_type=row["row_type"],
        primary_key=next((names for primary, names in keys if primary), ()),
        unique=tuple(names for _, names in keys),
        insertable=updatable.insertable,
        updatable=updatable.updatable,
        deletable=updatable.deletable,
        comment=row["comment"],
        row_security=row["row_security"],
        has_rules=row["has_rules"],
        has_children=row["has_children"],
        inserts_only=plain and not row["has_triggers"],
        writes_plainly=plain and not (row["has_triggers_of_users"] or row["row_security"]),
        plans_code=behind.expressions.get(row["oid"], False),
        origins=origins,
        hides_rows=row["oid"] in behind.hiding,
    )


def _origins(
    row: Mapping[str, Any], columns: Sequence[Column], behind: _Behind
) -> tuple[Origin, ...]:
    # Views have no dropped columns: the position is the number.
    return tuple(
        Origin(columns[number - 1].name, table, behind.columns[table][str(column)])
        for number, (table, column) in sorted(behind.views.origins(row["oid"]).items())
        if table in behind.columns and column > 0
    )


def _inherited_keys(
    origins: Iterable[Origin], behind: _Behind
) -> list[tuple[bool, tuple[str, ...]]]:
    """The keys of the one table that a simple view shows, where it shows them whole."""
    shown: dict[tuple[int, str], str] = {}
    for origin in origins:
        shown.setdefault((origin.table, origin.table_column), origin.column)
    return [
        (primary, tuple(shown[table, name] for name in names))
        for table in dict.fromkeys(table for table, _ in shown)
        for primary, names in behind.keys.get(table, ())
        if all((table, name) in shown for name in names)
    ]


def _watched(row: Mapping[str, Any], types: Mapping[int, Type]) -> WatchedRelation:
    return WatchedRelation(
        row["schema"],
        row["name"],
        _build_columns(row, types),
        tuple(row["key"] or ()),
        json.loads(row["options"]),
    )


def _foreign_key(row: Mapping[str, Any]) -> ForeignKey:
    return ForeignKey(
        row["name"],
        row["source"],
        tuple(row["columns"]),
        row["target"],
        tuple(row["target_columns"]),
    )


def _owners(rows: Iterable[Mapping[str, Any]]) -> Mapping[int, Ownership]:
    # Thousands of relations have the same few owners: each set is there once.
    shared: dict[tuple[int, tuple[int, ...]], Ownership] = {}
    owners: dict[int, Ownership] = {}
    for row in rows:
        key = row["owner"], tuple(row["replacers"])
        if key not in shared:
            shared[key] = Ownership(key[0], frozenset(key[1]))
        owners[row["oid"]] = shared[key]
    return owners


def _routine(row: Mapping[str, Any], types: Mapping[int, Type]) -> Routine:
    kinds = row["argument_types"]
    names = row["argument_names"] or [""] * len(kinds)
    modes = [_MODES[mode] for mode in row["argument_modes"] or "i" * len(kinds)]
    inputs = [index for index, mode in enumerate(modes) if mode in ("in", "inout", "variadic")]
    optional = set(inputs[len(inputs) - row["defaults"] :]) if row["defaults"] else set()
    arguments = tuple(
        Argument(name, types[kind], mode, index in optional)
        for index, (name, kind, mode) in enumerate(zip(names, kinds, modes, strict=True))
    )
    returns = types.get(row["returns"])
    is_function = row["kind"] == "f"
    return Routine(
        schema=row["schema"],
        name=row["name"],
        kind="function" if is_function else "procedure",
        arguments=arguments,
        returns=returns,
        returns_set=row["returns_set"],
        volatility=_VOLATILITIES[row["volatility"]],
        columns=_result_columns(arguments, returns if is_function else None),
        comment=row["comment"],
        rows=row["rows"],
        trusted=row["trusted"],
        commits=row["commits"],
    )


def _result_columns(arguments: Iterable[Argument], returns: Type | None) -> tuple[Column, ...]:
    """The columns of a returned row: OUT and TABLE arguments, or a composite's fields.

    The single one of a function, of a composite type, is such a row itself.

    :param returns: None of a procedure.
    """
    if returns is not None and returns.form == "composite":
        return tuple(Column(name, kind) for name, kind in returns.fields)
    out = [a for a in arguments if a.mode in ("out", "inout", "table")]
    return tuple(
        Column(a.name or f"column{number}", a.type) for number, a in enumerate(out, start=1)
    )
