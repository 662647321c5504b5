"""Loading the catalog: four queries, whatever the number of relations."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from importlib.resources import files
from typing import Any, Literal, Protocol

from pgwamp.catalog.model import (
    Argument,
    Catalog,
    Column,
    Relation,
    Routine,
    Volatility,
    WatchedRelation,
)
from pgwamp.pgtypes import Form, Type

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
_FORMS: dict[str, Form] = {
    "int2": "integer",
    "int4": "integer",
    "int8": "integer",
    "oid": "integer",
    "float4": "float",
    "float8": "float",
    "bool": "boolean",
    "text": "text",
    "varchar": "text",
    "bpchar": "text",
    "name": "text",
    "bytea": "bytea",
    "json": "json",
    "jsonb": "json",
    "numeric": "numeric",
}
#: Bits of pg_relation_is_updatable.
_INSERT, _UPDATE, _DELETE = 8, 4, 16


class Connection(Protocol):
    """What loading needs of a connection: asyncpg's ``fetch`` and ``fetchval``."""

    async def fetch(self, query: str, *args: Any) -> Sequence[Mapping[str, Any]]: ...

    async def fetchval(self, query: str, *args: Any) -> Any: ...


def _sql(name: str) -> str:
    return (_SQL / f"{name}.sql").read_text(encoding="utf-8")


async def load_catalog(
    connection: Connection, schemas: Sequence[str], *, watched: bool = True
) -> Catalog:
    """Read what ``schemas`` hold, and which tables are watched.

    :param watched: False when the ``wamp`` schema is not in the database.
    """
    version = int(await connection.fetchval("select current_setting('server_version_num')"))
    relations = await connection.fetch(_sql("relations"), list(schemas))
    routines = await connection.fetch(_sql("routines"), list(schemas))
    watches = await connection.fetch(_sql("watched")) if watched else []
    oids = {column["type"] for row in (*relations, *watches) for column in _columns(row)}
    for row in routines:
        oids.update(row["argument_types"], [row["returns"]])
    types = await load_types(connection, oids)
    return Catalog(
        server_version=version,
        relations=tuple(_relation(row, types) for row in relations),
        routines=tuple(_routine(row, types) for row in routines),
        watched=tuple(
            WatchedRelation(
                row["schema"], row["name"], _build_columns(row, types), tuple(row["key"] or ())
            )
            for row in watches
        ),
        types=types,
    )


async def load_types(connection: Connection, oids: Iterable[int]) -> dict[int, Type]:
    """The types with these oids, and every type they are made of, by oid."""
    return _build_types(await connection.fetch(_sql("types"), sorted(set(oids))))


def _columns(row: Mapping[str, Any]) -> list[dict[str, Any]]:
    columns: list[dict[str, Any]] = json.loads(row["columns"] or "[]")
    return columns


def _build_columns(row: Mapping[str, Any], types: Mapping[int, Type]) -> tuple[Column, ...]:
    return tuple(Column(**{**column, "type": types[column["type"]]}) for column in _columns(row))


def _relation(row: Mapping[str, Any], types: Mapping[int, Type]) -> Relation:
    keys = json.loads(row["keys"] or "[]")
    events = row["events"]
    return Relation(
        schema=row["schema"],
        name=row["name"],
        kind=_KINDS[row["kind"]],
        columns=_build_columns(row, types),
        primary_key=next((tuple(k["columns"]) for k in keys if k["primary"]), ()),
        unique=tuple(tuple(k["columns"]) for k in keys),
        insertable=bool(events & _INSERT),
        updatable=bool(events & _UPDATE),
        deletable=bool(events & _DELETE),
        comment=row["comment"],
    )


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
        columns=_result_columns(arguments, returns),
        comment=row["comment"],
    )


def _result_columns(arguments: Iterable[Argument], returns: Type | None) -> tuple[Column, ...]:
    """The columns of a returned row: OUT and TABLE arguments, or a composite's fields."""
    out = [a for a in arguments if a.mode in ("out", "inout", "table")]
    if len(out) > 1 or any(a.mode == "table" for a in out):
        return tuple(Column(a.name, a.type) for a in out)
    if returns is not None and returns.form == "composite":
        return tuple(Column(name, kind) for name, kind in returns.fields)
    return ()


def _build_types(rows: Sequence[Mapping[str, Any]]) -> dict[int, Type]:
    by_oid = {row["oid"]: row for row in rows}
    types: dict[int, Type] = {}

    def build(oid: int) -> Type:
        if oid in types:
            return types[oid]
        row = by_oid[oid]
        if row["base"] is not None:
            base = build(row["base"])
            types[oid] = Type(
                oid, base.name, base.form, base.element, base.fields, base.labels, domain=True
            )
            return types[oid]
        # A table can hold an array of its own rows: the inner mention stays a literal.
        types[oid] = Type(oid, row["name"], "literal")
        fields = json.loads(row["fields"] or "[]")
        types[oid] = Type(
            oid=oid,
            name=row["name"],
            form=_form(row),
            element=build(row["element"]) if row["element"] else None,
            fields=tuple((name, build(kind)) for name, kind in fields),
            labels=tuple(row["labels"] or ()),
        )
        return types[oid]

    for oid in by_oid:
        build(oid)
    return types


def _form(row: Mapping[str, Any]) -> Form:
    match row["kind"]:
        case "e":
            return "enum"
        case "c":
            return "composite"
        case "r":
            return "range"
        case "m":
            return "multirange"
    if row["category"] == "A" and row["element"]:
        return "array"
    if row["typname"] == "hstore":
        return "hstore"
    return _FORMS.get(row["typname"], "literal") if row["schema"] == "pg_catalog" else "literal"
