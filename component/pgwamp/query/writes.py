"""``insert``, ``update``, ``upsert`` and ``delete`` of one relation.

The rows of a call travel as one JSON parameter that ``json_to_recordset`` unpacks, so that the
statement is the same for one row and for a thousand.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql
from sqlalchemy.sql.elements import quoted_name

from pgwamp.catalog.model import Column, Relation
from pgwamp.errors import InvalidArgument
from pgwamp.pgtypes import writable
from pgwamp.query.expressions import TEXT, PgType, condition, outputs, table_of
from pgwamp.query.reads import chosen_columns
from pgwamp.query.request import string_list, suggest
from pgwamp.query.statement import Bound, Statement, StatementCache, compile_statement
from pgwamp.query.where import Condition, WhereParser

INSERT_ARGUMENTS = ("rows", "returning")
UPDATE_ARGUMENTS = ("values", "where", "returning")
UPSERT_ARGUMENTS = ("rows", "conflict", "resolution", "update", "returning")
DELETE_ARGUMENTS = ("where", "returning")

Returning = tuple[Column, ...] | None


class Writes:
    """Turns the arguments of a write into a bound statement.

    A statement without ``returning`` yields no rows; its caller counts the rows affected.
    """

    def __init__(self, relation: Relation, *, bigint_as_string: bool = False):
        self._relation = relation
        self._big = bigint_as_string
        self._cache = StatementCache()

    def insert(self, request: Mapping[str, Any]) -> Bound:
        """Insert a dict or a list of dicts."""
        rows, columns = self._rows(request["rows"], "rows")
        returning = self._returning(request)
        statement = self._cache.get(
            ("insert", columns, returning), lambda: self._build_insert(columns, returning)
        )
        return statement.bind((), {"rows": rows})

    def update(self, request: Mapping[str, Any]) -> Bound:
        """Set ``values`` on the rows that match ``where``."""
        given = request["values"]
        if not isinstance(given, Mapping) or not given:
            raise InvalidArgument("values", 'expected a dict such as {"status": "paid"}')
        rows, columns = self._rows(given, "values")
        values: list[Any] = []
        where = self._required_where(request, values)
        returning = self._returning(request)
        statement = self._cache.get(
            ("update", columns, where, returning),
            lambda: self._build_update(columns, where, returning),
        )
        return statement.bind(values, {"rows": rows})

    def upsert(self, request: Mapping[str, Any]) -> Bound:
        """Insert, or update the row that is in the way."""
        rows, columns = self._rows(request["rows"], "rows")
        conflict = self._conflict(request.get("conflict"))
        resolution = request.get("resolution", "merge")
        if resolution not in ("merge", "ignore"):
            raise InvalidArgument("resolution", 'expected "merge" or "ignore"')
        for name in conflict:
            if name not in columns:
                raise InvalidArgument("rows", f'every row needs the conflict column "{name}"')
        update = self._update_columns(request.get("update"), columns, conflict)
        returning = self._returning(request)
        statement = self._cache.get(
            ("upsert", columns, conflict, resolution, update, returning),
            lambda: self._build_upsert(columns, conflict, resolution, update, returning),
        )
        return statement.bind((), {"rows": rows})

    def delete(self, request: Mapping[str, Any]) -> Bound:
        """Delete the rows that match ``where``."""
        values: list[Any] = []
        where = self._required_where(request, values)
        returning = self._returning(request)
        return self._cache.get(
            ("delete", where, returning), lambda: self._build_delete(where, returning)
        ).bind(values)

    # --- arguments -----------------------------------------------------------------------------

    def _rows(self, given: Any, path: str) -> tuple[str, tuple[str, ...]]:
        """The rows as one JSON text, and the columns that they give."""
        single = isinstance(given, Mapping)
        rows: Sequence[Any] = [given] if single else given
        if not isinstance(rows, list | tuple) or not all(isinstance(r, Mapping) for r in rows):
            raise InvalidArgument(path, "expected a dict or a list of dicts")
        # No rows insert nothing, by a statement that would insert every column.
        writable_columns = (c.name for c in self._relation.columns if not c.generated)
        columns = tuple(rows[0] if rows else writable_columns)
        if len(rows) != 1 and not columns:
            raise InvalidArgument(path, "empty rows can only be inserted one by one")
        checked = []
        for index, row in enumerate(rows):
            place = path if single else f"{path}[{index}]"
            if row.keys() != rows[0].keys():
                raise InvalidArgument(place, f"its columns differ from those of {path}[0]")
            checked.append({name: self._value(name, row[name], place) for name in columns})
        return json.dumps(checked, ensure_ascii=False), columns

    def _value(self, name: Any, value: Any, path: str) -> Any:
        column = self._relation.by_name.get(name)
        if column is None:
            known = self._relation.by_name
            raise InvalidArgument(
                f"{path}.{name}",
                f'no column "{name}" in {self._relation.name}{suggest(str(name), known)}',
            )
        if column.generated:
            raise InvalidArgument(f"{path}.{name}", "is computed by the server; leave it out")
        return writable(column.type, value, f"{path}.{name}")

    def _required_where(self, request: Mapping[str, Any], values: list[Any]) -> Condition:
        where = request.get("where")
        if where is None:
            raise InvalidArgument("where", "missing; to mean every row, give an empty dict {}")
        return WhereParser(self._relation, values).parse(where)

    def _returning(self, request: Mapping[str, Any]) -> Returning:
        returning = request.get("returning", True)
        if returning is False:
            return None
        if returning is True or returning is None:
            return self._relation.columns
        return chosen_columns(self._relation, returning, "returning")

    def _conflict(self, given: Any) -> tuple[str, ...]:
        relation = self._relation
        if given is None:
            if not relation.primary_key:
                raise InvalidArgument("conflict", f"{relation.name} has no primary key: name the "
                                                  "columns of a unique constraint")  # fmt: skip
            return relation.primary_key
        names = tuple(string_list(given, "conflict"))
        if not any(set(names) == set(unique) for unique in relation.unique):
            known = "; ".join(", ".join(unique) for unique in relation.unique) or "none"
            raise InvalidArgument(
                "conflict", f"no unique constraint on {', '.join(names)} (unique are: {known})"
            )
        return names

    def _update_columns(
        self, given: Any, columns: tuple[str, ...], conflict: tuple[str, ...]
    ) -> tuple[str, ...]:
        if given is None:
            # A row that gives only its key is "updated" to itself, so that it is returned.
            return tuple(name for name in columns if name not in conflict) or conflict
        names = tuple(string_list(given, "update"))
        for name in names:
            if name not in columns:
                raise InvalidArgument("update", f'the rows give no column "{name}"')
        return names

    # --- statements ----------------------------------------------------------------------------

    def _recordset(self, columns: tuple[str, ...]) -> sa.TableValuedAlias:
        """The rows parameter as a table with typed columns."""
        typed = [
            sa.column(quoted_name(name, quote=True), PgType(self._relation.by_name[name].type.name))
            for name in columns
        ]
        rows = sa.cast(sa.cast(sa.bindparam("rows"), TEXT), PgType("json"))
        return (
            sa.func.json_to_recordset(rows)
            .table_valued(*typed, name="w" if self._relation.name == "v" else "v")
            .render_derived(with_types=True)
        )

    def _finish(
        self, statement: Any, returning: Returning, *, default_values: bool = False
    ) -> Statement:
        if returning is None:
            return compile_statement(statement, default_values=default_values)
        table = table_of(self._relation)
        selected, conversions = outputs(
            returning, lambda name: table.c[name], bigint_as_string=self._big
        )
        statement = statement.returning(*selected)
        return compile_statement(statement, conversions, default_values=default_values)

    def _insert(self, columns: tuple[str, ...]) -> Any:
        insert = postgresql.insert(table_of(self._relation))
        if not columns:
            return insert
        recordset = self._recordset(columns)
        source = sa.select(*(recordset.c[name] for name in columns))
        return insert.from_select(list(columns), source, include_defaults=False)

    def _build_insert(self, columns: tuple[str, ...], returning: Returning) -> Statement:
        return self._finish(self._insert(columns), returning, default_values=not columns)

    def _build_upsert(
        self,
        columns: tuple[str, ...],
        conflict: tuple[str, ...],
        resolution: str,
        update: tuple[str, ...],
        returning: Returning,
    ) -> Statement:
        insert = self._insert(columns)
        if resolution == "ignore":
            insert = insert.on_conflict_do_nothing(index_elements=list(conflict))
        else:
            insert = insert.on_conflict_do_update(
                index_elements=list(conflict),
                set_={name: insert.excluded[name] for name in update},
            )
        return self._finish(insert, returning)

    def _build_update(
        self, columns: tuple[str, ...], where: Condition, returning: Returning
    ) -> Statement:
        table = table_of(self._relation)
        recordset = self._recordset(columns)
        update = (
            sa.update(table)
            .values({table.c[name]: recordset.c[name] for name in columns})
            .where(condition(where, table, self._relation.by_name))
        )
        return self._finish(update, returning)

    def _build_delete(self, where: Condition, returning: Returning) -> Statement:
        table = table_of(self._relation)
        delete = sa.delete(table).where(condition(where, table, self._relation.by_name))
        return self._finish(delete, returning)
