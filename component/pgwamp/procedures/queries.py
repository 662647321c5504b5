"""Named queries: a folder of ``.sql`` files, read by aiosql, each query a procedure."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import aclosing
from pathlib import Path
from typing import Any, cast

import aiosql
import asyncpg
import sqlalchemy as sa
from aiosql.types import SQLOperationType
from aiosql.utils import VAR_REF, SQLLoadException, SQLParseException

from pgwamp.catalog import Column
from pgwamp.catalog.load import load_types
from pgwamp.database import Database
from pgwamp.database.pooled import PooledConnection
from pgwamp.describe.schemas import Schemas, or_null
from pgwamp.errors import StartError, TooManyRows
from pgwamp.procedures.caller_scope import Sharing
from pgwamp.procedures.fitting import require_fitting
from pgwamp.procedures.query_reads import Reads, read_so_far
from pgwamp.procedures.streaming import stream_rows
from pgwamp.query.bounds import at_most, refusing_more
from pgwamp.query.dialect import DIALECT, quoted
from pgwamp.query.expressions import outputs, parameter
from pgwamp.query.request import bind, naming_arguments
from pgwamp.query.shape import UNCHANGED, Shape
from pgwamp.query.statement import Bound, Statement, compile_statement
from pgwamp.session import Call, Procedure
from pgwamp.settings import Settings
from pgwamp.values import Budget, Type, bindable

_UNSUPPORTED = {
    SQLOperationType.SCRIPT: "# (script)",
    SQLOperationType.INSERT_UPDATE_DELETE_MANY: "*! (many)",
}
#: Name, SQL and columns of a query.
Definition = tuple[str, str, tuple[Column, ...]]
#: Until the savepoint ends.
_SET_PATH = "select pg_catalog.set_config('search_path', $1, true)"
#: The semicolon, and comments after it.
_END = re.compile(r"\s*;\s*(--[^\n]*\s*)*\Z")


class _AsWritten:
    """An aiosql adapter that leaves ``:name`` in the SQL; types decide how it is replaced."""

    is_aio_driver = True

    def process_sql(self, _name: str, _operation: SQLOperationType, sql: str) -> str:
        return sql


class NamedQuery:
    """One query of a ``.sql`` file, prepared once to learn its types."""

    def __init__(
        self,
        name: str,
        sql: str,
        operation: SQLOperationType,
        comment: str | None,
        file: Path,
        header: Sequence[str] = (),
    ):
        self.name = name
        #: As errors of the start name it.
        self.title = f'query "{name}" of {file.parent.name}/{file.name}'
        self.operation = operation
        self.comment = comment or None
        self._sql = _END.sub("", sql)
        #: In the order of the header, as ``name: rename(id, name)``, if it has one.
        used = dict.fromkeys(m["var_name"] for m in VAR_REF.finditer(sql) if m["var_name"])
        self.names = list(dict.fromkeys([*(n for n in header if n in used), *used]))
        self.types: list[Type] = []
        self.columns: tuple[Column, ...] = ()
        self.reads = Reads()
        #: Who shares an evaluation of its live query.
        self.sharing = Sharing()
        self.statement = Statement(self._sql, ())

    @property
    def text(self) -> str:
        """As it was written."""
        return self._sql

    @property
    def definition(self) -> Definition:
        """Equal while the query answers the same of the same data."""
        return self.name, self.statement.sql, self.columns

    def bound(self, call: Call) -> tuple[dict[str, Any], Bound]:
        """The arguments of a call by name, and the statement with them.

        :raises InvalidArgument: one is missing, unknown or wrong.
        """
        request = bind(self.names, call.args, call.kwargs, required=len(self.names))
        budget = Budget()
        values = [
            None if request[name] is None else bindable(kind, request[name], name, budget)
            for name, kind in zip(self.names, self.types, strict=True)
        ]
        return request, self.statement.bind(values)

    def items(self, rows: Sequence[dict[str, Any]]) -> list[Any]:
        """What aiosql's operator asks for: the rows, the first row, or its first value."""
        if self.operation is SQLOperationType.SELECT:
            return list(rows)
        if self.operation is SQLOperationType.SELECT_VALUE:
            return [next(iter(row.values()), None) for row in rows[:1]]
        return list(rows[:1])

    def item(self, schemas: Schemas) -> dict[str, Any]:
        """One of its :meth:`items`."""
        if self.operation is SQLOperationType.SELECT_VALUE:
            return or_null(schemas.type(self.columns[0].type)) if self.columns else {}
        return schemas.row(self.columns)

    def description(self, uri: str, schemas: Schemas) -> dict[str, Any]:
        """Its entry in ``describe``."""
        described = {
            "uri": uri,
            "kind": "query",
            "description": self.comment,
            "arguments": [
                {"name": name, "required": True, "schema": schemas.type(kind, given=True)}
                for name, kind in zip(self.names, self.types, strict=True)
            ],
        }
        if self.operation is SQLOperationType.SELECT:
            return described | {
                "result": {"type": "array", "items": self.item(schemas)},
                "progressive": True,
            }
        counts = self.operation is SQLOperationType.INSERT_UPDATE_DELETE
        return described | {
            "result": {"type": "integer"} if counts else or_null(self.item(schemas))
        }

    def _render(self, placeholder: Callable[[str], str]) -> str:
        def replace(match: re.Match[str]) -> str:
            name = match["var_name"]
            return f"{match['lead']}{placeholder(name)}" if name else match[0]

        return VAR_REF.sub(replace, self._sql)

    async def prepare(
        self, connection: asyncpg.Connection[Any], *, search_path: str, bigint_as_string: bool
    ) -> None:
        """Learn the types of parameters and columns from the server, and what it reads.

        It happens in a savepoint that is rolled back: asyncpg leaves a prepared statement's locks
        on the tables it reads, and these locks are what it reads.

        PostgreSQL reads the literals of a statement as it prepares it, which can run code of who
        owns a type or a domain: so the connection is one of calls.

        :param search_path: of calls, in which its names resolve.
        :raises StartError: the query is wrong; the message names it and says why.
        :raises asyncpg.PostgresError: PostgreSQL refuses it.
        """
        if self.operation in _UNSUPPORTED:
            kind = _UNSUPPORTED[self.operation]
            raise StartError(f"{self.title}: aiosql's {kind} cannot be a procedure")
        savepoint = connection.transaction()
        await savepoint.start()
        try:
            await connection.execute(_SET_PATH, search_path)
            await self._learn(connection, bigint_as_string)
        finally:
            await savepoint.rollback()

    async def _learn(self, connection: asyncpg.Connection[Any], bigint_as_string: bool) -> None:
        # Without a name, so that a pooler's connection keeps nothing of it.
        # The driver cannot read all types; of these columns it reads none.
        with cast(PooledConnection, connection).fetching_texts():
            prepared = await connection.prepare(
                self._render(lambda name: f"${self.names.index(name) + 1}"), name=""
            )
            attributes = prepared.get_attributes()
            parameter_oids = [p.oid for p in prepared.get_parameters()]
        self.reads = await read_so_far(connection)
        types = await load_types(connection, [*parameter_oids, *(a.type.oid for a in attributes)])
        self.types = [types[oid] for oid in parameter_oids]
        self.columns = tuple(Column(a.name, types[a.type.oid]) for a in attributes)
        twice = [name for name, n in Counter(c.name for c in self.columns).items() if n > 1]
        if twice:
            raise StartError(f'{self.title}: two columns are called "{twice[0]}"')
        self.statement = self._build(bigint_as_string)
        await connection.prepare(self.statement.sql, name="")

    def answering(self, most: int, *, bigint_as_string: bool) -> Statement:
        """The statement, made to fail and to change nothing if it answers more than ``most`` rows.

        It is for an answer in one piece: who takes rows bit by bit uses :attr:`statement`.
        """
        return self._build(bigint_as_string, most)

    def _build(self, bigint_as_string: bool, most: int | None = None) -> Statement:
        def placeholder(name: str) -> str:
            index = self.names.index(name)
            cast = str(parameter("p", self.types[index]).compile(dialect=DIALECT))
            return cast.replace("$1", f"${index + 1}")

        sql, shape = self._render(placeholder), UNCHANGED
        if self.columns:
            table = sa.table("q", *(sa.column(quoted(column.name)) for column in self.columns))
            expressions, conversions = outputs(
                self.columns, lambda name: table.c[name], bigint_as_string=bigint_as_string
            )
            # The developer's own SQL, wrapped so that the server writes values as they travel.
            select = sa.select(*expressions).select_from(table)
            if most is not None:
                select = select.limit(at_most(most, table))
            answer = compile_statement(select).sql
            sql, shape = f"WITH q AS ({sql}\n) {answer}", Shape(conversions)
        return Statement(sql, tuple(f"p{index}" for index in range(len(self.names))), shape)


def read_queries(folder: Path) -> list[NamedQuery]:
    """The queries of every ``.sql`` file in ``folder``.

    :raises StartError: there is no such folder, or a file cannot be parsed.
    """
    if not folder.is_dir():
        raise StartError(f"expose.queries: there is no folder {folder}")
    try:
        adapter: Any = _AsWritten  # of aiosql's adapter protocol, what it needs to load
        queries: Any = aiosql.from_path(folder, adapter, mandatory_parameters=False)
    except (SQLLoadException, SQLParseException) as error:
        raise StartError(f"expose.queries: {error}") from None
    found = []
    for name in sorted(queries.available_queries):
        function = getattr(queries, name)
        if name.endswith("_cursor") and name.removesuffix("_cursor") in queries.available_queries:
            continue
        header = getattr(function, "parameters", None) or ()
        # aiosql gives each function the place of its query.
        file = Path(function.__code__.co_filename)
        found.append(
            NamedQuery(name, function.sql, function.operation, function.__doc__, file, header)
        )
    return found


def query_procedure(
    uri: str, query: NamedQuery, database: Database, settings: Settings
) -> Procedure:
    """The procedure that runs a named query, with its parameters by name or position.

    One that answers a list of rows streams them to a caller who asks for progressive results.
    """
    max_rows = settings.limits.max_rows
    whole = query.answering(max_rows, bigint_as_string=settings.expose.bigint == "string")

    async def run(call: Call, bound: Bound) -> Any:
        """Run it, and commit what is known to be answered: an error has changed nothing."""
        async with database.transaction(call.caller, read_only=False) as connection:
            with database.measured(connection):
                if query.operation is SQLOperationType.INSERT_UPDATE_DELETE:
                    status = await connection.execute(whole.sql, *bound.parameters)
                    return _affected(status)
                records = await connection.fetch(whole.sql, *bound.parameters)
            items = query.items(await bound.rows(records))
            is_list = query.operation is SQLOperationType.SELECT
            answer = items if is_list else next(iter(items), None)
            await require_fitting(call, answer)
            return answer

    async def answer(call: Call) -> Any:
        request, bound = query.bound(call)
        refusal = TooManyRows(
            f"more than {max_rows} rows (limits.max_rows); nothing was changed: add a LIMIT, "
            "or ask for progressive results"
        )
        with naming_arguments(request), refusing_more(refusal):
            return await run(call, bound)

    async def stream(call: Call) -> AsyncIterator[Any]:
        request, bound = query.bound(call)
        with naming_arguments(request):
            # Closed, and not just dropped: it holds a connection.
            async with aclosing(stream_rows(database, call, bound, read_only=False)) as chunks:
                async for rows in chunks:
                    yield rows

    def handler(call: Call) -> Awaitable[Any] | AsyncIterator[Any]:
        streams = call.progress is not None and query.operation is SQLOperationType.SELECT
        return stream(call) if streams else answer(call)

    description = query.description(uri, Schemas.of(settings.expose))
    return Procedure(uri, handler, description=description)


def _affected(status: str) -> int:
    """The number at the end of what PostgreSQL says that it did, as in ``UPDATE 3``."""
    last = status.rpartition(" ")[2]
    return int(last) if last.isdigit() else 0
