"""Calls of SQL functions as statements."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy.sql.elements import UnaryExpression, quoted_name
from sqlalchemy.sql.functions import Function
from sqlalchemy.sql.operators import custom_op

from pgwamp.catalog.model import Argument, Routine
from pgwamp.errors import InvalidArgument
from pgwamp.pgtypes import bindable
from pgwamp.query.expressions import output, outputs, parameter
from pgwamp.query.statement import Bound, Statement, StatementCache, compile_statement

#: Name of the one column of a routine that returns no row type.
VALUE = "value"


class RoutineCalls:
    """Turns the arguments of a call into a bound statement of one of the overloads."""

    def __init__(
        self, overloads: Sequence[Routine], *, max_rows: int, bigint_as_string: bool = False
    ):
        self._overloads = overloads
        self._max_rows = max_rows
        self._big = bigint_as_string
        self._cache = StatementCache()

    def bind(self, args: Sequence[Any], kwargs: Mapping[str, Any]) -> tuple[Routine, Bound]:
        """The overload that fits the arguments, and its statement.

        A single positional dict whose keys are argument names is taken as named arguments:
        some names, such as ``options``, cannot travel as WAMP keywords.

        :raises InvalidArgument: no overload fits, or more than one.
        """
        attempts = [(args, kwargs)]
        if len(args) == 1 and not kwargs and isinstance(args[0], Mapping):
            attempts.append(((), args[0]))
        problems: list[InvalidArgument] = []
        for positional, named in attempts:
            fitting = []
            for routine in self._overloads:
                try:
                    fitting.append((routine, *self._values(routine, positional, named)))
                except InvalidArgument as problem:
                    problems.append(problem)
            if len(fitting) == 1:
                routine, names, values = fitting[0]
                return routine, self._statement(routine, names).bind(values, self._limits())
            if fitting:
                raise InvalidArgument(
                    "arguments", "more than one overload fits; name the arguments: "
                    + "; ".join(_signature(routine) for routine, *_ in fitting)
                )  # fmt: skip
        if len(self._overloads) == 1:
            raise problems[0]
        raise InvalidArgument(
            "arguments",
            "no overload fits: " + "; ".join(_signature(routine) for routine in self._overloads),
        )

    def _limits(self) -> dict[str, int]:
        return {"limit": self._max_rows + 1}

    def _values(
        self, routine: Routine, args: Sequence[Any], kwargs: Mapping[str, Any]
    ) -> tuple[tuple[str | int, ...], list[Any]]:
        """Which arguments are given (positions, then names), and their checked values."""
        inputs = routine.inputs
        if len(args) > len(inputs):
            raise InvalidArgument(
                "arguments", f"{len(args)} given, but it is {_signature(routine)}"
            )
        given: list[tuple[str | int, Argument, Any]] = [
            (position, inputs[position], value) for position, value in enumerate(args)
        ]
        named = {argument.name: argument for argument in inputs[len(args) :] if argument.name}
        for name, value in kwargs.items():
            if name not in named:
                raise InvalidArgument(name, f"unknown argument; it is {_signature(routine)}")
            given.append((name, named[name], value))
        present = {id(argument) for _, argument, _ in given}
        for argument in inputs:
            if id(argument) not in present and not argument.has_default:
                raise InvalidArgument(argument.name or "arguments", f"missing; it is "
                                      f"{_signature(routine)}")  # fmt: skip
        values = [
            None
            if value is None
            else bindable(argument.type, value, argument.name or f"argument {position}")
            for position, argument, value in given
        ]
        return tuple(key for key, _, _ in given), values

    def _statement(self, routine: Routine, names: tuple[str | int, ...]) -> Statement:
        return self._cache.get(
            (self._overloads.index(routine), names), lambda: self._build(routine, names)
        )

    def _build(self, routine: Routine, names: tuple[str | int, ...]) -> Statement:
        by_key: dict[str | int, Argument] = {
            **dict(enumerate(routine.inputs)),
            **{argument.name: argument for argument in routine.inputs},
        }
        arguments = []
        for index, name in enumerate(names):
            argument = by_key[name]
            value = parameter(f"p{index}", argument.type)
            if isinstance(name, str):
                value = sa.column(quoted_name(name, quote=True)).op("=>")(value)
            if argument.mode == "variadic":
                value = UnaryExpression(value, operator=custom_op("VARIADIC"))
            arguments.append(value)
        function: Function[Any] = Function(
            quoted_name(routine.name, quote=True),
            *arguments,
            packagenames=(quoted_name(routine.schema, quote=True),),
        )
        if routine.columns:
            table = function.table_valued(
                *(sa.column(quoted_name(c.name, quote=True)) for c in routine.columns), name="f"
            )
            selected, conversions = outputs(
                routine.columns, lambda name: table.c[name], bigint_as_string=self._big
            )
            query = sa.select(*selected).select_from(table)
            return compile_statement(query.limit(sa.bindparam("limit")), conversions)
        of = routine.returns
        if of is None or of.name == "void":
            return compile_statement(sa.select(sa.cast(function, _TEXT).label(VALUE)))
        if not routine.returns_set:
            value, convert = output(function, of, bigint_as_string=self._big)
            query = sa.select(value.label(VALUE))
        else:
            table = function.table_valued(sa.column(VALUE), name="f").render_derived()
            value, convert = output(table.c[VALUE], of, bigint_as_string=self._big)
            query = sa.select(value.label(VALUE)).select_from(table).limit(sa.bindparam("limit"))
        return compile_statement(query, ((VALUE, convert),) if convert else ())


_TEXT = sa.Text()


def _signature(routine: Routine) -> str:
    parts = []
    for argument in routine.inputs:
        text = f"{argument.name} {argument.type.name}".strip()
        if argument.mode == "variadic":
            text = f"variadic {text}"
        parts.append(f"[{text}]" if argument.has_default else text)
    return f"{routine.name}({', '.join(parts)})"
