"""The verbs of a relation: select, get, count, insert, update, upsert, delete."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from pgwamp.catalog import Relation
from pgwamp.database import Database
from pgwamp.errors import NotFound, TooManyRows
from pgwamp.procedures.describe import argument_schemas, relation_description
from pgwamp.query import reads, writes
from pgwamp.query.request import bind, naming_arguments
from pgwamp.query.statement import Bound
from pgwamp.session import Call, Procedure
from pgwamp.settings import Settings

_Verb = Callable[[Call, dict[str, Any]], Any]


class RelationProcedures:
    """The procedures of one relation under the URI ``path``."""

    def __init__(self, relation: Relation, path: str, database: Database, settings: Settings):
        self._relation = relation
        self._path = path
        self._database = database
        self._max_rows = settings.limits.max_rows
        big = settings.expose.bigint == "string"
        self._reads = reads.Reads(relation, max_rows=self._max_rows, bigint_as_string=big)
        self._writes = writes.Writes(relation, bigint_as_string=big)

    def procedures(self) -> Iterator[Procedure]:
        """One procedure for each verb that the relation can do."""
        relation = self._relation
        yield self._procedure("select", reads.SELECT_ARGUMENTS, 0, self._select)
        if relation.primary_key:
            yield self._procedure("get", reads.GET_ARGUMENTS, 1, self._get)
        yield self._procedure("count", reads.COUNT_ARGUMENTS, 0, self._count)
        if relation.insertable:
            yield self._procedure("insert", writes.INSERT_ARGUMENTS, 1, self._insert)
        if relation.updatable:
            yield self._procedure("update", writes.UPDATE_ARGUMENTS, 1, self._update)
        if relation.insertable and relation.updatable and relation.unique:
            yield self._procedure("upsert", writes.UPSERT_ARGUMENTS, 1, self._upsert)
        if relation.deletable:
            yield self._procedure("delete", writes.DELETE_ARGUMENTS, 0, self._delete)

    def _procedure(self, verb: str, names: tuple[str, ...], required: int, run: _Verb) -> Procedure:
        async def handler(call: Call) -> Any:
            request = bind(names, call.args, call.kwargs, required=required)
            with naming_arguments(request):
                return await run(call, request)

        uri = f"{self._path}.{verb}"
        return Procedure(
            uri,
            handler,
            description=relation_description(
                uri, verb, self._relation, argument_schemas(self._relation, names, required)
            ),
        )

    async def _select(self, call: Call, request: Mapping[str, Any]) -> list[dict[str, Any]]:
        bound = self._reads.select(request)
        rows = await self._read(call, bound)
        if len(rows) > self._max_rows:
            raise TooManyRows(
                f"more than {self._max_rows} rows (limits.max_rows): "
                "narrow where, or give a limit and an offset"
            )
        return rows

    async def _get(self, call: Call, request: Mapping[str, Any]) -> dict[str, Any]:
        rows = await self._read(call, self._reads.get(request))
        if not rows:
            raise NotFound(f"no row in {self._relation.name} with this key")
        return rows[0]

    async def _count(self, call: Call, request: Mapping[str, Any]) -> int:
        rows = await self._read(call, self._reads.count(request))
        count: int = rows[0]["count"]
        return count

    async def _insert(self, call: Call, request: Mapping[str, Any]) -> Any:
        return await self._write(call, self._writes.insert(request), request)

    async def _update(self, call: Call, request: Mapping[str, Any]) -> Any:
        return await self._write(call, self._writes.update(request), request)

    async def _upsert(self, call: Call, request: Mapping[str, Any]) -> Any:
        return await self._write(call, self._writes.upsert(request), request)

    async def _delete(self, call: Call, request: Mapping[str, Any]) -> Any:
        return await self._write(call, self._writes.delete(request), request)

    async def _read(self, call: Call, bound: Bound) -> list[dict[str, Any]]:
        return bound.rows(
            await self._database.fetch(
                bound.statement.sql, bound.parameters, call.caller, read_only=True
            )
        )

    async def _write(
        self, call: Call, bound: Bound, request: Mapping[str, Any]
    ) -> list[dict[str, Any]] | int:
        sql, parameters = bound.statement.sql, bound.parameters
        if request.get("returning") is False:
            return await self._database.execute(sql, parameters, call.caller)
        return bound.rows(await self._database.fetch(sql, parameters, call.caller, read_only=False))
