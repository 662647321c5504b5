"""``insert``, ``update``, ``upsert`` and ``delete`` of one relation."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql

from pgwamp.errors import InvalidArgument
from pgwamp.query.bounds import at_most, only_one, small_row
from pgwamp.query.build import Builder
from pgwamp.query.columns import Item
from pgwamp.query.conditions import Names, condition
from pgwamp.query.conflict import Conflict, conflict_key, parse_conflict
from pgwamp.query.dialect import builtin, count, equal, quoted
from pgwamp.query.expressions import from_rows, row_parameter, rows_parameter, table_of
from pgwamp.query.limits import Values
from pgwamp.query.loads import Load, csv_load
from pgwamp.query.operators import Compare, Condition
from pgwamp.query.rows import Group, Rows, parse_rows
from pgwamp.query.scope import Scope
from pgwamp.query.selection import Selection, SelectionParser, needed_columns
from pgwamp.query.shape import Shape
from pgwamp.query.source import Source, unused
from pgwamp.query.statement import Bound, Statement, StatementCache, compile_statement
from pgwamp.query.where import Junction, WhereParser, constant
from pgwamp.values import Type
from pgwamp.values.portable import most_bytes

INSERT_ARGUMENTS = ("rows", "returning", "missing", "include", "order", "csv")
UPDATE_ARGUMENTS = ("values", "where", "returning", "max_affected", "rows", "include", "order")
UPSERT_ARGUMENTS = (
    "rows", "conflict", "resolution", "update", "returning", "missing", "include", "order", "csv",
)  # fmt: skip
DELETE_ARGUMENTS = ("where", "returning", "max_affected", "include", "order")
#: The ``where`` of an update or delete of every row.
EVERY_ROW = "all"
_CURE = f'give "{EVERY_ROW}" to mean every row'
#: Bytes of the texts of a row that is not measured before it is committed: of so few, none is
#: refused by what makes values of them.
SMALL_ROW_BYTES = 8_000
#: Bytes of a message that one of them takes at most, as a 1 in a list of integers.
_MESSAGE_BYTES = 16
#: Types whose texts have few bytes, and how many. Those of other types are measured.
_SHORT_BYTES = 100
_SHORT_FORMS = ("integer", "float", "boolean")
_SHORT_TYPES = (
    "uuid", "date", "time without time zone", "time with time zone",
    "timestamp without time zone", "timestamp with time zone", "interval",
)  # fmt: skip
#: Arguments that PostgreSQL's functions take at most.
_MOST_ARGUMENTS = 100
_COUNT = Selection((Item("count", None, Type(20, "bigint", "integer"), "count"),))


class Writes:
    """Turns the arguments of a write into a bound statement.

    Without ``returning`` the statement answers one row with the number of rows as ``count``. One
    that would answer more rows than ``limits.max_rows``, or a longer list of related rows, fails
    instead, and changes nothing.
    """

    def __init__(self, scope: Scope, *, bigint_as_string: bool = False):
        self._scope = scope
        self._relation = scope.relation
        self._limits = scope.limits
        self._big = bigint_as_string
        self._cache = StatementCache(scope.statements)

    def insert(self, request: Mapping[str, Any]) -> Bound | None:
        """Insert a dict or a list of dicts; None where there is nothing to do."""
        values = Values(self._limits)
        rows = self._rows(request, values)
        returning = self._returning(request, values)
        if not rows.groups:
            return None
        few = self._is_few(rows)
        return self._cache.get(
            values,
            ("insert", rows.groups, returning, few),
            lambda: self._finish(
                [self._insert(i, group) for i, group in enumerate(rows.groups)],
                returning,
                few,
                rows.is_one,
            ),
        ).bind(values, rows.named())

    def update(self, request: Mapping[str, Any]) -> Bound | None:
        """Set ``values`` on the rows that match ``where``, or each of ``rows`` by its key.

        None where there is nothing to do.
        """
        if request.get("rows") is not None:
            return self._update_rows(request)
        given = request.get("values")
        if not isinstance(given, Mapping):
            raise InvalidArgument("values", 'expected a dict such as {"status": "paid"}')
        values = Values(self._limits)
        rows = parse_rows(self._relation, given, "values", values)
        where = self._required_where(request, values)
        returning = self._returning(request, values)
        if not given:
            return None
        return self._cache.get(
            values,
            ("update", rows.groups, where, returning),
            lambda: self._build_update(rows.groups[0], where, returning),
        ).bind(values, rows.named())

    def upsert(self, request: Mapping[str, Any]) -> Bound | None:
        """Insert, or update the row that is in the way; None where there is nothing to do.

        With defaults for what is missing, a row without its key is a new one.
        """
        values = Values(self._limits)
        keyless = request.get("missing") == "default"
        # Before the rows: of a key that they cannot give, their error would say to leave it out.
        # Where there are none, none lacks a key.
        lacks_none = keyless or request.get("rows") == []
        given = request.get("conflict")
        key = conflict_key(self._relation, given, self._limits, keyless=lacks_none)
        rows = self._rows(request, values)
        conflict = parse_conflict(
            self._relation,
            key,
            request,
            [g.columns for g in rows.groups],
            self._limits,
            keyless=keyless,
        )
        returning = self._returning(request, values)
        if not rows.groups:
            return None
        few = self._is_few(rows)
        return self._cache.get(
            values,
            ("upsert", rows.groups, conflict, returning, few),
            lambda: self._finish(
                [self._upsert(i, group, conflict) for i, group in enumerate(rows.groups)],
                returning,
                few,
                rows.is_one,
            ),
        ).bind(values, rows.named())

    def delete(self, request: Mapping[str, Any]) -> Bound:
        """Delete the rows that match ``where``."""
        values = Values(self._limits)
        where = self._required_where(request, values)
        returning = self._returning(request, values)
        return self._cache.get(
            values, ("delete", where, returning), lambda: self._build_delete(where, returning)
        ).bind(values)

    def _rows(self, request: Mapping[str, Any], values: Values) -> Rows:
        return parse_rows(
            self._relation, request.get("rows"), "rows", values, request.get("missing")
        )

    # --- arguments -----------------------------------------------------------------------------

    def _required_where(self, request: Mapping[str, Any], values: Values) -> Condition:
        """Parse the condition of a write; every row only by a word of its own.

        A condition that says nothing may be an accident: in JSON, ``{id: undefined}`` is ``{}``.
        """
        given = request.get("where")
        if given is None:
            raise InvalidArgument("where", f'missing; give a dict such as {{"id": 1}}, or {_CURE}')
        if given == EVERY_ROW:
            return Junction("and", ())
        where = WhereParser(self._scope, values).parse(given)
        if constant(where, values):
            raise InvalidArgument("where", f"holds for every row; name a column, or {_CURE}")
        return where

    def _returning(self, request: Mapping[str, Any], values: Values) -> Selection | None:
        returning = request.get("returning", True)
        if returning is False:
            for name in ("include", "order"):
                if request.get(name) is not None:
                    raise InvalidArgument(name, "without returning there are no rows to answer")
            return None
        wanted = {
            "returning": None if returning is True else returning,
            "include": request.get("include"),
            "order": request.get("order"),
        }
        return SelectionParser(self._scope, values).parse(wanted, "returning")

    def _update_rows(self, request: Mapping[str, Any]) -> Bound | None:
        """Different values for each row, in one statement: each row gives its key."""
        for name in ("values", "where"):
            if request.get(name) is not None:
                raise InvalidArgument(name, "rows have values and keys of their own; leave it out")
        key = self._relation.primary_key
        if not key:
            raise InvalidArgument("rows", f"{self._relation.name} has no primary key; use where")
        values = Values(self._limits)
        rows = parse_rows(self._relation, request["rows"], "rows", values, key=key)
        if not rows.groups:
            self._returning(request, values)
            return None
        (group,), (lists,) = rows.groups, rows.values
        columns = group.columns
        if any(name not in columns for name in key):
            problem = f"each row gives its key ({', '.join(key)}) and columns to set"
            raise InvalidArgument("rows", problem).about(self._relation.key, *key)
        if any(None in lists[columns.index(name)] for name in key):
            raise InvalidArgument("rows", "a key is never null").about(self._relation.key, *key)
        returning = self._returning(request, values)
        if len(columns) == len(key):
            return None
        few = self._is_few(rows)
        return self._cache.get(
            values,
            ("update rows", group, returning, few),
            lambda: self._build_update_rows(group, key, returning, few),
        ).bind(values, rows.named())

    # --- statements ----------------------------------------------------------------------------

    def _source(self, number: int, group: Group) -> tuple[Any, dict[str, Any]]:
        """The values of each column, and the table they are in: made of one list for each column.

        A single row needs no table. Lists, because the statement is then the same for two rows and
        for thousands, and the server reads them in half the time of JSON.
        """
        columns = group.columns
        types = {name: self._relation.by_name[name].type for name in columns}
        parameters = [(f"w{number}_{index}", types[name]) for index, name in enumerate(columns)]
        if group.single:
            values = [row_parameter(*parameter) for parameter in parameters]
            return None, dict(zip(columns, values, strict=True))
        lists = [rows_parameter(*parameter) for parameter in parameters]
        # With several lists it is grammar: PostgreSQL's own, known by this name only.
        unnest = builtin("unnest", *lists) if len(lists) == 1 else sa.func.unnest(*lists)
        rows = unnest.table_valued(*(sa.column(quoted(name)) for name in columns)).render_derived(
            name=unused("v", {self._relation.name, *columns})
        )
        return rows, {name: from_rows(rows.c[name], types[name]) for name in columns}

    def _insert(self, number: int, group: Group) -> Any:
        insert = postgresql.insert(table_of(self._relation))
        if not group.columns:
            return self._defaults(insert, group.number)
        table, values = self._source(number, group)
        source = sa.select(*values.values())
        if table is not None:
            source = source.select_from(table)
        return insert.from_select(list(group.columns), source, include_defaults=False)

    def _defaults(self, insert: Any, number: int) -> Any:
        """Rows of defaults only; of several, one column says that it has its own."""
        if number == 1:
            return insert.values({})
        columns = self._relation.columns or self._relation.complete.columns
        if not columns:
            raise InvalidArgument(
                "rows", f"{self._relation.name} has no columns; give one row, {{}}"
            )
        column = next((c for c in columns if not c.generated), columns[0])
        default: sa.ColumnElement[Any] = sa.literal_column("DEFAULT")
        return insert.values([{column.name: default}] * number)

    def _upsert(self, number: int, group: Group, conflict: Conflict) -> Any:
        if not set(conflict.columns) <= set(group.columns):
            return self._insert(number, group)
        return conflict.resolved(self._insert(number, group), group.columns)

    def _build_update(
        self, group: Group, where: Condition, returning: Selection | None
    ) -> Statement:
        table = table_of(self._relation)
        _, values = self._source(0, group)
        update = (
            sa.update(table)
            .values({table.c[name]: value for name, value in values.items()})
            .where(condition(where, Source(self._scope, table), Names()))
        )
        one = self._is_about_one(where)
        return self._finish([update], returning, one, one)

    def _build_update_rows(
        self, group: Group, key: tuple[str, ...], returning: Selection | None, few: bool
    ) -> Statement:
        table = table_of(self._relation)
        rows, values = self._source(0, group)
        types = {name: self._relation.by_name[name].type for name in key}
        given: list[Any] = []
        if rows is not None:
            values, number = self._numbered(rows, values, key)
            given = [only_one(number)]
        update = (
            sa.update(table)
            .values({table.c[name]: v for name, v in values.items() if name not in key})
            .where(*(equal(table.c[n], of, values[n], of) for n, of in types.items()), *given)
        )
        one = group.is_one and not self._relation.has_children
        return self._finish([update], returning, few, one)

    def _numbered(
        self, rows: Any, values: Mapping[str, Any], key: tuple[str, ...]
    ) -> tuple[dict[str, Any], Any]:
        """The values of rows to write, and how many of the rows have the same key.

        The server counts: only it knows which texts are one value of the key's type. UPDATE would
        take one of these rows, and lose the others.
        """
        alike = [_compared(values[name], self._relation.by_name[name].collation) for name in key]
        labels = {name: value.label(quoted(name)) for name, value in values.items()}
        number = unused("number", labels)
        counted = count().over(partition_by=alike)
        source = sa.select(*labels.values(), counted.label(quoted(number))).select_from(rows)
        given = source.subquery(unused("r", {self._relation.name, *labels}))
        return {name: given.c[name] for name in labels}, given.c[number]

    def _build_delete(self, where: Condition, returning: Selection | None) -> Statement:
        table = table_of(self._relation)
        delete = sa.delete(table).where(condition(where, Source(self._scope, table), Names()))
        one = self._is_about_one(where)
        return self._finish([delete], returning, one, one)

    def _is_few(self, rows: Rows) -> bool:
        """Whether rows to write, each of which is at most one of the answer, may be answered."""
        number = sum(
            len(lists[0]) if lists else group.number
            for group, lists in zip(rows.groups, rows.values, strict=True)
        )
        return number <= self._limits.max_rows

    def _is_about_one(self, where: Condition) -> bool:
        """Whether a condition gives every column of a key, which no two rows have."""
        if self._relation.has_children:
            return False
        parts = where.conditions if isinstance(where, Junction) else (where,)
        if isinstance(where, Junction) and where.kind == "or":
            return False
        given = {
            part.field.column
            for part in parts
            if isinstance(part, Compare)
            and part.field.is_column
            and part.operator == "eq"
            and not part.quantifier
        }
        return any(given.issuperset(key) for key in self._relation.unique)

    def _finish(
        self, writes: list[Any], returning: Selection | None, few: bool, one: bool
    ) -> Statement:
        """The statement that makes all ``writes`` and answers what is wanted of their rows.

        :param few: they cannot be more rows than may be answered.
        :param one: they cannot be more rows than one, but for rules.
        """
        builder = Builder(bigint_as_string=self._big, writes=True)
        table = table_of(self._relation)
        plain = returning is not None and _is_plain(returning)
        # PostgreSQL applies many rules only outside of WITH: there, the reader has to count.
        plain = plain and (few or self._relation.has_rules)
        if returning is not None and plain and len(writes) == 1:
            columns, shape = builder.columns(Source(self._scope, table), returning)
            write = writes[0].returning(*columns.values())
            statement = compile_statement(write, shape, unbounded=not few)
            # Rules, and triggers of views, may write others; and code of users may change how
            # values are written, so that the answer cannot be read once it is committed.
            if one and self._relation.writes_plainly:
                small = self._small(writes[0], columns, shape, returning)
                statement = replace(statement, small=small, small_bytes=_small_bytes(columns))
            return statement
        needed = () if returning is None else needed_columns(returning)
        if needed is None:
            needed = [column.name for column in self._relation.complete.columns]
        every: list[Any] = [table.c[name] for name in needed]
        every = every or [sa.literal_column("1").label("one")]
        written = [write.returning(*every).cte(builder.names.unused("w")) for write in writes]
        rows: Any = written[0]
        if len(written) > 1:
            rows = sa.union_all(*(sa.select(part) for part in written)).subquery(
                builder.names.unused("t", self._relation.by_name)
            )
        source = Source(self._scope, rows, typed=False)
        if returning is None:
            builder = Builder()  # a number of rows is a number, whatever bigint is
        query, shape = builder.select(source, returning or _COUNT)
        if returning is not None and not few:
            query = query.limit(at_most(self._limits.max_rows, rows))
        return compile_statement(query, shape, counts=returning is None)

    def _small(
        self, write: Any, columns: Mapping[str, Any], shape: Shape, returning: Selection
    ) -> Statement | None:
        """The statement that fails where the row is large; None where it cannot be measured."""
        fields = [item.field for item in returning.items if item.field and not item.cast]
        kinds = {field.column: field.type for field in fields if field.is_column}
        if len(kinds) < len(columns) or not all(map(_is_measurable, kinds.values())):
            return None
        table = table_of(self._relation)
        long = [table.c[name] for name, kind in kinds.items() if not _is_short(kind)]
        if len(long) > _MOST_ARGUMENTS:
            return None
        if not long:
            return compile_statement(write.returning(*columns.values()), shape)
        guard = unused("small", columns)
        measured = small_row(long, SMALL_ROW_BYTES).label(quoted(guard))
        return compile_statement(
            write.returning(*columns.values(), measured), shape, hidden=(guard,)
        )

    def load(self, request: Mapping[str, Any], *, upsert: bool = False) -> Load:
        """A CSV text to write through COPY."""
        return csv_load(self._relation, request, self._limits, upsert=upsert)


def _compared(value: Any, collation: str | None) -> Any:
    """A value that compares as those of its column do, with their collation."""
    if collation is None:
        return value
    return value.op("COLLATE")(sa.literal_column(collation))


def _is_short(of: Type) -> bool:
    return of.form in _SHORT_FORMS or of.name in _SHORT_TYPES


def _is_measurable(of: Type) -> bool:
    """Whether the answer is as long as the text, about: not with the names of composites."""
    if of.representation is not None or of.form == "composite":
        return False
    return of.element is None or _is_measurable(of.element)


def _small_bytes(labels: Iterable[str]) -> int:
    """Bytes of the message of a row with these names at most."""
    names = sum(most_bytes(label) + _SHORT_BYTES for label in labels)
    return names + _MESSAGE_BYTES * SMALL_ROW_BYTES


def _is_plain(selection: Selection) -> bool:
    """Whether RETURNING itself can answer it, which takes a column."""
    computed = any(item.field is not None and item.field.computed for item in selection.items)
    plain = not (selection.embeds or selection.order or selection.grouped or computed)
    return plain and bool(selection.items)
