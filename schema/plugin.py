"""An Alembic plugin for the application's own migrations; its ``env.py`` needs no change.

A table is marked on its model,

    __table_args__ = {"info": {"pgwamp": {"watch": True}}}
    __table_args__ = {"info": {"pgwamp": {"watch": {"old": "full", "batch": True}}}}

and ``alembic revision --autogenerate`` compares the marks with the tables that are watched: it
writes ``op.watch_table`` for a marked table that is not watched, or with other options, and
``op.unwatch_table`` for a watched table whose model is not marked. A watched table without a model
is left alone.

An application that compares all schemas (``include_schemas=True``) does not get to see the
``wamp`` schema, which has migrations of its own. ``autogenerate_plugins=["alembic.autogenerate.*",
"~alembic.autogenerate.pgwamp"]`` in ``env.py`` turns the comparison off.

Alembic loads this module in the middle of its own import, hence the imports inside functions.
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from importlib import import_module
from typing import TYPE_CHECKING, Any

from sqlalchemy import Table, text

if TYPE_CHECKING:
    from alembic.autogenerate.api import AutogenContext
    from alembic.operations.ops import UpgradeOps
    from alembic.runtime.plugins import Plugin
    from alembic.util import PriorityDispatchResult

#: In the namespace that ``env.py`` includes unless it names other plugins.
COMPARISON = "alembic.autogenerate.pgwamp"
_KEYS = ("watch",)


def setup(plugin: Plugin) -> None:
    """Called by Alembic when it is imported.

    The comparison is a plugin of its own, under a name that is active by default. It cannot use
    the registry ``alembic.autogenerate.comparators``: Alembic loads plugins before it makes it.
    """
    from alembic.runtime.plugins import Plugin
    from alembic.util import DispatchPriority

    import_module("pgwamp.schema.operations")  # registers them
    comparison = Plugin(COMPARISON)
    comparison.add_autogenerate_comparator(
        _hide_wamp_schema,
        "schema",
        "wamp schema",
        qualifier="postgresql",
        priority=DispatchPriority.FIRST,
    )
    # Last, so that a table is watched after it was created.
    comparison.add_autogenerate_comparator(
        _compare_watched,
        "schema",
        "watched tables",
        qualifier="postgresql",
        priority=DispatchPriority.LAST,
    )


def _hide_wamp_schema(
    autogen_context: AutogenContext, upgrade_ops: UpgradeOps, schemas: set[str | None]
) -> PriorityDispatchResult:
    from alembic.util import PriorityDispatchResult

    schemas.discard("wamp")
    return PriorityDispatchResult.CONTINUE


def _compare_watched(
    autogen_context: AutogenContext, upgrade_ops: UpgradeOps, schemas: set[str | None]
) -> PriorityDispatchResult:
    from alembic.operations.ops import DropTableOp
    from alembic.util import PriorityDispatchResult

    from .operations import UnwatchTableOp, WatchTableOp

    watched = _watched(autogen_context)
    for table in autogen_context.sorted_tables:
        if not autogen_context.run_object_filters(table, table.name, "table", False, None):
            continue
        schema, name = table.schema, str(table.name)
        marked = marked_options(table)
        former = watched.get(_key(autogen_context, schema, name))
        if marked is not None and marked != former:
            upgrade_ops.ops.append(WatchTableOp(name, schema=schema, options=marked, former=former))
        elif marked is None and former is not None:
            upgrade_ops.ops.append(UnwatchTableOp(name, schema=schema, options=former))
    # Dropping a table ends its watch; saying so lets the downgrade bring both back.
    dropped = [
        UnwatchTableOp(operation.table_name, schema=operation.schema, options=former)
        for operation in upgrade_ops.ops
        if isinstance(operation, DropTableOp)
        and (former := watched.get(_key(autogen_context, operation.schema, operation.table_name)))
        is not None
    ]
    upgrade_ops.ops[:0] = dropped
    return PriorityDispatchResult.CONTINUE


def _watched(autogen_context: AutogenContext) -> dict[tuple[str, str], dict[str, Any]]:
    """Schema and name of each watched table, and its options; none without a ``wamp`` schema."""
    connection = autogen_context.connection
    if connection is None:
        return {}
    return {(schema, name): options for schema, name, options in connection.execute(_WATCHED)}


# As the view wamp.watched, which not every role that migrates may read, and which in a schema of
# somebody else could run anything.
_WATCHED = text("""
select n.nspname, c.relname, cast(pg_catalog.convert_from(
    pg_catalog.substring(t.tgargs, 1, pg_catalog.length(t.tgargs) - 1),
    pg_catalog.getdatabaseencoding()) as pg_catalog.jsonb)
from pg_catalog.pg_trigger as t
join pg_catalog.pg_proc as p on p.oid = t.tgfoid
join pg_catalog.pg_namespace as home on home.oid = p.pronamespace and home.nspname = 'wamp'
join pg_catalog.pg_class as c on c.oid = t.tgrelid
join pg_catalog.pg_namespace as n on n.oid = c.relnamespace
where t.tgname = 'wamp_insert' and not t.tgisinternal and t.tgnargs = 1
""")


def _key(autogen_context: AutogenContext, schema: str | None, name: str) -> tuple[str, str]:
    return (schema or autogen_context.inspector.default_schema_name or "public", str(name))


def marked_options(table: Table) -> dict[str, Any] | None:
    """The options in ``info={"pgwamp": {"watch": ...}}``; None for a table that is not marked.

    Raises ``alembic.util.CommandError`` if ``info["pgwamp"]`` has any other key or value.
    """
    from alembic.util import CommandError

    marks = table.info.get("pgwamp", {})
    if not isinstance(marks, Mapping):
        raise CommandError(
            f'table {table.fullname}: info["pgwamp"] must be a dict, such as {{"watch": True}}'
        )
    for key in marks:
        if key not in _KEYS:
            close = difflib.get_close_matches(str(key), _KEYS, 1)
            hint = f'did you mean "{close[0]}"?' if close else f"known: {', '.join(_KEYS)}"
            raise CommandError(
                f'table {table.fullname}: unknown key "{key}" in info["pgwamp"] ({hint})'
            )
    watch = marks.get("watch", False)
    if not isinstance(watch, bool | Mapping):
        raise CommandError(
            f'table {table.fullname}: info["pgwamp"]["watch"] must be True, False or a dict of '
            f"options, not {watch!r}"
        )
    if isinstance(watch, bool):
        return {} if watch else None
    # As the database keeps them.
    return {k: v for k, v in watch.items() if v is not None}
