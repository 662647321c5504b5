"""CSV texts of a call, to be written through COPY."""

from __future__ import annotations

import codecs
import csv
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql

from pgwamp.catalog.model import Relation
from pgwamp.errors import InvalidArgument, below
from pgwamp.query.conflict import Conflict, conflict_key, parse_conflict
from pgwamp.query.dialect import quoted
from pgwamp.query.expressions import table_of
from pgwamp.query.rows import writable_column
from pgwamp.query.statement import compile_statement
from pgwamp.settings import LimitSettings

#: The temporary table that CSV goes through; each session has its own.
_STAGE = "pgwamp_csv"
#: Bytes of the first line of a CSV text: 1,600 names of 63 bytes, each of them escaped.
_LONGEST_HEADER = 256 * 1024


@dataclass(frozen=True, slots=True)
class Load:
    """A CSV text for COPY.

    :ivar stage: makes the temporary table ``table``, if it goes there first.
    :ivar merge: takes the rows from there.
    :ivar clear: drops that table, for the next CSV text of the same transaction.
    """

    text: bytes
    schema: str
    table: str
    columns: tuple[str, ...]
    stage: str | None = None
    merge: str | None = None
    clear: str | None = None


def csv_load(
    relation: Relation, request: Mapping[str, Any], limits: LimitSettings, *, upsert: bool = False
) -> Load:
    """A CSV text to write through COPY: into the table, or by way of a temporary one."""
    for name in ("rows", "returning", "missing", "include", "order"):
        if request.get(name) not in (None, False):
            raise InvalidArgument(name, "csv answers the number of rows; leave it out")
    text = request["csv"]
    try:
        data = text.encode() if isinstance(text, str) else text
    except UnicodeEncodeError:
        raise InvalidArgument("csv", "holds half a character") from None
    if not isinstance(data, bytes):
        raise InvalidArgument("csv", "expected a text whose first line names the columns")
    # Spreadsheets write it.
    data = data.removeprefix(codecs.BOM_UTF8)
    key = conflict_key(relation, request.get("conflict"), limits) if upsert else ()
    columns = _columns(relation, data)
    # COPY refuses tables with row level security, and passes by rules.
    straight = not (upsert or relation.row_security or relation.has_rules)
    if straight and relation.kind == "table":
        return Load(data, relation.schema, relation.name, columns)
    conflict = parse_conflict(relation, key, request, [columns], limits) if upsert else None
    return Load(
        data,
        "pg_temp",
        _STAGE,
        columns,
        _stage(relation, columns),
        _merge(relation, columns, conflict),
        f"DROP TABLE pg_temp.{_STAGE}",
    )


def _columns(relation: Relation, data: bytes) -> tuple[str, ...]:
    end = data.find(b"\n", 0, _LONGEST_HEADER)
    line = data[: _LONGEST_HEADER if end < 0 else end]
    # COPY would read on to the next quote, and take the lines until there for names.
    if line.count(b'"') % 2:
        raise InvalidArgument("csv", "line 1: a quote is not closed on the line")
    try:
        header = next(csv.reader([line.decode()]), [])
    except (UnicodeDecodeError, csv.Error):
        header = []
    names = tuple(name.strip() for name in header)
    if not names:
        raise InvalidArgument("csv", "the first line names the columns, as in id,name")
    for name in dict.fromkeys(names):
        writable_column(relation, name, below("csv.line 1", name))
    if len(set(names)) < len(names):
        raise InvalidArgument("csv", "line 1: a column is named twice")
    return names


def _stage(relation: Relation, columns: tuple[str, ...]) -> str:
    """An empty temporary table with the columns of the text."""
    table = table_of(relation)
    shown = sa.select(*(table.c[name] for name in columns))
    prefix = f"CREATE TEMPORARY TABLE {_STAGE} AS "
    return f"{prefix}{compile_statement(shown).sql} WITH NO DATA"


def _merge(relation: Relation, columns: tuple[str, ...], conflict: Conflict | None) -> str:
    """From the temporary table into the relation; rules allow no WITH around it."""
    staged = sa.table(_STAGE, *(sa.column(quoted(name)) for name in columns), schema="pg_temp")
    insert = postgresql.insert(table_of(relation)).from_select(
        list(columns), sa.select(*staged.c), include_defaults=False
    )
    if conflict is not None:
        insert = conflict.resolved(insert, columns)
    return compile_statement(insert).sql
