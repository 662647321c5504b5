"""Alembic operations for an application's migrations: watch a table, and stop watching it.

    op.watch_table("orders")
    op.watch_table("orders", schema="shop", old="full", batch=True)
    op.unwatch_table("orders", schema="shop")

Both run the SQL functions of the same meaning and work in offline (``--sql``) mode too.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from alembic.autogenerate.render import renderers
from alembic.operations import Operations
from alembic.operations.ops import MigrateOperation
from alembic.util import CommandError
from sqlalchemy import func, select, text

from pgwamp.schema.plugin import OWN_SCHEMA_QUERY, pinned_search_path

if TYPE_CHECKING:  # Alembic loads this module in the middle of importing that one.
    from alembic.autogenerate.api import AutogenContext


class _TableOperation(MigrateOperation):
    name: str

    def __init__(self, table_name: str, *, schema: str | None = None):
        self.table_name = table_name
        self.schema = schema

    def to_diff_tuple(self) -> tuple[Any, ...]:
        """As ``alembic check`` and ``compare_metadata()`` show it."""
        return (self.name, self.schema, self.table_name)


@Operations.register_operation("watch_table")
class WatchTableOp(_TableOperation):
    """``wamp.watch``: publish the committed changes of a table from now on."""

    name = "watch_table"

    def __init__(
        self,
        table_name: str,
        *,
        schema: str | None = None,
        options: Mapping[str, Any] | None = None,
        former: Mapping[str, Any] | None = None,
    ):
        super().__init__(table_name, schema=schema)
        self.options = {k: v for k, v in (options or {}).items() if v is not None}
        self.former = former

    @classmethod
    def watch_table(
        cls, operations: Operations, table_name: str, *, schema: str | None = None, **options: Any
    ) -> None:
        """Publish the committed changes of a table from now on.

        Raises ``alembic.util.CommandError`` if the database has no ``wamp`` schema.

        :param table_name: a table with a primary key.
        :param schema: where the search path does not find it.
        :param options: of ``wamp.watch``: ``columns old when topic eligible_authid
            eligible_authrole batch retain publish``. They replace those of before.
        """
        operations.invoke(cls(table_name, schema=schema, options=options))

    def reverse(self) -> UnwatchTableOp | WatchTableOp:
        """What undoes it: other options, if it was watched before."""
        if self.former is None:
            return UnwatchTableOp(self.table_name, schema=self.schema, options=self.options)
        return WatchTableOp(
            self.table_name, schema=self.schema, options=self.former, former=self.options
        )

    def to_diff_tuple(self) -> tuple[Any, ...]:
        """As ``alembic check`` and ``compare_metadata()`` show it."""
        difference = super().to_diff_tuple()
        return (*difference, self.options) if self.options or self.former else difference


@Operations.register_operation("unwatch_table")
class UnwatchTableOp(_TableOperation):
    """``wamp.unwatch``: publish the changes of a table no longer."""

    name = "unwatch_table"

    def __init__(
        self,
        table_name: str,
        *,
        schema: str | None = None,
        options: Mapping[str, Any] | None = None,
    ):
        super().__init__(table_name, schema=schema)
        self.options = options

    @classmethod
    def unwatch_table(
        cls, operations: Operations, table_name: str, *, schema: str | None = None
    ) -> None:
        """Publish the changes of a table no longer.

        Harmless for a table that is not watched, and in a database that has no ``wamp`` schema.

        :param schema: where the search path does not find it.
        """
        operations.invoke(cls(table_name, schema=schema))

    def reverse(self) -> WatchTableOp:
        """What undoes it."""
        return WatchTableOp(self.table_name, schema=self.schema, options=self.options)


@Operations.implementation_for(WatchTableOp)
def _watch(operations: Operations, operation: WatchTableOp) -> None:
    if not _has_wamp_schema(operations, operation):
        raise CommandError(
            f"cannot watch {operation.table_name}: the database has no wamp schema; "
            "create it with: pgwamp db upgrade"
        )
    relation = operations.inline_literal(_relation(operations, operation))
    arguments = [relation]
    if operation.options:
        arguments.append(operations.inline_literal(json.dumps(operation.options)))
    operations.execute(select(func.wamp.watch(*arguments)))


@Operations.implementation_for(UnwatchTableOp)
def _unwatch(operations: Operations, operation: UnwatchTableOp) -> None:
    # Triggers cannot outlive the wamp schema: without it nothing is watched.
    if _has_wamp_schema(operations, operation):
        relation = operations.inline_literal(_relation(operations, operation))
        operations.execute(select(func.wamp.unwatch(relation)))


def _has_wamp_schema(operations: Operations, operation: _TableOperation) -> bool:
    """Whether there is one; its functions run with the rights of this session.

    :raises CommandError: so they must not: it is somebody else's, or others may change it.
    """
    context = operations.migration_context
    if context.as_sql or context.connection is None:
        return True
    with pinned_search_path(context.connection):
        is_there, problem = context.connection.execute(OWN_SCHEMA_QUERY).one()
        has_functions = not problem and context.connection.scalar(_HAS_FUNCTIONS)
    if problem:
        verb = operation.name.partition("_")[0]
        raise CommandError(f"cannot {verb} {operation.table_name}: {problem}")
    return bool(is_there and has_functions)


_HAS_FUNCTIONS = text("select to_regprocedure('wamp.unwatch(regclass)') is not null")


def _relation(operations: Operations, operation: _TableOperation) -> str:
    quote = operations.migration_context.dialect.identifier_preparer.quote
    parts = (operation.schema, operation.table_name)
    return ".".join(quote(part) for part in parts if part)


@renderers.dispatch_for(WatchTableOp)
def _render_watch(autogen_context: AutogenContext, operation: WatchTableOp) -> str:
    call = _render(autogen_context, operation)
    options = "".join(f", {name}={value!r}" for name, value in operation.options.items())
    return f"{call[:-1]}{options})"


@renderers.dispatch_for(UnwatchTableOp)
def _render(autogen_context: AutogenContext, operation: _TableOperation) -> str:
    prefix = autogen_context.opts["alembic_module_prefix"] or ""
    arguments = repr(str(operation.table_name))
    if operation.schema:
        arguments += f", schema={str(operation.schema)!r}"
    return f"{prefix}{operation.name}({arguments})"
