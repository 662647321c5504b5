"""Calls of SQL functions and procedures as statements."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql
from sqlalchemy.sql.elements import UnaryExpression
from sqlalchemy.sql.operators import custom_op

from pgwamp.catalog.model import Argument, Column, Relation, Routine
from pgwamp.errors import InvalidArgument, Mentions, excerpt
from pgwamp.query.bounds import Bounds, parse_bounds
from pgwamp.query.build import Builder
from pgwamp.query.dialect import TEXT, PgType, builtin, count, function, in_own_path, quoted
from pgwamp.query.expressions import as_read, is_null, output, parameter
from pgwamp.query.limits import Values
from pgwamp.query.named import mention_selection
from pgwamp.query.scope import Scope, Scopes
from pgwamp.query.selection import Selection, SelectionParser
from pgwamp.query.shape import UNCHANGED, Row, Shape
from pgwamp.query.source import Source
from pgwamp.query.statement import Bound, Statement, StatementCache, compile_statement
from pgwamp.query.unknown import Known, UnknownName, identity, mention_rows
from pgwamp.values import bindable, record_reader

#: Name of the one column of a routine that returns no row type.
VALUE = "value"
#: What a caller can ask of the one row of a function, by name, beside its own arguments.
ROW_ARGUMENTS = ("where", "columns", "order", "limit", "offset", "include")
#: What a caller can ask of the rows of a function.
SET_ARGUMENTS = (*ROW_ARGUMENTS, "count", "format")
#: What can be asked of records, whose columns nobody has declared.
_RECORD_ARGUMENTS = ("limit", "offset")
#: Names beside the columns; what a request can name holds no dots.
_COUNT, _FOUND = "count ...", "found ..."
#: Overloads that an error lists.
_MOST_TOLD = 20


@dataclass(frozen=True, slots=True)
class RoutineCall:
    """A bound call of one overload.

    :ivar selection: what is asked of its rows, within ``scope``.
    :ivar arguments: what was given, by the names that errors use.
    :ivar request: of these what is asked of its rows.
    :ivar values: the answer is a list of plain values, not of rows.
    :ivar counted: each record holds the number of all matching rows, and whether it is one.
    """

    routine: Routine
    bound: Bound
    scope: Scope
    selection: Selection
    arguments: Mapping[str, Any]
    request: Mapping[str, Any]
    values: bool = False
    counted: bool = False

    @property
    def read_only(self) -> bool:
        """Whether it changes nothing, by its author's word."""
        return self.routine.kind == "function" and self.routine.volatility != "volatile"

    def named(self) -> Mentions:
        """The columns and types that the call names."""
        mentions = Mentions()
        mention_rows(mentions, self.routine, self.scope.relation.key)
        mention_selection(mentions, self.scope, self.selection)
        return mentions

    def found(self, records: Sequence[Any]) -> Sequence[Any]:
        """The records that are rows; of a counted call there may be one that only counts."""
        return [record for record in records if record[_FOUND]] if self.counted else records

    def unwrapped(self, rows: list[Row]) -> list[Any]:
        """The rows, or their only values where the routine returns no rows."""
        return [row[VALUE] for row in rows] if self.values else list(rows)

    def count(self, records: Sequence[Any]) -> int:
        """The number of all rows, of a counted call."""
        number: int = records[0][_COUNT]
        return number


class RoutineCalls:
    """Turns the arguments of a call into a bound statement of one of the overloads."""

    def __init__(
        self,
        overloads: Sequence[Routine],
        scopes: Scopes,
        *,
        max_rows: int,
        bigint_as_string: bool = False,
    ):
        self._overloads = [_Overload(routine, scopes) for routine in overloads]
        self._max_rows = max_rows
        self._big = bigint_as_string
        self._cache = StatementCache(scopes.statements)

    async def bind(
        self, args: Sequence[Any], kwargs: Mapping[str, Any], *, endless: bool = False,
        plain: bool = False,
    ) -> RoutineCall:  # fmt: skip
        """The overload that fits the arguments, and its statement.

        Others have their turn between the overloads: to check the largest arguments takes up to
        40 ms for each.

        A single positional dict whose keys are argument names is taken as named arguments:
        some names, such as ``options``, cannot travel as WAMP keywords.

        :param endless: for a reader that takes rows bit by bit; no limit but the caller's own.
        :param plain: the values as PostgreSQL writes them, for CSV.
        :raises InvalidArgument: no overload fits, or more than one.
        """
        attempts = [(args, kwargs)]
        if len(args) == 1 and isinstance(args[0], Mapping):
            attempts.append(((), {**args[0], **kwargs}))
        problems: list[InvalidArgument] = []
        for positional, named in attempts:
            fitting = []
            for number, overload in enumerate(self._overloads):
                if number:
                    await asyncio.sleep(0)
                try:
                    fitting.append((overload, overload.given(positional, named)))
                except InvalidArgument as problem:
                    problems.append(problem)
            if len(fitting) == 1:
                overload, given = fitting[0]
                try:
                    return self._bound(overload, given, endless, plain)
                except InvalidArgument as error:
                    mention_rows(error.mentions, overload.routine, overload.scope.relation.key)
                    raise
            if fitting:
                raise _unclear(
                    "more than one overload fits; name the arguments",
                    [overload.routine for overload, _ in fitting],
                )
        if len(self._overloads) == 1:
            raise problems[0]
        raise _unclear("no overload fits", [overload.routine for overload in self._overloads])

    def _bound(
        self,
        overload: _Overload,
        given: _Given,
        endless: bool,
        plain: bool,
    ) -> RoutineCall:
        values, request = given.values, given.request
        selection = SelectionParser(overload.scope, values).parse(request)
        if plain and request.get("count"):
            raise InvalidArgument("count", "CSV has no place for more than rows; leave it out")
        counted = self._counts(request, selection)
        bounds, _ = parse_bounds(request, values, most=None if endless else self._max_rows + 1)
        statement = self._cache.get(
            values,
            (self._overloads.index(overload), given.keys, selection, bounds, counted, plain),
            lambda: overload.build(
                given.keys,
                selection,
                bounds,
                Builder(bigint_as_string=self._big, plain=plain),
                counted,
            ),
        )
        routine = overload.routine
        is_value = not overload.has_rows and request.get("columns") is None
        bound = statement.bind(values)
        arguments = {**given.arguments, **request}
        return RoutineCall(
            routine, bound, overload.scope, selection, arguments, request, is_value, counted
        )

    def _counts(self, request: Mapping[str, Any], selection: Selection) -> bool:
        counted = request.get("count") in (True, "exact")
        if request.get("count") and not counted:
            raise InvalidArgument("count", 'the rows of a function can only be counted: "exact"')
        if counted and selection.grouped:
            raise InvalidArgument("columns", "groups have no count")
        return counted


@dataclass(frozen=True, slots=True)
class _Given:
    """The arguments of a call, as one overload takes them.

    :ivar keys: which are given: positions, then names.
    :ivar values: the checked values.
    :ivar arguments: the values as they came, by the names that errors use.
    :ivar request: what is asked of the rows.
    """

    keys: tuple[str | int, ...]
    values: Values
    arguments: Mapping[str, Any]
    request: dict[str, Any]


class _Overload:
    """One function or procedure: its arguments, and its rows as a relation."""

    def __init__(self, routine: Routine, scopes: Scopes):
        self.routine = routine
        self.has_rows = bool(routine.columns)
        self._types = scopes.catalog.types
        returned = 0 if routine.returns is None else routine.returns.oid
        relation = scopes.catalog.by_row_type.get(returned)
        self.scope = scopes.of(relation) if relation is not None else Scope(_rows(routine), scopes)

    def given(self, args: Sequence[Any], kwargs: Mapping[str, Any]) -> _Given:
        """Check the arguments of a call.

        :raises InvalidArgument: one is wrong, unknown or missing.
        """
        inputs = self.routine.inputs
        names = {argument.name for argument in inputs}
        request = {
            name: value
            for name, value in kwargs.items()
            if name in row_arguments(self.routine) and name not in names
        }
        args = _collected(self.routine, args)
        if len(args) > len(inputs):
            raise InvalidArgument(
                "arguments", f"{len(args)} given, but it is {signature(self.routine)}"
            )
        given: list[tuple[str | int, Argument, Any]] = [
            (position, inputs[position], value) for position, value in enumerate(args)
        ]
        named = {argument.name: argument for argument in inputs[len(args) :] if argument.name}
        for name, value in kwargs.items():
            if name in request:
                continue
            if name not in named:
                problem = f"unknown argument; it is {signature(self.routine)}"
                raise InvalidArgument(excerpt(name), problem)
            given.append((name, named[name], value))
        present = {id(argument) for _, argument, _ in given}
        for argument in inputs:
            if id(argument) not in present and not argument.has_default:
                raise InvalidArgument(
                    argument.name or "arguments", f"missing; it is {signature(self.routine)}"
                )
        called = [argument.name or f"argument {position}" for position, argument, _ in given]
        values = Values(self.scope.limits)
        values += (
            None if value is None else bindable(argument.type, value, name, values.budget)
            for name, (_, argument, value) in zip(called, given, strict=True)
        )
        arguments = {name: value for name, (_, _, value) in zip(called, given, strict=True)}
        return _Given(tuple(key for key, _, _ in given), values, arguments, request)

    def build(
        self,
        given: tuple[str | int, ...],
        selection: Selection,
        bounds: Bounds,
        builder: Builder,
        counted: bool,
    ) -> Statement:
        """The statement that calls it."""
        if self.routine.kind == "procedure":
            return _call(self.routine, self._arguments(given))
        of = self.routine.returns
        call = self._call(given)
        if of is None or of.name == "void":
            return compile_statement(sa.select(sa.cast(call, TEXT).label(VALUE)))
        if is_record(self.routine):
            return self._build_record(call, bounds, builder)
        if not (self.routine.returns_set or self.has_rows):
            value, convert = builder.output(call, of)
            shape = Shape(((VALUE, convert),)) if convert else UNCHANGED
            return compile_statement(sa.select(value.label(VALUE)), shape)
        source = self._source(given, builder)
        if counted:
            return self._build_counted(source, selection, bounds, builder)
        query, shape = builder.select(source, selection)
        if not self.routine.returns_set and of.form == "composite":
            # NULL in place of a row arrives as a row of nulls.
            query = query.where(sa.not_(is_null(source.row())))
        labels = builder.labels(selection)
        return compile_statement(bounds.apply(query), shape, labels=labels)

    def _build_record(
        self, call: sa.ColumnElement[Any], bounds: Bounds, builder: Builder
    ) -> Statement:
        """A call whose values tell what they are made of, as :func:`record_reader` reads them."""
        # Called once for each value, whatever is made of it.
        called = bounds.apply(sa.select(call.label(VALUE))).subquery(builder.names.unused("t"))
        value = called.c[VALUE]
        parts = postgresql.array(
            [
                sa.cast(builtin("row_to_json", value), TEXT),
                # Its members may be of any types.
                in_own_path(("pg_catalog", "record_out"), value),
                builtin("encode", builtin("record_send", value), sa.literal_column("'hex'")),
            ]
        )
        told = sa.cast(builtin("to_json", parts), TEXT).label(VALUE)
        read = record_reader(self._types, bigint_as_string=builder.bigint_as_string)
        return compile_statement(sa.select(told), Shape(((VALUE, read),)))

    def _build_counted(
        self, called: Source, selection: Selection, bounds: Bounds, builder: Builder
    ) -> Statement:
        """One call of the function, whose rows are both counted and answered.

        The number stands beside each row, and beside none of them when the page is empty.
        """
        rows = sa.select(*called.clause.c).cte(builder.names.unused("f"))
        source = Source(self.scope, rows, typed=False)
        query, shape = builder.select(source, selection)
        page = bounds.apply(query.add_columns(sa.true().label(_FOUND))).subquery(
            builder.names.unused("r")
        )
        every = sa.select(count().label(_COUNT)).select_from(rows)
        number = every.where(*builder.conditions(source, selection)).subquery(
            builder.names.unused("n")
        )
        both = sa.select(page, number).select_from(number.outerjoin(page, sa.true()))
        return compile_statement(both, shape, hidden=(_FOUND, _COUNT))

    def _source(self, given: tuple[str | int, ...], builder: Builder) -> Source:
        columns = self.scope.relation.complete.columns
        name = builder.names.unused("t", self.scope.relation.by_name)
        rows = self._call(given).table_valued(
            *(sa.column(quoted(c.name)) for c in columns), name=name
        )
        of = self.routine.returns
        # The one OUT argument of a plain type is a value, which FROM names as it likes.
        is_row = of is not None and (of.form == "composite" or of.name == "record")
        if not is_row:
            rows = rows.render_derived(name=name)
        return Source(self.scope, rows, typed=is_row)

    def _call(self, given: tuple[str | int, ...]) -> sa.Function[Any]:
        routine = self.routine
        return function((routine.schema, routine.name), *self._arguments(given))

    def _arguments(self, given: tuple[str | int, ...]) -> list[sa.ColumnElement[Any]]:
        """The arguments in their declared order: by name from the first that has to be."""
        arguments: list[sa.ColumnElement[Any]] = []
        position, by_name = -1, False
        for argument in self.routine.arguments:
            if argument.is_input:
                position += 1
                key = position if position in given else argument.name
                by_name = by_name or key is argument.name
                if key not in given:
                    continue
                value = _as_declared(parameter(f"p{given.index(key)}", argument.type), argument)
            elif self.routine.kind == "procedure":
                # CALL wants something in the place of an OUT argument.
                value = sa.cast(sa.null(), PgType(argument.type.domain or argument.type.name))
            else:
                continue
            arguments.append(_spelled(argument, value, by_name=by_name))
        return arguments


def row_arguments(routine: Routine) -> tuple[str, ...]:
    """The arguments about its rows; those of no declared type have no columns to name."""
    if is_record(routine):
        return _RECORD_ARGUMENTS if routine.returns_set else ()
    if routine.kind == "function" and routine.returns_set:
        return SET_ARGUMENTS
    return ROW_ARGUMENTS if routine.kind == "function" and routine.columns else ()


def is_record(routine: Routine) -> bool:
    """Whether the columns of what it returns are known only when it is called."""
    of = routine.returns
    return of is not None and of.name == "record" and not routine.columns


def _rows(routine: Routine) -> Relation:
    """The result of a routine, as a relation.

    It is in no schema: a table can have the name of the routine, and relationships of its own.
    """
    columns = routine.columns
    if not columns and routine.returns is not None:
        columns = (Column(VALUE, routine.returns),)
    return Relation(
        "", routine.name, "result", columns,
        insertable=False, updatable=False, deletable=False,
    )  # fmt: skip


def _collected(routine: Routine, args: Sequence[Any]) -> Sequence[Any]:
    """Values for a VARIADIC argument, given one by one, as the list that it takes."""
    last = len(routine.inputs) - 1
    if last < 0 or routine.inputs[last].mode != "variadic" or len(args) <= last:
        return args
    rest = list(args[last:])
    if len(rest) == 1 and (rest[0] is None or isinstance(rest[0], list)):
        return args
    return [*args[:last], rest]


def _as_declared(value: sa.ColumnElement[Any], argument: Argument) -> sa.ColumnElement[Any]:
    """A value of exactly the declared type, so that no other overload is a better match."""
    domain = argument.type.domain
    return sa.cast(value, PgType(domain)) if domain else value


def _spelled(
    argument: Argument, value: sa.ColumnElement[Any], *, by_name: bool
) -> sa.ColumnElement[Any]:
    """``value``, ``name => value``, ``VARIADIC value`` or ``VARIADIC name => value``."""
    variadic = argument.mode == "variadic"
    if not (by_name and argument.name):
        return UnaryExpression(value, operator=_VARIADIC) if variadic else value
    name: sa.ColumnElement[Any] = sa.column(quoted(argument.name))
    if variadic:
        name = UnaryExpression(name, operator=_VARIADIC)
    return name.op("=>")(value)


def _call(routine: Routine, arguments: list[sa.ColumnElement[Any]]) -> Statement:
    """``CALL``: SQLAlchemy has no construct for it, so it begins with that of a function."""
    statement = compile_statement(function((routine.schema, routine.name), *arguments))
    return Statement(f"CALL {statement.sql}", statement.parameters)


def represented(columns: Sequence[Column], *, bigint_as_string: bool) -> Statement:
    """A statement that writes values, given as the texts that CALL has answered, as others do."""
    selected: list[sa.ColumnElement[Any]] = []
    conversions = []
    for index, column in enumerate(columns):
        text = sa.cast(sa.bindparam(f"p{index}"), TEXT)
        read = as_read(text, column.type)
        value, convert = output(read, column.type, bigint_as_string=bigint_as_string)
        selected.append(value.label(quoted(column.name)))
        if convert is not None:
            conversions.append((column.name, convert))
    return compile_statement(sa.select(*selected), Shape(tuple(conversions)))


#: It binds closer than =>, which belongs to the whole.
_VARIADIC: custom_op[Any] = custom_op("VARIADIC", precedence=100)


def _unclear(problem: str, routines: Sequence[Routine]) -> UnknownName:
    """The error about arguments that do not say which overload is meant."""
    return UnknownName(
        "arguments",
        problem,
        [Known(signature(routine), routine=identity(routine)) for routine in routines],
        lambda names: f": {'; '.join(names[:_MOST_TOLD])}" if names else "",
    )


def signature(routine: Routine) -> str:
    """A routine and its arguments, as errors name it; what may be left out is in brackets."""
    parts = []
    for argument in routine.inputs:
        text = f"{argument.name} {argument.type.name}".strip()
        if argument.mode == "variadic":
            text = f"variadic {text}"
        parts.append(f"[{text}]" if argument.has_default else text)
    return f"{routine.name}({', '.join(parts)})"
