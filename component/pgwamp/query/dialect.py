"""How SQL is written: placeholders, and the schema with every type, function and operator.

A bare name means the best match among all schemas of the search path. A role that may create things
in one of them could put its own function or operator in the place of PostgreSQL's, and it would run
with the rights of each caller. Keywords that look up an operator by a bare name (LIKE, IN, BETWEEN,
IS DISTINCT FROM a value) are not used for the same reason.
"""

from __future__ import annotations

import re
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql.base import PGCompiler, PGDialect
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.elements import quoted_name
from sqlalchemy.sql.functions import Function
from sqlalchemy.types import UserDefinedType

from pgwamp.values import Type

#: The signs that operators are made of.
_OPERATOR = re.compile(r"[-+*/<>=~!@#%^&|`?]+")
#: Types whose names are the grammar's own, and so the same in every search path.
_GRAMMAR = re.compile(
    r"(smallint|integer|bigint|boolean|numeric|real|double precision|character|character varying"
    r"|bit varying|time|timestamp|interval)(\(| with|\[|$)"
)
_IN_SCHEMA = re.compile(r'("(?:[^"]|"")*"|[^".]+)\.')


class _Compiler(PGCompiler):
    """Writes asyncpg's placeholders, $1 and $2, and the schema of every operator."""

    def __init__(self, *args: Any, **options: Any):
        self.numbers: dict[str, int] = {}
        super().__init__(*args, **options)

    def bindparam_string(self, name: str, *_: Any, **__: Any) -> str:
        """The placeholder of a parameter; one of the same name is the same parameter.

        SQLAlchemy's own way of doing so looks for ``%(name)s`` in the finished text, where a column
        may be called that.
        """
        return f"${self.numbers.setdefault(name, len(self.numbers) + 1)}"

    def _generate_generic_binary(
        self, binary: Any, opstring: str, eager_grouping: bool = False, **options: Any
    ) -> str:
        """An operator with its schema; a keyword, and the => of named arguments, as it is."""
        name = opstring.strip()
        if name != "=>" and _OPERATOR.fullmatch(name):
            opstring = f" OPERATOR(pg_catalog.{'<>' if name == '!=' else name}) "
        written: str = super()._generate_generic_binary(
            binary, opstring, eager_grouping=eager_grouping, **options
        )
        # With a schema, every operator has the same precedence.
        return f"({written})" if "OPERATOR(" in opstring else written


class _Dialect(PGDialect):
    """PostgreSQL without a driver, and so without casts that a driver would need."""

    statement_compiler = _Compiler
    # Names come from the catalog: none is too long, and none may be cut.
    max_identifier_length = 10_000
    supports_statement_cache = False


DIALECT = _Dialect(paramstyle="named")  # type: ignore[no-untyped-call]


class PgType(UserDefinedType[Any]):
    """A PostgreSQL type by its :attr:`Type.name`, written with its schema.

    :param checks: whether a cast to it may run checks and casts of users.
    """

    cache_ok = True

    def __init__(self, name: str, *, checks: bool = True):
        self.name = name
        self.checks = checks

    @property
    def runs_code(self) -> bool:
        """Whether a cast to it may run code of users, as checks of domains and casts do."""
        return self.checks and _IN_SCHEMA.match(self.name) is not None

    def get_col_spec(self, **_: Any) -> str:
        """The name, as casts write it."""
        plain = _GRAMMAR.match(self.name) or _IN_SCHEMA.match(self.name)
        return self.name if plain else f"pg_catalog.{self.name}"


TEXT = PgType("text")
TEXT_ARRAY = PgType("text[]")
JSON = PgType("json")
JSONB = PgType("jsonb")


def quoted(name: str) -> quoted_name:
    """A name of the catalog or a checked label; always quoted."""
    return quoted_name(name, quote=True)


class Call(Function[Any]):
    """A call of a function by schema and name.

    SQLAlchemy gives functions of some names, such as ``substring`` and ``cube``, a syntax of
    their own, whatever their schema.

    :ivar runs_code: it may be code of users.
    """

    inherit_cache = False
    runs_code = True


@compiles(Call)
def _compile_call(call: Call, compiler: Any, **options: Any) -> str:
    names = (*call.packagenames, call.name)
    qualified = ".".join(compiler.preparer.quote(name) for name in names)
    return f"{qualified}{compiler.function_argspec(call, **options)}"


class InOwnPath(Call):
    """A strict function of PostgreSQL, with the one argument given, in the search path of events.

    The output functions of types that stand for a name, as ``regclass``, leave out the schemas of
    the search path, which each role may have another of. The argument may be code of users: it is
    evaluated in the path of the call, which is there again behind the function.
    """

    runs_code = False


@compiles(InOwnPath)
def _compile_in_own_path(call: InOwnPath, compiler: Any, **options: Any) -> str:
    (value,) = (compiler.process(clause, **options) for clause in call.clauses)
    # Each step needs what the one before it gives, and OFFSET keeps them from becoming one.
    return (
        "(SELECT CASE WHEN pg_catalog.set_config('search_path', \"own 1\".path, true) IS NOT NULL "
        'THEN "own 2".written END FROM '
        "(SELECT pg_catalog.current_setting('search_path') AS path, "
        f'{value} AS given OFFSET 0) AS "own 1" CROSS JOIN LATERAL '
        "(SELECT pg_catalog.textin("
        f"{compiler.preparer.quote(quoted(call.packagenames[0]))}."
        f"{compiler.preparer.quote(quoted(call.name))}("
        "CASE WHEN pg_catalog.set_config('search_path', 'pg_catalog, pg_temp', true) IS NOT NULL "
        'THEN "own 1".given END)) AS written OFFSET 0) AS "own 2")'
    )


class WholeRow(sa.ColumnElement[Any]):
    """A row as one value, for a function: ``t1.*``.

    The bare alias would mean a column of that name, if any table in reach has one.
    """

    inherit_cache = False

    def __init__(self, clause: sa.FromClause):
        self.clause = clause


@compiles(WholeRow)
def _compile_whole_row(row: WholeRow, compiler: Any, **_: Any) -> str:
    clause: Any = row.clause
    if isinstance(clause, sa.TableClause):
        return f"{compiler.preparer.format_table(clause)}.*"
    return f"{compiler.preparer.quote(clause.name)}.*"


def function(name: tuple[str, str], *arguments: Any) -> Call:
    """A call of a function of the catalog, by schema and name."""
    return Call(quoted(name[1]), *arguments, packagenames=(quoted(name[0]),))


def builtin(name: str, *arguments: Any) -> Call:
    """A call of one of PostgreSQL's own functions."""
    call = Call(name, *arguments, packagenames=("pg_catalog",))
    call.runs_code = False
    return call


def in_own_path(name: tuple[str, str], argument: Any) -> InOwnPath:
    """A call of an output function, as :class:`InOwnPath` has it."""
    return InOwnPath(quoted(name[1]), argument, packagenames=(quoted(name[0]),))


def count() -> Call:
    """The number of rows."""
    return builtin("count", sa.literal_column("*"))


def aggregate(name: tuple[str, str], value: sa.ColumnElement[Any], of: Type) -> Call:
    """An aggregate of values of type ``of``, by schema and name.

    One of an extension takes exactly its type, for the reason that :func:`operate` gives, and
    PostgreSQL takes no domain for an enum.
    """
    if of.domain:
        value = sa.cast(value, PgType(of.name, checks=False))
    return builtin(name[1], value) if name[0] == "pg_catalog" else function(name, value)


def operate(
    value: sa.ColumnElement[Any], of: Type, operator: str, operand: Any, operand_type: str = ""
) -> sa.ColumnElement[Any]:
    """``value operator operand``, with the operator of the value's type.

    An operator of an extension is named with the exact types that it takes: its schema may be one
    that others can create operators in, and only an exact match has precedence over these.

    :param operand_type: the type name of ``operand``, or of its elements if it is ANY or ALL; that
        of ``value`` when missing.
    """
    schema = of.operators.get((operator, operand_type or of.name))
    value = without_domain(value, of)
    if schema is None:
        return value.bool_op(operator)(operand)
    preparer = DIALECT.identifier_preparer
    return value.bool_op(f"OPERATOR({preparer.quote(quoted(schema))}.{operator})")(operand)


def equal(
    left: sa.ColumnElement[Any], left_type: Type, right: sa.ColumnElement[Any], right_type: Type
) -> sa.ColumnElement[bool]:
    """The equality of two columns."""
    return operate(left, left_type, "=", without_domain(right, right_type), right_type.name)


def without_domain(value: sa.ColumnElement[Any], of: Type) -> sa.ColumnElement[Any]:
    """A value of a domain as one of the type below, where the operators take no domain."""
    if of.domain and (of.operators or of.form == "enum"):
        return sa.cast(value, PgType(of.name, checks=False))
    return value
